//! Users and their sessions.
use ccms_core::ids::UserId;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, NewUser, Role, SessionRecord, StoreError, StoreResult, UserRecord};
use sqlx::SqliteConnection;

use crate::{SqliteStore, audit, failed};

struct UserColumns {
    id: i64,
    email: String,
    role: String,
    zone: Option<String>,
    password_hash: String,
    created_at: i64,
}

impl UserColumns {
    fn record(self) -> StoreResult<UserRecord> {
        Ok(UserRecord {
            id: UserId(self.id),
            role: Row::new("users", &self.id).text("role", &self.role, Role::parse)?,
            email: self.email,
            zone: self.zone,
            password_hash: self.password_hash,
            created_at: UtcMillis(self.created_at),
        })
    }
}

pub(crate) async fn create_user(store: &SqliteStore, new: NewUser, audit: &AuditEntry) -> StoreResult<UserRecord> {
    let mut tx = store.begin().await?;
    let (key, role) = (new.email.to_lowercase(), new.role.as_str());
    let inserted = sqlx::query!(
        "INSERT INTO users (email, email_key, role, zone, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (email_key) DO NOTHING",
        new.email,
        key,
        role,
        new.zone,
        new.password_hash,
        new.created_at.0,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::Conflict { what: "a user with this e-mail address" });
    }
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    let id = UserId(inserted.last_insert_rowid());
    let NewUser { email, role, zone, password_hash, created_at } = new;
    Ok(UserRecord { id, email, role, zone, password_hash, created_at })
}

pub(crate) async fn user_by_email(store: &SqliteStore, email: &str) -> StoreResult<Option<UserRecord>> {
    let key = email.to_lowercase();
    sqlx::query_as!(
        UserColumns,
        "SELECT id, email, role, zone, password_hash, created_at FROM users WHERE email_key = ?",
        key
    )
    .fetch_optional(&store.readers)
    .await
    .map_err(failed)?
    .map(UserColumns::record)
    .transpose()
}

pub(crate) async fn user_by_id(store: &SqliteStore, id: UserId) -> StoreResult<Option<UserRecord>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    user_on(&mut connection, id).await
}

async fn user_on(connection: &mut SqliteConnection, id: UserId) -> StoreResult<Option<UserRecord>> {
    sqlx::query_as!(
        UserColumns,
        "SELECT id, email, role, zone, password_hash, created_at FROM users WHERE id = ?",
        id.0
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .map(UserColumns::record)
    .transpose()
}

pub(crate) async fn user_count(store: &SqliteStore) -> StoreResult<u64> {
    let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!: i64" FROM users"#)
        .fetch_one(&store.readers)
        .await
        .map_err(failed)?;
    Ok(count.unsigned_abs())
}

pub(crate) async fn users(store: &SqliteStore) -> StoreResult<Vec<UserRecord>> {
    sqlx::query_as!(UserColumns, "SELECT id, email, role, zone, password_hash, created_at FROM users ORDER BY id")
        .fetch_all(&store.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(UserColumns::record)
        .collect()
}

pub(crate) async fn change_user(
    store: &SqliteStore,
    id: UserId,
    role: Role,
    zone: Option<String>,
    audit: &AuditEntry,
) -> StoreResult<Option<UserRecord>> {
    let mut tx = store.begin().await?;
    let role = role.as_str();
    let changed = sqlx::query!("UPDATE users SET role = ?, zone = ? WHERE id = ?", role, zone, id.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if changed.rows_affected() == 0 {
        return Ok(None);
    }
    let user = user_on(&mut tx, id).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(user)
}

pub(crate) async fn change_password(
    store: &SqliteStore,
    id: UserId,
    password_hash: &str,
    audit: &AuditEntry,
) -> StoreResult<Option<u64>> {
    let mut tx = store.begin().await?;
    let changed = sqlx::query!("UPDATE users SET password_hash = ? WHERE id = ?", password_hash, id.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if changed.rows_affected() == 0 {
        return Ok(None);
    }
    let ended = end_sessions(&mut tx, id).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(ended))
}

pub(crate) async fn create_session(store: &SqliteStore, session: &SessionRecord) -> StoreResult<bool> {
    let user_id = session.user_id.map(|u| u.0);
    let inserted = sqlx::query!(
        "INSERT INTO sessions (id, user_id, data, expires_at) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        session.id,
        user_id,
        session.data,
        session.expires_at.0,
    )
    .execute(&store.writer)
    .await
    .map_err(failed)?;
    Ok(inserted.rows_affected() == 1)
}

pub(crate) async fn save_session(store: &SqliteStore, session: &SessionRecord) -> StoreResult<()> {
    let user_id = session.user_id.map(|u| u.0);
    sqlx::query!(
        "INSERT INTO sessions (id, user_id, data, expires_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET user_id = excluded.user_id, data = excluded.data,
             expires_at = excluded.expires_at",
        session.id,
        user_id,
        session.data,
        session.expires_at.0,
    )
    .execute(&store.writer)
    .await
    .map_err(failed)?;
    Ok(())
}

pub(crate) async fn session(store: &SqliteStore, id: &str, now: UtcMillis) -> StoreResult<Option<SessionRecord>> {
    let found =
        sqlx::query!("SELECT id, user_id, data, expires_at FROM sessions WHERE id = ? AND expires_at > ?", id, now.0)
            .fetch_optional(&store.readers)
            .await
            .map_err(failed)?;
    Ok(found.map(|s| SessionRecord {
        id: s.id,
        user_id: s.user_id.map(UserId),
        data: s.data,
        expires_at: UtcMillis(s.expires_at),
    }))
}

pub(crate) async fn delete_session(store: &SqliteStore, id: &str) -> StoreResult<()> {
    sqlx::query!("DELETE FROM sessions WHERE id = ?", id).execute(&store.writer).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn delete_sessions_of(
    store: &SqliteStore,
    user: UserId,
    audit: &AuditEntry,
) -> StoreResult<Option<u64>> {
    let mut tx = store.begin().await?;
    if user_on(&mut tx, user).await?.is_none() {
        return Ok(None);
    }
    let ended = end_sessions(&mut tx, user).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(ended))
}

async fn end_sessions(connection: &mut SqliteConnection, user: UserId) -> StoreResult<u64> {
    let deleted =
        sqlx::query!("DELETE FROM sessions WHERE user_id = ?", user.0).execute(connection).await.map_err(failed)?;
    Ok(deleted.rows_affected())
}

pub(crate) async fn delete_expired_sessions(store: &SqliteStore, now: UtcMillis) -> StoreResult<u64> {
    let deleted = sqlx::query!("DELETE FROM sessions WHERE expires_at <= ?", now.0)
        .execute(&store.writer)
        .await
        .map_err(failed)?;
    Ok(deleted.rows_affected())
}
