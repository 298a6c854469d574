//! The CCMS store on SQLite: one file, one writer, several readers.
//!
//! - [`open`](SqliteStore::open)  the connections and their settings
//! - `people`      users and their sessions
//! - `access`      API keys, answers that may be asked for twice, what may be changed of people
//! - `devices`     controllers
//! - `lights`      lights, with what people curated
//! - `enrolment`   how a controller comes in
//! - `credentials` how its credentials end; `swap` one for another; `absence` of the server itself
//! - `curation`    many changes of lights as one
//! - `append`      to the hot log `energy_parameters`, whose rows are `batches` of readings; `readings` reads it, by the `chain`
//!   of a light or in order; `hot` is what sealing does to it; `log`, `heads` and `recent` are what memory knows of it
//! - `loose`       readings that are rows of their own; `columns` is one reading as columns, and back
//! - `sealing`     days leave the log for blocks, and `rollups` is what they came to
//! - `upkeep`      checks of everything, and a copy while it is in use
//! - `checkpoint`  the latest state of every light, as `states` in packed pages
//! - `uploads`     log texts, unreadable messages, firmware reports
//! - `alerts`      what is wrong
//! - `commands`    commands and their changes of state; `orders` gives them and takes them back
//! - `sharing`     the part of several processes, which this file never has
//! - `archive`     days whose readings are in files
//! - `audit`       who did what, chained
//! - `failure`     which errors end the trust in the file
//!
//! Every change runs in `BEGIN IMMEDIATE` on the one writer connection: a transaction that reads first and writes later
//! would fail at once, whatever `busy_timeout` says, when another one wrote in between.
use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::*;
use sqlx::{Sqlite, SqlitePool, Transaction};

mod absence;
mod access;
mod alerts;
mod append;
mod archive;
mod audit;
mod batches;
mod chain;
mod checkpoint;
mod columns;
mod commands;
mod credentials;
mod curation;
mod devices;
mod enrolment;
mod failure;
mod forget;
mod heads;
mod hot;
mod lights;
mod links;
mod log;
mod loose;
mod moment;
mod open;
mod orders;
mod people;
mod readings;
mod recent;
mod rollups;
mod sealing;
mod sharing;
mod states;
mod swap;
mod upkeep;
mod uploads;

/// A handle to one database file. Its methods are those of [`Store`].
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    /// One connection for what has to be read before readings are stored: what people ask may keep all others busy.
    intake: SqlitePool,
    log: log::Log,
}

impl SqliteStore {
    /// A transaction that may write, from its first statement on. It begins in a task of its own: a caller that gives up
    /// in between (a device that hung up) must not leave the one writer with a transaction open that nobody commits.
    async fn begin(&self) -> StoreResult<Transaction<'static, Sqlite>> {
        let writer = self.writer.clone();
        let begun = tokio::spawn(async move {
            match writer.begin_with("BEGIN IMMEDIATE").await {
                // SQLite took the last transaction back by itself, as it does on a full disk; the driver believes it open still,
                // and would for ever.
                Err(sqlx::Error::InvalidSavePointStatement) => {
                    let _ = writer.acquire().await?.close().await;
                    writer.begin_with("BEGIN IMMEDIATE").await
                }
                begun => begun,
            }
        });
        begun.await.map_err(StoreError::unavailable)?.map_err(failed)
    }
}

/// Every failure the SQL itself does not foresee is the database's.
fn failed(error: sqlx::Error) -> StoreError {
    if failure::is_final(&error) { StoreError::broken(error) } else { StoreError::unavailable(error) }
}

#[async_trait]
impl Store for SqliteStore {
    async fn engine(&self) -> StoreResult<String> {
        Ok(format!("sqlite {}", open::version(&self.readers).await?))
    }

    async fn ping(&self) -> StoreResult<()> {
        open::version(&self.readers).await.map(drop)
    }

    async fn close(&self) {
        // The readers first: the last connection to close folds the journal back into the file.
        self.readers.close().await;
        self.intake.close().await;
        self.writer.close().await;
    }

