//! Days that are long over leave the database: what all lights said on one goes into a Parquet file, and then its blocks are
//! removed. Whoever reads a light's past does not notice (`past`).
//!
//! Nothing hangs on where this is interrupted. A file is written under a name of its own and read back; from the moment it is
//! recorded it counts, and only then blocks go, in small transactions, and only those that are as they were when they were
//! copied. Blocks that are there beside a file (late readings, or an interruption) are merged with it into the next revision; when
//! they say nothing new, they just go. The file before is put aside and kept for some days. What failed before the record leaves
//! a file that nobody refers to, and what was killed while it wrote one a part of it: they go when a later file is recorded (`strays`).
//!
//! Several of these at once, in several processes, do no harm: of two files one is recorded, and the other's maker lets go.
//!
//! - `run`     the hourly run: archive, delete what is too old, remove what nobody refers to
//! - `strays`  files that no record names, and [`adopt`] for the command line, which takes them in
//! - `merge`   blocks and the file before as one stream, light by light
//! - [`shelf`] where files are, and how they are read
//! - `lookup`  some lights' readings from a file
//! - `reading` some lights' readings of a day from wherever they are
//! - [`restore`] and [`verify`] for the command line
pub mod adopt;
mod lookup;
pub(crate) mod merge;
mod reading;
pub mod restore;
mod run;
pub mod shelf;
pub mod strays;
pub mod verify;

use ccms_archive::ArchiveFileError;
use ccms_block::BlockError;
use ccms_core::ids::LightNo;
use ccms_store::{Day, ReadingRow, StoreError};

pub use run::Archived;

/// A file that nobody refers to is left alone this long after it was made: another process may be about to record it.
pub const ORPHAN_AFTER_S: i64 = 86_400;

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be written, or read as what it should be.
    #[error("{file}: {reason}")]
    File { file: String, reason: String },
    #[error("the block of light {} of {} cannot be read: {error}", light.0, date(*day))]
    Block { light: LightNo, day: Day, error: BlockError },
    #[error("the archive stopped: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

impl ArchiveError {
    fn file(file: &str, reason: impl ToString) -> Self {
        Self::File { file: file.to_owned(), reason: reason.to_string() }
    }

    fn damaged(file: &str) -> impl Fn(ArchiveFileError) -> Self + use<> {
        let file = file.to_owned();
        move |error| Self::file(&file, error)
    }
}

/// `2025-12-17`.
pub fn date(day: Day) -> String {
    day.begins().to_string().chars().take(10).collect()
}

/// One light's readings from two places in their order; of two that are alike the earlier place's stays.
pub(crate) fn join(mut first: Vec<ReadingRow>, second: Vec<ReadingRow>) -> Vec<ReadingRow> {
    first.extend(second);
    first.sort_by_key(|r| (r.reading.reported_at, r.dedupe));
    first.dedup_by_key(|r| (r.reading.reported_at, r.dedupe));
    first
}
