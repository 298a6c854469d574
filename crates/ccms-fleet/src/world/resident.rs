//! One device of a world: the machine, its flash, its lamp, and what was seen of it.
use ccms_core::time::UtcMillis;
use ccms_device::{Config, Device, Lamp, Saved, State};

use super::rules::Rules;
use crate::identity::{device_id, device_seed};
use crate::simlamp::SimLamp;

/// One device of the world and what was seen of it.
#[derive(Debug)]
pub struct Resident {
    pub(super) config: Config,
    /// `None` during a power cut.
    pub(super) device: Option<Device>,
    pub(super) saved: Saved,
    pub(super) lamp: SimLamp,
    pub(super) booted_ms: u64,
    /// Counts boots, so that answers to an earlier boot find nobody.
    pub(super) boot: u32,
    pub(super) wake_no: u64,
    /// Time and lamp at every change; `None` while there is no power.
    pub lamp_history: Vec<(UtcMillis, Option<Lamp>)>,
    /// Time and number of every reading that a 200 covered, in order.
    pub delivered: Vec<(UtcMillis, u32)>,
    pub states: Vec<(UtcMillis, State)>,
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
            booted_ms: 0,
            boot: 0,
            wake_no: 0,
            lamp_history: Vec::new(),
            delivered: Vec::new(),
            states: Vec::new(),
        }
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
