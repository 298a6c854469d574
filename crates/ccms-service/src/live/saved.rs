//! The live state on its way to the checkpoint and back.
use ccms_core::ids::LightNo;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_store::{CheckpointRow, ReadingRow};

use super::latest::Latest;
use super::state::{LiveDevice, State};

/// What a start finds of a device's contact may be so much older than the contact was.
pub(super) const CONTACT_COARSE_MS: i64 = 120_000;

impl State {
    /// Lights that changed since the checkpoint, by number. Until its row is taken a light is not in the next such list.
    pub fn take_unsaved(&mut self) -> Vec<LightNo> {
        self.gather_contacts();
        let mut unsaved = std::mem::take(&mut self.unsaved);
        unsaved.sort_unstable();
        unsaved.dedup();
        unsaved
    }

    /// Devices whose contact no log tells count as lights that changed: of these each is listed once, however long nobody saves.
    pub fn gather_contacts(&mut self) {
        let contacts = self.take_unsaved_contacts();
        contacts.into_iter().for_each(|no| self.mark_unsaved(no));
    }

    /// Lights whose device made contact that no log tells, by number.
    pub fn take_unsaved_contacts(&mut self) -> Vec<LightNo> {
        let devices = std::mem::take(&mut self.unsaved_contacts);
        let mut lights: Vec<_> =
            devices.into_iter().filter_map(|no| self.device(no)).flat_map(|d| &d.lights).copied().collect();
        lights.sort_unstable();
        lights.dedup();
        lights
    }

    /// From here on the freshest contact counts as unsaved.
    pub fn all_contacts_count(&mut self) {
        for device in self.devices.iter_mut().filter(|d| d.last_contact() > d.kept_contact.get()) {
            device.kept_contact = device.last_contact;
            self.unsaved_contacts.push(device.record.no);
        }
    }

    /// The states of these lights, which count as saved from here on.
    pub fn rows_to_save(&mut self, lights: &[LightNo]) -> Vec<CheckpointRow> {
        lights.iter().filter_map(|no| self.row_to_save(*no)).collect()
    }

    fn row_to_save(&mut self, no: LightNo) -> Option<CheckpointRow> {
        self.light_mut(no)?.unsaved = false;
        let light = self.light(no)?;
        let (device, latest) = (self.device_of(light), light.latest());
        // A controller that took over the light, or will, may not have called yet. What the light said last stays all the same.
        let contact = device.and_then(LiveDevice::last_contact);
        Some(CheckpointRow {
            light_no: no,
            last_contact: contact.or_else(|| latest.as_ref().map(|row| row.received_at))?,
            promised_interval_s: device.map_or(limits::STATUS_INTERVAL_S, |d| d.promised_interval_s),
            latest,
        })
    }

    /// What a stored reading says of contact is in the log.
    pub(super) fn note_kept_contact(&mut self, row: &ReadingRow) {
        if let Some(device) = self.device_mut(row.device_no) {
            device.kept_contact = device.kept_contact.get().max(Some(row.received_at)).into();
        }
    }

    pub(super) fn mark_unsaved(&mut self, no: LightNo) {
        if self.light_mut(no).is_some_and(|light| !std::mem::replace(&mut light.unsaved, true)) {
            self.unsaved.push(no);
        }
    }

    /// Puts lights back that could not be saved, whether or not their rows were taken.
    pub fn still_unsaved(&mut self, lights: &[LightNo]) {
        for no in lights {
            if let Some(light) = self.light_mut(*no) {
                light.unsaved = true;
            }
        }
        self.unsaved.extend(lights);
    }

    /// A light's state as the checkpoint has it.
    pub fn restore(&mut self, row: CheckpointRow) {
        let Some(light) = self.light_mut(row.light_no) else { return };
        light.latest = row.latest.as_ref().map(Latest::new);
        // The time of a reading of another controller, in the place of a contact that there was not.
        let by_another = |said: &ReadingRow| {
            said.received_at == row.last_contact && light.record.device_no().is_some_and(|no| no != said.device_no)
        };
        if row.latest.as_ref().is_some_and(by_another) {
            return;
        }
        if let Some(device) = light.record.device_no().and_then(|no| self.device_mut(no)) {
            // Of several lights of one device, the row that was written last knows what was promised last.
            if device.last_contact().is_none_or(|at| at <= row.last_contact) {
                device.last_contact = Some(row.last_contact).into();
                device.promised_interval_s = row.promised_interval_s;
            }
            device.kept_contact = device.last_contact;
        }
    }

