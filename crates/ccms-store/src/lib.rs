//! What CCMS keeps on disk. One object-safe trait, [`Store`]; two engines implement it in plain SQL; `contract` is the
//! specification that both pass. The store keeps records and holds uniqueness and atomicity; every rule about what a
//! record means is above it, in the service.
//!
//! Everything a method reports done is on disk when it returns.
use std::sync::Arc;

use async_trait::async_trait;
use ccms_core::command::{Command, CommandState};
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo, UserId};
use ccms_core::time::UtcMillis;

mod access;
mod alerts;
mod archive;
pub mod audit_chain;
#[cfg(feature = "contract")]
pub mod contract;
mod credentials;
mod curation;
mod delegate;
mod error;
pub mod parse;
mod records;
mod rollups;
mod sealing;
mod sharing;
mod upkeep;
mod uploads;

pub use access::*;
pub use alerts::*;
pub use archive::*;
pub use credentials::*;
pub use curation::*;
pub use delegate::PassBack;
pub use error::{StoreError, StoreResult};
pub use records::*;
pub use rollups::*;
pub use sealing::*;
pub use sharing::*;
pub use upkeep::*;
pub use uploads::*;

/// A handle to whichever engine the database URL chose.
pub type DynStore = Arc<dyn Store>;

/// People, devices, readings, commands and the audit log are here; the rest of the contract is in the traits named above,
/// one file each.
#[async_trait]
pub trait Store:
    Credentials
    + Curation
    + Alerts
    + Uploads
    + Access
    + Sealing
    + Rollups
    + Upkeep
    + Sharing
    + Archive
    + Send
    + Sync
    + 'static
{
    /// `sqlite` or `postgres`, with the engine's version, for logs and readiness.
    async fn engine(&self) -> StoreResult<String>;

    /// Answers when the database can read.
    async fn ping(&self) -> StoreResult<()>;

    /// Whether several server processes may have this database open at the same time. What wraps a store says so itself.
    fn is_shared(&self) -> bool {
        false
    }

    /// Finishes what is under way and closes every connection.
    async fn close(&self);

    // ---- people and their sessions -------------------------------------------------------------------------------

    /// Makes a person and writes `audit`, in one transaction.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the e-mail address (compared without case) is taken.
    async fn create_user(&self, new: NewUser, audit: &AuditEntry) -> StoreResult<UserRecord>;
    async fn user_by_email(&self, email: &str) -> StoreResult<Option<UserRecord>>;
    async fn user_by_id(&self, id: UserId) -> StoreResult<Option<UserRecord>>;
    async fn user_count(&self) -> StoreResult<u64>;

    /// Inserts a session under a new id; false when the id is taken.
    async fn create_session(&self, session: &SessionRecord) -> StoreResult<bool>;
    /// Inserts or replaces.
    async fn save_session(&self, session: &SessionRecord) -> StoreResult<()>;
    /// A session that is not over at `now`.
    async fn session(&self, id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>>;
    async fn delete_session(&self, id: &str) -> StoreResult<()>;
    /// Removes sessions that are over; returns how many.
    async fn delete_expired_sessions(&self, now: UtcMillis) -> StoreResult<u64>;

    // ---- devices and lights ---------------------------------------------------------------------------------------

    /// Every device, by number.
    async fn devices(&self) -> StoreResult<Vec<DeviceRecord>>;
    async fn device(&self, id: &DeviceId) -> StoreResult<Option<DeviceRecord>>;
    /// Devices with a higher number than `after`, in one state or in any, by number, at most `limit`.
    async fn devices_after(
        &self,
        after: DeviceNo,
        state: Option<DeviceState>,
        limit: u32,
    ) -> StoreResult<Vec<DeviceRecord>>;
    /// Every light, by number.
    async fn lights(&self) -> StoreResult<Vec<LightRecord>>;
    /// Lights with a higher number than `after`, by number, at most `limit`.
    async fn lights_after(&self, after: LightNo, limit: u32) -> StoreResult<Vec<LightRecord>>;
    /// The lights that one device drives now, by number.
    async fn lights_of_device(&self, device: DeviceNo) -> StoreResult<Vec<LightRecord>>;

    /// Creates a device (state [`DeviceState::Registered`]) with its light, and writes `audit`, in one transaction. When no
    /// `light_id` is given the first free `LightId::numbered` above all numbers in use is taken.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the device or the light id exists. A *pending* row of the same device (an unknown one
    /// that asked to be let in) is no conflict, nor is a *revoked* one that drives no light (it was refused, or another
    /// took its place): it is turned into the registered device, with its attempts answered (0), under its epoch.
    async fn register_device(&self, new: NewDevice, audit: &AuditEntry) -> StoreResult<(DeviceRecord, LightRecord)>;

    /// Notes, all in one transaction, devices that asked to be let in: each is inserted as [`DeviceState::Pending`] or one
    /// more attempt of it is counted. What it reports of itself replaces what is there, unless the device is claimed or
    /// revoked.
    async fn note_pending(&self, notes: &[PendingNote]) -> StoreResult<()>;
    /// Forgets pending devices that asked at most `attempts` times and not since `before`, at most `limit` of them. Answers
    /// how many went, and how many pending devices are left. Their numbers are free again.
    async fn forget_pending(&self, before: UtcMillis, attempts: u32, limit: u32) -> StoreResult<(u64, u64)>;
    /// Devices that wait for a person: pending ones, and registered unclaimed ones whose `attempts` are above zero. The
    /// most recently seen first, at most `limit`.
    async fn waiting_devices(&self, limit: u32) -> StoreResult<Vec<DeviceRecord>>;

    /// Opens the claim window of a registered, unclaimed device until `until`, which answers its attempts (0); writes
    /// `audit` in the same transaction. False when there is no such device or it is claimed.
    async fn open_claim_window(&self, id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> StoreResult<bool>;

    /// Turns a registered device into a claimed one, once: false when another call was first or it is not registered.
    /// Closes the claim window (whether it is open is the caller's to judge), and writes what the device reported of
    /// itself, and `audit`, in the same transaction.
    async fn claim_device(&self, claim: &Claim, audit: &AuditEntry) -> StoreResult<bool>;

    /// Replaces what a claimed device reports of itself.
    async fn save_reported(&self, device: DeviceNo, reported: &Reported) -> StoreResult<()>;

    // ---- readings: the hot log and the checkpoint ----------------------------------------------------------------

    /// Appends to `energy_parameters` in one transaction, in order. A row whose (light, reported_at, dedupe) is there
    /// already, also earlier in the same batch, is left out. Answers, per row, whether it was stored, and the log position
    /// after the batch. Positions become visible in their order, also when several processes append.
    async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended>;

    /// Rows of one light with `from <= reported_at < to`, newest first (of one moment: the higher `dedupe` first), at most
    /// `limit`. On Postgres it costs a walk over the index entries of all lights in that time.
    async fn readings(
        &self,
        light: LightNo,
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>>;

    /// The newest rows of one light by time of arrival, at most `limit`. Postgres looks back over the last few million
    /// rows of the log. When there is none of the light, its last reading in the checkpoint is the answer.
    async fn latest_readings(&self, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>>;

    /// Rows behind log position `after` in log order, at most `limit`, each with its own position.
    async fn log_after(&self, after: LogPosition, limit: u32) -> StoreResult<Vec<(LogPosition, ReadingRow)>>;

    /// Writes the latest state of these lights and the log position that all lights' include from then on, in one transaction. The
    /// position never moves back, nor does a process write while another one holds the lease: it may know less than what is there.
    async fn write_checkpoint(&self, upto: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()>;

    /// The checkpoint's log position; 0 if none was written.
    async fn checkpoint_position(&self) -> StoreResult<LogPosition>;

    /// The checkpoint's log position and all its rows.
    async fn checkpoint(&self) -> StoreResult<(LogPosition, Vec<CheckpointRow>)>;

    // ---- commands; `Access` gives them and takes them back ------------------------------------------------------

    /// Applies changes of state in one transaction, in order. A change whose `from` is no longer the stored state is left
    /// out; answers, per change, whether it was applied. A state that is not live sets `finished_at` to `at`, the first
    /// [`CommandState::Unverified`] sets `unverified_at`.
    async fn change_commands(&self, changes: &[CommandChange]) -> StoreResult<Vec<bool>>;

    async fn command(&self, id: &CommandId) -> StoreResult<Option<Command>>;
    /// Every command whose state is live ([`CommandState::is_live`]), oldest first.
    async fn live_commands(&self) -> StoreResult<Vec<Command>>;
    /// The newest commands of one light, newest first.
    async fn commands_of_light(&self, light: LightNo, limit: u32) -> StoreResult<Vec<Command>>;
    /// Devices that were asked to restart after `since`, by number, through whichever light. A command that was cancelled
    /// before it was handed out does not count.
    async fn devices_restarted_since(&self, since: UtcMillis) -> StoreResult<Vec<DeviceNo>>;

    // ---- audit ---------------------------------------------------------------------------------------------------

    /// Writes one entry by itself, for what changes nothing else (a refused identity, a sign-in).
    async fn write_audit(&self, entry: &AuditEntry) -> StoreResult<()>;
    /// The newest entries, newest first.
    async fn audit(&self, limit: u32) -> StoreResult<Vec<AuditEntry>>;
}

/// One change of a command's state.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandChange {
    pub id: CommandId,
    pub from: CommandState,
    pub to: CommandState,
    pub at: UtcMillis,
    /// Set with the first hand-over; a later one changes nothing.
    pub delivered_at: Option<UtcMillis>,
    /// The device's time of execution, if it said one. `None` keeps what is there.
    pub executed_at: Option<UtcMillis>,
    /// `None` keeps what is there.
    pub detail: Option<String>,
}

/// A place in `energy_parameters`: the row's number. It grows with every row and is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LogPosition(pub i64);

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Appended {
    /// One per row of the batch: true when it was stored, false when it was there already.
    pub stored: Vec<bool>,
    /// The last row that the log held before this batch (0 if none): nothing of anybody else lies between it and this batch.
    pub before: LogPosition,
    /// The position of the last row of the log after this batch.
    pub upto: LogPosition,
}
