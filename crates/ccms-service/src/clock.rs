//! The only place of the server that reads the time. Everything else is given a [`Clock`], or `now`.
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ccms_core::time::UtcMillis;

/// Wall-clock time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    /// The system's clock, moved by a constant; a demonstration sets it to the evening.
    System { offset_ms: i64 },
    /// A clock that stands still until it is told otherwise.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    pub const fn system(offset_s: i64) -> Self {
        Self(Source::System { offset_ms: offset_s * 1000 })
    }

    pub fn manual(start: UtcMillis) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.0))))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> UtcMillis {
        match &self.0 {
            Source::System { offset_ms } => UtcMillis(jiff::Timestamp::now().as_millisecond() + offset_ms),
            Source::Manual(at) => UtcMillis(at.load(Ordering::Acquire)),
        }
    }

    /// Moves a manual clock on; does nothing to the system's.
    pub fn advance_ms(&self, ms: i64) {
        if let Source::Manual(at) = &self.0 {
            at.fetch_add(ms, Ordering::AcqRel);
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
