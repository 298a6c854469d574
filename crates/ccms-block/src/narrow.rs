//! One column of a batch: small numbers over their least, seven bits at a time. It is packed for every flush of the intake, so
//! speed comes before the last byte; a day of one light has [`crate::column`] for that.
use crate::BlockError;
use crate::frame::{put_varint, take_byte, take_varint};

/// No row has a value.
const NONE: u8 = 0;
/// Every row has the same.
const SAME: u8 = 1;
const ALL: u8 = 2;
/// A bit for each row says whether it has a value.
const SOME: u8 = 3;

pub(crate) fn put(out: &mut Vec<u8>, values: &[Option<i64>]) {
    let mut known = values.iter().flatten();
    let Some(&first) = known.next() else { return out.push(NONE) };
    let (mut least, mut most, mut count) = (first, first, 1);
    for &value in known {
        (least, most, count) = (least.min(value), most.max(value), count + 1);
    }
    if count == values.len() && least == most {
        out.push(SAME);
        return put_varint(out, zigzag(first));
    }
    if count == values.len() {
        out.push(ALL);
    } else {
        out.push(SOME);
        let bits = |rows: &[Option<i64>]| (0..).zip(rows).fold(0, |bits, (i, v)| bits | (u8::from(v.is_some()) << i));
        out.extend(values.chunks(8).map(bits));
    }
    put_varint(out, zigzag(least));
    for &value in values.iter().flatten() {
        put_varint(out, value.wrapping_sub(least) as u64);
    }
}

/// The values of `rows` rows, at the front of `body`, which moves on.
pub(crate) fn take(body: &mut &[u8], rows: usize) -> Result<Vec<Option<i64>>, BlockError> {
    match take_byte(body)? {
        NONE => Ok(vec![None; rows]),
        SAME => Ok(vec![Some(unzigzag(take_varint(body)?)); rows]),
        ALL => {
            let least = unzigzag(take_varint(body)?);
            // A row takes a byte at least: what a damaged batch says of itself asks for no memory.
            let mut values = Vec::with_capacity(rows.min(body.len()));
            for _ in 0..rows {
                values.push(Some(over(least, body)?));
            }
            Ok(values)
        }
        SOME => {
            let (bits, rest) = body.split_at_checked(rows.div_ceil(8)).ok_or(BlockError::Damaged("it ends early"))?;
            *body = rest;
            let least = unzigzag(take_varint(body)?);
            let is_there = |row: usize| bits[row / 8] >> (row % 8) & 1 == 1;
            (0..rows).map(|row| is_there(row).then(|| over(least, body)).transpose()).collect()
        }
        _ => Err(BlockError::Damaged("a column is of an unknown kind")),
    }
}

/// As [`take`], of a column without gaps.
pub(crate) fn take_all(body: &mut &[u8], rows: usize) -> Result<Vec<i64>, BlockError> {
    take(body, rows)?.into_iter().collect::<Option<_>>().ok_or(BlockError::Damaged("a column has gaps"))
}

fn over(least: i64, body: &mut &[u8]) -> Result<i64, BlockError> {
    Ok(least.wrapping_add(take_varint(body)? as i64))
}

/// Small numbers of either sign become small ones without.
fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
