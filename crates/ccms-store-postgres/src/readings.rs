//! The hot log `energy_parameters`: appended in batches, one statement and one flush each; read by light or in order.
//!
//! What reading costs. The one index beside the number is led by time, so a range of one light walks the index entries of
//! *all* lights in that range (the light is compared inside the index) and fetches only the matching rows. The newest rows
//! walk the log backwards from its end, at most [`LATEST_SCAN_ROWS`].
use std::collections::HashSet;
use std::time::Duration;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Appended, LogPosition, ReadingRow, StoreError, StoreResult};
use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, Postgres};

use crate::columns::{Columns, LogColumns};
use crate::instant::Instant;
use crate::{Lock, PostgresStore, checkpoint, failed, lock};

/// How far back from the end of the log the newest rows of a light are looked for: over three hours of 5,000 lights, and
/// about a tenth of a second for a light without any. For one that was silent longer, the checkpoint has its last reading.
const LATEST_SCAN_ROWS: i64 = 2_000_000;

/// After so long an append is given up, and its connection with it. Whether it came through is not known then: who sends the
/// readings again finds out.
const APPEND_MAX: Duration = Duration::from_secs(10);

pub(crate) async fn append(store: &PostgresStore, rows: &[ReadingRow]) -> StoreResult<Appended> {
    let mut connection = Unanswered(Some(store.intake.acquire().await.map_err(failed)?));
    let Some(held) = &mut connection.0 else { return Err(StoreError::unavailable("no connection")) };
    let appended = tokio::time::timeout(APPEND_MAX, append_on(held, rows)).await;
    let appended = appended.map_err(|_| StoreError::unavailable("the database did not answer in time"))?;
    // It has answered, and is good for the next.
    connection.0 = None;
    appended
}

/// A connection that owes an answer. Given up, it is closed: nobody knows what it would say to the next.
struct Unanswered(Option<PoolConnection<Postgres>>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(connection.detach());
        }
    }
}

async fn append_on(connection: &mut PgConnection, rows: &[ReadingRow]) -> StoreResult<Appended> {
    let mut tx = connection.begin().await.map_err(failed)?;
    lock(&mut tx, Lock::Log).await?;
    let light_no: Vec<i64> = rows.iter().map(|r| r.light_no.0.into()).collect();
    let c: Columns = rows.iter().map(Some).collect();
    // The arrays are as long as the batch, the text is always the same. In the order of the batch, so that numbers are too.
    let new = sqlx::query!(
        r#"WITH stored AS (
             INSERT INTO energy_parameters (light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s,
               current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent,
               battery_percent, signal_percent, error_flags)
             SELECT light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s,
               current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent,
               battery_percent, signal_percent, error_flags::json
             FROM unnest($1::bigint[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], $5::bigint[], $6::bigint[],
               $7::bigint[], $8::bigint[], $9::bigint[], $10::integer[], $11::integer[], $12::integer[],
               $13::smallint[], $14::smallint[], $15::smallint[], $16::smallint[], $17::smallint[], $18::text[])
             WITH ORDINALITY AS batch (light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s,
               current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent,
               battery_percent, signal_percent, error_flags, place)
             ORDER BY place
             ON CONFLICT DO NOTHING
             RETURNING id)
           SELECT count(*) AS "rows!", min(id) AS first, max(id) AS last,
             (SELECT max(id) FROM energy_parameters) AS before FROM stored"#,
        &light_no,
        &c.device_no as _,
        &c.reported_at as _,
        &c.received_at as _,
        &c.dedupe as _,
        &c.energy_wh as _,
        &c.uptime_s as _,
        &c.current_ma as _,
        &c.power_dw as _,
        &c.voltage_dv as _,
        &c.frequency_chz as _,
        &c.flags as _,
        &c.temperature_dc as _,
        &c.power_state as _,
        &c.brightness_percent as _,
        &c.battery_percent as _,
        &c.signal_percent as _,
        &c.error_flags as _,
    )
    .fetch_one(&mut *tx)
    .await
    .map_err(failed)?;
    // Repeats are rare: only then is it worth asking which rows they were. Under the lock, all from `first` on is ours.
    let stored = match new.first {
        _ if usize::try_from(new.rows) == Ok(rows.len()) => vec![true; rows.len()],
        None => vec![false; rows.len()],
        Some(first) => {
            let mut keys = keys_from(&mut tx, first).await?;
            rows.iter().map(|r| keys.remove(&stored_key(r))).collect()
        }
    };
    let upto = match new.last {
        Some(last) => LogPosition(last),
        None => end_of_log(&mut tx).await?,
    };
    tx.commit().await.map_err(failed)?;
    // What a statement reads is as it was before what the same statement writes.
    Ok(Appended { stored, before: LogPosition(new.before.unwrap_or(0)), upto })
}

