//! Lights, with what people say of them.
use ccms_core::ids::{DeviceNo, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::{Row, light_number};
use ccms_store::{Curated, LightRecord, StoreError, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, failed};

pub(crate) struct LightColumns {
    pub no: i64,
    pub id: String,
    pub device_no: Option<i64>,
    pub name: String,
    pub address: String,
    pub city: String,
    pub zone: String,
    pub ward: String,
    pub feeder: String,
    pub pole: String,
    pub wattage_w: Option<f64>,
    pub latitude: f64,
    pub longitude: f64,
    pub created_at: Instant,
}

impl LightColumns {
    pub(crate) fn record(self) -> StoreResult<LightRecord> {
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
            created_at: self.created_at.0,
        })
    }
}

pub(crate) async fn lights(store: &PostgresStore) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights ORDER BY no"
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn after(store: &PostgresStore, after: LightNo, limit: u32) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights WHERE no > $1 ORDER BY no LIMIT $2",
        i64::from(after.0),
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

pub(crate) async fn of_device(store: &PostgresStore, device: DeviceNo) -> StoreResult<Vec<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "SELECT no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at
         FROM lights WHERE device_no = $1 ORDER BY no",
        i64::from(device.0)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect()
}

/// Whether a controller drives any light.
pub(crate) async fn any_of(connection: &mut PgConnection, device: DeviceNo) -> StoreResult<bool> {
    sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM lights WHERE device_no = $1) AS "any!""#, i64::from(device.0))
        .fetch_one(connection)
        .await
        .map_err(failed)
}

/// A new light under `light_id` or the first free number. The caller holds [`crate::Lock::Numbering`].
pub(crate) async fn insert(
    connection: &mut PgConnection,
    light_id: Option<LightId>,
    device: Option<DeviceNo>,
    curated: &Curated,
    created_at: UtcMillis,
) -> StoreResult<LightRecord> {
    let light_id = match light_id {
        Some(id) => id,
        None => first_free_id(connection).await?,
    };
    let (id, numbered) = (light_id.as_str(), light_number(&light_id).map(i64::from));
    sqlx::query_as!(
        LightColumns,
        "INSERT INTO lights (no, id, numbered, device_no, name, address, city, zone, ward, feeder, pole, wattage_w,
             latitude, longitude, created_at)
         SELECT coalesce(max(no), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 FROM lights
         ON CONFLICT (id) DO NOTHING
         RETURNING no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at",
        id,
        numbered,
        device.map(|d| i64::from(d.0)),
        plain(&curated.name),
        plain(&curated.address),
        plain(&curated.city),
        plain(&curated.zone),
        plain(&curated.ward),
        plain(&curated.feeder),
        plain(&curated.pole),
        curated.wattage_w,
        curated.latitude,
        curated.longitude,
        Instant(created_at),
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .ok_or(StoreError::Conflict { what: "a light with this id" })?
    .record()
}

async fn first_free_id(connection: &mut PgConnection) -> StoreResult<LightId> {
    let highest = sqlx::query_scalar!(r#"SELECT max(numbered) AS "highest" FROM lights WHERE numbered IS NOT NULL"#)
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    let next = Row::new("lights", &"highest").number("numbered", highest.unwrap_or(0) + 1)?;
    Ok(LightId::numbered(next))
}

/// Replaces the curated facts. `None` when there is no such light.
pub(crate) async fn update(
    connection: &mut PgConnection,
    light: LightNo,
    curated: &Curated,
) -> StoreResult<Option<LightRecord>> {
    sqlx::query_as!(
        LightColumns,
        "UPDATE lights SET name = $1, address = $2, city = $3, zone = $4, ward = $5, feeder = $6, pole = $7,
             wattage_w = $8, latitude = $9, longitude = $10
         WHERE no = $11
         RETURNING no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at",
        plain(&curated.name),
        plain(&curated.address),
        plain(&curated.city),
        plain(&curated.zone),
        plain(&curated.ward),
        plain(&curated.feeder),
        plain(&curated.pole),
        curated.wattage_w,
        curated.latitude,
        curated.longitude,
        i64::from(light.0),
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .map(LightColumns::record)
    .transpose()
}

/// Gives every light of one controller to another; answers them by number.
pub(crate) async fn hand_over(
    connection: &mut PgConnection,
    from: DeviceNo,
    to: DeviceNo,
) -> StoreResult<Vec<LightRecord>> {
    let mut lights: Vec<LightRecord> = sqlx::query_as!(
        LightColumns,
        "UPDATE lights SET device_no = $1 WHERE device_no = $2
         RETURNING no, id, device_no, name, address, city, zone, ward, feeder, pole, wattage_w, latitude, longitude,
             created_at",
        i64::from(to.0),
        i64::from(from.0),
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LightColumns::record)
    .collect::<StoreResult<_>>()?;
    lights.sort_by_key(|light| light.no);
    Ok(lights)
}
