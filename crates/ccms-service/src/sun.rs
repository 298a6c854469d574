//! When the city's lamps turn: local times of sunrise and sunset, by the sun's real position (NREL SPA).
use ccms_core::schedule::Schedule;
use ccms_core::time::{TimeOfDay, UtcMillis};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use solar_positioning::{Horizon, Location, SolarEvents};

use crate::history::Cut;

/// Difference between terrestrial and universal time, in seconds; a minute of error moves a sunset by milliseconds.
const DELTA_T_S: f64 = 69.2;
const QUARTER_MS: i64 = 1000 * ccms_block::QUARTER_S as i64;
const UNIX_EPOCH_JULIAN_DATE: f64 = 2_440_587.5;
const DAY_S: f64 = 86_400.0;

#[derive(Debug, thiserror::Error)]
#[error("unknown time zone {0:?}; use an IANA name such as Europe/Helsinki")]
pub struct UnknownTimezone(String);

/// The city's clock.
#[derive(Debug, Clone)]
pub(crate) struct CityTime {
    zone: TimeZone,
}

impl CityTime {
    pub fn new(name: &str) -> Result<Self, UnknownTimezone> {
        TimeZone::get(name).map(|zone| Self { zone }).map_err(|_| UnknownTimezone(name.to_owned()))
    }

    /// Minutes east of Greenwich at an instant, by the zone's rules.
    pub fn utc_offset_minutes(&self, at: UtcMillis) -> i32 {
        let at = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH);
        self.zone.to_offset(at).seconds() / 60
    }

    /// The city's own day around an instant: from its midnight to the next.
    pub fn day_around(&self, at: UtcMillis) -> (UtcMillis, UtcMillis) {
        const DAY_MS: i64 = 86_400_000;
        let day = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone());
        let midnight = |z: &jiff::Zoned| z.start_of_day().ok().map(|m| UtcMillis(m.timestamp().as_millisecond()));
        let begins = midnight(&day).unwrap_or(UtcMillis(at.0 - at.0.rem_euclid(DAY_MS)));
        let ends = day.tomorrow().ok().and_then(|next| midnight(&next)).unwrap_or(UtcMillis(begins.0 + DAY_MS));
        (begins, ends)
    }

    /// The city's own month around an instant.
    pub fn month_around(&self, at: UtcMillis) -> (UtcMillis, UtcMillis) {
        let day = Timestamp::from_millisecond(at.0).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(self.zone.clone());
        let begins = |z: &jiff::Zoned| {
            let midnight = z.first_of_month().and_then(|first| first.start_of_day()).ok()?;
            Some(UtcMillis(midnight.timestamp().as_millisecond()))
        };
        // Where the calendar ends, a day stands for the month.
        let first = begins(&day);
        let next = day.last_of_month().ok().and_then(|last| last.tomorrow().ok()).and_then(|next| begins(&next));
        first.zip(next).unwrap_or_else(|| self.day_around(at))
    }

    /// The quarter of an hour, the day or the month around an instant.
    pub fn around(&self, at: UtcMillis, cut: Cut) -> (UtcMillis, UtcMillis) {
        match cut {
            Cut::QuarterHour => {
                let begins = ccms_block::quarter_of(at);
                (begins, UtcMillis(begins.0 + QUARTER_MS))
            }
            Cut::Day => self.day_around(at),
            Cut::Month => self.month_around(at),
        }
    }

    /// Today's night at a place, in local times: the sunrise and sunset that come next. Where the sun does not set, lamps
    /// stay off (an empty night); where it does not rise, they burn all day.
    pub fn schedule(&self, now: UtcMillis, latitude: f64, longitude: f64) -> Schedule {
        let offset = self.utc_offset_minutes(now);
        let (rise, set) = (next_sunrise(now, latitude, longitude), next_sunset(now, latitude, longitude));
        let local = |at: UtcMillis| TimeOfDay::at(at, offset);
        let (sunrise_time, sunset_time) = match (rise, set) {
            (Some(rise), Some(set)) => (local(rise), local(set)),
            // 00:00:00 to 00:00:00 from the other side: never on, or always on.
            _ if is_up(now, latitude, longitude) => (TimeOfDay::from_seconds(0), TimeOfDay::from_seconds(86_399)),
            _ => (TimeOfDay::from_seconds(86_399), TimeOfDay::from_seconds(0)),
        };
        Schedule { enabled: true, sunrise_time, sunset_time }
    }
}

