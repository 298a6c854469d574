//! Lights: which there are, who drives them, and what people curated of them.
use ccms_core::ids::{DeviceNo, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::{Row, light_number};
use ccms_store::{Curated, LightRecord, StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed};

struct LightColumns {
    no: i64,
    id: String,
    device_no: Option<i64>,
    name: String,
    address: String,
    city: String,
    zone: String,
    ward: String,
    feeder: String,
    pole: String,
    wattage_w: Option<f64>,
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
            curated: Curated {
                name: self.name,
                address: self.address,
                city: self.city,
                zone: self.zone,
                ward: self.ward,
                feeder: self.feeder,
                pole: self.pole,
                wattage_w: self.wattage_w,
                latitude: self.latitude,
                longitude: self.longitude,
            },
            created_at: UtcMillis(self.created_at),
        })
    }
}

pub(crate) async fn all(store: &SqliteStore) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights ORDER BY no"
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn after(store: &SqliteStore, after: LightNo, limit: u32) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights WHERE no > ? ORDER BY no LIMIT ?",
        after.0,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn of_device(store: &SqliteStore, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    of_device_on(&mut connection, device).await
}

/// The same inside a transaction.
pub(crate) async fn of_device_on(connection: &mut SqliteConnection, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights WHERE device_no = ? ORDER BY no",
        device.0
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn light_on(connection: &mut SqliteConnection, no: LightNo) -> StoreResult<Option<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights WHERE no = ?",
        no.0
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .map(LightColumns::record)
    .transpose()
}

/// A light under the given id, or the first free number.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    light_id: Option<LightId>,
    device: Option<DeviceNo>,
    curated: Curated,
    created_at: UtcMillis,
) -> StoreResult<LightRecord> {
    let light_id = match light_id {
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
    let (id, numbered, device_no) = (light_id.as_str(), light_number(&light_id), device.map(|d| d.0));
    let light = sqlx::query!(
        "INSERT INTO lights (id, numbered, device_no, name, address, city, zone, ward, feeder, pole, wattage_w,
             latitude, longitude, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        id,
        numbered,
        device_no,
        curated.name,
        curated.address,
        curated.city,
        curated.zone,
        curated.ward,
        curated.feeder,
        curated.pole,
        curated.wattage_w,
        curated.latitude,
        curated.longitude,
        created_at.0,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    if light.rows_affected() == 0 {
        return Err(StoreError::Conflict { what: "a light with this id" });
    }
    let no = light.last_insert_rowid();
    let no = LightNo(Row::new("lights", &no).number("no", no)?);
    Ok(LightRecord { no, id: light_id, device_no: device, curated, created_at })
}

/// Replaces the curated facts. False when there is no such light.
pub(crate) async fn curate(connection: &mut SqliteConnection, light: LightNo, curated: &Curated) -> StoreResult<bool> {
    let updated = sqlx::query!(
        "UPDATE lights SET name = ?, address = ?, city = ?, zone = ?, ward = ?, feeder = ?, pole = ?, wattage_w = ?,
             latitude = ?, longitude = ?
         WHERE no = ?",
        curated.name,
        curated.address,
        curated.city,
        curated.zone,
        curated.ward,
        curated.feeder,
        curated.pole,
        curated.wattage_w,
        curated.latitude,
        curated.longitude,
        light.0,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(updated.rows_affected() == 1)
}
