//! What days came to that were sealed before that was worked out.
use ccms_core::ids::LightNo;
use ccms_store::{Day, RolledDay, StoreError, StoreResult};

use super::SealError;
use crate::ccms::Ccms;
use crate::packing::{roll_up, rolled};

/// Days whose quarters are worked out belatedly in one transaction.
const BELATED_AT_ONCE: u32 = 64;

impl Ccms {
    /// Works out what those days came to, from their blocks or from their files. One that cannot be read, or is nowhere any more, keeps
    /// its place in the list.
    pub(super) async fn roll_up_belated(&self) -> Result<(), SealError> {
        let (mut written, mut passed) = (0, 0_usize);
        while !self.is_stopping() {
            let days = self.store().unrolled_days(BELATED_AT_ONCE.saturating_add(passed as u32)).await?;
            let mut done = Vec::new();
            let here = days.len();
            for (light, day) in days.into_iter().skip(passed) {
                match self.rolled_belatedly(light, day).await {
                    Ok(rolled) => done.extend(rolled),
                    Err(error @ StoreError::BadRow { .. }) => {
                        tracing::error!(%error, "what a sealed day came to was not worked out");
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            if here <= passed {
                break;
            }
            self.store().write_rollups(&done).await?;
            passed = here - done.len();
            written += done.len();
        }
        if written > 0 {
            tracing::info!(days = written, "days that were sealed earlier were summed up");
        }
        Ok(())
    }

    async fn rolled_belatedly(&self, light: LightNo, day: Day) -> StoreResult<Option<RolledDay>> {
        let block = self.store().sealed_of_light(light, day, day, 1).await?.pop();
        let archived = match self.archived(day).await? {
            Some(record) => self.archived_rows(light, record).await?,
            None => Vec::new(),
        };
        if block.is_none() && archived.is_empty() {
            return Ok(None);
        }
        let working = tokio::task::spawn_blocking(move || match block {
            Some(block) => rolled(&block, archived),
            None => roll_up(light, day, &archived),
        });
        let rolled = working.await.map_err(StoreError::unavailable)?;
        let damaged = |error: ccms_block::BlockError| StoreError::BadRow {
            table: "sealed_readings",
            column: "body",
            row: format!("light {}, day {}", light.0, day.0),
            reason: error.to_string(),
        };
        rolled.map(Some).map_err(damaged)
    }
}
