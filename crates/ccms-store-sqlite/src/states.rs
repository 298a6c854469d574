//! The latest state of every light on disk: packed pages of 256 lights. Rows of `light_state` are an earlier release's; a page
//! takes over those of its lights when it is written.
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use ccms_block::{BlockError, decode_states, encode_states};
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{CheckpointRow, StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::columns::ReadingColumns;
use crate::failed;

/// Lights of one page: 8 KB or so.
const PAGE_LIGHTS: u32 = 256;

type States = BTreeMap<LightNo, CheckpointRow>;

/// Puts these states in the place of those of their lights.
pub(crate) async fn write(connection: &mut SqliteConnection, rows: &[CheckpointRow]) -> StoreResult<()> {
    let mut by_page: BTreeMap<u32, Vec<&CheckpointRow>> = BTreeMap::new();
    for row in rows {
        by_page.entry(row.light_no.0 / PAGE_LIGHTS).or_default().push(row);
    }
    for (page, rows) in by_page {
        // A page of a large city comes whole, and there is nothing to read first.
        let mut states =
            if rows.len() < PAGE_LIGHTS as usize { read(connection, page..=page).await? } else { States::new() };
        states.extend(rows.into_iter().map(|row| (row.light_no, row.clone())));
        let states: Vec<_> = states.into_values().collect();
        let body = encode_states(&states).map_err(StoreError::unavailable)?;
        sqlx::query!("INSERT OR REPLACE INTO light_states (page, body) VALUES (?, ?)", page, body)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
        let (first, last) = lights(page..=page);
        sqlx::query!("DELETE FROM light_state WHERE light_no BETWEEN ? AND ?", first, last)
            .execute(&mut *connection)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

pub(crate) async fn all(connection: &mut SqliteConnection) -> StoreResult<Vec<CheckpointRow>> {
    Ok(read(connection, 0..=u32::MAX / PAGE_LIGHTS).await?.into_values().collect())
}

pub(crate) async fn of(connection: &mut SqliteConnection, light: LightNo) -> StoreResult<Option<CheckpointRow>> {
    let page = light.0 / PAGE_LIGHTS;
    Ok(read(connection, page..=page).await?.remove(&light))
}

fn lights(pages: RangeInclusive<u32>) -> (u32, u32) {
    (pages.start() * PAGE_LIGHTS, pages.end() * PAGE_LIGHTS + (PAGE_LIGHTS - 1))
}

async fn read(connection: &mut SqliteConnection, pages: RangeInclusive<u32>) -> StoreResult<States> {
    let (from, to) = (pages.start(), pages.end());
    let found = sqlx::query!("SELECT page, body FROM light_states WHERE page BETWEEN ? AND ? ORDER BY page", from, to)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    let mut states = States::new();
    for page in found {
        let rows = decode_states(&page.body).map_err(|error| bad(page.page, &error))?;
        states.extend(rows.into_iter().map(|row| (row.light_no, row)));
    }
    let (first, last) = lights(pages);
    let before = sqlx::query_as!(StateColumns, "SELECT * FROM light_state WHERE light_no BETWEEN ? AND ?", first, last)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    for columns in before {
        let row = columns.row()?;
        states.entry(row.light_no).or_insert(row);
    }
    Ok(states)
}

fn bad(page: i64, error: &BlockError) -> StoreError {
    StoreError::BadRow { table: "light_states", column: "body", row: page.to_string(), reason: error.to_string() }
}

struct StateColumns {
    light_no: i64,
    last_contact: i64,
    promised_interval_s: i64,
    device_no: Option<i64>,
    reported_at: Option<i64>,
    delay_ms: Option<i64>,
    dedupe: Option<i64>,
    power_state: Option<i64>,
    brightness_percent: Option<i64>,
    temperature_dc: Option<i64>,
    battery_percent: Option<i64>,
    signal_percent: Option<i64>,
    uptime_s: Option<i64>,
    voltage_dv: Option<i64>,
    current_ma: Option<i64>,
    power_dw: Option<i64>,
    frequency_chz: Option<i64>,
    energy_wh: Option<i64>,
    error_flags: Option<String>,
    flags: Option<i64>,
}

impl StateColumns {
    fn row(self) -> StoreResult<CheckpointRow> {
        let at = Row::new("light_state", &self.light_no);
        let light_no = LightNo(at.number("light_no", self.light_no)?);
        let promised_interval_s = at.number("promised_interval_s", self.promised_interval_s)?;
        let last_contact = UtcMillis(self.last_contact);
        let Some(reported_at) = self.reported_at else {
            return Ok(CheckpointRow { light_no, last_contact, promised_interval_s, latest: None });
        };
        let latest = ReadingColumns {
            device_no: at.present("device_no", self.device_no)?,
            reported_at,
            delay_ms: at.present("delay_ms", self.delay_ms)?,
            dedupe: at.present("dedupe", self.dedupe)?,
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
            flags: at.present("flags", self.flags)?,
        };
        let latest = Some(latest.row(at, light_no)?);
        Ok(CheckpointRow { light_no, last_contact, promised_interval_s, latest })
    }
}
