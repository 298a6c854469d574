//! Readings of one light, wherever they are: in the hot log or in the blocks of days that are over. One answer, in which no
//! reading is twice although it is in both while its day is being sealed.
use ccms_core::ids::LightNo;
use ccms_core::reading::ReadingFlags;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow, SealedDay, StoreError, StoreResult};

use crate::ccms::Ccms;

/// Blocks read in one go; each is a day.
const BLOCKS_AT_ONCE: u32 = 8;

/// Which readings, and what puts them in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dated {
    /// By their own time; of one moment the higher key first. Of those with a suspect clock, which nobody looks for by their
    /// own time, some may be among them.
    Reported,
    /// Those with a suspect clock alone, by their time of arrival.
    Arrived,
}

impl Dated {
    fn has(self, row: &ReadingRow) -> bool {
        (self == Self::Arrived) == row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)
    }

    fn time(self, row: &ReadingRow) -> UtcMillis {
        match self {
            Self::Reported => row.reading.reported_at,
            Self::Arrived => row.received_at,
        }
    }
}

impl Ccms {
    /// Readings of `from <= time < to`, newest first, at most `limit`.
    pub(crate) async fn past(
        &self,
        light: LightNo,
        (from, to): (UtcMillis, UtcMillis),
        dated: Dated,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        let hot = match dated {
            Dated::Reported => self.store().readings(light, from, to, limit).await?,
            Dated::Arrived => self.store().suspect_readings(light, from, to, limit).await?,
        };
        // After the log, not before it: what is sealed in between is then in both rather than in neither.
        let mut last = Day::of(UtcMillis(to.0.saturating_sub(1)));
        let first = Day::of(from);
        let mut rows = Vec::new();
        while first <= last {
            let blocks = self.store().sealed_of_light(light, first, last, BLOCKS_AT_ONCE).await?;
            let Some(oldest) = blocks.last().map(|b| b.day) else { break };
            for block in &blocks {
                let sealed = decode(block)?.into_iter();
                rows.extend(sealed.filter(|r| dated.has(r) && (from..to).contains(&dated.time(r))));
            }
            // Everything in the blocks behind these is older.
            let newer = rows.iter().chain(&hot).filter(|r| dated.time(r) >= oldest.begins()).count();
            if newer >= limit as usize || blocks.len() < BLOCKS_AT_ONCE as usize {
                break;
            }
            last = Day(oldest.0 - 1);
        }
        // Behind the sealed ones: what was repeated since then is shown as it came first.
        rows.extend(hot);
        rows.sort_by_key(|r| std::cmp::Reverse((dated.time(r), r.reading.reported_at, r.dedupe)));
        rows.dedup_by_key(|r| (r.reading.reported_at, r.dedupe));
        rows.truncate(limit as usize);
        Ok(rows)
    }

    /// The newest readings of a light. Of one that was silent for days they are in a block.
    pub(crate) async fn last_words(&self, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>> {
        let mut rows = self.store().latest_readings(light, limit).await?;
        if rows.len() < limit as usize {
            let blocks = self.store().sealed_of_light(light, Day(i32::MIN), Day(i32::MAX), 1).await?;
            for block in &blocks {
                rows.extend(decode(block)?);
            }
            rows.sort_by_key(|r| std::cmp::Reverse((r.received_at, r.reading.reported_at, r.dedupe)));
            rows.dedup_by_key(|r| (r.reading.reported_at, r.dedupe));
            rows.truncate(limit as usize);
        }
        Ok(rows)
    }
}

fn decode(block: &SealedDay) -> StoreResult<Vec<ReadingRow>> {
    ccms_block::decode(block.light_no, &block.body).map_err(|error| StoreError::BadRow {
        table: "sealed_readings",
        column: "body",
        row: format!("light {}, day {}", block.light_no.0, block.day.0),
        reason: error.to_string(),
    })
}
