//! Pages of a column, unpacked with what all columns of a group share. The library makes two contexts of the codec for each column, one of
//! them to pack with; for a light's day of twenty-one columns that was half of the work.
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use parquet::basic::{Compression, CompressionCodec};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;
use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use crate::columns::Part;

/// A page that claims to be larger is damaged: the writer ends one at a megabyte, and a dictionary too.
const PAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What unpacks pages, one at a time.
#[derive(Clone)]
pub(crate) struct Unpacking(Arc<Mutex<Decompressor<'static>>>);

impl Unpacking {
    pub fn new() -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Decompressor::new()?))))
    }

    fn unpack(&self, packed: &Bytes) -> Result<Bytes> {
        // A page without a single value.
        if packed.is_empty() {
            return Ok(packed.clone());
        }
        let size = get_frame_content_size(packed).ok().flatten().filter(|size| *size <= PAGE_BYTES_MAX);
        let size = size.ok_or_else(|| ParquetError::General("a page does not say its size".to_owned()))?;
        let mut codec = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(codec.decompress(packed, size as usize)?.into())
    }
}

pub(crate) struct Pages {
    /// Gives pages as they are.
    packed: SerializedPageReader<Part>,
    /// None where they were not packed.
    unpacking: Option<Unpacking>,
}

impl Pages {
    pub fn new(part: &Arc<Part>, chunk: &ColumnChunkMetaData, rows: usize, unpacking: &Unpacking) -> Result<Self> {
        if !matches!(chunk.compression_codec(), CompressionCodec::ZSTD) {
            return Ok(Self { packed: SerializedPageReader::new(part.clone(), chunk, rows, None)?, unpacking: None });
        }
        let as_it_is = chunk.clone().into_builder().set_compression(Compression::UNCOMPRESSED).build()?;
        let packed = SerializedPageReader::new(part.clone(), &as_it_is, rows, None)?;
        Ok(Self { packed, unpacking: Some(unpacking.clone()) })
    }

    fn unpack(&self, page: Page) -> Result<Page> {
        let Some(unpacking) = &self.unpacking else { return Ok(page) };
        Ok(match page {
            Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics } => {
                let buf = unpacking.unpack(&buf)?;
                Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, statistics }
            }
            Page::DictionaryPage { buf, num_values, encoding, is_sorted } => {
                Page::DictionaryPage { buf: unpacking.unpack(&buf)?, num_values, encoding, is_sorted }
            }
            Page::DataPageV2 { .. } => return Err(ParquetError::General("a page is of another version".to_owned())),
        })
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.packed.get_next_page()?.map(|page| self.unpack(page)).transpose()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.packed.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.packed.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.packed.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        self.packed.take_deferred_dictionary()?.map(|page| self.unpack(page)).transpose()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.packed.at_record_boundary()
    }
}
