//! The readings of one light, column by column.
//!
//! What follows from the rest is left out: a key that tells repeats apart is computed from the content again, and the current
//! of a lamp is its power over its voltage but for a rest that is small and steady.
use std::collections::HashMap;

use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

use crate::frame::{put_bytes, put_number, take_byte, take_bytes, take_number};
use crate::{BlockError, column, frame};

/// Readings of one block: a day at more than one a second.
pub const READINGS_MAX: usize = 100_000;

/// How the keys are kept: computed from the content, or as they are.
const KEYS_FOLLOW: u8 = 0;
const KEYS_KEPT: u8 = 1;

/// Packs readings of one light. Their order stays.
///
/// # Errors
/// More than [`READINGS_MAX`] of them, or of several lights.
pub fn encode(rows: &[ReadingRow]) -> Result<Vec<u8>, BlockError> {
    if rows.len() > READINGS_MAX {
        return Err(BlockError::TooLarge(rows.len()));
    }
    if rows.windows(2).any(|pair| pair[0].light_no != pair[1].light_no) {
        return Err(BlockError::SeveralLights);
    }
    let mut out = Vec::with_capacity(64 + rows.len() * 4);
    put_number(&mut out, rows.len());
    let all = |of: fn(&ReadingRow) -> i64| rows.iter().map(of);
    column::put_all(&mut out, all(|r| r.reading.reported_at.0))?;
    column::put_all(&mut out, all(|r| r.received_at.0.wrapping_sub(r.reading.reported_at.0)))?;
    column::put_all(&mut out, all(|r| i64::from(r.device_no.0)))?;
    column::put_all(&mut out, all(|r| i64::from(r.reading.flags.0)))?;
    let some = |out: &mut Vec<u8>, of: fn(&Reading) -> Option<i64>| {
        column::put(out, &rows.iter().map(|r| of(&r.reading)).collect::<Vec<_>>())
    };
    some(&mut out, |r| r.power_state.map(|p| i64::from(p == PowerState::On)))?;
    some(&mut out, |r| r.brightness_percent.map(i64::from))?;
    some(&mut out, |r| r.temperature_dc.map(i64::from))?;
    some(&mut out, |r| r.battery_percent.map(i64::from))?;
    some(&mut out, |r| r.signal_percent.map(i64::from))?;
    some(&mut out, |r| r.uptime_s.map(i64::from))?;
    some(&mut out, |r| r.voltage_dv.map(i64::from))?;
    some(&mut out, |r| r.power_dw.map(i64::from))?;
    some(&mut out, |r| r.current_ma.map(|ma| i64::from(ma) - expected_ma(r.power_dw, r.voltage_dv)))?;
    some(&mut out, |r| r.frequency_chz.map(i64::from))?;
    some(&mut out, |r| r.energy_wh)?;
    put_error_flags(&mut out, rows.iter())?;
    put_keys(&mut out, rows)?;
    Ok(frame::wrap(&out))
}

/// The readings of a block, in the order they were given.
///
/// # Errors
/// The block is damaged or of a later version.
pub fn decode(light: LightNo, block: &[u8]) -> Result<Vec<ReadingRow>, BlockError> {
    let body = &mut frame::unwrap(block)?;
    let count = take_number(body)?;
    if count > READINGS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let reported = column::take_all(body, count)?;
    let delays = column::take_all(body, count)?;
    let devices = column::take_all(body, count)?;
    let flags = column::take_all(body, count)?;
    let mut rows = Vec::with_capacity(count);
    for i in 0..count {
        let reported_at = UtcMillis(reported[i]);
        rows.push(ReadingRow {
            light_no: light,
            device_no: DeviceNo(fit(devices[i])?),
            received_at: UtcMillis(reported[i].wrapping_add(delays[i])),
            dedupe: 0,
            reading: Reading { reported_at, flags: ReadingFlags(fit(flags[i])?), ..Reading::default() },
        });
    }
    for (row, value) in rows.iter_mut().zip(column::take(body, count)?) {
        row.reading.power_state = value.map(|v| if v == 0 { PowerState::Off } else { PowerState::On });
    }
    fill(column::take(body, count)?, &mut rows, |r| &mut r.brightness_percent)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.temperature_dc)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.battery_percent)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.signal_percent)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.uptime_s)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.voltage_dv)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.power_dw)?;
    for (row, rest) in rows.iter_mut().zip(column::take(body, count)?) {
        let r = &mut row.reading;
        let current = |rest: i64| fit(rest.checked_add(expected_ma(r.power_dw, r.voltage_dv)).ok_or(OUT_OF_RANGE)?);
        r.current_ma = rest.map(current).transpose()?;
    }
    fill(column::take(body, count)?, &mut rows, |r| &mut r.frequency_chz)?;
    fill(column::take(body, count)?, &mut rows, |r| &mut r.energy_wh)?;
    take_error_flags(body, &mut rows)?;
    take_keys(body, &mut rows)?;
    if body.is_empty() { Ok(rows) } else { Err(BlockError::Damaged("something follows its end")) }
}

