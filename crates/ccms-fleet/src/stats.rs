//! Counters and latencies of a run; the progress line and the summary that come of them. Atomics, since every device task
//! counts.
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ccms_device::{Kind, Outcome};
use serde::Serialize;

/// Latency classes: eight to the octave of microseconds, so a reading is right to 12 %.
const CLASSES: usize = 8 * 40;

#[derive(Debug)]
pub struct Stats {
    lights: u64,
    pub online: AtomicU64,
    pub ever_online: AtomicU64,
    sent: [AtomicU64; Kind::ALL.len()],
    ok: AtomicU64,
    error_answers: AtomicU64,
    no_answers: AtomicU64,
    pub readings: AtomicU64,
    pub duplicates: AtomicU64,
    pub commands: AtomicU64,
    latency: [AtomicU64; CLASSES],
}

/// A run in figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub lights: u64,
    pub online: u64,
    pub duration_seconds: f64,
    /// Requests sent, and of each kind.
    pub sent: u64,
    pub sent_configure: u64,
    pub sent_status: u64,
    pub sent_commands: u64,
    pub sent_command_ack: u64,
    /// Requests answered with a 2xx.
    pub acknowledged: u64,
    /// Requests answered with anything else, or not at all.
    pub errors: u64,
    pub error_answers: u64,
    pub no_answers: u64,
    /// Readings that a 200 covered, and how many of those the server already had.
    pub readings_acknowledged: u64,
    pub duplicates: u64,
    /// Acknowledgements of commands that the server accepted.
    pub commands_acknowledged: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
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
            readings: zero(),
            duplicates: zero(),
            commands: zero(),
            latency: std::array::from_fn(|_| zero()),
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
            self.latency[class(took.as_micros() as u64)].fetch_add(1, Relaxed);
        }
    }

    pub fn lights(&self) -> u64 {
        self.lights
    }

    /// Requests of which the fate is known.
    fn finished(&self) -> u64 {
        self.ok.load(Relaxed) + self.errors()
    }

    fn errors(&self) -> u64 {
        self.error_answers.load(Relaxed) + self.no_answers.load(Relaxed)
    }

    pub fn summary(&self, elapsed: Duration) -> Summary {
        let counts: Vec<u64> = self.latency.iter().map(|c| c.load(Relaxed)).collect();
        let sent = |kind: Kind| self.sent[kind as usize].load(Relaxed);
        Summary {
            lights: self.lights,
            online: self.online.load(Relaxed),
            duration_seconds: (elapsed.as_secs_f64() * 10.0).round() / 10.0,
            sent: Kind::ALL.into_iter().map(sent).sum(),
            sent_configure: sent(Kind::Configure),
            sent_status: sent(Kind::Status),
            sent_commands: sent(Kind::Commands),
            sent_command_ack: sent(Kind::CommandAck),
            acknowledged: self.ok.load(Relaxed),
            errors: self.errors(),
            error_answers: self.error_answers.load(Relaxed),
            no_answers: self.no_answers.load(Relaxed),
            readings_acknowledged: self.readings.load(Relaxed),
            duplicates: self.duplicates.load(Relaxed),
            commands_acknowledged: self.commands.load(Relaxed),
            p50_ms: quantile_ms(&counts, 0.50),
            p99_ms: quantile_ms(&counts, 0.99),
        }
    }
}

/// The progress line, with rates and latencies of the time since the line before.
#[derive(Debug)]
pub struct Progress {
    finished: u64,
    latency: Vec<u64>,
    at: Duration,
}

impl Progress {
    pub fn new() -> Self {
        Self { finished: 0, latency: vec![0; CLASSES], at: Duration::ZERO }
    }

    pub fn line(&mut self, stats: &Stats, elapsed: Duration) -> String {
        let latency: Vec<u64> = stats.latency.iter().map(|c| c.load(Relaxed)).collect();
        let recent: Vec<u64> = latency.iter().zip(&self.latency).map(|(now, before)| now - before).collect();
        let finished = stats.finished();
        let rate = (finished - self.finished) as f64 / (elapsed - self.at).as_secs_f64().max(0.001);
        let line = format!(
            "{:>5.0} s  {}/{} lights online  {rate:>6.0} requests/s  {} errors  p50 {:.1} ms  p99 {:.1} ms",
            elapsed.as_secs_f64(),
            stats.online.load(Relaxed),
            stats.lights,
            stats.errors(),
            quantile_ms(&recent, 0.50),
            quantile_ms(&recent, 0.99),
        );
        (self.finished, self.latency, self.at) = (finished, latency, elapsed);
        line
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

fn class(us: u64) -> usize {
    if us < 8 {
        return us as usize;
    }
    let octave = u64::from(us.ilog2());
    let eighth = (us >> (octave - 3)) & 7;
    (((octave - 2) * 8 + eighth) as usize).min(CLASSES - 1)
}

/// The upper end of a class, in microseconds.
fn class_end_us(class: usize) -> u64 {
    if class < 8 {
        return class as u64 + 1;
    }
    let (octave, eighth) = (class as u64 / 8 + 2, class as u64 % 8);
    (9 + eighth) << (octave - 3)
}

fn quantile_ms(counts: &[u64], q: f64) -> f64 {
    let total: u64 = counts.iter().sum();
    let rank = (total as f64 * q).ceil() as u64;
    let mut seen = 0;
    let class = counts.iter().position(|n| {
        seen += n;
        seen >= rank && seen > 0
    });
    class.map_or(0.0, |c| (class_end_us(c) as f64 / 100.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_ordered_and_right_to_an_eighth() {
        for us in [0_u64, 1, 7, 8, 9, 15, 16, 17, 100, 1_000, 123_456, 5_000_000] {
            let end = class_end_us(class(us));
            assert!(end > us && end as f64 <= (us as f64) * 1.126 + 1.0, "{us} {end}");
        }
        assert!((0..100_000).all(|us| class(us) <= class(us + 1)));
    }

    #[test]
    fn quantiles_of_a_run() {
        let stats = Stats::new(1);
        let ok = Outcome::Answer { status: 200, body: Vec::new() };
        for ms in 1..=100 {
            stats.sent(Kind::Status);
            stats.answered(Kind::Status, &ok, Duration::from_millis(ms));
        }
        stats.sent(Kind::Commands);
        stats.answered(Kind::Commands, &Outcome::NoAnswer, Duration::from_secs(5));
        let s = stats.summary(Duration::from_secs(1));
        assert_eq!((s.sent, s.acknowledged, s.errors), (101, 100, 1));
        assert!((45.0..60.0).contains(&s.p50_ms) && (95.0..115.0).contains(&s.p99_ms), "{s:?}");
    }
}
