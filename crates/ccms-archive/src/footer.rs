//! The footer of the format itself, by which anybody reads the file: all of it is parsed at once, and it grows with the city. For
//! whoever goes through a whole day, and for files that have no [`Directory`](crate::Directory) yet.
use bytes::Bytes;
use ccms_core::ids::LightNo;
use ccms_store::ReadingRow;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

use crate::columns::{Columns, Part};
use crate::schema::{self, KEY_DAY, KEY_GROUPS, KEY_LIGHTS, KEY_READINGS, KEY_REVISION, KEY_VERSION};
use crate::{ArchiveFileError, Group, Wanted, damaged};

/// The end of a file: what is in it, and where.
pub struct Footer {
    metadata: ParquetMetaData,
    groups: Vec<Group>,
    /// As a date, and which of that day's files it is.
    pub day: String,
    pub revision: u32,
    pub readings: u64,
    pub lights: u32,
}

impl Footer {
    /// The last bytes of a file, which say how long its footer is.
    pub const END_BYTES: u64 = 8;

    /// How many bytes [`Self::parse`] takes, from the last bytes of a file; none where it does not end as one does.
    pub fn length(end: &[u8]) -> Option<u32> {
        let (length, magic) = end.get(end.len().checked_sub(Self::END_BYTES as usize)?..)?.split_at_checked(4)?;
        let length = u32::from_le_bytes(length.try_into().ok()?);
        (magic == b"PAR1").then(|| length.checked_add(Self::END_BYTES as u32)).flatten()
    }

    /// The checksum of these bytes.
    pub fn checksum(bytes: &[u8]) -> u32 {
        crc32fast::hash(bytes)
    }

    /// From the file's last bytes, as many as [`crate::Finished::footer_bytes`] says, with the checksum from there.
    pub fn parse(bytes: &[u8], crc: u32) -> Result<Self, ArchiveFileError> {
        if crc32fast::hash(bytes) != crc {
            return Err(damaged("the checksum of its footer is wrong"));
        }
        let body = bytes.len().checked_sub(8).map(|end| &bytes[..end]).ok_or_else(|| damaged("it is too short"))?;
        let metadata = ParquetMetaDataReader::decode_metadata(body)?;
        let notes = metadata.file_metadata().key_value_metadata().cloned().unwrap_or_default();
        let note = |key: &str| {
            let value = notes.iter().find(|n| n.key == key).and_then(|n| n.value.clone());
            value.ok_or_else(|| damaged(format!("it does not say its {key}")))
        };
        let version = note(KEY_VERSION)?;
        if version != schema::VERSION {
            return Err(ArchiveFileError::Version(version));
        }
        let number = |key: &str| note(key)?.parse::<u64>().map_err(|_| damaged(format!("{key} is no number")));
        let groups: Vec<Group> =
            serde_json::from_str(&note(KEY_GROUPS)?).map_err(|_| damaged("its list of groups cannot be read"))?;
        if groups.len() != metadata.num_row_groups() {
            return Err(damaged("its list of groups is of another file"));
        }
        Ok(Self {
            day: note(KEY_DAY)?,
            revision: number(KEY_REVISION)? as u32,
            readings: number(KEY_READINGS)?,
            lights: number(KEY_LIGHTS)? as u32,
            metadata,
            groups,
        })
    }

    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The one group that may have readings of a light.
    pub fn group_of(&self, light: LightNo) -> Option<usize> {
        let at = self.groups.partition_point(|g| g.last_light < light.0);
        self.groups.get(at).filter(|g| g.first_light <= light.0).map(|_| at)
    }

    /// The readings of a group, those that are wanted or all, from the bytes that [`Group`] names.
    pub fn rows(
        &self,
        group: usize,
        bytes: Bytes,
        wanted: Option<&Wanted>,
    ) -> Result<Vec<ReadingRow>, ArchiveFileError> {
        let place = self.groups.get(group).ok_or_else(|| damaged("it has no such group"))?;
        if bytes.len() as u64 != place.bytes || crc32fast::hash(&bytes) != place.crc {
            return Err(damaged(format!("the checksum of group {group} is wrong")));
        }
        let metadata = self.metadata.row_group(group);
        if metadata.num_rows() != i64::from(place.readings) {
            return Err(damaged(format!("group {group} has another number of readings")));
        }
        let part = Part { offset: place.offset, bytes };
        let mut columns = Columns::new(part, metadata.columns(), place.readings as usize)?;
        if let Some(wanted) = wanted {
            let lights = columns.lights()?;
            let rows_of = |light: &LightNo| {
                let light = i64::from(light.0);
                let start = lights.partition_point(|l| *l < light);
                start..start + lights[start..].partition_point(|l| *l == light)
            };
            columns.only(wanted.lights.iter().map(rows_of).filter(|rows| !rows.is_empty()).collect());
            if let Some(window) = wanted.during {
                columns.during(window)?;
            }
        }
        columns.readings()
    }
}
