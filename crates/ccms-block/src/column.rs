//! One column of numbers, some of which may be missing.
use pco::ChunkConfig;
use pco::standalone::{simple_compress, simple_decompress_into};

use crate::BlockError;
use crate::frame::{put_bytes, take_byte, take_bytes};

/// How the values of a column are there.
const NONE: u8 = 0;
const ALL: u8 = 1;
/// A bit for each row says whether it has a value.
const SOME: u8 = 2;
/// Every row has the same value, which is so common that it is worth five bytes less than a codec's header.
const SAME: u8 = 3;

pub(crate) fn put(out: &mut Vec<u8>, values: &[Option<i64>]) -> Result<(), BlockError> {
    let known: Vec<i64> = values.iter().flatten().copied().collect();
    let Some(first) = known.first() else {
        out.push(NONE);
        return Ok(());
    };
    if known.len() == values.len() && known.iter().all(|v| v == first) {
        out.push(SAME);
        out.extend_from_slice(&first.to_le_bytes());
        return Ok(());
    }
    if known.len() == values.len() {
        out.push(ALL);
    } else {
        out.push(SOME);
        out.extend(
            values.chunks(8).map(|rows| {
                rows.iter().enumerate().fold(0, |bits, (i, value)| bits | (u8::from(value.is_some()) << i))
            }),
        );
    }
    let packed = simple_compress(&known, &ChunkConfig::default()).map_err(|e| BlockError::Codec(e.to_string()))?;
    put_bytes(out, &packed);
    Ok(())
}

pub(crate) fn put_all(out: &mut Vec<u8>, values: impl Iterator<Item = i64>) -> Result<(), BlockError> {
    put(out, &values.map(Some).collect::<Vec<_>>())
}

/// The values of `rows` rows.
pub(crate) fn take(body: &mut &[u8], rows: usize) -> Result<Vec<Option<i64>>, BlockError> {
    match take_byte(body)? {
        NONE => Ok(vec![None; rows]),
        SAME => {
            let (value, rest) = body.split_first_chunk().ok_or(BlockError::Damaged("it ends early"))?;
            *body = rest;
            Ok(vec![Some(i64::from_le_bytes(*value)); rows])
        }
        ALL => Ok(unpack(body, rows)?.into_iter().map(Some).collect()),
        SOME => {
            let (bits, rest) = body.split_at_checked(rows.div_ceil(8)).ok_or(BlockError::Damaged("it ends early"))?;
            *body = rest;
            let is_there = |row: usize| bits[row / 8] >> (row % 8) & 1 == 1;
            let mut known = unpack(body, (0..rows).filter(|row| is_there(*row)).count())?.into_iter();
            Ok((0..rows).map(|row| if is_there(row) { known.next() } else { None }).collect())
        }
        _ => Err(BlockError::Damaged("a column is of an unknown kind")),
    }
}

/// As [`take`], of a column without gaps.
pub(crate) fn take_all(body: &mut &[u8], rows: usize) -> Result<Vec<i64>, BlockError> {
    take(body, rows)?.into_iter().collect::<Option<_>>().ok_or(BlockError::Damaged("a column has gaps"))
}

/// Exactly `count` numbers: the room for them is ours, whatever the packed bytes say of themselves.
fn unpack(body: &mut &[u8], count: usize) -> Result<Vec<i64>, BlockError> {
    let mut numbers = vec![0_i64; count];
    let done = simple_decompress_into(take_bytes(body)?, &mut numbers)
        .map_err(|_| BlockError::Damaged("a column cannot be unpacked"))?;
    if done.n_processed == count && done.finished {
        Ok(numbers)
    } else {
        Err(BlockError::Damaged("a column has another number of rows"))
    }
}
