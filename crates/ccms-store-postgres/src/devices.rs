//! Controllers: who is known, and what they say of themselves.
use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_store::parse::Row;
use ccms_store::{DeviceRecord, DeviceState, Reported, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, failed};

/// A whole row, as `SELECT *` and `RETURNING *` give it.
pub(crate) struct DeviceColumns {
    pub no: i64,
    pub id: String,
    pub state: String,
    pub epoch: i64,
    pub token_used_gen: i64,
    pub reclaim_until: Option<Instant>,
    pub created_at: Instant,
    pub claim_until: Option<Instant>,
    pub claimed_at: Option<Instant>,
    pub attempts: i64,
    pub first_attempt_at: Option<Instant>,
    pub last_attempt_at: Option<Instant>,
    pub reported_device_type: Option<String>,
    pub reported_name: Option<String>,
    pub reported_city: Option<String>,
    pub reported_address: Option<String>,
    pub reported_latitude: Option<f64>,
    pub reported_longitude: Option<f64>,
    pub reported_gsm_imei: Option<String>,
    pub reported_communication_type: Option<String>,
    pub reported_firmware_version: Option<String>,
    pub reported_battery_backup_hours: Option<f64>,
}

impl DeviceColumns {
    pub(crate) fn record(self) -> StoreResult<DeviceRecord> {
        let row = Row::new("devices", &self.no);
        Ok(DeviceRecord {
            no: DeviceNo(row.number("no", self.no)?),
            id: row.text("id", &self.id, |t| DeviceId::parse(t).ok())?,
            state: row.text("state", &self.state, DeviceState::parse)?,
            epoch: row.number("epoch", self.epoch)?,
            token_used_gen: self.token_used_gen,
            reclaim_until: self.reclaim_until.map(|t| t.0),
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

pub(crate) async fn after(
    store: &PostgresStore,
    after: DeviceNo,
    state: Option<DeviceState>,
    limit: u32,
) -> StoreResult<Vec<DeviceRecord>> {
    sqlx::query_as!(
        DeviceColumns,
        "SELECT * FROM devices WHERE no > $1 AND ($2::text IS NULL OR state = $2) ORDER BY no LIMIT $3",
        i64::from(after.0),
        state.map(DeviceState::as_str),
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(DeviceColumns::record)
    .collect()
}

/// The same inside a transaction.
pub(crate) async fn device_on(connection: &mut PgConnection, id: &DeviceId) -> StoreResult<Option<DeviceRecord>> {
    let id = id.as_str();
    sqlx::query_as!(DeviceColumns, "SELECT * FROM devices WHERE id = $1", id)
        .fetch_optional(connection)
        .await
        .map_err(failed)?
        .map(DeviceColumns::record)
        .transpose()
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

pub(crate) async fn save_reported(store: &PostgresStore, device: DeviceNo, reported: &Reported) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    write_reported(&mut tx, device, reported).await?;
    tx.commit().await.map_err(failed)
}

pub(crate) async fn write_reported(
    connection: &mut PgConnection,
    device: DeviceNo,
    said: &Reported,
) -> StoreResult<()> {
    sqlx::query!(
        "UPDATE devices SET reported_device_type = $1, reported_name = $2, reported_city = $3, reported_address = $4,
             reported_latitude = $5, reported_longitude = $6, reported_gsm_imei = $7, reported_communication_type = $8,
             reported_firmware_version = $9, reported_battery_backup_hours = $10
         WHERE no = $11",
        said.device_type.as_deref().map(plain),
        said.name.as_deref().map(plain),
        said.city.as_deref().map(plain),
        said.address.as_deref().map(plain),
        said.latitude,
        said.longitude,
        said.gsm_imei.as_deref().map(plain),
        said.communication_type.as_deref().map(plain),
        said.firmware_version.as_deref().map(plain),
        said.battery_backup_hours,
        i64::from(device.0),
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(())
}
