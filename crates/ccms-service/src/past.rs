//! Readings of one light, wherever they are: in the hot log, in the blocks of days that are over, or in the files of days that
//! are long over. One answer, in which no reading is twice although it is in two of them while its day moves on.
use std::collections::BTreeMap;
use std::sync::Arc;

use ccms_archive::Wanted;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow, SealedDay, StoreError, StoreResult};

use crate::ccms::Ccms;

/// Blocks read in one go; each is a day.
const BLOCKS_AT_ONCE: usize = 8;
/// Readings of an ordinary day, from which it is guessed how many blocks fill a page.
const ORDINARY_DAY: usize = 2_880;
/// Days looked at for the last words of a light.
const LAST_DAYS: u32 = 2;

/// By time and key: of two that are alike the one that was put away first stays, which came first.
type Rows = BTreeMap<(UtcMillis, i64), ReadingRow>;

fn key(row: &ReadingRow) -> (UtcMillis, i64) {
    (row.reading.reported_at, row.dedupe)
}

impl Ccms {
    /// Readings of `from <= reported_at < to`, newest first, of one moment the higher key first, at most `limit`. Of those with
    /// a suspect clock, which are in the log alone and looked for by their arrival, some may be among them.
    pub(crate) async fn past(
        &self,
        light: LightNo,
        (from, to): (UtcMillis, UtcMillis),
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        let hot = self.store().readings(light, from, to, limit).await?;
        let limit = limit as usize;
        // After the log, not before it: what is sealed in between is then in both rather than in neither.
        let (mut first, mut last) = (Day::of(from), Day::of(UtcMillis(to.0.saturating_sub(1))));
        if let Some(oldest) = hot.last().filter(|_| hot.len() >= limit) {
            first = first.max(Day::of(oldest.reading.reported_at));
        }
        let mut rows: Rows = hot.into_iter().map(|row| (key(&row), row)).collect();
        let mut enough = 0;
        while first <= last && enough < limit {
            let wanted = (1 + (limit - enough) / ORDINARY_DAY).min(BLOCKS_AT_ONCE);
            // Blocks before files, for the same reason.
            let mut blocks = self.store().sealed_of_light(light, first, last, wanted as u32).await?;
            let mut files = self.store().archived_days(first, last, wanted as u32).await?;
            // So far down both are known.
            let oldest_block = blocks.last().filter(|_| blocks.len() == wanted).map(|b| b.day);
            let oldest_file = files.last().filter(|_| files.len() == wanted).map(|f| f.day);
            let low = oldest_block.max(oldest_file).unwrap_or(first);
            blocks.retain(|b| b.day >= low);
            files.retain(|f| f.day >= low);
            let mut found = unpack(blocks).await?;
            for file in files {
                let wanted = Wanted { lights: vec![light], during: Some((from, to)) };
                found.extend(self.archived_rows_of(wanted, file).await?);
            }
            let within = found.into_iter().filter(|r| (from..to).contains(&r.reading.reported_at));
            rows.extend(within.map(|row| (key(&row), row)));
            // Everything further down is older.
            enough = rows.range((low.begins(), i64::MIN)..).count();
            last = Day(low.0 - 1);
        }
        Ok(rows.into_values().rev().take(limit).collect())
    }

    /// The newest readings of a light. Of one that was silent for days they are in a block.
    pub(crate) async fn last_words(&self, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>> {
        let hot = self.store().latest_readings(light, limit).await?;
        if hot.len() >= limit as usize {
            return Ok(hot);
        }
        let mut rows: Rows = hot.into_iter().map(|row| (key(&row), row)).collect();
        let blocks = self.store().sealed_of_light(light, Day(i32::MIN), Day(i32::MAX), LAST_DAYS).await?;
        let known = |of: Option<UtcMillis>| of.map(Day::of);
        let last = blocks.first().map(|b| b.day).max(known(rows.keys().map(|(at, _)| *at).max()));
        rows.extend(unpack(blocks).await?.into_iter().map(|row| (key(&row), row)));
        // Of one that was silent for weeks they are in a file; the checkpoint has its very last, and so the day.
        if let Some(last) = last {
            let first = Day(last.0.saturating_sub(LAST_DAYS as i32 - 1));
            for file in self.store().archived_days(first, last, LAST_DAYS).await? {
                rows.extend(self.archived_rows(light, file).await?.into_iter().map(|row| (key(&row), row)));
            }
        }
        let mut rows: Vec<ReadingRow> = rows.into_values().collect();
        rows.sort_by_key(|r| std::cmp::Reverse((r.received_at, r.reading.reported_at, r.dedupe)));
        rows.truncate(limit as usize);
        Ok(rows)
    }
}

/// The readings of blocks. A day is unpacked within a millisecond, but many are asked for at once.
pub(crate) async fn unpack(blocks: Vec<SealedDay>) -> StoreResult<Vec<ReadingRow>> {
    let unpacking = tokio::task::spawn_blocking(move || {
        blocks.iter().try_fold(Vec::new(), |mut rows, block| {
            rows.extend(decode(block)?);
            Ok(rows)
        })
    });
    unpacking.await.map_err(StoreError::unavailable)?
}

/// What some lights said in a stretch of time, of blocks of these and of others: whole is in memory one block at a time.
pub(crate) async fn unpack_some(
    blocks: Vec<SealedDay>,
    lights: Arc<[LightNo]>,
    (from, to): (UtcMillis, UtcMillis),
) -> StoreResult<Vec<ReadingRow>> {
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut rows = Vec::new();
        for block in blocks.iter().filter(|block| lights.binary_search(&block.light_no).is_ok()) {
            rows.extend(decode(block)?.into_iter().filter(|row| (from..to).contains(&row.reading.reported_at)));
        }
        Ok(rows)
    });
    unpacking.await.map_err(StoreError::unavailable)?
}

fn decode(block: &SealedDay) -> StoreResult<Vec<ReadingRow>> {
    ccms_block::decode(block.light_no, &block.body).map_err(|error| StoreError::BadRow {
        table: "sealed_readings",
        column: "body",
        row: format!("light {}, day {}", block.light_no.0, block.day.0),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::Reading;

    use super::*;

    fn said(light: u32, at: i64) -> ReadingRow {
        let reading = Reading { reported_at: UtcMillis(at), seq: Some(7), ..Reading::default() };
        ReadingRow {
            light_no: LightNo(light),
            device_no: DeviceNo(light),
            received_at: UtcMillis(at),
            dedupe: 7,
            reading,
        }
    }

    #[tokio::test]
    async fn blocks_of_others_are_not_looked_into() {
        let block = |light: u32| {
            let body = ccms_block::encode(&[10, 20, 30].map(|at| said(light, at))).unwrap();
            SealedDay { light_no: LightNo(light), day: Day(0), revision: 1, readings: 3, body }
        };
        let mut blocks = vec![block(1), block(2), block(3)];
        blocks[1].body.truncate(9);
        let lights = |wanted: &[u32]| wanted.iter().map(|no| LightNo(*no)).collect::<Arc<[LightNo]>>();
        let some = unpack_some(blocks.clone(), lights(&[1, 3]), (UtcMillis(20), UtcMillis(30))).await.unwrap();
        assert_eq!(some, [said(1, 20), said(3, 20)], "and of the day only what was asked for");
        assert!(unpack_some(blocks, lights(&[1, 2]), (UtcMillis(20), UtcMillis(30))).await.is_err());
    }
}