    async fn create_user(&self, new: NewUser, audit: &AuditEntry) -> StoreResult<UserRecord> {
        people::create_user(self, new, audit).await
    }
    async fn user_by_email(&self, email: &str) -> StoreResult<Option<UserRecord>> {
        people::user_by_email(self, email).await
    }
    async fn user_by_id(&self, id: UserId) -> StoreResult<Option<UserRecord>> {
        people::user_by_id(self, id).await
    }
    async fn user_count(&self) -> StoreResult<u64> {
        people::user_count(self).await
    }
    async fn create_session(&self, session: &SessionRecord) -> StoreResult<bool> {
        people::create_session(self, session).await
    }
    async fn save_session(&self, session: &SessionRecord) -> StoreResult<()> {
        people::save_session(self, session).await
    }
    async fn session(&self, id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>> {
        people::session(self, id, now).await
    }
    async fn delete_session(&self, id: &str) -> StoreResult<()> {
        people::delete_session(self, id).await
    }
    async fn delete_expired_sessions(&self, now: UtcMillis) -> StoreResult<u64> {
        people::delete_expired_sessions(self, now).await
    }

    async fn devices(&self) -> StoreResult<Vec<DeviceRecord>> {
        devices::devices(self).await
    }
    async fn device(&self, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
        devices::device(self, id).await
    }
    async fn devices_after(
        &self,
        after: DeviceNo,
        state: Option<DeviceState>,
        limit: u32,
    ) -> StoreResult<Vec<DeviceRecord>> {
        devices::after(self, after, state, limit).await
    }
    async fn lights(&self) -> StoreResult<Vec<LightRecord>> {
        lights::all(self).await
    }
    async fn lights_after(&self, after: LightNo, limit: u32) -> StoreResult<Vec<LightRecord>> {
        lights::after(self, after, limit).await
    }
    async fn lights_of_device(&self, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
        lights::of_device(self, device).await
    }
    async fn register_device(&self, new: NewDevice, audit: &AuditEntry) -> StoreResult<(DeviceRecord, LightRecord)> {
        enrolment::register(self, new, audit).await
    }
    async fn note_pending(&self, notes: &[PendingNote]) -> StoreResult<()> {
        enrolment::note_pending(self, notes).await
    }
    async fn forget_pending(&self, before: UtcMillis, attempts: u32, limit: u32) -> StoreResult<(u64, u64)> {
        enrolment::forget_pending(self, before, attempts, limit).await
    }
    async fn waiting_devices(&self, limit: u32) -> StoreResult<Vec<DeviceRecord>> {
        devices::waiting(self, limit).await
    }
    async fn open_claim_window(&self, id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> StoreResult<bool> {
        enrolment::open_claim_window(self, id, until, audit).await
    }
    async fn claim_device(&self, claim: &Claim, audit: &AuditEntry) -> StoreResult<bool> {
        enrolment::claim(self, claim, audit).await
    }
    async fn save_reported(&self, device: DeviceNo, reported: &Reported) -> StoreResult<()> {
        devices::save_reported(self, device, reported).await
    }

    async fn append_readings(&self, rows: &[ReadingRow]) -> StoreResult<Appended> {
        append::append(self, rows).await
    }
    async fn readings(
        &self,
        light: LightNo,
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        readings::between(self, light, (from, to), limit).await
    }
    async fn latest_readings(&self, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>> {
        readings::latest(self, light, limit).await
    }
    async fn log_after(&self, after: LogPosition, limit: u32) -> StoreResult<Vec<(LogPosition, ReadingRow)>> {
        readings::log_after(self, after, limit).await
    }
    async fn checkpoint_position(&self) -> StoreResult<LogPosition> {
        checkpoint::position(self).await
    }
    async fn write_checkpoint(&self, upto: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()> {
        checkpoint::write(self, upto, rows).await
    }
    async fn checkpoint(&self) -> StoreResult<(LogPosition, Vec<CheckpointRow>)> {
        checkpoint::read(self).await
    }

    async fn change_commands(&self, changes: &[CommandChange]) -> StoreResult<Vec<bool>> {
        commands::change(self, changes).await
    }
    async fn command(&self, id: &CommandId) -> StoreResult<Option<Command>> {
        commands::command(self, id).await
    }
    async fn live_commands(&self) -> StoreResult<Vec<Command>> {
        commands::live(self).await
    }
    async fn commands_of_light(&self, light: LightNo, limit: u32) -> StoreResult<Vec<Command>> {
        commands::of_light(self, light, limit).await
    }
    async fn devices_restarted_since(&self, since: UtcMillis) -> StoreResult<Vec<DeviceNo>> {
        commands::restarted_since(self, since).await
    }

    async fn write_audit(&self, entry: &AuditEntry) -> StoreResult<()> {
        audit::write(self, entry).await
    }
    async fn audit(&self, limit: u32) -> StoreResult<Vec<AuditEntry>> {
        audit::newest(self, limit).await
    }
}
