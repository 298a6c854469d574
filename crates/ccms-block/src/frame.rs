//! What is around the columns: one byte of version, the checksum of the rest, the number of rows. And numbers and lengths
//! inside, as varints.
use crate::BlockError;

/// Of a body that was never changed.
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;

/// Wraps a body that begins with the number of rows.
pub(crate) fn wrap(body: &[u8]) -> Vec<u8> {
    wrap_as(VERSION, body)
}

pub(crate) fn wrap_as(version: u8, body: &[u8]) -> Vec<u8> {
    let mut block = Vec::with_capacity(HEAD_BYTES + body.len());
    block.push(version);
    block.extend_from_slice(&crc32fast::hash(body).to_le_bytes());
    block.extend_from_slice(body);
    block
}

/// The body of a block that is whole.
pub(crate) fn unwrap(block: &[u8]) -> Result<&[u8], BlockError> {
    unwrap_upto(VERSION, block).map(|(_, body)| body)
}

/// The version and the body of a block of which there are several versions.
pub(crate) fn unwrap_upto(latest: u8, block: &[u8]) -> Result<(u8, &[u8]), BlockError> {
    let (head, body) = block.split_at_checked(HEAD_BYTES).ok_or(BlockError::Damaged("it is too short"))?;
    if !(VERSION..=latest).contains(&head[0]) {
        return Err(BlockError::Version(head[0]));
    }
    if head[1..] != crc32fast::hash(body).to_le_bytes() {
        return Err(BlockError::Damaged("its checksum is wrong"));
    }
    Ok((head[0], body))
}

pub(crate) fn put_number(out: &mut Vec<u8>, number: usize) {
    put_varint(out, number as u64);
}

/// Seven bits at a time, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

pub(crate) fn take_byte(body: &mut &[u8]) -> Result<u8, BlockError> {
    let (first, rest) = body.split_first().ok_or(BlockError::Damaged("it ends early"))?;
    *body = rest;
    Ok(*first)
}

pub(crate) fn take_number(body: &mut &[u8]) -> Result<usize, BlockError> {
    usize::try_from(take_varint(body)?).map_err(|_| BlockError::Damaged("a number is out of range"))
}

pub(crate) fn take_varint(body: &mut &[u8]) -> Result<u64, BlockError> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let byte = take_byte(body)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BlockError::Damaged("a number is too long"))
}

pub(crate) fn take_bytes<'a>(body: &mut &'a [u8]) -> Result<&'a [u8], BlockError> {
    let length = take_number(body)?;
    let (bytes, rest) = body.split_at_checked(length).ok_or(BlockError::Damaged("it ends early"))?;
    *body = rest;
    Ok(bytes)
}
