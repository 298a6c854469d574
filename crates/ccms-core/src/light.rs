//! The facts about a light that decide how it is shown, and the one rule that turns them into an indicator colour.
//! Server and browser call the same function, so they cannot disagree.
use crate::limits;
use crate::reading::PowerState;
use crate::time::UtcMillis;

/// The document's dashboard indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Indicator {
    /// Online, all metrics normal.
    Green,
    /// Offline, low battery or poor signal.
    Yellow,
    /// Critical error, manual intervention needed.
    Red,
    /// Unconfigured or never seen.
    Gray,
}

impl Indicator {
    pub const ALL: [Self; 4] = [Self::Green, Self::Yellow, Self::Red, Self::Gray];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
            Self::Gray => "gray",
        }
    }
}

/// Why a light is not green, in the order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    DeviceError,
    Overheating,
    Offline,
    BatteryLow,
    SignalPoor,
    NeverSeen,
}

/// What is known about a light at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LightFacts {
    /// The last contact of its device, of any authenticated kind; `None` if there never was one.
    pub last_contact: Option<UtcMillis>,
    /// The status interval the server last promised the device, in seconds.
    pub promised_interval_s: u32,
    pub power_state: Option<PowerState>,
    pub battery_percent: Option<u8>,
    pub signal_percent: Option<u8>,
    /// Tenths of a degree Celsius.
    pub temperature_dc: Option<i16>,
    pub has_error_flags: bool,
}

impl LightFacts {
    /// Seconds of silence after which the device counts as offline.
    pub fn offline_after_s(&self) -> u32 {
        limits::OFFLINE_AFTER_S.max(limits::OFFLINE_AFTER_INTERVALS * self.promised_interval_s)
    }

    pub fn is_online(&self, now: UtcMillis) -> bool {
        self.last_contact.is_some_and(|at| now.since(at) <= i64::from(self.offline_after_s()) * 1000)
    }

    /// The weightiest cause, if the light is not in order.
    pub fn cause(&self, now: UtcMillis) -> Option<Cause> {
        if self.last_contact.is_none() {
            Some(Cause::NeverSeen)
        } else if self.has_error_flags {
            Some(Cause::DeviceError)
        } else if self.temperature_dc.is_some_and(|t| f64::from(t) / 10.0 > limits::TEMPERATURE_CRITICAL_C) {
            Some(Cause::Overheating)
        } else if !self.is_online(now) {
            Some(Cause::Offline)
        } else if self.battery_percent.is_some_and(|b| b < limits::BATTERY_LOW_PERCENT) {
            Some(Cause::BatteryLow)
        } else if self.signal_percent.is_some_and(|s| s < limits::SIGNAL_POOR_PERCENT) {
            Some(Cause::SignalPoor)
        } else {
            None
        }
    }

    pub fn indicator(&self, now: UtcMillis) -> Indicator {
        match self.cause(now) {
            None => Indicator::Green,
            Some(Cause::NeverSeen) => Indicator::Gray,
            Some(Cause::DeviceError | Cause::Overheating) => Indicator::Red,
            Some(Cause::Offline | Cause::BatteryLow | Cause::SignalPoor) => Indicator::Yellow,
        }
    }
}

/// The distance to the next status that the server promises, from what the device last said.
pub fn next_status_s(temperature_dc: Option<i16>, battery_percent: Option<u8>) -> u32 {
    if battery_percent.is_some_and(|b| b < limits::BATTERY_LOW_PERCENT) {
        limits::STATUS_INTERVAL_LOW_BATTERY_S
    } else if temperature_dc.is_some_and(|t| f64::from(t) / 10.0 > limits::TEMPERATURE_HOT_C) {
        limits::STATUS_INTERVAL_HOT_S
    } else {
        limits::STATUS_INTERVAL_S
    }
}

/// The distance to the next poll that the server promises.
pub fn next_poll_s(urgent_command_alive: bool, battery_percent: Option<u8>) -> u32 {
    if urgent_command_alive {
        limits::POLL_INTERVAL_URGENT_S
    } else if battery_percent.is_some_and(|b| b < limits::BATTERY_LOW_PERCENT) {
        limits::POLL_INTERVAL_LOW_BATTERY_S
    } else {
        limits::POLL_INTERVAL_S
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = UtcMillis::from_seconds(1_000_000);

    fn healthy() -> LightFacts {
        LightFacts {
            last_contact: Some(NOW),
            promised_interval_s: 30,
            power_state: Some(PowerState::On),
            battery_percent: Some(95),
            signal_percent: Some(82),
            temperature_dc: Some(425),
            has_error_flags: false,
        }
    }

    #[test]
    fn the_documents_table_of_indicators() {
        let rows = [
            (healthy(), Indicator::Green),
            (LightFacts { last_contact: None, ..healthy() }, Indicator::Gray),
            (LightFacts { has_error_flags: true, ..healthy() }, Indicator::Red),
            (LightFacts { temperature_dc: Some(651), ..healthy() }, Indicator::Red),
            (LightFacts { temperature_dc: Some(650), ..healthy() }, Indicator::Green),
            (LightFacts { battery_percent: Some(19), ..healthy() }, Indicator::Yellow),
            (LightFacts { battery_percent: Some(20), ..healthy() }, Indicator::Green),
            (LightFacts { signal_percent: Some(9), ..healthy() }, Indicator::Yellow),
            (LightFacts { signal_percent: Some(10), ..healthy() }, Indicator::Green),
            (LightFacts { last_contact: Some(NOW.plus_seconds(-120)), ..healthy() }, Indicator::Green),
            (LightFacts { last_contact: Some(NOW.plus_seconds(-121)), ..healthy() }, Indicator::Yellow),
        ];
        for (facts, indicator) in rows {
            assert_eq!(facts.indicator(NOW), indicator, "{facts:?}");
        }
    }

    #[test]
    fn a_promised_minute_allows_four_minutes_of_silence() {
        let facts = LightFacts { promised_interval_s: 60, last_contact: Some(NOW.plus_seconds(-240)), ..healthy() };
        assert!(facts.is_online(NOW));
        assert!(!facts.is_online(NOW.plus_seconds(1)));
    }

    #[test]
    fn pace_follows_heat_and_battery() {
        assert_eq!(next_status_s(Some(601), Some(90)), 10);
        assert_eq!(next_status_s(Some(600), Some(90)), 30);
        assert_eq!(next_status_s(Some(601), Some(19)), 60);
        assert_eq!((next_poll_s(true, Some(5)), next_poll_s(false, Some(5)), next_poll_s(false, None)), (2, 60, 10));
    }
}
