//! Where lamps stand, what they are called, and which cable they hang on.
//!
//! - [`profile`]  the cities that come with the simulator
//! - [`plan`]     cities from a generator
//! - [`geojson`]  lamps and streets from a map; [`streets`] which lamp stands in which street
//! - [`wiring`]   feeders
//! - [`export`]   a city as files: for the server's import and for its map
//! - [`plane`]    metres and degrees
pub mod export;
pub mod geojson;
pub mod plan;
pub mod plane;
pub mod profile;
pub mod streets;
pub mod wiring;

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;

pub use plane::Plane;
pub use profile::Profile;

use crate::physics::Light;
use geojson::{MapLamp, MapStreet};
use wiring::{Hook, Wire};

/// One lamp of a city.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    pub name: String,
    pub address: String,
    pub city: String,
    pub zone: String,
    pub ward: String,
    pub feeder: String,
    pub pole: String,
    pub latitude: f64,
    pub longitude: f64,
    pub wire: Wire,
}

/// A city: its lamps, and what a map draws below them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Town {
    pub sites: Vec<Site>,
    /// The lights of each feeder together, in watts.
    pub feeders_w: Vec<f64>,
    /// Name, main road, line in latitudes and longitudes. Only of planned cities.
    pub streets: Vec<MapStreet>,
    pub parks: Vec<Vec<(f64, f64)>>,
}

/// A city as it was asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    pub profile: Profile,
    /// GeoJSON with lamps, instead of the profile's own.
    pub lamps: Option<&'a Path>,
    /// What that city is called.
    pub city_name: Option<&'a str>,
    pub lights: Option<usize>,
    pub seed: u64,
}

/// A lamp on its way to become a site.
struct Draft {
    at: (f64, f64),
    hook: Hook,
    pole: Option<String>,
    is_led: Option<bool>,
}

/// A city before anything in it has a number.
struct Drafts {
    city: String,
    lamps: Vec<Draft>,
    streets: Vec<String>,
    wards: Vec<(String, &'static str)>,
}

impl Town {
    /// # Errors
    /// When a file of lamps cannot be read, or has fewer lamps than are asked for.
    pub fn of(wanted: &Wanted<'_>) -> anyhow::Result<Self> {
        let profile = wanted.profile;
        let built_in = profile.map()?;
        let town = match (wanted.lamps, built_in) {
            (Some(file), built_in) => {
                let text = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
                let (lamps, mut streets) =
                    geojson::read(&text).with_context(|| format!("{} is no GeoJSON with points", file.display()))?;
                if streets.is_empty() {
                    streets = built_in.map(|(_, streets)| streets).unwrap_or_default();
                }
                let city = wanted.city_name.unwrap_or(profile.city());
                Self::mapped(wanted, city, lamps, &streets)?
            }
            (None, Some((lamps, streets))) => {
                Self::mapped(wanted, wanted.city_name.unwrap_or(profile.city()), lamps, &streets)?
            }
            (None, None) => Self::planned(wanted),
        };
        anyhow::ensure!(!town.sites.is_empty(), "there is no lamp in this city");
        Ok(town)
    }

    fn mapped(wanted: &Wanted<'_>, city: &str, mut lamps: Vec<MapLamp>, streets: &[MapStreet]) -> anyhow::Result<Self> {
        if let Some(most) = wanted.lights {
            anyhow::ensure!(lamps.len() >= most, "there are only {} lamps; ask for fewer lights", lamps.len());
            lamps.truncate(most);
        }
        let placed = streets::placed(&lamps, streets);
        let drafts = lamps.into_iter().zip(&placed.lamps).map(|(lamp, place)| Draft {
            at: (lamp.latitude, lamp.longitude),
            hook: Hook {
                ward: place.ward,
                street: place.street,
                along_m: place.along_m,
                main: placed.streets[place.street].1,
            },
            pole: lamp.pole,
            is_led: lamp.is_led,
        });
        let lamps = drafts.collect();
        let streets = placed.streets.into_iter().map(|(name, _)| name).collect();
        Ok(Drafts { city: city.to_owned(), lamps, streets, wards: placed.wards }.town(wanted))
    }

