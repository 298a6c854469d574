//! Where a place is on the screen. Web Mercator with the world as a square of side 1; a camera is a rectangle of pixels of
//! that world at a zoom. Pure; agrees with Leaflet's EPSG:3857.
use std::f64::consts::PI;

/// Side of the world in pixels at zoom 0.
const WORLD_PX: f64 = 256.0;
/// Where Web Mercator ends.
const LATITUDE_MAX: f64 = 85.051_128_779_8;

/// A place as a point of the unit square.
pub fn world(latitude: f64, longitude: f64) -> (f64, f64) {
    let sin = latitude.clamp(-LATITUDE_MAX, LATITUDE_MAX).to_radians().sin();
    (longitude / 360.0 + 0.5, 0.5 - ((1.0 + sin) / (1.0 - sin)).ln() / (4.0 * PI))
}

/// The latitude and longitude of a point of the unit square.
pub fn place(x: f64, y: f64) -> (f64, f64) {
    ((PI * (1.0 - 2.0 * y)).sinh().atan().to_degrees(), (x - 0.5) * 360.0)
}

/// `[x0, y0, x1, y1]` around points; `None` when there are none.
pub fn around(points: impl Iterator<Item = (f64, f64)>) -> Option<[f64; 4]> {
    points.fold(None, |found, (x, y)| {
        let [x0, y0, x1, y1] = found.unwrap_or([x, y, x, y]);
        Some([x0.min(x), y0.min(y), x1.max(x), y1.max(y)])
    })
}

/// Side of the world in pixels.
pub fn world_px(zoom: f64) -> f64 {
    WORLD_PX * zoom.exp2()
}

/// What a rectangle of the screen shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    pub zoom: f64,
    /// World pixels of its left upper corner.
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Camera {
    /// The point in pixels from the left upper corner.
    pub fn to_screen(&self, x: f64, y: f64) -> (f64, f64) {
        let scale = world_px(self.zoom);
        (x * scale - self.left, y * scale - self.top)
    }

    pub fn to_world(&self, px: f64, py: f64) -> (f64, f64) {
        let scale = world_px(self.zoom);
        ((px + self.left) / scale, (py + self.top) / scale)
    }

    /// The same with `margin` pixels more on every side, on whole pixels.
    pub fn grown(&self, margin: f64) -> Self {
        let (left, top) = ((self.left - margin).floor(), (self.top - margin).floor());
        Self {
            left,
            top,
            width: (self.width + 2.0 * margin).ceil(),
            height: (self.height + 2.0 * margin).ceil(),
            ..*self
        }
    }

    /// Whether `other`, at the same zoom, lies wholly inside.
    pub fn covers(&self, other: &Self) -> bool {
        self.zoom == other.zoom
            && self.left <= other.left
            && self.top <= other.top
            && self.left + self.width >= other.left + other.width
            && self.top + self.height >= other.top + other.height
    }

    /// `[x0, y0, x1, y1]` in the unit square.
    pub fn rectangle(&self) -> [f64; 4] {
        let (x0, y0) = self.to_world(0.0, 0.0);
        let (x1, y1) = self.to_world(self.width, self.height);
        [x0, y0, x1, y1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELSINKI: Camera = Camera { zoom: 16.0, left: 9_550_500.0, top: 4_855_900.0, width: 800.0, height: 600.0 };

    #[test]
    fn the_equator_meets_greenwich_in_the_middle() {
        assert_eq!(world(0.0, 0.0), (0.5, 0.5));
        let (lat, lon) = place(0.5, 0.5);
        assert!(lat.abs() < 1e-12 && lon.abs() < 1e-12);
    }

    #[test]
    fn places_survive_the_way_there_and_back() {
        for (lat, lon) in [(60.17, 24.94), (28.6139, 77.209), (-33.9, 151.2)] {
            let (x, y) = world(lat, lon);
            let (lat2, lon2) = place(x, y);
            assert!((lat - lat2).abs() < 1e-9 && (lon - lon2).abs() < 1e-9);
        }
    }

    #[test]
    fn agrees_with_leaflet() {
        // L.CRS.EPSG3857.latLngToPoint(L.latLng(60.17, 24.94), 16)
        let (x, y) = world(60.17, 24.94);
        assert!((x * world_px(16.0) - 9_550_896.241_8).abs() < 0.001);
        assert!((y * world_px(16.0) - 4_856_211.474_3).abs() < 0.001);
    }

    #[test]
    fn a_grown_camera_covers_small_pans_only() {
        let grown = HELSINKI.grown(100.0);
        assert!(grown.covers(&Camera { left: HELSINKI.left + 90.0, ..HELSINKI }));
        assert!(!grown.covers(&Camera { left: HELSINKI.left + 110.0, ..HELSINKI }));
        assert!(!grown.covers(&Camera { zoom: 17.0, ..HELSINKI }));
        let (px, py) = HELSINKI.to_screen(HELSINKI.to_world(12.0, 34.0).0, HELSINKI.to_world(12.0, 34.0).1);
        assert!((px - 12.0).abs() < 1e-6 && (py - 34.0).abs() < 1e-6);
    }
}
