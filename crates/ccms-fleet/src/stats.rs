//! Counters and latencies of a run, and the summary that comes of them. Devices count from many threads: counters are atomics,
//! latencies one histogram behind a lock that is held for a few nanoseconds.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ccms_device::{Kind, Outcome};
use hdrhistogram::Histogram;
use serde::Serialize;

/// Latencies from a microsecond to a minute, right to a thousandth.
const LATENCY_US: (u64, u64) = (1, 60_000_000);
const LATENCY_DIGITS: u8 = 3;

#[derive(Debug)]
pub struct Stats {
    lights: u64,
    pub online: AtomicU64,
    pub ever_online: AtomicU64,
    sent: [AtomicU64; Kind::ALL.len()],
    ok: AtomicU64,
    error_answers: AtomicU64,
    no_answers: AtomicU64,
    /// Never left the device: its modem had no network.
    pub unsent: AtomicU64,
    /// Devices that lost all power, and booted again with it.
    pub reboots: AtomicU64,
    pub readings: AtomicU64,
    pub duplicates: AtomicU64,
    pub commands: AtomicU64,
    latencies: Mutex<Latencies>,
}

/// Of the whole run, and since they were last looked at.
#[derive(Debug)]
struct Latencies {
    all: Histogram<u64>,
    recent: Histogram<u64>,
}

/// A run in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub profile: String,
    pub seed: u64,
    pub lights: u64,
    /// At the end, and at any time.
    pub online: u64,
    pub ever_online: u64,
    pub duration_seconds: f64,
    /// Requests sent, and of each kind.
    pub sent: u64,
    pub sent_by_kind: BTreeMap<&'static str, u64>,
    pub requests_per_second: f64,
    /// Requests answered with a 2xx.
    pub acknowledged: u64,
    /// Requests answered with anything else, or not at all.
    pub errors: u64,
    pub error_answers: u64,
    pub no_answers: u64,
    /// Requests that a simulated lack of network kept from being sent: no errors.
    pub unsent: u64,
    pub reboots: u64,
    /// Readings that a 200 covered, and how many of those the server already had.
    pub readings_acknowledged: u64,
    pub duplicates: u64,
    /// Acknowledgements of commands that the server accepted.
    pub commands_acknowledged: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
    /// Of this process; what each light added to it.
    pub memory_bytes: Option<u64>,
    pub memory_bytes_per_light: Option<u64>,
}

