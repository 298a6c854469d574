//! What the lamp should do now: an unexpired manual override, else the schedule, else burn.
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::{TimeOfDay, UtcMillis};
use serde::{Deserialize, Serialize};

use crate::clock::Uptime;
use crate::config::OVERRIDE_MAX_S;

/// Relay and dimmer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lamp {
    pub power: PowerState,
    /// 0 while the power is off.
    pub brightness_percent: u8,
}

/// When an override is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    Utc(UtcMillis),
    /// The time was unknown when it began. Not valid after a restart, since nobody can then say how long ago that was.
    #[serde(skip)]
    Uptime(Uptime),
}

impl Until {
    /// An override that cannot be shown to be alive is dead: unknown means ON.
    fn holds(self, at: Uptime, known: Option<UtcMillis>) -> bool {
        match self {
            Self::Utc(end) => known.is_some_and(|now| now < end),
            Self::Uptime(end) => at < end,
        }
    }
}

/// What an operator set by hand.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Manual {
    pub power: Option<(PowerState, Until)>,
    pub brightness: Option<(u8, Until)>,
}

impl Manual {
    pub(crate) fn power_now(&self, at: Uptime, known: Option<UtcMillis>) -> Option<PowerState> {
        self.power.filter(|(_, until)| until.holds(at, known)).map(|(power, _)| power)
    }

    pub(crate) fn brightness_now(&self, at: Uptime, known: Option<UtcMillis>) -> Option<u8> {
        self.brightness.filter(|(_, until)| until.holds(at, known)).map(|(percent, _)| percent)
    }

    /// What may be written to flash: nothing that is bound to this boot's uptime.
    pub(crate) fn durable(&self) -> Self {
        let lasting = |until: &Until| matches!(until, Until::Utc(_));
        Self {
            power: self.power.filter(|(_, until)| lasting(until)),
            brightness: self.brightness.filter(|(_, until)| lasting(until)),
        }
    }

    /// The next moment at which an override ends.
    pub(crate) fn next_end(&self, at: Uptime, known: Option<UtcMillis>) -> Option<Uptime> {
        let ends = [self.power.map(|(_, until)| until), self.brightness.map(|(_, until)| until)];
        let when = |until: Until| match (until, known) {
            (Until::Utc(end), Some(now)) => Some(at.plus_ms(end.since(now).max(0) as u64)),
            (Until::Utc(_), None) => None,
            (Until::Uptime(end), _) => Some(end),
        };
        ends.into_iter().flatten().filter(|until| until.holds(at, known)).filter_map(when).min()
    }
}

/// Milliseconds to the next sunrise or sunset; `None` when the schedule is off or has no edge.
pub fn next_edge_ms(schedule: &Schedule, now: UtcMillis, utc_offset_minutes: i32) -> Option<i64> {
    if !schedule.enabled || schedule.sunrise_time == schedule.sunset_time {
        return None;
    }
    let local_s = i64::from(TimeOfDay::at(now, utc_offset_minutes).seconds());
    let day_s = i64::from(TimeOfDay::DAY_SECONDS);
    let ahead_s = |edge: TimeOfDay| match (i64::from(edge.seconds()) - local_s).rem_euclid(day_s) {
        0 => day_s,
        s => s,
    };
    let s = ahead_s(schedule.sunrise_time).min(ahead_s(schedule.sunset_time));
    Some(s * 1000 - now.0.rem_euclid(1000))
}

/// When an override that begins now ends: after `revert_after_s` where the order says so, else at the next edge of the
/// schedule, and never later than a day from now.
pub fn override_end(
    at: Uptime,
    known: Option<UtcMillis>,
    schedule: Option<&Schedule>,
    utc_offset_minutes: i32,
    revert_after_s: Option<i64>,
) -> Until {
    let day_ms = OVERRIDE_MAX_S * 1000;
    let asked_ms = revert_after_s.map(|s| s.saturating_mul(1000).clamp(0, day_ms));
    match known {
        None => Until::Uptime(at.plus_ms(asked_ms.unwrap_or(day_ms) as u64)),
        Some(now) => {
            let edge_ms = || schedule.and_then(|s| next_edge_ms(s, now, utc_offset_minutes));
            Until::Utc(UtcMillis(now.0 + asked_ms.or_else(edge_ms).unwrap_or(day_ms)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(rise: &str, set: &str) -> Schedule {
        Schedule {
            enabled: true,
            sunrise_time: TimeOfDay::parse(rise).unwrap(),
            sunset_time: TimeOfDay::parse(set).unwrap(),
        }
    }

    #[test]
    fn the_next_edge_is_found_across_midnight_and_zones() {
        let s = schedule("06:00:00", "18:30:00");
        let noon = UtcMillis::parse_lenient("2025-12-17T12:00:00Z").unwrap();
        assert_eq!(next_edge_ms(&s, noon, 0), Some(6 * 3_600_000 + 30 * 60_000));
        assert_eq!(next_edge_ms(&s, noon.plus_seconds(7 * 3600), 0), Some(11 * 3_600_000));
        assert_eq!(next_edge_ms(&s, noon, 330), Some(3_600_000));
        assert_eq!(next_edge_ms(&s, UtcMillis(noon.0 + 1), 330), Some(3_599_999));
        assert_eq!(next_edge_ms(&schedule("06:00:00", "06:00:00"), noon, 0), None);
    }

    #[test]
    fn an_override_ends_and_does_not_outlive_the_knowledge_of_time() {
        let now = UtcMillis::from_seconds(1_765_967_400);
        let until = override_end(Uptime(0), Some(now), None, 0, Some(60));
        let manual = Manual { power: Some((PowerState::Off, until)), brightness: None };
        assert_eq!(manual.power_now(Uptime(0), Some(now.plus_seconds(59))), Some(PowerState::Off));
        assert_eq!(manual.power_now(Uptime(0), Some(now.plus_seconds(60))), None);
        assert_eq!(manual.power_now(Uptime(0), None), None);
        let blind =
            Manual { power: Some((PowerState::Off, override_end(Uptime(0), None, None, 0, None))), brightness: None };
        assert_eq!(blind.power_now(Uptime(86_399_999), None), Some(PowerState::Off));
        assert_eq!(blind.power_now(Uptime(86_400_000), None), None);
        assert_eq!(blind.durable(), Manual::default());
    }
}
