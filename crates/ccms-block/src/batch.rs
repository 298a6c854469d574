//! What one flush of the intake stored: readings of many lights in the order of their arrival, column by column.
//!
//! Nothing in a log of arrivals lies near anything else of its light. So each reading says where the one before it of its
//! light is, and the newest time there was until then: from the last reading of a light its past is found step by step, and
//! the steps end where nothing further back can be what is looked for.
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

use crate::block::{fill, fit, put_error_flags, take_error_flags};
use crate::frame::{put_number, take_number};
use crate::{BlockError, READINGS_MAX, frame, narrow};

/// Where a reading is in the log, and what of its light is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its own place. Places grow within a batch, mostly by one.
    pub position: i64,
    /// The place of the reading of this light that was stored before it; 0 when there is none.
    pub previous: i64,
    /// The newest [`second_of`] of all readings of this light that were stored before it; 0 when there is none.
    pub newest_before: u32,
}

/// A reading as a batch gives it back.
#[derive(Debug, Clone, PartialEq)]
pub struct Linked {
    /// Which reading of its batch, from 0.
    pub index: usize,
    pub link: Link,
    pub row: ReadingRow,
}

/// The time of a reading in whole seconds, so that it fits four bytes: later ones never have a smaller one, and none has 0.
pub fn second_of(row: &ReadingRow) -> u32 {
    second(row.reading.reported_at)
}

/// [`second_of`] a moment.
pub fn second(at: UtcMillis) -> u32 {
    u32::try_from(at.0.div_euclid(1000).saturating_add(1).max(1)).unwrap_or(u32::MAX)
}

/// Packs readings with their links. `first_at` is the earliest of their times.
///
/// # Errors
/// [`BlockError::TooLarge`].
pub fn encode_batch(first_at: UtcMillis, rows: &[&ReadingRow], links: &[Link]) -> Result<Vec<u8>, BlockError> {
    let count = rows.len();
    if count > READINGS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let mut out = Vec::with_capacity(96 + count * 32);
    put_number(&mut out, count);
    let mut scratch = Vec::with_capacity(count);
    let mut column = |values: &mut dyn Iterator<Item = Option<i64>>| {
        scratch.clear();
        scratch.extend(values);
        narrow::put(&mut out, &scratch);
    };
    let last = links.last().map_or(0, |l| l.position);
    let holes = |(i, l): (usize, &Link)| Some(last - l.position - (count - 1 - i) as i64);
    let of_rows = |of: fn(&ReadingRow) -> Option<i64>| rows.iter().map(move |r| of(r));
    // The lights first: whoever looks for a few of them reads no further where there are none.
    column(&mut of_rows(|r| Some(i64::from(r.light_no.0))));
    column(&mut links.iter().enumerate().map(holes));
    column(&mut links.iter().map(|l| (l.previous != 0).then(|| l.position - l.previous)));
    let since = |(r, l): (&&ReadingRow, &Link)| {
        (l.newest_before != 0).then(|| i64::from(second_of(r)) - i64::from(l.newest_before))
    };
    column(&mut rows.iter().zip(links).map(since));
    column(&mut rows.iter().map(|r| Some(r.reading.reported_at.0.wrapping_sub(first_at.0))));
    column(&mut of_rows(|r| Some(r.received_at.0.wrapping_sub(r.reading.reported_at.0))));
    column(&mut of_rows(|r| Some(i64::from(r.device_no.0) - i64::from(r.light_no.0))));
    column(&mut of_rows(|r| Some(r.dedupe)));
    column(&mut of_rows(|r| Some(i64::from(r.reading.flags.0))));
    column(&mut of_rows(|r| r.reading.power_state.map(|p| i64::from(p == PowerState::On))));
    column(&mut of_rows(|r| r.reading.brightness_percent.map(i64::from)));
    column(&mut of_rows(|r| r.reading.temperature_dc.map(i64::from)));
    column(&mut of_rows(|r| r.reading.battery_percent.map(i64::from)));
    column(&mut of_rows(|r| r.reading.signal_percent.map(i64::from)));
    column(&mut of_rows(|r| r.reading.uptime_s.map(i64::from)));
    column(&mut of_rows(|r| r.reading.voltage_dv.map(i64::from)));
    column(&mut of_rows(|r| r.reading.current_ma.map(i64::from)));
    column(&mut of_rows(|r| r.reading.power_dw.map(i64::from)));
    column(&mut of_rows(|r| r.reading.frequency_chz.map(i64::from)));
    column(&mut of_rows(|r| r.reading.energy_wh));
    put_error_flags(&mut out, rows.iter().copied())?;
    Ok(frame::wrap(&out))
}

