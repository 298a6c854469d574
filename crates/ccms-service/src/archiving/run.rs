//! The hourly run.
use std::collections::BTreeSet;
use std::sync::Arc;

use ccms_archive::{DayWriter, Digest, Finished, GROUP_READINGS, Names};
use ccms_store::{ArchivedDay, AuditEntry, Day, SealedMark, StoreResult};
use serde_json::json;

use super::merge::Merged;
use super::shelf::{Shelf, Writing};
use super::strays::{Stray, replaced_name, strays};
use super::{ArchiveError, date};
use crate::ccms::Ccms;
use crate::metrics;

/// A day whose file is younger than this waits with what came late: each time the whole file is written anew.
const REWRITE_AFTER_S: i64 = 86_400;
/// Files that are written anew in one run.
const REWRITTEN_AT_ONCE: u32 = 4;
/// Records of days are few: one for each day of the city.
const ALL: u32 = u32::MAX;

/// What one run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Archived {
    /// Files that were written, with what is in them.
    pub days: u32,
    pub readings: u64,
    pub bytes: u64,
    /// Days that stay as they are until somebody looks: a file or a block cannot be read, or written.
    pub failed: u32,
    /// Files that were too old.
    pub deleted: u32,
}

impl Ccms {
    /// Moves every day that is older than the limit into its file, from the oldest on, and deletes files that are too old.
    /// What goes wrong with one day leaves that day as it is; the log says what.
    pub async fn archive(&self) -> Result<Archived, ArchiveError> {
        let storage = &self.settings().storage;
        let mut done = Archived::default();
        let Some(shelf) = &storage.shelf else { return Ok(done) };
        let mut told = self.inner().archiving.lock().await;
        let today = Day::of(self.now());
        let before = |days: u32| Day(today.0.saturating_sub_unsigned(days));
        if storage.archive_after_days > 0 {
            self.archive_before(shelf, before(storage.archive_after_days), &mut done).await?;
        }
        if storage.delete_archive_after_days > 0 {
            done.deleted = self.delete_before(shelf, before(storage.delete_archive_after_days)).await?;
        }
        let deleted = match storage.delete_archive_after_days {
            0 => Day(i32::MIN),
            days => before(days),
        };
        self.remove_strays(shelf, deleted, &mut told).await?;
        Ok(done)
    }

