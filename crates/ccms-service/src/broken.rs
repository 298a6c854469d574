//! When the database can no longer be trusted, the server stops rather than lie.
//!
//! Every call of the store goes through here. The first answer that says *broken* ends it for good: no later call reaches the
//! database, and none that is under way is believed. Whoever waits is told 503; whoever runs the process sees the token and ends
//! it without closing the database, because closing would write.
use ccms_store::delegate_store;
use tokio_util::sync::CancellationToken;

use crate::ccms::Ccms;

pub(crate) struct Guarded {
    inner: DynStore,
    broken: CancellationToken,
}

impl Guarded {
    /// The store, guarded, and the token that tells of its end.
    pub fn around(inner: DynStore) -> (DynStore, CancellationToken) {
        let broken = CancellationToken::new();
        (std::sync::Arc::new(Self { inner, broken: broken.clone() }), broken)
    }

    fn pass(&self) -> StoreResult<()> {
        if self.broken.is_cancelled() { Err(StoreError::broken("it failed before")) } else { Ok(()) }
    }

    fn pass_back<T>(&self, answer: StoreResult<T>) -> StoreResult<T> {
        if let Err(error @ StoreError::Broken(_)) = &answer
            && !self.broken.is_cancelled()
        {
            tracing::error!(%error, "nothing is stored from here on");
            self.broken.cancel();
        }
        // What succeeded beside a failure may be as little on the disk as what failed.
        self.pass()?;
        answer
    }
}

delegate_store! { Guarded {
    async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
        self.pass()?;
        self.pass_back(self.inner.append_readings(rows).await)
    }

    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    async fn close(&self) {
        if self.pass().is_ok() {
            self.inner.close().await;
        }
    }
} }

impl Ccms {
    /// Cancelled when the database can no longer be trusted. It never is again.
    pub fn broken(&self) -> &CancellationToken {
        &self.inner().broken
    }
}
