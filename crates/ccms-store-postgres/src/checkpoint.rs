//! The latest state of every light as of a log position: what a start reads instead of the whole log.
use ccms_core::ids::LightNo;
use ccms_store::parse::Row;
use ccms_store::{CheckpointRow, LogPosition, ReadingRow, StoreError, StoreResult};

use crate::columns::{Columns, ReadingColumns};
use crate::instant::Instant;
use crate::{PostgresStore, failed};

/// Rows per statement: bounds the arrays that are built here and sent.
const PIECE_ROWS: usize = 10_000;

pub(crate) async fn write(store: &PostgresStore, upto: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    // The position first: its row lock makes two processes that write checkpoints take turns.
    let moved = sqlx::query!(
        "UPDATE checkpoint SET log_position = $1 WHERE log_position <= $1
           AND NOT EXISTS (SELECT 1 FROM server_lease WHERE holder != $2 AND until > clock_timestamp())",
        upto.0,
        store.origin
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if moved.rows_affected() == 0 {
        return Err(StoreError::unavailable("the checkpoint is another's or further on"));
    }
    for piece in rows.chunks(PIECE_ROWS) {
        let light_no: Vec<i64> = piece.iter().map(|r| r.light_no.0.into()).collect();
        let last_contact: Vec<Instant> = piece.iter().map(|r| Instant(r.last_contact)).collect();
        let promised_interval_s: Vec<i64> = piece.iter().map(|r| r.promised_interval_s.into()).collect();
        let c: Columns = piece.iter().map(|r| r.latest.as_ref()).collect();
        // DISTINCT: of two rows for one light the later stands, as on the other engine.
        sqlx::query!(
            "INSERT INTO light_state (light_no, last_contact, promised_interval_s, device_no, reported_at, received_at,
               dedupe, energy_wh, uptime_s, current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc,
               power_state, brightness_percent, battery_percent, signal_percent, error_flags)
             SELECT DISTINCT ON (light_no) light_no, last_contact, promised_interval_s, device_no, reported_at,
               received_at, dedupe, energy_wh, uptime_s, current_ma, power_dw, voltage_dv, frequency_chz, flags,
               temperature_dc, power_state, brightness_percent, battery_percent, signal_percent, error_flags::json
             FROM unnest($1::bigint[], $2::timestamptz[], $3::bigint[], $4::bigint[], $5::timestamptz[],
               $6::timestamptz[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
               $12::integer[], $13::integer[], $14::integer[], $15::smallint[], $16::smallint[], $17::smallint[],
               $18::smallint[], $19::smallint[], $20::text[])
             WITH ORDINALITY AS batch (light_no, last_contact, promised_interval_s, device_no, reported_at, received_at,
               dedupe, energy_wh, uptime_s, current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc,
               power_state, brightness_percent, battery_percent, signal_percent, error_flags, place)
             ORDER BY light_no, place DESC
             ON CONFLICT (light_no) DO UPDATE SET last_contact = excluded.last_contact,
               promised_interval_s = excluded.promised_interval_s, device_no = excluded.device_no,
               reported_at = excluded.reported_at, received_at = excluded.received_at, dedupe = excluded.dedupe,
               energy_wh = excluded.energy_wh, uptime_s = excluded.uptime_s, current_ma = excluded.current_ma,
               power_dw = excluded.power_dw, voltage_dv = excluded.voltage_dv, frequency_chz = excluded.frequency_chz,
               flags = excluded.flags, temperature_dc = excluded.temperature_dc, power_state = excluded.power_state,
               brightness_percent = excluded.brightness_percent, battery_percent = excluded.battery_percent,
               signal_percent = excluded.signal_percent, error_flags = excluded.error_flags",
            &light_no,
            &last_contact as _,
            &promised_interval_s,
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
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

struct StateColumns {
    light_no: i64,
    last_contact: Instant,
    promised_interval_s: i64,
    device_no: Option<i64>,
    reported_at: Option<Instant>,
    received_at: Option<Instant>,
    dedupe: Option<i64>,
    energy_wh: Option<i64>,
    uptime_s: Option<i64>,
    current_ma: Option<i64>,
    power_dw: Option<i64>,
    voltage_dv: Option<i32>,
    frequency_chz: Option<i32>,
    flags: Option<i32>,
    temperature_dc: Option<i16>,
    power_state: Option<i16>,
    brightness_percent: Option<i16>,
    battery_percent: Option<i16>,
    signal_percent: Option<i16>,
    error_flags: Option<String>,
}

impl StateColumns {
    fn row(self) -> StoreResult<CheckpointRow> {
        let at = Row::new("light_state", &self.light_no);
        let light_no = LightNo(at.number("light_no", self.light_no)?);
        let promised_interval_s = at.number("promised_interval_s", self.promised_interval_s)?;
        let last_contact = self.last_contact.0;
        let Some(reported_at) = self.reported_at else {
            return Ok(CheckpointRow { light_no, last_contact, promised_interval_s, latest: None });
        };
        let latest = ReadingColumns {
            device_no: at.present("device_no", self.device_no)?,
            reported_at,
            received_at: at.present("received_at", self.received_at)?,
            dedupe: at.present("dedupe", self.dedupe)?,
            energy_wh: self.energy_wh,
            uptime_s: self.uptime_s,
            current_ma: self.current_ma,
            power_dw: self.power_dw,
            voltage_dv: self.voltage_dv,
            frequency_chz: self.frequency_chz,
            flags: at.present("flags", self.flags)?,
            temperature_dc: self.temperature_dc,
            power_state: self.power_state,
            brightness_percent: self.brightness_percent,
            battery_percent: self.battery_percent,
            signal_percent: self.signal_percent,
            error_flags: self.error_flags,
        };
        let latest = Some(latest.row(at, light_no)?);
        Ok(CheckpointRow { light_no, last_contact, promised_interval_s, latest })
    }
}

pub(crate) async fn position(store: &PostgresStore) -> StoreResult<LogPosition> {
    let upto =
        sqlx::query_scalar!("SELECT log_position FROM checkpoint").fetch_one(&store.pool).await.map_err(failed)?;
    Ok(LogPosition(upto))
}

pub(crate) async fn read(store: &PostgresStore) -> StoreResult<(LogPosition, Vec<CheckpointRow>)> {
    // One snapshot, or a checkpoint written between the two reads would give rows of another position.
    let mut tx = store.pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.map_err(failed)?;
    let upto = sqlx::query_scalar!("SELECT log_position FROM checkpoint").fetch_one(&mut *tx).await.map_err(failed)?;
    let rows = sqlx::query_as!(
        StateColumns,
        "SELECT light_no, last_contact, promised_interval_s, device_no, reported_at, received_at, dedupe, energy_wh,
           uptime_s, current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state,
           brightness_percent, battery_percent, signal_percent, error_flags::text
         FROM light_state ORDER BY light_no"
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let rows = rows.into_iter().map(StateColumns::row).collect::<StoreResult<_>>()?;
    Ok((LogPosition(upto), rows))
}

pub(crate) async fn latest_of(store: &PostgresStore, light: LightNo) -> StoreResult<Option<ReadingRow>> {
    let found = sqlx::query_as!(
        StateColumns,
        "SELECT light_no, last_contact, promised_interval_s, device_no, reported_at, received_at, dedupe, energy_wh,
           uptime_s, current_ma, power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state,
           brightness_percent, battery_percent, signal_percent, error_flags::text
         FROM light_state WHERE light_no = $1",
        i64::from(light.0)
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?;
    Ok(found.map(StateColumns::row).transpose()?.and_then(|row| row.latest))
}
