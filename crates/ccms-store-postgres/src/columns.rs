//! One reading as columns, and back. `energy_parameters` and `light_state` share these.
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_store::parse::Row;
use ccms_store::{LogPosition, ReadingRow, StoreResult};

use crate::instant::Instant;

/// What a row of either table holds of a reading, apart from the light.
pub(crate) struct ReadingColumns {
    pub device_no: i64,
    pub reported_at: Instant,
    pub received_at: Instant,
    pub dedupe: i64,
    pub energy_wh: Option<i64>,
    pub uptime_s: Option<i64>,
    pub current_ma: Option<i64>,
    pub power_dw: Option<i64>,
    pub voltage_dv: Option<i32>,
    pub frequency_chz: Option<i32>,
    pub flags: i32,
    pub temperature_dc: Option<i16>,
    pub power_state: Option<i16>,
    pub brightness_percent: Option<i16>,
    pub battery_percent: Option<i16>,
    pub signal_percent: Option<i16>,
    pub error_flags: Option<String>,
}

impl ReadingColumns {
    pub(crate) fn row(self, at: Row<'_>, light: LightNo) -> StoreResult<ReadingRow> {
        let dedupe = Reading::dedupe_key_of(self.dedupe);
        Ok(ReadingRow {
            light_no: light,
            device_no: DeviceNo(at.number("device_no", self.device_no)?),
            received_at: self.received_at.0,
            dedupe,
            reading: Reading {
                reported_at: self.reported_at.0,
                // A message number is its own dedupe key; hashes are below zero.
                seq: u32::try_from(dedupe).ok(),
                light_id: None,
                power_state: self.power_state.map(|p| power_state(at, p)).transpose()?,
                brightness_percent: at.number_opt("brightness_percent", self.brightness_percent)?,
                temperature_dc: self.temperature_dc,
                battery_percent: at.number_opt("battery_percent", self.battery_percent)?,
                signal_percent: at.number_opt("signal_percent", self.signal_percent)?,
                uptime_s: at.number_opt("uptime_s", self.uptime_s)?,
                voltage_dv: at.number_opt("voltage_dv", self.voltage_dv)?,
                current_ma: at.number_opt("current_ma", self.current_ma)?,
                power_dw: at.number_opt("power_dw", self.power_dw)?,
                frequency_chz: at.number_opt("frequency_chz", self.frequency_chz)?,
                energy_wh: self.energy_wh,
                error_flags: self.error_flags.map(|t| at.json("error_flags", &t)).transpose()?.unwrap_or_default(),
                flags: ReadingFlags(self.flags.cast_unsigned()),
            },
        })
    }
}

/// A row of the log.
pub(crate) struct LogColumns {
    pub id: i64,
    pub light_no: i64,
    pub device_no: i64,
    pub reported_at: Instant,
    pub received_at: Instant,
    pub dedupe: i64,
    pub energy_wh: Option<i64>,
    pub uptime_s: Option<i64>,
    pub current_ma: Option<i64>,
    pub power_dw: Option<i64>,
    pub voltage_dv: Option<i32>,
    pub frequency_chz: Option<i32>,
    pub flags: i32,
    pub temperature_dc: Option<i16>,
    pub power_state: Option<i16>,
    pub brightness_percent: Option<i16>,
    pub battery_percent: Option<i16>,
    pub signal_percent: Option<i16>,
    pub error_flags: Option<String>,
}

impl LogColumns {
    pub(crate) fn row(self) -> StoreResult<(LogPosition, ReadingRow)> {
        let at = Row::new("energy_parameters", &self.id);
        let light = LightNo(at.number("light_no", self.light_no)?);
        let reading = ReadingColumns {
            device_no: self.device_no,
            reported_at: self.reported_at,
            received_at: self.received_at,
            dedupe: self.dedupe,
            energy_wh: self.energy_wh,
            uptime_s: self.uptime_s,
            current_ma: self.current_ma,
            power_dw: self.power_dw,
            voltage_dv: self.voltage_dv,
            frequency_chz: self.frequency_chz,
            flags: self.flags,
            temperature_dc: self.temperature_dc,
            power_state: self.power_state,
            brightness_percent: self.brightness_percent,
            battery_percent: self.battery_percent,
            signal_percent: self.signal_percent,
            error_flags: self.error_flags,
        };
        Ok((LogPosition(self.id), reading.row(at, light)?))
    }
}

