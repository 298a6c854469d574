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
        if record.state == DeviceState::Pending || held.as_ref() == Some(&record) {
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
