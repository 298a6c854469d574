//! Programs that act for the city and the answers they may ask for twice. People, commands and the audit log of the same
//! trait are in their own files.
use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{
    Access, AnswerNote, ApiKeyRecord, AuditEntry, ChainedEntry, NewApiKey, RememberedAnswer, Role, StoreError,
    StoreResult, UserRecord,
};
use sqlx::SqliteConnection;

use crate::{SqliteStore, audit, failed, orders, people};

#[async_trait]
impl Access for SqliteStore {
    async fn create_api_key(&self, new: NewApiKey, audit: &AuditEntry) -> StoreResult<ApiKeyRecord> {
        let mut tx = self.begin().await?;
        let hash = &new.hash[..];
        let inserted = sqlx::query!(
            "INSERT INTO api_keys (name, scopes, zone, hash, created_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            new.name,
            new.scopes,
            new.zone,
            hash,
            new.created_at.0,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if inserted.rows_affected() == 0 {
            return Err(StoreError::Conflict { what: "an API key with this name" });
        }
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        let NewApiKey { name, scopes, zone, created_at, .. } = new;
        Ok(ApiKeyRecord { no: inserted.last_insert_rowid(), name, scopes, zone, created_at, revoked_at: None })
    }

    async fn api_key(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKeyRecord>> {
        let hash = &hash[..];
        let found = sqlx::query_as!(
            KeyColumns,
            "SELECT no, name, scopes, zone, created_at, revoked_at FROM api_keys
             WHERE hash = ? AND revoked_at IS NULL",
            hash
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        Ok(found.map(KeyColumns::record))
    }

    async fn api_keys(&self) -> StoreResult<Vec<ApiKeyRecord>> {
        let found = sqlx::query_as!(
            KeyColumns,
            "SELECT no, name, scopes, zone, created_at, revoked_at FROM api_keys ORDER BY no"
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        Ok(found.into_iter().map(KeyColumns::record).collect())
    }

    async fn revoke_api_key(&self, name: &str, at: UtcMillis, audit: &AuditEntry) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let revoked =
            sqlx::query!("UPDATE api_keys SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL", at.0, name)
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

    async fn remembered_answer(&self, actor: &str, key: &str) -> StoreResult<Option<RememberedAnswer>> {
        let found = sqlx::query!(
            "SELECT request, status, body, at FROM remembered_answers WHERE actor = ? AND key = ?",
            actor,
            key
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        let Some(answer) = found else { return Ok(None) };
        let row = Row::new("remembered_answers", &key);
        Ok(Some(RememberedAnswer {
            request: row.bytes("request", &answer.request)?,
            status: row.number("status", answer.status)?,
            body: answer.body,
            at: UtcMillis(answer.at),
        }))
    }

    async fn remember_answer(&self, actor: &str, key: &str, answer: &RememberedAnswer) -> StoreResult<()> {
        let mut connection = self.writer.acquire().await.map_err(failed)?;
        remember_on(&mut connection, actor, key, answer).await.map(drop)
    }

    async fn forget_answers(&self, at: UtcMillis) -> StoreResult<u64> {
        let forgotten = sqlx::query!("DELETE FROM remembered_answers WHERE at < ?", at.0)
            .execute(&self.writer)
            .await
            .map_err(failed)?;
        Ok(forgotten.rows_affected())
    }

    async fn users(&self) -> StoreResult<Vec<UserRecord>> {
        people::users(self).await
    }
    async fn change_user(
        &self,
        id: UserId,
        role: Role,
        zone: Option<String>,
        audit: &AuditEntry,
    ) -> StoreResult<Option<UserRecord>> {
        people::change_user(self, id, role, zone, audit).await
    }
    async fn change_password(&self, id: UserId, password_hash: &str, audit: &AuditEntry) -> StoreResult<Option<u64>> {
        people::change_password(self, id, password_hash, audit).await
    }
    async fn delete_sessions_of(&self, user: UserId, audit: &AuditEntry) -> StoreResult<Option<u64>> {
        people::delete_sessions_of(self, user, audit).await
    }

    async fn enqueue_commands(&self, commands: &[Command], audit: &AuditEntry) -> StoreResult<Vec<CommandId>> {
        orders::enqueue(self, commands, audit, None).await
    }

    async fn enqueue_commands_once(
        &self,
        commands: &[Command],
        audit: &AuditEntry,
        note: &AnswerNote,
    ) -> StoreResult<Vec<CommandId>> {
        orders::enqueue(self, commands, audit, Some(note)).await
    }
    async fn cancel_command(&self, id: &CommandId, at: UtcMillis, audit: &AuditEntry) -> StoreResult<Option<Command>> {
        orders::cancel(self, id, at, audit).await
    }

    async fn audit_chain(&self, after: i64, limit: u32) -> StoreResult<Vec<ChainedEntry>> {
        audit::chain(self, after, limit).await
    }
}

struct KeyColumns {
    no: i64,
    name: String,
    scopes: String,
    zone: Option<String>,
    created_at: i64,
    revoked_at: Option<i64>,
}

impl KeyColumns {
    fn record(self) -> ApiKeyRecord {
        let Self { no, name, scopes, zone, created_at, revoked_at } = self;
        let (created_at, revoked_at) = (UtcMillis(created_at), revoked_at.map(UtcMillis));
        ApiKeyRecord { no, name, scopes, zone, created_at, revoked_at }
    }
}

/// Inside a transaction; false when there is one already.
pub(crate) async fn remember_on(
    connection: &mut SqliteConnection,
    actor: &str,
    key: &str,
    answer: &RememberedAnswer,
) -> StoreResult<bool> {
    let request = &answer.request[..];
    let kept = sqlx::query!(
        "INSERT INTO remembered_answers (actor, key, request, status, body, at) VALUES (?, ?, ?, ?, ?, ?)
             ON CONFLICT DO NOTHING",
        actor,
        key,
        request,
        answer.status,
        answer.body,
        answer.at.0,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(kept.rows_affected() > 0)
}
