//! What a run says while it runs: on a terminal one line that is always up to date, elsewhere a plain line now and then.
use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use crate::stats::Stats;

/// A live line is written anew this often.
const LIVE: Duration = Duration::from_millis(500);
/// Back to the beginning of the line, which is then empty.
const AGAIN: &str = "\r\x1b[2K";

#[derive(Debug)]
pub struct Progress {
    live: bool,
    every: Duration,
    finished: u64,
    at: Duration,
    all_seen: bool,
}

impl Progress {
    /// `plain_every`: between lines where nobody looks on.
    pub fn new(plain_every: Duration) -> Self {
        let live = std::io::stderr().is_terminal();
        let every = if live { LIVE } else { plain_every };
        Self { live, every, finished: 0, at: Duration::ZERO, all_seen: false }
    }

    /// From one line to the next.
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Says how things are. Nobody who listens badly stops the run.
    pub fn tell(&mut self, stats: &Stats, elapsed: Duration) {
        let line = self.line(stats, elapsed);
        let mut out = std::io::stderr().lock();
        let _ = if self.live { write!(out, "{AGAIN}{line}") } else { writeln!(out, "{line}") };
        if !self.all_seen && stats.ever_online.load(Relaxed) == stats.lights() {
            self.all_seen = true;
            let begin = if self.live { AGAIN } else { "" };
            let _ = writeln!(out, "{begin}all {} lights online after {:.0} s", stats.lights(), elapsed.as_secs_f64());
        }
        let _ = out.flush();
    }

    /// Leaves the last line standing.
    pub fn end(self) {
        if self.live {
            eprintln!();
        }
    }

    /// With the rate and the latencies of the time since the line before.
    fn line(&mut self, stats: &Stats, elapsed: Duration) -> String {
        let finished = stats.finished();
        let rate = (finished - self.finished) as f64 / elapsed.saturating_sub(self.at).as_secs_f64().max(0.001);
        let (p50, p99) = stats.recent_ms();
        (self.finished, self.at) = (finished, elapsed);
        let unsent = match stats.unsent.load(Relaxed) {
            0 => String::new(),
            n => format!("  {n} unsent"),
        };
        format!(
            "{:>5.0} s  {}/{} lights online  {rate:>6.0} requests/s  {} errors{unsent}  p50 {p50:.1} ms  p99 {p99:.1} ms",
            elapsed.as_secs_f64(),
            stats.online.load(Relaxed),
            stats.lights(),
            stats.errors(),
        )
    }
}

#[cfg(test)]
mod tests {
    use ccms_device::{Kind, Outcome};

    use super::*;

    #[test]
    fn a_line_has_the_rate_since_the_last_one() {
        let stats = Stats::new(3);
        stats.online.store(2, Relaxed);
        let mut progress = Progress::new(Duration::from_secs(10));
        let answer = || {
            stats.answered(Kind::Status, &Outcome::Answer { status: 200, body: Vec::new() }, Duration::from_millis(7))
        };
        (0..30).for_each(|_| answer());
        assert_eq!(
            progress.line(&stats, Duration::from_secs(10)),
            "   10 s  2/3 lights online       3 requests/s  0 errors  p50 7.0 ms  p99 7.0 ms"
        );
        (0..10).for_each(|_| answer());
        stats.unsent.store(4, Relaxed);
        assert_eq!(
            progress.line(&stats, Duration::from_secs(12)),
            "   12 s  2/3 lights online       5 requests/s  0 errors  4 unsent  p50 7.0 ms  p99 7.0 ms"
        );
    }
}
