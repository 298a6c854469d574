//! Instants and times of day. The wire speaks RFC 3339 in UTC with whole seconds; inside, an instant is epoch milliseconds.
use std::fmt;

use jiff::{Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * 1000)
    }

    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// Milliseconds from `earlier` to `self`; negative if `earlier` is later.
    pub const fn since(self, earlier: UtcMillis) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Reads what devices send: RFC 3339 with any offset, the same without an offset (taken as UTC), a blank instead of
    /// the `T`, or epoch seconds or milliseconds as text. `None` when it is none of these.
    pub fn parse_lenient(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return Self::from_epoch_number(number);
        }
        if let Ok(t) = text.parse::<Timestamp>() {
            return Some(Self(t.as_millisecond()));
        }
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(Self(zoned.timestamp().as_millisecond()))
    }

    /// Epoch seconds, or milliseconds when the number is too large to be seconds of this millennium.
    pub fn from_epoch_number(number: f64) -> Option<Self> {
        const MILLIS_FROM: f64 = 1e11;
        if !number.is_finite() || number.abs() > 1e15 {
            return None;
        }
        Some(Self(if number.abs() >= MILLIS_FROM { number as i64 } else { (number * 1000.0) as i64 }))
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

impl fmt::Display for UtcMillis {
    /// `2025-12-17T10:30:05Z`: whole seconds, as in the contract.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Timestamp::from_second(self.seconds()).unwrap_or_else(|_| self.timestamp());
        write!(f, "{}", whole.round(Unit::Second).unwrap_or(whole))
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMillis {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse_lenient(&text).ok_or_else(|| serde::de::Error::custom("not a timestamp"))
    }
}

/// A local time of day in seconds after midnight, `HH:MM:SS` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay(u32);

impl TimeOfDay {
    pub const DAY_SECONDS: u32 = 86_400;

    /// `seconds` after midnight; wraps at a day.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(seconds % Self::DAY_SECONDS)
    }

    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// `HH:MM:SS` or `HH:MM`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let mut next = |limit: u32| -> Option<u32> {
            let part = parts.next()?;
            (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
                .then(|| part.parse().ok())?
                .filter(|n| *n < limit)
        };
        let (h, m) = (next(24)?, next(60)?);
        let s = if text.len() > 5 { next(60)? } else { 0 };
        parts.next().is_none().then_some(Self(h * 3600 + m * 60 + s))
    }

    /// The time of day at an instant, `utc_offset_minutes` east of Greenwich.
    pub fn at(now: UtcMillis, utc_offset_minutes: i32) -> Self {
        let local = now.seconds() + i64::from(utc_offset_minutes) * 60;
        Self(local.rem_euclid(i64::from(Self::DAY_SECONDS)) as u32)
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).ok_or_else(|| serde::de::Error::custom("not a time of day HH:MM:SS"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_clock_a_device_may_have() {
        let t = UtcMillis::from_seconds(1_765_967_400);
        for text in [
            "2025-12-17T10:30:00Z",
            "2025-12-17T16:00:00+05:30",
            "2025-12-17T10:30:00",
            "2025-12-17 10:30:00",
            "1765967400",
            "1765967400000",
        ] {
            assert_eq!(UtcMillis::parse_lenient(text), Some(t), "{text}");
        }
        assert_eq!(UtcMillis::parse_lenient("yesterday"), None);
        assert_eq!(UtcMillis::parse_lenient("NaN"), None);
        assert_eq!(t.to_string(), "2025-12-17T10:30:00Z");
        assert_eq!(UtcMillis(t.0 + 999).to_string(), "2025-12-17T10:30:00Z");
    }

    #[test]
    fn times_of_day_parse_print_and_wrap() {
        assert_eq!(TimeOfDay::parse("18:30:00").unwrap().to_string(), "18:30:00");
        assert_eq!(TimeOfDay::parse("06:05").unwrap().seconds(), 21_900);
        for bad in ["24:00:00", "6:00:00", "06:60", "06:00:00:00", "06:00:", "", "ab:cd"] {
            assert_eq!(TimeOfDay::parse(bad), None, "{bad}");
        }
        assert_eq!(TimeOfDay::at(UtcMillis::from_seconds(1_765_967_400), 330).to_string(), "16:00:00");
    }
}
