//! The cities that come with the simulator: where they are, how large, how far their lights are converted, how much goes wrong.
use anyhow::Context;

use super::geojson::{self, MapLamp, MapStreet};
use super::plan::names::{CITY, DELHI, Style};
use crate::sickness::Rates;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Profile {
    /// The 586 real lamps of Helsinki's centre, from OpenStreetMap
    #[default]
    Helsinki,
    /// A generated city of 20,000 lights
    City,
    /// A generated city of 100,000 lights around the coordinates of the device document
    Delhi,
}

const HELSINKI_LAMPS: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../cities/helsinki/lamps.geojson"));
const HELSINKI_ROADS: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../cities/helsinki/roads.geojson"));

impl Profile {
    pub fn city(self) -> &'static str {
        match self {
            Self::Helsinki => "Helsinki",
            Self::City | Self::Delhi => self.style().city,
        }
    }

    /// How many lights when nobody says how many.
    pub const fn lights(self) -> usize {
        match self {
            Self::Helsinki => 586,
            Self::City => 20_000,
            Self::Delhi => 100_000,
        }
    }

    pub const fn rates(self) -> Rates {
        match self {
            Self::Helsinki => Rates::CALM,
            Self::City => Rates::USUAL,
            Self::Delhi => Rates::ROUGH,
        }
    }

    /// The share of its streets that have LEDs.
    pub const fn led_share(self) -> f64 {
        match self {
            Self::Helsinki => 0.85,
            Self::City => 0.75,
            Self::Delhi => 0.55,
        }
    }

    /// How its generated form is laid out and called.
    pub(super) fn style(self) -> &'static Style {
        match self {
            Self::Helsinki | Self::City => &CITY,
            Self::Delhi => &DELHI,
        }
    }

    /// Its lamps and streets, where they are real ones. © OpenStreetMap contributors, ODbL 1.0.
    pub(super) fn map(self) -> anyhow::Result<Option<(Vec<MapLamp>, Vec<MapStreet>)>> {
        match self {
            Self::Helsinki => {
                let (lamps, _) = geojson::read(HELSINKI_LAMPS).context("the built-in lamps")?;
                let (_, streets) = geojson::read(HELSINKI_ROADS).context("the built-in streets")?;
                Ok(Some((lamps, streets)))
            }
            Self::City | Self::Delhi => Ok(None),
        }
    }
}
