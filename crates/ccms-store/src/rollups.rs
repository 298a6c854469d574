//! What quarters of an hour came to, kept a light's day (of UTC) at a time, beside the blocks of its readings and longer than these.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;

use crate::{Day, ReadingRow, SealedDay, StoreResult};

/// What the quarters of one light's day came to. Both bodies are opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledDay {
    pub light_no: LightNo,
    pub day: Day,
    /// Time and energy.
    pub ledger: Vec<u8>,
    pub measured: Vec<u8>,
}

/// Time and energy of one light's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerDay {
    pub light_no: LightNo,
    pub day: Day,
    pub body: Vec<u8>,
}

/// Lights of a part: part 0 are the numbers from 0 to 1,023, and so on.
pub const LIGHTS_OF_PART: u32 = 1_024;

/// A part of the lights on a day, and how often what their quarters came to was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayPart {
    pub day: Day,
    pub part: u32,
    pub revision: i64,
}

/// What a day of the lights of a part came to, in a body that is opaque to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DailyPart {
    pub day: Day,
    pub body: Vec<u8>,
}

/// The part of a light.
pub const fn part_of(light: LightNo) -> u32 {
    light.0 / LIGHTS_OF_PART
}

/// Lights are those of `from <= number < to` that are registered.
#[async_trait]
pub trait Rollups {
    /// Keeps blocks as [`Sealing::write_sealed`](crate::Sealing::write_sealed) does and, with each that is kept, what its day came to in
    /// the place of what was there; all in one transaction.
    async fn seal(&self, days: &[(SealedDay, RolledDay)]) -> StoreResult<Vec<bool>>;

    /// Keeps what days came to in the place of what was there, in one transaction.
    async fn write_rollups(&self, days: &[RolledDay]) -> StoreResult<()>;

    /// Days that have a block and of which nobody worked out what they came to, at most `limit`.
    async fn unrolled_days(&self, limit: u32) -> StoreResult<Vec<(LightNo, Day)>>;

    /// What days of `from <= day <= last` of one light came to, newest first, at most `limit`.
    async fn rollups_of_light(&self, light: LightNo, from: Day, last: Day, limit: u32) -> StoreResult<Vec<RolledDay>>;

    /// Ledgers of the days `from <= day <= last`, by light and then by day.
    async fn ledgers(&self, lights: (LightNo, LightNo), from: Day, last: Day) -> StoreResult<Vec<LedgerDay>>;

    /// Of each light the last ledger before a day, by light.
    async fn ledgers_before(&self, lights: (LightNo, LightNo), day: Day) -> StoreResult<Vec<LedgerDay>>;

    /// Days of `day < before`, by part, of which quarters are there and nobody worked out what the day came to since they were changed;
    /// newest first, at most `limit`.
    async fn open_parts(&self, before: Day, limit: u32) -> StoreResult<Vec<DayPart>>;

    /// Keeps what a day of a part came to. False, and nothing is kept, where its quarters were changed since that revision.
    async fn write_daily(&self, part: &DayPart, body: &[u8]) -> StoreResult<bool>;

    /// What the days `from <= day <= last` of a part came to, by day, as far as it is worked out.
    async fn daily(&self, part: u32, from: Day, last: Day) -> StoreResult<Vec<DailyPart>>;

    /// Of which of the days `from <= day <= last`, and of which parts, that is. By day and part.
    async fn daily_known(&self, from: Day, last: Day) -> StoreResult<Vec<(Day, u32)>>;

    /// Of each of these lights, given in the order of their numbers, the newest row in the log of `from <= time < to`, in no order: one
    /// whose clock is believed, by its own time and of one moment with the highest key, and one whose clock is not, by its arrival and of
    /// one arrival with the longest uptime. Costs one walk over everything of that time, however many lights are asked for.
    async fn newest_hot(&self, lights: &[LightNo], from: UtcMillis, to: UtcMillis) -> StoreResult<Vec<ReadingRow>>;

    /// When the oldest row that is left in the log and has a believable clock arrived, but for rows of `except`.
    async fn oldest_hot_arrival(&self, except: &[LightNo]) -> StoreResult<Option<UtcMillis>>;

    /// Days of which it is known what they came to, and whose readings are neither in a block nor in a file; behind one, by light and
    /// day, at most `limit`.
    async fn bare_rollups(&self, after: (LightNo, Day), limit: u32) -> StoreResult<Vec<(LightNo, Day)>>;
}
