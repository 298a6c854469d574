//! How a controller comes in: registered by a person or pending until one looks, then claimed once.
use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::{Row, light_number};
use ccms_store::{
    AuditEntry, Claim, DeviceRecord, DeviceState, LightRecord, NewDevice, PendingNote, StoreError, StoreResult,
};
use sqlx::PgConnection;

use crate::devices::{device_on, write_reported};
use crate::instant::Instant;
use crate::{Lock, PostgresStore, audit, failed, lock};

pub(crate) async fn register(
    store: &PostgresStore,
    new: NewDevice,
    audit: &AuditEntry,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let mut tx = store.begin().await?;
    let id = new.device_id.as_str();
    let claim_until = new.claim_until.map(Instant);
    lock(&mut tx, Lock::Numbering).await?;
    let pending = sqlx::query!(
        "UPDATE devices SET state = 'registered', created_at = $1, claim_until = $2,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = $3 AND state = 'pending'",
        Instant(new.created_at),
        claim_until as _,
        id,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if pending.rows_affected() == 0 {
        let inserted = sqlx::query!(
            "INSERT INTO devices (no, id, state, created_at, claim_until)
             SELECT coalesce(max(no), 0) + 1, $1, 'registered', $2, $3 FROM devices
             ON CONFLICT (id) DO NOTHING",
            id,
            Instant(new.created_at),
            claim_until as _,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        if inserted.rows_affected() == 0 {
            return Err(StoreError::Conflict { what: "a device with this id" });
        }
    }
    let device = device_on(&mut tx, &new.device_id)
        .await?
        .ok_or_else(|| StoreError::unavailable("the device is gone that was just written"))?;
    let light = insert_light(&mut tx, new, device.no).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok((device, light))
}

async fn insert_light(connection: &mut PgConnection, new: NewDevice, device: DeviceNo) -> StoreResult<LightRecord> {
    let light_id = match new.light_id {
        Some(id) => id,
        None => {
            let highest =
                sqlx::query_scalar!(r#"SELECT max(numbered) AS "highest" FROM lights WHERE numbered IS NOT NULL"#)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(failed)?;
            LightId::numbered(Row::new("lights", &"highest").number("numbered", highest.unwrap_or(0) + 1)?)
        }
    };
    let (id, numbered) = (light_id.as_str(), light_number(&light_id).map(i64::from));
    let no = sqlx::query_scalar!(
        "INSERT INTO lights (no, id, numbered, device_no, name, address, city, latitude, longitude, created_at)
         SELECT coalesce(max(no), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9 FROM lights
         ON CONFLICT (id) DO NOTHING RETURNING no",
        id,
        numbered,
        i64::from(device.0),
        new.name,
        new.address,
        new.city,
        new.latitude,
        new.longitude,
        Instant(new.created_at),
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .ok_or(StoreError::Conflict { what: "a light with this id" })?;
    Ok(LightRecord {
        no: LightNo(Row::new("lights", &no).number("no", no)?),
        id: light_id,
        device_no: Some(device),
        name: new.name,
        address: new.address,
        city: new.city,
        latitude: new.latitude,
        longitude: new.longitude,
        created_at: new.created_at,
    })
}

pub(crate) async fn note_pending(store: &PostgresStore, note: &PendingNote) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    let id = note.device_id.as_str();
    lock(&mut tx, Lock::Numbering).await?;
    let counted = sqlx::query!(
        "UPDATE devices SET attempts = least(attempts + 1, 4294967295),
             first_attempt_at = coalesce(first_attempt_at, $1), last_attempt_at = $1
         WHERE id = $2",
        Instant(note.at),
        id,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if counted.rows_affected() == 0 {
        sqlx::query!(
            "INSERT INTO devices (no, id, state, created_at, attempts, first_attempt_at, last_attempt_at)
             SELECT coalesce(max(no), 0) + 1, $1, 'pending', $2, 1, $2, $2 FROM devices",
            id,
            Instant(note.at),
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    let device = device_on(&mut tx, &note.device_id).await?;
    // What a claimed device said of itself is not for a stranger with its name to change.
    if let Some(open) = device.filter(|d| matches!(d.state, DeviceState::Pending | DeviceState::Registered)) {
        write_reported(&mut tx, open.no, &note.reported).await?;
    }
    tx.commit().await.map_err(failed)
}

pub(crate) async fn open_claim_window(
    store: &PostgresStore,
    id: &DeviceId,
    until: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    let id = id.as_str();
    let opened = sqlx::query!(
        "UPDATE devices SET claim_until = $1, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = $2 AND state = 'registered'",
        Instant(until),
        id,
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
