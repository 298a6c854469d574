//! When the server was last alive, and when it was not: devices could not reach it then.
use ccms_core::time::UtcMillis;
use ccms_store::{Outage, StoreResult};

use crate::{SqliteStore, failed};

pub(crate) async fn heartbeat(store: &SqliteStore, at: UtcMillis) -> StoreResult<()> {
    sqlx::query!("INSERT OR REPLACE INTO server_heartbeat (one, at) VALUES (1, ?)", at.0)
        .execute(&store.writer)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(crate) async fn last_heartbeat(store: &SqliteStore) -> StoreResult<Option<UtcMillis>> {
    let at =
        sqlx::query_scalar!("SELECT at FROM server_heartbeat").fetch_optional(&store.readers).await.map_err(failed)?;
    Ok(at.map(UtcMillis))
}

pub(crate) async fn add(store: &SqliteStore, outage: Outage) -> StoreResult<()> {
    sqlx::query!("INSERT INTO server_outages (began_at, ended_at) VALUES (?, ?)", outage.from.0, outage.until.0)
        .execute(&store.writer)
        .await
        .map_err(failed)?;
    Ok(())
}

pub(crate) async fn outages(store: &SqliteStore, since: UtcMillis) -> StoreResult<Vec<Outage>> {
    let found =
        sqlx::query!("SELECT began_at, ended_at FROM server_outages WHERE ended_at > ? ORDER BY began_at, no", since.0)
            .fetch_all(&store.readers)
            .await
            .map_err(failed)?;
    Ok(found.into_iter().map(|o| Outage { from: UtcMillis(o.began_at), until: UtcMillis(o.ended_at) }).collect())
}
