//! What all lamps of a city share, made of one seed.
use super::climate::Climate;
use super::mains::{Grid, MainsFaults};
use super::noise;
use super::radio::Radio;

#[derive(Debug)]
pub struct Surroundings {
    pub climate: Climate,
    pub grid: Grid,
    pub radio: Radio,
}

impl Surroundings {
    /// `holes`: how much of the radio's holes there is, 0 to 1.
    pub fn new(seed: u64, latitude: f64, longitude: f64, mains: MainsFaults, holes: f64) -> Self {
        let climate = Climate::at(noise::hash(seed, 1), latitude, longitude);
        Self {
            climate,
            grid: Grid::new(noise::hash(seed, 2), climate, mains),
            radio: Radio::new(noise::hash(seed, 3), holes),
        }
    }
}
