//! Keys of programs that act for the city. Of those that are not revoked, no two have one name.
use ccms_core::time::UtcMillis;
use ccms_store::{ApiKeyRecord, AuditEntry, NewApiKey, StoreError, StoreResult};

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, audit, failed};

struct KeyColumns {
    no: i64,
    name: String,
    scopes: String,
    zone: Option<String>,
    created_at: Instant,
    revoked_at: Option<Instant>,
}

impl KeyColumns {
    fn record(self) -> ApiKeyRecord {
        ApiKeyRecord {
            no: self.no,
            name: self.name,
            scopes: self.scopes,
            zone: self.zone,
            created_at: self.created_at.0,
            revoked_at: self.revoked_at.map(|t| t.0),
        }
    }
}

pub(crate) async fn create(store: &PostgresStore, new: NewApiKey, audit: &AuditEntry) -> StoreResult<ApiKeyRecord> {
    let mut tx = store.begin().await?;
    let key = sqlx::query_as!(
        KeyColumns,
        "INSERT INTO api_keys (name, scopes, zone, hash, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT DO NOTHING
         RETURNING no, name, scopes, zone, created_at, revoked_at",
        plain(&new.name),
        plain(&new.scopes),
        new.zone.as_deref().map(plain),
        new.hash.as_slice(),
        Instant(new.created_at),
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed)?
    .ok_or(StoreError::Conflict { what: "an API key with this name" })?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(key.record())
}

pub(crate) async fn key(store: &PostgresStore, hash: &[u8; 32]) -> StoreResult<Option<ApiKeyRecord>> {
    let found = sqlx::query_as!(
        KeyColumns,
        "SELECT no, name, scopes, zone, created_at, revoked_at FROM api_keys WHERE hash = $1 AND revoked_at IS NULL",
        hash.as_slice()
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?;
    Ok(found.map(KeyColumns::record))
}

pub(crate) async fn keys(store: &PostgresStore) -> StoreResult<Vec<ApiKeyRecord>> {
    let found =
        sqlx::query_as!(KeyColumns, "SELECT no, name, scopes, zone, created_at, revoked_at FROM api_keys ORDER BY no")
            .fetch_all(&store.pool)
            .await
            .map_err(failed)?;
    Ok(found.into_iter().map(KeyColumns::record).collect())
}

pub(crate) async fn revoke(store: &PostgresStore, name: &str, at: UtcMillis, audit: &AuditEntry) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    let revoked = sqlx::query!(
        "UPDATE api_keys SET revoked_at = $1 WHERE name = $2 AND revoked_at IS NULL",
        Instant(at),
        plain(name)
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if revoked.rows_affected() == 0 {
        return Ok(false);
    }
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(true)
}
