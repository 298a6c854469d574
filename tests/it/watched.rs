//! A store that passes every call on, and on demand counts, fails or holds back. So a test can say "no database call", "the
//! disk is full" or "the commit takes a while" without touching the engine below.
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::*;
use tokio::sync::Semaphore;

pub struct Watched {
    inner: DynStore,
    calls: AtomicU64,
    failing: AtomicBool,
    /// One permit while appends may go through, none while they are held.
    appends: Semaphore,
    waiting: AtomicU64,
}

impl Watched {
    pub fn new(inner: DynStore) -> Self {
        let (calls, failing) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { inner, calls, failing, appends: Semaphore::new(1), waiting: AtomicU64::new(0) }
    }

    /// The store itself, for what a test looks up.
    pub fn inner(&self) -> &DynStore {
        &self.inner
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    /// From here on every call fails, or none does.
    pub fn fails(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// From here on no append ends before [`Self::releases_appends`].
    pub fn holds_appends(&self) {
        self.appends.forget_permits(1);
    }

    pub fn releases_appends(&self) {
        self.appends.add_permits(1);
    }

    /// Appends that are held now.
    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::SeqCst)
    }

    fn pass(&self) -> StoreResult<()> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            Err(StoreError::unavailable("the test pulled the plug"))
        } else {
            Ok(())
        }
    }
}

macro_rules! passes_on {
    ($($trait:ident { $(fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty;)* } $({ $($own:tt)* })?)*) => { $(
        #[async_trait]
        impl $trait for Watched {
            $(async fn $name(&self, $($arg: $type),*) -> StoreResult<$out> {
                self.pass()?;
                self.inner.$name($($arg),*).await
            })*
            $($($own)*)?
        }
    )* };
}

