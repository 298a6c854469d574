//! Instants and times of day. The wire speaks RFC 3339 in UTC with whole seconds; inside, an instant is epoch milliseconds.
use std::fmt;

use jiff::tz::Offset;
use jiff::{Timestamp, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct UtcMillis(pub i64);

impl UtcMillis {
    /// 0000-01-01T00:00:00Z: nothing that was read is earlier.
    pub const MIN: Self = Self::from_seconds(-62_167_219_200);
    /// 9999-12-30T22:00:00Z: nothing that was read is later, so that every instant can be written down again, in any zone
    /// and in any database.
    pub const MAX: Self = Self::from_seconds(253_402_207_200);

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
    /// the `T`, or epoch seconds or milliseconds as text. `None` when it is none of these, or not in the years 0 to 9999.
    pub fn parse_lenient(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(number) = text.parse::<f64>() {
            return Self::from_epoch_number(number);
        }
        let at = match text.parse::<Timestamp>() {
            Ok(at) => at,
            Err(_) => {
                let civil = text.parse::<jiff::civil::DateTime>().ok()?;
                civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()
            }
        };
        Self(at.as_millisecond()).in_range()
    }

    /// Epoch seconds, or milliseconds when the number is too large to be seconds of this millennium.
    pub fn from_epoch_number(number: f64) -> Option<Self> {
        const MILLIS_FROM: f64 = 1e11;
        if !number.is_finite() {
            return None;
        }
        Self(if number.abs() >= MILLIS_FROM { number } else { number * 1000.0 }.round() as i64).in_range()
    }

    fn in_range(self) -> Option<Self> {
        (Self::MIN..=Self::MAX).contains(&self).then_some(self)
    }

    fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 { Timestamp::MIN } else { Timestamp::MAX })
    }
}

impl fmt::Display for UtcMillis {
    /// `2025-12-17T10:30:05Z`: whole seconds, as in the contract. Every answer has one: its digits are put down as they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = Timestamp::from_second(self.seconds()).unwrap_or_else(|_| self.timestamp());
        let at = Offset::UTC.to_datetime(whole);
        if at.year() < 0 {
            return write!(f, "{}", whole.round(Unit::Second).unwrap_or(whole));
        }
        let mut text = *b"0000-00-00T00:00:00Z";
        let parts = [i16::from(at.month()), at.day().into(), at.hour().into(), at.minute().into(), at.second().into()];
        let year = [at.year() / 100, at.year() % 100];
        for (two, place) in year.into_iter().chain(parts).zip([0, 2, 5, 8, 11, 14, 17]) {
            text[place] += (two / 10) as u8;
            text[place + 1] += (two % 10) as u8;
        }
        f.write_str(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UtcMillis {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct TextOrNumber;
        impl serde::de::Visitor<'_> for TextOrNumber {
            type Value = Option<UtcMillis>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a timestamp")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(UtcMillis::parse_lenient(text))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(UtcMillis::from_epoch_number(number as f64))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(UtcMillis::from_epoch_number(number as f64))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(UtcMillis::from_epoch_number(number))
            }
        }
        d.deserialize_any(TextOrNumber)?.ok_or_else(|| serde::de::Error::custom("not a timestamp"))
    }
}

/// A local time of day in seconds after midnight, `HH:MM:SS` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
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
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_reads_as_the_calendar_has_it(ms in prop_oneof![any::<i64>(), UtcMillis::MIN.0..UtcMillis::MAX.0]) {
            let whole = Timestamp::from_second(ms.div_euclid(1000)).or_else(|_| Timestamp::from_millisecond(ms));
            let whole = whole.unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
            let expected = whole.round(Unit::Second).unwrap_or(whole).to_string();
            let told = UtcMillis(ms).to_string();
            prop_assert!(told == expected || whole.subsec_nanosecond() != 0, "{ms}: {told}, {expected}");
        }
    }

    #[test]
    fn reads_every_clock_a_device_may_have() {
        let t = UtcMillis::from_seconds(1_765_967_400);
        for text in [
            "2025-12-17T10:30:00Z",
            "2025-12-17T16:00:00+05:30",
            "2025-12-17T10:30:00",
            "2025-12-17 10:30:00",
            "2025-12-17T16:00:00+0530",
            "2025-12-17t10:30:00z",
            "2025-12-17T10:30Z",
            "2025-12-17T10:30:00.000000Z",
            " 2025-12-17T10:30:00Z ",
            "1765967400",
            "1765967400.0",
            "1.7659674e9",
            "1765967400000",
        ] {
            assert_eq!(UtcMillis::parse_lenient(text), Some(t), "{text}");
        }
        assert_eq!(UtcMillis::parse_lenient("yesterday"), None);
        for none in
            ["", "NaN", "inf", "1e400", "-1e18", "17/12/2025", "+012345-01-01T00:00:00Z", "-000001-01-01T00:00:00Z"]
        {
            assert_eq!(UtcMillis::parse_lenient(none), None, "{none}");
        }
        assert_eq!(t.to_string(), "2025-12-17T10:30:00Z");
        assert_eq!(UtcMillis(t.0 + 999).to_string(), "2025-12-17T10:30:00Z");
    }

    /// A database holds it, and it reads back as what it was.
    #[test]
    fn the_edges_of_time_are_written_and_read_back() {
        for at in [UtcMillis::MIN, UtcMillis::MAX, UtcMillis(0), UtcMillis::from_seconds(3_471_292_800)] {
            assert_eq!(UtcMillis::parse_lenient(&at.to_string()), Some(at), "{at}");
            assert_eq!(UtcMillis::from_epoch_number(at.0 as f64), Some(at));
        }
        assert_eq!(UtcMillis::from_epoch_number((UtcMillis::MAX.0 + 1) as f64), None);
        assert_eq!(UtcMillis::from_epoch_number((UtcMillis::MIN.0 - 1) as f64), None);
        for number in ["1765967400", "1765967400000", "1765967400.25", "\"1765967400\""] {
            assert_eq!(serde_json::from_str::<UtcMillis>(number).unwrap().seconds(), 1_765_967_400, "{number}");
        }
        assert!(serde_json::from_str::<UtcMillis>("true").is_err());
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
