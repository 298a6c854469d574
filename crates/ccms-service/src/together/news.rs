//! What notices said changed, gathered until it is read again.
use std::collections::BTreeSet;

use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::Notice;
use tokio::sync::mpsc;

/// Notices taken together.
const TOGETHER_MAX: usize = 512;

/// What is to be read again.
#[derive(Debug, Default)]
pub(super) struct News {
    pub devices: Changed<DeviceNo>,
    pub lights: Changed<LightNo>,
    /// By their device.
    pub commands: Changed<DeviceNo>,
    pub alerts: BTreeSet<i64>,
    pub contacts: Vec<(DeviceNo, UtcMillis)>,
}

/// Numbers of what changed.
#[derive(Debug)]
pub(super) struct Changed<T> {
    /// More than were named.
    pub all: bool,
    pub some: BTreeSet<T>,
}

impl<T> Default for Changed<T> {
    fn default() -> Self {
        Self::of(BTreeSet::new())
    }
}

impl<T> Changed<T> {
    pub fn of(some: BTreeSet<T>) -> Self {
        Self { all: false, some }
    }
}

impl<T: Ord + Copy> Changed<T> {
    fn add(&mut self, numbers: Option<Vec<T>>) {
        match numbers {
            Some(numbers) => self.some.extend(numbers),
            None => self.all = true,
        }
    }

    /// Those that were named.
    pub fn listed(&self) -> Vec<T> {
        self.some.iter().copied().collect()
    }

    pub fn is_empty(&self) -> bool {
        !self.all && self.some.is_empty()
    }
}

impl News {
    pub fn add(&mut self, notice: Notice) {
        match notice {
            Notice::Everything => {
                self.devices.all = true;
                self.lights.all = true;
                self.commands.all = true;
            }
            Notice::Devices(numbers) => self.devices.add(numbers),
            Notice::Lights(numbers) => self.lights.add(numbers),
            Notice::Commands(devices) => self.commands.add(devices),
            Notice::Alerts(numbers) => self.alerts.extend(numbers),
            Notice::Contacts(heard) => self.contacts.extend(heard),
        }
    }

    /// What waits beside the notice that was taken.
    pub fn drain(&mut self, notices: &mut mpsc::Receiver<Notice>) {
        for _ in 0..TOGETHER_MAX {
            match notices.try_recv() {
                Ok(notice) => self.add(notice),
                Err(_) => return,
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.devices.is_empty() && self.lights.is_empty() && self.commands.is_empty() && self.alerts.is_empty()
    }
}
