//! A day's file, by its footer and one group at a time.
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;
use parquet::column::reader::{ColumnReaderImpl, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, Length, RowGroupReader};
use parquet::file::serialized_reader::SerializedRowGroupReader;

use crate::schema::{self, KEY_DAY, KEY_GROUPS, KEY_LIGHTS, KEY_READINGS, KEY_REVISION, KEY_VERSION};
use crate::{ArchiveFileError, Group};

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

fn damaged(what: impl Into<String>) -> ArchiveFileError {
    ArchiveFileError::Damaged(what.into())
}

impl Footer {
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

    /// The readings of a group, of one light or of all, from the bytes that [`Group`] names.
    pub fn rows(
        &self,
        group: usize,
        bytes: Bytes,
        light: Option<LightNo>,
    ) -> Result<Vec<ReadingRow>, ArchiveFileError> {
        let place = self.groups.get(group).ok_or_else(|| damaged("it has no such group"))?;
        if bytes.len() as u64 != place.bytes || crc32fast::hash(&bytes) != place.crc {
            return Err(damaged(format!("the checksum of group {group} is wrong")));
        }
        let part = Arc::new(Part { offset: place.offset, bytes });
        let metadata = self.metadata.row_group(group);
        if metadata.num_rows() != i64::from(place.readings) {
            return Err(damaged(format!("group {group} has another number of readings")));
        }
        let (index, properties) =
            (self.metadata.page_index_for_row_group(group), Arc::new(ReaderProperties::builder().build()));
        let reader = SerializedRowGroupReader::new(part, metadata, index, properties)?;
        let mut columns = Columns { reader: &reader, next: 0, range: 0..place.readings as usize };
        let lights = columns.all()?;
        if let Some(light) = light {
            let light = i64::from(light.0);
            let start = lights.partition_point(|l| *l < light);
            columns.range = start..start + lights[start..].partition_point(|l| *l == light);
            if columns.range.is_empty() {
                return Ok(Vec::new());
            }
        }
        let own = &lights[columns.range.clone()];
        columns.rows(own)
    }
}

/// Goes through the columns of one group in their order.
struct Columns<'a> {
    reader: &'a SerializedRowGroupReader<'a, Part>,
    next: usize,
    range: Range<usize>,
}

impl Columns<'_> {
    fn rows(mut self, lights: &[i64]) -> Result<Vec<ReadingRow>, ArchiveFileError> {
        self.next = 2;
        let devices = self.all()?;
        self.next = 4;
        let (reported, received) = (self.all()?, self.all()?);
        let mut rows = Vec::with_capacity(lights.len());
        for (i, light) in lights.iter().enumerate() {
            rows.push(ReadingRow {
                light_no: LightNo(fit(*light)?),
                device_no: DeviceNo(fit(devices[i])?),
                received_at: UtcMillis(received[i]),
                dedupe: 0,
                reading: Reading { reported_at: UtcMillis(reported[i]), ..Reading::default() },
            });
        }
        for (row, state) in rows.iter_mut().zip(self.some::<ByteArrayType>()?) {
            let known = |text: ByteArray| text.as_utf8().ok().and_then(PowerState::parse);
            let known = |text| known(text).ok_or_else(|| damaged("a lamp is neither on nor off"));
            row.reading.power_state = state.map(known).transpose()?;
        }
        self.fill(&mut rows, |r| &mut r.brightness_percent)?;
        self.fill(&mut rows, |r| &mut r.temperature_dc)?;
        self.fill(&mut rows, |r| &mut r.battery_percent)?;
        self.fill(&mut rows, |r| &mut r.signal_percent)?;
        self.fill(&mut rows, |r| &mut r.uptime_s)?;
        self.fill(&mut rows, |r| &mut r.voltage_dv)?;
        self.fill(&mut rows, |r| &mut r.current_ma)?;
        self.fill(&mut rows, |r| &mut r.power_dw)?;
        self.fill(&mut rows, |r| &mut r.frequency_chz)?;
        self.fill(&mut rows, |r| &mut r.energy_wh)?;
        self.fill(&mut rows, |r| &mut r.seq)?;
        let keys = self.some::<Int64Type>()?;
        for (row, texts) in rows.iter_mut().zip(self.some::<ByteArrayType>()?) {
            let read =
                |texts: ByteArray| serde_json::from_slice(texts.data()).map_err(|_| damaged("flags are no list"));
            row.reading.error_flags = texts.map(read).transpose()?.unwrap_or_default();
        }
        for ((row, flags), key) in rows.iter_mut().zip(self.all()?).zip(keys) {
            row.reading.flags = ReadingFlags(fit(flags)?);
            row.dedupe = key.unwrap_or_else(|| row.reading.dedupe_key());
        }
        Ok(rows)
    }

    /// The next column, without its gaps, and for each row whether it has a value.
    fn read<T: DataType>(&mut self) -> Result<(Vec<T::T>, Vec<i16>), ArchiveFileError> {
        let mut column: ColumnReaderImpl<T> = get_typed_column_reader(self.reader.get_column_reader(self.next)?);
        self.next += 1;
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (skipped, count) = (column.skip_records(self.range.start)?, self.range.len());
        let mut read = 0;
        while read < count {
            let (records, ..) = column.read_records(count - read, Some(&mut levels), None, &mut values)?;
            if records == 0 {
                break;
            }
            read += records;
        }
        if skipped != self.range.start || read != count {
            return Err(damaged("a column has fewer rows than its group"));
        }
        Ok((values, levels))
    }

    fn all(&mut self) -> Result<Vec<i64>, ArchiveFileError> {
        Ok(self.read::<Int64Type>()?.0)
    }

    fn some<T: DataType>(&mut self) -> Result<Vec<Option<T::T>>, ArchiveFileError> {
        let (values, levels) = self.read::<T>()?;
        let mut values = values.into_iter();
        Ok(levels.into_iter().map(|level| if level == 1 { values.next() } else { None }).collect())
    }

    fn fill<T: TryFrom<i64>>(
        &mut self,
        rows: &mut [ReadingRow],
        field: impl Fn(&mut Reading) -> &mut Option<T>,
    ) -> Result<(), ArchiveFileError> {
        for (row, value) in rows.iter_mut().zip(self.some::<Int64Type>()?) {
            *field(&mut row.reading) = value.map(fit).transpose()?;
        }
        Ok(())
    }
}

fn fit<T: TryFrom<i64>>(value: i64) -> Result<T, ArchiveFileError> {
    T::try_from(value).map_err(|_| damaged("a value is out of range"))
}

/// Some bytes of a file, where they stand in it.
struct Part {
    offset: u64,
    bytes: Bytes,
}

impl Part {
    fn slice(&self, start: u64, length: Option<usize>) -> Result<Bytes, ParquetError> {
        let beyond = || ParquetError::General("a column lies outside its group".to_owned());
        let at = start.checked_sub(self.offset).and_then(|at| usize::try_from(at).ok()).ok_or_else(beyond)?;
        let length = length.or_else(|| self.bytes.len().checked_sub(at)).ok_or_else(beyond)?;
        let end = at.checked_add(length).filter(|end| *end <= self.bytes.len()).ok_or_else(beyond)?;
        Ok(self.bytes.slice(at..end))
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }
}

impl ChunkReader for Part {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(self.slice(start, None)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.slice(start, Some(length))
    }
}
