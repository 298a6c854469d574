//! The physics of one lamp: mains voltage, power against brightness, warm-up, battery, signal, and a meter whose counter is
//! exactly the power it reported, integrated over time.
use ccms_core::reading::PowerState;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_device::chance::Chance;
use ccms_device::{Lamp, Sensors};

use crate::sickness::Sickness;

/// Rated powers found in a street, in tenths of a watt.
const WATTAGES_DW: [u32; 5] = [400, 600, 600, 900, 1_500];
/// What the controller itself draws.
const STANDBY_DW: u32 = 8;
/// The housing follows its load with this time constant.
const WARM_UP_S: f64 = 900.0;
/// Above the air at full load.
const RISE_C: f64 = 24.0;
const MICROJOULES_PER_WH: u64 = 3_600_000_000;

#[derive(Debug, Clone)]
pub struct SimLamp {
    chance: Chance,
    lamp: Option<Lamp>,
    rated_dw: u32,
    voltage_bias: f64,
    signal_percent: f64,
    battery_percent: u8,
    air_c: f64,
    rise_c: f64,
    sickness: Option<Sickness>,
    power_dw: u32,
    meter_uj: u64,
    measured_at_ms: Option<u64>,
    utc_offset_minutes: i32,
}

impl SimLamp {
    /// A lamp at a place; `faults` lets a few be sick. `meter_uj` is what its meter counted before, if it was seen before.
    pub fn new(seed: u64, latitude: f64, longitude: f64, faults: bool, meter_uj: Option<u64>) -> Self {
        let mut chance = Chance::new(seed);
        let sickness = Sickness::draw(&mut chance).filter(|_| faults);
        // Coverage varies by place, in patches of a few hundred metres.
        let patch = (latitude * 240.0).sin() + (longitude * 190.0).cos() + (latitude * 610.0 + longitude * 430.0).sin();
        let rated_dw = WATTAGES_DW[chance.below(WATTAGES_DW.len() as u64) as usize];
        let history_wh = 200_000 + chance.below(1_800_000);
        Self {
            rated_dw,
            voltage_bias: chance.unit() * 6.0 - 3.0,
            signal_percent: 72.0 + patch * 7.0 + chance.unit() * 6.0,
            battery_percent: match sickness {
                Some(Sickness::LowBattery) => 6 + chance.below(12) as u8,
                _ => 88 + chance.below(13) as u8,
            },
            air_c: if latitude.abs() > 50.0 { 7.0 } else { 24.0 },
            rise_c: 0.0,
            lamp: None,
            sickness,
            power_dw: 0,
            meter_uj: meter_uj.unwrap_or(history_wh * MICROJOULES_PER_WH),
            measured_at_ms: None,
            utc_offset_minutes: (longitude * 4.0) as i32,
            chance,
        }
    }

    pub fn sickness(&self) -> Option<Sickness> {
        self.sickness
    }

    pub fn meter_uj(&self) -> u64 {
        self.meter_uj
    }

    pub fn actuate(&mut self, steady_ms: u64, lamp: Lamp) {
        self.count(steady_ms);
        self.lamp = Some(lamp);
        self.power_dw = self.drawn_dw();
    }

    /// Reads all sensors; the power read now is what the meter counts until the next reading.
    pub fn measure(&mut self, steady_ms: u64, utc: UtcMillis) -> Sensors {
        self.count(steady_ms);
        self.power_dw = self.drawn_dw();
        let hour = f64::from(TimeOfDay::at(utc, self.utc_offset_minutes).seconds()) / 3600.0;
        // The mains sag a little in the evening.
        let voltage = 230.0 + self.voltage_bias - 2.0 * ((hour - 19.5) / 3.0).powi(2).min(4.0).mul_add(-0.25, 1.0)
            + self.chance.unit() * 2.0
            - 1.0;
        let air_c = self.air_c + 5.0 * ((hour - 15.0) / 24.0 * std::f64::consts::TAU).cos();
        let temperature_c = match self.sickness {
            Some(Sickness::Overheating) => 68.0 + self.chance.unit() * 2.0,
            _ => air_c + self.rise_c + self.chance.unit() * 0.4,
        };
        let signal = match self.sickness {
            Some(Sickness::PoorSignal) => 3.0 + self.chance.unit() * 5.0,
            _ => (self.signal_percent + self.chance.unit() * 4.0 - 2.0).clamp(15.0, 100.0),
        };
        let (error_flags, critical) = self.errors();
        Sensors {
            temperature_dc: (temperature_c * 10.0).round() as i16,
            battery_percent: self.battery_percent,
            signal_percent: signal.round() as u8,
            voltage_dv: (voltage * 10.0).round() as u16,
            current_ma: (f64::from(self.power_dw) * 100.0 / voltage).round() as u32,
            power_dw: self.power_dw,
            frequency_chz: 4_997 + self.chance.below(7) as u16,
            energy_wh: (self.meter_uj / MICROJOULES_PER_WH) as i64,
            error_flags,
            critical,
        }
    }

