//! MAINTENANCE (§5): somebody at the pole takes the lock. Commands are withheld: they are not fetched, so nobody far away
//! switches what a person holds in the hand, and the server keeps them. Reports go on. The lock is in flash, and is released
//! by its holder or by two others together, never by itself. The lamp goes on by its schedule: **only isolating the supply
//! protects a person**, and a forgotten lock must not leave a street dark.
use ccms_core::reading::PowerState;
use serde::{Deserialize, Serialize};

use crate::clock::Uptime;
use crate::config::HAND_MAX_S;
use crate::device::Device;
use crate::exchange::Led;
use crate::lamp::Lamp;
use crate::logbook::Level;
use crate::request::Kind;
use crate::state::State;

/// What somebody at the pole does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Technician {
    /// Takes the lock. While somebody else holds it nothing changes.
    Lock { holder: String },
    /// Releases it: the holder alone, or two others one after the other.
    Release { by: String },
    /// Switches the lamp by hand while the lock is held; `None` gives it back to schedule and overrides. Ends by itself after
    /// [`HAND_MAX_S`].
    Switch(Option<Lamp>),
    /// Asks the server how it sees this device; the answer is shown.
    AskHealth,
    /// Restarts the controller.
    Restart,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    pub holder: String,
    /// Somebody else who wants it released; one more is needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release_asked_by: Option<String>,
}

impl Device {
    /// Who holds the maintenance lock.
    pub fn maintenance(&self) -> Option<&Lock> {
        self.settings.maintenance.as_ref()
    }

    pub(crate) fn on_technician(&mut self, at: Uptime, what: Technician) {
        match what {
            Technician::Lock { holder } => self.take_lock(at, holder),
            Technician::Release { by } => self.release_lock(at, by),
            Technician::Switch(lamp) => {
                let lamp =
                    lamp.map(|l| if l.power == PowerState::Off { Lamp { brightness_percent: 0, ..l } } else { l });
                let until = at.plus_s(HAND_MAX_S);
                self.hand = lamp.filter(|_| self.settings.maintenance.is_some()).map(|lamp| (lamp, until));
            }
            Technician::AskHealth => self.asks_health = true,
            Technician::Restart => self.restart(at),
        }
    }

    fn take_lock(&mut self, at: Uptime, holder: String) {
        if let Some(lock) = &self.settings.maintenance {
            let held = format!("the maintenance lock is held by {}", lock.holder);
            self.log(at, Level::Info, held);
            return;
        }
        self.log(at, Level::Info, format!("maintenance by {holder}"));
        self.settings.maintenance = Some(Lock { holder, release_asked_by: None });
        self.persist(at);
        match self.state {
            // They come to it by themselves.
            State::PowerOn | State::Initializing | State::PowerOff => {}
            State::Configuring | State::Ready | State::Offline | State::Error | State::Maintenance => {
                self.enter(State::Maintenance);
                self.show_maintenance();
            }
        }
    }

    fn release_lock(&mut self, at: Uptime, by: String) {
        let Some(lock) = &mut self.settings.maintenance else { return };
        let second = lock.release_asked_by.as_ref().is_some_and(|first| *first != by);
        if lock.holder != by && !second {
            let held = format!("{by} asks to release the lock of {}; one more has to", lock.holder);
            lock.release_asked_by = Some(by);
            self.persist(at);
            self.log(at, Level::Info, held.clone());
            self.show(Led::Yellow, held);
            return;
        }
        self.log(at, Level::Info, format!("maintenance ended by {by}"));
        (self.settings.maintenance, self.hand) = (None, None);
        self.persist(at);
        match self.state {
            State::Maintenance if self.registered => {
                self.enter(self.home());
                self.show(self.led(), "Maintenance ended".into());
                self.lane_mut(Kind::Commands).not_before = at;
                self.back_online(at);
                self.report_soon(at);
            }
            State::Maintenance => {
                self.enter(State::Configuring);
                self.show(Led::Red, "Maintenance ended; not configured".into());
            }
            State::PowerOn
            | State::Initializing
            | State::Configuring
            | State::Ready
            | State::Offline
            | State::Error
            | State::PowerOff => {}
        }
    }

    pub(crate) fn show_maintenance(&mut self) {
        let holder = self.settings.maintenance.as_ref().map_or("", |lock| lock.holder.as_str());
        let text = format!("Maintenance by {holder}. Commands are held. Isolate the supply before touching anything");
        self.show(Led::Yellow, text);
    }
}
