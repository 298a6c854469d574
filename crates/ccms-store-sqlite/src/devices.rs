//! Controllers: which are known, and what they say of themselves.
use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{DeviceRecord, DeviceState, Reported, StoreResult};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed};

struct DeviceColumns {
    no: i64,
    id: String,
    state: String,
    epoch: i64,
    token_used_gen: i64,
    reclaim_until: Option<i64>,
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
            token_used_gen: self.token_used_gen,
            reclaim_until: self.reclaim_until.map(UtcMillis),
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

pub(crate) async fn after(
    store: &SqliteStore,
    after: DeviceNo,
    state: Option<DeviceState>,
    limit: u32,
) -> StoreResult<Vec<DeviceRecord>> {
    let state = state.map(DeviceState::as_str);
    sqlx::query_as!(
        DeviceColumns,
        "SELECT * FROM devices WHERE no > ?1 AND (?2 IS NULL OR state = ?2) ORDER BY no LIMIT ?3",
        after.0,
        state,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(DeviceColumns::record)
    .collect()
}

/// The same inside a transaction.
pub(crate) async fn device_on(connection: &mut SqliteConnection, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let id = id.as_str();
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices WHERE id = ?", id)
        .fetch_optional(connection)
        .await
        .map_err(failed)?
        .map(DeviceColumns::record)
        .transpose()
}

pub(crate) async fn device_by_no(connection: &mut SqliteConnection, no: DeviceNo) -> StoreResult<Option<DeviceRecord>> {
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices WHERE no = ?", no.0)
        .fetch_optional(connection)
        .await
        .map_err(failed)?
        .map(DeviceColumns::record)
        .transpose()
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

pub(crate) async fn save_reported(store: &SqliteStore, device: DeviceNo, reported: &Reported) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    write_reported(&mut tx, device, reported).await?;
    tx.commit().await.map_err(failed)
}

pub(crate) async fn write_reported(
    connection: &mut SqliteConnection,
    device: DeviceNo,
    said: &Reported,
) -> StoreResult<()> {
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
