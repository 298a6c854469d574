//! One lamp on its pole: luminaire, relay, meter, case, battery and modem, put together of [`crate::physics`] and of what may
//! be wrong with it. Told the time and what the controller wants, it says what the sensors read.
//!
//! - `fitting` how a lamp is made: alone, or as one of a city
//! - `tests`   how every fault looks in the readings
mod fitting;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use ccms_core::limits::TEMPERATURE_CRITICAL_C;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_device::{Absent, Lamp, Sensors};

pub use fitting::Fitting;

use crate::physics::luminaire::Burning;
use crate::physics::mains::DEAD_V;
use crate::physics::radio::{SENSITIVITY_DBM, Spot, percent};
use crate::physics::{Battery, Feeder, Housing, Luminaire, Meter, Surroundings, noise};
use crate::sickness::{Ailment, LINK_GRACE_MS, Sickness};

/// A controller calls it a brown-out below this.
const UNDERVOLTAGE_V: f64 = 187.0;
/// A lamp that is fed and stays dark for longer has failed. Longer than an arc needs to cool and come again.
const DARK_MS: i64 = 120_000;
/// A lamp that burns at the start is taken to have burned for hours.
const BURNED_BEFORE_MS: i64 = 7_200_000;
/// Where an overheating case ends up while its lamp burns.
const OVERHEATED_C: f64 = 73.0;
/// What a broken antenna costs.
const ANTENNA_LOSS_DB: f64 = 32.0;
/// A flapping modem changes its mind at most this often, and is gone for this share of the time.
const FLAP_MS: u64 = 160_000;
const FLAP_SHARE: f64 = 0.45;
/// How wrong a drifting clock is when the simulation begins, and what it loses or gains in a day, both at most.
const CLOCK_WRONG_MS: f64 = 900_000.0;
const CLOCK_DRIFT_MS_PER_DAY: f64 = 240_000.0;

/// Noise of the sensors, each by a number of its own.
const OF_VOLTS: i64 = 1;
const OF_POWER: i64 = 2;
const OF_HEAT: i64 = 3;
const OF_CLOCK: i64 = 4;
const OF_FLAPS: i64 = 5;
const OF_CYCLES: i64 = 6;

#[derive(Debug)]
pub struct SimLamp {
    seed: u64,
    around: Arc<Surroundings>,
    feeder: Arc<Feeder>,
    /// 0 where the feeder begins, 1 where it ends.
    place: f32,
    spot: Spot,
    luminaire: Luminaire,
    sickness: Option<Sickness>,
    commanded: Option<Lamp>,
    lit_since_ms: Option<i64>,
    out_since_ms: Option<i64>,
    /// Fed and dark.
    dark_since_ms: Option<i64>,
    /// Was dark for too long, and has not burned since.
    failed: bool,
    housing: Housing,
    battery: Battery,
    meter: Meter,
    power_dw: u32,
    volts: f32,
    counted_at_ms: Option<u64>,
    /// When it was first looked at.
    found_ms: u64,
    /// What the clock on the wall was ahead of the steady one when both were last read.
    utc_ahead_ms: Option<i64>,
}

impl SimLamp {
    pub fn sickness(&self) -> Option<Sickness> {
        self.sickness
    }

    /// Everything its meter ever counted.
    pub fn meter_uj(&self) -> u64 {
        self.meter.counted_uj()
    }

    /// Whether the controller lives: it has mains, or its battery has something left.
    pub fn has_power(&self) -> bool {
        f64::from(self.volts) >= DEAD_V || !self.battery.is_empty()
    }

    /// Whether the modem reaches the network.
    pub fn is_connected(&self, steady_ms: u64) -> bool {
        if steady_ms < self.found_ms + LINK_GRACE_MS {
            return true;
        }
        let flaps = || noise::unit(noise::hash(self.seed, OF_FLAPS), (steady_ms / FLAP_MS) as i64) < FLAP_SHARE;
        match self.ailment(steady_ms) {
            Some(Ailment::SilentModem) => false,
            Some(Ailment::FlappingModem) if flaps() => false,
            _ => self.dbm(steady_ms) >= SENSITIVITY_DBM,
        }
    }

    /// How wrong the controller's own clock is.
    pub fn clock_error_ms(&self, steady_ms: u64) -> i64 {
        if self.ailment(steady_ms) != Some(Ailment::DriftingClock) {
            return 0;
        }
        let seed = noise::hash(self.seed, OF_CLOCK);
        let both_ways = |n: i64| noise::unit(seed, n) * 2.0 - 1.0;
        let days = steady_ms as f64 / 86_400_000.0;
        (both_ways(0) * CLOCK_WRONG_MS + both_ways(1) * CLOCK_DRIFT_MS_PER_DAY * days) as i64
    }

