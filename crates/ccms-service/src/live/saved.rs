//! The live state on its way to the checkpoint and back.
use ccms_core::ids::LightNo;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_store::CheckpointRow;

use super::state::State;

impl State {
    pub fn take_unsaved(&mut self) -> Vec<CheckpointRow> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().filter_map(|no| self.checkpoint_row(no)).collect()
    }

    fn checkpoint_row(&self, no: LightNo) -> Option<CheckpointRow> {
        let light = self.light(no)?;
        let device = self.device_of(light)?;
        Some(CheckpointRow {
            light_no: no,
            last_contact: device.last_contact?,
            promised_interval_s: device.promised_interval_s,
            latest: light.latest.clone(),
        })
    }

    /// Puts rows back that could not be saved.
    pub fn still_unsaved(&mut self, rows: &[CheckpointRow]) {
        self.unsaved.extend(rows.iter().map(|r| r.light_no));
    }

    pub fn restore(&mut self, row: CheckpointRow) {
        let Some(light) = self.lights.get_mut((row.light_no.0 as usize).wrapping_sub(1)).and_then(Option::as_mut)
        else {
            return;
        };
        light.latest = row.latest;
        if let Some(device) = light.record.device_no.and_then(|no| self.device_mut(no)) {
            device.last_contact = device.last_contact.max(Some(row.last_contact));
            device.promised_interval_s = row.promised_interval_s;
        }
    }

    /// Gives every device that was online when the server was last alive a fresh wait.
    pub fn grant_grace(&mut self, now: UtcMillis) {
        let Some(last_alive) = self.devices().filter_map(|d| d.last_contact).max() else { return };
        for device in self.devices.iter_mut().flatten() {
            let window_s = limits::OFFLINE_AFTER_S.max(limits::OFFLINE_AFTER_INTERVALS * device.promised_interval_s);
            if device.last_contact.is_some_and(|at| last_alive.since(at) <= i64::from(window_s) * 1000) {
                device.grace_contact = Some(now);
            }
        }
    }
}
