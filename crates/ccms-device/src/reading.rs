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
}

impl Sensors {
    pub fn is_hot(&self) -> bool {
        f64::from(self.temperature_dc) / 10.0 > TEMPERATURE_HOT_C
    }

    pub fn battery_is_low(&self) -> bool {
        self.battery_percent < BATTERY_LOW_PERCENT
    }

    /// A difference that is worth a status at once.
    pub(crate) fn differs_notably(&self, other: &Self) -> bool {
        self.is_hot() != other.is_hot()
            || self.battery_is_low() != other.battery_is_low()
            || self.critical != other.critical
            || self.error_flags != other.error_flags
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
                temperature_celsius: f64::from(s.temperature_dc) / 10.0,
                battery_percentage: s.battery_percent,
                gsm_signal_strength: s.signal_percent,
                uptime_seconds: self.uptime_s,
                error_flags: s.error_flags.clone(),
            },
            energy: EnergyPart {
                voltage: f64::from(s.voltage_dv) / 10.0,
                current: f64::from(s.current_ma) / 1000.0,
                power_watts: f64::from(s.power_dw) / 10.0,
                frequency: f64::from(s.frequency_chz) / 100.0,
                cumulative_kwh: s.energy_wh as f64 / 1000.0,
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
