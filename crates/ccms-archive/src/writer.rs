//! A day's file, group by group.
use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::Reading;
use ccms_store::{Day, ReadingRow};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use crate::guide::Guide;
use crate::schema::{self, KEY_DAY, KEY_GROUPS, KEY_LIGHTS, KEY_READINGS, KEY_REVISION, KEY_VERSION};
use crate::{ArchiveFileError, Digest, Directory, Group, Place};

/// The ids that people know lights and devices by. What has none is there by its number alone.
#[derive(Debug, Clone, Default)]
pub struct Names {
    pub lights: BTreeMap<LightNo, Box<str>>,
    pub devices: BTreeMap<DeviceNo, Box<str>>,
}

/// Writes one file. What each call answers is the next piece of it.
pub struct DayWriter {
    file: SerializedFileWriter<Sink>,
    sink: Sink,
    groups: Vec<Group>,
    places: Vec<Place>,
    day: Day,
    revision: u32,
    digest: Digest,
    lights: u32,
    written: u64,
}

/// A whole file's last piece, and what there is to know of it.
#[derive(Debug)]
pub struct Finished {
    pub last_piece: Vec<u8>,
    pub bytes: u64,
    pub lights: u32,
    /// Of all readings that went in.
    pub digest: Digest,
    /// The end of the file that [`crate::Footer::parse`] takes, and its CRC-32.
    pub footer_bytes: u32,
    pub footer_crc: u32,
}

/// Where the library writes to, and we take from.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn take(&self) -> Vec<u8> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl DayWriter {
    pub fn new(day: Day, revision: u32) -> Result<Self, ArchiveFileError> {
        let sink = Sink::default();
        let mut file = SerializedFileWriter::new(sink.clone(), schema::schema()?, Arc::new(schema::properties()?))?;
        let mut note = |key: &str, value: String| file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        note(KEY_VERSION, schema::VERSION.to_owned());
        note(KEY_DAY, day.begins().to_string()[..10].to_owned());
        note(KEY_REVISION, revision.to_string());
        let (groups, places, digest) = (Vec::new(), Vec::new(), Digest::default());
        Ok(Self { file, sink, groups, places, day, revision, digest, lights: 0, written: 0 })
    }

    /// Packs one group: all readings of some lights, each behind those of the group before, in the order of light and time.
    ///
    /// # Errors
    /// Another order.
    pub fn write_group(&mut self, rows: &[ReadingRow], names: &Names) -> Result<Vec<u8>, ArchiveFileError> {
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
        self.check_order(rows)?;
        self.file.flush().map_err(ParquetError::from)?;
        let mut piece = self.sink.take();
        let start = piece.len();
        let mut group = self.file.next_row_group()?;
        write_columns(&mut group, rows, names)?;
        let metadata = group.close()?;
        self.file.flush().map_err(ParquetError::from)?;
        piece.extend(self.sink.take());
        let offset = self.written + start as u64;
        let mut hash = crc32fast::Hasher::new();
        hash.update(&piece[start..]);
        let (readings, first_light, last_light) = (rows.len() as u32, first.light_no.0, last.light_no.0);
        let bytes = (piece.len() - start) as u64;
        self.groups.push(Group { offset, bytes, readings, first_light, last_light, crc: hash.clone().finalize() });
        let guide = Guide::of(&metadata, offset, rows)?.encode();
        self.file.write_all(&guide).map_err(ParquetError::from)?;
        self.file.flush().map_err(ParquetError::from)?;
        piece.extend(self.sink.take());
        hash.update(&guide);
        let group_bytes = u32::try_from(bytes).map_err(|_| ArchiveFileError::Damaged(TOO_LARGE.to_owned()))?;
        let (guide_bytes, crc) = (guide.len() as u32, hash.finalize());
        self.places.push(Place { offset, group_bytes, guide_bytes, readings, first_light, last_light, crc });
        self.written += piece.len() as u64;
        self.lights += 1 + rows.windows(2).filter(|pair| pair[0].light_no != pair[1].light_no).count() as u32;
        rows.iter().for_each(|row| self.digest.add(row));
        Ok(piece)
    }

    /// Directory and footer.
    pub fn finish(mut self) -> Result<Finished, ArchiveFileError> {
        let groups = serde_json::to_string(&self.groups).map_err(|e| ArchiveFileError::Damaged(e.to_string()))?;
        let readings = self.digest.value().0;
        for (key, value) in
            [(KEY_READINGS, readings.to_string()), (KEY_LIGHTS, self.lights.to_string()), (KEY_GROUPS, groups)]
        {
            self.file.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.file.finish()?;
        drop(self.file);
        let mut last_piece = self.sink.take();
        // The format ends with the length of what is before it, and four letters.
        let length = last_piece.len().checked_sub(8).and_then(|at| last_piece[at..].first_chunk::<4>());
        let footer_bytes = length.map_or(0, |l| u32::from_le_bytes(*l)) + 8;
        let footer = last_piece.len().checked_sub(footer_bytes as usize);
        let footer = footer.ok_or_else(|| ArchiveFileError::Damaged("no footer was written".to_owned()))?;
        let footer_crc = crc32fast::hash(&last_piece[footer..]);
        // The footer is found from the end and speaks of what is in front of this only.
        let directory = Directory::encode(self.day, self.revision, readings, self.lights, &self.places);
        last_piece.splice(footer..footer, directory);
        let bytes = self.written + last_piece.len() as u64;
        Ok(Finished { bytes, lights: self.lights, digest: self.digest, footer_bytes, footer_crc, last_piece })
    }

    fn check_order(&self, rows: &[ReadingRow]) -> Result<(), ArchiveFileError> {
        let place = |r: &ReadingRow| (r.light_no, r.reading.reported_at, r.dedupe);
        let behind = self.groups.last().map(|g| g.last_light);
        match rows.windows(2).find(|pair| place(&pair[0]) >= place(&pair[1])) {
            Some(pair) => Err(ArchiveFileError::OutOfOrder(pair[1].light_no.0)),
            None if behind.is_some_and(|light| light >= rows[0].light_no.0) => {
                Err(ArchiveFileError::OutOfOrder(rows[0].light_no.0))
            }
            None => Ok(()),
        }
    }
}

