//! How a controller comes in: registered by a person or pending until one looks, then claimed once.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_store::{
    AuditEntry, Claim, DeviceRecord, DeviceState, LightRecord, NewDevice, PendingNote, StoreError, StoreResult,
};
use sqlx::PgConnection;

use crate::devices::{DeviceColumns, device_on, write_reported};
use crate::instant::Instant;
use crate::{Lock, PostgresStore, audit, failed, lights, lock};

pub(crate) async fn register(
    store: &PostgresStore,
    new: &NewDevice,
    audit: &AuditEntry,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let mut tx = store.begin().await?;
    lock(&mut tx, Lock::Numbering).await?;
    let registered = register_on(&mut tx, new).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(registered)
}

/// A registered device with its light. The caller holds [`Lock::Numbering`].
pub(crate) async fn register_on(
    connection: &mut PgConnection,
    new: &NewDevice,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let device = make_registered(connection, &new.device_id, new.created_at, new.claim_until)
        .await?
        .ok_or(StoreError::Conflict { what: "a device with this id" })?;
    let light = lights::insert(connection, new.light_id.clone(), Some(device.no), &new.curated, new.created_at).await?;
    Ok((device, light))
}

/// Makes a device registered that is unknown, pending, or revoked and without a light: one that was refused when it asked,
/// or whose light went to another controller. `None` when it is none of these. The caller holds [`Lock::Numbering`].
pub(crate) async fn make_registered(
    connection: &mut PgConnection,
    id: &DeviceId,
    created_at: UtcMillis,
    claim_until: Option<UtcMillis>,
) -> StoreResult<Option<DeviceRecord>> {
    let (id, claim_until) = (id.as_str(), claim_until.map(Instant));
    sqlx::query_as!(
        DeviceColumns,
        "INSERT INTO devices (no, id, state, created_at, claim_until)
         SELECT coalesce(max(no), 0) + 1, $1, 'registered', $2, $3 FROM devices
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, created_at = excluded.created_at,
             claim_until = excluded.claim_until, claimed_at = NULL, reclaim_until = NULL,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
           WHERE devices.state IN ('pending', 'revoked')
             AND NOT EXISTS (SELECT FROM lights WHERE lights.device_no = devices.no)
         RETURNING *",
        id,
        Instant(created_at),
        claim_until as _,
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .map(DeviceColumns::record)
    .transpose()
}

pub(crate) async fn note_pending(store: &PostgresStore, notes: &[PendingNote]) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    lock(&mut tx, Lock::Numbering).await?;
    for note in notes {
        note_one(&mut tx, note).await?;
    }
    tx.commit().await.map_err(failed)
}

async fn note_one(connection: &mut PgConnection, note: &PendingNote) -> StoreResult<()> {
    let id = note.device_id.as_str();
    let counted = sqlx::query!(
        "UPDATE devices SET attempts = least(attempts + 1, 4294967295),
             first_attempt_at = coalesce(first_attempt_at, $1), last_attempt_at = $1
         WHERE id = $2",
        Instant(note.at),
        id,
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if counted.rows_affected() == 0 {
        sqlx::query!(
            "INSERT INTO devices (no, id, state, created_at, attempts, first_attempt_at, last_attempt_at)
             SELECT coalesce(max(no), 0) + 1, $1, 'pending', $2, 1, $2, $2 FROM devices",
            id,
            Instant(note.at),
        )
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    let device = device_on(connection, &note.device_id).await?;
    // What a claimed device said of itself is not for a stranger with its name to change.
    if let Some(open) = device.filter(|d| matches!(d.state, DeviceState::Pending | DeviceState::Registered)) {
        write_reported(connection, open.no, &note.reported).await?;
    }
    Ok(())
}

pub(crate) async fn forget_pending(
    store: &PostgresStore,
    before: UtcMillis,
    attempts: u32,
    limit: u32,
) -> StoreResult<(u64, u64)> {
    let mut tx = store.begin().await?;
    lock(&mut tx, Lock::Numbering).await?;
    let gone = sqlx::query!(
        "DELETE FROM devices WHERE no IN (
           SELECT no FROM devices
           WHERE state = 'pending' AND attempts <= $2 AND coalesce(last_attempt_at, created_at) < $1 LIMIT $3)",
        Instant(before),
        i64::from(attempts),
        i64::from(limit),
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    let left = sqlx::query_scalar!("SELECT count(*) AS \"left!\" FROM devices WHERE state = 'pending'")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    tx.commit().await.map_err(failed)?;
    Ok((gone.rows_affected(), left.unsigned_abs()))
}

pub(crate) async fn open_claim_window(
    store: &PostgresStore,
    id: &DeviceId,
    until: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    if !open_window_on(&mut tx, id, until).await? {
        return Ok(false);
    }
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(true)
}

/// Inside a transaction; false when the device is not registered.
pub(crate) async fn open_window_on(
    connection: &mut PgConnection,
    id: &DeviceId,
    until: UtcMillis,
) -> StoreResult<bool> {
    let id = id.as_str();
    let opened = sqlx::query!(
        "UPDATE devices SET claim_until = $1, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = $2 AND state = 'registered'",
        Instant(until),
        id,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(opened.rows_affected() > 0)
}

pub(crate) async fn claim(store: &PostgresStore, claim: &Claim, audit: &AuditEntry) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    let claimed = sqlx::query!(
        "UPDATE devices SET state = 'claimed', claimed_at = $1, claim_until = NULL,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE no = $2 AND state = 'registered'",
        Instant(claim.at),
        i64::from(claim.device.0),
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if claimed.rows_affected() == 0 {
        return Ok(false);
    }
    write_reported(&mut tx, claim.device, &claim.reported).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(true)
}