fn power_state(at: Row<'_>, stored: i16) -> StoreResult<PowerState> {
    match stored {
        0 => Ok(PowerState::Off),
        1 => Ok(PowerState::On),
        other => Err(at.bad("power_state", format_args!("{other} is neither 0 nor 1"))),
    }
}

/// Many readings, column by column, as UNNEST takes them. A row without a reading is NULL in every column.
#[derive(Default)]
pub(crate) struct Columns {
    pub device_no: Vec<Option<i64>>,
    pub reported_at: Vec<Option<Instant>>,
    pub received_at: Vec<Option<Instant>>,
    pub dedupe: Vec<Option<i64>>,
    pub energy_wh: Vec<Option<i64>>,
    pub uptime_s: Vec<Option<i64>>,
    pub current_ma: Vec<Option<i64>>,
    pub power_dw: Vec<Option<i64>>,
    pub voltage_dv: Vec<Option<i32>>,
    pub frequency_chz: Vec<Option<i32>>,
    pub flags: Vec<Option<i32>>,
    pub temperature_dc: Vec<Option<i16>>,
    pub power_state: Vec<Option<i16>>,
    pub brightness_percent: Vec<Option<i16>>,
    pub battery_percent: Vec<Option<i16>>,
    pub signal_percent: Vec<Option<i16>>,
    pub error_flags: Vec<Option<String>>,
}

impl<'a> FromIterator<Option<&'a ReadingRow>> for Columns {
    fn from_iter<I: IntoIterator<Item = Option<&'a ReadingRow>>>(rows: I) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.push(row);
        }
        columns
    }
}

impl Columns {
    fn push(&mut self, row: Option<&ReadingRow>) {
        let reading = row.map(|r| &r.reading);
        self.device_no.push(row.map(|r| r.device_no.0.into()));
        self.reported_at.push(reading.map(|r| Instant(r.reported_at)));
        self.received_at.push(row.map(|r| Instant(r.received_at)));
        self.dedupe.push(row.map(|r| r.dedupe));
        self.energy_wh.push(reading.and_then(|r| r.energy_wh));
        self.uptime_s.push(reading.and_then(|r| r.uptime_s).map(i64::from));
        self.current_ma.push(reading.and_then(|r| r.current_ma).map(i64::from));
        self.power_dw.push(reading.and_then(|r| r.power_dw).map(i64::from));
        self.voltage_dv.push(reading.and_then(|r| r.voltage_dv).map(i32::from));
        self.frequency_chz.push(reading.and_then(|r| r.frequency_chz).map(i32::from));
        self.flags.push(reading.map(|r| r.flags.0.cast_signed()));
        self.temperature_dc.push(reading.and_then(|r| r.temperature_dc));
        self.power_state.push(reading.and_then(|r| r.power_state).map(|p| p as i16));
        self.brightness_percent.push(reading.and_then(|r| r.brightness_percent).map(i16::from));
        self.battery_percent.push(reading.and_then(|r| r.battery_percent).map(i16::from));
        self.signal_percent.push(reading.and_then(|r| r.signal_percent).map(i16::from));
        self.error_flags.push(reading.and_then(|r| error_flags_json(&r.error_flags)));
    }
}

fn error_flags_json(flags: &[Box<str>]) -> Option<String> {
    (!flags.is_empty()).then(|| serde_json::Value::from_iter(flags.iter().map(|f| &**f)).to_string())
}
