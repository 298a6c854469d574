//! When a device was last heard of. A reading says it to every process by itself; polls and acknowledgements leave no row, so
//! of a device that only polls the process that answers it tells the others, now and then.
use ccms_core::ids::DeviceNo;
use ccms_core::time::UtcMillis;

use crate::ccms::Ccms;

/// A contact is told when the others know of none within this time: a quarter of what makes a light offline.
const CONTACT_AGE_MS: i64 = 30_000;

impl Ccms {
    /// Told even when there is nothing to tell: it is how the connection for notices is known to be alive.
    pub(super) async fn tell_contacts(&self) {
        let heard: Vec<(DeviceNo, UtcMillis)> = {
            let live = self.live().read();
            let news = live.devices().filter_map(|d| {
                let at = d.last_contact()?;
                d.contact_told().is_none_or(|told| at.since(told) >= CONTACT_AGE_MS).then_some((d.record.no, at))
            });
            news.collect()
        };
        match self.store().tell_contacts(&heard).await {
            Ok(()) => {
                let mut live = self.live().write();
                heard.into_iter().for_each(|(no, at)| live.contact_is_told(no, at));
            }
            Err(error) => tracing::warn!(%error, "other processes were not told who was heard of"),
        }
    }

    pub(super) fn take_contacts(&self, heard: Vec<(DeviceNo, UtcMillis)>) {
        let mut live = self.live().write();
        heard.into_iter().for_each(|(no, at)| live.heard_elsewhere(no, at));
    }
}