impl Stats {
    pub fn new(lights: usize) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            lights: lights as u64,
            online: zero(),
            ever_online: zero(),
            sent: std::array::from_fn(|_| zero()),
            ok: zero(),
            error_answers: zero(),
            no_answers: zero(),
            unsent: zero(),
            reboots: zero(),
            readings: zero(),
            duplicates: zero(),
            commands: zero(),
            latencies: Mutex::new(Latencies { all: histogram(), recent: histogram() }),
        }
    }

    pub fn sent(&self, kind: Kind) {
        self.sent[kind as usize].fetch_add(1, Relaxed);
    }

    pub fn answered(&self, kind: Kind, outcome: &Outcome, took: Duration) {
        let counter = match outcome {
            Outcome::Answer { status: 200..=299, .. } => {
                if kind == Kind::CommandAck {
                    self.commands.fetch_add(1, Relaxed);
                }
                &self.ok
            }
            Outcome::Answer { .. } => &self.error_answers,
            Outcome::NoAnswer => &self.no_answers,
        };
        counter.fetch_add(1, Relaxed);
        if matches!(outcome, Outcome::Answer { .. }) {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
            latencies.all.saturating_record(us);
            latencies.recent.saturating_record(us);
        }
    }

    pub fn lights(&self) -> u64 {
        self.lights
    }

    /// Requests of which the fate is known.
    pub fn finished(&self) -> u64 {
        self.ok.load(Relaxed) + self.errors()
    }

    pub fn errors(&self) -> u64 {
        self.error_answers.load(Relaxed) + self.no_answers.load(Relaxed)
    }

    /// Median and 99th percentile since the last call, in milliseconds.
    pub fn recent_ms(&self) -> (f64, f64) {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        let found = (quantile_ms(&latencies.recent, 0.5), quantile_ms(&latencies.recent, 0.99));
        latencies.recent.reset();
        found
    }

    /// The figures so far. `memory`: of the process now, and before there were devices.
    pub fn summary(&self, profile: String, seed: u64, elapsed: Duration, memory: Option<(u64, u64)>) -> Summary {
        let sent = |kind: Kind| self.sent[kind as usize].load(Relaxed);
        let seconds = elapsed.as_secs_f64();
        let latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        let ms = |q: f64| quantile_ms(&latencies.all, q);
        Summary {
            profile,
            seed,
            lights: self.lights,
            online: self.online.load(Relaxed),
            ever_online: self.ever_online.load(Relaxed),
            duration_seconds: tenths(seconds),
            sent: Kind::ALL.into_iter().map(sent).sum(),
            sent_by_kind: Kind::ALL.into_iter().map(|kind| (kind.as_str(), sent(kind))).collect(),
            requests_per_second: tenths(self.finished() as f64 / seconds.max(0.001)),
            acknowledged: self.ok.load(Relaxed),
            errors: self.errors(),
            error_answers: self.error_answers.load(Relaxed),
            no_answers: self.no_answers.load(Relaxed),
            unsent: self.unsent.load(Relaxed),
            reboots: self.reboots.load(Relaxed),
            readings_acknowledged: self.readings.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            commands_acknowledged: self.commands.load(Relaxed),
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
            memory_bytes: memory.map(|(now, _)| now),
            memory_bytes_per_light: memory.map(|(now, before)| now.saturating_sub(before) / self.lights.max(1)),
        }
    }
}

fn histogram() -> Histogram<u64> {
    #[allow(clippy::unwrap_used, reason = "the bounds are constants, and good ones")]
    Histogram::new_with_bounds(LATENCY_US.0, LATENCY_US.1, LATENCY_DIGITS).unwrap()
}

fn quantile_ms(of: &Histogram<u64>, q: f64) -> f64 {
    (of.value_at_quantile(q) as f64 / 10.0).round() / 100.0
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_in_figures() {
        let stats = Stats::new(2);
        let ok = Outcome::Answer { status: 200, body: Vec::new() };
        for ms in 1..=100 {
            stats.sent(Kind::Status);
            stats.answered(Kind::Status, &ok, Duration::from_millis(ms));
        }
        stats.sent(Kind::Commands);
        stats.answered(Kind::Commands, &Outcome::NoAnswer, Duration::from_secs(5));
        let s = stats.summary("city".into(), 1, Duration::from_secs(2), Some((50_000, 10_000)));
        assert_eq!((s.sent, s.acknowledged, s.errors, s.no_answers), (101, 100, 1, 1));
        assert_eq!((s.sent_by_kind["status"], s.sent_by_kind["commands"]), (100, 1));
        assert_eq!((s.requests_per_second, s.memory_bytes_per_light), (50.5, Some(20_000)));
        assert!((49.9..50.2).contains(&s.p50_ms) && (98.9..99.3).contains(&s.p99_ms), "{s:?}");
        assert!((99.9..100.2).contains(&s.max_ms));
    }

    #[test]
    fn recent_latencies_forget_what_was_looked_at() {
        let stats = Stats::new(1);
        let answers = |ms| {
            stats.answered(Kind::Status, &Outcome::Answer { status: 500, body: Vec::new() }, Duration::from_millis(ms))
        };
        answers(400);
        assert!(stats.recent_ms().1 > 399.0);
        answers(2);
        assert!(stats.recent_ms().1 < 2.1);
        assert_eq!(stats.recent_ms(), (0.0, 0.0));
        assert_eq!(stats.errors(), 2);
    }
}
