//! Readings leave the hot log: what each light said on a day is packed into a block, what its quarters of an hour came to is worked out
//! beside it, and then the rows are removed. Once an hour, so that the log stays short: nothing in it is ordered by light.
//!
//! Readings whose clock cannot be right stay in the log: it alone knows them again when they are sent once more. They are few.
//!
//! Nothing hangs on where this is interrupted. A block is merged with the one that is there, and a row that is in it already
//! is left out; rows are removed only after every block of their day is on disk, and when as many rows were looked at as
//! there are. What arrives late for a day that is sealed is taken up the next time. Rows are left alone for an hour after
//! their arrival, so that what is sent again at once is known again; and they are never removed before the checkpoint includes
//! them.
//!
//! What is wrong with one thing holds up nothing else: a light that cannot be packed (its block is damaged) keeps its own rows in the
//! log, and a day that cannot be read (its file is away, a batch of the log is damaged) its own. Each is counted, said, and tried
//! again the next time; only a database or a disk that fails ends a run. What a light says on a day beyond what a block holds is let
//! go, and somebody is told. It takes turns with intake: blocks are written, and rows removed, in small transactions.
//!
//! - [`spread`]   a day's rows by light, of one walk over the log
//! - `belated`    sums of days that were sealed by an earlier release
//! - `packing`    rows, a block and a file as the next block
use std::collections::BTreeSet;

use ccms_core::ids::LightNo;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_store::{ArchivedDay, Day, LogPosition, ReadingRow, Severity, StoreError, StoreResult};
use serde_json::json;

use crate::alerts::Raise;
use crate::ccms::Ccms;
use crate::metrics;
use crate::packing::{Known, Merged, merge};

mod belated;
mod spread;

use spread::{Lights, Spread, SpreadError};

/// Rows stay in the log this long after their arrival.
const HOT_S: i64 = 3_600;
/// Days after which the file of a day, and with it all that is known of it but its sums, may be gone at the earliest.
const DELETED_AFTER_DAYS: i32 = 2;
/// Halvings of a log of any length.
const SEARCH_STEPS: u32 = 64;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("readings were not put aside to be packed: {0}")]
    Spread(#[from] SpreadError),
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
    /// Days, and days of one light, that stay in the log.
    pub left: u32,
}

/// A day that was gone through.
struct Through {
    /// Whether what of it is in blocks may leave the log.
    whole: bool,
    /// But for these.
    held_up: BTreeSet<LightNo>,
}

impl Ccms {
    /// Seals what is old enough, from the oldest day on. Where a day cannot be sealed, its rows stay in the log.
    pub async fn seal(&self) -> Result<Sealed, SealError> {
        let _turn = self.inner().sealing.lock().await;
        self.roll_up_belated().await?;
        let (mut done, mut held_up) = (Sealed::default(), BTreeSet::new());
        let upto = self.position_before(self.now().plus_seconds(-HOT_S)).await?.min(self.saved_position());
        let (mut from, after) = (Day(i32::MIN), Day(Day::of(self.now().plus_seconds(limits::CLOCK_AHEAD_MAX_S)).0 + 1));
        while let Some(day) = self.store().earliest_hot_day(from, after, upto).await? {
            match self.seal_day(day, upto, &mut done).await {
                Ok(through) => {
                    self.leave_log(day, upto, &through).await?;
                    done.days += u32::from(through.whole && through.held_up.is_empty());
                    held_up.extend(through.held_up);
                }
                Err(SealError::Store(error @ StoreError::BadRow { .. })) => {
                    metrics::seal_failed("day");
                    tracing::error!(%error, day = day.0, "a day was not sealed; its readings stay in the log");
                    done.left += 1;
                }
                Err(error) => return Err(error),
            }
            if self.is_stopping() {
                return Ok(done);
            }
            from = Day(day.0 + 1);
        }
        done.left += held_up.len() as u32;
        *self.inner().held_up.write().unwrap_or_else(|e| e.into_inner()) = held_up;
        Ok(done)
    }

    /// Lights of which the log keeps what it should not, until somebody has looked at them.
    pub(crate) fn held_up(&self) -> Vec<LightNo> {
        self.inner().held_up.read().unwrap_or_else(|e| e.into_inner()).iter().copied().collect()
    }

