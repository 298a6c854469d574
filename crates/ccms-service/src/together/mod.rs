//! Several server processes on one database. Each answers from its own memory and writes through its own queue; this is how
//! that memory learns what the others wrote. Where one process has the database for itself none of it runs.
//!
//! - `lease`    which process runs the background jobs
//! - `log`      readings: the log is followed by its positions, four times a second
//! - `notices`  everything else: the database tells which rows changed, and they are read again
//!   (`news` gathers them)
//! - `contacts` when devices were last heard of, which no row says
//!
//! Applying anything twice changes nothing: what was missed is caught up by reading too much. What two processes decide at
//! the same time, the database decides: commands change from an expected state, devices are claimed once, tokens are of an
//! epoch.
mod contacts;
mod lease;
mod log;
mod news;
mod notices;

pub(crate) use log::after_own;

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ccms_core::ids::CommandId;
use tokio::sync::mpsc;

use crate::ccms::Ccms;
use crate::metrics::Stopwatch;
use crate::tasks::every;

/// Distance between looks at the log: with the feed's 200 ms a report at one process is seen at another within half a second.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// Distance between what is told of contacts; also how long a dead connection for notices can go unnoticed, three times over.
const CONTACTS_EVERY: Duration = Duration::from_secs(5);

/// Where this process stands among those on the database.
#[derive(Debug)]
pub(crate) struct Together {
    /// Others may be on it.
    shared: bool,
    /// Since when the lease is ours for [`lease::LEASE_MS`].
    lease: Mutex<Option<Stopwatch>>,
    /// Since when the whole log was known.
    followed: Mutex<Stopwatch>,
    /// Readings of the log that the last look found to be new.
    rows_behind: AtomicU64,
    /// Commands that a followed status confirmed.
    confirmed: mpsc::UnboundedSender<CommandId>,
}

/// How a process stands among those that share its database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Membership {
    /// It runs the background jobs.
    pub leads: bool,
    /// Time since it knew all that the log holds.
    pub behind: Duration,
    /// Readings by others that the last look at the log brought.
    pub rows_behind: u64,
}

impl Together {
    pub fn new(shared: bool, confirmed: mpsc::UnboundedSender<CommandId>) -> Self {
        let (lease, followed) = (Mutex::default(), Mutex::new(Stopwatch::start()));
        Self { shared, lease, followed, rows_behind: AtomicU64::new(0), confirmed }
    }
}

impl Ccms {
    /// Whether other processes may change what is in the database.
    pub(crate) fn is_shared(&self) -> bool {
        self.inner().together.shared
    }

    /// `None` where a process has its database for itself.
    pub fn membership(&self) -> Option<Membership> {
        let together = &self.inner().together;
        together.shared.then(|| Membership {
            leads: self.leads(),
            behind: together.followed.lock().unwrap_or_else(|e| e.into_inner()).elapsed(),
            rows_behind: together.rows_behind.load(std::sync::atomic::Ordering::Relaxed),
        })
    }
}

/// Begins to follow the others, if there can be any.
pub(crate) async fn spawn(ccms: &Ccms) {
    if !ccms.is_shared() {
        return;
    }
    // Before the jobs begin, so that the only process there is does them from the start.
    ccms.hold_lease().await;
    every(ccms, lease::RENEW_EVERY, |c| async move { c.hold_lease().await });
    every(ccms, FOLLOW_EVERY, |c| async move { c.look_at_log().await });
    every(ccms, CONTACTS_EVERY, |c| async move { c.tell_contacts().await });
    let heeding = ccms.clone();
    ccms.inner().tasks.spawn(async move { heeding.heed_notices().await });
}
