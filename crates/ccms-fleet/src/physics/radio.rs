//! The mobile network at a lamp: masts on a loose grid, houses in between, a field strength that fades by the minute, and
//! fronts (load of the cells, rain, a crane) that move over the map. With holes, a front can take the network away.
use ccms_core::time::UtcMillis;

use super::noise;

/// A modem hears nothing below.
pub const SENSITIVITY_DBM: f64 = -110.0;
/// Without holes coverage never gets worse than this.
const WORST_DBM: f64 = -100.0;
/// Masts stand about so far apart.
const MAST_CELL_M: f64 = 1_000.0;
/// At this distance from a mast, and how it falls with the distance.
const NEAR_DBM: f64 = -58.0;
const NEAR_M: f64 = 50.0;
const LOSS_DB_PER_DECADE: f64 = 28.0;
/// Houses.
const SHADOW_DB: f64 = 8.0;
const SHADOW_M: f64 = 70.0;
/// Cars, trees, wind.
const FADE_DB: f64 = 3.0;
const FADE_S: f64 = 240.0;
/// What moves over the map, and how fast.
const FRONT_DB: f64 = 6.0;
const FRONT_M: f64 = 700.0;
const FRONT_M_PER_S: f64 = 0.4;
/// The part of a front that is a hole, and how deep it is in the middle.
const HOLE_FROM: f64 = 0.62;
const HOLE_DB: f64 = 120.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Radio {
    seed: u64,
    /// How much of a hole's depth there is: 0 to 1.
    holes: f64,
}

/// What is always the same at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    x_m: f64,
    y_m: f64,
    fixed_dbm: f32,
}

impl Radio {
    pub const fn new(seed: u64, holes: f64) -> Self {
        Self { seed, holes }
    }

    /// The masts and houses around a place on the map, in metres.
    pub fn spot(&self, x_m: f64, y_m: f64) -> Spot {
        let (i, j) = ((x_m / MAST_CELL_M).floor() as i64, (y_m / MAST_CELL_M).floor() as i64);
        let around = (-1..=1).flat_map(|di| (-1..=1).map(move |dj| (i + di, j + dj)));
        let nearest_m = around.map(|cell| self.mast_m(cell, x_m, y_m)).fold(f64::MAX, f64::min);
        let heard_dbm = NEAR_DBM - LOSS_DB_PER_DECADE * (nearest_m.max(NEAR_M) / NEAR_M).log10();
        let shadow = noise::field(noise::hash(self.seed, 1), x_m / SHADOW_M, y_m / SHADOW_M);
        Spot { x_m, y_m, fixed_dbm: (heard_dbm + SHADOW_DB * shadow) as f32 }
    }

    fn mast_m(&self, (i, j): (i64, i64), x_m: f64, y_m: f64) -> f64 {
        let seed = noise::hash(noise::hash(self.seed, i), j);
        let x = (i as f64 + noise::unit(seed, 0)) * MAST_CELL_M;
        let y = (j as f64 + noise::unit(seed, 1)) * MAST_CELL_M;
        (x - x_m).hypot(y - y_m)
    }

    /// What a modem at this spot hears. `lamp_seed` makes neighbours fade each in its own time.
    pub fn dbm(&self, spot: &Spot, lamp_seed: u64, utc: UtcMillis) -> f64 {
        let now_s = utc.0 as f64 / 1000.0;
        let fade = FADE_DB * noise::curve(lamp_seed, now_s / FADE_S);
        let blown_m = now_s * FRONT_M_PER_S;
        let front = noise::field(noise::hash(self.seed, 2), (spot.x_m - blown_m) / FRONT_M, spot.y_m / FRONT_M);
        let dbm = f64::from(spot.fixed_dbm) + fade + FRONT_DB * front;
        if self.holes > 0.0 { dbm - self.holes * HOLE_DB * (-front - HOLE_FROM).max(0.0) } else { dbm.max(WORST_DBM) }
    }
}

/// As controllers report it: 0 % at -113 dBm, 100 % at -51 dBm, in whole decibels.
pub fn percent(dbm: f64) -> u8 {
    ((dbm.round() + 113.0) / 62.0 * 100.0).clamp(0.0, 100.0).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: UtcMillis = UtcMillis::from_seconds(1_765_929_600);

    fn spots(radio: &Radio) -> Vec<Spot> {
        (0..40)
            .flat_map(|i| (0..40).map(move |j| (f64::from(i) * 97.0, f64::from(j) * 97.0)))
            .map(|(x, y)| radio.spot(x, y))
            .collect()
    }

    #[test]
    fn most_places_are_heard_well_and_some_are_not() {
        let radio = Radio::new(3, 0.0);
        let mut heard: Vec<u8> = spots(&radio).iter().map(|s| percent(radio.dbm(s, 1, MIDNIGHT))).collect();
        heard.sort_unstable();
        let (low, middle, high) = (heard[80], heard[800], heard[1_520]);
        assert!(
            (20..45).contains(&low) && (40..65).contains(&middle) && (65..95).contains(&high),
            "{low} {middle} {high}"
        );
        assert!(radio.dbm(&spots(&radio)[0], 1, MIDNIGHT) >= WORST_DBM);
    }

    #[test]
    fn it_fades_with_time_and_neighbours_fade_each_in_its_own_time() {
        let radio = Radio::new(3, 0.0);
        let spot = radio.spot(10.0, 20.0);
        let hour = |lamp| (0..120).map(|n| radio.dbm(&spot, lamp, MIDNIGHT.plus_seconds(n * 30))).collect::<Vec<_>>();
        let (a, b) = (hour(1), hour(2));
        let spread =
            |h: &[f64]| h.iter().copied().fold(f64::MIN, f64::max) - h.iter().copied().fold(f64::MAX, f64::min);
        assert!((1.5..15.0).contains(&spread(&a)), "{}", spread(&a));
        assert_ne!(a, b);
        assert!(a.windows(2).all(|w| (w[0] - w[1]).abs() < 2.0), "no jumps within half a minute");
    }

    #[test]
    fn holes_open_and_move_over_the_map() {
        let radio = Radio::new(3, 1.0);
        let spots = spots(&radio);
        let deaf = |t: UtcMillis| -> Vec<usize> {
            (0..spots.len()).filter(|n| radio.dbm(&spots[*n], 1, t) < SENSITIVITY_DBM).collect()
        };
        let (first, later) = (deaf(MIDNIGHT), deaf(MIDNIGHT.plus_seconds(1_800)));
        for n in [first.len(), later.len()] {
            assert!((1..=200).contains(&n), "{n} of 1600 in a hole");
        }
        assert_ne!(first, later);
    }

    #[test]
    fn percent_is_what_the_document_means() {
        assert_eq!([-120.0, -113.0, -82.0, -51.0, -30.0].map(percent), [0, 0, 50, 100, 100]);
    }
}
