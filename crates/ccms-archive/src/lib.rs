//! Archived history: what every light said on one day of UTC, as one Parquet file that DuckDB or pandas read without us.
//!
//! Readings lie in the order of light and time, in groups of some tens of thousands; a light is never in two of them, so that
//! one light's day costs one group and a list of where groups are, in a city of any size. Values are natural ones: instants with a zone, decimals with a unit in the
//! name. What is there comes back as the very same [`ReadingRow`](ccms_store::ReadingRow).
//!
//! Pure: no IO, no clock. Bytes come out in pieces as groups are full, and go in by range, so that a day of any fleet is
//! written and read within the memory of one group. Every group has a checksum in the footer; whoever keeps the footer's own
//! knows that what is read is what was written.
//!
//! - [`DayWriter`]  groups, then the directory and the footer
//! - [`Directory`]  which group a light is in, and its readings; `guide` is what there is to know of one group
//! - [`Footer`]     the same as anybody reads it, all groups at once
//! - `columns`      from the columns of a group to readings, and `pages` unpacked on the way
//! - [`Digest`]     of readings, to compare what went in with what comes out
//! - `schema`       the columns, and how each is packed
mod columns;
mod digest;
mod directory;
mod footer;
mod guide;
mod pages;
mod schema;
mod writer;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use serde::{Deserialize, Serialize};

pub use digest::Digest;
pub use directory::{Directory, Place};
pub use footer::Footer;
pub use writer::{DayWriter, Finished, Names};

/// Readings of one group, unless a single light has more: about 14 MB of memory while it is packed.
pub const GROUP_READINGS: usize = 65_536;

/// Why a file cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFileError {
    /// The bytes are not those that were written.
    #[error("the file is damaged: {0}")]
    Damaged(String),
    /// A later version of the program wrote it.
    #[error("the file is of version {0}, which this program does not know")]
    Version(String),
    /// Readings were not given in the order of light and time, or a light twice.
    #[error("readings are not in order at light {0}")]
    OutOfOrder(u32),
    #[error("the Parquet library: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

fn damaged(what: impl Into<String>) -> ArchiveFileError {
    ArchiveFileError::Damaged(what.into())
}

/// Some readings of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// In the order of their numbers, each once.
    pub lights: Vec<LightNo>,
    /// Only what was reported at `from <= time < to`.
    pub during: Option<(UtcMillis, UtcMillis)>,
}

impl Wanted {
    /// All that one light said.
    pub fn of(light: LightNo) -> Self {
        Self { lights: vec![light], during: None }
    }
}

/// Where a group lies in the file, and whose readings are in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    pub offset: u64,
    pub bytes: u64,
    pub readings: u32,
    pub first_light: u32,
    pub last_light: u32,
    /// CRC-32 of its bytes.
    pub crc: u32,
}