    async fn leave_log(&self, day: Day, upto: LogPosition, through: &Through) -> StoreResult<()> {
        if !through.whole {
            if !self.is_stopping() {
                tracing::warn!(day = day.0, "a day was not sealed as a whole; its readings stay in the log");
            }
            return Ok(());
        }
        let (piece, mut after) = (self.settings().storage.piece_rows.max(1), LogPosition(0));
        let except: Vec<LightNo> = through.held_up.iter().copied().collect();
        while !self.is_stopping() {
            let (gone, next) = self.store().forget_hot(day, after, upto, piece, &except).await?;
            if gone == 0 {
                break;
            }
            after = next;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Packs what the log has of a day.
    async fn seal_day(&self, day: Day, upto: LogPosition, done: &mut Sealed) -> Result<Through, SealError> {
        let mut through = Through { whole: false, held_up: BTreeSet::new() };
        let Some(mut spread) = self.spread(day, upto).await? else { return Ok(through) };
        let mut over = std::mem::take(&mut spread.over);
        for lights in spread.lights() {
            if self.is_stopping() {
                return Ok(through);
            }
            let reading = tokio::task::spawn_blocking(move || {
                let rows = spread.rows(lights);
                (spread, rows)
            });
            let rows;
            (spread, rows) = reading.await?;
            for merged in self.pack(day, lights, rows?, done).await? {
                through.held_up.extend(merged.failed);
                merged.over.into_iter().for_each(|(light, rows)| *over.entry(light).or_default() += rows);
            }
        }
        for (light, readings) in over {
            self.tell_of_too_many(day, light, readings).await?;
        }
        through.held_up.iter().for_each(|_| metrics::seal_failed("light"));
        through.whole = spread.seen == self.store().hot_count(day, upto).await?;
        Ok(through)
    }

    /// The rows of a day by light. None when the server stops meanwhile.
    async fn spread(&self, day: Day, upto: LogPosition) -> Result<Option<Spread>, SealError> {
        let storage = &self.settings().storage;
        let (count, highest) = (self.store().hot_count(day, upto).await?, self.live().read().highest_light());
        let folder = storage.temporary.clone().unwrap_or_else(std::env::temp_dir);
        let mut spread = Spread::new(count, highest, storage.rows_in_memory, folder);
        let (page_rows, mut last) = ((storage.rows_in_memory / 2).max(1) as u32, None);
        while !self.is_stopping() {
            let page = self.store().hot_rows(day, last.as_ref(), upto, page_rows).await?;
            let Some(end) = page.last() else { return Ok(Some(spread)) };
            last = Some(end.clone());
            let pushing = tokio::task::spawn_blocking(move || {
                let pushed = spread.push(page.into_iter().map(|(_, row)| row));
                pushed.map(|()| spread)
            });
            spread = pushing.await??;
        }
        Ok(None)
    }

    /// Writes the blocks of these lights with their rows in them.
    async fn pack(
        &self,
        day: Day,
        lights: Lights,
        rows: impl IntoIterator<Item = (LightNo, Vec<ReadingRow>)>,
        done: &mut Sealed,
    ) -> Result<Vec<Merged>, SealError> {
        let mut present = self.store().sealed_of_day(day, lights.0, lights.1).await?.into_iter().peekable();
        // After the blocks, not before them: what is archived in between is then in both rather than in neither.
        let file = self.archived(day).await?;
        let may_be_deleted = self.may_be_deleted(day, file.as_ref());
        let (mut packed, mut waiting, mut waiting_rows) = (Vec::new(), Vec::new(), 0);
        let mut rows = rows.into_iter().peekable();
        while let Some((light, of_light)) = rows.next() {
            while present.next_if(|block| block.light_no < light).is_some() {}
            let block = present.next_if(|block| block.light_no == light);
            let archived = match &file {
                Some(file) => self.archived_rows(light, file.clone()).await?,
                None => Vec::new(),
            };
            let rolled = match may_be_deleted {
                true => self.store().rollups_of_light(light, day, day, 1).await?.pop(),
                false => None,
            };
            waiting_rows += archived.len();
            waiting.push((light, of_light, Known { block, archived, rolled }));
            // Late readings of many lights bring many whole days along.
            if rows.peek().is_none() || waiting_rows >= self.settings().storage.rows_in_memory {
                packed.push(self.write(day, std::mem::take(&mut waiting), done).await?);
                waiting_rows = 0;
            }
        }
        Ok(packed)
    }

    async fn write(
        &self,
        day: Day,
        lights: Vec<(LightNo, Vec<ReadingRow>, Known)>,
        done: &mut Sealed,
    ) -> Result<Merged, SealError> {
        let count: u64 = lights.iter().map(|(_, rows, _)| rows.len() as u64).sum();
        let mut merged = tokio::task::spawn_blocking(move || merge(day, lights)).await?;
        for blocks in merged.blocks.chunks(self.settings().storage.piece_blocks.max(1)) {
            let kept = self.store().seal(blocks).await?;
            // Somebody else was first; the next run has a look at what there is.
            let lost = blocks.iter().zip(kept).filter(|(_, kept)| !kept).map(|((block, _), _)| block.light_no);
            merged.failed.extend(lost);
        }
        let bytes = merged.blocks.iter().map(|(block, _)| block.body.len() as u64).sum();
        metrics::sealed(count, bytes);
        done.readings += count;
        done.bytes += bytes;
        merged.blocks = Vec::new();
        Ok(merged)
    }

    /// Somebody should know of a light that says more than anybody could measure.
    async fn tell_of_too_many(&self, day: Day, light: LightNo, readings: u64) -> StoreResult<()> {
        metrics::let_go(readings);
        tracing::error!(light = light.0, day = day.0, readings, "a light said more on a day than is kept");
        let raise = Raise {
            device: None,
            light: Some(light),
            kind: "too_many_readings",
            severity: Severity::Warning,
            message: "The light reported more readings of one day than are kept of a day. Those that arrived last were let go."
                .into(),
            detail: json!({"day": crate::archiving::date(day), "let_go": readings, "kept_at_most": ccms_block::READINGS_MAX}),
        };
        self.raise(raise).await.map(drop)
    }

    /// Whether a file of a day may be gone that once was there. What came late for such a day is soon in a file again, and gone again.
    pub(crate) fn may_be_deleted(&self, day: Day, file: Option<&ArchivedDay>) -> bool {
        let (today, after) = (Day::of(self.now()), self.settings().storage.delete_archive_after_days);
        match file {
            None => day.0 <= today.0 - DELETED_AFTER_DAYS,
            Some(_) => after > 0 && day < Day(today.0.saturating_sub_unsigned(after)),
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
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
