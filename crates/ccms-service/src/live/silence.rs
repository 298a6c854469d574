//! What changes by the mere passing of time: a device that was silent too long is drawn as offline.
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::light::LightFacts;
use ccms_core::time::UtcMillis;

use super::state::State;

impl State {
    /// Lights that are drawn otherwise at `now` than the map was last told, because time passed. Asked again and again: looks
    /// only at devices whose silence may have become too long since the last time, or all when the clock was set back.
    pub fn drifted(&mut self, now: UtcMillis) -> Vec<LightNo> {
        let set_back = self.drawn_at.replace(now).is_none_or(|before| now < before);
        let due = if set_back || !self.is_watching {
            self.is_watching = true;
            self.silences.restart(now);
            (1..=self.devices.highest()).collect()
        } else {
            self.silences.turn(now)
        };
        let mut drifted = Vec::new();
        for no in due.into_iter().map(DeviceNo) {
            if self.silent_from(no).is_some_and(|from| from > now) {
                self.file_silence(no);
            }
            let lights = self.device(no).map(|d| d.lights.as_slice()).unwrap_or_default();
            let changed = |no: &LightNo| {
                let light = self.light(*no)?;
                light.published.filter(|p| *p != self.mark_state(light, now)).map(|_| *no)
            };
            drifted.extend(lights.iter().filter_map(changed));
        }
        drifted
    }

    /// Sees to it that somebody looks at the device when it will have been silent too long. One that never made contact is
    /// never looked at.
    pub(super) fn file_silence(&mut self, no: DeviceNo) {
        if let Some(from) = self.silent_from(no).filter(|_| self.is_watching) {
            self.silences.file(no.0, from);
        }
    }

    /// At the next occasion.
    pub(super) fn look_soon(&mut self, no: DeviceNo) {
        if self.is_watching {
            self.silences.file(no.0, UtcMillis::MIN);
        }
    }

    /// The first moment at which the device counts as offline, if it stays silent. By the rule that draws its lights.
    fn silent_from(&self, no: DeviceNo) -> Option<UtcMillis> {
        let (last_contact, promised_interval_s) = self.device(no)?.presence();
        let window_s = LightFacts { promised_interval_s, ..LightFacts::default() }.offline_after_s();
        Some(UtcMillis(last_contact?.0.saturating_add(i64::from(window_s) * 1000 + 1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ccms_core::ids::{DeviceId, LightId};
    use ccms_core::reading::Reading;
    use ccms_store::{Curated, DeviceRecord, DeviceState, LightRecord, ReadingRow, Reported};
    use proptest::prelude::*;

    use super::*;

    const DEVICES: u32 = 5;
    const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

    /// The first device has two lights.
    fn street() -> State {
        let mut state = State::default();
        for no in 1..=DEVICES {
            state.put_device(DeviceRecord {
                no: DeviceNo(no),
                id: DeviceId::parse(&format!("D{no}")).unwrap(),
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
        for no in 1..=DEVICES + 1 {
            state.put_light(LightRecord {
                no: LightNo(no),
                id: LightId::numbered(no),
                device_no: Some(DeviceNo(no.min(DEVICES + 1) % DEVICES + 1)),
                curated: Curated::default(),
                created_at: NOW,
            });
        }
        state
    }

    /// What a look at every light finds.
    fn by_looking_at_all(state: &State, now: UtcMillis) -> BTreeSet<LightNo> {
        let drifted = |l: &&super::super::LiveLight| l.published.is_some_and(|p| p != state.mark_state(l, now));
        state.lights().filter(drifted).map(|l| l.record.no).collect()
    }

    fn publish(state: &mut State, now: UtcMillis) {
        for no in state.take_touched() {
            state.publish(no, now);
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Contact(u32, i64),
        /// A battery that is low or not changes what is promised.
        Reading(u32, bool),
        /// The clock goes on, or is set.
        Passes(i64),
        Publishes,
        Swaps(u32, u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1..=DEVICES, prop_oneof![Just(0i64), -200_000i64..1_000]).prop_map(|(d, ago)| Step::Contact(d, ago)),
            2 => (1..=DEVICES + 1, any::<bool>()).prop_map(|(l, low)| Step::Reading(l, low)),
            4 => prop_oneof![4 => 0i64..3_000, 4 => 30_000i64..125_000, 1 => 200_000i64..3_000_000, 1 => -400_000i64..0]
                .prop_map(Step::Passes),
            2 => Just(Step::Publishes),
            1 => (1..=DEVICES + 1, 1..=DEVICES).prop_map(|(l, d)| Step::Swaps(l, d)),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// The wheel finds in the same sweep what a look at every light finds, but for lights that will be drawn anyway.
        #[test]
        fn the_wheel_finds_what_looking_at_all_finds(steps in prop::collection::vec(step(), 1..60)) {
            let (mut state, mut now) = (street(), NOW);
            state.drifted(now);
            publish(&mut state, now);
            for step in steps {
                match step {
                    Step::Contact(device, ago) => state.contact(DeviceNo(device), UtcMillis(now.0 + ago)),
                    Step::Reading(light, low) => {
                        let device_no = state.light(LightNo(light)).and_then(|l| l.record.device_no()).unwrap();
                        let battery_percent = Some(if low { 15 } else { 90 });
                        let reading = Reading { reported_at: now, battery_percent, ..Reading::default() };
                        let dedupe = reading.dedupe_key();
                        state.reading(&ReadingRow { light_no: LightNo(light), device_no, received_at: now, dedupe, reading });
                    }
                    Step::Passes(ms) => now.0 += ms,
                    Step::Publishes => publish(&mut state, now),
                    Step::Swaps(light, device) => {
                        let record = LightRecord {
                            device_no: Some(DeviceNo(device)),
                            ..state.light(LightNo(light)).unwrap().record.record()
                        };
                        state.put_light(record);
                    }
                }
                let wanted: BTreeSet<_> = by_looking_at_all(&state, now).difference(&state.touched).copied().collect();
                let found: BTreeSet<_> = state.drifted(now).into_iter().collect();
                prop_assert_eq!(found.difference(&state.touched).copied().collect::<BTreeSet<_>>(), wanted);
                found.into_iter().for_each(|no| state.touch(no));
            }
        }
    }
}
