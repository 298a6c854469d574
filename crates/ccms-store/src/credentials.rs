//! Credentials and their ends: which generation of token a device uses, revocation, release, reclaim and swap. Every change
//! that voids credentials raises the device's epoch; numbers never go down.
use async_trait::async_trait;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo};
use ccms_core::time::UtcMillis;

use crate::{AuditEntry, DeviceRecord, LightRecord, StoreResult};

#[async_trait]
pub trait Credentials {
    /// Notes, all in one transaction, that tokens of these generations were presented. Raises `token_used_gen`, never lowers
    /// it; a device may be named more than once.
    async fn use_tokens(&self, used: &[(DeviceNo, i64)]) -> StoreResult<()>;

    /// Voids a device's credentials: state revoked, epoch + 1, both windows closed, attempts answered (0), its live
    /// commands cancelled at `at`. Answers the device and the ids of those commands; `None` when there is no such device
    /// or it is revoked already. A pending device may be revoked too: that is what rejecting it means.
    async fn revoke_device(
        &self,
        id: &DeviceId,
        at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<(DeviceRecord, Vec<CommandId>)>>;

    /// Makes a claimed or revoked device that drives a light registered again under a new epoch, with its claim window
    /// open until `claim_until` or closed, its reclaim window closed, no `claimed_at`, its attempts answered (0). `None`
    /// when it is neither, or drives no light.
    async fn release_device(
        &self,
        id: &DeviceId,
        claim_until: Option<UtcMillis>,
        audit: &AuditEntry,
    ) -> StoreResult<Option<DeviceRecord>>;

    /// Lets a claimed device have fresh credentials without proof until `until`. False when it is not claimed.
    async fn open_reclaim_window(&self, id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> StoreResult<bool>;

    /// Takes the reclaim window, once: epoch + 1, `claimed_at` as given, window closed. `None` when it is not open at `now`.
    async fn reclaim_device(
        &self,
        device: DeviceNo,
        now: UtcMillis,
        claimed_at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<DeviceRecord>>;

    /// Moves every light of `old` to `new` in one transaction: `new` becomes registered with a claim window until
    /// `claim_until` (created when unknown; otherwise its attempts are answered and it keeps its epoch), `old` is revoked
    /// as above unless it is already, live commands of `old` and its lights are cancelled.
    /// `None` when `old` is unknown or drives no light.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when `new` is claimed, drives a light already, or is `old`.
    async fn swap_device(
        &self,
        old: &DeviceId,
        new: &DeviceId,
        at: UtcMillis,
        claim_until: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<Swapped>>;

    // ---- the server's own absence, which is not held against devices -------------------------------------------------

    /// Notes that the server was alive at `at` (one row, replaced).
    async fn heartbeat(&self, at: UtcMillis) -> StoreResult<()>;
    async fn last_heartbeat(&self) -> StoreResult<Option<UtcMillis>>;
    async fn add_outage(&self, outage: Outage) -> StoreResult<()>;
    /// Outages that ended after `since`, oldest first.
    async fn outages(&self, since: UtcMillis) -> StoreResult<Vec<Outage>>;
}

/// What a swap left behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Swapped {
    pub old: DeviceRecord,
    pub new: DeviceRecord,
    pub lights: Vec<LightRecord>,
    pub cancelled: Vec<CommandId>,
}

/// A time without a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    pub from: UtcMillis,
    pub until: UtcMillis,
}
