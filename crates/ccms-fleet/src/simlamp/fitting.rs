//! How a lamp is made: what hangs on its pole, how old it is, and what is wrong with it.
use std::sync::Arc;

use ccms_core::time::UtcMillis;
use ccms_device::chance::Chance;

use super::SimLamp;
use crate::city::plane::on_earth_m;
use crate::physics::mains::{MainsFaults, NOMINAL_V};
use crate::physics::meter::END_WH;
use crate::physics::{Battery, Feeder, Housing, Light, Luminaire, Meter, Surroundings};
use crate::sickness::{Ailment, Rates, Sickness};

/// Rated powers of lamps that nobody knows more of.
const WATTAGES_W: [f32; 5] = [40.0, 60.0, 60.0, 90.0, 150.0];
/// The share of them that are not LEDs yet.
const DISCHARGE_SHARE: f64 = 0.25;
/// 2025-01-01T00:00:00Z. Lamps were installed in the years before.
const NEW_YEAR: UtcMillis = UtcMillis::from_seconds(1_735_689_600);
const INSTALLED_YEARS: f64 = 11.0;
const YEAR_S: f64 = 31_557_600.0;
/// What its meter had counted when the simulation first saw it.
const COUNTED_WH: (u64, u64) = (200_000, 2_000_000);
/// A meter that is about to roll over does so within about an hour.
const ROLLS_OVER_WITHIN_WH: u64 = 60;
const BACKUP_H: f64 = 12.0;
/// A worn battery also lasts only this long for its size.
const WORN_BACKUP_H: f64 = 1.5;
/// The weather and the masts of lamps that belong to no city.
const NOWHERE: u64 = 1;

/// One lamp of a city.
#[derive(Debug)]
pub struct Fitting {
    pub seed: u64,
    pub latitude: f64,
    pub longitude: f64,
    pub light: Light,
    pub rated_w: f32,
    pub feeder: Arc<Feeder>,
    /// 0 where the feeder begins, 1 where it ends.
    pub place: f32,
    /// What its meter had counted when it was last seen.
    pub meter_uj: Option<u64>,
}

impl SimLamp {
    /// A lamp that stands alone, on a cable of its own; with `faults` it may be sick as one lamp in 25 is.
    pub fn new(seed: u64, latitude: f64, longitude: f64, faults: bool, meter_uj: Option<u64>) -> Self {
        let rates = if faults { Rates::CALM } else { Rates::OFF };
        let around = Surroundings::new(NOWHERE, latitude, longitude, MainsFaults::default(), 0.0);
        let mut chance = Chance::new(seed ^ NOWHERE);
        let light = if chance.hits(DISCHARGE_SHARE) { Light::Discharge } else { Light::Led };
        let rated_w = WATTAGES_W[chance.below(WATTAGES_W.len() as u64) as usize];
        let feeder = Arc::new(Feeder::new(chance.next_u64(), f64::from(rated_w), &around.grid));
        let place = chance.unit() as f32;
        let fitting = Fitting { seed, latitude, longitude, light, rated_w, feeder, place, meter_uj };
        Self::fitted(Arc::new(around), fitting, &rates)
    }

    /// A lamp of a city.
    pub fn fitted(around: Arc<Surroundings>, fitting: Fitting, rates: &Rates) -> Self {
        let mut chance = Chance::new(fitting.seed);
        let sickness = Sickness::draw(rates, &mut chance);
        Self::with(around, fitting, sickness, &mut chance)
    }

    pub(super) fn with(
        around: Arc<Surroundings>,
        fitting: Fitting,
        sickness: Option<Sickness>,
        chance: &mut Chance,
    ) -> Self {
        let Fitting { seed, latitude, longitude, light, rated_w, feeder, place, meter_uj } = fitting;
        let is = |ailment| sickness.is_some_and(|s| s.ailment == ailment);
        let installed = NEW_YEAR.plus_seconds(-((chance.unit() * INSTALLED_YEARS * YEAR_S) as i64));
        let counted_wh = COUNTED_WH.0 + chance.below(COUNTED_WH.1 - COUNTED_WH.0);
        let almost_wh = END_WH - 2 - chance.below(ROLLS_OVER_WITHIN_WH);
        let new_meter = Meter::of_wh(if is(Ailment::MeterRollover) { almost_wh } else { counted_wh });
        let (health, worn) = (0.9 + 0.1 * chance.unit(), 0.05 + 0.13 * chance.unit());
        let (x_m, y_m) = on_earth_m(latitude, longitude);
        Self {
            seed,
            spot: around.radio.spot(x_m, y_m),
            around,
            feeder,
            place,
            luminaire: Luminaire { light, rated_w, installed },
            sickness,
            commanded: None,
            lit_since_ms: None,
            out_since_ms: None,
            dark_since_ms: None,
            failed: sickness == Some(Sickness::old(Ailment::DeadLamp)),
            housing: Housing::default(),
            battery: match is(Ailment::WornBattery) {
                true => Battery::full(WORN_BACKUP_H, worn),
                false => Battery::full(BACKUP_H, health),
            },
            meter: meter_uj.map_or(new_meter, Meter::of_uj),
            power_dw: 0,
            volts: NOMINAL_V as f32,
            counted_at_ms: None,
            found_ms: 0,
            utc_ahead_ms: None,
        }
    }
}
