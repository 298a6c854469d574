//! The mains. A grid is what a whole city shares: its frequency, its evening sag, and the power cut that takes all of it. A
//! feeder brings it to the lights of some streets: the more they draw the lower the voltage, most at the far end; and it has
//! brown-outs and outages of its own, which its lights share.
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use ccms_core::time::UtcMillis;

use super::climate::Climate;
use super::incidents::Incidents;
use super::noise;

pub const NOMINAL_V: f64 = 230.0;
/// Below this there is no mains to speak of.
pub const DEAD_V: f64 = 50.0;
/// What is lost on the way to the last light when all of them burn.
const FULL_LOAD_DROP_V: f64 = 9.0;
/// Households cook and watch television.
const EVENING_SAG_V: f64 = 4.0;
const EVENING_HOUR: f64 = 19.5;
/// Transformers and their taps: slow, and different for each feeder.
const WANDER_V: f64 = 3.0;
const WANDER_S: f64 = 1_200.0;
/// How much of the voltage a brown-out takes, at least and at most.
const BROWNOUT_SHARE: (f64, f64) = (0.10, 0.34);
const BROWNOUT_S: (f64, f64) = (120.0, 1_500.0);
const OUTAGE_S: (f64, f64) = (300.0, 3_600.0);
const CUT_S: (f64, f64) = (600.0, 3_600.0);
/// The grid's frequency wanders by about this, in hundredths of a hertz.
const FREQUENCY_CHZ: f64 = 4.0;
const FREQUENCY_S: f64 = 40.0;

/// How often the mains fail, a day.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MainsFaults {
    /// Of each feeder.
    pub brownouts: f64,
    pub outages: f64,
    /// Of the whole city.
    pub cuts: f64,
}

#[derive(Debug)]
pub struct Grid {
    seed: u64,
    climate: Climate,
    faults: MainsFaults,
    cuts: Incidents,
    /// A power cut that was asked for: from, until, in seconds of UTC.
    rehearsed_s: Option<(f64, f64)>,
}

impl Grid {
    pub fn new(seed: u64, climate: Climate, faults: MainsFaults) -> Self {
        let cuts = Incidents::new(noise::hash(seed, 1), faults.cuts, CUT_S);
        Self { seed, climate, faults, cuts, rehearsed_s: None }
    }

    /// The same with a power cut of the whole city on demand.
    pub fn with_cut(self, from: UtcMillis, seconds: u32) -> Self {
        let from_s = seconds_of(from);
        Self { rehearsed_s: Some((from_s, from_s + f64::from(seconds))), ..self }
    }

    /// Whether the whole city is without power.
    pub fn is_cut(&self, utc: UtcMillis) -> bool {
        let now_s = seconds_of(utc);
        self.rehearsed_s.is_some_and(|(from, until)| (from..until).contains(&now_s)) || self.cuts.at(now_s).is_some()
    }

    /// Hundredths of a hertz, the same for every light of the city.
    pub fn frequency_chz(&self, utc: UtcMillis) -> u16 {
        let wander = noise::curve(noise::hash(self.seed, 2), seconds_of(utc) / FREQUENCY_S);
        (5_000.0 + FREQUENCY_CHZ * wander).round() as u16
    }

    fn evening_sag_v(&self, utc: UtcMillis) -> f64 {
        let away_h = (self.climate.solar_hour(utc) - EVENING_HOUR).abs();
        EVENING_SAG_V * (1.0 - away_h / 4.0).max(0.0)
    }
}

/// The cable of some streets. Lights tell it what they draw.
#[derive(Debug)]
pub struct Feeder {
    seed: u64,
    brownouts: Incidents,
    outages: Incidents,
    /// With all of its lights on.
    rated_dw: i64,
    drawn_dw: AtomicI64,
}

impl Feeder {
    pub fn new(seed: u64, rated_w: f64, grid: &Grid) -> Self {
        Self {
            seed,
            brownouts: Incidents::new(noise::hash(seed, 1), grid.faults.brownouts, BROWNOUT_S),
            outages: Incidents::new(noise::hash(seed, 2), grid.faults.outages, OUTAGE_S),
            rated_dw: (rated_w * 10.0).max(1.0) as i64,
            drawn_dw: AtomicI64::new(0),
        }
    }

    /// One of its lights draws something else than before.
    pub fn draws(&self, before_dw: u32, now_dw: u32) {
        self.drawn_dw.fetch_add(i64::from(now_dw) - i64::from(before_dw), Relaxed);
    }

    /// The share of its full load that is drawn now.
    pub fn load(&self) -> f64 {
        (self.drawn_dw.load(Relaxed).max(0) as f64 / self.rated_dw as f64).min(1.5)
    }

