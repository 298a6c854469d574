//! The air: by latitude, season and hour, and a weather that comes and goes. Good to a few degrees, which is what a lamp's
//! housing needs.
use ccms_core::time::{TimeOfDay, UtcMillis};

use super::noise;

const DAY_S: f64 = 86_400.0;
const YEAR_S: f64 = 365.25 * DAY_S;
/// The warmest day of a northern year comes weeks after the longest, the warmest hour of a day hours after noon.
const WARMEST_DAY: f64 = 200.0;
const WARMEST_HOUR: f64 = 15.0;
/// Warm and cold spells, and how long one lasts.
const WEATHER_C: f64 = 4.0;
const WEATHER_S: f64 = 2.5 * DAY_S;

/// The climate of a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Climate {
    seed: u64,
    latitude: f64,
    longitude: f64,
}

impl Climate {
    pub const fn at(seed: u64, latitude: f64, longitude: f64) -> Self {
        Self { seed, latitude, longitude }
    }

    /// Hours after the sun's own midnight.
    pub fn solar_hour(&self, utc: UtcMillis) -> f64 {
        f64::from(TimeOfDay::at(utc, (self.longitude * 4.0).round() as i32).seconds()) / 3_600.0
    }

    /// The temperature of the air.
    pub fn air_c(&self, utc: UtcMillis) -> f64 {
        let degrees = self.latitude.abs();
        let mean = 27.5 - 0.006 * degrees * degrees;
        let season = 12.0 * (1.0 - (-degrees / 25.0).exp());
        let day = 6.0 - 0.05 * degrees;
        let seconds = utc.0 as f64 / 1000.0;
        let half_a_year = if self.latitude < 0.0 { 0.5 } else { 0.0 };
        let year = seconds / YEAR_S - WARMEST_DAY / 365.25 + half_a_year;
        let hour = (self.solar_hour(utc) - WARMEST_HOUR) / 24.0;
        let turn = std::f64::consts::TAU;
        mean + season * (turn * year).cos()
            + day * (turn * hour).cos()
            + WEATHER_C * noise::curve(self.seed, seconds / WEATHER_S)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of a month's air, by the hour.
    fn month_c(latitude: f64, longitude: f64, first: &str) -> f64 {
        let climate = Climate::at(1, latitude, longitude);
        let from = UtcMillis::parse_lenient(first).unwrap();
        (0..720).map(|hour| climate.air_c(from.plus_seconds(hour * 3_600))).sum::<f64>() / 720.0
    }

    #[test]
    fn months_are_those_of_the_almanac_within_a_few_degrees() {
        for (latitude, longitude, month, c) in [
            (60.17, 24.94, "2025-01-01T00:00:00Z", -4.0),
            (60.17, 24.94, "2025-07-01T00:00:00Z", 18.0),
            (28.61, 77.21, "2025-01-01T00:00:00Z", 14.0),
            (28.61, 77.21, "2025-07-01T00:00:00Z", 31.0),
            (-23.7, 133.9, "2025-01-01T00:00:00Z", 29.0),
            (1.35, 103.8, "2025-07-01T00:00:00Z", 27.5),
        ] {
            let found = month_c(latitude, longitude, month);
            assert!((found - c).abs() < 5.0, "{latitude} in {month}: {found}");
        }
    }

    #[test]
    fn afternoons_are_warmer_than_mornings() {
        let climate = Climate::at(1, 28.61, 77.21);
        let midnight = UtcMillis::parse_lenient("2025-12-17T00:00:00+05:30").unwrap();
        let at = |hour: i64| climate.air_c(midnight.plus_seconds(hour * 3_600));
        assert!(at(15) > at(5) + 5.0);
    }
}
