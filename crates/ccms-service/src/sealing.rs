//! Readings leave the hot log: what each light said on a day is packed into a block, what its quarters of an hour came to is worked out
//! beside it, and then the rows are removed. Once an hour, so that the log stays short: nothing in it is ordered by light.
//!
//! Readings whose clock cannot be right stay in the log: it alone knows them again when they are sent once more. They are few.
//!
//! Nothing hangs on where this is interrupted. A block is merged with the one that is there, and a row that is in it already
//! is left out; rows are removed only after every block of their day is on disk, and when as many rows went into blocks as
//! there are. What arrives late for a day that is sealed is taken up the next time. Rows are left alone for an hour after
//! their arrival, so that what is sent again at once is known again; and they are never removed before the checkpoint includes
//! them.
//!
//! A light that cannot be packed (it said more than a block holds, or its block is damaged) keeps its day in the log, and no other
//! day. It takes turns with intake: blocks are written, and rows removed, in small transactions.
use std::collections::hash_map::Entry;

use ccms_core::ids::LightNo;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_store::{ArchivedDay, Day, LogPosition, ReadingRow, StoreError, StoreResult};

use crate::ccms::Ccms;
use crate::metrics;
use crate::packing::{Archived, merge, rolled};

/// Rows stay in the log this long after their arrival.
const HOT_S: i64 = 3_600;
/// Rows that are packed in one go: about 60 MB of memory while they are.
const ROWS_AT_ONCE: u32 = 100_000;
/// How many of them are aimed at: lights do not all say the same.
const ROWS_WANTED: u64 = 60_000;
/// Days whose quarters are worked out belatedly in one transaction.
const BELATED_AT_ONCE: u32 = 64;
/// Halvings of a log of any length.
const SEARCH_STEPS: u32 = 64;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the readings were not packed: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// What one run came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sealed {
    /// Of which all that was old enough is in blocks.
    pub days: u32,
    pub readings: u64,
    /// Of the blocks that were written.
    pub bytes: u64,
}

impl Ccms {
    /// Seals what is old enough, from the oldest day on. Where a day cannot be sealed as a whole, its rows stay in the log.
    pub async fn seal(&self) -> Result<Sealed, SealError> {
        let _turn = self.inner().sealing.lock().await;
        self.roll_up_belated().await?;
        let mut done = Sealed::default();
        let upto = self.position_before(self.now().plus_seconds(-HOT_S)).await?.min(self.saved_position());
        let (mut from, after) = (Day(i32::MIN), Day(Day::of(self.now().plus_seconds(limits::CLOCK_AHEAD_MAX_S)).0 + 1));
        while let Some(day) = self.store().earliest_hot_day(from, after, upto).await? {
            let whole = self.seal_day(day, upto, &mut done).await?;
            let piece = self.settings().storage.piece_rows.max(1);
            while whole && !self.is_stopping() && self.store().forget_hot(day, upto, piece).await? > 0 {
                tokio::task::yield_now().await;
            }
            if self.is_stopping() {
                break;
            }
            if whole {
                done.days += 1;
            } else {
                tracing::warn!(day = day.0, "a day was not sealed as a whole; its readings stay in the log");
            }
            from = Day(day.0 + 1);
        }
        Ok(done)
    }