    /// The voltage where the feeder begins.
    pub fn source_v(&self, grid: &Grid, utc: UtcMillis) -> f64 {
        let now_s = seconds_of(utc);
        if grid.is_cut(utc) || self.outages.at(now_s).is_some() {
            return 0.0;
        }
        let wander = WANDER_V * noise::curve(self.seed, now_s / WANDER_S);
        let volts = NOMINAL_V + 3.0 + wander - grid.evening_sag_v(utc);
        let (least, most) = BROWNOUT_SHARE;
        let lost = self.brownouts.at(now_s).map_or(0.0, |b| least + (most - least) * b.strength);
        volts * (1.0 - lost)
    }

    /// The voltage at a light: `place` is 0 where the feeder begins, 1 where it ends.
    pub fn volts(&self, grid: &Grid, utc: UtcMillis, place: f64) -> f64 {
        let source_v = self.source_v(grid, utc);
        if source_v <= 0.0 { 0.0 } else { source_v - drop_v(self.load(), place) }
    }
}

/// What is lost up to a place, with the lights evenly along the cable.
pub fn drop_v(load: f64, place: f64) -> f64 {
    FULL_LOAD_DROP_V * load * place * (2.0 - place)
}

fn seconds_of(utc: UtcMillis) -> f64 {
    utc.0 as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: UtcMillis = UtcMillis::from_seconds(1_765_929_600);

    fn grid(faults: MainsFaults) -> Grid {
        Grid::new(1, Climate::at(1, 28.6, 77.2), faults)
    }

    fn day() -> impl Iterator<Item = UtcMillis> {
        (0..2_880).map(|n| MIDNIGHT.plus_seconds(n * 30))
    }

    #[test]
    fn the_more_is_drawn_the_lower_the_voltage_and_most_at_the_end() {
        let grid = grid(MainsFaults::default());
        let feeder = Feeder::new(7, 1_000.0, &grid);
        let idle = feeder.volts(&grid, MIDNIGHT, 1.0);
        feeder.draws(0, 10_000);
        let [near, middle, far] = [0.0, 0.5, 1.0].map(|place| feeder.volts(&grid, MIDNIGHT, place));
        assert!((idle - far - FULL_LOAD_DROP_V).abs() < 1e-9 && (idle - near).abs() < 1e-9);
        assert!(near > middle && middle > far);
        feeder.draws(10_000, 5_000);
        assert!((feeder.load() - 0.5).abs() < 1e-9 && feeder.volts(&grid, MIDNIGHT, 1.0) > far);
    }

    #[test]
    fn a_calm_day_stays_within_the_norm_and_sags_in_the_evening() {
        let grid = grid(MainsFaults::default());
        let feeder = Feeder::new(7, 1_000.0, &grid);
        feeder.draws(0, 10_000);
        let volts: Vec<f64> = day().map(|t| feeder.volts(&grid, t, 1.0)).collect();
        assert!(volts.iter().all(|v| (210.0..240.0).contains(v)), "{volts:?}");
        let mean_at = |hour: f64| {
            let near: Vec<f64> = day()
                .zip(&volts)
                .filter(|(t, _)| (grid.climate.solar_hour(*t) - hour).abs() < 1.0)
                .map(|(_, v)| *v)
                .collect();
            near.iter().sum::<f64>() / near.len() as f64
        };
        assert!(mean_at(19.5) < mean_at(12.0) - 1.0);
        assert!(day().all(|t| (4_990..=5_010).contains(&grid.frequency_chz(t))));
    }

    #[test]
    fn brownouts_and_outages_are_of_one_feeder_and_a_cut_is_of_all() {
        let faults = MainsFaults { brownouts: 6.0, outages: 3.0, cuts: 0.0 };
        let rough = grid(faults);
        let (a, b) = (Feeder::new(7, 1_000.0, &rough), Feeder::new(8, 1_000.0, &rough));
        let dark = |f: &Feeder, t| f.volts(&rough, t, 0.5) < DEAD_V;
        let brown = |f: &Feeder, t| (DEAD_V..205.0).contains(&f.volts(&rough, t, 0.5));
        for f in [&a, &b] {
            assert!(
                day().any(|t| dark(f, t)) && day().any(|t| brown(f, t)) && day().any(|t| !dark(f, t) && !brown(f, t))
            );
        }
        assert!(day().any(|t| dark(&a, t) != dark(&b, t)));

        let cut = grid(MainsFaults::default()).with_cut(MIDNIGHT.plus_seconds(600), 300);
        for (seconds, is_cut) in [(599, false), (600, true), (899, true), (900, false)] {
            let at = MIDNIGHT.plus_seconds(seconds);
            assert_eq!(cut.is_cut(at), is_cut);
            assert!([&a, &b].iter().all(|f| (f.volts(&cut, at, 0.5) < DEAD_V) >= is_cut));
        }
    }
}
