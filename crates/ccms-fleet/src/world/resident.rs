//! One device of a world: the machine, its flash, its lamp, and what was seen of it.
use std::ops::Range;

use ccms_core::command::AckStatus;
use ccms_core::ids::CommandId;
use ccms_core::time::UtcMillis;
use ccms_device::saved::Remembered;
use ccms_device::{Change, Config, Device, Lamp, Saved, State};

use super::calls::Calls;
use super::rules::{Rules, Sabotage};
use crate::identity::{device_id, device_seed};
use crate::simlamp::SimLamp;

/// Where a device of the world writes what must survive, when that is more than memory.
pub trait Keeps: std::fmt::Debug {
    /// False when the power failed before it was done.
    fn store(&mut self, saved: &Saved) -> bool;
    /// What is there when the power is back.
    fn load(&mut self) -> Saved;
}

/// One device of the world and what was seen of it.
#[derive(Debug)]
pub struct Resident {
    pub(super) config: Config,
    /// `None` during a power cut.
    pub(super) device: Option<Device>,
    pub(super) saved: Saved,
    pub(super) flash: Option<Box<dyn Keeps>>,
    pub(super) lamp: SimLamp,
    pub(super) booted_ms: u64,
    /// Counts boots, so that answers to an earlier boot find nobody.
    pub(super) boot: u32,
    pub(super) wake_no: u64,
    /// How often its flash was lost.
    pub(super) life: u32,
    /// Its own way to the server is cut.
    pub(super) outages: Vec<Range<i64>>,
    /// How wrong its network time is; `None` without network time.
    pub(super) network_error_ms: Option<i64>,
    pub(super) calls: Calls,
    last_done: Option<Remembered>,
    /// Time and lamp at every change; `None` while there is no power.
    pub lamp_history: Vec<(UtcMillis, Option<Lamp>)>,
    /// Time and number of every reading that a 200 covered, in order.
    pub delivered: Vec<(UtcMillis, u32)>,
    pub states: Vec<(UtcMillis, State)>,
    /// From when on its network time was how wrong, in milliseconds.
    pub clock_errors: Vec<(UtcMillis, i64)>,
    /// Commands that it acted upon.
    pub done: Vec<Done>,
}

/// A command that a device says it acted upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    pub id: CommandId,
    pub status: AckStatus,
    /// The true time.
    pub at: UtcMillis,
    pub life: u32,
}

impl Resident {
    pub(super) fn new(rules: &Rules, index: usize) -> Self {
        let seed = device_seed(rules.seed, index);
        // A row of lamps 30 m apart, on the document's own main road.
        let (latitude, longitude) = (28.6139, 77.2090 + index as f64 * 0.0003);
        let mut config = Config::new(device_id(rules.seed, index), latitude, longitude, seed);
        config.name = format!("Main Road {}", index + 1);
        (config.address, config.city) = (format!("{}, Delhi", config.name), "Delhi".into());
        Self {
            lamp: SimLamp::new(seed, latitude, longitude, rules.sick_lamps, None),
            config,
            device: None,
            saved: Saved::default(),
            flash: None,
            booted_ms: 0,
            boot: 0,
            wake_no: 0,
            life: 0,
            outages: Vec::new(),
            network_error_ms: rules.network_time.then_some(0),
            calls: Calls::default(),
            last_done: None,
            lamp_history: Vec::new(),
            delivered: Vec::new(),
            states: Vec::new(),
            clock_errors: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Writes to flash, and sees what was done: the machine notes each command there before it acts on it. False when the power
    /// failed meanwhile.
    pub(super) fn persist(&mut self, now: UtcMillis, mut change: Change, sabotage: Option<Sabotage>) -> bool {
        let newest = if let Change::Settings(settings) = &mut change {
            let newest = settings.remembered.back().cloned();
            if sabotage == Some(Sabotage::ForgetsCommands) {
                settings.remembered.clear();
            }
            newest
        } else {
            None
        };
        self.saved.apply(change);
        let kept = self.flash.as_mut().is_none_or(|flash| flash.store(&self.saved));
        if kept {
            self.notes_done(now, newest);
        }
        kept
    }

    /// What its flash holds when the power comes back.
    pub(super) fn loads(&mut self, now: UtcMillis) {
        if let Some(flash) = &mut self.flash {
            self.saved = flash.load();
            let newest = self.saved.settings.remembered.back().cloned();
            self.notes_done(now, newest);
        }
    }

    fn notes_done(&mut self, now: UtcMillis, newest: Option<Remembered>) {
        let Some(newest) = newest.filter(|newest| self.last_done.as_ref() != Some(newest)) else { return };
        self.done.push(Done { id: newest.id.clone(), status: newest.status, at: now, life: self.life });
        self.last_done = Some(newest);
    }

    /// How often its flash was lost.
    pub fn life(&self) -> u32 {
        self.life
    }

    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// How wrong its own idea of the time was at `at`, as far as that is no fault of its own.
    pub fn clock_error_ms(&self, at: UtcMillis) -> i64 {
        self.clock_errors.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, ms)| *ms)
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The machine itself, while it has power.
    pub fn machine(&self) -> Option<&Device> {
        self.device.as_ref()
    }

    /// What its flash holds.
    pub fn saved(&self) -> &Saved {
        &self.saved
    }

    pub fn is_online(&self) -> bool {
        self.device.as_ref().is_some_and(|d| d.state().is_online())
    }
}
