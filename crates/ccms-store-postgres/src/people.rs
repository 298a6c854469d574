//! People who sign in.
use ccms_core::ids::UserId;
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, NewUser, Role, StoreError, StoreResult, UserRecord};

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, audit, failed, sessions};

struct UserColumns {
    id: i64,
    email: String,
    role: String,
    zone: Option<String>,
    password_hash: String,
    created_at: Instant,
}

impl UserColumns {
    fn record(self) -> StoreResult<UserRecord> {
        Ok(UserRecord {
            id: UserId(self.id),
            role: Row::new("users", &self.id).text("role", &self.role, Role::parse)?,
            email: self.email,
            zone: self.zone,
            password_hash: self.password_hash,
            created_at: self.created_at.0,
        })
    }
}

/// The address as it is compared: without case.
fn email_key(email: &str) -> String {
    plain(&email.to_lowercase())
}

pub(crate) async fn create_user(store: &PostgresStore, new: NewUser, audit: &AuditEntry) -> StoreResult<UserRecord> {
    let mut tx = store.begin().await?;
    let role = new.role.as_str();
    let made = sqlx::query_as!(
        UserColumns,
        "INSERT INTO users (email, email_key, role, zone, password_hash, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (email_key) DO NOTHING
         RETURNING id, email, role, zone, password_hash, created_at",
        plain(&new.email),
        email_key(&new.email),
        role,
        new.zone.as_deref().map(plain),
        plain(&new.password_hash),
        Instant(new.created_at),
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed)?
    .ok_or(StoreError::Conflict { what: "a user with this e-mail address" })?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    made.record()
}

pub(crate) async fn user_by_email(store: &PostgresStore, email: &str) -> StoreResult<Option<UserRecord>> {
    sqlx::query_as!(
        UserColumns,
        "SELECT id, email, role, zone, password_hash, created_at FROM users WHERE email_key = $1",
        email_key(email)
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?
    .map(UserColumns::record)
    .transpose()
}

pub(crate) async fn user_by_id(store: &PostgresStore, id: UserId) -> StoreResult<Option<UserRecord>> {
    sqlx::query_as!(
        UserColumns,
        "SELECT id, email, role, zone, password_hash, created_at FROM users WHERE id = $1",
        id.0
    )
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

pub(crate) async fn users(store: &PostgresStore) -> StoreResult<Vec<UserRecord>> {
    sqlx::query_as!(UserColumns, "SELECT id, email, role, zone, password_hash, created_at FROM users ORDER BY id")
        .fetch_all(&store.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(UserColumns::record)
        .collect()
}

pub(crate) async fn change_user(
    store: &PostgresStore,
    id: UserId,
    role: Role,
    zone: Option<String>,
    audit: &AuditEntry,
) -> StoreResult<Option<UserRecord>> {
    let mut tx = store.begin().await?;
    let role = role.as_str();
    let changed = sqlx::query_as!(
        UserColumns,
        "UPDATE users SET role = $1, zone = $2 WHERE id = $3
         RETURNING id, email, role, zone, password_hash, created_at",
        role,
        zone.as_deref().map(plain),
        id.0,
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed)?;
    let Some(changed) = changed else { return Ok(None) };
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    changed.record().map(Some)
}

pub(crate) async fn change_password(
    store: &PostgresStore,
    id: UserId,
    password_hash: &str,
    audit: &AuditEntry,
) -> StoreResult<Option<u64>> {
    let mut tx = store.begin().await?;
    let changed = sqlx::query!("UPDATE users SET password_hash = $1 WHERE id = $2", plain(password_hash), id.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if changed.rows_affected() == 0 {
        return Ok(None);
    }
    let ended = sessions::end_of(&mut tx, id).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Some(ended))
}
