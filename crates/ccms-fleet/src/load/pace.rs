//! The timetable of the connections: their turns follow each other evenly, one connection after the other.
use std::time::Duration;

use super::LoadOptions;

/// A status has a number; without a rate nobody knows how many there will be, and these are enough for a connection's day.
const NUMBERS_WITHOUT_RATE: u32 = 4_000_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// Seconds from one turn of a connection to its next; `None`: whenever it is free.
    every_s: Option<f64>,
    connections: usize,
    began: Duration,
}

impl Pace {
    pub fn new(rate: Option<f64>, connections: usize, began: Duration) -> Self {
        Self { every_s: rate.map(|rate| connections as f64 / rate), connections, began }
    }

    /// When connection `index` is to send its `n`th request.
    pub fn turn(&self, index: usize, n: u64) -> Option<Duration> {
        let every_s = self.every_s?;
        let place = index as f64 / self.connections as f64;
        Some(self.began + Duration::from_secs_f64((n as f64 + place) * every_s))
    }
}

/// At least as many requests as one connection will send.
pub(super) fn requests_of_each(options: &LoadOptions) -> u32 {
    let seconds = (options.warmup_seconds + options.seconds) as f64;
    let of_each = |rate: f64| (rate * seconds / options.connections as f64) as u32 + 2;
    options.rate.map_or(NUMBERS_WITHOUT_RATE, of_each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_even_over_all_connections_and_keep_the_rate() {
        let pace = Pace::new(Some(50.0), 10, Duration::from_secs(3));
        let mut turns: Vec<_> = (0..10).flat_map(|c| (0..20).filter_map(move |n| pace.turn(c, n))).collect();
        turns.sort_unstable();
        assert_eq!(turns.len(), 200);
        assert_eq!(turns[0], Duration::from_secs(3));
        for pair in turns.windows(2) {
            let gap = (pair[1] - pair[0]).as_secs_f64();
            assert!((gap - 0.02).abs() < 1e-6, "{gap}");
        }
        assert_eq!(Pace::new(None, 10, Duration::ZERO).turn(0, 5), None);
    }
}
