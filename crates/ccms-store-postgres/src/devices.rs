//! Controllers and lights: who is known, who waits, who has claimed.
use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::{Row, light_number};
use ccms_store::{
    AuditEntry, Claim, DeviceRecord, DeviceState, LightRecord, NewDevice, PendingNote, Reported, StoreError,
    StoreResult,
};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::{Lock, PostgresStore, audit, failed, lock};

struct DeviceColumns {
    no: i64,
    id: String,
    state: String,
    epoch: i64,
    created_at: Instant,
    claim_until: Option<Instant>,
    claimed_at: Option<Instant>,
    attempts: i64,
    first_attempt_at: Option<Instant>,
    last_attempt_at: Option<Instant>,
    reported_device_type: Option<String>,
    reported_name: Option<String>,
    reported_city: Option<String>,
    reported_address: Option<String>,
    reported_latitude: Option<f64>,
    reported_longitude: Option<f64>,
    reported_gsm_imei: Option<String>,
    reported_communication_type: Option<String>,
    reported_firmware_version: Option<String>,
    reported_battery_backup_hours: Option<f64>,
}

impl DeviceColumns {
    fn record(self) -> StoreResult<DeviceRecord> {
        let row = Row::new("devices", &self.no);
        Ok(DeviceRecord {
            no: DeviceNo(row.number("no", self.no)?),
            id: row.text("id", &self.id, |t| DeviceId::parse(t).ok())?,
            state: row.text("state", &self.state, DeviceState::parse)?,
            epoch: row.number("epoch", self.epoch)?,
            created_at: self.created_at.0,
            claim_until: self.claim_until.map(|t| t.0),
            claimed_at: self.claimed_at.map(|t| t.0),
            attempts: row.number("attempts", self.attempts)?,
            first_attempt_at: self.first_attempt_at.map(|t| t.0),
            last_attempt_at: self.last_attempt_at.map(|t| t.0),
            reported: Reported {
                device_type: self.reported_device_type,
                name: self.reported_name,
                city: self.reported_city,
                address: self.reported_address,
                latitude: self.reported_latitude,
                longitude: self.reported_longitude,
                gsm_imei: self.reported_gsm_imei,
                communication_type: self.reported_communication_type,
                firmware_version: self.reported_firmware_version,
                battery_backup_hours: self.reported_battery_backup_hours,
            },
        })
    }
}

struct LightColumns {
    no: i64,
    id: String,
    device_no: Option<i64>,
    name: String,
    address: String,
    city: String,
    latitude: f64,
    longitude: f64,
    created_at: Instant,
}

impl LightColumns {
    fn record(self) -> StoreResult<LightRecord> {
        let row = Row::new("lights", &self.no);
        Ok(LightRecord {
            no: LightNo(row.number("no", self.no)?),
            id: row.text("id", &self.id, |t| LightId::parse(t).ok())?,
            device_no: row.number_opt("device_no", self.device_no)?.map(DeviceNo),
            name: self.name,
            address: self.address,
            city: self.city,
            latitude: self.latitude,
            longitude: self.longitude,
            created_at: self.created_at.0,
        })
    }
}

pub(crate) async fn devices(store: &PostgresStore) -> StoreResult<Vec<DeviceRecord>> {
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices ORDER BY no")
        .fetch_all(&store.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(DeviceColumns::record)
        .collect()
}

pub(crate) async fn device(store: &PostgresStore, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let mut connection = store.pool.acquire().await.map_err(failed)?;
    device_on(&mut connection, id).await
}

async fn device_on(connection: &mut PgConnection, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let id = id.as_str();
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices WHERE id = $1", id)
        .fetch_optional(connection)
        .await
        .map_err(failed)?
        .map(DeviceColumns::record)
        .transpose()
}

pub(crate) async fn lights(store: &PostgresStore) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, latitude, longitude, created_at FROM lights ORDER BY no"
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn lights_of_device(store: &PostgresStore, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, latitude, longitude, created_at FROM lights
         WHERE device_no = $1 ORDER BY no",
        i64::from(device.0)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn register(
    store: &PostgresStore,
    new: NewDevice,
    audit: &AuditEntry,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let mut tx = store.pool.begin().await.map_err(failed)?;
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
    let mut tx = store.pool.begin().await.map_err(failed)?;
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

pub(crate) async fn waiting(store: &PostgresStore, limit: u32) -> StoreResult<Vec<DeviceRecord>> {
    sqlx::query_as!(
        DeviceColumns,
        "SELECT * FROM devices WHERE attempts > 0 AND state IN ('pending', 'registered')
         ORDER BY last_attempt_at DESC, no DESC LIMIT $1",
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(DeviceColumns::record)
    .collect()
}

pub(crate) async fn open_claim_window(
    store: &PostgresStore,
    id: &DeviceId,
    until: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<bool> {
    let mut tx = store.pool.begin().await.map_err(failed)?;
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
    let mut tx = store.pool.begin().await.map_err(failed)?;
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

pub(crate) async fn save_reported(store: &PostgresStore, device: DeviceNo, reported: &Reported) -> StoreResult<()> {
    let mut tx = store.pool.begin().await.map_err(failed)?;
    write_reported(&mut tx, device, reported).await?;
    tx.commit().await.map_err(failed)
}

async fn write_reported(connection: &mut PgConnection, device: DeviceNo, said: &Reported) -> StoreResult<()> {
    sqlx::query!(
        "UPDATE devices SET reported_device_type = $1, reported_name = $2, reported_city = $3, reported_address = $4,
             reported_latitude = $5, reported_longitude = $6, reported_gsm_imei = $7, reported_communication_type = $8,
             reported_firmware_version = $9, reported_battery_backup_hours = $10
         WHERE no = $11",
        said.device_type,
        said.name,
        said.city,
        said.address,
        said.latitude,
        said.longitude,
        said.gsm_imei,
        said.communication_type,
        said.firmware_version,
        said.battery_backup_hours,
        i64::from(device.0),
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}
