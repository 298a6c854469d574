//! Readings of a day that has a file, from wherever they can be had.
use std::sync::Arc;

use ccms_archive::Wanted;
use ccms_core::ids::LightNo;
use ccms_store::{ArchivedDay, ReadingRow, StoreError, StoreResult};

use super::ArchiveError;
use super::merge::unpack;
use crate::ccms::Ccms;
use crate::history::energy::runs;

/// A file is replaced at most once a day; who meets that three times in a row meets something else.
const TRIES: u32 = 3;
/// Blocks of a restored day that are read and unpacked in one go.
const BLOCKS_AT_ONCE: u32 = 64;

impl Ccms {
    /// What one light said on an archived day.
    pub(crate) async fn archived_rows(&self, light: LightNo, day: ArchivedDay) -> StoreResult<Vec<ReadingRow>> {
        self.archived_rows_of(Wanted::of(light), day).await
    }

    /// What is wanted of an archived day, in no order. The file may be replaced, the day restored, or its blocks removed again while
    /// this goes on: then it is looked up anew.
    pub(crate) async fn archived_rows_of(&self, wanted: Wanted, day: ArchivedDay) -> StoreResult<Vec<ReadingRow>> {
        let wanted = Arc::new(wanted);
        let mut record = day;
        let mut tries = 1;
        loop {
            let read = if record.restored {
                self.restored_rows(&wanted, &record).await
            } else {
                match &self.settings().storage.shelf {
                    Some(shelf) => shelf.wanted(&record, wanted.clone()).await,
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

    async fn restored_rows(&self, wanted: &Arc<Wanted>, day: &ArchivedDay) -> Result<Vec<ReadingRow>, ArchiveError> {
        let mut rows = Vec::new();
        for (from, to) in runs(wanted.lights.iter().copied(), BLOCKS_AT_ONCE) {
            let blocks = self.store().sealed_of_day(day.day, from, to).await?;
            let wanted = wanted.clone();
            let unpacking = tokio::task::spawn_blocking(move || {
                let of_wanted = blocks.iter().filter(|b| wanted.lights.binary_search(&b.light_no).is_ok());
                let mut rows = Vec::new();
                for block in of_wanted {
                    let within = |row: &ReadingRow| {
                        wanted.during.is_none_or(|(from, to)| (from..to).contains(&row.reading.reported_at))
                    };
                    rows.extend(unpack(block)?.into_iter().filter(within));
                }
                Ok::<_, ArchiveError>(rows)
            });
            rows.extend(unpacking.await??);
        }
        Ok(rows)
    }
}

/// Whoever reads is told that it cannot be read, never that there is nothing.
fn unreadable(error: ArchiveError) -> StoreError {
    match error {
        ArchiveError::Store(error) => error,
        ArchiveError::File { file, reason } => {
            StoreError::BadRow { table: "archived_days", column: "file", row: file, reason }
        }
        ArchiveError::Block { light, day, error } => StoreError::BadRow {
            table: "sealed_readings",
            column: "body",
            row: format!("light {}, day {}", light.0, day.0),
            reason: error.to_string(),
        },
        other => StoreError::unavailable(other),
    }
}
