//! Who did what. Entries of a change are written inside its transaction.
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, StoreResult};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed};

pub(crate) async fn insert(connection: &mut SqliteConnection, entry: &AuditEntry) -> StoreResult<()> {
    let detail = entry.detail.to_string();
    sqlx::query!(
        "INSERT INTO audit (at, actor, action, target, detail) VALUES (?, ?, ?, ?, ?)",
        entry.at.0,
        entry.actor,
        entry.action,
        entry.target,
        detail,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(crate) async fn write(store: &SqliteStore, entry: &AuditEntry) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    insert(&mut tx, entry).await?;
    tx.commit().await.map_err(failed)
}

/// The order of writing is the order of time; the clock may step back.
pub(crate) async fn newest(store: &SqliteStore, limit: u32) -> StoreResult<Vec<AuditEntry>> {
    let found = sqlx::query!("SELECT no, at, actor, action, target, detail FROM audit ORDER BY no DESC LIMIT ?", limit)
        .fetch_all(&store.readers)
        .await
        .map_err(failed)?;
    found
        .into_iter()
        .map(|e| {
            let detail = Row::new("audit", &e.no).json("detail", &e.detail)?;
            Ok(AuditEntry { at: UtcMillis(e.at), actor: e.actor, action: e.action, target: e.target, detail })
        })
        .collect()
}
