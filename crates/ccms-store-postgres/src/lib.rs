//! The CCMS store on PostgreSQL, for one server process or several.
//!
//! - `connect`      [`PostgresStore::connect`]: the pool and the migrations
//! - `instant`      epoch milliseconds as TIMESTAMPTZ
//! - `text`         what TEXT cannot hold
//! - `people`       who may sign in, and `sessions`
//! - `devices`      controllers, and `lights`
//! - `enrolment`    how a controller comes in
//! - `credentials`  how its credentials end, `swap` among them; `absence`: when no server was there
//! - `curation`     what people say of lights, many at once
//! - `readings`     the hot log `energy_parameters`: append and read
//! - `columns`      one reading as columns, and back
//! - `sealing`      days leave the log for blocks, and `rollups` is what they came to
//! - `upkeep`      checks of everything, and a copy while it is in use
//! - `checkpoint`   the latest state of every light
//! - `uploads`      what devices hand in beside readings
//! - `enqueue`      asking for commands; `commands`: what becomes of them
//! - `alerts`       what wants a person's eye
//! - `access`       `api_keys`, `answers` that may be asked for twice, and people's administration
//! - `sharing`      several server processes: one lease, and notices of what each changed
//! - `archive`      days whose readings are in files
//! - `audit`        who did what, chained
//!
//! Transactions run at READ COMMITTED. Where two of them must not overlap they take a [`Lock`] first, always in the order
//! of the enum; then rows of devices; the audit log's at the very end. So no two wait for each other.
use std::sync::atomic::AtomicI64;

use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightNo, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::*;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};

mod absence;
mod access;
mod alerts;
mod answers;
mod api_keys;
mod archive;
mod audit;
mod checkpoint;
mod columns;
mod commands;
mod connect;
mod credentials;
mod curation;
mod devices;
mod enqueue;
mod enrolment;
mod instant;
mod lights;
mod people;
mod readings;
mod rollups;
mod sealing;
mod sessions;
mod sharing;
mod swap;
mod text;
mod upkeep;
mod uploads;

/// A handle to one database. Its methods are those of [`Store`].
pub struct PostgresStore {
    pool: PgPool,
    /// One connection for readings that come in: what people ask may keep all others busy.
    intake: PgPool,
    /// Where the oldest row of the log was that is neither sealed nor suspect; none is before it.
    oldest_hot: AtomicI64,
    /// For connections beside the pool.
    options: PgConnectOptions,
    /// This handle among all on the database; also the name of its connections.
    origin: String,
}

impl PostgresStore {
    /// A transaction. It begins in a task of its own: a caller that gives up in between (a device that hung up) would
    /// otherwise hand a connection back to the pool with a transaction open that nobody commits.
    async fn begin(&self) -> StoreResult<Transaction<'static, Postgres>> {
        let pool = self.pool.clone();
        tokio::spawn(async move { pool.begin().await }).await.map_err(StoreError::unavailable)?.map_err(failed)
    }
}

/// Every failure the SQL itself does not foresee is the database's.
fn failed(error: sqlx::Error) -> StoreError {
    StoreError::unavailable(error)
}

/// What only one transaction at a time may do, over all server processes. Held until the end of the transaction.
#[derive(Clone, Copy)]
enum Lock {
    /// Appending to the log: numbers must become visible in their order, or who follows the log would miss rows.
    Log = 1,
    /// Giving numbers to devices and lights, and changing what drives or describes lights.
    Numbering = 2,
    /// Adding commands and changing what is there: each names many, in any order.
    Commands = 3,
    /// Writing entries of the audit log: the last thing before the commit.
    Audit = 4,
}

async fn lock(connection: &mut PgConnection, lock: Lock) -> StoreResult<()> {
    /// Apart from the locks of others in the same database: "ccms" in ASCII.
    const OURS: i64 = 0x6363_6d73;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", OURS << 32 | lock as i64)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

#[async_trait]
impl Store for PostgresStore {
    async fn engine(&self) -> StoreResult<String> {
        Ok(format!("postgres {}", connect::version(&self.pool).await?))
    }

    async fn ping(&self) -> StoreResult<()> {
        connect::version(&self.pool).await.map(drop)
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn close(&self) {
        self.intake.close().await;
        self.pool.close().await;
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
        sessions::create(self, session).await
    }
    async fn save_session(&self, session: &SessionRecord) -> StoreResult<()> {
        sessions::save(self, session).await
    }
    async fn session(&self, id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>> {
        sessions::session(self, id, now).await
    }
    async fn delete_session(&self, id: &str) -> StoreResult<()> {
        sessions::delete(self, id).await
    }
    async fn delete_expired_sessions(&self, now: UtcMillis) -> StoreResult<u64> {
        sessions::delete_expired(self, now).await
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
        lights::lights(self).await
    }
    async fn lights_after(&self, after: LightNo, limit: u32) -> StoreResult<Vec<LightRecord>> {
        lights::after(self, after, limit).await
    }
    async fn lights_of_device(&self, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
        lights::of_device(self, device).await
    }
    async fn register_device(&self, new: NewDevice, audit: &AuditEntry) -> StoreResult<(DeviceRecord, LightRecord)> {
        enrolment::register(self, &new, audit).await
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
        readings::append(self, rows).await
    }
    async fn readings(
        &self,
        light: LightNo,
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        readings::between(self, light, from, to, limit).await
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
