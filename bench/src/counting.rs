//! A store that counts the calls made to it and passes them on; its disk may be a slow one.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ccms_store::delegate_store;

pub struct Counting {
    inner: Arc<dyn Store>,
    all: AtomicU64,
    appends: AtomicU64,
    /// What every append takes on top of what it takes.
    commit: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct Calls {
    pub all: u64,
    /// Calls of `append_readings`; each is one transaction and so one flush.
    pub appends: u64,
}

impl Counting {
    pub fn new(inner: Arc<dyn Store>, commit: Duration) -> Self {
        Self { inner, all: AtomicU64::new(0), appends: AtomicU64::new(0), commit }
    }

    pub fn calls(&self) -> Calls {
        Calls { all: self.all.load(Relaxed), appends: self.appends.load(Relaxed) }
    }

    #[expect(clippy::unnecessary_wraps, reason = "others refuse here")]
    fn pass(&self) -> StoreResult<()> {
        self.all.fetch_add(1, Relaxed);
        Ok(())
    }
}

delegate_store! { Counting {
    async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
        self.all.fetch_add(1, Relaxed);
        self.appends.fetch_add(1, Relaxed);
        if !self.commit.is_zero() {
            tokio::time::sleep(self.commit).await;
        }
        self.inner.append_readings(rows).await
    }

    async fn close(&self) {
        self.all.fetch_add(1, Relaxed);
        self.inner.close().await;
    }
} }
