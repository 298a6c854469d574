//! Room on the disk of an embedded database. Before it is used up, reports are refused, and what is left is for what cannot wait:
//! commands, their acknowledgements, what people decide. A full disk is a state, and it ends by itself when there is room again.
//!
//! Whoever can see the disk tells; here is only what follows from it.
use std::sync::atomic::{AtomicBool, Ordering};

use ccms_core::wire::envelope::ErrorCode;
use ccms_store::Severity;

use crate::alerts::Raise;
use crate::ccms::Ccms;
use crate::metrics;
use crate::refusal::Refusal;

/// Kept for what cannot wait ...
const RESERVE_BYTES: u64 = 256 << 20;
/// ... or this part of a small disk.
const RESERVE_PART: u64 = 8;
/// When a device may try again.
const RETRY_S: u32 = 60;

#[derive(Debug, Default)]
pub(crate) struct Disk {
    short: AtomicBool,
    /// Whether somebody was told, since it is short.
    told: AtomicBool,
}

/// Whether reports are refused from here on. Once they are, a quarter more than the reserve has to be free before that ends. What is
/// unused within the database's file is as good as free, so long as there is room for its journal: a quarter of the reserve.
fn is_short(free_bytes: u64, unused_bytes: u64, total_bytes: u64, before: bool) -> bool {
    let reserve = RESERVE_BYTES.min(total_bytes / RESERVE_PART);
    let border = |bytes: u64| if before { bytes + bytes / 4 } else { bytes };
    let unused_bytes = if free_bytes < border(reserve / 4) { 0 } else { unused_bytes };
    free_bytes.saturating_add(unused_bytes) < border(reserve)
}

impl Ccms {
    /// Takes note of how much room the database's disk has.
    pub async fn disk_has(&self, free_bytes: u64, total_bytes: u64) {
        metrics::disk_free(free_bytes);
        let disk = &self.inner().disk;
        let before = self.is_short_of_disk();
        let mut now = is_short(free_bytes, 0, total_bytes, before);
        if now {
            // Asked only then. Who cannot tell has none.
            let unused_bytes = self.store().unused_bytes().await.unwrap_or(0);
            now = is_short(free_bytes, unused_bytes, total_bytes, before);
        }
        disk.short.store(now, Ordering::Release);
        if !now {
            if before {
                tracing::info!(free_bytes, "the disk has room again; reports are taken");
            }
            disk.told.store(false, Ordering::Release);
            return;
        }
        if !before {
            tracing::error!(
                free_bytes,
                total_bytes,
                "the disk is nearly full; reports are refused until there is room"
            );
        }
        // Where there was no room left even for this, it is tried again with every look.
        if disk.told.load(Ordering::Acquire) {
            return;
        }
        let raise = Raise {
            device: None,
            light: None,
            kind: "disk_full",
            severity: Severity::Critical,
            message: "The server's disk is nearly full. Reports of all controllers are refused, who keep them for some hours; \
                      commands still work. Make room."
                .into(),
            detail: serde_json::json!({"free_bytes": free_bytes, "total_bytes": total_bytes}),
        };
        match self.raise(raise).await {
            Ok(_) => disk.told.store(true, Ordering::Release),
            Err(error) if !before => tracing::error!(%error, "nobody could be told yet that the disk is full"),
            Err(_) => {}
        }
    }

    pub fn is_short_of_disk(&self) -> bool {
        self.inner().disk.short.load(Ordering::Acquire)
    }

    /// Refuses a report while there is no room for it.
    pub(crate) fn has_room(&self) -> Result<(), Refusal> {
        if !self.is_short_of_disk() {
            return Ok(());
        }
        let mut refusal = Refusal::new(ErrorCode::Unavailable, "The server's disk is full; nothing was kept");
        refusal.retry_after_s = RETRY_S;
        Err(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_kept_and_the_border_is_wide() {
        const MIB: u64 = 1 << 20;
        for (free, unused, total, before, short) in [
            (255 * MIB, 0, 1 << 40, false, true),
            (256 * MIB, 0, 1 << 40, false, false),
            (319 * MIB, 0, 1 << 40, true, true),
            (320 * MIB, 0, 1 << 40, true, false),
            (8 * MIB, 0, 64 * MIB, false, false),
            (7 * MIB, 0, 64 * MIB, false, true),
            (0, 0, 0, false, false),
            (64 * MIB, 192 * MIB, 1 << 40, false, false),
            (64 * MIB, 191 * MIB, 1 << 40, false, true),
            (63 * MIB, 1 << 40, 1 << 40, false, true),
            (79 * MIB, 1 << 40, 1 << 40, true, true),
            (80 * MIB, 240 * MIB, 1 << 40, true, false),
        ] {
            assert_eq!(is_short(free, unused, total, before), short, "{free} and {unused} of {total}");
        }
    }
}
