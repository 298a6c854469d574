//! What every light said at a moment: its last reading in the quarter of an hour before.
use std::collections::BTreeMap;

use ccms_core::ids::{LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow, StoreResult};

use super::energy::runs;
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::past;
use crate::permission::MayView;

/// A light that said nothing for longer said nothing at the moment.
const REACH_MS: i64 = 1000 * ccms_block::QUARTER_S as i64;
/// Readings in the log of the lights of one page.
const HOT_ROWS_MAX: u32 = 200_000;

/// What a light said.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub light_id: LightId,
    pub no: LightNo,
    pub reading: Option<ReadingRow>,
}

impl Ccms {
    /// What lights behind the number `after` said at a moment, by number, and where to go on.
    pub async fn fleet_at(
        &self,
        by: MayView<'_>,
        at: UtcMillis,
        after: LightNo,
        limit: usize,
    ) -> Result<(Vec<Said>, Option<LightNo>), ServiceError> {
        let mut said: Vec<Said> = {
            let live = self.live().read();
            let seen = live.lights().filter(|l| l.record.no > after && by.who().sees(&l.record)).take(limit + 1);
            seen.map(|l| Said { light_id: l.record.id(), no: l.record.no, reading: None }).collect()
        };
        let more = said.len() > limit;
        said.truncate(limit);
        let mut last: BTreeMap<LightNo, ReadingRow> = BTreeMap::new();
        let numbers: Vec<LightNo> = said.iter().map(|s| s.no).collect();
        for lights in runs(numbers.iter().copied(), u32::MAX) {
            let wanted: Vec<LightNo> = numbers.iter().copied().filter(|no| (lights.0..lights.1).contains(no)).collect();
            for row in self.said_before(lights, &wanted, at).await? {
                let newer = |held: &ReadingRow| key(&row) > key(held);
                if last.get(&row.light_no).is_none_or(newer) {
                    last.insert(row.light_no, row);
                }
            }
        }
        for light in &mut said {
            light.reading = last.remove(&light.no);
        }
        let next = said.last().filter(|_| more).map(|s| s.no);
        Ok((said, next))
    }

    /// Readings of these lights shortly before a moment, and of the moment. The log before the blocks, and these before files.
    async fn said_before(
        &self,
        lights: (LightNo, LightNo),
        wanted: &[LightNo],
        at: UtcMillis,
    ) -> StoreResult<Vec<ReadingRow>> {
        let (from, to) = (UtcMillis(at.0.saturating_sub(REACH_MS)), UtcMillis(at.0.saturating_add(1)));
        let mut rows = self.store().hot_between(lights, from, to, HOT_ROWS_MAX).await?;
        for day in Day::of(from).0..=Day::of(at).0 {
            let blocks = self.store().sealed_of_day(Day(day), lights.0, lights.1).await?;
            let mut sealed = past::unpack(blocks).await?;
            if let Some(file) = self.store().archived_days(Day(day), Day(day), 1).await?.pop() {
                for light in wanted {
                    sealed.extend(self.archived_rows(*light, file.clone()).await?);
                }
            }
            rows.extend(sealed.into_iter().filter(|r| (from..to).contains(&r.reading.reported_at)));
        }
        Ok(rows)
    }
}

fn key(row: &ReadingRow) -> (UtcMillis, i64) {
    (row.reading.reported_at, row.dedupe)
}
