//! Users and their sessions.
use ccms_core::ids::UserId;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{NewUser, Role, SessionRecord, StoreError, StoreResult, UserRecord};

use crate::instant::Instant;
use crate::{PostgresStore, failed};

struct UserColumns {
    id: i64,
    email: String,
    role: String,
    password_hash: String,
    created_at: Instant,
}

impl UserColumns {
    fn record(self) -> StoreResult<UserRecord> {
        Ok(UserRecord {
            id: UserId(self.id),
            role: Row::new("users", &self.id).text("role", &self.role, Role::parse)?,
            email: self.email,
            password_hash: self.password_hash,
            created_at: self.created_at.0,
        })
    }
}

pub(crate) async fn create_user(store: &PostgresStore, new: NewUser) -> StoreResult<UserRecord> {
    let (key, role) = (new.email.to_lowercase(), new.role.as_str());
    let id = sqlx::query_scalar!(
        "INSERT INTO users (email, email_key, role, password_hash, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (email_key) DO NOTHING RETURNING id",
        new.email,
        key,
        role,
        new.password_hash,
        Instant(new.created_at),
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?
    .map(UserId)
    .ok_or(StoreError::Conflict { what: "a user with this e-mail address" })?;
    let NewUser { email, role, password_hash, created_at } = new;
    Ok(UserRecord { id, email, role, password_hash, created_at })
}

pub(crate) async fn user_by_email(store: &PostgresStore, email: &str) -> StoreResult<Option<UserRecord>> {
    let key = email.to_lowercase();
    sqlx::query_as!(
        UserColumns,
        "SELECT id, email, role, password_hash, created_at FROM users WHERE email_key = $1",
        key
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?
    .map(UserColumns::record)
    .transpose()
}

pub(crate) async fn user_by_id(store: &PostgresStore, id: UserId) -> StoreResult<Option<UserRecord>> {
    sqlx::query_as!(UserColumns, "SELECT id, email, role, password_hash, created_at FROM users WHERE id = $1", id.0)
        .fetch_optional(&store.pool)
        .await
        .map_err(failed)?
        .map(UserColumns::record)
        .transpose()
}

pub(crate) async fn user_count(store: &PostgresStore) -> StoreResult<u64> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM users"#)
        .fetch_one(&store.pool)
        .await
        .map_err(failed)?;
    Ok(count.unsigned_abs())
}

pub(crate) async fn create_session(store: &PostgresStore, session: &SessionRecord) -> StoreResult<bool> {
    let inserted = sqlx::query!(
        "INSERT INTO sessions (id, data, expires_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
        session.id,
        session.data,
        Instant(session.expires_at),
    )
    .execute(&store.pool)
    .await
    .map_err(failed)?;
    Ok(inserted.rows_affected() == 1)
}

pub(crate) async fn save_session(store: &PostgresStore, session: &SessionRecord) -> StoreResult<()> {
    sqlx::query!(
        "INSERT INTO sessions (id, data, expires_at) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at",
        session.id,
        session.data,
        Instant(session.expires_at),
    )
    .execute(&store.pool)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(crate) async fn session(store: &PostgresStore, id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>> {
    let found =
        sqlx::query!("SELECT id, data, expires_at FROM sessions WHERE id = $1 AND expires_at > $2", id, Instant(now))
            .fetch_optional(&store.pool)
            .await
            .map_err(failed)?;
    Ok(found.map(|s| SessionRecord { id: s.id, data: s.data, expires_at: s.expires_at.0 }))
}

pub(crate) async fn delete_session(store: &PostgresStore, id: &str) -> StoreResult<()> {
    sqlx::query!("DELETE FROM sessions WHERE id = $1", id).execute(&store.pool).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn delete_expired_sessions(store: &PostgresStore, now: UtcMillis) -> StoreResult<u64> {
    let deleted = sqlx::query!("DELETE FROM sessions WHERE expires_at <= $1", Instant(now))
        .execute(&store.pool)
        .await
        .map_err(failed)?;
    Ok(deleted.rows_affected())
}
