//! The ends of credentials: the generation of token in use, revocation, release and reclaim. What voids credentials raises
//! the epoch in the same statement. A swap is in `swap`, the server's own absence in `absence`.
use async_trait::async_trait;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, Credentials, DeviceRecord, Outage, StoreResult, Swapped};
use sqlx::SqliteConnection;

use crate::devices::{device_by_no, device_on};
use crate::{SqliteStore, absence, audit, failed, orders, swap};

#[async_trait]
impl Credentials for SqliteStore {
    async fn use_tokens(&self, used: &[(DeviceNo, i64)]) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        for (device, generation) in used {
            sqlx::query!(
                "UPDATE devices SET token_used_gen = ?1 WHERE no = ?2 AND token_used_gen < ?1",
                generation,
                device.0
            )
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)
    }

    async fn revoke_device(
        &self,
        id: &DeviceId,
        at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<(DeviceRecord, Vec<CommandId>)>> {
        let mut tx = self.begin().await?;
        if !revoke_on(&mut tx, id).await? {
            return Ok(None);
        }
        let Some(device) = device_on(&mut tx, id).await? else { return Ok(None) };
        let cancelled = orders::cancel_of_device(&mut tx, device.no, at).await?;
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        Ok(Some((device, cancelled)))
    }

    async fn release_device(
        &self,
        id: &DeviceId,
        claim_until: Option<UtcMillis>,
        audit: &AuditEntry,
    ) -> StoreResult<Option<DeviceRecord>> {
        let mut tx = self.begin().await?;
        let (text, claim_until) = (id.as_str(), claim_until.map(|t| t.0));
        let released = sqlx::query!(
            "UPDATE devices SET state = 'registered', epoch = epoch + 1, claim_until = ?, claimed_at = NULL,
                 reclaim_until = NULL, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
             WHERE id = ? AND state IN ('claimed', 'revoked')
               AND EXISTS (SELECT 1 FROM lights WHERE lights.device_no = devices.no)",
            claim_until,
            text,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if released.rows_affected() == 0 {
            return Ok(None);
        }
        let device = device_on(&mut tx, id).await?;
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        Ok(device)
    }

    async fn open_reclaim_window(&self, id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let id = id.as_str();
        let opened =
            sqlx::query!("UPDATE devices SET reclaim_until = ? WHERE id = ? AND state = 'claimed'", until.0, id)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        if opened.rows_affected() == 0 {
            return Ok(false);
        }
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        Ok(true)
    }

    async fn reclaim_device(
        &self,
        device: DeviceNo,
        now: UtcMillis,
        claimed_at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<DeviceRecord>> {
        let mut tx = self.begin().await?;
        let taken = sqlx::query!(
            "UPDATE devices SET epoch = epoch + 1, claimed_at = ?1, reclaim_until = NULL
             WHERE no = ?2 AND state = 'claimed' AND reclaim_until > ?3",
            claimed_at.0,
            device.0,
            now.0,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if taken.rows_affected() == 0 {
            return Ok(None);
        }
        let device = device_by_no(&mut tx, device).await?;
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        Ok(device)
    }

    async fn swap_device(
        &self,
        old: &DeviceId,
        new: &DeviceId,
        at: UtcMillis,
        claim_until: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<Swapped>> {
        swap::swap(self, old, new, at, claim_until, audit).await
    }

    async fn heartbeat(&self, at: UtcMillis) -> StoreResult<()> {
        absence::heartbeat(self, at).await
    }
    async fn last_heartbeat(&self) -> StoreResult<Option<UtcMillis>> {
        absence::last_heartbeat(self).await
    }
    async fn add_outage(&self, outage: Outage) -> StoreResult<()> {
        absence::add(self, outage).await
    }
    async fn outages(&self, since: UtcMillis) -> StoreResult<Vec<Outage>> {
        absence::outages(self, since).await
    }
}

/// Voids a device's credentials inside a transaction. False when there is no such device or it is revoked already.
pub(crate) async fn revoke_on(connection: &mut SqliteConnection, id: &DeviceId) -> StoreResult<bool> {
    let id = id.as_str();
    let revoked = sqlx::query!(
        "UPDATE devices SET state = 'revoked', epoch = epoch + 1, claim_until = NULL, reclaim_until = NULL,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = ? AND state <> 'revoked'",
        id,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(revoked.rows_affected() == 1)
}
