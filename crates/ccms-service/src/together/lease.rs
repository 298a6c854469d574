//! One process runs the background jobs: the one that holds the lease, a row with a time that ends. Who dies stops renewing
//! it, and another takes it over; who hangs stops believing in it before the others may have it. That the jobs are done by one
//! is for economy, not for safety: each would come out right if two did it, because what they write is decided row by row.
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::ccms::Ccms;
use crate::metrics::Stopwatch;

/// How long the lease is taken for, by the database's clock.
pub(super) const LEASE_MS: u32 = 4_000;
/// Distance between renewals: three may fail before it is lost.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// The holder stops believing in it so much earlier, counted from before it asked.
const MARGIN: Duration = Duration::from_millis(500);

impl Ccms {
    /// Whether this process runs the background jobs. The only one on its database always does.
    pub fn leads(&self) -> bool {
        let together = &self.inner().together;
        let lease = *together.lease.lock().unwrap_or_else(|e| e.into_inner());
        let believed = Duration::from_millis(LEASE_MS.into()) - MARGIN;
        !together.shared || lease.is_some_and(|since| since.elapsed() < believed)
    }

    /// Takes the lease if it is free, keeps it if it is ours.
    pub(super) async fn hold_lease(&self) {
        let led = self.leads();
        let asked = Stopwatch::start();
        match self.store().hold_lease(LEASE_MS).await {
            Ok(held) => {
                let together = &self.inner().together;
                *together.lease.lock().unwrap_or_else(|e| e.into_inner()) = held.then_some(asked);
                match (led, held) {
                    (false, true) => tracing::info!("this process runs the background jobs"),
                    (true, false) => tracing::warn!("another process runs the background jobs now"),
                    _ => {}
                }
            }
            Err(error) => tracing::warn!(%error, "the lease of the background jobs was not renewed"),
        }
    }

    /// Does the last work of this process, and keeps the lease meanwhile if it is ours: whose task that is has ended.
    pub(crate) async fn leading_on(&self, work: impl Future<Output = ()>) {
        let renewals = async {
            let mut ticks = interval(RENEW_EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if self.is_shared() && self.leads() {
                    self.hold_lease().await;
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = renewals => {}
        }
    }

    /// At a stop, so that nobody has to wait for the end of it.
    pub(crate) async fn leave_lease(&self) {
        if self.is_shared()
            && let Err(error) = self.store().leave_lease().await
        {
            tracing::warn!(%error, "the lease of the background jobs was not given back; it ends by itself");
        }
    }
}