passes_on! {
    Store {
        fn engine() -> String;
        fn ping() -> ();
        fn create_user(new: NewUser) -> UserRecord;
        fn user_by_email(email: &str) -> Option<UserRecord>;
        fn user_by_id(id: UserId) -> Option<UserRecord>;
        fn user_count() -> u64;
        fn create_session(session: &SessionRecord) -> bool;
        fn save_session(session: &SessionRecord) -> ();
        fn session(id: &str, now: UtcMillis) -> Option<SessionRecord>;
        fn delete_session(id: &str) -> ();
        fn delete_expired_sessions(now: UtcMillis) -> u64;
        fn devices() -> Vec<DeviceRecord>;
        fn device(id: &DeviceId) -> Option<DeviceRecord>;
        fn lights() -> Vec<LightRecord>;
        fn lights_of_device(device: DeviceNo) -> Vec<LightRecord>;
        fn register_device(new: NewDevice, audit: &AuditEntry) -> (DeviceRecord, LightRecord);
        fn note_pending(note: &PendingNote) -> ();
        fn waiting_devices(limit: u32) -> Vec<DeviceRecord>;
        fn open_claim_window(id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> bool;
        fn claim_device(claim: &Claim, audit: &AuditEntry) -> bool;
        fn save_reported(device: DeviceNo, reported: &Reported) -> ();
        fn readings(light: LightNo, from: UtcMillis, to: UtcMillis, limit: u32) -> Vec<ReadingRow>;
        fn latest_readings(light: LightNo, limit: u32) -> Vec<ReadingRow>;
        fn log_after(after: LogPosition, limit: u32) -> Vec<(LogPosition, ReadingRow)>;
        fn write_checkpoint(upto: LogPosition, rows: &[CheckpointRow]) -> ();
        fn checkpoint() -> (LogPosition, Vec<CheckpointRow>);
        fn change_commands(changes: &[CommandChange]) -> Vec<bool>;
        fn command(id: &CommandId) -> Option<Command>;
        fn live_commands() -> Vec<Command>;
        fn commands_of_light(light: LightNo, limit: u32) -> Vec<Command>;
        fn write_audit(entry: &AuditEntry) -> ();
        fn audit(limit: u32) -> Vec<AuditEntry>;
    } {
        async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
            self.waiting.fetch_add(1, Ordering::SeqCst);
            let _held = self.appends.acquire().await.expect("never closed");
            self.waiting.fetch_sub(1, Ordering::SeqCst);
            self.pass()?;
            self.inner.append_readings(rows).await
        }

        async fn close(&self) {
            self.inner.close().await;
        }
    }
    Credentials {
        fn use_token(device: DeviceNo, generation: i64) -> ();
        fn revoke_device(id: &DeviceId, at: UtcMillis, audit: &AuditEntry) -> Option<(DeviceRecord, Vec<CommandId>)>;
        fn release_device(id: &DeviceId, claim_until: Option<UtcMillis>, audit: &AuditEntry) -> Option<DeviceRecord>;
        fn open_reclaim_window(id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> bool;
        fn reclaim_device(device: DeviceNo, at: UtcMillis, audit: &AuditEntry) -> Option<DeviceRecord>;
        fn swap_device(
            old: &DeviceId, new: &DeviceId, at: UtcMillis, claim_until: UtcMillis, audit: &AuditEntry
        ) -> Option<Swapped>;
        fn heartbeat(at: UtcMillis) -> ();
        fn last_heartbeat() -> Option<UtcMillis>;
        fn add_outage(outage: Outage) -> ();
        fn outages(since: UtcMillis) -> Vec<Outage>;
    }
    Curation {
        fn curate(steps: &[CurationStep], audit: &[AuditEntry]) -> Vec<(Option<DeviceRecord>, LightRecord)>;
    }
    Alerts {
        fn raise_alert(raise: &AlertRaise) -> (AlertRecord, bool);
        fn move_alert(
            no: i64, to: AlertState, by: &str, at: UtcMillis, audit: &AuditEntry
        ) -> Option<AlertRecord>;
        fn alert(no: i64) -> Option<AlertRecord>;
        fn alerts(query: &AlertQuery) -> Vec<AlertRecord>;
    }
    Uploads {
        fn save_device_log(device: DeviceNo, at: UtcMillis, text: &str, keep: u32) -> ();
        fn device_logs(device: DeviceNo, limit: u32) -> Vec<DeviceLog>;
        fn save_quarantined(device: DeviceNo, at: UtcMillis, items: &[Quarantined], keep: u32) -> ();
        fn quarantined(device: DeviceNo, limit: u32) -> Vec<(UtcMillis, Quarantined)>;
        fn save_firmware_report(report: &FirmwareReport) -> ();
        fn firmware_report(device: DeviceNo) -> Option<FirmwareReport>;
        fn suspect_readings(light: LightNo, from: UtcMillis, to: UtcMillis, limit: u32) -> Vec<ReadingRow>;
    }
    Access {
        fn create_api_key(new: NewApiKey, audit: &AuditEntry) -> ApiKeyRecord;
        fn api_key(hash: &[u8; 32]) -> Option<ApiKeyRecord>;
        fn api_keys() -> Vec<ApiKeyRecord>;
        fn revoke_api_key(name: &str, at: UtcMillis, audit: &AuditEntry) -> bool;
        fn remembered_answer(actor: &str, key: &str) -> Option<RememberedAnswer>;
        fn remember_answer(actor: &str, key: &str, answer: &RememberedAnswer) -> ();
        fn forget_answers(at: UtcMillis) -> u64;
        fn users() -> Vec<UserRecord>;
        fn change_user(id: UserId, role: Role, zone: Option<String>, audit: &AuditEntry) -> Option<UserRecord>;
        fn change_password(id: UserId, password_hash: &str, audit: &AuditEntry) -> bool;
        fn delete_sessions_of(user: UserId) -> u64;
        fn enqueue_commands(commands: &[Command], audit: &AuditEntry) -> Vec<CommandId>;
        fn cancel_command(id: &CommandId, at: UtcMillis, audit: &AuditEntry) -> Option<Command>;
        fn audit_chain(after: i64, limit: u32) -> Vec<ChainedEntry>;
    }
}
