//! What became of requests: how many were taken, how long they took, and what they cost.
use std::time::Duration;

use hdrhistogram::Histogram;

/// How long devices send, and the least time between two requests of one; without it the next follows the answer.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    pub length: Duration,
    pub every: Duration,
}

/// Requests that were answered in a time, and what they cost the servers.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Answered with 200.
    pub ok: u64,
    pub refused: u64,
    /// Of the refused those that were a 503 with `Retry-After`.
    pub told_when: u64,
    /// Connections that ended before the time was over.
    pub cut: u64,
    /// How long the answers took: half of them at most, 99 of 100, all.
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    seconds: f64,
    spent_us: f64,
}

impl Load {
    pub fn cpu_us(&self) -> f64 {
        self.spent_us / self.ok.max(1) as f64
    }

    pub fn per_second(&self) -> f64 {
        self.ok as f64 / self.seconds
    }
}

/// What became of requests, while they are sent.
pub struct Tally {
    ok: u64,
    refused: u64,
    told_when: u64,
    cut: u64,
    took_us: Histogram<u64>,
}

/// Longer than that nothing takes before it is given up.
const LONGEST_US: u64 = 120_000_000;

/// What matters of an answer.
pub struct Answer {
    pub status: u16,
    pub retry_after: bool,
}

impl Tally {
    pub fn new() -> anyhow::Result<Self> {
        let took_us = Histogram::new_with_bounds(1, LONGEST_US, 3)?;
        Ok(Self { ok: 0, refused: 0, told_when: 0, cut: 0, took_us })
    }

    /// Whether the connection is still good.
    pub fn note(&mut self, answer: anyhow::Result<Answer>, took: Duration) -> bool {
        let Ok(answer) = answer else {
            self.cut += 1;
            return false;
        };
        self.took_us.saturating_record(took.as_micros() as u64);
        let taken = answer.status == 200;
        self.ok += u64::from(taken);
        self.refused += u64::from(!taken);
        self.told_when += u64::from(answer.status == 503 && answer.retry_after);
        true
    }

    /// What they come to, over so many seconds that cost the servers so much.
    pub fn load(&self, seconds: f64, spent_us: f64) -> Load {
        let Self { ok, refused, told_when, cut, .. } = *self;
        let ms = |share| self.took_us.value_at_quantile(share) as f64 / 1e3;
        let (p50_ms, p99_ms, max_ms) = (ms(0.5), ms(0.99), ms(1.0));
        Load { ok, refused, told_when, cut, p50_ms, p99_ms, max_ms, seconds, spent_us }
    }
}
