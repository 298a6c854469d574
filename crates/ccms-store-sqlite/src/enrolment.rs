//! How a controller comes in: registered by a person or pending until one looks, then claimed once.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_store::{
    AuditEntry, Claim, DeviceRecord, DeviceState, LightRecord, NewDevice, PendingNote, StoreError, StoreResult,
};
use sqlx::SqliteConnection;

use crate::devices::{device_on, write_reported};
use crate::{SqliteStore, audit, failed, lights};

pub(crate) async fn register(
    store: &SqliteStore,
    new: NewDevice,
    audit: &AuditEntry,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let mut tx = store.begin().await?;
    let registered = register_on(&mut tx, new).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(registered)
}

/// A registered device with its light, inside a transaction.
pub(crate) async fn register_on(
    connection: &mut SqliteConnection,
    new: NewDevice,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let known = device_on(connection, &new.device_id).await?;
    let free = match known.map(|d| (d.state, d.no)) {
        None | Some((DeviceState::Pending, _)) => true,
        // Its light went to another controller, or it was refused when it asked; now a person wants it.
        Some((DeviceState::Revoked, no)) => lights::of_device_on(connection, no).await?.is_empty(),
        Some((DeviceState::Registered | DeviceState::Claimed, _)) => false,
    };
    if !free {
        return Err(StoreError::Conflict { what: "a device with this id" });
    }
    let device = make_registered(connection, &new.device_id, new.created_at, new.claim_until).await?;
    let light = lights::insert(connection, new.light_id, Some(device.no), new.curated, new.created_at).await?;
    Ok((device, light))
}

/// Makes a device registered, whatever it was; whether it may be is the caller's to have judged.
pub(crate) async fn make_registered(
    connection: &mut SqliteConnection,
    id: &DeviceId,
    created_at: UtcMillis,
    claim_until: Option<UtcMillis>,
) -> StoreResult<DeviceRecord> {
    let (text, claim_until) = (id.as_str(), claim_until.map(|t| t.0));
    // The update comes first: an insert that meets a row uses up a number, and numbers are to be dense.
    let known = sqlx::query!(
        "UPDATE devices SET state = 'registered', created_at = ?, claim_until = ?, claimed_at = NULL,
             reclaim_until = NULL, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = ?",
        created_at.0,
        claim_until,
        text,
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if known.rows_affected() == 0 {
        sqlx::query!(
            "INSERT INTO devices (no, id, state, created_at, claim_until)
             SELECT coalesce(max(no), 0) + 1, ?, 'registered', ?, ? FROM devices",
            text,
            created_at.0,
            claim_until,
        )
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    }
    device_on(connection, id).await?.ok_or_else(|| StoreError::unavailable("the device is gone that was just written"))
}

pub(crate) async fn note_pending(store: &SqliteStore, notes: &[PendingNote]) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    for note in notes {
        note_one(&mut tx, note).await?;
    }
    tx.commit().await.map_err(failed)
}

async fn note_one(connection: &mut SqliteConnection, note: &PendingNote) -> StoreResult<()> {
    let id = note.device_id.as_str();
    let counted = sqlx::query!(
        "UPDATE devices SET attempts = min(attempts + 1, 4294967295),
             first_attempt_at = coalesce(first_attempt_at, ?1), last_attempt_at = ?1
         WHERE id = ?2",
        note.at.0,
        id,
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if counted.rows_affected() == 0 {
        sqlx::query!(
            "INSERT INTO devices (no, id, state, created_at, attempts, first_attempt_at, last_attempt_at)
             SELECT coalesce(max(no), 0) + 1, ?1, 'pending', ?2, 1, ?2, ?2 FROM devices",
            id,
            note.at.0,
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
    store: &SqliteStore,
    before: UtcMillis,
    attempts: u32,
    limit: u32,
) -> StoreResult<(u64, u64)> {
    let mut tx = store.begin().await?;
    let gone = sqlx::query!(
        "DELETE FROM devices WHERE no IN (
           SELECT no FROM devices
           WHERE state = 'pending' AND attempts <= ?2 AND coalesce(last_attempt_at, created_at) < ?1 LIMIT ?3)",
        before.0,
        attempts,
        limit,
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
    store: &SqliteStore,
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
    connection: &mut SqliteConnection,
    id: &DeviceId,
    until: UtcMillis,
) -> StoreResult<bool> {
    let id = id.as_str();
    let opened = sqlx::query!(
        "UPDATE devices SET claim_until = ?, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = ? AND state = 'registered'",
        until.0,
        id,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(opened.rows_affected() > 0)
}

pub(crate) async fn claim(store: &SqliteStore, claim: &Claim, audit: &AuditEntry) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    let claimed = sqlx::query!(
        "UPDATE devices SET state = 'claimed', claimed_at = ?, claim_until = NULL,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE no = ? AND state = 'registered'",
        claim.at.0,
        claim.device.0,
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
