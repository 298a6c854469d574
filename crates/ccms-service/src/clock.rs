//! The only place of the server that reads the time. Everything else is given a [`Clock`], or `now`.
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ccms_core::time::UtcMillis;

/// Wall-clock time, and beside it a monotonic one for durations. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// The system's clock, moved by a constant; a demonstration sets it to the evening.
    System { offset_ms: i64 },
    /// A clock that stands still until it is told otherwise.
    Manual(Arc<Manual>),
}

struct Manual {
    now_ms: AtomicI64,
    /// What it was moved on by; setting the clock back takes nothing off.
    monotonic_ms: AtomicU64,
}

/// Where the process's monotonic time begins.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock {
    pub const fn system(offset_s: i64) -> Self {
        Self(Source::System { offset_ms: offset_s * 1000 })
    }

    pub fn manual(start: UtcMillis) -> Self {
        Self(Source::Manual(Arc::new(Manual { now_ms: AtomicI64::new(start.0), monotonic_ms: AtomicU64::new(0) })))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> UtcMillis {
        match &self.0 {
            Source::System { offset_ms } => UtcMillis(jiff::Timestamp::now().as_millisecond() + offset_ms),
            Source::Manual(at) => UtcMillis(at.now_ms.load(Ordering::Acquire)),
        }
    }

    /// Time since some moment, that never goes back whatever the wall clock is set to: for how long something takes.
    pub fn monotonic(&self) -> Duration {
        match &self.0 {
            Source::System { .. } => BEGAN.elapsed(),
            Source::Manual(at) => Duration::from_millis(at.monotonic_ms.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock on; does nothing to the system's.
    pub fn advance_ms(&self, ms: i64) {
        if let Source::Manual(at) = &self.0 {
            at.now_ms.fetch_add(ms, Ordering::AcqRel);
            at.monotonic_ms.fetch_add(u64::try_from(ms).unwrap_or(0), Ordering::AcqRel);
        }
    }

    /// True when this is not the real time.
    pub fn is_shifted(&self) -> bool {
        !matches!(self.0, Source::System { offset_ms: 0 })
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
