//! Days that are long over leave the database: what all lights said on one is kept in a file, and here is which file that is.
//!
//! A file counts from the moment it is recorded. It may be replaced by a later one of the same day; blocks are removed only
//! while the record is the one that the remover means, and only as they were when they were copied.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;

use crate::{AuditEntry, Day, SealedDay, StoreResult};

/// A day whose readings are in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedDay {
    pub day: Day,
    /// 1, and one more with every file that took the place of another.
    pub revision: u32,
    pub file: String,
    pub readings: u64,
    pub lights: u32,
    pub bytes: u64,
    pub sha256: [u8; 32],
    /// The end of the file that says what is in it, and its CRC-32.
    pub footer_bytes: u32,
    pub footer_crc: u32,
    pub archived_at: UtcMillis,
    /// Somebody wants its blocks until then: nothing of them is removed, and the file is not replaced.
    pub kept_until: Option<UtcMillis>,
    /// Everything in the file is in blocks too.
    pub restored: bool,
}

/// A block as it was when it was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedMark {
    pub light_no: LightNo,
    pub revision: u32,
    pub readings: u32,
    /// The first bytes of its body, where its checksum is: a light's block that is removed and made anew begins again at
    /// revision 1.
    pub begins: Vec<u8>,
}

impl SealedMark {
    const BEGINS_BYTES: usize = 5;

    pub fn of(block: &SealedDay) -> Self {
        let begins = block.body.iter().copied().take(Self::BEGINS_BYTES).collect();
        Self { light_no: block.light_no, revision: block.revision, readings: block.readings, begins }
    }
}

#[async_trait]
pub trait Archive {
    /// The earliest day of `from <= day < before` of which there are blocks.
    async fn earliest_sealed_day(&self, from: Day, before: Day) -> StoreResult<Option<Day>>;

    /// Blocks of one day of the lights `from <= number`, by number, at most `limit`.
    async fn sealed_page(&self, day: Day, from: LightNo, limit: u32) -> StoreResult<Vec<SealedDay>>;

    /// Days `from <= day <= last` that have a file, newest first, at most `limit`.
    async fn archived_days(&self, from: Day, last: Day, limit: u32) -> StoreResult<Vec<ArchivedDay>>;

    /// Records a file: as revision 1 of a day that has none, a later one in the place of the one before it. False when
    /// another was there, or the day's blocks are wanted.
    async fn record_archived(&self, day: &ArchivedDay) -> StoreResult<bool>;

    /// Records a file that is there already in the place of the record of revision `before`, or of none; writes `audit` in the same
    /// transaction. False when something else is recorded, or the day's blocks are wanted.
    async fn adopt_archived(&self, day: &ArchivedDay, before: Option<u32>, audit: &AuditEntry) -> StoreResult<bool>;

    /// Removes blocks of a day, those that are as they were, in one transaction; answers how many. None where the file of
    /// that revision is not recorded any more, or the day's blocks are wanted.
    async fn forget_sealed(&self, day: Day, revision: u32, blocks: &[SealedMark]) -> StoreResult<u64>;

    /// From here on the blocks of an archived day are wanted until `until`; writes `audit` in the same transaction. Answers
    /// the record, or none when the day has no file.
    async fn keep_sealed(&self, day: Day, until: UtcMillis, audit: &AuditEntry) -> StoreResult<Option<ArchivedDay>>;

    /// Notes that everything in the file of that revision is in blocks too. False where their keeping ended meanwhile.
    async fn mark_restored(&self, day: Day, revision: u32) -> StoreResult<bool>;

    /// Ends the keeping of a day whose time is over at `now`. False where it is not, or was not kept.
    async fn end_keeping(&self, day: Day, now: UtcMillis) -> StoreResult<bool>;

    /// Forgets the file of a day, unless its blocks are wanted; writes `audit` in the same transaction. False when that
    /// revision is not recorded.
    async fn forget_archived(&self, day: Day, revision: u32, audit: &AuditEntry) -> StoreResult<bool>;
}
