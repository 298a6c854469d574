//! Readings whose clock was suspect never leave the log by themselves: no day is theirs. They are kept for as long as other raw readings,
//! from their arrival on, and then deleted, in small transactions between which others are stored.
use ccms_store::StoreResult;
use serde_json::json;

use crate::ccms::Ccms;
use crate::metrics;

/// As long as raw readings are promised.
const KEPT_DAYS: i64 = 30;

impl Ccms {
    /// Deletes those that arrived too long ago. Answers how many.
    pub async fn forget_suspect(&self) -> StoreResult<u64> {
        let before = self.now().plus_seconds(-KEPT_DAYS * 86_400);
        let (piece, mut forgotten) = (self.settings().storage.piece_rows.max(1), 0);
        // What the checkpoint does not include is needed for a start.
        while !self.inner().stop.is_cancelled() {
            let gone = self.store().forget_suspect(before, self.saved_position(), piece).await?;
            forgotten += gone;
            if gone < u64::from(piece) {
                break;
            }
            tokio::task::yield_now().await;
        }
        if forgotten > 0 {
            metrics::forgotten(forgotten);
            let detail = json!({"readings": forgotten, "arrived_before": before.to_string()});
            self.audit("system", "readings.forgotten", "clock suspect", detail).await;
        }
        Ok(forgotten)
    }
}