type RowGroup<'a> = SerializedRowGroupWriter<'a, Sink>;

fn write_columns(group: &mut RowGroup, rows: &[ReadingRow], names: &Names) -> Result<(), ArchiveFileError> {
    all(group, rows, |r| i64::from(r.light_no.0))?;
    texts(group, rows, |r| names.lights.get(&r.light_no).map(|id| ByteArray::from(&**id)))?;
    all(group, rows, |r| i64::from(r.device_no.0))?;
    texts(group, rows, |r| names.devices.get(&r.device_no).map(|id| ByteArray::from(&**id)))?;
    all(group, rows, |r| r.reading.reported_at.0)?;
    all(group, rows, |r| r.received_at.0)?;
    texts(group, rows, |r| r.reading.power_state.map(|p| ByteArray::from(p.as_str())))?;
    some(group, rows, |r| r.brightness_percent.map(i64::from))?;
    some(group, rows, |r| r.temperature_dc.map(i64::from))?;
    some(group, rows, |r| r.battery_percent.map(i64::from))?;
    some(group, rows, |r| r.signal_percent.map(i64::from))?;
    some(group, rows, |r| r.uptime_s.map(i64::from))?;
    some(group, rows, |r| r.voltage_dv.map(i64::from))?;
    some(group, rows, |r| r.current_ma.map(i64::from))?;
    some(group, rows, |r| r.power_dw.map(i64::from))?;
    some(group, rows, |r| r.frequency_chz.map(i64::from))?;
    some(group, rows, |r| r.energy_wh)?;
    some(group, rows, |r| r.seq.map(i64::from))?;
    maybe(group, rows, |r| (r.dedupe != r.reading.dedupe_key()).then_some(r.dedupe))?;
    texts(group, rows, |r| {
        let flags = &r.reading.error_flags;
        (!flags.is_empty()).then(|| ByteArray::from(serde_json::json!(flags).to_string().as_str()))
    })?;
    all(group, rows, |r| i64::from(r.reading.flags.0))
}

const TOO_LARGE: &str = "a group is larger than it can be";
const MISSING: &str = "the schema has fewer columns than are written";

fn all(group: &mut RowGroup, rows: &[ReadingRow], value: impl Fn(&ReadingRow) -> i64) -> Result<(), ArchiveFileError> {
    let values: Vec<i64> = rows.iter().map(value).collect();
    let mut column = group.next_column()?.ok_or_else(|| ArchiveFileError::Damaged(MISSING.to_owned()))?;
    column.typed::<Int64Type>().write_batch(&values, None, None)?;
    Ok(column.close()?)
}

fn some(
    group: &mut RowGroup,
    rows: &[ReadingRow],
    value: impl Fn(&Reading) -> Option<i64>,
) -> Result<(), ArchiveFileError> {
    maybe(group, rows, |row| value(&row.reading))
}

fn maybe(
    group: &mut RowGroup,
    rows: &[ReadingRow],
    value: impl Fn(&ReadingRow) -> Option<i64>,
) -> Result<(), ArchiveFileError> {
    let (values, levels) = levelled(rows, value);
    let mut column = group.next_column()?.ok_or_else(|| ArchiveFileError::Damaged(MISSING.to_owned()))?;
    column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
    Ok(column.close()?)
}

fn texts(
    group: &mut RowGroup,
    rows: &[ReadingRow],
    value: impl Fn(&ReadingRow) -> Option<ByteArray>,
) -> Result<(), ArchiveFileError> {
    let (values, levels) = levelled(rows, value);
    let mut column = group.next_column()?.ok_or_else(|| ArchiveFileError::Damaged(MISSING.to_owned()))?;
    column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
    Ok(column.close()?)
}

/// The values that are there, and for each row whether it has one.
fn levelled<T>(rows: &[ReadingRow], value: impl Fn(&ReadingRow) -> Option<T>) -> (Vec<T>, Vec<i16>) {
    let mut values = Vec::with_capacity(rows.len());
    let levels = rows.iter().map(|row| {
        let value = value(row);
        let level = i16::from(value.is_some());
        values.extend(value);
        level
    });
    let levels = levels.collect();
    (values, levels)
}
