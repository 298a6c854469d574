//! What days (of UTC) came to, worked out of their quarters of an hour once they are over and kept for all lights of a part in one body,
//! so that months of a city are summed from a fortieth of what its quarters take. Whatever changes a quarter takes the body away in the
//! same transaction, and who sums reads the quarters until it is worked out anew: nothing that is kept is ever behind.
use ccms_block::{BlockError, Daily, encode_daily};
use ccms_core::ids::LightNo;
use ccms_store::{Day, DayPart, LIGHTS_OF_PART, LedgerDay, StoreError, StoreResult};

use super::summaries::ledgers;
use crate::ccms::Ccms;

/// A day is sealed as a whole so long after its end, unless something comes late.
const SETTLED_S: i64 = 2 * 3_600;
/// Parts of days that are looked up at once.
const PARTS_AT_ONCE: u32 = 64;

#[derive(Debug, thiserror::Error)]
enum DailyError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Block(#[from] BlockError),
}

impl Ccms {
    /// Works out what days came to that are over, newest first, a part of the lights at a time; how many that were. What cannot be worked
    /// out stays in the list, and is summed from its quarters.
    pub async fn work_out_days(&self) -> StoreResult<u64> {
        let before = Day::of(self.now().plus_seconds(-SETTLED_S));
        let (mut done, mut left) = (0, 0_u32);
        while !self.inner().stop.is_cancelled() {
            let parts = self.store().open_parts(before, PARTS_AT_ONCE.saturating_add(left)).await?;
            let parts = parts.get(left as usize..).unwrap_or_default();
            if parts.is_empty() {
                break;
            }
            for part in parts {
                if self.work_out(part).await? {
                    done += 1;
                } else {
                    left = left.saturating_add(1);
                }
                if self.inner().stop.is_cancelled() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(done)
    }

    async fn work_out(&self, part: &DayPart) -> StoreResult<bool> {
        let quarters = self.store().ledgers(lights_of(part.part), part.day, part.day).await?;
        let day = part.day;
        let working = tokio::task::spawn_blocking(move || pack(day, &quarters));
        match working.await.map_err(StoreError::unavailable)? {
            Ok(body) => self.store().write_daily(part, &body).await,
            Err(error) => {
                tracing::error!(%error, day = day.0, part = part.part, "what a day came to was not worked out");
                Ok(false)
            }
        }
    }
}

/// The numbers of a part: the last one is in none.
pub(crate) fn lights_of(part: u32) -> (LightNo, LightNo) {
    let first = part.saturating_mul(LIGHTS_OF_PART);
    (LightNo(first), LightNo(first.saturating_add(LIGHTS_OF_PART)))
}

/// What a day of these lights came to.
pub(crate) fn of_quarters(day: Day, quarters: &[LedgerDay]) -> StoreResult<Vec<(LightNo, Daily)>> {
    let mut lights = Vec::with_capacity(quarters.len());
    for light in quarters {
        if let Some(daily) = Daily::of(&ledgers(light.light_no, day, &light.body)?) {
            lights.push((light.light_no, daily));
        }
    }
    Ok(lights)
}

fn pack(day: Day, quarters: &[LedgerDay]) -> Result<Vec<u8>, DailyError> {
    Ok(encode_daily(day, &of_quarters(day, quarters)?)?)
}
