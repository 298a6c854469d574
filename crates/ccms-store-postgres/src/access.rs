//! [`Access`], by its parts: keys, remembered answers, people, commands by the dozen, the chain of the audit log.
use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::{
    Access, AnswerNote, ApiKeyRecord, AuditEntry, ChainedEntry, NewApiKey, RememberedAnswer, Role, StoreResult,
    UserRecord,
};

use crate::{PostgresStore, answers, api_keys, audit, commands, enqueue, people, sessions};

#[async_trait]
impl Access for PostgresStore {
    async fn create_api_key(&self, new: NewApiKey, audit: &AuditEntry) -> StoreResult<ApiKeyRecord> {
        api_keys::create(self, new, audit).await
    }
    async fn api_key(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKeyRecord>> {
        api_keys::key(self, hash).await
    }
    async fn api_keys(&self) -> StoreResult<Vec<ApiKeyRecord>> {
        api_keys::keys(self).await
    }
    async fn revoke_api_key(&self, name: &str, at: UtcMillis, audit: &AuditEntry) -> StoreResult<bool> {
        api_keys::revoke(self, name, at, audit).await
    }

    async fn remembered_answer(&self, actor: &str, key: &str) -> StoreResult<Option<RememberedAnswer>> {
        answers::remembered(self, actor, key).await
    }
    async fn remember_answer(&self, actor: &str, key: &str, answer: &RememberedAnswer) -> StoreResult<()> {
        answers::remember(self, actor, key, answer).await
    }
    async fn forget_answers(&self, at: UtcMillis) -> StoreResult<u64> {
        answers::forget(self, at).await
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
        sessions::delete_of(self, user, audit).await
    }

    async fn enqueue_commands(&self, commands: &[Command], audit: &AuditEntry) -> StoreResult<Vec<CommandId>> {
        enqueue::enqueue(self, commands, audit, None).await
    }

    async fn enqueue_commands_once(
        &self,
        commands: &[Command],
        audit: &AuditEntry,
        note: &AnswerNote,
    ) -> StoreResult<Vec<CommandId>> {
        enqueue::enqueue(self, commands, audit, Some(note)).await
    }
    async fn cancel_command(&self, id: &CommandId, at: UtcMillis, audit: &AuditEntry) -> StoreResult<Option<Command>> {
        commands::cancel(self, id, at, audit).await
    }

    async fn audit_chain(&self, after: i64, limit: u32) -> StoreResult<Vec<ChainedEntry>> {
        audit::chain(self, after, limit).await
    }
}
