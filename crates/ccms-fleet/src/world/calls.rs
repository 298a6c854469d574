//! How often devices call (I8): every retry is bounded, and a city that failed together does not come back together.
use std::collections::VecDeque;

const MINUTE_MS: u64 = 60_000;
/// Calls of one device in a minute: a status each 10 s, a poll each 2 s, acknowledgements, alerts, and room.
pub const CALLS_PER_MINUTE_MAX: usize = 60;
/// Calls without any answer: so many at once, and one more for each of these intervals.
pub const UNANSWERED_MAX: u64 = 40;
pub const UNANSWERED_EVERY_MS: u64 = 10_000;
/// A call is a retry when so many before it had no answer.
const RETRY_AFTER: u64 = 3;
/// Retries of several devices within this are one crowd.
const CROWD_MS: u64 = 100;

/// The calls of one device.
#[derive(Debug, Default)]
pub struct Calls {
    minute: VecDeque<u64>,
    busiest_minute: usize,
    unanswered: u64,
    unanswered_since_ms: u64,
    /// By how many calls it overstepped what it may do without an answer.
    too_many_unanswered: u64,
}

impl Calls {
    /// True when this call is a retry.
    pub(super) fn launched(&mut self, now_ms: u64) -> bool {
        while self.minute.front().is_some_and(|at| at + MINUTE_MS <= now_ms) {
            self.minute.pop_front();
        }
        self.minute.push_back(now_ms);
        self.busiest_minute = self.busiest_minute.max(self.minute.len());
        if self.unanswered == 0 {
            self.unanswered_since_ms = now_ms;
        }
        self.unanswered += 1;
        let most = UNANSWERED_MAX + (now_ms - self.unanswered_since_ms) / UNANSWERED_EVERY_MS;
        self.too_many_unanswered = self.too_many_unanswered.max(self.unanswered.saturating_sub(most));
        self.unanswered > RETRY_AFTER
    }

    pub(super) fn answered(&mut self) {
        self.unanswered = 0;
    }

    /// What is wrong with them, if anything.
    pub fn excess(&self) -> Option<String> {
        if self.busiest_minute > CALLS_PER_MINUTE_MAX {
            return Some(format!("{} calls in one minute", self.busiest_minute));
        }
        let over = self.too_many_unanswered;
        (over > 0).then(|| format!("{over} calls more than it may make while nobody answers"))
    }
}

/// Retries of all devices.
#[derive(Debug, Default)]
pub struct Crowd {
    bucket: u64,
    devices: Vec<usize>,
    largest: usize,
}

impl Crowd {
    pub(super) fn retries(&mut self, now_ms: u64, device: usize) {
        let bucket = now_ms / CROWD_MS;
        if bucket != self.bucket {
            self.bucket = bucket;
            self.devices.clear();
        }
        if !self.devices.contains(&device) {
            self.devices.push(device);
        }
        self.largest = self.largest.max(self.devices.len());
    }

    /// The most devices that retried within a tenth of a second.
    pub fn largest(&self) -> usize {
        self.largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_hurries_is_seen_and_one_that_waits_is_not() {
        let mut hurried = Calls::default();
        for n in 0..70 {
            hurried.launched(n * 100);
        }
        assert!(hurried.excess().is_some_and(|e| e.starts_with("70 calls")));
        let mut patient = Calls::default();
        for n in 0..500 {
            patient.launched(n * 10_000);
        }
        assert_eq!(patient.excess(), None);
        let mut stubborn = Calls::default();
        for n in 0..500 {
            stubborn.launched(n * 5_000);
        }
        assert!(stubborn.excess().is_some());
        stubborn.answered();
        assert!(!stubborn.launched(2_600_000), "after an answer it is no retry");
    }

    #[test]
    fn a_crowd_is_many_devices_and_not_one_many_times() {
        let mut crowd = Crowd::default();
        (0..9).for_each(|_| crowd.retries(1_000, 1));
        assert_eq!(crowd.largest(), 1);
        (0..9).for_each(|device| crowd.retries(1_050, device));
        (0..5).for_each(|device| crowd.retries(2_050, device));
        assert_eq!(crowd.largest(), 9);
    }
}
