//! Who did what. Entries of a change are written inside its transaction.
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::{PostgresStore, failed};

pub(crate) async fn insert(connection: &mut PgConnection, entry: &AuditEntry) -> StoreResult<()> {
    let detail = entry.detail.to_string();
    sqlx::query!(
        "INSERT INTO audit (at, actor, action, target, detail) VALUES ($1, $2, $3, $4, $5::text::json)",
        Instant(entry.at),
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

pub(crate) async fn write(store: &PostgresStore, entry: &AuditEntry) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    insert(&mut tx, entry).await?;
    tx.commit().await.map_err(failed)
}

/// The order of writing is the order of time; the clock may step back.
pub(crate) async fn newest(store: &PostgresStore, limit: u32) -> StoreResult<Vec<AuditEntry>> {
    let found = sqlx::query!(
        r#"SELECT no, at, actor, action, target, detail::text AS "detail!" FROM audit ORDER BY no DESC LIMIT $1"#,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?;
    found
        .into_iter()
        .map(|e| {
            let detail = Row::new("audit", &e.no).json("detail", &e.detail)?;
            Ok(AuditEntry { at: e.at.0, actor: e.actor, action: e.action, target: e.target, detail })
        })
        .collect()
}
