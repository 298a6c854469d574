//! Connecting: the pools, their limits, and the migrations.
//!
//! A process whose host vanishes says nothing more, and the database keeps what it holds: in the middle of an append the lock that
//! every other process' intake waits for. So the database is told with each connection how long it may be silent.
use std::str::FromStr;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use ccms_store::{StoreError, StoreResult};
use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::{PostgresStore, failed, sharing};

/// Run under an advisory lock: of several processes that start together, one migrates and the others wait.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/postgres");

const CONNECTIONS: u32 = 8;
/// How long a call waits for a connection before it says that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The database's limits for a connection of ours. Set on each, not asked for with it: poolers pass on little of that.
///
/// - Within a transaction we never wait for anything but the database.
/// - Who changes ten thousands of lights at once holds a lock for seconds.
/// - A host that is gone is noticed after 10 s and three times 5 s, also where it owes an answer.
const LIMITS: &str = "SET idle_in_transaction_session_timeout = '5s';
    SET lock_timeout = '30s';
    SET tcp_keepalives_idle = 10;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = '25s'";

impl PostgresStore {
    /// Connects to `postgres://…` and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the URL cannot be read or the database has the schema of another release;
    /// [`StoreError::Unavailable`] when the server cannot be reached or refuses.
    pub async fn connect(url: &str) -> StoreResult<Self> {
        let origin = sharing::new_origin();
        // The URL may hold a password: it stays out of the message.
        let options = PgConnectOptions::from_str(url)
            .map_err(|e| StoreError::Unusable(format!("the database URL cannot be read: {e}")))?
            .application_name(&origin);
        // On a connection without limits: of several that start together all but one wait until it is done, however long.
        let migrating = PgPoolOptions::new().max_connections(1).connect_with(options.clone()).await.map_err(failed)?;
        MIGRATIONS.run(&migrating).await.map_err(not_migrated)?;
        migrating.close().await;
        let pool = connections(CONNECTIONS, &options).await?;
        let intake = connections(1, &options).await?;
        warn_if_not_durable(&pool).await?;
        Ok(Self { pool, intake, oldest_hot: AtomicI64::new(0), options, origin })
    }
}

async fn connections(max: u32, options: &PgConnectOptions) -> StoreResult<PgPool> {
    PgPoolOptions::new()
        .max_connections(max)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| {
            // Not checked when compiled: these are no queries.
            Box::pin(async move { sqlx::raw_sql(LIMITS).execute(connection).await.map(drop) })
        })
        .connect_with(options.clone())
        .await
        .map_err(failed)
}

pub(crate) async fn version(pool: &PgPool) -> StoreResult<String> {
    sqlx::query_scalar!(r#"SELECT current_setting('server_version') AS "version!""#)
        .fetch_one(pool)
        .await
        .map_err(failed)
}

/// The server's own settings stand, but who switched the flush off should hear what it costs here.
async fn warn_if_not_durable(pool: &PgPool) -> StoreResult<()> {
    let set = sqlx::query!(
        r#"SELECT current_setting('synchronous_commit') AS "commit!", current_setting('fsync') AS "fsync!""#
    )
    .fetch_one(pool)
    .await
    .map_err(failed)?;
    if set.commit == "off" || set.fsync == "off" {
        tracing::warn!(
            synchronous_commit = set.commit,
            fsync = set.fsync,
            "the database does not flush its commits: a power cut loses readings that devices were told are stored"
        );
    }
    Ok(())
}

/// A schema that does not fit is for a person to solve; anything else may pass.
fn not_migrated(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(e) => failed(e),
        other => StoreError::Unusable(format!("the schema does not fit this release: {other}")),
    }
}
