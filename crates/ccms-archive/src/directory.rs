//! A list of groups in front of the footer, by which one light's day is found at the same cost in a city of any size: a few bytes for
//! each group, where the format's own footer has a kilobyte or two and is parsed as a whole. What else there is to know of a group
//! stands behind it ([`Guide`]) and is read with it.
//!
//! Other readers of the format pass over both, and files that were written before they were there have neither.
//!
//! Little-endian: day, revision, lights, groups (four bytes each), readings (eight); of each group its offset (eight), bytes, bytes of
//! its guide, readings, first and last light, CRC-32 of both (four each); then the length of all that, its CRC-32, and a name.
use bytes::Bytes;
use ccms_core::ids::LightNo;
use ccms_store::{Day, ReadingRow};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor};
use std::sync::Arc;

use crate::columns::{Columns, Part};
use crate::guide::Guide;
use crate::{ArchiveFileError, Wanted, damaged, schema};

const NAME: &[u8; 8] = b"ccms.dir";
const TRAILER_BYTES: usize = 16;
const HEAD_BYTES: usize = 24;
const PLACE_BYTES: usize = 32;

/// Where the groups of a file are.
pub struct Directory {
    schema: SchemaDescPtr,
    places: Vec<Place>,
    pub day: Day,
    pub revision: u32,
    pub readings: u64,
    pub lights: u32,
}

/// Where a group and its guide lie in the file, one behind the other, and whose readings are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    pub group_bytes: u32,
    pub guide_bytes: u32,
    pub readings: u32,
    pub first_light: u32,
    pub last_light: u32,
    /// CRC-32 of both.
    pub crc: u32,
}

impl Place {
    /// Of group and guide.
    pub fn bytes(&self) -> u64 {
        u64::from(self.group_bytes) + u64::from(self.guide_bytes)
    }
}

impl Directory {
    /// So much of what is in front of the footer is read at once: whole for 90,000 lights that report twice a minute.
    pub const TAIL_BYTES: u64 = 128 * 1024;

    pub(crate) fn encode(day: Day, revision: u32, readings: u64, lights: u32, places: &[Place]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + PLACE_BYTES * places.len() + TRAILER_BYTES);
        bytes.extend(day.0.to_le_bytes());
        [revision, lights, places.len() as u32].iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        bytes.extend(readings.to_le_bytes());
        for p in places {
            bytes.extend(p.offset.to_le_bytes());
            let numbers = [p.group_bytes, p.guide_bytes, p.readings, p.first_light, p.last_light, p.crc];
            numbers.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
        }
        let (length, crc) = ((bytes.len() + TRAILER_BYTES) as u32, crc32fast::hash(&bytes));
        bytes.extend(length.to_le_bytes());
        bytes.extend(crc.to_le_bytes());
        bytes.extend(NAME);
        bytes
    }

    /// How long the directory is with which `tail`, what is in front of a file's footer, ends. None where there is none.
    pub fn length(tail: &[u8]) -> Option<u64> {
        let trailer = tail.last_chunk::<TRAILER_BYTES>().filter(|trailer| trailer.ends_with(NAME))?;
        trailer.first_chunk().map(|length| u32::from_le_bytes(*length).into())
    }

    /// From its bytes, as many as [`Directory::length`] says.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArchiveFileError> {
        let wrong = || damaged("its directory cannot be read");
        let (body, trailer) = bytes.split_last_chunk::<TRAILER_BYTES>().ok_or_else(wrong)?;
        let mut trailer = Words(trailer);
        if (trailer.four()?, trailer.four()?) != (bytes.len() as u32, crc32fast::hash(body)) {
            return Err(damaged("the checksum of its directory is wrong"));
        }
        let mut words = Words(body);
        let (day, revision, lights, groups) = (words.four()? as i32, words.four()?, words.four()?, words.four()?);
        let readings = words.eight()?;
        if words.0.len() / PLACE_BYTES != groups as usize || !words.0.len().is_multiple_of(PLACE_BYTES) {
            return Err(wrong());
        }
        let mut places = Vec::with_capacity(groups as usize);
        for _ in 0..groups {
            places.push(Place {
                offset: words.eight()?,
                group_bytes: words.four()?,
                guide_bytes: words.four()?,
                readings: words.four()?,
                first_light: words.four()?,
                last_light: words.four()?,
                crc: words.four()?,
            });
        }
        let schema = Arc::new(SchemaDescriptor::new(schema::schema()?));
        Ok(Self { schema, places, day: Day(day), revision, readings, lights })
    }

    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// About as much memory as it takes.
    pub fn memory_bytes(&self) -> usize {
        const SCHEMA_BYTES: usize = 16 * 1024;
        SCHEMA_BYTES + size_of_val(self.places.as_slice())
    }

    /// The groups that may have readings of these lights, in their order.
    pub fn groups_of(&self, lights: &[LightNo]) -> Vec<usize> {
        let mut groups: Vec<usize> = Vec::new();
        for light in lights {
            let at = self.places.partition_point(|p| p.last_light < light.0);
            if self.places.get(at).is_some_and(|p| p.first_light <= light.0) && groups.last() != Some(&at) {
                groups.push(at);
            }
        }
        groups
    }

    /// What is wanted of a group, from the bytes that [`Place`] names.
    pub fn rows(&self, group: usize, bytes: Bytes, wanted: &Wanted) -> Result<Vec<ReadingRow>, ArchiveFileError> {
        let place = self.places.get(group).ok_or_else(|| damaged("it has no such group"))?;
        if bytes.len() as u64 != place.bytes() || crc32fast::hash(&bytes) != place.crc {
            return Err(damaged(format!("the checksum of group {group} is wrong")));
        }
        let guide = Guide::decode(&bytes[place.group_bytes as usize..])?;
        let (rows, readings) = guide.rows(wanted);
        if readings != place.readings as usize {
            return Err(damaged(format!("group {group} has another number of readings")));
        }
        let chunks = guide.chunks(&self.schema, place.offset, place.readings)?;
        let part = Part { offset: place.offset, bytes: bytes.slice(..place.group_bytes as usize) };
        let mut columns = Columns::new(part, &chunks, readings)?;
        columns.only(rows);
        if let Some(window) = wanted.during {
            columns.during(window)?;
        }
        columns.readings()
    }
}

struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], ArchiveFileError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or_else(|| damaged("its directory is too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn four(&mut self) -> Result<u32, ArchiveFileError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    fn eight(&mut self) -> Result<u64, ArchiveFileError> {
        Ok(u64::from_le_bytes(self.take()?))
    }
}
