//! Sensors, samples, and the ring of samples that no 200 has covered yet. The ring drops its oldest when full; it never
//! touches the other stores.
use std::collections::VecDeque;

use ccms_core::limits::{BATTERY_LOW_PERCENT, READINGS_KEPT, TEMPERATURE_HOT_C};
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_core::wire::status::{EnergyPart, StatusPart, StatusRequest};
use serde::{Deserialize, Serialize};

use crate::lamp::Lamp;

/// What a shell measures. Fixed-point integers, as the server keeps them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sensors {
    /// Tenths of a degree Celsius.
    pub temperature_dc: i16,
    pub battery_percent: u8,
    pub signal_percent: u8,
    /// Tenths of a volt.
    pub voltage_dv: u16,
    pub current_ma: u32,
    /// Tenths of a watt.
    pub power_dw: u32,
    /// Hundredths of a hertz.
    pub frequency_chz: u16,
    /// The meter's counter, in watt-hours.
    pub energy_wh: i64,
    pub error_flags: Vec<String>,
    /// The controller itself is failing: state ERROR.
    pub critical: bool,
    /// What is not measured here: its number above means nothing, and it is left out of what is sent.
    #[serde(default, skip_serializing_if = "Absent::is_empty")]
    pub absent: Absent,
}

/// What a controller may measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    Temperature,
    Battery,
    Signal,
    Voltage,
    Current,
    Power,
    Frequency,
    Energy,
}

/// A set of quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Absent(u8);

impl Absent {
    pub const fn and(self, quantity: Quantity) -> Self {
        Self(self.0 | 1 << quantity as u8)
    }

    pub const fn has(self, quantity: Quantity) -> bool {
        self.0 & 1 << quantity as u8 != 0
    }

    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

impl Sensors {
    pub const fn measures(&self, quantity: Quantity) -> bool {
        !self.absent.has(quantity)
    }

    pub fn is_hot(&self) -> bool {
        self.measures(Quantity::Temperature) && f64::from(self.temperature_dc) / 10.0 > TEMPERATURE_HOT_C
    }

    pub fn battery_is_low(&self) -> bool {
        self.measures(Quantity::Battery) && self.battery_percent < BATTERY_LOW_PERCENT
    }

    /// A difference that is worth a status at once.
    pub(crate) fn differs_notably(&self, other: &Self) -> bool {
        self.is_hot() != other.is_hot()
            || self.battery_is_low() != other.battery_is_low()
            || self.critical != other.critical
            || self.error_flags != other.error_flags
            || self.absent != other.absent
    }
}

/// One reading of the sensors and the lamp.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub seq: u32,
    /// Whole seconds, as on the wire.
    pub at: UtcMillis,
    pub uptime_s: u32,
    pub lamp: Lamp,
    pub sensors: Sensors,
    /// Already in flash.
    #[serde(skip, default = "yes")]
    pub(crate) stored: bool,
    /// Dated by a clock that was not known yet; put right once it is.
    #[serde(skip)]
    pub(crate) undated: bool,
}

const fn yes() -> bool {
    true
}

impl Sample {
    /// The time and number under which the server files it.
    pub(crate) fn receipt(&self) -> (UtcMillis, u32) {
        (self.at, self.seq)
    }

    pub(crate) fn to_wire(&self, device_id: &str, light_id: &str) -> StatusRequest {
        let s = &self.sensors;
        StatusRequest {
            device_id: device_id.to_owned(),
            light_id: light_id.to_owned(),
            timestamp: self.at,
            seq: Some(self.seq),
            status: StatusPart {
                power_state: self.lamp.power,
                brightness: if self.lamp.power == PowerState::On { self.lamp.brightness_percent } else { 0 },
                temperature_celsius: s.measures(Quantity::Temperature).then_some(f64::from(s.temperature_dc) / 10.0),
                battery_percentage: s.measures(Quantity::Battery).then_some(s.battery_percent),
                gsm_signal_strength: s.measures(Quantity::Signal).then_some(s.signal_percent),
                uptime_seconds: self.uptime_s,
                error_flags: s.error_flags.clone(),
            },
            energy: EnergyPart {
                voltage: s.measures(Quantity::Voltage).then_some(f64::from(s.voltage_dv) / 10.0),
                current: s.measures(Quantity::Current).then_some(f64::from(s.current_ma) / 1000.0),
                power_watts: s.measures(Quantity::Power).then_some(f64::from(s.power_dw) / 10.0),
                frequency: s.measures(Quantity::Frequency).then_some(f64::from(s.frequency_chz) / 100.0),
                cumulative_kwh: s.measures(Quantity::Energy).then_some(s.energy_wh as f64 / 1000.0),
            },
        }
    }
}

/// At most [`READINGS_KEPT`] samples, oldest first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ring(VecDeque<Sample>);

impl Ring {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sample> {
        self.0.iter()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Sample> {
        self.0.get(index)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Sample> {
        self.0.iter_mut()
    }

    pub(crate) fn newest(&self) -> Option<&Sample> {
        self.0.back()
    }

    /// Adds the newest; of too many the oldest is given up, and returned.
    pub fn push(&mut self, sample: Sample) -> Option<Sample> {
        let oldest = if self.0.len() >= READINGS_KEPT { self.0.pop_front() } else { None };
        self.0.push_back(sample);
        oldest
    }

    /// Moves the samples with these numbers in time; they were dated by a clock that did not know it.
    pub fn shift(&mut self, seqs: &[u32], seconds: i64) {
        for sample in self.0.iter_mut().filter(|s| seqs.contains(&s.seq)) {
            sample.at = sample.at.plus_seconds(seconds);
        }
    }

    /// Removes the samples with these sequence numbers; true when one of them was in flash.
    pub fn remove(&mut self, seqs: &[u32]) -> bool {
        let mut was_stored = false;
        self.0.retain(|s| {
            let goes = seqs.contains(&s.seq);
            was_stored |= goes && s.stored;
            !goes
        });
        was_stored
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_measured_is_left_out_and_means_nothing() {
        let absent = Absent::default().and(Quantity::Temperature).and(Quantity::Energy);
        let sensors =
            Sensors { temperature_dc: 700, battery_percent: 90, voltage_dv: 2300, absent, ..Sensors::default() };
        assert!(!sensors.is_hot() && !sensors.battery_is_low() && sensors.measures(Quantity::Voltage));
        let none = Sensors { absent: absent.and(Quantity::Battery), battery_percent: 0, ..sensors.clone() };
        assert!(!none.battery_is_low() && none.differs_notably(&sensors));
        let lamp = Lamp { power: PowerState::On, brightness_percent: 80 };
        let at = UtcMillis::from_seconds(1_765_967_400);
        let sample = Sample { seq: 1, at, uptime_s: 5, lamp, sensors, stored: false, undated: false };
        let wire = serde_json::to_value(sample.to_wire("IMEI:351234567890123", "SL001")).unwrap();
        assert_eq!(wire["status"].get("temperature_celsius"), None);
        assert_eq!(wire["energy"].get("cumulative_kwh"), None);
        assert_eq!((&wire["energy"]["voltage"], &wire["status"]["battery_percentage"]), (&230.0.into(), &90.into()));
        // Flash of a firmware that measured everything.
        let old = r#"{"temperature_dc":1,"battery_percent":2,"signal_percent":3,"voltage_dv":4,"current_ma":5,"power_dw":6,
            "frequency_chz":7,"energy_wh":8,"error_flags":[],"critical":false}"#;
        assert!(serde_json::from_str::<Sensors>(old).unwrap().absent.is_empty());
    }
}
