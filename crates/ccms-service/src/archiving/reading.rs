//! One light's day that has a file, from wherever it can be had.
use ccms_core::ids::LightNo;
use ccms_store::{ArchivedDay, ReadingRow, StoreError, StoreResult};

use super::ArchiveError;
use super::merge::unpack;
use crate::ccms::Ccms;

/// A file is replaced at most once a day; who meets that three times in a row meets something else.
const TRIES: u32 = 3;

impl Ccms {
    /// What one light said on an archived day. The file may be replaced, the day restored, or its blocks removed again while
    /// this goes on: then it is looked up anew.
    pub(crate) async fn archived_rows(&self, light: LightNo, day: ArchivedDay) -> StoreResult<Vec<ReadingRow>> {
        let mut record = day;
        let mut tries = 1;
        loop {
            let read = if record.restored {
                self.restored_rows(light, &record).await
            } else {
                match &self.settings().storage.shelf {
                    Some(shelf) => shelf.light_day(&record, light).await,
                    None => Err(ArchiveError::file(&record.file, "no archive is configured")),
                }
            };
            // A file that was read is as it was recorded; blocks count only if they were wanted until they were read.
            if read.is_ok() && !record.restored {
                return read.map_err(unreadable);
            }
            match self.archived(record.day).await? {
                None => return Ok(Vec::new()),
                Some(now) if now == record || tries == TRIES => return read.map_err(unreadable),
                Some(now) => record = now,
            }
            tries += 1;
        }
    }

    async fn restored_rows(&self, light: LightNo, day: &ArchivedDay) -> Result<Vec<ReadingRow>, ArchiveError> {
        let blocks = self.store().sealed_of_light(light, day.day, day.day, 1).await?;
        blocks.first().map_or(Ok(Vec::new()), unpack)
    }
}

/// Whoever reads is told that it cannot be read, never that there is nothing.
fn unreadable(error: ArchiveError) -> StoreError {
    match error {
        ArchiveError::Store(error) => error,
        ArchiveError::File { file, reason } => {
            StoreError::BadRow { table: "archived_days", column: "file", row: file, reason }
        }
        other => StoreError::unavailable(other),
    }
}
