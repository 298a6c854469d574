//! Days that are over leave the hot log: what each light said on one is kept as a block, which the store does not look into.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;

use crate::{LogPosition, ReadingRow, StoreResult};

/// A day of UTC, counted from 1970-01-01.
///
/// A reading belongs to the day of its own time. One whose clock was suspect belongs to none: only the log knows it again when it is
/// sent once more, so it stays there until it is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

impl Day {
    const MS: i64 = 86_400_000;

    pub fn of(at: UtcMillis) -> Self {
        let day = at.0.div_euclid(Self::MS);
        Self(i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX }))
    }

    /// Its first moment.
    pub fn begins(self) -> UtcMillis {
        UtcMillis(i64::from(self.0) * Self::MS)
    }

    /// The first moment of the next.
    pub fn ends(self) -> UtcMillis {
        UtcMillis((i64::from(self.0) + 1) * Self::MS)
    }
}

/// What one light said on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedDay {
    pub light_no: LightNo,
    pub day: Day,
    /// 1, and one more with every change.
    pub revision: u32,
    pub readings: u32,
    /// Opaque to the store.
    pub body: Vec<u8>,
}

/// Methods that speak of the log mean its rows up to position `upto`.
#[async_trait]
pub trait Sealing {
    /// The last row of the log at or before a position, and when it arrived.
    async fn row_at_or_before(&self, position: LogPosition) -> StoreResult<Option<(LogPosition, UtcMillis)>>;

    /// The earliest day of `from <= day < before` of which there are rows in the log.
    async fn earliest_hot_day(&self, from: Day, before: Day, upto: LogPosition) -> StoreResult<Option<Day>>;

    /// How many rows of a day there are in the log.
    async fn hot_count(&self, day: Day, upto: LogPosition) -> StoreResult<u64>;

    /// Rows of a day, at most `limit`, in an order of the store's own: the first ones, or those behind `after`, the last of the page
    /// before. Each row is looked at once while a day is paged through.
    async fn hot_rows(
        &self,
        day: Day,
        after: Option<&(LogPosition, ReadingRow)>,
        upto: LogPosition,
        limit: u32,
    ) -> StoreResult<Vec<(LogPosition, ReadingRow)>>;

    /// Removes rows of a day from the log, at most `limit` and none of `except`; answers how many, and from where to go on: the next
    /// call is given that as `after`, the first one 0. What is removed together lies together.
    async fn forget_hot(
        &self,
        day: Day,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
        except: &[LightNo],
    ) -> StoreResult<(u64, LogPosition)>;

    /// Removes rows from the log whose clock was suspect and that arrived before `before`, at most `limit`; answers how many.
    async fn forget_suspect(&self, before: UtcMillis, upto: LogPosition, limit: u32) -> StoreResult<u64>;

    /// Keeps blocks, all in one transaction: revision 1 where there is none of that light and day, a later one in the place of
    /// the one before it. Answers, per block, whether it was kept; one that is not met another revision.
    async fn write_sealed(&self, days: &[SealedDay]) -> StoreResult<Vec<bool>>;

    /// Blocks of one day of the lights `from <= number < to`.
    async fn sealed_of_day(&self, day: Day, from: LightNo, to: LightNo) -> StoreResult<Vec<SealedDay>>;

    /// Blocks of one light of the days `from <= day <= last`, newest first, at most `limit`.
    async fn sealed_of_light(&self, light: LightNo, from: Day, last: Day, limit: u32) -> StoreResult<Vec<SealedDay>>;
}
