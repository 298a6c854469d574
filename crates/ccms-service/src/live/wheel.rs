//! A timing wheel: who has to be looked at when. Filing and taking cost the same however many there are, so that a sweep
//! costs what is due and not the fleet.
//!
//! It knows numbers and times, and only when to look; what is found then is the caller's. Whoever is filed for a later time
//! than before stays where it is, is looked at too early and filed again: a device that reports every ten seconds moves its
//! deadline each time and its place in the wheel once in two minutes.
use ccms_core::time::UtcMillis;

/// One slot of the wheel.
const TICK_MS: i64 = 1_000;
/// Over eight minutes, twice the longest wait of a device. What is due later is looked at once in a turn.
const SLOTS: i64 = 512;
/// Where those are who are not in the wheel.
const NOWHERE: u16 = u16::MAX;

#[derive(Debug)]
pub(super) struct Wheel {
    /// By tick modulo [`SLOTS`]. Entries that were filed earlier meanwhile stay and count for nothing.
    slots: Vec<Vec<u32>>,
    /// By number: the slot it is in. None of the ticks to come shares one with another.
    filed: Vec<u16>,
    /// Every slot before it is empty.
    tick: i64,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| Vec::new()).collect(), filed: Vec::new(), tick: 0 }
    }
}

impl Wheel {
    /// Sees to it that `no` is taken out at `due` or before.
    pub fn file(&mut self, no: u32, due: UtcMillis) {
        let index = no as usize;
        if self.filed.len() <= index {
            self.filed.resize(index + 1, NOWHERE);
        }
        let tick = tick_of(due).clamp(self.tick, self.tick + SLOTS - 1);
        let filed = self.filed[index];
        let ahead = (i64::from(filed) - self.tick).rem_euclid(SLOTS);
        if filed == NOWHERE || ahead > tick - self.tick {
            self.filed[index] = slot_of(tick) as u16;
            self.slots[slot_of(tick)].push(no);
        }
    }

    /// Whether nobody will look at `no` unless it is filed again.
    pub fn is_out(&self, no: u32) -> bool {
        self.filed.get(no as usize).is_none_or(|filed| *filed == NOWHERE)
    }

    /// Takes out everybody who was filed for `now` or earlier, and of the running second also who was filed for its rest.
    pub fn turn(&mut self, now: UtcMillis) -> Vec<u32> {
        let (from, to) = (self.tick, tick_of(now));
        let mut due = Vec::new();
        // After a long rest every slot is passed once.
        for tick in from..=to.min(from + SLOTS - 1) {
            let mut slot = std::mem::take(&mut self.slots[slot_of(tick)]);
            for no in slot.drain(..) {
                let filed = &mut self.filed[no as usize];
                if usize::from(*filed) == slot_of(tick) {
                    *filed = NOWHERE;
                    due.push(no);
                }
            }
            self.slots[slot_of(tick)] = slot;
        }
        self.tick = from.max(to);
        due
    }

    /// Empty, and at `now`, wherever it was.
    pub fn restart(&mut self, now: UtcMillis) {
        self.slots.iter_mut().for_each(Vec::clear);
        self.filed.fill(NOWHERE);
        self.tick = tick_of(now);
    }
}

fn tick_of(at: UtcMillis) -> i64 {
    at.0.div_euclid(TICK_MS)
}

fn slot_of(tick: i64) -> usize {
    tick.rem_euclid(SLOTS) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_later_time_moves_nobody_and_an_earlier_one_counts_once() {
        let mut wheel = Wheel::default();
        wheel.restart(UtcMillis(10_000));
        wheel.file(1, UtcMillis(20_000));
        wheel.file(1, UtcMillis(90_000));
        assert!(wheel.turn(UtcMillis(19_999)).is_empty());
        assert_eq!(wheel.turn(UtcMillis(20_000)), [1]);
        assert!(wheel.is_out(1));
        wheel.file(1, UtcMillis(90_000));
        wheel.file(1, UtcMillis(30_000));
        assert_eq!(wheel.turn(UtcMillis(30_000)), [1]);
        wheel.file(1, UtcMillis(90_000));
        assert_eq!(wheel.turn(UtcMillis(9_000_000)), [1], "twice in its slot, taken out once");
        wheel.file(1, UtcMillis(0));
        assert_eq!(wheel.turn(UtcMillis(9_000_000)), [1], "the past is now");
    }

    proptest! {
        /// Nobody is taken out late, and nobody twice.
        #[test]
        fn who_is_due_is_taken_out(steps in prop::collection::vec((0u32..8, -5_000i64..700_000, 0i64..90_000), 1..80)) {
            let (mut wheel, mut now) = (Wheel::default(), 1_000_000);
            let mut wanted = [None::<i64>; 8];
            wheel.restart(UtcMillis(now));
            for (no, ahead, passed) in steps {
                wheel.file(no, UtcMillis(now + ahead));
                wanted[no as usize] = Some(wanted[no as usize].map_or(now + ahead, |w| w.min(now + ahead)));
                now += passed;
                for taken in wheel.turn(UtcMillis(now)) {
                    prop_assert!(wanted[taken as usize].take().is_some(), "{taken} twice");
                }
                prop_assert!(wanted.iter().flatten().all(|due| *due > now), "{wanted:?} at {now}");
            }
        }
    }
}
