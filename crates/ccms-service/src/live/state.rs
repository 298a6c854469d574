//! The state behind the lock, and every way it changes. Pure: time comes in as `now`.
use std::collections::{BTreeSet, HashMap};

use ccms_core::command::{Command, CommandEvent, CommandState};
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::light::{self, LightFacts};
use ccms_core::limits;
use ccms_core::snapshot::{Mark, MarkState};
use ccms_core::time::UtcMillis;
use ccms_store::{CommandChange, DeviceRecord, LightRecord, ReadingRow, Reported};

use super::kept::{KeptDevice, KeptLight};
use super::latest::Latest;
use super::names::Names;
use super::patterns::Patterns;
use super::small::{Dense, Driven, Few, When};
use super::wheel::Wheel;
use crate::keys::SeenToken;
use crate::told::Happening;

#[derive(Debug, Default)]
pub(crate) struct State {
    /// By number.
    pub(super) lights: Dense<LiveLight>,
    pub(super) devices: Dense<LiveDevice>,
    patterns: Patterns,
    /// See [`State::known_through`].
    known_through: u32,
    light_names: Names,
    device_names: Names,
    pub(super) device_by_command: HashMap<CommandId, DeviceNo>,
    /// Commands in memory, in the order in which their time is over.
    pub(super) expiring: BTreeSet<(UtcMillis, CommandId)>,
    /// Devices by the time at which they will have been silent too long.
    pub(super) silences: Wheel,
    /// Whether [`State::drifted`] was asked once: until then nobody is filed.
    pub(super) is_watching: bool,
    /// The latest moment for which the map was drawn.
    pub(super) drawn_at: Option<UtcMillis>,
    /// Lights that anything changed for since the feed last looked.
    pub(super) touched: BTreeSet<LightNo>,
    /// What else happened since then, in order.
    pub(super) happened: Vec<Happening>,
    /// Lights whose state the checkpoint does not have yet; those that are marked so and not here are being written.
    pub(super) unsaved: Vec<LightNo>,
    /// Devices whose contact neither the checkpoint nor the log has.
    pub(super) unsaved_contacts: Vec<DeviceNo>,
}

#[derive(Debug)]
pub(crate) struct LiveLight {
    pub record: KeptLight,
    /// The newest reading in the order of time.
    pub latest: Option<Latest>,
    /// The newest executed command of each type; see [`LiveLight::executed`].
    pub(super) executed: Few<Command>,
    pub(super) executed_is_known: bool,
    /// What the map was last told.
    pub(super) published: Option<(MarkState, u8)>,
    /// The checkpoint does not have its state, and somebody will see to that.
    pub(super) unsaved: bool,
}

#[derive(Debug)]
pub(crate) struct LiveDevice {
    pub record: KeptDevice,
    pub lights: Driven,
    /// The highest generation of token that this run of the server issued to it.
    pub token_issued_gen: i64,
    /// The last token that was found good.
    pub token_seen: Option<SeenToken>,
    pub(super) last_contact: When,
    /// The last contact that a start would find, in the checkpoint or in the log.
    pub(super) kept_contact: When,
    /// The last contact that other processes know of, where there are any.
    pub(super) contact_told: When,
    /// Stands in for contact after the server's own absence, so that it is not taken for the device's.
    pub(super) grace_contact: When,
    pub promised_interval_s: u32,
    /// Not over yet; few.
    pub commands: Few<LiveCommand>,
    /// Grows with every change of them, so that who read them elsewhere sees that they moved on meanwhile.
    pub command_steps: u32,
}

#[derive(Debug, Clone)]
pub(crate) struct LiveCommand {
    pub command: Command,
    pub handed_out_at: Option<UtcMillis>,
}

/// What the map is told of a light.
#[derive(Debug, PartialEq)]
pub(crate) enum Drawn {
    /// It does not know it yet, or not where it is now.
    Placed(Mark),
    /// Number, state and brightness.
    Changed((u32, MarkState, u8)),
}

