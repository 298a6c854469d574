//! One reading as columns, and back. `loose_readings` and `light_state` share these, which an earlier release wrote.
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{ReadingRow, StoreResult};
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;

/// What a row of either table holds of a reading, apart from the light.
pub(crate) struct ReadingColumns {
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

/// Stands for a device that has the number of its light, as most have: SQLite stores a zero in no bytes, and a number in one to
/// three. No device has it.
const SAME_NUMBER: u32 = 0;

/// In the order in which [`bind`] binds them.
pub(crate) const NAMES: &str = "device_no, reported_at, delay_ms, dedupe, power_state, brightness_percent, \
     temperature_dc, battery_percent, signal_percent, uptime_s, voltage_dv, current_ma, power_dw, frequency_chz, \
     energy_wh, error_flags, flags";
pub(crate) const COUNT: usize = 17;

pub(crate) type Bound<'q> = Query<'q, Sqlite, SqliteArguments>;

pub(crate) fn bind<'q>(query: Bound<'q>, row: &ReadingRow) -> Bound<'q> {
    let r = &row.reading;
    query
        .bind(if row.device_no.0 == row.light_no.0 { SAME_NUMBER } else { row.device_no.0 })
        .bind(r.reported_at.0)
        .bind(row.received_at.0.wrapping_sub(r.reported_at.0))
        .bind(row.dedupe)
        .bind(r.power_state.map(|p| p as i32))
        .bind(r.brightness_percent)
        .bind(r.temperature_dc)
        .bind(r.battery_percent)
        .bind(r.signal_percent)
        .bind(r.uptime_s)
        .bind(r.voltage_dv)
        .bind(r.current_ma)
        .bind(r.power_dw)
        .bind(r.frequency_chz)
        .bind(r.energy_wh)
        .bind(error_flags_json(&r.error_flags))
        .bind(r.flags.0)
}

fn error_flags_json(flags: &[Box<str>]) -> Option<String> {
    (!flags.is_empty()).then(|| serde_json::Value::from_iter(flags.iter().map(|f| &**f)).to_string())
}

impl ReadingColumns {
    pub(crate) fn row(self, at: Row<'_>, light: LightNo) -> StoreResult<ReadingRow> {
        let reported_at = UtcMillis(self.reported_at);
        let dedupe = Reading::dedupe_key_of(self.dedupe);
        let device_no = match at.number("device_no", self.device_no)? {
            SAME_NUMBER => light.0,
            other => other,
        };
        Ok(ReadingRow {
            light_no: light,
            device_no: DeviceNo(device_no),
            received_at: UtcMillis(self.reported_at.wrapping_add(self.delay_ms)),
            dedupe,
            reading: Reading {
                reported_at,
                // A message number is its own dedupe key; hashes are below zero.
                seq: u32::try_from(dedupe).ok(),
                light_id: None,
                power_state: self.power_state.map(|p| power_state(at, p)).transpose()?,
                brightness_percent: at.number_opt("brightness_percent", self.brightness_percent)?,
                temperature_dc: at.number_opt("temperature_dc", self.temperature_dc)?,
                battery_percent: at.number_opt("battery_percent", self.battery_percent)?,
                signal_percent: at.number_opt("signal_percent", self.signal_percent)?,
                uptime_s: at.number_opt("uptime_s", self.uptime_s)?,
                voltage_dv: at.number_opt("voltage_dv", self.voltage_dv)?,
                current_ma: at.number_opt("current_ma", self.current_ma)?,
                power_dw: at.number_opt("power_dw", self.power_dw)?,
                frequency_chz: at.number_opt("frequency_chz", self.frequency_chz)?,
                energy_wh: self.energy_wh,
                error_flags: self.error_flags.map(|t| at.json("error_flags", &t)).transpose()?.unwrap_or_default(),
                flags: ReadingFlags(at.number("flags", self.flags)?),
            },
        })
    }
}

fn power_state(at: Row<'_>, stored: i64) -> StoreResult<PowerState> {
    match stored {
        0 => Ok(PowerState::Off),
        1 => Ok(PowerState::On),
        other => Err(at.bad("power_state", format_args!("{other} is neither 0 nor 1"))),
    }
}
