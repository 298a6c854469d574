//! When a lamp burns when nobody says otherwise: from sunset to sunrise, across midnight. A lamp whose controller does not
//! know the time burns: a light that is on by mistake costs cents, one that is off by mistake can cost a life.
use serde::{Deserialize, Serialize};

use crate::reading::PowerState;
use crate::time::TimeOfDay;

/// A night, in local times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub enabled: bool,
    pub sunrise_time: TimeOfDay,
    pub sunset_time: TimeOfDay,
}

impl Schedule {
    /// What the lamp should do. `local` is `None` while the clock is unknown.
    pub fn wants(&self, local: Option<TimeOfDay>) -> PowerState {
        let Some(now) = local else { return PowerState::On };
        if !self.enabled {
            return PowerState::On;
        }
        let (rise, set) = (self.sunrise_time, self.sunset_time);
        let night = if rise <= set { now >= set || now < rise } else { now >= set && now < rise };
        if night { PowerState::On } else { PowerState::Off }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> TimeOfDay {
        TimeOfDay::parse(text).unwrap()
    }

    #[test]
    fn burns_from_sunset_to_sunrise_across_midnight() {
        let s = Schedule { enabled: true, sunrise_time: at("06:00:00"), sunset_time: at("18:30:00") };
        for (time, state) in [
            ("18:29:59", PowerState::Off),
            ("18:30:00", PowerState::On),
            ("23:59:59", PowerState::On),
            ("00:00:00", PowerState::On),
            ("05:59:59", PowerState::On),
            ("06:00:00", PowerState::Off),
            ("12:00:00", PowerState::Off),
        ] {
            assert_eq!(s.wants(Some(at(time))), state, "{time}");
        }
    }

    #[test]
    fn a_night_inside_one_day_works_too() {
        let s = Schedule { enabled: true, sunrise_time: at("03:00:00"), sunset_time: at("01:00:00") };
        assert_eq!(s.wants(Some(at("02:00:00"))), PowerState::On);
        assert_eq!(s.wants(Some(at("04:00:00"))), PowerState::Off);
        assert_eq!(s.wants(Some(at("00:30:00"))), PowerState::Off);
    }

    #[test]
    fn unknown_time_or_no_schedule_means_on() {
        let s = Schedule { enabled: true, sunrise_time: at("06:00:00"), sunset_time: at("18:30:00") };
        assert_eq!(s.wants(None), PowerState::On);
        assert_eq!(Schedule { enabled: false, ..s }.wants(Some(at("12:00:00"))), PowerState::On);
    }
}