    fn planned(wanted: &Wanted<'_>) -> Self {
        let style = wanted.profile.style();
        let plane = Plane::around(style.latitude, style.longitude);
        let plan = plan::plan(style, wanted.lights.unwrap_or(wanted.profile.lights()), wanted.seed);
        let lamps = plan.lamps.iter().map(|lamp| Draft {
            at: plane.to_degrees(lamp.at),
            hook: Hook {
                ward: lamp.ward,
                street: lamp.street,
                along_m: lamp.along_m,
                main: plan.streets[lamp.street].main,
            },
            pole: None,
            is_led: None,
        });
        let drafts = Drafts {
            city: wanted.city_name.unwrap_or(style.city).to_owned(),
            lamps: lamps.collect(),
            streets: plan.streets.iter().map(|s| s.name.clone()).collect(),
            wards: plan.wards.into_iter().map(|w| (w.name, w.zone)).collect(),
        };
        let mut town = drafts.town(wanted);
        let degrees = |line: &[(f64, f64)]| line.iter().map(|at| plane.to_degrees(*at)).collect::<Vec<_>>();
        let lit: std::collections::HashSet<usize> = plan.lamps.iter().map(|l| l.street).collect();
        let built = plan.streets.iter().enumerate().filter(|(n, _)| lit.contains(n));
        town.streets =
            built.map(|(_, s)| MapStreet { name: s.name.clone(), main: s.main, line: degrees(&s.line) }).collect();
        town.parks = plan.parks.iter().map(|park| degrees(park)).collect();
        town
    }
}

impl Drafts {
    /// Numbers and wires everything.
    fn town(self, wanted: &Wanted<'_>) -> Town {
        let hooks: Vec<Hook> = self.lamps.iter().map(|l| l.hook).collect();
        let (mut wires, feeders) = wiring::wires(&hooks, wanted.profile.led_share(), wanted.seed);
        let numbers = self.numbers();
        let codes = ward_codes(&self.wards);
        let mut feeders_w = vec![0.0; feeders];
        let mut poles_of_ward: HashMap<usize, usize> = HashMap::new();
        let mut sites = Vec::with_capacity(self.lamps.len());
        for ((lamp, wire), number) in self.lamps.into_iter().zip(&mut wires).zip(numbers) {
            if let Some(is_led) = lamp.is_led {
                wire.light = if is_led { Light::Led } else { Light::Discharge };
            }
            feeders_w[wire.feeder] += f64::from(wire.rated_w);
            let ward = lamp.hook.ward;
            let pole = poles_of_ward.entry(ward).or_default();
            *pole += 1;
            let name = format!("{} {number}", self.streets[lamp.hook.street]);
            sites.push(Site {
                address: format!("{name}, {}", self.city),
                name,
                city: self.city.clone(),
                zone: self.wards[ward].1.to_owned(),
                ward: self.wards[ward].0.clone(),
                feeder: format!("{}-F{:02}", codes[ward], wire.feeder_of_ward + 1),
                pole: lamp.pole.unwrap_or_else(|| format!("{}-{pole:04}", codes[ward])),
                latitude: lamp.at.0,
                longitude: lamp.at.1,
                wire: *wire,
            });
        }
        Town { sites, feeders_w, ..Town::default() }
    }

    /// Running numbers along each street.
    fn numbers(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.lamps.len()).collect();
        let hook = |n: &usize| &self.lamps[*n].hook;
        order.sort_by(|a, b| hook(a).street.cmp(&hook(b).street).then(hook(a).along_m.total_cmp(&hook(b).along_m)));
        let mut numbers = vec![0; order.len()];
        for street in order.chunk_by(|a, b| hook(a).street == hook(b).street) {
            for (n, lamp) in street.iter().enumerate() {
                numbers[*lamp] = n + 1;
            }
        }
        numbers
    }
}

/// Short names of wards: the zone's letter and a number, such as `N03`.
fn ward_codes(wards: &[(String, &'static str)]) -> Vec<String> {
    let mut used: HashMap<&str, usize> = HashMap::new();
    let code = |(_, zone): &(String, &'static str)| {
        let n = used.entry(*zone).or_default();
        *n += 1;
        format!("{}{n:02}", &zone[..1])
    };
    wards.iter().map(code).collect()
}

#[cfg(test)]
mod tests;