const OUT_OF_RANGE: BlockError = BlockError::Damaged("a value is out of range");

pub(crate) fn fit<T: TryFrom<i64>>(value: i64) -> Result<T, BlockError> {
    T::try_from(value).map_err(|_| OUT_OF_RANGE)
}

/// Puts one column into a field of the readings.
pub(crate) fn fill<T: TryFrom<i64>>(
    values: Vec<Option<i64>>,
    rows: &mut [ReadingRow],
    field: impl Fn(&mut Reading) -> &mut Option<T>,
) -> Result<(), BlockError> {
    for (row, value) in rows.iter_mut().zip(values) {
        *field(&mut row.reading) = value.map(fit).transpose()?;
    }
    Ok(())
}

/// What a load without any reactance would draw: tenths of a watt over tenths of a volt, in milliamperes.
fn expected_ma(power_dw: Option<u32>, voltage_dv: Option<u16>) -> i64 {
    match (power_dw, voltage_dv) {
        (Some(power), Some(voltage)) if voltage > 0 => {
            let voltage = i64::from(voltage);
            (i64::from(power) * 1000 + voltage / 2) / voltage
        }
        _ => 0,
    }
}

/// Lists of texts repeat: each is kept once, and each row says which is its own; the first is the empty one.
pub(crate) fn put_error_flags<'a>(
    out: &mut Vec<u8>,
    rows: impl ExactSizeIterator<Item = &'a ReadingRow> + Clone,
) -> Result<(), BlockError> {
    // Mostly there are none at all.
    if rows.clone().all(|row| row.reading.error_flags.is_empty()) {
        put_number(out, 0);
        return Ok(());
    }
    let mut lists: Vec<&[Box<str>]> = vec![&[]];
    let mut places: HashMap<&[Box<str>], usize> = HashMap::from([(&[][..], 0)]);
    let mut which = Vec::with_capacity(rows.len());
    for row in rows {
        let flags: &[Box<str>] = &row.reading.error_flags;
        let place = *places.entry(flags).or_insert(lists.len());
        which.push(place as i64);
        if place == lists.len() {
            lists.push(flags);
        }
    }
    put_number(out, lists.len() - 1);
    for list in &lists[1..] {
        put_number(out, list.len());
        list.iter().for_each(|text| put_bytes(out, text.as_bytes()));
    }
    if lists.len() > 1 { column::put_all(out, which.into_iter()) } else { Ok(()) }
}

pub(crate) fn take_error_flags(body: &mut &[u8], rows: &mut [ReadingRow]) -> Result<(), BlockError> {
    let count = take_number(body)?;
    if count == 0 {
        return Ok(());
    }
    if count > rows.len() {
        return Err(BlockError::Damaged("more lists of flags than readings"));
    }
    let mut lists: Vec<Vec<Box<str>>> = vec![Vec::new()];
    for _ in 0..count {
        let texts = take_number(body)?;
        let mut list = Vec::new();
        for _ in 0..texts {
            let text = std::str::from_utf8(take_bytes(body)?).map_err(|_| BlockError::Damaged("a flag is no text"))?;
            list.push(text.into());
        }
        lists.push(list);
    }
    let which = column::take_all(body, rows.len())?;
    for (row, which) in rows.iter_mut().zip(which) {
        let which: usize = fit(which)?;
        row.reading.error_flags = lists.get(which).ok_or(OUT_OF_RANGE)?.clone();
    }
    Ok(())
}

fn put_keys(out: &mut Vec<u8>, rows: &[ReadingRow]) -> Result<(), BlockError> {
    if rows.iter().all(|row| row.dedupe == content_key(&row.reading)) {
        out.push(KEYS_FOLLOW);
        return Ok(());
    }
    out.push(KEYS_KEPT);
    column::put_all(out, rows.iter().map(|row| row.dedupe))
}

fn take_keys(body: &mut &[u8], rows: &mut [ReadingRow]) -> Result<(), BlockError> {
    let keys = match take_byte(body)? {
        KEYS_FOLLOW => rows.iter().map(|row| content_key(&row.reading)).collect(),
        KEYS_KEPT => column::take_all(body, rows.len())?,
        _ => return Err(BlockError::Damaged("its keys are of an unknown kind")),
    };
    for (row, key) in rows.iter_mut().zip(keys) {
        row.dedupe = key;
        // From zero on the key is the message number of the device.
        row.reading.seq = u32::try_from(key).ok();
    }
    Ok(())
}

/// The key of a reading without a message number.
fn content_key(reading: &Reading) -> i64 {
    if reading.seq.is_none() { reading.dedupe_key() } else { i64::MIN }
}