impl LiveLight {
    /// The newest reading in the order of time.
    pub fn latest(&self) -> Option<ReadingRow> {
        self.latest.as_ref().map(|latest| latest.row(self.record.no))
    }

    /// The newest executed command of each type; `None` until somebody asks.
    pub fn executed(&self) -> Option<&[Command]> {
        self.executed_is_known.then_some(&self.executed)
    }
}

impl LiveDevice {
    /// The contact that its silence counts from, and the interval that was promised.
    pub fn presence(&self) -> (Option<UtcMillis>, u32) {
        let grace = self.grace_contact.get();
        (self.last_contact().map(|at| grace.map_or(at, |grace| grace.max(at))), self.promised_interval_s)
    }

    pub fn last_contact(&self) -> Option<UtcMillis> {
        self.last_contact.get()
    }

    pub fn contact_told(&self) -> Option<UtcMillis> {
        self.contact_told.get()
    }

    /// When it was last heard of, or let in, or registered.
    pub fn heard(&self) -> UtcMillis {
        self.last_contact().max(self.record.claimed_at()).unwrap_or(self.record.created_at)
    }
}

impl LiveCommand {
    /// Whether a poll at `now` gets it: pending, in time, and not handed out a moment ago.
    pub fn is_due(&self, now: UtcMillis) -> bool {
        let rest_ms = i64::from(limits::REDELIVERY_INTERVAL_S) * 1000;
        // Handed out in the future: the clock was set back, and nobody waits for it to catch up.
        let rested = self.handed_out_at.is_none_or(|at| !(0..rest_ms).contains(&now.since(at)));
        self.command.state.is_pending() && !self.command.is_expired(now) && rested
    }
}

/// A contact so much older than the last one is no straggler: the server's clock was set back.
pub(super) const CLOCK_SET_BACK_MS: i64 = 60_000;

impl State {
    // ---- reading --------------------------------------------------------------------------------------------------

    pub fn light(&self, no: LightNo) -> Option<&LiveLight> {
        self.lights.get(no.0)
    }

    pub(super) fn light_mut(&mut self, no: LightNo) -> Option<&mut LiveLight> {
        self.lights.get_mut(no.0)
    }

    pub fn light_no(&self, id: &LightId) -> Option<LightNo> {
        let has_id = |no| self.lights.get(no).is_some_and(|l| l.record.has_id(id.as_str()));
        self.light_names.find(id.as_str(), has_id).map(LightNo)
    }

    /// No light has a higher number.
    pub fn highest_light(&self) -> LightNo {
        LightNo(self.lights.highest())
    }

    pub fn device(&self, no: DeviceNo) -> Option<&LiveDevice> {
        self.devices.get(no.0)
    }

    pub fn device_mut(&mut self, no: DeviceNo) -> Option<&mut LiveDevice> {
        self.devices.get_mut(no.0)
    }

    pub fn device_no(&self, id: &DeviceId) -> Option<DeviceNo> {
        let has_id = |no| self.devices.get(no).is_some_and(|d| d.record.has_id(id.as_str()));
        self.device_names.find(id.as_str(), has_id).map(DeviceNo)
    }

    pub fn lights(&self) -> impl Iterator<Item = &LiveLight> {
        self.lights.iter()
    }

    pub fn devices(&self) -> impl Iterator<Item = &LiveDevice> {
        self.devices.iter()
    }

    pub fn lights_behind(&self, no: u32) -> impl Iterator<Item = &LiveLight> {
        self.lights.behind(no)
    }

    pub fn devices_behind(&self, no: u32) -> impl Iterator<Item = &LiveDevice> {
        self.devices.behind(no)
    }

    /// How many devices there are, whatever their state.
    pub fn device_count(&self) -> usize {
        self.devices.highest() as usize
    }

    pub fn device_of(&self, light: &LiveLight) -> Option<&LiveDevice> {
        light.record.device_no().and_then(|no| self.device(no))
    }

    pub fn command_owner(&self, id: &CommandId) -> Option<DeviceNo> {
        self.device_by_command.get(id).copied()
    }

