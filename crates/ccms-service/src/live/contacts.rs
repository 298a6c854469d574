//! When controllers were heard of, here and by other processes, and what these changed.
use ccms_core::ids::DeviceNo;
use ccms_core::time::UtcMillis;
use ccms_store::{DeviceRecord, DeviceState, LightRecord};

use super::saved::CONTACT_COARSE_MS;
use super::state::{CLOCK_SET_BACK_MS, State};

impl State {
    /// Any authenticated sign of life.
    pub fn contact(&mut self, no: DeviceNo, at: UtcMillis) {
        let Some(device) = self.devices.get_mut(no.0) else { return };
        let before = device.last_contact();
        // What comes a little out of order does not rewind it; a clock that was set back does.
        let ahead = before.is_some_and(|last| last.since(at) > CLOCK_SET_BACK_MS);
        device.last_contact = if ahead { Some(at) } else { before.max(Some(at)) }.into();
        // One that was silent too long is back.
        if before.is_none() || (self.is_watching && self.silences.is_out(no.0)) {
            self.touched.extend(&device.lights);
        }
        let fresh = |kept: UtcMillis| (-CONTACT_COARSE_MS..=CONTACT_COARSE_MS).contains(&at.since(kept));
        if !device.kept_contact.get().is_some_and(fresh) {
            device.kept_contact = device.last_contact;
            self.unsaved_contacts.push(no);
        }
        self.file_silence(no);
    }

    /// A sign of life that another process had, however late we learn of it.
    pub fn heard_elsewhere(&mut self, no: DeviceNo, at: UtcMillis) {
        let known = self.device(no).and_then(|d| d.last_contact());
        if known.is_none_or(|known| known < at) {
            self.contact(no, at);
        }
        self.contact_is_told(no, at);
    }

    /// The other processes know that a device was heard of then.
    pub fn contact_is_told(&mut self, no: DeviceNo, at: UtcMillis) {
        if let Some(device) = self.device_mut(no) {
            device.contact_told = device.contact_told().max(Some(at)).into();
        }
    }

    /// What is known at the start came from what the others wrote.
    pub fn contacts_are_told(&mut self) {
        self.devices.iter_mut().for_each(|d| d.contact_told = d.last_contact);
    }

    /// A device as the database has it. Answers its number when that is news. One that merely asked to be let in is nobody here.
    pub fn device_is(&mut self, record: DeviceRecord) -> Option<DeviceNo> {
        let no = record.no;
        let held = self.device(no).map(|d| d.record.record());
        // It was read before the device was claimed here, and comes behind: what ends a claim raises the epoch.
        let is_old = |held: &DeviceRecord| {
            record.epoch < held.epoch
                || (record.epoch == held.epoch && record.claimed_at.is_none() && held.claimed_at.is_some())
        };
        let is_news = held.is_none_or(|held| held != record && !is_old(&held));
        if record.state == DeviceState::Pending || !is_news {
            return None;
        }
        self.put_device(record);
        let lights = self.device(no).map(|d| d.lights.to_vec()).unwrap_or_default();
        self.touched.extend(lights);
        Some(no)
    }

    /// A light as the database has it.
    pub fn light_is(&mut self, record: LightRecord) {
        if self.light(record.no).is_none_or(|l| l.record.record() != record) {
            self.put_light(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceId;
    use ccms_store::Reported;

    use super::*;

    #[test]
    fn what_was_read_before_a_claim_does_not_undo_it() {
        let registered = DeviceRecord {
            no: DeviceNo(1),
            id: DeviceId::parse("D1").unwrap(),
            state: DeviceState::Registered,
            epoch: 1,
            token_used_gen: 0,
            reclaim_until: None,
            created_at: UtcMillis(1),
            claim_until: None,
            claimed_at: None,
            attempts: 0,
            first_attempt_at: None,
            last_attempt_at: None,
            reported: Reported::default(),
        };
        let claimed =
            DeviceRecord { state: DeviceState::Claimed, claimed_at: Some(UtcMillis(2)), ..registered.clone() };
        let ended = DeviceRecord { epoch: 2, ..registered.clone() };
        let mut state = State::default();
        let mut taken = |record: &DeviceRecord| {
            let news = state.device_is(record.clone()).is_some();
            (news, state.device(DeviceNo(1)).map(|d| d.record.state))
        };
        assert_eq!(taken(&registered), (true, Some(DeviceState::Registered)));
        assert_eq!(taken(&claimed), (true, Some(DeviceState::Claimed)));
        assert_eq!(taken(&registered), (false, Some(DeviceState::Claimed)), "read before");
        assert_eq!(taken(&ended), (true, Some(DeviceState::Registered)), "the claim is over");
        assert_eq!(taken(&claimed), (false, Some(DeviceState::Registered)));
    }
}
