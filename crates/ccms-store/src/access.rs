//! Programs that act for a city (API keys), answers they may ask for twice (idempotency keys), and people's administration.
use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, UserId};
use ccms_core::time::UtcMillis;

use crate::{AuditEntry, Role, StoreResult, UserRecord};

#[async_trait]
pub trait Access {
    /// # Errors
    /// [`crate::StoreError::Conflict`] when a key that is not revoked has this name.
    async fn create_api_key(&self, new: NewApiKey, audit: &AuditEntry) -> StoreResult<ApiKeyRecord>;
    /// The key with this hash unless it is revoked.
    async fn api_key(&self, hash: &[u8; 32]) -> StoreResult<Option<ApiKeyRecord>>;
    /// Every key, revoked ones too, by number.
    async fn api_keys(&self) -> StoreResult<Vec<ApiKeyRecord>>;
    /// False when there is none of this name that is not revoked.
    async fn revoke_api_key(&self, name: &str, at: UtcMillis, audit: &AuditEntry) -> StoreResult<bool>;

    /// What was answered to `actor`'s request under this idempotency key.
    async fn remembered_answer(&self, actor: &str, key: &str) -> StoreResult<Option<RememberedAnswer>>;
    /// Keeps an answer; the first one stays.
    async fn remember_answer(&self, actor: &str, key: &str, answer: &RememberedAnswer) -> StoreResult<()>;
    /// Removes answers given before `at`; returns how many.
    async fn forget_answers(&self, at: UtcMillis) -> StoreResult<u64>;

    /// Everybody, by number.
    async fn users(&self) -> StoreResult<Vec<UserRecord>>;
    /// Changes what a person may do and where. `None` when there is no such person.
    async fn change_user(
        &self,
        id: UserId,
        role: Role,
        zone: Option<String>,
        audit: &AuditEntry,
    ) -> StoreResult<Option<UserRecord>>;
    /// Sets a new password, ends every session that the old one opened, and writes `audit`, in one transaction. Returns how
    /// many ended; `None` when there is no such person.
    async fn change_password(&self, id: UserId, password_hash: &str, audit: &AuditEntry) -> StoreResult<Option<u64>>;
    /// Ends every session of a person and writes `audit`, in one transaction: also when none was open, because it was asked
    /// for. Returns how many ended; `None` when there is no such person.
    async fn delete_sessions_of(&self, user: UserId, audit: &AuditEntry) -> StoreResult<Option<u64>>;

    /// Inserts commands (state queued) in order, each superseding a live one of the same light and type at its
    /// `requested_at`, with `audit`, in one transaction. Answers the ids that were superseded.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when an id is taken; nothing happens then.
    async fn enqueue_commands(&self, commands: &[Command], audit: &AuditEntry) -> StoreResult<Vec<CommandId>>;
    /// The same, and keeps what is answered to it as [`Access::remember_answer`] does, in one transaction: whoever finds the
    /// one finds the other.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] also when something was answered under this key before; nothing happens then.
    async fn enqueue_commands_once(
        &self,
        commands: &[Command],
        audit: &AuditEntry,
        note: &AnswerNote,
    ) -> StoreResult<Vec<CommandId>>;
    /// Cancels a live command. `None` when there is none or it is over.
    async fn cancel_command(&self, id: &CommandId, at: UtcMillis, audit: &AuditEntry) -> StoreResult<Option<Command>>;

    /// Entries behind number `after`, oldest first, as they are chained.
    async fn audit_chain(&self, after: i64, limit: u32) -> StoreResult<Vec<ChainedEntry>>;
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewApiKey {
    pub name: String,
    /// `read`, `command`, `admin`, joined by commas.
    pub scopes: String,
    pub zone: Option<String>,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    pub created_at: UtcMillis,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApiKeyRecord {
    pub no: i64,
    pub name: String,
    pub scopes: String,
    pub zone: Option<String>,
    pub created_at: UtcMillis,
    pub revoked_at: Option<UtcMillis>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RememberedAnswer {
    /// SHA-256 of method, path and body: another request under the same key is an error.
    pub request: [u8; 32],
    pub status: u16,
    pub body: String,
    pub at: UtcMillis,
}

/// An answer with whose it is.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerNote {
    pub actor: String,
    pub key: String,
    pub answer: RememberedAnswer,
}

/// One audit entry with its link.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainedEntry {
    pub no: i64,
    pub entry: AuditEntry,
    /// `detail` as the text that is stored, which the hash covers.
    pub detail_text: String,
    /// `None` for entries that are older than the chain.
    pub hash: Option<[u8; 32]>,
}