    pub fn actuate(&mut self, steady_ms: u64, lamp: Lamp) {
        self.count(steady_ms);
        let at_the_start = self.commanded.replace(lamp).is_none();
        if at_the_start && self.fed_level(steady_ms).is_some() {
            self.lit_since_ms = Some(steady_ms as i64 - BURNED_BEFORE_MS);
        }
        // Before the first reading the time is unknown; that reading makes up for it.
        if self.utc_ahead_ms.is_some() {
            self.settle(steady_ms);
            if at_the_start {
                self.housing = Housing::settled(self.rise_goal_c(steady_ms));
            }
        }
    }

    /// Reads all sensors; the power read now is what the meter counts until the next reading.
    pub fn measure(&mut self, steady_ms: u64, utc: UtcMillis) -> Sensors {
        let first = self.utc_ahead_ms.replace(utc.0 - steady_ms as i64).is_none();
        self.count(steady_ms);
        self.settle(steady_ms);
        if first {
            self.housing = Housing::settled(self.rise_goal_c(steady_ms));
        }
        let noise_of = |what: i64| noise::unit(noise::hash(self.seed, what), utc.0 / 1000) * 2.0 - 1.0;
        let volts = if self.has_mains() { f64::from(self.volts) + 0.25 * noise_of(OF_VOLTS) } else { 0.0 };
        let temperature_c = self.around.climate.air_c(utc) + self.housing.rise_c() + 0.1 * noise_of(OF_HEAT);
        let (error_flags, critical) = self.errors(steady_ms, temperature_c);
        Sensors {
            temperature_dc: (temperature_c * 10.0).round() as i16,
            battery_percent: self.battery.percent(),
            signal_percent: percent(self.dbm(steady_ms)),
            voltage_dv: (volts * 10.0).round() as u16,
            current_ma: self.current_ma(steady_ms, volts),
            power_dw: self.power_dw,
            frequency_chz: if self.has_mains() { self.around.grid.frequency_chz(utc) } else { 0 },
            energy_wh: self.meter.shown_wh(),
            error_flags,
            critical,
            absent: Absent::default(),
        }
    }

    fn errors(&self, steady_ms: u64, temperature_c: f64) -> (Vec<String>, bool) {
        let ailment = self.ailment(steady_ms);
        let critical = ailment == Some(Ailment::ControllerFault);
        let flags = [
            (self.failed, "lamp_failure"),
            (ailment == Some(Ailment::StuckRelay), "relay_fault"),
            (critical, "controller_fault"),
            (temperature_c > TEMPERATURE_CRITICAL_C, "overheating"),
            (!self.has_mains(), "mains_failure"),
            (self.has_mains() && f64::from(self.volts) < UNDERVOLTAGE_V, "undervoltage"),
        ];
        (flags.into_iter().filter(|(is, _)| *is).map(|(_, name)| name.to_owned()).collect(), critical)
    }

    fn ailment(&self, steady_ms: u64) -> Option<Ailment> {
        self.sickness.filter(|s| s.from_ms <= steady_ms).map(|s| s.ailment)
    }

    fn utc(&self, steady_ms: u64) -> UtcMillis {
        UtcMillis(steady_ms as i64 + self.utc_ahead_ms.unwrap_or_default())
    }

    fn has_mains(&self) -> bool {
        f64::from(self.volts) >= DEAD_V
    }

    fn dbm(&self, steady_ms: u64) -> f64 {
        let heard = self.around.radio.dbm(&self.spot, self.seed, self.utc(steady_ms));
        match self.ailment(steady_ms) {
            // Barely enough: it is poor, not gone.
            Some(Ailment::PoorAntenna) => (heard - ANTENNA_LOSS_DB).clamp(SENSITIVITY_DBM, SENSITIVITY_DBM + 2.0),
            _ => heard,
        }
    }

    /// The level at which the lamp is fed; none when its circuit is open.
    fn fed_level(&self, steady_ms: u64) -> Option<f64> {
        let wanted = match self.commanded {
            Some(Lamp { power: PowerState::On, brightness_percent }) => Some(f64::from(brightness_percent) / 100.0),
            _ => None,
        };
        match self.ailment(steady_ms) {
            Some(Ailment::DayBurner) => Some(1.0),
            Some(Ailment::StuckRelay) => Some(wanted.unwrap_or(1.0)),
            _ => wanted,
        }
    }

