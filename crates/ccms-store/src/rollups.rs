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

    /// Rows in the log of `from <= reported_at < to` whose clock is believed, in no order, at most `limit`. Costs a walk over everything
    /// of that time.
    async fn hot_between(
        &self,
        lights: (LightNo, LightNo),
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>>;

    /// When the oldest row that is left in the log and has a believable clock arrived.
    async fn oldest_hot_arrival(&self) -> StoreResult<Option<UtcMillis>>;
}