/// What tells the row from others, as it will be read.
fn stored_key(row: &ReadingRow) -> (UtcMillis, i64, i64) {
    (Instant(row.reading.reported_at).stored(), row.light_no.0.into(), row.dedupe)
}

async fn end_of_log(connection: &mut PgConnection) -> StoreResult<LogPosition> {
    // The row of the highest number may be sealed and gone, but only behind the checkpoint.
    let end = sqlx::query_scalar!(
        r#"SELECT greatest((SELECT max(id) FROM energy_parameters), (SELECT log_position FROM checkpoint), 0) AS "end!""#
    )
        .fetch_one(connection)
        .await
        .map_err(failed)?;
    Ok(LogPosition(end))
}

async fn keys_from(connection: &mut PgConnection, first: i64) -> StoreResult<HashSet<(UtcMillis, i64, i64)>> {
    let keys = sqlx::query!("SELECT reported_at, light_no, dedupe FROM energy_parameters WHERE id >= $1", first)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    Ok(keys.into_iter().map(|k| (k.reported_at.0, k.light_no, k.dedupe)).collect())
}

pub(crate) async fn between(
    store: &PostgresStore,
    light: LightNo,
    from: UtcMillis,
    to: UtcMillis,
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    sqlx::query_as!(
        LogColumns,
        "SELECT id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma, power_dw,
           voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
           signal_percent, error_flags::text
         FROM energy_parameters
         WHERE reported_at >= $1 AND reported_at < $2 AND light_no = $3
         ORDER BY reported_at DESC, dedupe DESC LIMIT $4",
        Instant(from),
        Instant(to),
        i64::from(light.0),
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|c| Ok(c.row()?.1))
    .collect()
}

/// Of one moment the later arrival first.
pub(crate) async fn suspect(
    store: &PostgresStore,
    light: LightNo,
    from: UtcMillis,
    to: UtcMillis,
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    sqlx::query_as!(
        LogColumns,
        "SELECT id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma, power_dw,
           voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
           signal_percent, error_flags::text
         FROM energy_parameters
         WHERE (flags & 4096) != 0 AND light_no = $1 AND received_at >= $2 AND received_at < $3
         ORDER BY received_at DESC, id DESC LIMIT $4",
        i64::from(light.0),
        Instant(from),
        Instant(to),
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|c| Ok(c.row()?.1))
    .collect()
}

pub(crate) async fn latest(store: &PostgresStore, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>> {
    let found: Vec<ReadingRow> = sqlx::query_as!(
        LogColumns,
        "SELECT id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma, power_dw,
           voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
           signal_percent, error_flags::text
         FROM energy_parameters
         WHERE light_no = $1 AND id > (SELECT coalesce(max(id), 0) FROM energy_parameters) - $2::bigint
         ORDER BY id DESC LIMIT $3",
        i64::from(light.0),
        LATEST_SCAN_ROWS,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
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
    store: &PostgresStore,
    after: LogPosition,
    limit: u32,
) -> StoreResult<Vec<(LogPosition, ReadingRow)>> {
    sqlx::query_as!(
        LogColumns,
        "SELECT id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma, power_dw,
           voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
           signal_percent, error_flags::text
         FROM energy_parameters WHERE id > $1 ORDER BY id LIMIT $2",
        after.0,
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(LogColumns::row)
    .collect()
}
