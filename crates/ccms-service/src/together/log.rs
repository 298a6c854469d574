//! The log, followed. Positions become visible in their order, so everything up to the last row that was read is known. A
//! batch of our own that begins where we are moves us on by itself (`intake`); only when others wrote in between it is
//! read again with theirs.
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use ccms_core::ids::LightNo;
use ccms_store::{LogPosition, ReadingRow, StoreResult};

use crate::ccms::Ccms;
use crate::metrics::Stopwatch;

/// Rows read in one go; each piece is applied under one lock.
const PAGE_ROWS: u32 = 2_000;

impl Ccms {
    pub(super) async fn look_at_log(&self) {
        if let Err(error) = self.follow_log().await {
            tracing::warn!(%error, "the log of readings could not be followed; the next look goes on");
        }
    }

    /// Applies what others appended since the last time.
    async fn follow_log(&self) -> StoreResult<()> {
        let mut behind = 0;
        loop {
            let began = Stopwatch::start();
            let from = *self.inner().position.borrow();
            let page = self.store().log_after(from, PAGE_ROWS).await?;
            behind += page.len() as u64;
            if let Some(&(last, _)) = page.last() {
                let rows: Vec<ReadingRow> = page.iter().map(|(_, row)| row.clone()).collect();
                self.learn_lights_of(&rows).await?;
                self.apply_followed(&rows);
                self.inner().position.send_if_modified(|at| advance(at, last));
            }
            let together = &self.inner().together;
            together.rows_behind.store(behind, Ordering::Relaxed);
            if page.len() < PAGE_ROWS as usize {
                *together.followed.lock().unwrap_or_else(|e| e.into_inner()) = began;
                return Ok(());
            }
        }
    }

    fn apply_followed(&self, rows: &[ReadingRow]) {
        let mut live = self.live().write();
        for row in rows {
            live.heard_elsewhere(row.device_no, row.received_at);
            // A row of our own among those of others.
            if live.light(row.light_no).is_some_and(|l| l.latest().as_ref() == Some(row)) {
                continue;
            }
            for id in live.reading(row) {
                let _ = self.inner().together.confirmed.send(id);
            }
        }
    }

    /// A reading may be here before the notice of its light.
    async fn learn_lights_of(&self, rows: &[ReadingRow]) -> StoreResult<()> {
        let unknown: BTreeSet<LightNo> = {
            let live = self.live().read();
            rows.iter().map(|r| r.light_no).filter(|no| live.light(*no).is_none()).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let lights = self.store().lights_of(&Vec::from_iter(unknown)).await?;
        self.take_lights(lights).await
    }
}

/// Moves on, never back.
fn advance(at: &mut LogPosition, to: LogPosition) -> bool {
    let ahead = *at < to;
    *at = (*at).max(to);
    ahead
}

/// Where this process is in the log after a batch of its own: at its end, unless rows of others lie before it that are not
/// known yet.
pub(crate) fn after_own(at: &mut LogPosition, before: LogPosition, upto: LogPosition, shared: bool) -> bool {
    (!shared || before <= *at) && advance(at, upto)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_our_own_moves_us_on_only_where_nothing_of_others_is_skipped() {
        let at = |from, before, upto, shared| {
            let mut at = LogPosition(from);
            after_own(&mut at, LogPosition(before), LogPosition(upto), shared);
            at.0
        };
        assert_eq!(at(10, 10, 15, true), 15);
        assert_eq!(at(10, 8, 15, true), 15, "rows that were sealed and gone are no rows of others");
        assert_eq!(at(10, 12, 15, true), 10, "11 or 12 is another's");
        assert_eq!(at(10, 12, 15, false), 15);
        assert_eq!(at(20, 10, 15, true), 20, "followed already");
    }
}
