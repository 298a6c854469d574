//! Days that are over leave the hot log: what each light said on one is packed into a block, and then its rows are removed.
//!
//! Nothing hangs on where this is interrupted. A block is merged with the one that is there, and a row that is in it already
//! is left out; rows are removed only after every block of their day is on disk, and when as many rows went into blocks as
//! there are. What arrives late for a day that is sealed is taken up the next time. Rows are left alone for some hours after
//! their arrival, so that most of what controllers hand in after an outage is sealed once; and they are never removed before
//! the checkpoint includes them.
//!
//! It takes turns with intake: blocks are written, and rows removed, in small transactions.
use std::collections::BTreeMap;

use ccms_block::BlockError;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, LogPosition, ReadingRow, SealedDay, StoreError, StoreResult};

use crate::ccms::Ccms;
use crate::metrics;

/// Rows stay in the log this long after their arrival.
const HOT_S: i64 = 6 * 3_600;
/// Lights whose day is packed in one go: about a quarter of a million readings in memory.
const LIGHTS_AT_ONCE: u32 = 80;
/// Rows removed in one transaction: a few milliseconds of the writer's time.
const REMOVED_AT_ONCE: u32 = 2_000;
/// Halvings of a log of any length.
const SEARCH_STEPS: u32 = 64;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("light {light}, day {day}: {error}")]
    Block { light: u32, day: i32, error: BlockError },
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
    /// Seals every day that is over, from the oldest on. Where a day cannot be sealed, its rows stay in the log.
    pub async fn seal(&self) -> Result<Sealed, SealError> {
        let mut done = Sealed::default();
        let quiet = self.now().plus_seconds(-HOT_S);
        let upto = self.position_before(quiet).await?.min(self.saved_position());
        let mut failed = None;
        while !self.inner().stop.is_cancelled() {
            let Some(day) = self.store().earliest_hot_day(Day::of(quiet), upto).await? else { break };
            if failed == Some(day) {
                break;
            }
            let (sealed, whole) = self.seal_day(day, upto).await?;
            done.readings += sealed.readings;
            done.bytes += sealed.bytes;
            if whole {
                done.days += 1;
                while !self.inner().stop.is_cancelled()
                    && self.store().forget_hot(day, upto, REMOVED_AT_ONCE).await? > 0
                {
                    tokio::task::yield_now().await;
                }
            } else {
                tracing::warn!(day = day.0, "a day was not sealed as a whole; its readings stay in the log");
                failed = Some(day);
            }
        }
        metrics::sealed(done.readings, done.bytes);
        Ok(done)
    }

    /// Packs what the log has of a day. True when all of it is in blocks on disk.
    async fn seal_day(&self, day: Day, upto: LogPosition) -> Result<(Sealed, bool), SealError> {
        let mut done = Sealed::default();
        let (mut packed, mut whole) = (0, true);
        let lights = self.live().read().highest_light();
        let mut from = LightNo(0);
        while from <= lights && !self.inner().stop.is_cancelled() {
            let to = LightNo(from.0.saturating_add(LIGHTS_AT_ONCE));
            let rows = self.store().hot_rows(day, from, to, upto).await?;
            if !rows.is_empty() {
                packed += rows.len() as u64;
                let present = self.store().sealed_of_day(day, from, to).await?;
                let blocks = tokio::task::spawn_blocking(move || merge(day, rows, present)).await??;
                done.bytes += blocks.iter().map(|b| b.body.len() as u64).sum::<u64>();
                whole &= self.store().write_sealed(&blocks).await?.into_iter().all(|kept| kept);
            }
            from = to;
        }
        done.readings = packed;
        Ok((done, whole && packed == self.store().hot_count(day, upto).await?))
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

/// Blocks of a day with these rows in them, for each light that has one.
fn merge(day: Day, rows: Vec<ReadingRow>, present: Vec<SealedDay>) -> Result<Vec<SealedDay>, SealError> {
    let mut lights: BTreeMap<LightNo, Vec<ReadingRow>> = BTreeMap::new();
    rows.into_iter().for_each(|row| lights.entry(row.light_no).or_default().push(row));
    let mut present: BTreeMap<LightNo, SealedDay> = present.into_iter().map(|b| (b.light_no, b)).collect();
    let pack = |(light, mut rows): (LightNo, Vec<ReadingRow>)| {
        let failed = |error| SealError::Block { light: light.0, day: day.0, error };
        let before = present.remove(&light);
        if let Some(block) = &before {
            // First, so that of two that are alike the one that was there stays.
            rows.splice(0..0, ccms_block::decode(light, &block.body).map_err(failed)?);
        }
        rows.sort_by_key(|r| (r.reading.reported_at, r.dedupe));
        rows.dedup_by_key(|r| (r.reading.reported_at, r.dedupe));
        let body = ccms_block::encode(&rows).map_err(failed)?;
        let revision = before.map_or(0, |b| b.revision) + 1;
        Ok(SealedDay { light_no: light, day, revision, readings: rows.len() as u32, body })
    };
    lights.into_iter().map(pack).collect()
}