    /// Packs what the log has of a day. True when all of it is in blocks on disk.
    async fn seal_day(&self, day: Day, upto: LogPosition, done: &mut Sealed) -> Result<bool, SealError> {
        let (mut packed, mut whole) = (0, true);
        let (rows_in_log, lights) = (self.store().hot_count(day, upto).await?, self.live().read().highest_light());
        // Each step walks over all rows of the day, so it is as wide as memory allows.
        let width =
            (ROWS_WANTED * u64::from(lights.0) / rows_in_log.max(1)).clamp(1, u64::from(lights.0.max(1))) as u32;
        let file = self.store().archived_days(day, day, 1).await?.pop();
        let (mut from, mut step) = (LightNo(0), width);
        while from <= lights && !self.is_stopping() {
            let to = LightNo(from.0.saturating_add(step));
            let rows = self.store().hot_rows(day, from, to, upto, ROWS_AT_ONCE).await?;
            if rows.len() >= ROWS_AT_ONCE as usize && step > 1 {
                step /= 2;
                continue;
            }
            if !rows.is_empty() {
                let count = rows.len() as u64;
                let present = self.store().sealed_of_day(day, from, to).await?;
                let archived = self.archived_of(&rows, &file).await?;
                let merged = tokio::task::spawn_blocking(move || merge(day, rows, present, archived)).await?;
                if merged.failed > 0 || count >= u64::from(ROWS_AT_ONCE) {
                    whole = false;
                }
                for blocks in merged.blocks.chunks(self.settings().storage.piece_blocks.max(1)) {
                    let kept = self.store().seal(blocks).await?;
                    whole &= !kept.contains(&false);
                }
                packed += count;
                let bytes = merged.blocks.iter().map(|(block, _)| block.body.len() as u64).sum();
                metrics::sealed(count, bytes);
                done.readings += count;
                done.bytes += bytes;
            }
            (from, step) = (to, width);
        }
        Ok(whole && packed == self.store().hot_count(day, upto).await?)
    }

    /// What the file of a day that is archived has of these lights: late readings join it later, but their sums are of all that is
    /// known.
    async fn archived_of(&self, rows: &[ReadingRow], file: &Option<ArchivedDay>) -> StoreResult<Archived> {
        let mut archived = Archived::new();
        let Some(file) = file else { return Ok(archived) };
        for light in rows.iter().map(|r| r.light_no) {
            if let Entry::Vacant(entry) = archived.entry(light) {
                entry.insert(self.archived_rows(light, file.clone()).await?);
            }
        }
        Ok(archived)
    }

    /// Works out what days came to that were sealed before that was done. A block that is damaged keeps its place in the list.
    async fn roll_up_belated(&self) -> Result<(), SealError> {
        let (mut written, mut failed) = (0, 0_u32);
        while !self.is_stopping() {
            let days = self.store().unrolled_days(BELATED_AT_ONCE + failed).await?;
            let mut belated = Vec::new();
            for &(light, day) in days.iter().skip(failed as usize) {
                belated.extend(self.store().sealed_of_light(light, day, day, 1).await?);
            }
            if belated.is_empty() {
                break;
            }
            let worked = tokio::task::spawn_blocking(move || belated.iter().map(rolled).collect::<Vec<_>>()).await?;
            let (done, not): (Vec<_>, Vec<_>) = worked.into_iter().partition(Result::is_ok);
            let done: Vec<_> = done.into_iter().flatten().collect();
            self.store().write_rollups(&done).await?;
            for error in not.iter().filter_map(|e| e.as_ref().err()) {
                tracing::error!(%error, "what a sealed day came to was not worked out");
            }
            failed += not.len() as u32;
            written += done.len();
        }
        if written > 0 {
            tracing::info!(days = written, "days that were sealed earlier were summed up");
        }
        Ok(())
    }

    fn is_stopping(&self) -> bool {
        self.inner().stop.is_cancelled()
    }

    /// The position behind the last row that arrived before `at`. The log is in the order of arrival but for moments.
    async fn position_before(&self, at: UtcMillis) -> StoreResult<LogPosition> {
        let (mut low, mut high) = (LogPosition(0), *self.inner().position.borrow());
        for _ in 0..SEARCH_STEPS {
            if low >= high {
                break;
            }
            let middle = LogPosition(low.0 + (high.0 - low.0 + 1) / 2);
            match self.store().row_at_or_before(middle).await? {
                Some((_, arrived)) if arrived >= at => high = LogPosition(middle.0 - 1),
                _ => low = middle,
            }
        }
        Ok(low)
    }
}
