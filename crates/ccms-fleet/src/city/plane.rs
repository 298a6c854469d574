//! A flat picture of the few kilometres around a point, in metres.

const METRES_PER_DEGREE: f64 = 111_195.0;

#[derive(Debug, Clone, Copy)]
pub struct Plane {
    latitude: f64,
    longitude: f64,
}

impl Plane {
    pub const fn around(latitude: f64, longitude: f64) -> Self {
        Self { latitude, longitude }
    }

    /// Metres to the east and to the north.
    pub fn to_metres(self, latitude: f64, longitude: f64) -> (f64, f64) {
        let shrink = self.latitude.to_radians().cos();
        let x = (longitude - self.longitude) * METRES_PER_DEGREE * shrink;
        (x, (latitude - self.latitude) * METRES_PER_DEGREE)
    }

    /// Latitude and longitude, rounded to a decimetre as surveyors write them.
    pub fn to_degrees(self, (x, y): (f64, f64)) -> (f64, f64) {
        let shrink = self.latitude.to_radians().cos();
        let round = |v: f64| (v * 1e6).round() / 1e6;
        let latitude = self.latitude + y / METRES_PER_DEGREE;
        let longitude = self.longitude + x / (METRES_PER_DEGREE * shrink);
        (round(latitude), round(longitude))
    }
}

/// Metres that are the same wherever a city's middle is taken to be. Neighbours are neighbours in them.
pub fn on_earth_m(latitude: f64, longitude: f64) -> (f64, f64) {
    (longitude * METRES_PER_DEGREE * latitude.to_radians().cos(), latitude * METRES_PER_DEGREE)
}
