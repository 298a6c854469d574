//! Where lamps stand and what they are called.
mod delhi;
mod helsinki;

use std::path::Path;

use anyhow::Context;

/// One lamp of a city.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    pub name: String,
    pub address: String,
    pub city: String,
    pub latitude: f64,
    pub longitude: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum City {
    /// The real lamps of the centre, from OpenStreetMap.
    Helsinki,
    /// A generated plan around the coordinates of the device document.
    Delhi,
}

/// Lamps of a generated city when nobody says how many.
const DELHI_LIGHTS: usize = 2_500;

impl City {
    /// The lamps, at most `lights` of them; real ones from `lamps` (GeoJSON points) where given.
    pub fn sites(self, lamps: Option<&Path>, lights: Option<usize>, seed: u64) -> anyhow::Result<Vec<Site>> {
        let mut sites = match (self, lamps) {
            (_, Some(file)) => {
                let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
                helsinki::sites(&text).with_context(|| format!("{} is not GeoJSON with points", file.display()))?
            }
            (Self::Helsinki, None) => helsinki::sites(helsinki::LAMPS)?,
            (Self::Delhi, None) => delhi::sites(lights.unwrap_or(DELHI_LIGHTS), seed),
        };
        if let Some(most) = lights {
            anyhow::ensure!(sites.len() >= most, "there are only {} lamps; ask for fewer lights", sites.len());
            sites.truncate(most);
        }
        anyhow::ensure!(!sites.is_empty(), "there is no lamp in this city");
        Ok(sites)
    }
}

/// A flat picture of the few kilometres around a point, in metres.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plane {
    latitude: f64,
    longitude: f64,
}

impl Plane {
    const METRES_PER_DEGREE: f64 = 111_195.0;

    pub(crate) const fn around(latitude: f64, longitude: f64) -> Self {
        Self { latitude, longitude }
    }

    pub(crate) fn to_metres(self, latitude: f64, longitude: f64) -> (f64, f64) {
        let shrink = self.latitude.to_radians().cos();
        let x = (longitude - self.longitude) * Self::METRES_PER_DEGREE * shrink;
        (x, (latitude - self.latitude) * Self::METRES_PER_DEGREE)
    }

    /// Latitude and longitude, rounded to a decimetre as surveyors write them.
    pub(crate) fn to_degrees(self, x: f64, y: f64) -> (f64, f64) {
        let shrink = self.latitude.to_radians().cos();
        let round = |v: f64| (v * 1e6).round() / 1e6;
        let latitude = self.latitude + y / Self::METRES_PER_DEGREE;
        let longitude = self.longitude + x / (Self::METRES_PER_DEGREE * shrink);
        (round(latitude), round(longitude))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn helsinki_has_its_586_lamps_with_street_names_and_running_numbers() {
        let sites = City::Helsinki.sites(None, None, 1).unwrap();
        assert_eq!(sites.len(), 586);
        let names: std::collections::HashSet<_> = sites.iter().map(|s| &s.name).collect();
        assert_eq!(names.len(), 586, "every lamp has a name of its own");
        assert!(sites.iter().any(|s| s.name == "Unioninkatu 1"));
        assert!(sites.iter().all(|s| s.address.ends_with(", Helsinki") && (60.1..60.3).contains(&s.latitude)));
        assert!(City::Helsinki.sites(None, Some(587), 1).is_err());
    }

    #[test]
    fn delhi_has_as_many_as_asked_distinct_and_the_same_every_time() {
        for lights in [1, 100, 2_500, 5_000, 20_000] {
            let sites = City::Delhi.sites(None, Some(lights), 1).unwrap();
            assert_eq!(sites.len(), lights);
            let names: std::collections::HashSet<_> = sites.iter().map(|s| &s.name).collect();
            assert_eq!(names.len(), lights);
        }
        assert_eq!(City::Delhi.sites(None, Some(99), 3).unwrap(), City::Delhi.sites(None, Some(99), 3).unwrap());
    }
}
