//! A store that counts the calls made to it and passes them on.
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::*;

pub struct Counting {
    inner: Arc<dyn Store>,
    all: AtomicU64,
    appends: AtomicU64,
}

#[derive(Debug, Clone, Copy)]
pub struct Calls {
    pub all: u64,
    /// Calls of `append_readings`; each is one transaction and so one flush.
    pub appends: u64,
}

impl Counting {
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, all: AtomicU64::new(0), appends: AtomicU64::new(0) }
    }

    pub fn calls(&self) -> Calls {
        Calls { all: self.all.load(Relaxed), appends: self.appends.load(Relaxed) }
    }
}

macro_rules! pass_on {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $result:ty;)*) => {
        #[async_trait]
        impl Store for Counting {
            $(async fn $name(&self, $($arg: $kind),*) -> $result {
                self.all.fetch_add(1, Relaxed);
                self.inner.$name($($arg),*).await
            })*

            async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
                self.all.fetch_add(1, Relaxed);
                self.appends.fetch_add(1, Relaxed);
                self.inner.append_readings(rows).await
            }
        }
    };
}

pass_on! {
    engine() -> StoreResult<String>;
    ping() -> StoreResult<()>;
    close() -> ();
    create_user(new: NewUser) -> StoreResult<UserRecord>;
    user_by_email(email: &str) -> StoreResult<Option<UserRecord>>;
    user_by_id(id: UserId) -> StoreResult<Option<UserRecord>>;
    user_count() -> StoreResult<u64>;
    create_session(session: &SessionRecord) -> StoreResult<bool>;
    save_session(session: &SessionRecord) -> StoreResult<()>;
    session(id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>>;
    delete_session(id: &str) -> StoreResult<()>;
    delete_expired_sessions(now: UtcMillis) -> StoreResult<u64>;
    devices() -> StoreResult<Vec<DeviceRecord>>;
    device(id: &DeviceId) -> StoreResult<Option<DeviceRecord>>;
    lights() -> StoreResult<Vec<LightRecord>>;
    lights_of_device(device: DeviceNo) -> StoreResult<Vec<LightRecord>>;
    register_device(new: NewDevice, audit: &AuditEntry) -> StoreResult<(DeviceRecord, LightRecord)>;
    note_pending(note: &PendingNote) -> StoreResult<()>;
    waiting_devices(limit: u32) -> StoreResult<Vec<DeviceRecord>>;
    open_claim_window(id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> StoreResult<bool>;
    claim_device(claim: &Claim, audit: &AuditEntry) -> StoreResult<bool>;
    save_reported(device: DeviceNo, reported: &Reported) -> StoreResult<()>;
    readings(light: LightNo, from: UtcMillis, to: UtcMillis, limit: u32) -> StoreResult<Vec<ReadingRow>>;
    latest_readings(light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>>;
    log_after(after: LogPosition, limit: u32) -> StoreResult<Vec<(LogPosition, ReadingRow)>>;
    write_checkpoint(upto: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()>;
    checkpoint() -> StoreResult<(LogPosition, Vec<CheckpointRow>)>;
    enqueue_command(command: &Command, audit: &AuditEntry) -> StoreResult<Vec<CommandId>>;
    change_commands(changes: &[CommandChange]) -> StoreResult<Vec<bool>>;
    command(id: &CommandId) -> StoreResult<Option<Command>>;
    live_commands() -> StoreResult<Vec<Command>>;
    commands_of_light(light: LightNo, limit: u32) -> StoreResult<Vec<Command>>;
    write_audit(entry: &AuditEntry) -> StoreResult<()>;
    audit(limit: u32) -> StoreResult<Vec<AuditEntry>>;
}