    fn errors(&self) -> (Vec<String>, bool) {
        match self.sickness {
            Some(Sickness::LampFailure) => (vec!["lamp_failure".into()], false),
            Some(Sickness::ControllerFault) => (vec!["relay_fault".into(), "controller_fault".into()], true),
            Some(Sickness::Overheating) => (vec!["overheating".into()], false),
            Some(Sickness::PoorSignal | Sickness::LowBattery | Sickness::Silent { .. }) | None => (Vec::new(), false),
        }
    }

    fn load(&self) -> f64 {
        match self.lamp {
            Some(Lamp { power: PowerState::On, brightness_percent })
                if self.sickness != Some(Sickness::LampFailure) =>
            {
                f64::from(brightness_percent) / 100.0
            }
            _ => 0.0,
        }
    }

    fn drawn_dw(&mut self) -> u32 {
        let load = self.load();
        // Drivers lose a little at every level, and no two readings are quite the same.
        let noise = 0.99 + self.chance.unit() * 0.02;
        let lamp_dw = if load > 0.0 { f64::from(self.rated_dw) * (0.04 + 0.96 * load) * noise } else { 0.0 };
        lamp_dw.round() as u32 + STANDBY_DW
    }

    fn count(&mut self, steady_ms: u64) {
        let before_ms = self.measured_at_ms.replace(steady_ms).unwrap_or(steady_ms);
        let passed_ms = steady_ms.saturating_sub(before_ms);
        // A tenth of a watt for a millisecond is 100 microjoules.
        self.meter_uj += u64::from(self.power_dw) * passed_ms * 100;
        let goal_c = RISE_C * self.load();
        self.rise_c += (goal_c - self.rise_c) * (1.0 - (-(passed_ms as f64) / 1000.0 / WARM_UP_S).exp());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT: UtcMillis = UtcMillis::from_seconds(1_765_920_000);

    #[test]
    fn the_meter_counts_exactly_the_power_that_was_reported() {
        let mut lamp = SimLamp::new(5, 60.17, 24.95, false, Some(0));
        lamp.actuate(0, Lamp { power: PowerState::On, brightness_percent: 100 });
        let (mut expected_uj, mut last) = (0, lamp.measure(0, NIGHT));
        for step in 1..=1000 {
            expected_uj += u64::from(last.power_dw) * 30_000 * 100;
            last = lamp.measure(step * 30_000, NIGHT.plus_seconds(step as i64 * 30));
            assert_eq!(lamp.meter_uj(), expected_uj);
            assert_eq!(last.energy_wh as u64, expected_uj / MICROJOULES_PER_WH);
        }
    }

    #[test]
    fn a_lamp_warms_up_draws_less_when_dimmed_and_almost_nothing_when_off() {
        let mut lamp = SimLamp::new(5, 60.17, 24.95, false, None);
        lamp.actuate(0, Lamp { power: PowerState::On, brightness_percent: 100 });
        let cold = lamp.measure(1, NIGHT);
        let warm = lamp.measure(3_600_000, NIGHT);
        assert!(warm.temperature_dc > cold.temperature_dc + 150);
        assert!((2_200..2_400).contains(&warm.voltage_dv));
        lamp.actuate(3_600_000, Lamp { power: PowerState::On, brightness_percent: 30 });
        let dim = lamp.measure(3_600_000, NIGHT);
        assert!(dim.power_dw < warm.power_dw / 2);
        lamp.actuate(3_600_000, Lamp { power: PowerState::Off, brightness_percent: 0 });
        assert_eq!(lamp.measure(3_600_000, NIGHT).power_dw, STANDBY_DW);
    }

    #[test]
    fn about_one_lamp_in_25_is_sick() {
        let sick = (0..5000).filter(|i| SimLamp::new(*i, 28.6, 77.2, true, None).sickness().is_some()).count();
        assert!((140..260).contains(&sick), "{sick}");
        assert!((0..5000).all(|i| SimLamp::new(i, 28.6, 77.2, false, None).sickness().is_none()));
    }
}
