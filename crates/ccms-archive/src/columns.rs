//! Readings from the columns of one group: all of it, or the rows of some lights, of which the pages in between are passed over as
//! they are.
use std::ops::Range;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;
use parquet::column::reader::{ColumnReaderImpl, get_column_reader, get_typed_column_reader};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};

use crate::pages::{Pages, Unpacking};
use crate::{ArchiveFileError, damaged};

/// Places in the schema. Behind the time of arrival every column is gone through in its order.
const LIGHT: usize = 0;
const DEVICE: usize = 2;
const REPORTED_AT: usize = 4;
const RECEIVED_AT: usize = 5;
const POWER_STATE: usize = 6;

/// Columns of one group, and which of its rows are wanted: in their order, each stretch of one light or all of them.
pub(crate) struct Columns<'a> {
    part: Arc<Part>,
    chunks: &'a [ColumnChunkMetaData],
    readings: usize,
    rows: Vec<Range<usize>>,
    unpacking: Unpacking,
}

impl<'a> Columns<'a> {
    pub fn new(part: Part, chunks: &'a [ColumnChunkMetaData], readings: usize) -> Result<Self, ArchiveFileError> {
        let rows = std::iter::once(0..readings).collect();
        Ok(Self { part: Arc::new(part), chunks, readings, rows, unpacking: Unpacking::new()? })
    }

    /// Only these rows.
    pub fn only(&mut self, rows: Vec<Range<usize>>) {
        self.rows = rows;
    }

    /// Of each stretch only what was reported at `from <= time < to`.
    pub fn during(&mut self, (from, to): (UtcMillis, UtcMillis)) -> Result<(), ArchiveFileError> {
        let times = self.all(REPORTED_AT)?;
        let mut times = times.as_slice();
        for rows in &mut self.rows {
            let (own, rest) = times.split_at_checked(rows.len()).ok_or_else(too_few)?;
            let (low, high) = (own.partition_point(|t| *t < from.0), own.partition_point(|t| *t < to.0));
            (*rows, times) = (rows.start + low..rows.start + high.max(low), rest);
        }
        self.rows.retain(|rows| !rows.is_empty());
        Ok(())
    }

    /// Whose the wanted rows are.
    pub fn lights(&self) -> Result<Vec<i64>, ArchiveFileError> {
        self.all(LIGHT)
    }

    pub fn readings(&self) -> Result<Vec<ReadingRow>, ArchiveFileError> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let (lights, devices) = (self.lights()?, self.all(DEVICE)?);
        let (reported, received) = (self.all(REPORTED_AT)?, self.all(RECEIVED_AT)?);
        let mut rows = Vec::with_capacity(lights.len());
        for (((light, device), reported), received) in lights.into_iter().zip(devices).zip(reported).zip(received) {
            rows.push(ReadingRow {
                light_no: LightNo(fit(light)?),
                device_no: DeviceNo(fit(device)?),
                received_at: UtcMillis(received),
                dedupe: 0,
                reading: Reading { reported_at: UtcMillis(reported), ..Reading::default() },
            });
        }
        let mut next = POWER_STATE..;
        let mut next = || next.next().unwrap_or_default();
        for (row, state) in rows.iter_mut().zip(self.some::<ByteArrayType>(next())?) {
            let known = |text: ByteArray| text.as_utf8().ok().and_then(PowerState::parse);
            let known = |text| known(text).ok_or_else(|| damaged("a lamp is neither on nor off"));
            row.reading.power_state = state.map(known).transpose()?;
        }
        self.fill(&mut rows, next(), |r| &mut r.brightness_percent)?;
        self.fill(&mut rows, next(), |r| &mut r.temperature_dc)?;
        self.fill(&mut rows, next(), |r| &mut r.battery_percent)?;
        self.fill(&mut rows, next(), |r| &mut r.signal_percent)?;
        self.fill(&mut rows, next(), |r| &mut r.uptime_s)?;
        self.fill(&mut rows, next(), |r| &mut r.voltage_dv)?;
        self.fill(&mut rows, next(), |r| &mut r.current_ma)?;
        self.fill(&mut rows, next(), |r| &mut r.power_dw)?;
        self.fill(&mut rows, next(), |r| &mut r.frequency_chz)?;
        self.fill(&mut rows, next(), |r| &mut r.energy_wh)?;
        self.fill(&mut rows, next(), |r| &mut r.seq)?;
        let keys = self.some::<Int64Type>(next())?;
        for (row, texts) in rows.iter_mut().zip(self.some::<ByteArrayType>(next())?) {
            let read =
                |texts: ByteArray| serde_json::from_slice(texts.data()).map_err(|_| damaged("flags are no list"));
            row.reading.error_flags = texts.map(read).transpose()?.unwrap_or_default();
        }
        for ((row, flags), key) in rows.iter_mut().zip(self.all(next())?).zip(keys) {
            row.reading.flags = ReadingFlags(fit(flags)?);
            row.dedupe = key.unwrap_or_else(|| row.reading.dedupe_key());
        }
        Ok(rows)
    }

    /// A column without its gaps, and for each row whether it has a value.
    fn read<T: DataType>(&self, column: usize) -> Result<(Vec<T::T>, Vec<i16>), ArchiveFileError> {
        let chunk = self.chunks.get(column).ok_or_else(|| damaged("it has fewer columns than it should"))?;
        let pages = Pages::new(&self.part, chunk, self.readings, &self.unpacking)?;
        let mut column: ColumnReaderImpl<T> =
            get_typed_column_reader(get_column_reader(chunk.column_descr_ptr(), Box::new(pages)));
        let (mut values, mut levels, mut at) = (Vec::new(), Vec::new(), 0);
        for rows in &self.rows {
            let gap = rows.start - at;
            if gap > 0 && column.skip_records(gap)? != gap {
                return Err(too_few());
            }
            let mut left = rows.len();
            while left > 0 {
                let (read, ..) = column.read_records(left, Some(&mut levels), None, &mut values)?;
                if read == 0 {
                    return Err(too_few());
                }
                left -= read;
            }
            at = rows.end;
        }
        Ok((values, levels))
    }

    fn all(&self, column: usize) -> Result<Vec<i64>, ArchiveFileError> {
        Ok(self.read::<Int64Type>(column)?.0)
    }

    fn some<T: DataType>(&self, column: usize) -> Result<Vec<Option<T::T>>, ArchiveFileError> {
        let (values, levels) = self.read::<T>(column)?;
        let mut values = values.into_iter();
        Ok(levels.into_iter().map(|level| if level == 1 { values.next() } else { None }).collect())
    }

    fn fill<T: TryFrom<i64>>(
        &self,
        rows: &mut [ReadingRow],
        column: usize,
        field: impl Fn(&mut Reading) -> &mut Option<T>,
    ) -> Result<(), ArchiveFileError> {
        for (row, value) in rows.iter_mut().zip(self.some::<Int64Type>(column)?) {
            *field(&mut row.reading) = value.map(fit).transpose()?;
        }
        Ok(())
    }
}

fn too_few() -> ArchiveFileError {
    damaged("a column has fewer rows than its group")
}

fn fit<T: TryFrom<i64>>(value: i64) -> Result<T, ArchiveFileError> {
    T::try_from(value).map_err(|_| damaged("a value is out of range"))
}

/// Some bytes of a file, where they stand in it.
pub(crate) struct Part {
    pub offset: u64,
    pub bytes: Bytes,
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
