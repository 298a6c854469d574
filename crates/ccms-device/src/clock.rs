//! Time as a controller has it: an uptime that is always right, and a wall clock that it believes by degrees. Order of trust:
//! network time, `server_timestamp`, the last stored time, the build date. The last two date messages, but do not tell
//! day from night: with them alone the time counts as unknown, and the lamp burns.
//!
//! A `server_timestamp` is *proven* when it came in answer to a request whose token the server accepted. An unproven one (a
//! configure without credentials) may set a clock that knows nothing, but neither move a known one by more than a day nor
//! put it back behind what was stored: nobody in between can turn noon into midnight with one forged answer.
use ccms_core::time::UtcMillis;
use serde::{Deserialize, Serialize};

/// No clock reads earlier than this firmware was made: 2025-01-01T00:00:00Z.
pub const BUILD_DATE: UtcMillis = UtcMillis::from_seconds(1_735_689_600);
/// The largest step that an unauthenticated answer may cause once the time is known.
pub const UNPROVEN_STEP_MAX_S: i64 = 86_400;
/// `server_timestamp` has whole seconds and took a while to arrive: smaller differences are noise.
pub const SERVER_TIME_NOISE_MS: i64 = 2_500;
/// A known clock that moves by this much was wrong.
pub const STEP_MS: i64 = 60_000;

/// Milliseconds since power-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uptime(pub u64);

impl Uptime {
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    pub const fn plus_s(self, seconds: u64) -> Self {
        self.plus_ms(seconds.saturating_mul(1000))
    }

    /// Milliseconds since `earlier`, 0 when that is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The time of an input. `utc` is network time (NITZ, NTP, a disciplined host clock) where the device has such a thing.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub uptime: Uptime,
    pub utc: Option<UtcMillis>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    /// The build date or the last stored time.
    Floor,
    Server,
    Network,
}

/// What became of the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The time was unknown until now: everything that was dated in this boot was dated so many seconds too early.
    Learnt { late_s: i64 },
    /// It was known, and wrong by so much.
    PutRight { ms: i64 },
}

#[derive(Debug, Clone)]
pub(crate) struct Clock {
    source: Source,
    base_utc: UtcMillis,
    base_uptime: Uptime,
    network_now: bool,
    /// Of the newest input.
    latest: Uptime,
}

impl Clock {
    pub(crate) fn new(last_stored: UtcMillis, now: Now) -> Self {
        let base_utc = if last_stored > BUILD_DATE { last_stored } else { BUILD_DATE };
        let (base_uptime, latest) = (now.uptime, now.uptime);
        Self { source: Source::Floor, base_utc, base_uptime, network_now: false, latest }
    }

    /// Follows network time where there is some. See [`Clock::set`] for what it answers.
    pub(crate) fn tick(&mut self, now: Now) -> Option<Step> {
        (self.network_now, self.latest) = (false, now.uptime);
        let utc = now.utc.filter(|t| *t >= BUILD_DATE)?;
        let step = self.set(Source::Network, now.uptime, utc);
        self.network_now = true;
        step
    }

    fn set(&mut self, source: Source, at: Uptime, utc: UtcMillis) -> Option<Step> {
        let (late_s, step_ms) = (utc.seconds() - self.guess(at).seconds(), utc.since(self.guess(at)));
        let first = self.source == Source::Floor;
        *self = Self { source, base_utc: utc, base_uptime: at, network_now: false, latest: at };
        if first {
            Some(Step::Learnt { late_s })
        } else {
            (step_ms.abs() >= STEP_MS).then_some(Step::PutRight { ms: step_ms })
        }
    }

    /// The best guess, for dating messages.
    pub(crate) fn guess(&self, at: Uptime) -> UtcMillis {
        UtcMillis(self.base_utc.0.saturating_add(at.since_ms(self.base_uptime) as i64))
    }

    /// The time of the newest input, if it is known.
    pub(crate) fn known_now(&self) -> Option<UtcMillis> {
        self.known(self.latest)
    }

    /// The time, if it is known well enough to switch a lamp by it.
    pub(crate) fn known(&self, at: Uptime) -> Option<UtcMillis> {
        (self.source > Source::Floor).then(|| self.guess(at))
    }

    /// Hears a `server_timestamp`. `proven`: the answer was to a request with an accepted token. See [`Clock::set`] for what
    /// it answers.
    pub(crate) fn hear_server(&mut self, at: Uptime, server: UtcMillis, proven: bool) -> Option<Step> {
        if self.network_now || server < BUILD_DATE {
            return None;
        }
        let step_ms = server.since(self.guess(at));
        let far_ms = UNPROVEN_STEP_MAX_S * 1000;
        let believed = match self.source {
            Source::Floor => proven || step_ms >= -far_ms,
            Source::Server | Source::Network => {
                step_ms.abs() >= SERVER_TIME_NOISE_MS && (proven || step_ms.abs() <= far_ms)
            }
        };
        if believed { self.set(Source::Server, at, server) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

    fn now(ms: u64, utc: Option<UtcMillis>) -> Now {
        Now { uptime: Uptime(ms), utc }
    }

    #[test]
    fn a_stored_time_dates_messages_but_is_not_known() {
        let c = Clock::new(T, now(0, None));
        assert_eq!(c.known(Uptime(10)), None);
        assert_eq!(c.guess(Uptime(10)), UtcMillis(T.0 + 10));
        assert_eq!(Clock::new(UtcMillis(0), now(0, None)).guess(Uptime(0)), BUILD_DATE);
    }

    #[test]
    fn the_first_server_time_is_adopted_and_a_wild_unproven_one_is_not() {
        let mut c = Clock::new(UtcMillis(0), now(0, None));
        assert_eq!(c.hear_server(Uptime(0), UtcMillis(0), true), None, "1970 is before the build date");
        assert_eq!(
            c.hear_server(Uptime(0), T, false),
            Some(Step::Learnt { late_s: T.seconds() - BUILD_DATE.seconds() })
        );
        for far_s in [90_000, -90_000] {
            c.hear_server(Uptime(0), T.plus_seconds(far_s), false);
            assert_eq!(c.known(Uptime(0)), Some(T), "more than a day on one unproven word");
        }
        c.hear_server(Uptime(0), T.plus_seconds(90_000), true);
        assert_eq!(c.known(Uptime(0)), Some(T.plus_seconds(90_000)));
    }

    #[test]
    fn an_unproven_time_does_not_put_the_clock_back_behind_what_was_stored() {
        let (mut c, early) = (Clock::new(T, now(0, None)), T.plus_seconds(-90_000));
        c.hear_server(Uptime(0), early, false);
        assert_eq!(c.known(Uptime(0)), None);
        c.hear_server(Uptime(0), early, true);
        assert_eq!(c.known(Uptime(0)), Some(early));
    }

    #[test]
    fn network_time_wins_while_it_lasts() {
        let mut c = Clock::new(UtcMillis(0), now(0, None));
        c.tick(now(0, Some(T)));
        c.hear_server(Uptime(0), T.plus_seconds(100), true);
        assert_eq!(c.known(Uptime(0)), Some(T));
        c.tick(now(1000, None));
        assert_eq!(c.known(Uptime(1000)), Some(T.plus_seconds(1)));
        c.hear_server(Uptime(1000), T.plus_seconds(100), true);
        assert_eq!(c.known(Uptime(1000)), Some(T.plus_seconds(100)));
    }
}
