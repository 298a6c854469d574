//! The handle that everything calls. Cheap to clone; all clones are one system.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{DynStore, LogPosition, PendingNote};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api_keys::RecentKeys;
use crate::approval::Strangers;
use crate::attempts::Attempts;
use crate::breaker::Breaker;
use crate::checkpoint::Checkpointing;
use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::disk::Disk;
use crate::governor::Governor;
use crate::intake::{self, Intake};
use crate::keys::TokenKeys;
use crate::live::Live;
use crate::live::feed::Feed;
use crate::settings::Settings;
use crate::silence::Absences;
use crate::sun::CityTime;
use crate::together::Together;
use crate::waiting::Waiting;

#[derive(Clone)]
pub struct Ccms(Arc<Inner>);

/// Devices of different lanes enrol at the same time.
const ENROLMENT_LANES: usize = 64;

pub(crate) struct Inner {
    pub settings: Settings,
    pub clock: Clock,
    pub store: DynStore,
    /// Cancelled when `store` can no longer be trusted.
    pub broken: CancellationToken,
    pub keys: TokenKeys,
    pub live: Arc<Live>,
    pub feed: Feed,
    pub intake: Intake,
    pub city_time: CityTime,
    pub attempts: Attempts,
    pub hash_permits: Semaphore,
    pub breaker: Breaker,
    pub disk: Disk,
    pub absences: Absences,
    pub strangers: Strangers,
    /// First uses of tokens.
    pub tokens_used: Crowd<(DeviceNo, i64)>,
    /// Devices that asked to be let in.
    pub knocks: Crowd<PendingNote>,
    /// Serialises the enrolment of each device, so that its simultaneous configures cannot both register it.
    pub enrolling: [tokio::sync::Mutex<()>; ENROLMENT_LANES],
    /// Held while commands are queued or cancelled.
    pub ordering: tokio::sync::Mutex<()>,
    pub waiting: Waiting,
    /// Held while the catalogue is changed by hand or by a file.
    pub curating: tokio::sync::Mutex<()>,
    pub recent_keys: RecentKeys,
    pub governor: Governor,
    pub position: Arc<watch::Sender<LogPosition>>,
    pub together: Together,
    /// Held while days are sealed: two at once would only get in each other's way.
    pub sealing: tokio::sync::Mutex<()>,
    /// Lights of which the last run left something in the log.
    pub held_up: std::sync::RwLock<std::collections::BTreeSet<LightNo>>,
    /// Held while energy is summed up over many lights, or read what many said at a moment.
    pub summing: tokio::sync::Mutex<()>,
    pub checkpointing: tokio::sync::Mutex<Checkpointing>,
    /// Held while days are archived. Files that no record names, of which it was said.
    pub archiving: tokio::sync::Mutex<std::collections::BTreeSet<String>>,
    /// How far the checkpoint goes.
    pub saved: AtomicI64,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

type Lane<'a> = tokio::sync::MutexGuard<'a, ()>;

fn lane_of(id: &DeviceId) -> usize {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish() as usize % ENROLMENT_LANES
}

impl Ccms {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub fn now(&self) -> UtcMillis {
        self.0.clock.now()
    }

    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The store, for what is not a use case: web sessions and readiness.
    pub fn store(&self) -> &DynStore {
        &self.0.store
    }

    pub fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// Ready to serve: the database answers, and what devices report is stored.
    pub async fn is_ready(&self) -> bool {
        let stores = self.0.intake.longest_wait() < intake::WAIT_MAX;
        stores && !self.0.stop.is_cancelled() && self.0.store.ping().await.is_ok()
    }

    /// Takes nothing more in, commits what waits, writes the checkpoint and closes the database.
    pub async fn stop(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        // What waits may take longer than the lease lasts, and the last checkpoint is the leader's.
        let ending = async {
            self.0.tasks.wait().await;
            if self.leads() {
                self.last_checkpoint().await;
            }
        };
        self.leading_on(ending).await;
        self.leave_lease().await;
        self.beats().await;
        self.0.store.close().await;
    }

    /// How far the checkpoint goes: a start does not need what is in the log before that.
    pub fn saved_position(&self) -> LogPosition {
        LogPosition(self.0.saved.load(Ordering::Acquire))
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    pub(crate) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(crate) fn keys(&self) -> &TokenKeys {
        &self.0.keys
    }

    pub(crate) fn hash_permits(&self) -> &Semaphore {
        &self.0.hash_permits
    }

    /// Held while a device enrols.
    pub(crate) fn enrolment_lane(&self, id: &DeviceId) -> &tokio::sync::Mutex<()> {
        &self.0.enrolling[lane_of(id)]
    }

    /// Held while two devices change places. Always taken in one order, and a lane that is both's once.
    pub(crate) async fn enrolment_lanes(&self, a: &DeviceId, b: &DeviceId) -> (Lane<'_>, Option<Lane<'_>>) {
        let (a, b) = (lane_of(a), lane_of(b));
        let first = self.0.enrolling[a.min(b)].lock().await;
        let second = if a == b { None } else { Some(self.0.enrolling[a.max(b)].lock().await) };
        (first, second)
    }

    /// An id that nobody can guess.
    pub(crate) fn new_command_id(&self) -> CommandId {
        CommandId::from_random(crate::chance::bits())
    }
}
