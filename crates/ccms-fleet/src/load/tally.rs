//! What came of the requests, in figures.
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::sync::watch;

use super::LoadOptions;
use crate::clock::Clock;
use crate::machine;

/// A terminal's line is written anew this often.
const LIVE: Duration = Duration::from_millis(500);
/// Latencies from a microsecond to a minute, right to a thousandth.
const LATENCY_US: (u64, u64) = (1, 60_000_000);
const LATENCY_DIGITS: u8 = 3;

#[derive(Debug)]
pub(super) struct Tally {
    /// Answers from here on count.
    measured: Duration,
    ends: Duration,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    ok: u64,
    /// 503: the server says that it has enough.
    turned_away: u64,
    other_answers: u64,
    no_answers: u64,
    /// Whose turn came, and which never left: the one before was not answered in time.
    unsent: u64,
    /// From the turn, and from when it was sent.
    latency: Histogram<u64>,
    service: Histogram<u64>,
    /// How late this program was with requests of free connections.
    slack: Histogram<u64>,
    recent: Histogram<u64>,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    pub mean: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadSummary {
    pub rate_wanted: Option<f64>,
    pub connections: usize,
    pub threads: usize,
    pub seconds: f64,
    pub requests: u64,
    pub requests_per_second: f64,
    pub ok: u64,
    /// 503s, other answers than 2xx, and none at all.
    pub turned_away: u64,
    pub other_answers: u64,
    pub no_answers: u64,
    /// Whose turn came and which never left, because the one before it was not answered in time. They are in no latency.
    pub unsent: u64,
    /// From the turn of each request: what a caller waits who does not care how others are served.
    pub latency_ms: Latency,
    /// From when it was sent.
    pub service_ms: Latency,
    /// How late this program sent what it could have sent in time.
    pub own_lateness_ms: Latency,
    pub memory_bytes: Option<u64>,
}

impl Tally {
    pub fn new(measured: Duration, ends: Duration) -> Self {
        let counts = Counts {
            ok: 0,
            turned_away: 0,
            other_answers: 0,
            no_answers: 0,
            unsent: 0,
            latency: histogram(),
            service: histogram(),
            slack: histogram(),
            recent: histogram(),
        };
        Self { measured, ends, counts: Mutex::new(counts) }
    }

    pub fn is_over(&self, now: Duration) -> bool {
        now >= self.ends
    }

    /// One exchange: its turn, when it was sent and answered, and how late this program was with it.
    pub fn note(
        &self,
        status: Option<u16>,
        due: Duration,
        sent: Duration,
        answered: Duration,
        slack: Option<Duration>,
    ) {
        // By when it should have begun, so that a stall at the end counts and the warm-up does not.
        if due < self.measured || due >= self.ends {
            return;
        }
        let mut counts = self.counts();
        match status {
            Some(200..=299) => counts.ok += 1,
            Some(503) => counts.turned_away += 1,
            Some(_) => counts.other_answers += 1,
            None => counts.no_answers += 1,
        }
        let (latency, service) = (micros(answered.saturating_sub(due)), micros(answered.saturating_sub(sent)));
        counts.latency.saturating_record(latency);
        counts.recent.saturating_record(latency);
        counts.service.saturating_record(service);
        if let Some(slack) = slack {
            counts.slack.saturating_record(micros(slack));
        }
    }

    pub fn note_unsent(&self, requests: u64) {
        self.counts().unsent += requests;
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how it goes until the end. True when it was stopped before.
    pub async fn watch(&self, clock: Clock, plain_every: Duration, mut stop: watch::Receiver<bool>) -> bool {
        let live = std::io::stderr().is_terminal();
        let every = if live { LIVE } else { plain_every };
        let (mut seen, mut at) = (0, clock.elapsed());
        loop {
            let left = self.ends.saturating_sub(clock.elapsed());
            let stopped = tokio::select! {
                _ = stop.wait_for(|s| *s) => true,
                () = tokio::time::sleep(every.min(left)) => false,
            };
            let now = clock.elapsed();
            let line = self.line(&mut seen, now.saturating_sub(at), now);
            at = now;
            let (begin, end) = if live { ("\r\x1b[2K", "") } else { ("", "\n") };
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "{begin}{line}{end}").and_then(|()| out.flush());
            if stopped || self.is_over(now) {
                let _ = if live { writeln!(out) } else { Ok(()) };
                return stopped;
            }
        }
    }

