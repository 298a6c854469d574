//! Answers that a program may ask for twice.
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{RememberedAnswer, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, failed};

pub(crate) async fn remembered(store: &PostgresStore, actor: &str, key: &str) -> StoreResult<Option<RememberedAnswer>> {
    let found = sqlx::query!(
        "SELECT request, status, body, at FROM remembered_answers WHERE actor = $1 AND key = $2",
        plain(actor),
        plain(key)
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?;
    let row = Row::new("remembered_answers", &key);
    found
        .map(|a| {
            Ok(RememberedAnswer {
                request: row.bytes("request", &a.request)?,
                status: row.number("status", a.status.into())?,
                body: a.body,
                at: a.at.0,
            })
        })
        .transpose()
}

/// False when there is one already.
pub(crate) async fn remember_on(
    connection: &mut PgConnection,
    actor: &str,
    key: &str,
    answer: &RememberedAnswer,
) -> StoreResult<bool> {
    let kept = sqlx::query!(
        "INSERT INTO remembered_answers (actor, key, request, status, body, at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (actor, key) DO NOTHING",
        plain(actor),
        plain(key),
        answer.request.as_slice(),
        i32::from(answer.status),
        plain(&answer.body),
        Instant(answer.at),
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(kept.rows_affected() > 0)
}

pub(crate) async fn remember(
    store: &PostgresStore,
    actor: &str,
    key: &str,
    answer: &RememberedAnswer,
) -> StoreResult<()> {
    let mut connection = store.pool.acquire().await.map_err(failed)?;
    remember_on(&mut connection, actor, key, answer).await.map(drop)
}

pub(crate) async fn forget(store: &PostgresStore, at: UtcMillis) -> StoreResult<u64> {
    let forgotten = sqlx::query!("DELETE FROM remembered_answers WHERE at < $1", Instant(at))
        .execute(&store.pool)
        .await
        .map_err(failed)?;
    Ok(forgotten.rows_affected())
}