    /// What decides the light's colour.
    pub fn facts(&self, light: &LiveLight) -> LightFacts {
        Self::facts_with(light, self.device_of(light))
    }

    fn facts_with(light: &LiveLight, device: Option<&LiveDevice>) -> LightFacts {
        let (last_contact, promised_interval_s) =
            device.map_or((None, limits::STATUS_INTERVAL_S), LiveDevice::presence);
        let latest = light.latest.as_ref();
        LightFacts {
            last_contact,
            promised_interval_s,
            power_state: latest.and_then(|r| r.power_state),
            battery_percent: latest.and_then(Latest::battery_percent),
            signal_percent: latest.and_then(Latest::signal_percent),
            temperature_dc: latest.and_then(Latest::temperature_dc),
            has_error_flags: latest.is_some_and(Latest::has_error_flags),
        }
    }

    /// How the light is drawn at `now`.
    pub fn mark(&self, light: &LiveLight, now: UtcMillis) -> Mark {
        let (state, brightness) = self.mark_state(light, now);
        let (lat_e7, lon_e7) = light.record.place_e7();
        Mark { no: light.record.no.0, id: light.record.id_text(), lat_e7, lon_e7, state, brightness }
    }

    pub fn mark_state(&self, light: &LiveLight, now: UtcMillis) -> (MarkState, u8) {
        let device = self.device_of(light);
        let facts = Self::facts_with(light, device);
        let alive = device.is_some_and(|d| {
            d.commands.iter().any(|c| c.command.light_no == light.record.no && c.command.state.is_live())
        });
        let brightness = light.latest.as_ref().and_then(Latest::brightness_percent).unwrap_or(0);
        (MarkState::new(facts.indicator(now), facts.power_state, alive), brightness)
    }

    // ---- changing -------------------------------------------------------------------------------------------------

    pub fn put_device(&mut self, record: DeviceRecord) {
        let (no, id) = (record.no, record.id.clone());
        let mut record = KeptDevice::new(&record, &mut self.patterns);
        let slot = self.devices.slot(no.0);
        match slot {
            Some(device) => {
                // A token may have been used while the record was read.
                record.token_used_gen = record.token_used_gen.max(device.record.token_used_gen);
                device.record = record;
            }
            None => {
                *slot = Some(LiveDevice {
                    record,
                    lights: Driven::default(),
                    token_issued_gen: 0,
                    token_seen: None,
                    last_contact: When::NEVER,
                    kept_contact: When::NEVER,
                    contact_told: When::NEVER,
                    grace_contact: When::NEVER,
                    promised_interval_s: limits::STATUS_INTERVAL_S,
                    commands: Few::default(),
                    command_steps: 0,
                });
            }
        }
        let held = |no| self.devices.get(no).map(|d| &d.record);
        let has_id = |no| held(no).is_some_and(|d| d.has_id(id.as_str()));
        self.device_names.put(id.as_str(), no.0, has_id, |no| held(no).map(KeptDevice::id_text).unwrap_or_default());
    }

    /// What a device says of itself from here on.
    pub fn device_says(&mut self, no: DeviceNo, reported: &Reported) {
        if let Some(device) = self.devices.get_mut(no.0) {
            device.record.says_of_itself(reported, &mut self.patterns);
        }
    }

    pub fn put_light(&mut self, record: LightRecord) {
        let no = record.no;
        let id = record.id.clone();
        // It may have moved from one controller to another.
        let before = self.light(no).and_then(|l| l.record.device_no()).filter(|d| Some(*d) != record.device_no);
        if let Some(device) = before.and_then(|d| self.device_mut(d)) {
            device.lights.remove(no);
        }
        if let Some(device) = record.device_no.and_then(|d| self.device_mut(d))
            && !device.lights.contains(&no)
        {
            device.lights.push(no);
        }
        let record = KeptLight::new(&record, &mut self.patterns);
        let slot = self.lights.slot(no.0);
        match slot {
            Some(light) => {
                light.record = record;
                light.published = None;
            }
            None => {
                *slot = Some(LiveLight {
                    record,
                    latest: None,
                    executed: Few::default(),
                    executed_is_known: false,
                    published: None,
                    unsaved: false,
                });
            }
        }
        let held = |no| self.lights.get(no).map(|l| &l.record);
        let has_id = |no| held(no).is_some_and(|l| l.has_id(id.as_str()));
        self.light_names.put(id.as_str(), no.0, has_id, |no| held(no).map(KeptLight::id_text).unwrap_or_default());
        self.touched.insert(no);
    }

