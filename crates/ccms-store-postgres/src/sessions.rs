//! Sessions of people who signed in.
use ccms_core::ids::UserId;
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, SessionRecord, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, audit, failed};

pub(crate) async fn create(store: &PostgresStore, session: &SessionRecord) -> StoreResult<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO sessions (id, user_id, data, expires_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
        plain(&session.id),
        session.user_id.map(|u| u.0),
        plain(&session.data),
        Instant(session.expires_at),
    )
    .execute(&store.pool)
    .await
    .map_err(failed)?;
    Ok(inserted.rows_affected() == 1)
}

pub(crate) async fn save(store: &PostgresStore, session: &SessionRecord) -> StoreResult<()> {
    sqlx::query!(
        "INSERT INTO sessions (id, user_id, data, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, data = excluded.data,
             expires_at = excluded.expires_at",
        plain(&session.id),
        session.user_id.map(|u| u.0),
        plain(&session.data),
        Instant(session.expires_at),
    )
    .execute(&store.pool)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(crate) async fn session(store: &PostgresStore, id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>> {
    let found = sqlx::query!(
        "SELECT id, user_id, data, expires_at FROM sessions WHERE id = $1 AND expires_at > $2",
        plain(id),
        Instant(now)
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?;
    Ok(found.map(|s| SessionRecord {
        id: s.id,
        user_id: s.user_id.map(UserId),
        data: s.data,
        expires_at: s.expires_at.0,
    }))
}

pub(crate) async fn delete(store: &PostgresStore, id: &str) -> StoreResult<()> {
    sqlx::query!("DELETE FROM sessions WHERE id = $1", plain(id)).execute(&store.pool).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn delete_expired(store: &PostgresStore, now: UtcMillis) -> StoreResult<u64> {
    let deleted = sqlx::query!("DELETE FROM sessions WHERE expires_at <= $1", Instant(now))
        .execute(&store.pool)
        .await
        .map_err(failed)?;
    Ok(deleted.rows_affected())
}

pub(crate) async fn delete_of(store: &PostgresStore, user: UserId, audit: &AuditEntry) -> StoreResult<Option<u64>> {
    let mut tx = store.begin().await?;
    let known = sqlx::query_scalar!(r#"SELECT EXISTS (SELECT 1 FROM users WHERE id = $1) AS "known!""#, user.0)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    if !known {
        return Ok(None);
    }
    let ended = end_of(&mut tx, user).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(ended))
}

pub(crate) async fn end_of(connection: &mut PgConnection, user: UserId) -> StoreResult<u64> {
    let deleted =
        sqlx::query!("DELETE FROM sessions WHERE user_id = $1", user.0).execute(connection).await.map_err(failed)?;
    Ok(deleted.rows_affected())
}
