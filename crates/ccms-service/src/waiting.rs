//! Polls that wait. A device may ask to be held until there is something for it; here stands who is held, so that a command
//! wakes its device and nobody else. Costs memory for those that wait only, and no timer but their own.
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use ccms_core::ids::DeviceNo;
use tokio::sync::Notify;

/// Polls of one device that wait at the same time; a further one is answered at once.
pub(crate) const WAITS_PER_DEVICE_MAX: usize = 2;

#[derive(Debug, Default)]
pub(crate) struct Waiting(Mutex<HashMap<DeviceNo, Held>>);

#[derive(Debug, Default)]
struct Held {
    bell: Arc<Notify>,
    polls: usize,
}

/// One place among those who wait; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    waiting: &'a Waiting,
    device: DeviceNo,
    pub bell: Arc<Notify>,
}

impl Waiting {
    /// `None` when the device waits often enough already.
    pub fn enter(&self, device: DeviceNo) -> Option<Place<'_>> {
        let mut all = self.lock();
        let held = all.entry(device).or_default();
        if held.polls >= WAITS_PER_DEVICE_MAX {
            return None;
        }
        held.polls += 1;
        Some(Place { waiting: self, device, bell: held.bell.clone() })
    }

    /// Something for this device came up.
    pub fn wake(&self, device: DeviceNo) {
        if let Some(held) = self.lock().get(&device) {
            held.bell.notify_waiters();
        }
    }

    /// Polls that wait.
    pub fn polls(&self) -> usize {
        self.lock().values().map(|held| held.polls).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceNo, Held>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut all = self.waiting.lock();
        if let Some(held) = all.get_mut(&self.device) {
            held.polls -= 1;
            if held.polls == 0 {
                all.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bell_rings_for_its_own_device_and_places_are_given_back() {
        let waiting = Waiting::default();
        let (one, other) = (waiting.enter(DeviceNo(1)).unwrap(), waiting.enter(DeviceNo(2)).unwrap());
        let mut ring = std::pin::pin!(one.bell.notified());
        let mut other_ring = std::pin::pin!(other.bell.notified());
        assert!(!ring.as_mut().enable() && !other_ring.as_mut().enable());
        waiting.wake(DeviceNo(1));
        waiting.wake(DeviceNo(3));
        ring.await;
        assert!(!other_ring.as_mut().enable());
        let second = waiting.enter(DeviceNo(1)).unwrap();
        assert!(waiting.enter(DeviceNo(1)).is_none());
        drop((one.bell.clone(), second));
        assert!(waiting.enter(DeviceNo(1)).is_some());
    }

    #[test]
    fn nobody_waiting_costs_nothing() {
        let waiting = Waiting::default();
        drop(waiting.enter(DeviceNo(7)));
        assert!(waiting.lock().is_empty());
    }
}
