//! What stands behind each group: where its columns are, and which of its rows are whose. With it a group is read without the footer
//! of the format, which has the same of every group of the city and has to be parsed as a whole.
//!
//! Numbers of four bytes, little-endian: how many columns and lights, then of each column its beginning in the group, the bytes of its
//! dictionary and all of its bytes, then of each light its number and its rows.
use std::ops::Range;

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;

use ccms_store::ReadingRow;

use crate::{ArchiveFileError, Wanted, damaged};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Guide {
    columns: Vec<[u32; 3]>,
    lights: Vec<[u32; 2]>,
}

impl Guide {
    /// Of a group that begins at `offset`.
    pub fn of(metadata: &RowGroupMetaData, offset: u64, rows: &[ReadingRow]) -> Result<Self, ArchiveFileError> {
        let column = |chunk: &ColumnChunkMetaData| {
            let (start, bytes) = chunk.byte_range();
            let dictionary = (chunk.data_page_offset() as u64).checked_sub(start);
            let numbers = [start.checked_sub(offset), dictionary, Some(bytes)];
            let fit = |number: Option<u64>| number.and_then(|n| u32::try_from(n).ok());
            let numbers = numbers.map(|n| fit(n).ok_or_else(|| damaged("a column lies outside its group")));
            let [start, dictionary, bytes] = numbers;
            Ok::<_, ArchiveFileError>([start?, dictionary?, bytes?])
        };
        let lights = rows.chunk_by(|a, b| a.light_no == b.light_no);
        Ok(Self {
            columns: metadata.columns().iter().map(column).collect::<Result<_, _>>()?,
            lights: lights.map(|own| [own[0].light_no.0, own.len() as u32]).collect(),
        })
    }

    pub fn encode(&self) -> Vec<u8> {
        let counts = [self.columns.len() as u32, self.lights.len() as u32];
        let words = counts.iter().chain(self.columns.as_flattened()).chain(self.lights.as_flattened());
        words.flat_map(|word| word.to_le_bytes()).collect()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, ArchiveFileError> {
        let (words, rest) = bytes.as_chunks::<4>();
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let wrong = || damaged("the guide of a group cannot be read");
        let ([columns, lights], words) = words.split_first_chunk().ok_or_else(wrong)?;
        let (columns, lights) = (*columns as usize, *lights as usize);
        let end = columns.checked_mul(3).ok_or_else(wrong)?;
        let (of_columns, of_lights) = words.split_at_checked(end).ok_or_else(wrong)?;
        if !rest.is_empty() || lights.checked_mul(2) != Some(of_lights.len()) {
            return Err(wrong());
        }
        Ok(Self { columns: of_columns.as_chunks().0.to_vec(), lights: of_lights.as_chunks().0.to_vec() })
    }

    /// Where the columns of the group at `offset` are, as the library wants it said.
    pub fn chunks(
        &self,
        schema: &SchemaDescriptor,
        offset: u64,
        readings: u32,
    ) -> Result<Vec<ColumnChunkMetaData>, ArchiveFileError> {
        if self.columns.len() != schema.num_columns() {
            return Err(damaged("a group has other columns than it should"));
        }
        let chunk = |(at, &[start, dictionary, bytes]): (usize, &[u32; 3])| {
            let start = offset as i64 + i64::from(start);
            let chunk = ColumnChunkMetaData::builder(schema.column(at))
                .set_compression(Compression::ZSTD(Default::default()))
                .set_num_values(readings.into())
                .set_total_compressed_size(bytes.into())
                .set_data_page_offset(start + i64::from(dictionary))
                .set_dictionary_page_offset((dictionary > 0).then_some(start))
                .build();
            Ok(chunk?)
        };
        self.columns.iter().enumerate().map(chunk).collect()
    }

    /// The rows of lights that are wanted, in their order, and how many rows there are in all.
    pub fn rows(&self, wanted: &Wanted) -> (Vec<Range<usize>>, usize) {
        let (mut rows, mut at) = (Vec::new(), 0);
        for &[light, count] in &self.lights {
            let next = at + count as usize;
            if wanted.lights.binary_search_by_key(&light, |no| no.0).is_ok() {
                rows.push(at..next);
            }
            at = next;
        }
        (rows, at)
    }
}