    fn line(&self, seen: &mut u64, since: Duration, now: Duration) -> String {
        let mut counts = self.counts();
        let all = counts.all();
        let rate = (all - *seen) as f64 / since.as_secs_f64().max(0.001);
        let errors = counts.other_answers + counts.no_answers;
        let (p50, p99) = (quantile_ms(&counts.recent, 0.5), quantile_ms(&counts.recent, 0.99));
        let away = counts.turned_away;
        *seen = all;
        counts.recent.reset();
        let when = if now < self.measured { "warming up" } else { "measuring" };
        format!(
            "{:>5.0} s  {when}  {rate:>7.0} requests/s  {errors} errors  {away} turned away  p50 {p50:.2} ms  p99 {p99:.2} ms",
            now.as_secs_f64()
        )
    }

    pub fn summary(&self, options: &LoadOptions, now: Duration) -> LoadSummary {
        let counts = self.counts();
        let seconds = self.ends.min(now).saturating_sub(self.measured).as_secs_f64();
        LoadSummary {
            rate_wanted: options.rate,
            connections: options.connections,
            threads: options.threads,
            seconds,
            requests: counts.all(),
            requests_per_second: (counts.all() as f64 / seconds.max(0.001) * 10.0).round() / 10.0,
            ok: counts.ok,
            turned_away: counts.turned_away,
            other_answers: counts.other_answers,
            no_answers: counts.no_answers,
            unsent: counts.unsent,
            latency_ms: latency(&counts.latency),
            service_ms: latency(&counts.service),
            own_lateness_ms: latency(&counts.slack),
            memory_bytes: machine::memory_bytes(),
        }
    }
}

impl Counts {
    const fn all(&self) -> u64 {
        self.ok + self.turned_away + self.other_answers + self.no_answers
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn histogram() -> Histogram<u64> {
    #[allow(clippy::unwrap_used, reason = "the bounds are constants, and good ones")]
    Histogram::new_with_bounds(LATENCY_US.0, LATENCY_US.1, LATENCY_DIGITS).unwrap()
}

fn quantile_ms(of: &Histogram<u64>, q: f64) -> f64 {
    of.value_at_quantile(q) as f64 / 1000.0
}

fn latency(of: &Histogram<u64>) -> Latency {
    let ms = |q| quantile_ms(of, q);
    let mean = (of.mean()).round() / 1000.0;
    Latency { p50: ms(0.5), p90: ms(0.9), p99: ms(0.99), p999: ms(0.999), max: of.max() as f64 / 1000.0, mean }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// One stall of a second in ten seconds at 100 requests a second: whoever counts from sending sees one slow answer, and
    /// whoever counts from the turns sees a hundred.
    #[test]
    fn a_stall_counts_for_every_request_whose_turn_came_in_it() {
        let tally = Tally::new(ms(0), ms(10_000));
        let mut free = 0;
        for turn in (0..10_000).step_by(10) {
            let sent = free.max(turn);
            let answered = sent + if turn == 5_000 { 1_000 } else { 1 };
            free = answered;
            tally.note(Some(200), ms(turn), ms(sent), ms(answered), None);
        }
        let counts = tally.counts();
        assert_eq!(counts.all(), 1_000);
        let (latency, service) = (latency(&counts.latency), latency(&counts.service));
        assert!(latency.p99 > 800.0 && service.p99 < 1.1, "{latency:?} {service:?}");
        assert!(latency.p50 < 1.1 && latency.max >= 1_000.0);
    }

    #[test]
    fn the_warm_up_is_not_counted_and_a_line_tells_the_time_since_the_last() {
        let tally = Tally::new(ms(1_000), ms(3_000));
        tally.note(Some(200), ms(999), ms(999), ms(1_500), None);
        tally.note(Some(503), ms(1_000), ms(1_000), ms(1_002), Some(ms(1)));
        tally.note(None, ms(2_000), ms(2_000), ms(2_100), None);
        let mut seen = 0;
        let line = tally.line(&mut seen, ms(1_000), ms(2_200));
        assert!(line.contains("measuring        2 requests/s  1 errors  1 turned away  p50 2.00 ms"), "{line}");
        assert!(tally.is_over(ms(3_000)) && !tally.is_over(ms(2_999)));
    }
}