    /// A stored reading. It becomes the latest only if it is not older than what is there: late data never rewinds.
    /// Answers the commands that it confirms.
    pub fn reading(&mut self, row: &ReadingRow) -> Vec<CommandId> {
        // Whether or not it is news: what it says of contact leaves the log some day.
        self.note_kept_contact(row);
        self.mark_unsaved(row.light_no);
        let Some(light) = self.light_mut(row.light_no) else { return Vec::new() };
        let is_news = |held: &ReadingRow| row.reading.supersedes(row.received_at, &held.reading, held.received_at);
        if !light.latest().as_ref().is_none_or(is_news) {
            return Vec::new();
        }
        light.latest = Some(Latest::new(row));
        self.touched.insert(row.light_no);
        let promised_interval_s = light::next_status_s(row.reading.temperature_dc, row.reading.battery_percent);
        let Some(device) = self.device_mut(row.device_no) else { return Vec::new() };
        if std::mem::replace(&mut device.promised_interval_s, promised_interval_s) != promised_interval_s {
            self.look_soon(row.device_no);
        }
        let Some(device) = self.device(row.device_no) else { return Vec::new() };
        let confirmed = |c: &&LiveCommand| {
            c.command.light_no == row.light_no
                && c.command.state == CommandState::Unverified
                && c.command.kind.agrees_with(&row.reading)
        };
        device.commands.iter().filter(confirmed).map(|c| c.command.id.clone()).collect()
    }

    /// Takes a step in a command's life that is on disk, with what the device said of it.
    pub fn command_stepped(&mut self, step: &CommandChange, event: CommandEvent) {
        if let Some(device) = self.command_owner(&step.id).and_then(|no| self.device_mut(no))
            && let Some(held) = device.commands.iter_mut().find(|c| c.command.id == step.id)
        {
            held.command.executed_at = step.executed_at.or(held.command.executed_at);
            held.command.detail = step.detail.clone().or_else(|| held.command.detail.take());
        }
        self.command_changed(&step.id, event, step.at);
    }

    // ---- feed and checkpoint ---------------------------------------------------------------------------------------

    pub fn touch(&mut self, no: LightNo) {
        self.touched.insert(no);
    }

    /// Every light up to this number is known. One beyond it may be, when another that came into the database before it is not.
    pub fn known_through(&mut self) -> LightNo {
        while self.lights.get(self.known_through + 1).is_some() {
            self.known_through += 1;
        }
        LightNo(self.known_through)
    }

    pub fn happens(&mut self, happening: Happening) {
        self.happened.push(happening);
    }

    pub fn take_happened(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happened)
    }

    pub fn take_touched(&mut self) -> BTreeSet<LightNo> {
        std::mem::take(&mut self.touched)
    }

    /// How the light is drawn now, if that differs from what the map was last told.
    pub fn publish(&mut self, no: LightNo, now: UtcMillis) -> Option<Drawn> {
        let looks = self.mark_state(self.light(no)?, now);
        self.drawn_at = self.drawn_at.max(Some(now));
        let before = self.lights.get_mut(no.0)?.published.replace(looks);
        match before {
            // The common case of a busy city: a report that changes nothing on the map.
            Some(before) if before == looks => None,
            Some(_) => Some(Drawn::Changed((no.0, looks.0, looks.1))),
            None => Some(Drawn::Placed(self.mark(self.light(no)?, now))),
        }
    }
}