/// The readings of the lights that are `wanted`, in the order of arrival, of a batch whose last reading is at `last`.
///
/// # Errors
/// The batch is damaged or of a later version.
pub fn decode_batch(
    (last, first_at): (i64, UtcMillis),
    batch: &[u8],
    wanted: impl Fn(LightNo) -> bool,
) -> Result<Vec<Linked>, BlockError> {
    let body = &mut frame::unwrap(batch)?;
    let count = take_number(body)?;
    if count > READINGS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let lights = narrow::take_all(body, count)?;
    let lights: Vec<LightNo> = lights.into_iter().map(|no| Ok(LightNo(fit(no)?))).collect::<Result<_, BlockError>>()?;
    if !lights.iter().any(|no| wanted(*no)) {
        return Ok(Vec::new());
    }
    let holes = narrow::take_all(body, count)?;
    let back = narrow::take(body, count)?;
    let since = narrow::take(body, count)?;
    let after = narrow::take_all(body, count)?;
    let delays = narrow::take_all(body, count)?;
    let devices = narrow::take_all(body, count)?;
    let keys = narrow::take_all(body, count)?;
    let flags = narrow::take_all(body, count)?;
    let mut rows = Vec::with_capacity(count);
    for i in 0..count {
        let reported_at = UtcMillis(first_at.0.wrapping_add(after[i]));
        rows.push(ReadingRow {
            light_no: lights[i],
            device_no: DeviceNo(fit(devices[i].wrapping_add(i64::from(lights[i].0)))?),
            received_at: UtcMillis(reported_at.0.wrapping_add(delays[i])),
            dedupe: keys[i],
            reading: Reading {
                reported_at,
                // From zero on the key is the message number of the device.
                seq: u32::try_from(keys[i]).ok(),
                flags: ReadingFlags(fit(flags[i])?),
                ..Reading::default()
            },
        });
    }
    for (row, value) in rows.iter_mut().zip(narrow::take(body, count)?) {
        row.reading.power_state = value.map(|v| if v == 0 { PowerState::Off } else { PowerState::On });
    }
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.brightness_percent)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.temperature_dc)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.battery_percent)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.signal_percent)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.uptime_s)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.voltage_dv)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.current_ma)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.power_dw)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.frequency_chz)?;
    fill(narrow::take(body, count)?, &mut rows, |r| &mut r.energy_wh)?;
    take_error_flags(body, &mut rows)?;
    if !body.is_empty() {
        return Err(BlockError::Damaged("something follows its end"));
    }
    let mut found = Vec::new();
    for (index, row) in rows.into_iter().enumerate().filter(|(_, row)| wanted(row.light_no)) {
        let position = last.wrapping_sub(holes[index]).wrapping_sub((count - 1 - index) as i64);
        let newest_before = match since[index] {
            Some(since) => fit(i64::from(second_of(&row)).wrapping_sub(since))?,
            None => 0,
        };
        let previous = back[index].map_or(0, |back| position.wrapping_sub(back));
        found.push(Linked { index, link: Link { position, previous, newest_before }, row });
    }
    Ok(found)
}