    /// Whether its own state keeps a fed lamp dark.
    fn is_broken(&self, steady_ms: u64) -> bool {
        match self.ailment(steady_ms) {
            Some(Ailment::DeadLamp) => true,
            Some(Ailment::CyclingLamp) => {
                // Lit for eight to twelve minutes, out for four to six.
                let of = |n| noise::unit(noise::hash(self.seed, OF_CYCLES), n);
                let (lit_ms, out_ms) = (480_000 + (of(0) * 240_000.0) as u64, 240_000 + (of(1) * 120_000.0) as u64);
                (steady_ms + (of(2) * 900_000.0) as u64) % (lit_ms + out_ms) >= lit_ms
            }
            _ => false,
        }
    }

    /// Brings voltage, arc and power to this moment.
    fn settle(&mut self, steady_ms: u64) {
        let (now_ms, utc) = (steady_ms as i64, self.utc(steady_ms));
        self.volts = self.feeder.volts(&self.around.grid, utc, f64::from(self.place)) as f32;
        let (volts, burned_h) = (f64::from(self.volts), self.luminaire.burned_h(utc));
        let fed = self.fed_level(steady_ms);
        if fed.is_none() || self.is_broken(steady_ms) || !self.luminaire.holds(volts, burned_h) {
            if self.lit_since_ms.take().is_some() {
                self.out_since_ms = Some(now_ms);
            }
        } else if self.lit_since_ms.is_none() && self.luminaire.strikes(volts) && self.has_cooled(now_ms) {
            self.lit_since_ms = Some(now_ms);
        }
        self.notice_dark(now_ms);
        let power_dw = match (fed, self.lit_since_ms) {
            (Some(level), Some(since)) => self.drawn_dw(level, (now_ms - since) as f64 / 1000.0, utc),
            _ => 0,
        };
        self.feeder.draws(self.power_dw, power_dw);
        self.power_dw = power_dw;
    }

    fn has_cooled(&self, now_ms: i64) -> bool {
        self.out_since_ms.is_none_or(|out| (now_ms - out) as f64 >= self.luminaire.restrike_s() * 1000.0)
    }

    /// A controller knows a failed lamp by the current that does not flow. It remembers until the lamp burns again.
    fn notice_dark(&mut self, now_ms: i64) {
        let wanted = self.commanded.is_some_and(|lamp| lamp.power == PowerState::On);
        if self.lit_since_ms.is_some() {
            (self.dark_since_ms, self.failed) = (None, false);
        } else if wanted && f64::from(self.volts) >= UNDERVOLTAGE_V {
            let since = *self.dark_since_ms.get_or_insert(now_ms);
            self.failed |= now_ms - since >= DARK_MS;
        } else {
            self.dark_since_ms = None;
        }
    }

    fn drawn_dw(&self, level: f64, lit_s: f64, utc: UtcMillis) -> u32 {
        let burning = Burning { level, volts: f64::from(self.volts), lit_s, burned_h: self.luminaire.burned_h(utc) };
        let noise = noise::unit(noise::hash(self.seed, OF_POWER), utc.0 / 1000) * 2.0 - 1.0;
        (self.luminaire.power_w(burning) * (1.0 + 0.002 * noise) * 10.0).round() as u32
    }

    fn current_ma(&self, steady_ms: u64, volts: f64) -> u32 {
        let (Some(level), Some(since)) = (self.fed_level(steady_ms), self.lit_since_ms) else { return 0 };
        if volts < DEAD_V {
            return 0;
        }
        let lit_s = (steady_ms as i64 - since) as f64 / 1000.0;
        let factor = self.luminaire.power_factor(Burning { level, volts, lit_s, burned_h: 0.0 });
        (f64::from(self.power_dw) * 100.0 / (volts * factor)).round() as u32
    }

    fn rise_goal_c(&self, steady_ms: u64) -> f64 {
        let share = f64::from(self.power_dw) / 10.0 / f64::from(self.luminaire.rated_w);
        if self.ailment(steady_ms) == Some(Ailment::Overheating) && share > 0.0 {
            return OVERHEATED_C - self.around.climate.air_c(self.utc(steady_ms));
        }
        self.luminaire.rise_c(share)
    }

    /// Meter, case and battery over the time since the last look.
    fn count(&mut self, steady_ms: u64) {
        let before_ms = self.counted_at_ms.replace(steady_ms).unwrap_or_else(|| {
            self.found_ms = steady_ms;
            steady_ms
        });
        let passed_ms = steady_ms.saturating_sub(before_ms);
        let seconds = passed_ms as f64 / 1000.0;
        self.meter.count(self.power_dw, passed_ms);
        self.housing.step(seconds, self.rise_goal_c(steady_ms));
        self.battery.step(seconds, self.has_mains());
    }
}

impl Drop for SimLamp {
    /// A lamp that is taken away draws nothing.
    fn drop(&mut self) {
        self.feeder.draws(self.power_dw, 0);
    }
}
