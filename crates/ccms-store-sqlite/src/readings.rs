//! The hot log `energy_parameters`: appended in batches, one transaction and one flush each; read by light or in order.
//!
//! What reading costs. The one index is led by time, so a range of one light walks the index entries of *all* lights in
//! that range (27 bytes and 60 ns each, the light is compared inside the index) and fetches only the matching rows: an hour
//! of 5,000 lights takes 40 ms, a day a second. The newest rows walk the log backwards from its end, at most
//! [`LATEST_SCAN_ROWS`].
use std::collections::HashSet;
use std::sync::LazyLock;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{Appended, LogPosition, ReadingRow, StoreResult};
use sqlx::SqliteConnection;

use crate::bulk::Bulk;
use crate::columns::{self, ReadingColumns};
use crate::{SqliteStore, checkpoint, failed};

/// How far back from the end of the log the newest rows of a light are looked for: over three hours of 5,000 lights, and
/// about a tenth of a second for a light without any. For one that was silent longer, the checkpoint has its last reading.
const LATEST_SCAN_ROWS: i64 = 2_000_000;

static INSERT: LazyLock<Bulk> = LazyLock::new(|| {
    let head = format!("INSERT INTO energy_parameters (light_no, {})", columns::NAMES);
    Bulk::new(&head, 1 + columns::COUNT, "ON CONFLICT DO NOTHING")
});

pub(crate) async fn append(store: &SqliteStore, rows: &[ReadingRow]) -> StoreResult<Appended> {
    let mut tx = store.begin().await?;
    let before = last_row(&mut tx).await?;
    let mut stored_rows = 0;
    for (sql, piece) in INSERT.pieces(rows) {
        let mut insert = sqlx::query(sql);
        for row in piece {
            insert = columns::bind(insert.bind(row.light_no.0), row);
        }
        stored_rows += insert.execute(&mut *tx).await.map_err(failed)?.rows_affected();
    }
    // Repeats are rare: only then is it worth asking which rows they were.
    let stored = if stored_rows == rows.len() as u64 {
        vec![true; rows.len()]
    } else {
        let mut new = keys_after(&mut tx, before).await?;
        rows.iter().map(|r| new.remove(&(r.reading.reported_at.0, i64::from(r.light_no.0), r.dedupe))).collect()
    };
    let upto = end_of_log(&mut tx).await?;
    tx.commit().await.map_err(failed)?;
    Ok(Appended { stored, before, upto })
}

