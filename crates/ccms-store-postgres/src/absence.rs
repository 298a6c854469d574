//! When a server was last alive, and when none was: devices could not reach it then.
use ccms_core::time::UtcMillis;
use ccms_store::{Outage, StoreResult};

use crate::instant::Instant;
use crate::{PostgresStore, failed};

pub(crate) async fn heartbeat(store: &PostgresStore, at: UtcMillis) -> StoreResult<()> {
    sqlx::query!(
        "INSERT INTO server_heartbeat (one, at) VALUES (1, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
        Instant(at)
    )
    .execute(&store.pool)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(crate) async fn last_heartbeat(store: &PostgresStore) -> StoreResult<Option<UtcMillis>> {
    let at =
        sqlx::query_scalar!("SELECT at FROM server_heartbeat").fetch_optional(&store.pool).await.map_err(failed)?;
    Ok(at.map(|t| t.0))
}

pub(crate) async fn add(store: &PostgresStore, outage: Outage) -> StoreResult<()> {
    sqlx::query!(
        "INSERT INTO server_outages (began_at, ended_at) VALUES ($1, $2)",
        Instant(outage.from),
        Instant(outage.until)
    )
    .execute(&store.pool)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(crate) async fn outages(store: &PostgresStore, since: UtcMillis) -> StoreResult<Vec<Outage>> {
    let found = sqlx::query!(
        "SELECT began_at, ended_at FROM server_outages WHERE ended_at > $1 ORDER BY began_at, no",
        Instant(since)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(|o| Outage { from: o.began_at.0, until: o.ended_at.0 }).collect())
}
