//! The latest states of some lights, as a checkpoint keeps them: who was heard of when, and what was said last.
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{CheckpointRow, ReadingRow};

use crate::block::fit;
use crate::frame::{put_number, take_number};
use crate::{BlockError, Link, READINGS_MAX, decode_batch, encode_batch, frame, narrow};

/// Packs states of different lights.
///
/// # Errors
/// [`BlockError::TooLarge`].
pub fn encode_states(rows: &[CheckpointRow]) -> Result<Vec<u8>, BlockError> {
    if rows.len() > READINGS_MAX {
        return Err(BlockError::TooLarge(rows.len()));
    }
    let mut out = Vec::with_capacity(64 + rows.len() * 40);
    put_number(&mut out, rows.len());
    let mut column = |of: fn(&CheckpointRow) -> Option<i64>| {
        narrow::put(&mut out, &rows.iter().map(of).collect::<Vec<_>>());
    };
    column(|r| Some(i64::from(r.light_no.0)));
    column(|r| Some(r.last_contact.0));
    column(|r| Some(i64::from(r.promised_interval_s)));
    column(|r| r.latest.is_some().then_some(1));
    let latest: Vec<&ReadingRow> = rows.iter().filter_map(|r| r.latest.as_ref()).collect();
    // They come from no log, or from places in it that nobody asks for.
    let links: Vec<Link> =
        (1..).take(latest.len()).map(|position| Link { position, previous: 0, newest_before: 0 }).collect();
    let first_at = latest.iter().map(|r| r.reading.reported_at).min().unwrap_or(UtcMillis(0));
    narrow::put(&mut out, &[Some(first_at.0)]);
    out.extend(encode_batch(first_at, &latest, &links)?);
    Ok(frame::wrap(&out))
}

/// The states as they were given.
///
/// # Errors
/// They are damaged, or of a later version.
pub fn decode_states(states: &[u8]) -> Result<Vec<CheckpointRow>, BlockError> {
    let body = &mut frame::unwrap(states)?;
    let count = take_number(body)?;
    if count > READINGS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let lights = narrow::take_all(body, count)?;
    let contacts = narrow::take_all(body, count)?;
    let promised = narrow::take_all(body, count)?;
    let is_known = narrow::take(body, count)?;
    let [first_at] = *narrow::take_all(body, 1)? else { return Err(BlockError::Damaged("a time is missing")) };
    let latest = decode_batch((0, UtcMillis(first_at)), body, |_| true)?;
    let mut latest = latest.into_iter().map(|linked| linked.row);
    let mut rows = Vec::with_capacity(count);
    for i in 0..count {
        let light_no = LightNo(fit(lights[i])?);
        let latest = match is_known[i] {
            Some(_) => Some(latest.next().ok_or(BlockError::Damaged("a reading is missing"))?),
            None => None,
        };
        if latest.as_ref().is_some_and(|row| row.light_no != light_no) {
            return Err(BlockError::Damaged("a reading is of another light"));
        }
        let (last_contact, promised_interval_s) = (UtcMillis(contacts[i]), fit(promised[i])?);
        rows.push(CheckpointRow { light_no, last_contact, promised_interval_s, latest });
    }
    if latest.next().is_some() {
        return Err(BlockError::Damaged("a reading is of no light"));
    }
    Ok(rows)
}
