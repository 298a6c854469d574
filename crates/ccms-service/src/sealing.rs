//! Days that are over leave the hot log: what each light said on one is packed into a block, and then its rows are removed.
//!
//! Readings whose clock cannot be right stay in the log: it alone knows them again when they are sent once more. They are few.
//!
//! Nothing hangs on where this is interrupted. A block is merged with the one that is there, and a row that is in it already
//! is left out; rows are removed only after every block of their day is on disk, and when as many rows went into blocks as
//! there are. What arrives late for a day that is sealed is taken up the next time. Rows are left alone for some hours after
//! their arrival, so that most of what controllers hand in after an outage is sealed once; and they are never removed before
//! the checkpoint includes them.
//!
//! A light that cannot be packed (it said more than a block holds, or its block is damaged) keeps its day in the log, and no other
//! day. It takes turns with intake: blocks are written, and rows removed, in small transactions.
use std::collections::BTreeMap;

use ccms_block::BlockError;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, LogPosition, ReadingRow, SealedDay, StoreError, StoreResult};

use crate::ccms::Ccms;
use crate::metrics;

/// Rows stay in the log this long after their arrival.
const HOT_S: i64 = 6 * 3_600;
/// Lights whose day is packed in one go ...
const LIGHTS_AT_ONCE: u32 = 80;
/// ... or fewer, where they said more than this: about 100 MB of memory while they are packed.
const ROWS_AT_ONCE: u32 = 250_000;
/// Rows removed in one transaction: a few milliseconds of the writer's time.
const REMOVED_AT_ONCE: u32 = 2_000;
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
    pub days: u32,
    pub readings: u64,
    /// Of the blocks that were written.
    pub bytes: u64,
}

impl Ccms {
    /// Seals every day that is over, from the oldest on. Where a day cannot be sealed as a whole, its rows stay in the log.
    pub async fn seal(&self) -> Result<Sealed, SealError> {
        let _turn = self.inner().sealing.lock().await;
        let mut done = Sealed::default();
        let quiet = self.now().plus_seconds(-HOT_S);
        let upto = self.position_before(quiet).await?.min(self.saved_position());
        let mut from = Day(i32::MIN);
        while let Some(day) = self.store().earliest_hot_day(from, Day::of(quiet), upto).await? {
            let whole = self.seal_day(day, upto, &mut done).await?;
            while whole && !self.is_stopping() && self.store().forget_hot(day, upto, REMOVED_AT_ONCE).await? > 0 {
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
        let lights = self.live().read().highest_light();
        let (mut from, mut step) = (LightNo(0), LIGHTS_AT_ONCE);
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
                let merged = tokio::task::spawn_blocking(move || merge(day, rows, present)).await?;
                let kept = self.store().write_sealed(&merged.blocks).await?;
                if merged.failed > 0 || count >= u64::from(ROWS_AT_ONCE) || kept.contains(&false) {
                    whole = false;
                }
                packed += count;
                let bytes = merged.blocks.iter().map(|b| b.body.len() as u64).sum();
                metrics::sealed(count, bytes);
                done.readings += count;
                done.bytes += bytes;
            }
            (from, step) = (to, LIGHTS_AT_ONCE);
        }
        Ok(whole && packed == self.store().hot_count(day, upto).await?)
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

/// Blocks that are to be written, and how many lights could not be packed.
#[derive(Default)]
struct Merged {
    blocks: Vec<SealedDay>,
    failed: u32,
}

/// Blocks of a day with these rows in them, for each light that says something new.
fn merge(day: Day, rows: Vec<ReadingRow>, present: Vec<SealedDay>) -> Merged {
    let mut lights: BTreeMap<LightNo, Vec<ReadingRow>> = BTreeMap::new();
    rows.into_iter().for_each(|row| lights.entry(row.light_no).or_default().push(row));
    let mut present: BTreeMap<LightNo, SealedDay> = present.into_iter().map(|b| (b.light_no, b)).collect();
    let mut merged = Merged::default();
    for (light, rows) in lights {
        let before = present.remove(&light);
        match pack(day, light, rows, before.as_ref()) {
            // After an interruption nothing is new.
            Ok(block) if before.as_ref().is_some_and(|b| b.body == block.body) => {}
            Ok(block) => merged.blocks.push(block),
            Err(error) => {
                tracing::error!(%error, light = light.0, day = day.0, "a light's day was not sealed; it stays in the log");
                merged.failed += 1;
            }
        }
    }
    merged
}

fn pack(
    day: Day,
    light: LightNo,
    mut rows: Vec<ReadingRow>,
    before: Option<&SealedDay>,
) -> Result<SealedDay, BlockError> {
    if let Some(block) = before {
        // First, so that of two that are alike the one that was there stays.
        rows.splice(0..0, ccms_block::decode(light, &block.body)?);
    }
    rows.sort_by_key(|r| (r.reading.reported_at, r.dedupe));
    rows.dedup_by_key(|r| (r.reading.reported_at, r.dedupe));
    let body = ccms_block::encode(&rows)?;
    let revision = before.map_or(0, |b| b.revision) + 1;
    Ok(SealedDay { light_no: light, day, revision, readings: rows.len() as u32, body })
}
