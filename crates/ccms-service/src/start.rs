//! Start: read people's and devices' records, the checkpoint and the log behind it, then begin to serve.
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use ccms_core::ids::{DeviceNo, LightNo};
use ccms_store::{DeviceRecord, DeviceState, DynStore, LightRecord, LogPosition, ReadingRow, StoreError, StoreResult};
use governor::clock::MonotonicClock;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ahead::{Ahead, PAGE_ROWS};
use crate::api_keys::RecentKeys;
use crate::approval::Strangers;
use crate::attempts::Attempts;
use crate::breaker::Breaker;
use crate::broken::Guarded;
use crate::ccms::{Ccms, Inner};
use crate::clock::Clock;
use crate::crowd::Crowd;
use crate::disk::Disk;
use crate::governor::Governor;
use crate::intake::{Intake, Writer};
use crate::keys::ring::overlap_s;
use crate::keys::{KeyError, Keys, TokenKeys};
use crate::live::feed::Feed;
use crate::live::{Live, State};
use crate::settings::Settings;
use crate::silence::Absences;
use crate::sun::{CityTime, UnknownTimezone};
use crate::tasks;
use crate::together::{self, Together};
use crate::waiting::Waiting;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] ccms_store::StoreError),
    #[error(transparent)]
    Timezone(#[from] UnknownTimezone),
    #[error(transparent)]
    Keys(#[from] KeyError),
}

impl Ccms {
    /// Rebuilds the live state and starts the background tasks on the current tokio runtime.
    pub async fn start(
        settings: Settings,
        clock: Clock,
        store: DynStore,
        keys: impl Into<Keys>,
    ) -> Result<Self, StartError> {
        let (store, broken) = Guarded::around(store);
        let keys = TokenKeys::open(keys.into(), overlap_s(settings.silence_s), clock.now())?;
        let absences = Absences::load(&store, clock.now()).await?;
        let city_time = CityTime::new(&settings.city.timezone)?;
        let Rebuilt { state, saved, position, pending } = rebuild(&store, &clock).await?;
        let strangers = Strangers::new(pending);
        let live = Arc::new(Live::new(state));
        let position = Arc::new(watch::Sender::new(position));
        let (intake, jobs) = Intake::new(settings.intake.queue_requests_max);
        let (confirmed, confirmations) = mpsc::unbounded_channel();
        let shared = store.is_shared();
        let writer = Writer {
            queue: jobs,
            store: store.clone(),
            live: live.clone(),
            batch_rows_max: settings.intake.batch_rows_max,
            confirmed: confirmed.clone(),
            shared,
            position: position.clone(),
        };
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        tracker.spawn(writer.run(stop.clone()));
        let used = store.clone();
        let tokens_used = Crowd::start(&tracker, stop.clone(), "first uses of tokens", move |batch| {
            let store = used.clone();
            async move { store.use_tokens(&batch).await }
        });
        let knocked = store.clone();
        let knocks = Crowd::start(&tracker, stop.clone(), "devices that ask to be let in", move |batch| {
            let store = knocked.clone();
            async move { store.note_pending(&batch).await }
        });
        let governor = Governor::new(settings.limits, settings.enrolment, MonotonicClock);
        let ccms = Self::new(Inner {
            hash_permits: Semaphore::new(settings.password_hashes_at_once.max(1)),
            settings,
            feed: Feed::new((crate::chance::bits() as u64 >> 32) << 20),
            clock,
            store,
            broken,
            keys,
            breaker: Breaker::default(),
            disk: Disk::default(),
            absences,
            strangers,
            tokens_used,
            knocks,
            live,
            intake,
            city_time,
            attempts: Attempts::default(),
            enrolling: std::array::from_fn(|_| tokio::sync::Mutex::default()),
            ordering: tokio::sync::Mutex::default(),
            waiting: Waiting::default(),
            curating: tokio::sync::Mutex::default(),
            recent_keys: RecentKeys::default(),
            governor,
            position,
            together: Together::new(shared, confirmed),
            sealing: tokio::sync::Mutex::default(),
            held_up: std::sync::RwLock::default(),
            summing: tokio::sync::Mutex::default(),
            checkpointing: tokio::sync::Mutex::default(),
            archiving: tokio::sync::Mutex::default(),
            saved: AtomicI64::new(saved.0),
            stop,
            tasks: tracker,
        });
        ccms.resize_budget();
        together::spawn(&ccms).await;
        tasks::spawn(&ccms, confirmations);
        Ok(ccms)
    }
}

/// What is in memory when the server begins.
struct Rebuilt {
    state: State,
    /// How far the checkpoint goes, and how far the log.
    saved: LogPosition,
    position: LogPosition,
    /// Devices that wait to be let in.
    pending: u32,
}

async fn rebuild(store: &DynStore, clock: &Clock) -> StoreResult<Rebuilt> {
    let mut state = State::default();
    // All at once, each on a task of its own: they are as long as the fleet, and most of the time of a start. What has come is put
    // into memory while the next is still read.
    let any = |store: DynStore, after| async move { store.devices_after(after, None, PAGE_ROWS).await };
    let devices = Ahead::of(store, DeviceNo(0), |d: &DeviceRecord| d.no, any);
    let lights = |store: DynStore, after| async move { store.lights_after(after, PAGE_ROWS).await };
    let lights = Ahead::of(store, LightNo(0), |l: &LightRecord| l.no, lights);
    let states = aside(store, |store| async move { store.checkpoint().await });
    // Who merely asked to be let in has no place in memory: anybody can ask, and what asked in vain is forgotten again.
    let mut pending = 0_u32;
    devices
        .each(|device| match device.state {
            DeviceState::Pending => pending = pending.saturating_add(1),
            _ => state.put_device(device),
        })
        .await?;
    lights.each(|light| state.put_light(light)).await?;
    let (saved, rows) = states.await?;
    let mut position = saved;
    let key = |row: &ReadingRow| (row.reading.reported_at, row.dedupe, row.received_at);
    let restored: HashMap<LightNo, _> =
        rows.iter().filter_map(|row| Some((row.light_no, key(row.latest.as_ref()?)))).collect();
    rows.into_iter().for_each(|row| state.restore(row));
    let log = |store: DynStore, after| async move { store.log_after(after, PAGE_ROWS).await };
    Ahead::of(store, saved, |(at, _): &(LogPosition, ReadingRow)| *at, log)
        .each(|(at, row)| {
            position = at;
            state.replay(&row, restored.get(&row.light_no) == Some(&key(&row)));
        })
        .await?;
    store.live_commands().await?.into_iter().for_each(|c| state.put_command(c));
    let now = clock.now();
    state.contacts_are_told();
    state.grant_grace(now);
    // The map fetches everything first; nothing has changed since then.
    let all: Vec<LightNo> = state.lights().map(|l| l.record.no).collect();
    for no in all {
        state.publish(no, now);
    }
    // From here on somebody looks when a device was silent too long.
    state.drifted(now);
    state.take_touched();
    Ok(Rebuilt { state, saved, position, pending })
}

/// Reads on a task of its own; the answer is waited for later.
fn aside<T: Send + 'static, F: Future<Output = StoreResult<T>> + Send + 'static>(
    store: &DynStore,
    read: impl FnOnce(DynStore) -> F,
) -> impl Future<Output = StoreResult<T>> {
    let reading = tokio::spawn(read(store.clone()));
    async move { reading.await.map_err(StoreError::unavailable)? }
}