    /// A row of the log behind the checkpoint. The light's row in the checkpoint may be newer than the position: `restored` says
    /// whether this is the reading that it holds. That one was the latest after this row was taken, whatever came before.
    pub fn replay(&mut self, row: &ReadingRow, restored: bool) {
        self.note_kept_contact(row);
        // A poll that was saved may be later: to find an older row behind it is no clock that was set back.
        if self.device(row.device_no).is_some_and(|d| d.last_contact() < Some(row.received_at)) {
            self.contact(row.device_no, row.received_at);
        }
        if restored && let Some(light) = self.light_mut(row.light_no) {
            light.latest = None;
        }
        self.reading(row);
    }

    /// Gives every device that was online when the server was last alive a fresh wait.
    pub fn grant_grace(&mut self, now: UtcMillis) {
        let Some(last_alive) = self.devices().filter_map(|d| d.last_contact()).max() else { return };
        for device in self.devices.iter_mut() {
            let window_s = limits::OFFLINE_AFTER_S.max(limits::OFFLINE_AFTER_INTERVALS * device.promised_interval_s);
            let window_ms = i64::from(window_s) * 1000 + CONTACT_COARSE_MS;
            if device.last_contact().is_some_and(|at| last_alive.since(at) <= window_ms) {
                device.grace_contact = Some(now).into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::{DeviceId, DeviceNo, LightId};
    use ccms_core::reading::Reading;
    use ccms_store::{Curated, DeviceRecord, DeviceState, LightRecord, Reported};
    use proptest::prelude::*;

    use super::*;

    const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);
    const LIGHTS: u32 = 3;

    fn device_of(light: u32) -> DeviceNo {
        DeviceNo(light.div_ceil(2))
    }

    /// Lights 1 and 2 are one device's, light 3 another's.
    fn street() -> State {
        let mut state = State::default();
        for no in [1, 2].map(DeviceNo) {
            state.put_device(DeviceRecord {
                no,
                id: DeviceId::parse(&format!("D{}", no.0)).unwrap(),
                state: DeviceState::Claimed,
                epoch: 0,
                token_used_gen: 0,
                reclaim_until: None,
                created_at: NOW,
                claim_until: None,
                claimed_at: Some(NOW),
                attempts: 0,
                first_attempt_at: None,
                last_attempt_at: None,
                reported: Reported::default(),
            });
        }
        for no in 1..=LIGHTS {
            let (id, device_no) = (LightId::numbered(no), Some(device_of(no)));
            state.put_light(LightRecord {
                no: LightNo(no),
                id,
                device_no,
                curated: Curated::default(),
                created_at: NOW,
            });
        }
        state
    }

    /// What reaches the server: a reading, or a poll, which no log tells.
    #[derive(Debug, Clone)]
    enum Event {
        Reading(ReadingRow),
        Poll(DeviceNo, UtcMillis),
    }

    impl Event {
        fn row(&self) -> Option<&ReadingRow> {
            if let Self::Reading(row) = self { Some(row) } else { None }
        }
    }

    fn taken(events: &[Event]) -> State {
        let mut state = street();
        for event in events {
            match event {
                Event::Reading(row) => {
                    state.contact(row.device_no, row.received_at);
                    state.reading(row);
                }
                Event::Poll(device, at) => state.contact(*device, *at),
            }
        }
        state
    }

    /// In the order of their arrival: readings, several in a request, late ones, and some of clocks that nobody believes, and polls.
    fn events() -> impl Strategy<Value = Vec<Event>> {
        let reported = prop_oneof![4 => -90i64..1, 1 => 0i64..20_000, 1 => Just(-1_765_967_000i64)];
        let one = (1..=LIGHTS, 0i64..9, reported, prop::option::of(0u32..200), any::<bool>(), any::<bool>());
        prop::collection::vec(one, 1..24).prop_map(|all| {
            let mut received_at = NOW;
            let events = all.into_iter().zip(0..).map(|((light, passed, ahead, uptime_s, low, is_poll), seq)| {
                received_at = received_at.plus_seconds(passed * 20);
                if is_poll {
                    return Event::Poll(device_of(light), received_at);
                }
                let reported_at = received_at.plus_seconds(ahead / 20 * 20);
                let battery_percent = Some(if low { 10 } else { 90 });
                let mut reading =
                    Reading { reported_at, seq: Some(seq), uptime_s, battery_percent, ..Reading::default() };
                reading.judge_clock(received_at);
                let (dedupe, device_no) = (reading.dedupe_key(), device_of(light));
                Event::Reading(ReadingRow { light_no: LightNo(light), device_no, received_at, dedupe, reading })
            });
            events.collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        /// Killed between two pieces: the position is old, and each state is of some later moment. What is known of contact is then at
        /// least what the last of these moments and the readings behind it tell.
        #[test]
        fn states_newer_than_the_position_lead_to_the_same(events in events(), cuts in prop::array::uniform4(any::<prop::sample::Index>())) {
            let [position, pieces @ ..] = cuts.map(|cut| cut.index(events.len() + 1));
            let pieces = pieces.map(|piece| piece.max(position));
            let mut restored = street();
            let mut held = std::collections::HashMap::new();
            for (no, piece) in (1..=LIGHTS).map(LightNo).zip(pieces) {
                for row in taken(&events[..piece]).rows_to_save(&[no]) {
                    held.insert(no, row.latest.clone());
                    restored.restore(row);
                }
            }
            for row in events[position..].iter().filter_map(Event::row) {
                restored.replay(row, held.get(&row.light_no) == Some(&Some(row.clone())));
            }
            let wanted = taken(&events);
            for no in (1..=LIGHTS).map(LightNo) {
                let (light, same) = (wanted.light(no).unwrap(), restored.light(no).unwrap());
                prop_assert_eq!(&light.latest, &same.latest, "light {}", no.0);
                let device = device_of(no.0);
                let saved = (1..=LIGHTS).zip(pieces).filter(|(light, _)| device_of(*light) == device).map(|(_, piece)| piece).max();
                let saved = saved.unwrap_or(0);
                let in_log = events[saved..].iter().filter_map(Event::row).filter(|row| row.device_no == device);
                let contact = taken(&events[..saved]).device(device).and_then(LiveDevice::last_contact);
                let contact = contact.max(in_log.map(|row| row.received_at).max());
                let (wanted, same) = (wanted.device_of(light).unwrap(), restored.device_of(same).unwrap());
                prop_assert_eq!((contact, wanted.promised_interval_s), same.presence(), "device of light {}", no.0);
            }
        }
    }

    #[test]
    fn a_light_keeps_what_it_said_last_when_its_new_controller_has_not_called() {
        let said = Reading { reported_at: NOW, seq: Some(1), battery_percent: Some(55), ..Reading::default() };
        let (light_no, device_no) = (LightNo(3), device_of(3));
        let row = ReadingRow { light_no, device_no, received_at: NOW, dedupe: 1, reading: said };
        let mut state = taken(&[Event::Reading(row.clone())]);
        let swapped = |state: &mut State| {
            let new = state.device(DeviceNo(1)).unwrap().record.record();
            state.put_device(DeviceRecord { no: DeviceNo(7), id: DeviceId::parse("D7").unwrap(), ..new });
            let light = state.light(light_no).unwrap().record.record();
            state.put_light(LightRecord { device_no: Some(DeviceNo(7)), ..light });
        };
        swapped(&mut state);
        let saved = state.rows_to_save(&[light_no]);
        let mut restored = street();
        swapped(&mut restored);
        saved.into_iter().for_each(|row| restored.restore(row));
        assert_eq!(restored.light(light_no).unwrap().latest(), Some(row));
        assert_eq!(restored.device(DeviceNo(7)).unwrap().last_contact(), None, "nobody has heard of it");
    }

    #[test]
    fn who_does_not_save_notes_each_light_once() {
        let mut state = street();
        for minutes in 0..100 {
            state.contact(DeviceNo(1), NOW.plus_seconds(minutes * 180));
            state.gather_contacts();
        }
        assert_eq!((state.unsaved_contacts.len(), state.take_unsaved()), (0, vec![LightNo(1), LightNo(2)]));
    }
}
