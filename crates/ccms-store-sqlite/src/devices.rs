//! Controllers and lights: who is known, who waits, who has claimed.
use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::{Row, light_number};
use ccms_store::{
    AuditEntry, Claim, DeviceRecord, DeviceState, LightRecord, NewDevice, PendingNote, Reported, StoreError,
    StoreResult,
};
use sqlx::SqliteConnection;

use crate::{SqliteStore, audit, failed};

struct DeviceColumns {
    no: i64,
    id: String,
    state: String,
    epoch: i64,
    created_at: i64,
    claim_until: Option<i64>,
    claimed_at: Option<i64>,
    attempts: i64,
    first_attempt_at: Option<i64>,
    last_attempt_at: Option<i64>,
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
            created_at: UtcMillis(self.created_at),
            claim_until: self.claim_until.map(UtcMillis),
            claimed_at: self.claimed_at.map(UtcMillis),
            attempts: row.number("attempts", self.attempts)?,
            first_attempt_at: self.first_attempt_at.map(UtcMillis),
            last_attempt_at: self.last_attempt_at.map(UtcMillis),
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
    created_at: i64,
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
            created_at: UtcMillis(self.created_at),
        })
    }
}

pub(crate) async fn devices(store: &SqliteStore) -> StoreResult<Vec<DeviceRecord>> {
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices ORDER BY no")
        .fetch_all(&store.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(DeviceColumns::record)
        .collect()
}

pub(crate) async fn device(store: &SqliteStore, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    device_on(&mut connection, id).await
}

async fn device_on(connection: &mut SqliteConnection, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let id = id.as_str();
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices WHERE id = ?", id)
        .fetch_optional(connection)
        .await
        .map_err(failed)?
        .map(DeviceColumns::record)
        .transpose()
}

pub(crate) async fn lights(store: &SqliteStore) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, latitude, longitude, created_at FROM lights ORDER BY no"
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn lights_of_device(store: &SqliteStore, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, latitude, longitude, created_at FROM lights
         WHERE device_no = ? ORDER BY no",
        device.0
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn register(
    store: &SqliteStore,
    new: NewDevice,
    audit: &AuditEntry,
) -> StoreResult<(DeviceRecord, LightRecord)> {
    let mut tx = store.begin().await?;
    let id = new.device_id.as_str();
    let claim_until = new.claim_until.map(|t| t.0);
    // The update comes first: an insert that meets a row uses up a number, and numbers are to be dense.
    let pending = sqlx::query!(
        "UPDATE devices SET state = 'registered', created_at = ?, claim_until = ?,
             attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = ? AND state = 'pending'",
        new.created_at.0,
        claim_until,
        id,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if pending.rows_affected() == 0 {
        let inserted = sqlx::query!(
            "INSERT INTO devices (id, state, created_at, claim_until) VALUES (?, 'registered', ?, ?)
             ON CONFLICT (id) DO NOTHING",
            id,
            new.created_at.0,
            claim_until,
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

async fn insert_light(connection: &mut SqliteConnection, new: NewDevice, device: DeviceNo) -> StoreResult<LightRecord> {
    let light_id = match new.light_id {
        Some(id) => id,
        None => {
            let highest =
                sqlx::query_scalar!(r#"SELECT max(numbered) AS "highest: i64" FROM lights WHERE numbered IS NOT NULL"#)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(failed)?;
            LightId::numbered(Row::new("lights", &"highest").number("numbered", highest.unwrap_or(0) + 1)?)
        }
    };
    let (id, numbered) = (light_id.as_str(), light_number(&light_id));
    let light = sqlx::query!(
        "INSERT INTO lights (id, numbered, device_no, name, address, city, latitude, longitude, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        id,
        numbered,
        device.0,
        new.name,
        new.address,
        new.city,
        new.latitude,
        new.longitude,
        new.created_at.0,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    if light.rows_affected() == 0 {
        return Err(StoreError::Conflict { what: "a light with this id" });
    }
    let no = light.last_insert_rowid();
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

pub(crate) async fn note_pending(store: &SqliteStore, note: &PendingNote) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    let id = note.device_id.as_str();
    let counted = sqlx::query!(
        "UPDATE devices SET attempts = min(attempts + 1, 4294967295),
             first_attempt_at = coalesce(first_attempt_at, ?1), last_attempt_at = ?1
         WHERE id = ?2",
        note.at.0,
        id,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if counted.rows_affected() == 0 {
        sqlx::query!(
            "INSERT INTO devices (id, state, created_at, attempts, first_attempt_at, last_attempt_at)
             VALUES (?1, 'pending', ?2, 1, ?2, ?2)",
            id,
            note.at.0,
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

pub(crate) async fn waiting(store: &SqliteStore, limit: u32) -> StoreResult<Vec<DeviceRecord>> {
    sqlx::query_as!(
        DeviceColumns,
        "SELECT * FROM devices WHERE attempts > 0 AND state IN ('pending', 'registered')
         ORDER BY last_attempt_at DESC, no DESC LIMIT ?",
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(DeviceColumns::record)
    .collect()
}

pub(crate) async fn open_claim_window(
    store: &SqliteStore,
    id: &DeviceId,
    until: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    let id = id.as_str();
    let opened = sqlx::query!(
        "UPDATE devices SET claim_until = ?, attempts = 0, first_attempt_at = NULL, last_attempt_at = NULL
         WHERE id = ? AND state = 'registered'",
        until.0,
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

pub(crate) async fn save_reported(store: &SqliteStore, device: DeviceNo, reported: &Reported) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    write_reported(&mut tx, device, reported).await?;
    tx.commit().await.map_err(failed)
}

async fn write_reported(connection: &mut SqliteConnection, device: DeviceNo, said: &Reported) -> StoreResult<()> {
    sqlx::query!(
        "UPDATE devices SET reported_device_type = ?, reported_name = ?, reported_city = ?, reported_address = ?,
             reported_latitude = ?, reported_longitude = ?, reported_gsm_imei = ?, reported_communication_type = ?,
             reported_firmware_version = ?, reported_battery_backup_hours = ?
         WHERE no = ?",
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
        device.0,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}
