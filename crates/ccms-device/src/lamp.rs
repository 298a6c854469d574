//! What the lamp should do now: an unexpired manual override, else the schedule, else burn.
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::{TimeOfDay, UtcMillis};
use serde::{Deserialize, Serialize};

use crate::clock::Uptime;
use crate::config::{DARK_BELOW_PERCENT, DARK_OVERRIDE_S, OVERRIDE_MAX_S};

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
    /// Ordered by day, without an end of its own: whatever becomes of the clock, it darkens no night.
    #[serde(skip_serializing_if = "is_false")]
    pub power_by_day: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub brightness_by_day: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Manual {
    /// `scheduled`: what the schedule wants now.
    pub(crate) fn power_now(&self, at: Uptime, known: Option<UtcMillis>, scheduled: PowerState) -> Option<PowerState> {
        let outlived = |power| power == PowerState::Off && self.power_by_day && scheduled == PowerState::On;
        self.power.filter(|(power, until)| until.holds(at, known) && !outlived(*power)).map(|(power, _)| power)
    }

    pub(crate) fn brightness_now(&self, at: Uptime, known: Option<UtcMillis>, scheduled: PowerState) -> Option<u8> {
        let outlived = |percent| is_dark(percent) && self.brightness_by_day && scheduled == PowerState::On;
        self.brightness
            .filter(|(percent, until)| until.holds(at, known) && !outlived(*percent))
            .map(|(percent, _)| percent)
    }

    /// The clock was put right by so much: what was ordered goes on for as long as it would have. True when that changed
    /// anything.
    pub(crate) fn shift(&mut self, ms: i64) -> bool {
        let power = self.power.as_mut().map(|(_, until)| until);
        let ends = power.into_iter().chain(self.brightness.as_mut().map(|(_, until)| until));
        let mut shifted = false;
        for end in ends {
            if let Until::Utc(at) = end {
                *at = UtcMillis(at.0.saturating_add(ms));
                shifted = true;
            }
        }
        shifted
    }

    /// What may be written to flash: nothing that is bound to this boot's uptime.
    pub(crate) fn durable(&self) -> Self {
        let lasting = |until: &Until| matches!(until, Until::Utc(_));
        Self {
            power: self.power.filter(|(_, until)| lasting(until)),
            brightness: self.brightness.filter(|(_, until)| lasting(until)),
            ..*self
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

/// What an override needs to know to find its end.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    pub at: Uptime,
    /// The time, if it is known.
    pub known: Option<UtcMillis>,
    pub schedule: Option<&'a Schedule>,
    pub utc_offset_minutes: i32,
}

impl Circumstances<'_> {
    /// It may be night: by the schedule, or because nobody knows.
    pub(crate) fn may_be_night(&self) -> bool {
        let local = self.known.map(|t| TimeOfDay::at(t, self.utc_offset_minutes));
        self.schedule.is_none_or(|s| s.wants(local) == PowerState::On)
    }

    /// When an override that begins now ends: after `revert_after_s` where the order says so, else at the next edge of the
    /// schedule, and never later than a day from now. An order that makes the night dark and names no end of its own ends
    /// after [`DARK_OVERRIDE_S`]: whoever forgets it, or loses the connection, leaves the street dark for an hour at most.
    pub fn override_end(&self, is_dark: bool, revert_after_s: Option<i64>) -> Until {
        let day_ms = OVERRIDE_MAX_S * 1000;
        let longest_ms = if is_dark && self.may_be_night() { DARK_OVERRIDE_S * 1000 } else { day_ms };
        let edge_ms = || next_edge_ms(self.schedule?, self.known?, self.utc_offset_minutes);
        let lasts_ms = match revert_after_s {
            Some(s) => s.saturating_mul(1000).clamp(0, day_ms),
            None => edge_ms().map_or(longest_ms, |edge| edge.min(longest_ms)),
        };
        match self.known {
            None => Until::Uptime(self.at.plus_ms(lasts_ms as u64)),
            Some(now) => Until::Utc(UtcMillis(now.0 + lasts_ms)),
        }
    }
}

/// Whether a lamp at this level leaves the street dark.
pub const fn is_dark(brightness_percent: u8) -> bool {
    brightness_percent < DARK_BELOW_PERCENT
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

    fn circumstances(known: Option<UtcMillis>, schedule: Option<&Schedule>) -> Circumstances<'_> {
        Circumstances { at: Uptime(0), known, schedule, utc_offset_minutes: 0 }
    }

    #[test]
    fn an_override_ends_and_does_not_outlive_the_knowledge_of_time() {
        let now = UtcMillis::from_seconds(1_765_967_400);
        let until = circumstances(Some(now), None).override_end(true, Some(60));
        let manual = Manual { power: Some((PowerState::Off, until)), ..Manual::default() };
        let now_at = |s, scheduled| manual.power_now(Uptime(0), Some(now.plus_seconds(s)), scheduled);
        assert_eq!(now_at(59, PowerState::On), Some(PowerState::Off));
        assert_eq!(now_at(60, PowerState::On), None);
        assert_eq!(manual.power_now(Uptime(0), None, PowerState::On), None);
        let by_day = Manual { power_by_day: true, ..manual.clone() };
        assert_eq!(by_day.power_now(Uptime(0), Some(now), PowerState::On), None);
        assert_eq!(by_day.power_now(Uptime(0), Some(now), PowerState::Off), Some(PowerState::Off));
        let until = circumstances(None, None).override_end(false, None);
        let blind = Manual { power: Some((PowerState::On, until)), ..Manual::default() };
        assert_eq!(blind.power_now(Uptime(86_399_999), None, PowerState::On), Some(PowerState::On));
        assert_eq!(blind.power_now(Uptime(86_400_000), None, PowerState::On), None);
        assert_eq!(blind.durable(), Manual::default());
    }

    /// G24, for each: hour of the day, whether it is dark, what the order says, and when it ends in seconds.
    #[test]
    fn an_order_that_makes_the_night_dark_ends_within_the_hour() {
        let s = schedule("06:00:00", "18:30:00");
        let midnight = UtcMillis::parse_lenient("2025-12-17T00:00:00Z").unwrap();
        for (hour, is_dark, revert_after_s, end_s) in [
            (20, true, None, 3_600),
            (20, false, None, 10 * 3_600),
            (12, true, None, 6 * 3_600 + 1_800),
            (20, true, Some(7_200), 7_200),
            (20, true, Some(1_000_000), 86_400),
            (20, true, Some(-5), 0),
            (20, true, Some(i64::MAX), 86_400),
        ] {
            let now = midnight.plus_seconds(hour * 3_600);
            let until = circumstances(Some(now), Some(&s)).override_end(is_dark, revert_after_s);
            assert_eq!(until, Until::Utc(now.plus_seconds(end_s)), "{hour} {is_dark} {revert_after_s:?}");
        }
        // Nobody knows whether it is night: then it is.
        assert_eq!(circumstances(None, Some(&s)).override_end(true, None), Until::Uptime(Uptime(3_600_000)));
        assert_eq!(
            circumstances(Some(midnight), None).override_end(true, None),
            Until::Utc(midnight.plus_seconds(3_600))
        );
        assert!(is_dark(0) && is_dark(29) && !is_dark(30));
    }
}
