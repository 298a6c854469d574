//! The only file that reads real clocks. Everything else is told the time.
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ccms_core::time::UtcMillis;

/// A wall clock that may be shifted, so that a demonstration can begin at dusk, and a steady clock beside it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    offset_ms: i64,
    speed: u32,
}

#[allow(clippy::disallowed_methods, reason = "the one place where real time comes in")]
impl Clock {
    pub fn start(offset_seconds: i64) -> Self {
        Self { started: Instant::now(), offset_ms: offset_seconds * 1000, speed: 1 }
    }

    /// Runs so many times as fast as the world's, for tests that wait for what takes minutes.
    pub fn hurried(speed: u32) -> Self {
        Self { speed: speed.max(1), ..Self::start(0) }
    }

    /// Milliseconds since the start of this process; never runs backwards.
    pub fn steady_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64 * u64::from(self.speed)
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant that [`Self::steady_ms`] will read `ms`.
    pub fn instant_at_ms(&self, ms: u64) -> Instant {
        self.started + Duration::from_millis(ms) / self.speed
    }

    /// The instant that [`Self::elapsed`] will read this.
    pub fn instant_at(&self, elapsed: Duration) -> Instant {
        self.started + elapsed
    }

    pub fn utc(&self) -> UtcMillis {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let hurry_ms = self.started.elapsed().as_millis() as i64 * i64::from(self.speed - 1);
        UtcMillis(since_epoch.as_millis() as i64 + self.offset_ms + hurry_ms)
    }
}
