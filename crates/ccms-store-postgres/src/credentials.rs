//! The ends of credentials: the generation of token in use, revocation, release and reclaim. What voids credentials raises
//! the epoch in the same statement. A swap is in `swap`, the server's own absence in `absence`.
use async_trait::async_trait;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, Credentials, DeviceRecord, Outage, StoreResult, Swapped};
use sqlx::PgConnection;

use crate::devices::DeviceColumns;
use crate::instant::Instant;
use crate::{Lock, PostgresStore, absence, audit, commands, failed, lock, swap};

#[async_trait]
impl Credentials for PostgresStore {
    async fn use_tokens(&self, used: &[(DeviceNo, i64)]) -> StoreResult<()> {
        let numbers: Vec<i64> = used.iter().map(|(device, _)| i64::from(device.0)).collect();
        let generations: Vec<i64> = used.iter().map(|(_, generation)| *generation).collect();
        // The rows are locked in the order of their numbers, so that two servers cannot wait for each other, and no stronger than
        // an update needs: rows that refer to a device are not held up.
        sqlx::query!(
            "WITH used AS (
                 SELECT no, max(generation) AS generation FROM unnest($1::bigint[], $2::bigint[]) AS u (no, generation)
                 GROUP BY no
             ), locked AS (
                 SELECT d.no FROM devices d JOIN used USING (no) ORDER BY d.no FOR NO KEY UPDATE OF d
             )
             UPDATE devices SET token_used_gen = used.generation FROM used, locked
             WHERE devices.no = used.no AND locked.no = used.no AND devices.token_used_gen < used.generation",
            &numbers,
            &generations,
        )
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn revoke_device(
        &self,
        id: &DeviceId,
        at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<(DeviceRecord, Vec<CommandId>)>> {
        let mut tx = self.begin().await?;
        lock(&mut tx, Lock::Commands).await?;
        let Some(device) = revoke_on(&mut tx, id).await? else { return Ok(None) };
        let cancelled = commands::cancel_of_device(&mut tx, device.no, at).await?;
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
        // Its lights must not go to another controller meanwhile.
        lock(&mut tx, Lock::Numbering).await?;
        let (id, claim_until) = (id.as_str(), claim_until.map(Instant));
        let released = sqlx::query_as!(
            DeviceColumns,
            "UPDATE devices SET state = 'registered', epoch = epoch + 1, claim_until = $1, claimed_at = NULL,
                 reclaim_until = NULL, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
             WHERE id = $2 AND state IN ('claimed', 'revoked')
               AND EXISTS (SELECT FROM lights WHERE lights.device_no = devices.no)
             RETURNING *",
            claim_until as _,
            id,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        let Some(released) = released else { return Ok(None) };
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        released.record().map(Some)
    }

    async fn open_reclaim_window(&self, id: &DeviceId, until: UtcMillis, audit: &AuditEntry) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let id = id.as_str();
        let opened = sqlx::query!(
            "UPDATE devices SET reclaim_until = $1 WHERE id = $2 AND state = 'claimed'",
            Instant(until),
            id
        )
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
        let taken = sqlx::query_as!(
            DeviceColumns,
            "UPDATE devices SET epoch = epoch + 1, claimed_at = $1, reclaim_until = NULL
             WHERE no = $2 AND state = 'claimed' AND reclaim_until > $3
             RETURNING *",
            Instant(claimed_at),
            i64::from(device.0),
            Instant(now),
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        let Some(taken) = taken else { return Ok(None) };
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        taken.record().map(Some)
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

/// Voids a device's credentials inside a transaction. `None` when there is no such device or it is revoked already.
pub(crate) async fn revoke_on(connection: &mut PgConnection, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let id = id.as_str();
    sqlx::query_as!(
        DeviceColumns,
        "UPDATE devices SET state = 'revoked', epoch = epoch + 1, claim_until = NULL, reclaim_until = NULL,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = $1 AND state <> 'revoked'
         RETURNING *",
        id,
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .map(DeviceColumns::record)
    .transpose()
}
