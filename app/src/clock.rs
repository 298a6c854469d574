//! The city's time, and the age of every fact. The browser's own clock is never shown: the page counts on from the
//! server's time, which each heartbeat corrects, in the offset the server named. The upper half is pure.
use ccms_core::time::UtcMillis;
use leptos::prelude::*;

/// `HH:MM` in the city, at `at`.
pub fn hour_minute(at: UtcMillis, utc_offset_minutes: i32) -> String {
    let (h, m, _) = time_of_day(at, utc_offset_minutes);
    format!("{h:02}:{m:02}")
}

/// `HH:MM:SS` in the city, at `at`.
pub fn hour_minute_second(at: UtcMillis, utc_offset_minutes: i32) -> String {
    let (h, m, s) = time_of_day(at, utc_offset_minutes);
    format!("{h:02}:{m:02}:{s:02}")
}

/// `2025-12-17 17:26:05` in the city, at `at`.
pub fn date_time(at: UtcMillis, utc_offset_minutes: i32) -> String {
    let local = at.seconds() + i64::from(utc_offset_minutes) * 60;
    let (year, month, day) = civil(local.div_euclid(86_400));
    format!("{year:04}-{month:02}-{day:02} {}", hour_minute_second(at, utc_offset_minutes))
}

fn time_of_day(at: UtcMillis, utc_offset_minutes: i32) -> (i64, i64, i64) {
    let s = (at.seconds() + i64::from(utc_offset_minutes) * 60).rem_euclid(86_400);
    (s / 3600, s / 60 % 60, s % 60)
}

/// Year, month and day of a day counted from 1970-01-01 (Howard Hinnant's days-from-civil, inverted).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// How long ago, in the two largest units that matter. A moment that is ahead by clock skew is now.
pub fn age(now: UtcMillis, then: UtcMillis) -> String {
    let s = now.since(then) / 1000;
    match s {
        ..3 => "just now".into(),
        3..60 => format!("{s} s ago"),
        60..3600 => format!("{} min ago", s / 60),
        3600..86_400 => format!("{} h {} min ago", s / 3600, s / 60 % 60),
        _ => format!("{} d {} h ago", s / 86_400, s / 3600 % 24),
    }
}

/// A length of time, such as a device's uptime.
pub fn span(seconds: u32) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// The clock of the page, in context below the frame.
#[derive(Clone, Copy)]
pub struct CityClock {
    now: RwSignal<UtcMillis>,
    /// Milliseconds the server is ahead of this browser's clock, once both are known.
    ahead_ms: StoredValue<Option<i64>>,
    utc_offset_minutes: StoredValue<i32>,
}

impl CityClock {
    pub fn new(now: UtcMillis, utc_offset_minutes: i32) -> Self {
        Self {
            now: RwSignal::new(now),
            ahead_ms: StoredValue::new(None),
            utc_offset_minutes: StoredValue::new(utc_offset_minutes),
        }
    }

    /// The time now; a view that reads it is renewed every second.
    pub fn now(&self) -> UtcMillis {
        self.now.get()
    }

    pub fn now_untracked(&self) -> UtcMillis {
        self.now.get_untracked()
    }

    pub fn age(&self, then: UtcMillis) -> String {
        age(self.now.get(), then)
    }

    pub fn hour_minute(&self, at: UtcMillis) -> String {
        hour_minute(at, self.utc_offset_minutes.get_value())
    }

    pub fn hour_minute_second(&self, at: UtcMillis) -> String {
        hour_minute_second(at, self.utc_offset_minutes.get_value())
    }

    pub fn date_time(&self, at: UtcMillis) -> String {
        date_time(at, self.utc_offset_minutes.get_value())
    }

    /// Takes the server's time as the truth. Browser only.
    pub fn correct(&self, server_now: UtcMillis) {
        self.ahead_ms.set_value(Some(server_now.0 - js_sys::Date::now() as i64));
        self.tick();
    }

    /// Moves the shown time on. Until the first heartbeat it counts on from the time the page was made. Browser only.
    pub fn tick(&self) {
        let here = js_sys::Date::now() as i64;
        let ahead = self.ahead_ms.get_value().unwrap_or_else(|| {
            let ahead = self.now.get_untracked().0 - here;
            self.ahead_ms.set_value(Some(ahead));
            ahead
        });
        self.now.set(UtcMillis(here + ahead));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UtcMillis = UtcMillis::from_seconds(1_765_967_405); // 2025-12-17T10:30:05Z

    #[test]
    fn shows_the_citys_time_not_the_browsers() {
        assert_eq!(hour_minute(AT, 120), "12:30");
        assert_eq!(hour_minute_second(AT, 330), "16:00:05");
        assert_eq!(date_time(AT, 840), "2025-12-18 00:30:05");
        assert_eq!(date_time(AT, -660), "2025-12-16 23:30:05");
        assert_eq!(date_time(UtcMillis(0), 0), "1970-01-01 00:00:00");
        assert_eq!(date_time(UtcMillis::from_seconds(1_709_164_800), 0), "2024-02-29 00:00:00");
    }

    #[test]
    fn ages_use_the_units_that_matter() {
        for (seconds, text) in [
            (-5, "just now"),
            (2, "just now"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (3_700, "1 h 1 min ago"),
            (90_000, "1 d 1 h ago"),
        ] {
            assert_eq!(age(AT.plus_seconds(seconds), AT), text);
        }
        assert_eq!(span(86_400 * 3 + 7200), "3 d 2 h");
    }
}
