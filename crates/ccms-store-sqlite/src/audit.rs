//! Who did what, chained. Entries of a change are written inside its transaction.
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, ChainedEntry, StoreResult, audit_chain};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed};

/// Every entry is written here, and linked to the one before it: this is the one writer, inside its transaction, so that
/// none can come in between.
pub(crate) async fn insert(connection: &mut SqliteConnection, entry: &AuditEntry) -> StoreResult<()> {
    let last = sqlx::query!("SELECT no, hash FROM audit ORDER BY no DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed)?;
    let previous = match last.and_then(|l| Some((l.no, l.hash?))) {
        Some((no, hash)) => Row::new("audit", &no).bytes("hash", &hash)?,
        None => audit_chain::CHAIN_START,
    };
    // The number that comes next, also after the last rows were removed by hand: a number is never used twice.
    let no = sqlx::query_scalar!(
        r#"SELECT coalesce(max(seq), 0) + 1 AS "no!: i64" FROM sqlite_sequence WHERE name = 'audit'"#
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let detail = entry.detail.to_string();
    let hash = &audit_chain::link(&previous, no, entry, &detail)[..];
    sqlx::query!(
        "INSERT INTO audit (no, at, actor, action, target, detail, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        no,
        entry.at.0,
        entry.actor,
        entry.action,
        entry.target,
        detail,
        hash,
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

pub(crate) async fn chain(store: &SqliteStore, after: i64, limit: u32) -> StoreResult<Vec<ChainedEntry>> {
    let found = sqlx::query!(
        "SELECT no, at, actor, action, target, detail, hash FROM audit WHERE no > ? ORDER BY no LIMIT ?",
        after,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?;
    found
        .into_iter()
        .map(|e| {
            let row = Row::new("audit", &e.no);
            let detail = row.json("detail", &e.detail)?;
            let hash = e.hash.map(|h| row.bytes("hash", &h)).transpose()?;
            let entry = AuditEntry { at: UtcMillis(e.at), actor: e.actor, action: e.action, target: e.target, detail };
            Ok(ChainedEntry { no: e.no, entry, detail_text: e.detail, hash })
        })
        .collect()
}