    async fn archive_before(&self, shelf: &Shelf, before: Day, done: &mut Archived) -> Result<(), ArchiveError> {
        if shelf.is_local() && self.is_short_of_disk() {
            tracing::warn!("nothing is archived while the disk is nearly full");
            return Ok(());
        }
        let (mut from, mut late) = (Day(i32::MIN), Vec::new());
        let mut names = None;
        while let Some(day) = self.store().earliest_sealed_day(from, before).await? {
            match self.archived(day).await? {
                Some(file) if file.kept_until.is_none() => late.push((file.archived_at, day)),
                _ => self.archive_or_say(shelf, day, &mut names, done).await?,
            }
            if self.inner().stop.is_cancelled() {
                return Ok(());
            }
            from = Day(day.0 + 1);
        }
        // The one that waits longest first: whatever a clock says that jumps, the archive is not written anew in one night.
        late.retain(|(archived_at, _)| self.now() >= archived_at.plus_seconds(REWRITE_AFTER_S));
        late.sort();
        let mut left = REWRITTEN_AT_ONCE;
        for (_, day) in late {
            let failed = done.failed;
            self.archive_or_say(shelf, day, &mut names, done).await?;
            // One that fails each time is in nobody's way.
            left -= u32::from(done.failed == failed);
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    async fn archive_or_say(
        &self,
        shelf: &Shelf,
        day: Day,
        names: &mut Option<Arc<Names>>,
        done: &mut Archived,
    ) -> Result<(), ArchiveError> {
        let names = match names {
            Some(names) => names,
            None => names.insert(Arc::new(self.names().await?)),
        };
        match self.archive_day(shelf, day, names, done).await {
            Ok(()) => Ok(()),
            Err(ArchiveError::Store(error)) => Err(error.into()),
            Err(error) => {
                metrics::archive_failed();
                tracing::error!(%error, day = date(day), "a day was not archived; its blocks stay where they are");
                done.failed += 1;
                Ok(())
            }
        }
    }

    async fn archive_day(
        &self,
        shelf: &Shelf,
        day: Day,
        names: &Arc<Names>,
        done: &mut Archived,
    ) -> Result<(), ArchiveError> {
        let mut before = self.archived(day).await?;
        if before.as_ref().is_some_and(|b| b.kept_until.is_some()) {
            if !self.store().end_keeping(day, self.now()).await? {
                return Ok(());
            }
            before = self.archived(day).await?;
        } else if before.as_ref().is_some_and(|b| self.now() < b.archived_at.plus_seconds(REWRITE_AFTER_S)) {
            return Ok(());
        }
        let mut merged = Merged::open(self.store().clone(), shelf, day, before.as_ref()).await?;
        let revision = before.as_ref().map_or(0, |b| b.revision) + 1;
        let (now, chance) = (self.now(), crate::chance::bits() as u32);
        let day_name = date(day);
        let file = format!("{}/{day_name}.r{revision}.{}-{chance:08x}.parquet", &day_name[..4], now.0);
        let mut writing = shelf.create(&file).await?;
        let written = self.write_day(&mut merged, &mut writing, (day, revision), names).await;
        let finished = match written {
            Ok(Some(finished)) => finished,
            stopped => {
                writing.give_up().await;
                return stopped.map(drop);
            }
        };
        let marks = merged.marks();
        let readings = finished.digest.value().0;
        if let Some(before) = before.filter(|b| b.readings == readings) {
            writing.give_up().await;
            return self.forget_blocks(day, before.revision, &marks).await;
        }
        let sha256 = writing.finish().await?;
        let Finished { bytes, lights, footer_bytes, footer_crc, .. } = finished;
        let record = ArchivedDay {
            day,
            revision,
            file,
            readings,
            lights,
            bytes,
            sha256,
            footer_bytes,
            footer_crc,
            archived_at: now,
            kept_until: None,
            restored: false,
        };
        let replaced = self.archived(day).await?;
        if let Err(error) = read_back(shelf, &record, &finished.digest).await {
            remove(shelf, &record.file).await;
            return Err(error);
        }
        if !self.store().record_archived(&record).await? {
            // Another process was first, or somebody wants the blocks; or this very file was taken in by somebody.
            if self.archived(day).await?.is_none_or(|now| now.file != record.file) {
                remove(shelf, &record.file).await;
            }
            return Ok(());
        }
        metrics::archived(readings, bytes);
        (done.days, done.readings, done.bytes) = (done.days + 1, done.readings + readings, done.bytes + bytes);
        if let Some(replaced) = replaced
            && let Err(error) = shelf.rename(&replaced.file, &replaced_name(&replaced.file)).await
        {
            tracing::warn!(%error, "a file that another took the place of was not put aside");
        }
        self.forget_blocks(day, revision, &marks).await
    }

    /// None when the server stops meanwhile.
    async fn write_day(
        &self,
        merged: &mut Merged,
        writing: &mut Writing,
        (day, revision): (Day, u32),
        names: &Arc<Names>,
    ) -> Result<Option<Finished>, ArchiveError> {
        let failed = ArchiveError::damaged(&date(day));
        let mut writer = DayWriter::new(day, revision).map_err(&failed)?;
        let mut group = Vec::new();
        loop {
            let rows = merged.next_light().await?;
            let ends = rows.as_ref().is_none_or(|rows| group.len() + rows.len() > GROUP_READINGS);
            if ends && !group.is_empty() {
                let (rows, names) = (std::mem::take(&mut group), names.clone());
                let packed = tokio::task::spawn_blocking(move || {
                    let piece = writer.write_group(&rows, &names);
                    (writer, piece)
                });
                let piece;
                (writer, piece) = packed.await?;
                writing.write(&piece.map_err(&failed)?).await?;
                if self.inner().stop.is_cancelled() {
                    return Ok(None);
                }
            }
            match rows {
                Some(rows) => group.extend(rows),
                None => break,
            }
        }
        let finished = writer.finish().map_err(&failed)?;
        writing.write(&finished.last_piece).await?;
        Ok(Some(finished))
    }

    async fn forget_blocks(&self, day: Day, revision: u32, marks: &[SealedMark]) -> Result<(), ArchiveError> {
        for some in marks.chunks(self.settings().storage.piece_blocks.max(1)) {
            if self.inner().stop.is_cancelled() {
                break;
            }
            self.store().forget_sealed(day, revision, some).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn delete_before(&self, shelf: &Shelf, before: Day) -> Result<u32, ArchiveError> {
        let mut deleted = 0;
        for old in self.store().archived_days(Day(i32::MIN), Day(before.0.saturating_sub(1)), ALL).await? {
            self.store().end_keeping(old.day, self.now()).await?;
            let entry = AuditEntry {
                at: self.now(),
                actor: "system".into(),
                action: "archive.delete".into(),
                target: date(old.day),
                detail: json!({"file": old.file, "readings": old.readings, "bytes": old.bytes}),
            };
            if self.store().forget_archived(old.day, old.revision, &entry).await? {
                remove(shelf, &old.file).await;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Removes what no record names and nothing needs, and says once of a file that it should be named.
    async fn remove_strays(
        &self,
        shelf: &Shelf,
        deleted: Day,
        told: &mut BTreeSet<String>,
    ) -> Result<(), ArchiveError> {
        // The files first: one that is recorded meanwhile is then known.
        let files = shelf.files().await?;
        let known = self.store().archived_days(Day(i32::MIN), Day(i32::MAX), ALL).await?;
        told.retain(|file| files.contains(file));
        for (file, stray) in strays(&files, &known, deleted, self.now()) {
            match stray {
                Stray::Spare => {
                    tracing::info!(file, "removing a file of the archive that nothing needs any more");
                    shelf.remove(&file).await?;
                }
                Stray::Unclaimed if told.insert(file.clone()) => tracing::warn!(
                    file,
                    "the database does not know this file of the archive; it is kept, and `ccms archive adopt` takes it in"
                ),
                _ => {}
            }
        }
        Ok(())
    }

    /// The record of a day.
    pub(crate) async fn archived(&self, day: Day) -> StoreResult<Option<ArchivedDay>> {
        Ok(self.store().archived_days(day, day, 1).await?.pop())
    }

    async fn names(&self) -> StoreResult<Names> {
        let (lights, devices) = (self.store().lights().await?, self.store().devices().await?);
        Ok(Names {
            lights: lights.into_iter().map(|l| (l.no, l.id.as_str().into())).collect(),
            devices: devices.into_iter().map(|d| (d.no, d.id.as_str().into())).collect(),
        })
    }
}

/// Reads a whole file as anybody would, and compares it with what went in.
async fn read_back(shelf: &Shelf, record: &ArchivedDay, digest: &Digest) -> Result<(), ArchiveError> {
    let differs = |what: &str| ArchiveError::file(&record.file, format!("what was written reads otherwise: {what}"));
    if shelf.sum(&record.file).await? != (record.bytes, record.sha256) {
        return Err(differs("its checksum"));
    }
    let footer = shelf.footer(record).await?;
    let mut read = Digest::default();
    for group in 0..footer.groups().len() {
        shelf.rows(&record.file, &footer, group, None).await?.iter().for_each(|row| read.add(row));
    }
    if read.value() == digest.value() { Ok(()) } else { Err(differs("its readings")) }
}

/// What cannot be removed now is removed by a later run.
async fn remove(shelf: &Shelf, file: &str) {
    if let Err(error) = shelf.remove(file).await {
        tracing::warn!(%error, "a file of the archive was not removed");
    }
}
