//! The latest state of everything, in memory: polls, the map and the offline sweep read it and never ask the database.
//! It holds only what is on disk already (or can be rebuilt from there: checkpoint plus log).
//!
//! One lock, short critical sections, no await inside. Lights and devices sit in lists by their dense numbers.
//!
//! - `state`   the state, how it is read and how reports change it
//! - `contacts` when controllers were heard of, and what other processes changed
//! - `orders`  commands in it
//! - `saved`   to the checkpoint and back
//! - `latest`  a light's newest reading, packed; `names` numbers by id
//! - `kept`    records of lights and devices, packed: texts by their `patterns`, and in `small` containers
//! - `silence` who was silent too long, and which commands' time is over, through the `wheel`
//! - `feed`    numbered changes, for browsers
mod contacts;
pub(crate) mod feed;
mod kept;
mod latest;
mod names;
mod orders;
mod patterns;
mod saved;
mod silence;
#[cfg(test)]
mod size;
mod small;
mod state;
#[cfg(test)]
mod tests;
mod wheel;

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use kept::{KeptDevice, KeptLight};
pub(crate) use state::{Drawn, LiveDevice, LiveLight, State};

/// Lights or devices that are looked at under one lock.
const AT_ONCE: usize = 4_096;

/// The lock around [`State`].
#[derive(Debug, Default)]
pub(crate) struct Live(RwLock<State>);

impl Live {
    pub fn new(state: State) -> Self {
        Self(RwLock::new(state))
    }

    /// A panic inside a critical section leaves at worst one light half updated; readings keep coming and mend it, so the
    /// fleet is served on rather than lost.
    pub fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(|e| e.into_inner())
    }

    /// Looks at every light, in the order of their numbers. Lets go of the lock now and then: whoever reports need not wait for
    /// the whole fleet, and may change what was not looked at yet.
    pub fn each_light(&self, mut look: impl FnMut(&State, &LiveLight)) {
        let mut behind = 0;
        loop {
            let live = self.read();
            let Some(last) = live.lights_behind(behind).take(AT_ONCE).inspect(|light| look(&live, light)).last() else {
                return;
            };
            behind = last.record.no.0;
        }
    }

    /// As [`Self::each_light`].
    pub fn each_device(&self, mut look: impl FnMut(&LiveDevice)) {
        let mut behind = 0;
        loop {
            let live = self.read();
            let Some(last) = live.devices_behind(behind).take(AT_ONCE).inspect(|device| look(device)).last() else {
                return;
            };
            behind = last.record.no.0;
        }
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(|e| e.into_inner())
    }
}
