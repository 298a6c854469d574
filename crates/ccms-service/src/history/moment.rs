//! What every light said at a moment: its last reading in the quarter of an hour before. A reading whose clock cannot be right stands
//! where it arrived, as everywhere.
//!
//! A page costs one walk over the log and the blocks of its own lights, some at a time: of these one day is unpacked after the other, and
//! only the quarter of an hour stays. Pages take turns with sums.
use std::collections::BTreeMap;
use std::sync::Arc;

use ccms_archive::Wanted;
use ccms_core::ids::{LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};

use super::energy::runs;
use super::{is_suspect, stands_at};
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::past;
use crate::permission::MayView;

/// A light that said nothing for longer said nothing at the moment.
const REACH_MS: i64 = 1000 * ccms_block::QUARTER_S as i64;
/// Lights whose blocks of a day are read in one go: half a megabyte, and one unpacked at a time.
const BLOCKS_AT_ONCE: u32 = 64;

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
        let numbers: Arc<[LightNo]> = said.iter().map(|s| s.no).collect();
        let (from, to) = (UtcMillis(at.0.saturating_sub(REACH_MS)), UtcMillis(at.0.saturating_add(1)));
        // One at a time, as sums: each keeps a processor busy.
        let _turn = self.inner().summing.lock().await;
        // The log before the blocks, and these before files: what moves in between is in both rather than in neither.
        last.add(self.store().newest_hot(&numbers, from, to).await?);
        for day in Day::of(from).0..=Day::of(at).0 {
            for (first, end) in runs(numbers.iter().copied(), BLOCKS_AT_ONCE) {
                let blocks = self.store().sealed_of_day(Day(day), first, end).await?;
                last.add(past::unpack_some(blocks, numbers.clone(), (from, to)).await?);
            }
        }
        for file in self.store().archived_days(Day::of(from), Day::of(at), u32::MAX).await? {
            last.add(self.archived_rows_of(Wanted { lights: numbers.to_vec(), during: Some((from, to)) }, file).await?);
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

/// Of one moment what its device dated stands before what merely arrived.
fn key(row: &ReadingRow) -> (UtcMillis, bool, i64) {
    (stands_at(row), !is_suspect(row), row.dedupe)
}