/// The highest number in the log: every row that is added gets a higher one.
async fn last_row(connection: &mut SqliteConnection) -> StoreResult<LogPosition> {
    let last = sqlx::query_scalar!(r#"SELECT coalesce(max(id), 0) AS "last!: i64" FROM energy_parameters"#)
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    Ok(LogPosition(last))
}

async fn end_of_log(connection: &mut SqliteConnection) -> StoreResult<LogPosition> {
    // The row of the highest number may be sealed and gone, but only behind the checkpoint.
    let end = sqlx::query_scalar!(
        r#"SELECT max(coalesce((SELECT max(id) FROM energy_parameters), 0), (SELECT log_position FROM checkpoint))
             AS "end!: i64""#
    )
    .fetch_one(connection)
    .await
    .map_err(failed)?;
    Ok(LogPosition(end))
}

async fn keys_after(connection: &mut SqliteConnection, after: LogPosition) -> StoreResult<HashSet<(i64, i64, i64)>> {
    let keys = sqlx::query!("SELECT reported_at, light_no, dedupe FROM energy_parameters WHERE id > ?", after.0)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    Ok(keys.into_iter().map(|k| (k.reported_at, k.light_no, k.dedupe)).collect())
}

pub(crate) struct LogColumns {
    pub id: i64,
    pub light_no: i64,
    pub device_no: i64,
    pub reported_at: i64,
    pub delay_ms: i64,
    pub dedupe: i64,
    pub power_state: Option<i64>,
    pub brightness_percent: Option<i64>,
    pub temperature_dc: Option<i64>,
    pub battery_percent: Option<i64>,
    pub signal_percent: Option<i64>,
    pub uptime_s: Option<i64>,
    pub voltage_dv: Option<i64>,
    pub current_ma: Option<i64>,
    pub power_dw: Option<i64>,
    pub frequency_chz: Option<i64>,
    pub energy_wh: Option<i64>,
    pub error_flags: Option<String>,
    pub flags: i64,
}

impl LogColumns {
    pub(crate) fn row(self) -> StoreResult<(LogPosition, ReadingRow)> {
        let at = Row::new("energy_parameters", &self.id);
        let light = LightNo(at.number("light_no", self.light_no)?);
        let reading = ReadingColumns {
            device_no: self.device_no,
            reported_at: self.reported_at,
            delay_ms: self.delay_ms,
            dedupe: self.dedupe,
            power_state: self.power_state,
            brightness_percent: self.brightness_percent,
            temperature_dc: self.temperature_dc,
            battery_percent: self.battery_percent,
            signal_percent: self.signal_percent,
            uptime_s: self.uptime_s,
            voltage_dv: self.voltage_dv,
            current_ma: self.current_ma,
            power_dw: self.power_dw,
            frequency_chz: self.frequency_chz,
            energy_wh: self.energy_wh,
            error_flags: self.error_flags,
            flags: self.flags,
        };
        Ok((LogPosition(self.id), reading.row(at, light)?))
    }
}

pub(crate) async fn between(
    store: &SqliteStore,
    light: LightNo,
    from: UtcMillis,
    to: UtcMillis,
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    sqlx::query_as!(
        LogColumns,
        "SELECT * FROM energy_parameters INDEXED BY energy_parameters_once
         WHERE reported_at >= ? AND reported_at < ? AND light_no = ?
         ORDER BY reported_at DESC, dedupe DESC LIMIT ?",
        from.0,
        to.0,
        light.0,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|c| Ok(c.row()?.1))
    .collect()
}

/// Through the index `energy_parameters_suspect`, which is led by the light and then the time of arrival.
pub(crate) async fn suspect(
    store: &SqliteStore,
    light: LightNo,
    from: UtcMillis,
    to: UtcMillis,
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    sqlx::query_as!(
        LogColumns,
        "SELECT * FROM energy_parameters INDEXED BY energy_parameters_suspect
         WHERE flags & 4096 <> 0 AND light_no = ? AND reported_at + delay_ms >= ? AND reported_at + delay_ms < ?
         ORDER BY reported_at + delay_ms DESC, id DESC LIMIT ?",
        light.0,
        from.0,
        to.0,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|c| Ok(c.row()?.1))
    .collect()
}

pub(crate) async fn latest(store: &SqliteStore, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>> {
    let found: Vec<ReadingRow> = sqlx::query_as!(
        LogColumns,
        "SELECT * FROM energy_parameters
         WHERE light_no = ? AND id > (SELECT coalesce(max(id), 0) FROM energy_parameters) - ?
         ORDER BY id DESC LIMIT ?",
        light.0,
        LATEST_SCAN_ROWS,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|c| Ok(c.row()?.1))
    .collect::<StoreResult<_>>()?;
    if found.is_empty() && limit > 0 {
        return Ok(checkpoint::latest_of(store, light).await?.into_iter().collect());
    }
    Ok(found)
}

pub(crate) async fn log_after(
    store: &SqliteStore,
    after: LogPosition,
    limit: u32,
) -> StoreResult<Vec<(LogPosition, ReadingRow)>> {
    sqlx::query_as!(LogColumns, "SELECT * FROM energy_parameters WHERE id > ? ORDER BY id LIMIT ?", after.0, limit)
        .fetch_all(&store.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LogColumns::row)
        .collect()
}
