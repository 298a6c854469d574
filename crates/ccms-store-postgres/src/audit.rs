//! Who did what, chained by hashes. Entries of a change are written inside its transaction, as its last statement: the lock
//! that puts all entries into one order is held until the commit.
use ccms_store::audit_chain::{CHAIN_START, link};
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, ChainedEntry, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{Lock, PostgresStore, failed, lock};

pub(crate) async fn insert(connection: &mut PgConnection, entry: &AuditEntry) -> StoreResult<()> {
    insert_all(connection, std::slice::from_ref(entry)).await
}

pub(crate) async fn insert_all(connection: &mut PgConnection, entries: &[AuditEntry]) -> StoreResult<()> {
    if entries.is_empty() {
        return Ok(());
    }
    lock(connection, Lock::Audit).await?;
    // A statement of its own after the lock, so that it sees what the transaction before wrote. Numbers of transactions
    // that failed stay out of the chain: it has gaps in its numbers, none in its hashes.
    let (mut numbers, last) = next_numbers(connection, entries.len()).await?;
    numbers.sort_unstable();
    let mut previous = match &last {
        None => CHAIN_START,
        Some(bytes) => Row::new("audit", &"newest").bytes("hash", bytes)?,
    };
    let mut columns = Columns::default();
    for (no, entry) in numbers.iter().zip(entries) {
        let detail = entry.detail.to_string();
        // The link covers what will be read: the columns cannot hold every text and every time.
        let stored = AuditEntry {
            at: Instant(entry.at).stored(),
            actor: plain(&entry.actor),
            action: plain(&entry.action),
            target: plain(&entry.target),
            detail: serde_json::Value::Null,
        };
        previous = link(&previous, *no, &stored, &detail);
        columns.at.push(Instant(stored.at));
        columns.actor.push(stored.actor);
        columns.action.push(stored.action);
        columns.target.push(stored.target);
        columns.detail.push(detail);
        columns.hash.push(previous.to_vec());
    }
    sqlx::query!(
        "INSERT INTO audit (no, at, actor, action, target, detail, hash) OVERRIDING SYSTEM VALUE
         SELECT no, at, actor, action, target, detail::json, hash
         FROM unnest($1::bigint[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
           AS entry (no, at, actor, action, target, detail, hash)",
        &numbers,
        &columns.at as _,
        &columns.actor,
        &columns.action,
        &columns.target,
        &columns.detail,
        &columns.hash,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}

#[derive(Default)]
struct Columns {
    at: Vec<Instant>,
    actor: Vec<String>,
    action: Vec<String>,
    target: Vec<String>,
    detail: Vec<String>,
    hash: Vec<Vec<u8>>,
}

/// As many new numbers, and the hash of the newest entry.
async fn next_numbers(connection: &mut PgConnection, count: usize) -> StoreResult<(Vec<i64>, Option<Vec<u8>>)> {
    let rows = sqlx::query!(
        r#"SELECT nextval(pg_get_serial_sequence('audit', 'no')) AS "no!",
             (SELECT hash FROM audit ORDER BY no DESC LIMIT 1) AS last
           FROM generate_series(1, $1::bigint)"#,
        i64::try_from(count).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    let numbers = rows.iter().map(|row| row.no).collect();
    Ok((numbers, rows.into_iter().next().and_then(|row| row.last)))
}

pub(crate) async fn write(store: &PostgresStore, entry: &AuditEntry) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    insert(&mut tx, entry).await?;
    tx.commit().await.map_err(failed)
}

struct AuditColumns {
    no: i64,
    at: Instant,
    actor: String,
    action: String,
    target: String,
    detail: String,
    hash: Option<Vec<u8>>,
}

impl AuditColumns {
    fn chained(self) -> StoreResult<ChainedEntry> {
        let row = Row::new("audit", &self.no);
        let detail = row.json("detail", &self.detail)?;
        Ok(ChainedEntry {
            no: self.no,
            entry: AuditEntry { at: self.at.0, actor: self.actor, action: self.action, target: self.target, detail },
            detail_text: self.detail,
            hash: self.hash.map(|bytes| row.bytes("hash", &bytes)).transpose()?,
        })
    }
}

/// The order of writing is the order of time; the clock may step back.
pub(crate) async fn newest(store: &PostgresStore, limit: u32) -> StoreResult<Vec<AuditEntry>> {
    sqlx::query_as!(
        AuditColumns,
        r#"SELECT no, at, actor, action, target, detail::text AS "detail!", hash FROM audit ORDER BY no DESC LIMIT $1"#,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|columns| Ok(columns.chained()?.entry))
    .collect()
}

pub(crate) async fn chain(store: &PostgresStore, after: i64, limit: u32) -> StoreResult<Vec<ChainedEntry>> {
    sqlx::query_as!(
        AuditColumns,
        r#"SELECT no, at, actor, action, target, detail::text AS "detail!", hash FROM audit
           WHERE no > $1 ORDER BY no LIMIT $2"#,
        after,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(AuditColumns::chained)
    .collect()
}
