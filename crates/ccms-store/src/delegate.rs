//! A store around another one, for the service's own guard, for tests and measurements: the one list of every method, so that what wraps a store only
//! says what it does around each call.

use crate::StoreResult;

/// What comes back from the store below goes on to the caller as it is, and nothing happens around a call. A wrapper that wants it
/// otherwise has a method of its own under such a name, which goes before the one here.
pub trait PassBack {
    fn pass_back<T>(&self, answer: StoreResult<T>) -> StoreResult<T> {
        answer
    }

    /// Just before a call of the store below, and as soon as it returned.
    fn enters(&self, _call: &'static str) {}
    fn leaves(&self, _call: &'static str) {}
}

impl<W: ?Sized> PassBack for W {}

/// Implements [`Store`](crate::Store) for a type by passing every call on to its field `inner`, after its method
/// `pass(&self) -> StoreResult<()>` let it through. `append_readings` and `close` are its own, under the same names.
#[macro_export]
macro_rules! delegate_store {
    (@impl $type:ty, $($trait:ident { $(fn $name:ident($($arg:ident: $kind:ty),* $(,)?) -> $out:ty;)* } $({ $($own:tt)* })?)*) => { $(
        #[async_trait::async_trait]
        impl $crate::$trait for $type {
            $(async fn $name(&self, $($arg: $kind),*) -> StoreResult<$out> {
                self.pass()?;
                self.enters(stringify!($name));
                let answer = self.inner.$name($($arg),*).await;
                self.leaves(stringify!($name));
                self.pass_back(answer)
            })*
            $($($own)*)?
        }
    )* };
    ($type:ty { $($own:tt)* }) => {
        use ccms_core::command::Command;
        use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo, UserId};
        use ccms_core::time::UtcMillis;
        use $crate::*;

        $crate::delegate_store! { @impl $type,
        Store {
            fn engine() -> String;
            fn ping() -> ();
            fn create_user(new: NewUser, audit: &AuditEntry) -> UserRecord;
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
            fn devices_after(after: DeviceNo, state: Option<DeviceState>, limit: u32) -> Vec<DeviceRecord>;
            fn lights() -> Vec<LightRecord>;
            fn lights_after(after: LightNo, limit: u32) -> Vec<LightRecord>;
            fn lights_of_device(device: DeviceNo) -> Vec<LightRecord>;
            fn register_device(new: NewDevice, audit: &AuditEntry) -> (DeviceRecord, LightRecord);
            fn note_pending(notes: &[PendingNote]) -> ();
            fn forget_pending(before: UtcMillis, attempts: u32, limit: u32) -> (u64, u64);
            fn waiting_devices(limit: u32) -> Vec<DeviceRecord>;
            fn open_claim_window(id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> bool;
            fn claim_device(claim: &Claim, audit: &AuditEntry) -> bool;
            fn save_reported(device: DeviceNo, reported: &Reported) -> ();
            fn readings(light: LightNo, from: UtcMillis, to: UtcMillis, limit: u32) -> Vec<ReadingRow>;
            fn latest_readings(light: LightNo, limit: u32) -> Vec<ReadingRow>;
            fn log_after(after: LogPosition, limit: u32) -> Vec<(LogPosition, ReadingRow)>;
            fn checkpoint_position() -> LogPosition;
            fn write_checkpoint(upto: LogPosition, rows: &[CheckpointRow]) -> ();
            fn checkpoint() -> (LogPosition, Vec<CheckpointRow>);
            fn change_commands(changes: &[CommandChange]) -> Vec<bool>;
            fn command(id: &CommandId) -> Option<Command>;
            fn live_commands() -> Vec<Command>;
            fn commands_of_light(light: LightNo, limit: u32) -> Vec<Command>;
            fn devices_restarted_since(since: UtcMillis) -> Vec<DeviceNo>;
            fn write_audit(entry: &AuditEntry) -> ();
            fn audit(limit: u32) -> Vec<AuditEntry>;
        } { $($own)* }
        Credentials {
            fn use_tokens(used: &[(DeviceNo, i64)]) -> ();
            fn revoke_device(id: &DeviceId, at: UtcMillis, audit: &AuditEntry) -> Option<(DeviceRecord, Vec<CommandId>)>;
            fn release_device(id: &DeviceId, claim_until: Option<UtcMillis>, audit: &AuditEntry) -> Option<DeviceRecord>;
            fn open_reclaim_window(id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> bool;
            fn reclaim_device(device: DeviceNo, now: UtcMillis, claimed_at: UtcMillis, audit: &AuditEntry) -> Option<DeviceRecord>;
            fn swap_device(
                old: &DeviceId, new: &DeviceId, at: UtcMillis, claim_until: UtcMillis, audit: &AuditEntry
            ) -> Option<Swapped>;
            fn heartbeat(at: UtcMillis) -> ();
            fn last_heartbeat() -> Option<UtcMillis>;
            fn add_outage(outage: Outage) -> ();
            fn outages(since: UtcMillis) -> Vec<Outage>;
        }
        Curation {
            fn curate(steps: &[CurationStep], audit: &[AuditEntry]) -> Vec<CurationDone>;
        }
        Alerts {
            fn raise_alert(raise: &AlertRaise) -> (AlertRecord, bool);
            fn raise_alert_once(raise: &AlertRaise, said: i64, keep: u32) -> Option<(AlertRecord, bool)>;
            fn move_alert(
                no: i64, to: AlertState, by: &str, at: UtcMillis, audit: &AuditEntry
            ) -> Option<AlertRecord>;
            fn alert(no: i64) -> Option<AlertRecord>;
            fn alerts(query: &AlertQuery) -> Vec<AlertRecord>;
            fn alerts_of_zone(zone: &str, query: &AlertQuery, reach: u32) -> (Vec<AlertRecord>, Option<i64>);
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
        Sealing {
            fn row_at_or_before(position: LogPosition) -> Option<(LogPosition, UtcMillis)>;
            fn earliest_hot_day(from: Day, before: Day, upto: LogPosition) -> Option<Day>;
            fn hot_count(day: Day, upto: LogPosition) -> u64;
            fn hot_rows(
                day: Day, after: Option<&(LogPosition, ReadingRow)>, upto: LogPosition, limit: u32
            ) -> Vec<(LogPosition, ReadingRow)>;
            fn forget_hot(
                day: Day, after: LogPosition, upto: LogPosition, limit: u32, except: &[LightNo]
            ) -> (u64, LogPosition);
            fn forget_suspect(before: UtcMillis, upto: LogPosition, limit: u32) -> u64;
            fn write_sealed(days: &[SealedDay]) -> Vec<bool>;
            fn sealed_of_day(day: Day, from: LightNo, to: LightNo) -> Vec<SealedDay>;
            fn sealed_of_light(light: LightNo, from: Day, last: Day, limit: u32) -> Vec<SealedDay>;
        }
        Rollups {
            fn seal(days: &[(SealedDay, RolledDay)]) -> Vec<bool>;
            fn write_rollups(days: &[RolledDay]) -> ();
            fn unrolled_days(limit: u32) -> Vec<(LightNo, Day)>;
            fn rollups_of_light(light: LightNo, from: Day, last: Day, limit: u32) -> Vec<RolledDay>;
            fn ledgers(lights: (LightNo, LightNo), from: Day, last: Day) -> Vec<LedgerDay>;
            fn ledgers_before(lights: (LightNo, LightNo), day: Day) -> Vec<LedgerDay>;
            fn open_parts(before: Day, limit: u32) -> Vec<DayPart>;
            fn write_daily(part: &DayPart, body: &[u8]) -> bool;
            fn daily(part: u32, from: Day, last: Day) -> Vec<DailyPart>;
            fn daily_known(from: Day, last: Day) -> Vec<(Day, u32)>;
            fn newest_hot(lights: &[LightNo], from: UtcMillis, to: UtcMillis) -> Vec<ReadingRow>;
            fn oldest_hot_arrival(except: &[LightNo]) -> Option<UtcMillis>;
            fn bare_rollups(after: (LightNo, Day), limit: u32) -> Vec<(LightNo, Day)>;
        }
        Upkeep {
            fn settle() -> ();
            fn unused_bytes() -> u64;
            fn engine_findings() -> Vec<String>;
            fn log_findings() -> Vec<String>;
            fn schema_version() -> i64;
            fn counts() -> Vec<Count>;
            fn last_position() -> LogPosition;
            fn sealed_after(after: (LightNo, Day), limit: u32) -> Vec<SealedDay>;
            fn copy_into(file: &std::path::Path) -> ();
        }
        Sharing {
            fn hold_lease(for_ms: u32) -> bool;
            fn leave_lease() -> ();
            fn notices() -> Notices;
            fn tell_contacts(heard: &[(DeviceNo, UtcMillis)]) -> ();
            fn devices_of(numbers: &[DeviceNo]) -> Vec<DeviceRecord>;
            fn lights_of(numbers: &[LightNo]) -> Vec<LightRecord>;
            fn live_commands_of(devices: &[DeviceNo]) -> Vec<Command>;
        }
        Archive {
            fn earliest_sealed_day(from: Day, before: Day) -> Option<Day>;
            fn sealed_page(day: Day, from: LightNo, limit: u32) -> Vec<SealedDay>;
            fn archived_days(from: Day, last: Day, limit: u32) -> Vec<ArchivedDay>;
            fn record_archived(day: &ArchivedDay) -> bool;
            fn adopt_archived(day: &ArchivedDay, before: Option<u32>, audit: &AuditEntry) -> bool;
            fn forget_sealed(day: Day, revision: u32, blocks: &[SealedMark]) -> u64;
            fn keep_sealed(day: Day, until: UtcMillis, audit: &AuditEntry) -> Option<ArchivedDay>;
            fn mark_restored(day: Day, revision: u32) -> bool;
            fn end_keeping(day: Day, now: UtcMillis) -> bool;
            fn forget_archived(day: Day, revision: u32, audit: &AuditEntry) -> bool;
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
            fn change_password(id: UserId, password_hash: &str, audit: &AuditEntry) -> Option<u64>;
            fn delete_sessions_of(user: UserId, audit: &AuditEntry) -> Option<u64>;
            fn enqueue_commands(commands: &[Command], audit: &AuditEntry) -> Vec<CommandId>;
            fn enqueue_commands_once(commands: &[Command], audit: &AuditEntry, note: &AnswerNote) -> Vec<CommandId>;
            fn cancel_command(id: &CommandId, at: UtcMillis, audit: &AuditEntry) -> Option<Command>;
            fn audit_chain(after: i64, limit: u32) -> Vec<ChainedEntry>;
        }
        }
    };
}
