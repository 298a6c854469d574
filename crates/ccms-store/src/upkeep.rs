//! What keeps a database whole over the years: looking through all of it, copying it while it is in use.
use std::path::Path;

use async_trait::async_trait;
use ccms_core::ids::LightNo;

use crate::{Day, LogPosition, SealedDay, StoreResult};

/// How many there are of something, under the name of its table.
pub type Count = (&'static str, u64);

#[async_trait]
pub trait Upkeep {
    /// Writes what is only in the journal of an embedded database into its file, flushes it and begins the journal anew. A server
    /// does this before it serves: where the one before it met a flush that failed, the journal may be on the disk only as
    /// far as the kernel remembers, and what is added behind it would be lost with it. Nothing to do on a database server.
    async fn settle(&self) -> StoreResult<()>;

    /// Bytes within the file of an embedded database that hold nothing and are written before it grows; 0 on a database server.
    async fn unused_bytes(&self) -> StoreResult<u64>;

    /// What the engine finds wrong with its own structures; nothing is good. Reads everything that it can check.
    async fn engine_findings(&self) -> StoreResult<Vec<String>>;

    /// What is wrong with how the rows of the log hang together, where they do. Reads all of it.
    async fn log_findings(&self) -> StoreResult<Vec<String>>;

    /// The number of the last migration that was applied.
    async fn schema_version(&self) -> StoreResult<i64>;

    /// Rows of each table that people would miss, and the readings in blocks as `readings in blocks`.
    async fn counts(&self) -> StoreResult<Vec<Count>>;

    /// The highest log position that was ever given, 0 before the first; its row may be gone.
    async fn last_position(&self) -> StoreResult<LogPosition>;

    /// Blocks behind one of a light and day, in that order, at most `limit`.
    async fn sealed_after(&self, after: (LightNo, Day), limit: u32) -> StoreResult<Vec<SealedDay>>;

    /// Writes a copy of an embedded database, of one moment and complete in one file, while it is read and written by others.
    /// `file` is there, empty. What the copy holds is on disk when this returns, its entry in the folder is the caller's.
    ///
    /// # Errors
    /// [`crate::StoreError::Unusable`] on a database server, which has its own tools.
    async fn copy_into(&self, file: &Path) -> StoreResult<()>;
}
