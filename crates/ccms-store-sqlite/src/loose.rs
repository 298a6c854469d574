//! The table `loose_readings`: rows of one reading each. Those whose clock is suspect are here until they are deleted, and what an
//! earlier release wrote until it is sealed. Both are few, and both share their positions with the batches.
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{LogPosition, ReadingRow, StoreResult};
use sqlx::SqliteConnection;

use crate::columns::{self, ReadingColumns};
use crate::{SqliteStore, failed, log};

pub(crate) struct LooseColumns {
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

/// A reading and where it is.
pub(crate) type Placed = (LogPosition, ReadingRow);

impl LooseColumns {
    pub(crate) fn row(self) -> StoreResult<Placed> {
        let at = Row::new("loose_readings", &self.id);
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

pub(crate) fn rows(found: Vec<LooseColumns>) -> StoreResult<Vec<Placed>> {
    found.into_iter().map(LooseColumns::row).collect()
}

pub(crate) async fn insert(connection: &mut SqliteConnection, position: i64, row: &ReadingRow) -> StoreResult<()> {
    // Not checked when compiled: which columns there are is said once, in `columns`.
    let marks = ", ?".repeat(columns::COUNT);
    let sql = format!("INSERT INTO loose_readings (id, light_no, {}) VALUES (?, ?{marks})", columns::NAMES);
    let insert = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(position).bind(row.light_no.0);
    columns::bind(insert, row).execute(connection).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn has(connection: &mut SqliteConnection, row: &ReadingRow) -> StoreResult<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM loose_readings WHERE reported_at = ? AND light_no = ? AND dedupe = ?) AS "found!: bool""#,
        row.reading.reported_at.0,
        row.light_no.0,
        row.dedupe
    );
    found.fetch_one(connection).await.map_err(failed)
}

pub(crate) async fn after(connection: &mut SqliteConnection, position: i64, limit: u32) -> StoreResult<Vec<Placed>> {
    rows(
        sqlx::query_as!(LooseColumns, "SELECT * FROM loose_readings WHERE id > ? ORDER BY id LIMIT ?", position, limit)
            .fetch_all(connection)
            .await
            .map_err(failed)?,
    )
}

pub(crate) async fn latest(connection: &mut SqliteConnection, light: LightNo, limit: u32) -> StoreResult<Vec<Placed>> {
    rows(
        sqlx::query_as!(
            LooseColumns,
            "SELECT * FROM loose_readings WHERE light_no = ? ORDER BY id DESC LIMIT ?",
            light.0,
            limit
        )
        .fetch_all(connection)
        .await
        .map_err(failed)?,
    )
}

/// Of one light and `from <= reported_at < to`, newest first.
pub(crate) async fn between(
    connection: &mut SqliteConnection,
    light: LightNo,
    (from, to): (UtcMillis, UtcMillis),
    limit: u32,
) -> StoreResult<Vec<Placed>> {
    rows(
        sqlx::query_as!(
            LooseColumns,
            "SELECT * FROM loose_readings INDEXED BY loose_readings_once
             WHERE reported_at >= ? AND reported_at < ? AND light_no = ?
             ORDER BY reported_at DESC, dedupe DESC LIMIT ?",
            from.0,
            to.0,
            light.0,
            limit
        )
        .fetch_all(connection)
        .await
        .map_err(failed)?,
    )
}

/// Of one light whose clock is suspect, arrived at `from <= time < to`, newest first.
pub(crate) async fn suspect(
    connection: &mut SqliteConnection,
    light: LightNo,
    (from, to): (UtcMillis, UtcMillis),
    limit: u32,
) -> StoreResult<Vec<Placed>> {
    rows(
        sqlx::query_as!(
            LooseColumns,
            "SELECT * FROM loose_readings INDEXED BY loose_readings_suspect
             WHERE flags & 4096 <> 0 AND light_no = ? AND reported_at + delay_ms >= ? AND reported_at + delay_ms < ?
             ORDER BY reported_at + delay_ms DESC, id DESC LIMIT ?",
            light.0,
            from.0,
            to.0,
            limit
        )
        .fetch_all(connection)
        .await
        .map_err(failed)?,
    )
}

/// Of each of these lights the last that arrived at `from <= time < to` and whose clock is suspect; of one arrival the one with the longest
/// uptime.
pub(crate) async fn newest_suspects(
    connection: &mut SqliteConnection,
    lights: &[LightNo],
    (from, to): (UtcMillis, UtcMillis),
) -> StoreResult<Vec<ReadingRow>> {
    let lights: Vec<String> = lights.iter().map(|no| no.0.to_string()).collect();
    let lights = format!("[{}]", lights.join(","));
    let found = sqlx::query_as!(
        LooseColumns,
        r#"SELECT id AS "id!", light_no AS "light_no!", device_no AS "device_no!", reported_at AS "reported_at!", delay_ms AS "delay_ms!",
             dedupe AS "dedupe!", power_state, brightness_percent, battery_percent, temperature_dc, signal_percent, uptime_s, voltage_dv,
             current_ma, power_dw, frequency_chz, energy_wh, error_flags, flags AS "flags!"
           FROM loose_readings WHERE id IN (
             SELECT (SELECT id FROM loose_readings INDEXED BY loose_readings_suspect
                   WHERE flags & 4096 <> 0 AND light_no = wanted.value
                     AND reported_at + delay_ms >= ?2 AND reported_at + delay_ms < ?3
                   ORDER BY reported_at + delay_ms DESC, uptime_s DESC, reported_at DESC, id DESC LIMIT 1)
             FROM json_each(?1) AS wanted)"#,
        lights,
        from.0,
        to.0
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    found.into_iter().map(|c| Ok(c.row()?.1)).collect()
}

/// What an earlier release wrote, of `from <= reported_at < to` and `after < position <= upto`, by position.
pub(crate) async fn old_after(
    connection: &mut SqliteConnection,
    (from, to): (UtcMillis, UtcMillis),
    (after, upto): (LogPosition, LogPosition),
    limit: u32,
) -> StoreResult<Vec<Placed>> {
    rows(
        sqlx::query_as!(
            LooseColumns,
            "SELECT * FROM loose_readings INDEXED BY loose_readings_once
             WHERE reported_at >= ? AND reported_at < ? AND id > ? AND id <= ? AND flags & 4096 = 0
             ORDER BY id LIMIT ?",
            from.0,
            to.0,
            after.0,
            upto.0,
            limit
        )
        .fetch_all(connection)
        .await
        .map_err(failed)?,
    )
}

/// What an earlier release wrote, of the lights `first <= number < end` and `from <= reported_at < to`, in no order.
pub(crate) async fn old(
    connection: &mut SqliteConnection,
    (first, end): (LightNo, LightNo),
    (from, to): (UtcMillis, UtcMillis),
    upto: LogPosition,
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    let found = sqlx::query_as!(
        LooseColumns,
        "SELECT * FROM loose_readings INDEXED BY loose_readings_once
         WHERE reported_at >= ? AND reported_at < ? AND light_no >= ? AND light_no < ? AND id <= ? AND flags & 4096 = 0
         LIMIT ?",
        from.0,
        to.0,
        first.0,
        end.0,
        upto.0,
        limit
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    found.into_iter().map(|c| Ok(c.row()?.1)).collect()
}

/// Those whose clock is suspect and that arrived before a time. Their positions are never given again.
pub(crate) async fn forget_suspect(
    store: &SqliteStore,
    before: UtcMillis,
    upto: LogPosition,
    limit: u32,
) -> StoreResult<u64> {
    let mut tx = store.begin().await?;
    let last = log::end(&mut tx).await?;
    let gone = sqlx::query!(
        "DELETE FROM loose_readings WHERE id IN (
           SELECT id FROM loose_readings INDEXED BY loose_readings_arrived
           WHERE flags & 4096 <> 0 AND reported_at + delay_ms < ? AND id <= ?
           ORDER BY reported_at + delay_ms LIMIT ?)",
        before.0,
        upto.0,
        limit
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if gone.rows_affected() > 0 {
        sqlx::query!("UPDATE log_end SET position = max(position, ?)", last).execute(&mut *tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)?;
    Ok(gone.rows_affected())
}
