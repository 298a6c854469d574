//! What every light said at a moment: its last reading in the quarter of an hour before.
use std::collections::BTreeMap;

use ccms_archive::Wanted;
use ccms_core::ids::{LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};

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
        let mut last = Newest::default();
        let numbers: Vec<LightNo> = said.iter().map(|s| s.no).collect();
        let (from, to) = (UtcMillis(at.0.saturating_sub(REACH_MS)), UtcMillis(at.0.saturating_add(1)));
        // The log before the blocks, and these before files: what moves in between is in both rather than in neither.
        for lights in runs(numbers.iter().copied(), u32::MAX) {
            last.add(self.store().hot_between(lights, from, to, HOT_ROWS_MAX).await?);
            for day in Day::of(from).0..=Day::of(at).0 {
                let blocks = self.store().sealed_of_day(Day(day), lights.0, lights.1).await?;
                let rows = past::unpack(blocks).await?;
                last.add(rows.into_iter().filter(|r| (from..to).contains(&r.reading.reported_at)));
            }
        }
        for file in self.store().archived_days(Day::of(from), Day::of(at), u32::MAX).await? {
            last.add(self.archived_rows_of(Wanted { lights: numbers.clone(), during: Some((from, to)) }, file).await?);
        }
        for light in &mut said {
            light.reading = last.0.remove(&light.no);
        }
        let next = said.last().filter(|_| more).map(|s| s.no);
        Ok((said, next))
    }
}

/// The newest reading of each light.
#[derive(Default)]
struct Newest(BTreeMap<LightNo, ReadingRow>);

impl Newest {
    fn add(&mut self, rows: impl IntoIterator<Item = ReadingRow>) {
        for row in rows {
            if self.0.get(&row.light_no).is_none_or(|held| key(&row) > key(held)) {
                self.0.insert(row.light_no, row);
            }
        }
    }
}

fn key(row: &ReadingRow) -> (UtcMillis, i64) {
    (row.reading.reported_at, row.dedupe)
}