pub(crate) fn next_sunrise(now: UtcMillis, latitude: f64, longitude: f64) -> Option<UtcMillis> {
    let (start, place) = (julian(now), Location { latitude, longitude });
    let day = SolarEvents::new().next_rise_from_julian(start, start + 1.0, place, DELTA_T_S, Horizon::SunriseSunset);
    day.ok().flatten().map(instant)
}

pub(crate) fn next_sunset(now: UtcMillis, latitude: f64, longitude: f64) -> Option<UtcMillis> {
    let (start, place) = (julian(now), Location { latitude, longitude });
    let day = SolarEvents::new().next_set_from_julian(start, start + 1.0, place, DELTA_T_S, Horizon::SunriseSunset);
    day.ok().flatten().map(instant)
}

/// Whether the sun is up where it neither rises nor sets today: it is summer on that side of the equator.
fn is_up(now: UtcMillis, latitude: f64, _longitude: f64) -> bool {
    let day_of_year = (now.seconds() as f64 / DAY_S).rem_euclid(365.2422);
    let northern_summer = (79.0..266.0).contains(&day_of_year);
    northern_summer == (latitude >= 0.0)
}

fn julian(at: UtcMillis) -> f64 {
    at.0 as f64 / (DAY_S * 1000.0) + UNIX_EPOCH_JULIAN_DATE
}

fn instant(julian_date: f64) -> UtcMillis {
    UtcMillis(((julian_date - UNIX_EPOCH_JULIAN_DATE) * DAY_S * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccms_core::reading::PowerState;

    fn at(text: &str) -> UtcMillis {
        UtcMillis::parse_lenient(text).unwrap()
    }

    #[test]
    fn delhi_in_december_as_the_almanac_has_it() {
        let city = CityTime::new("Asia/Kolkata").unwrap();
        let s = city.schedule(at("2025-12-16T20:00:00Z"), 28.6139, 77.2090);
        let near = |time: TimeOfDay, text: &str| {
            let want = TimeOfDay::parse(text).unwrap().seconds();
            assert!(time.seconds().abs_diff(want) <= 30, "{time} is not {text}");
        };
        near(s.sunrise_time, "07:07:25");
        near(s.sunset_time, "17:27:03");
        assert_eq!(city.utc_offset_minutes(at("2025-12-17T00:00:00Z")), 330);
    }

    #[test]
    fn helsinki_changes_its_offset_and_the_pole_its_mind() {
        let city = CityTime::new("Europe/Helsinki").unwrap();
        assert_eq!(city.utc_offset_minutes(at("2026-01-01T00:00:00Z")), 120);
        assert_eq!(city.utc_offset_minutes(at("2026-07-01T00:00:00Z")), 180);
        let (begins, ends) = city.day_around(at("2026-03-29T12:00:00Z"));
        assert_eq!((begins, ends), (at("2026-03-28T22:00:00Z"), at("2026-03-29T21:00:00Z")), "23 hours");
        let (begins, ends) = city.month_around(at("2026-03-31T21:30:00Z"));
        assert_eq!((begins, ends), (at("2026-03-31T21:00:00Z"), at("2026-04-30T21:00:00Z")), "April has begun");
        assert_eq!(city.month_around(at("2026-03-31T20:59:59Z")).0, at("2026-02-28T22:00:00Z"));
        let noon = TimeOfDay::parse("12:00:00");
        let winter = city.schedule(at("2026-12-21T10:00:00Z"), 78.2, 15.6);
        assert_eq!(winter.wants(noon), PowerState::On);
        let summer = city.schedule(at("2026-06-21T10:00:00Z"), 78.2, 15.6);
        assert_eq!(summer.wants(noon), PowerState::Off);
        assert!(CityTime::new("Mars/Olympus").is_err());
    }
}
