//! The last word of many lights in a stretch of time, from one walk over the log: what is kept on the way is a row of each light,
//! however many there are.
use std::collections::BTreeMap;
use std::sync::Arc;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{LogPosition, ReadingRow, StoreError, StoreResult};

use crate::batches::{self, Batch};
use crate::{SqliteStore, failed, loose};

/// Of each of these lights, in the order of their numbers, the newest row of `from <= time < to` whose clock is believed, and the newest
/// whose clock is not.
pub(crate) async fn newest(
    store: &SqliteStore,
    lights: &[LightNo],
    (from, to): (UtcMillis, UtcMillis),
) -> StoreResult<Vec<ReadingRow>> {
    let (Some(first), Some(last)) = (lights.first(), lights.last()) else { return Ok(Vec::new()) };
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let mut walk = Walk { lights: lights.into(), times: (from, to), newest: BTreeMap::new() };
    // An earlier release left these; there are none once they are sealed.
    let range = (*first, LightNo(last.0.saturating_add(1)));
    let old = loose::old(&mut connection, range, (from, to), LogPosition(i64::MAX), u32::MAX).await?;
    old.into_iter().for_each(|row| walk.meet(row));
    let mut at = 0;
    loop {
        let batches = batches::of_time(&mut connection, (from, to), at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        walk = walk.through(batches).await?;
    }
    let mut found = loose::newest_suspects(&mut connection, lights, (from, to)).await?;
    found.extend(walk.newest.into_values());
    Ok(found)
}

struct Walk {
    lights: Arc<[LightNo]>,
    times: (UtcMillis, UtcMillis),
    newest: BTreeMap<LightNo, ReadingRow>,
}

impl Walk {
    /// Batches are unpacked where nobody waits for it.
    async fn through(mut self, batches: Vec<Batch>) -> StoreResult<Self> {
        let walking = tokio::task::spawn_blocking(move || {
            for batch in batches {
                let lights = self.lights.clone();
                for linked in batch.of(|light| lights.binary_search(&light).is_ok())? {
                    self.meet(linked.row);
                }
            }
            Ok(self)
        });
        walking.await.map_err(StoreError::unavailable)?
    }

    fn meet(&mut self, row: ReadingRow) {
        let key = |row: &ReadingRow| (row.reading.reported_at, row.dedupe);
        let inside = (self.times.0..self.times.1).contains(&row.reading.reported_at);
        let wanted = inside && self.lights.binary_search(&row.light_no).is_ok();
        if wanted && self.newest.get(&row.light_no).is_none_or(|held| key(held) < key(&row)) {
            self.newest.insert(row.light_no, row);
        }
    }
}
