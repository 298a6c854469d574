//! What will go wrong, and what people will do, in a story: made of its seed before it begins. So the same seed plans the same
//! misfortunes for every server, whatever that server does.
use ccms_core::command::CommandKind;
use ccms_core::reading::PowerState;
use ccms_device::chance::Chance;

use super::server::Deed;

const HOUR_S: u64 = 3_600;
pub const DAY_S: u64 = 86_400;
const LOOK_EVERY_S: u64 = 1_200;
/// At the end nothing goes wrong any more for so long: longer than the longest wait there is, so that who is not back then
/// never will be.
pub const CALM_S: u64 = 9_000;
/// After its flash was lost, somebody lets a device in again within this.
const RECLAIM_WITHIN_S: u64 = 1_800;
/// Keeps the plan's chance apart from the world's.
const SALT: u64 = 0x706c_616e;

/// Of each device and day.
const ORDERS: u64 = 12;
const OWN_PARTITIONS: u64 = 2;
const CLOCK_JUMPS: u64 = 1;
/// Of the city and day.
const RESTARTS: u64 = 6;
const TRESPASSES: u64 = 4;
const KEY_ROTATIONS: u64 = 1;
/// One device of so many loses its flash each day, and at least one.
const DEVICES_PER_LOST_FLASH: u64 = 10;

#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Server(Deed),
    /// Nothing gets through, of one device or of all.
    Partition {
        device: Option<usize>,
        seconds: u64,
    },
    /// The power of all is cut, each for its own time.
    CityPowerCut {
        seconds: u64,
    },
    /// A power cut, after which the flash is empty.
    LoseFlash {
        device: usize,
        seconds: u64,
    },
    /// The device has network time, and from now on it is so wrong.
    NetworkTime {
        device: usize,
        error_ms: i64,
    },
    /// One device speaks on the path of another, with its own token.
    Trespass {
        from: usize,
        to: usize,
    },
    /// Somebody looks at what is shown.
    Look,
    /// Nothing goes wrong any more.
    Calm,
}

/// What happens at which second, in order.
pub fn plan(seed: u64, lights: usize, seconds: u64) -> Vec<(u64, Act)> {
    let mut planner = Planner { chance: Chance::new(seed ^ SALT), acts: Vec::new(), lights };
    let trouble_s = seconds.saturating_sub(CALM_S);
    for device in 0..lights {
        planner.of_device(device, trouble_s);
    }
    planner.of_city(trouble_s);
    planner.acts.extend((1..seconds / LOOK_EVERY_S).map(|n| (n * LOOK_EVERY_S, Act::Look)));
    planner.acts.push((trouble_s, Act::Calm));
    // Stable: what is planned for the same second happens in the order of planning.
    planner.acts.sort_by_key(|(at_s, _)| *at_s);
    planner.acts
}

struct Planner {
    chance: Chance,
    acts: Vec<(u64, Act)>,
    lights: usize,
}

impl Planner {
    /// So many times a day, over `seconds`; what is left of a day has its share by chance.
    fn times(&mut self, per_day: u64, seconds: u64) -> u64 {
        let of_days = per_day * seconds;
        of_days / DAY_S + u64::from(self.chance.below(DAY_S) < of_days % DAY_S)
    }

    /// A moment, and how long something lasts that begins then and ends before the calm.
    fn stretch(&mut self, longest_s: u64, end_s: u64) -> (u64, u64) {
        let begins_s = self.chance.below(end_s.max(1));
        (begins_s, 1 + self.chance.below(longest_s.min(end_s - begins_s).max(1)))
    }

    fn device(&mut self) -> usize {
        self.chance.below(self.lights as u64) as usize
    }

    fn of_device(&mut self, device: usize, end_s: u64) {
        for _ in 0..self.times(ORDERS, end_s) {
            let (at_s, kind) = (self.chance.below(end_s.max(1)), self.order());
            self.acts.push((at_s, Act::Server(Deed::Order { device, kind })));
        }
        for _ in 0..self.times(OWN_PARTITIONS, end_s) {
            let (at_s, seconds) = self.stretch(2_400, end_s);
            self.acts.push((at_s, Act::Partition { device: Some(device), seconds }));
        }
        // Every other device has network time; the rest has it from the server.
        if device % 2 == 1 {
            self.acts.push((0, Act::NetworkTime { device, error_ms: 0 }));
            for _ in 0..self.times(CLOCK_JUMPS, end_s) {
                let (at_s, seconds) = self.stretch(HOUR_S, end_s);
                let hours = self.chance.below(80) as i64 - 40;
                let error_ms = hours * 3_600_000 + self.chance.below(1_200_000) as i64 - 600_000;
                self.acts.push((at_s, Act::NetworkTime { device, error_ms }));
                self.acts.push((at_s + seconds, Act::NetworkTime { device, error_ms: 0 }));
            }
        }
    }

    fn order(&mut self) -> CommandKind {
        match self.chance.below(20) {
            0 => CommandKind::Reset,
            1..=5 => CommandKind::Power(PowerState::Off),
            6..=11 => CommandKind::Power(PowerState::On),
            n => CommandKind::Brightness((n * 5 + self.chance.below(5)) as u8),
        }
    }

    fn of_city(&mut self, end_s: u64) {
        for n in 0..self.times(RESTARTS, end_s) {
            let deed = if n % 2 == 0 { Deed::Crash } else { Deed::Restart };
            let at_s = self.chance.below(end_s.max(1));
            self.acts.push((at_s, Act::Server(deed)));
        }
        for _ in 0..self.times(KEY_ROTATIONS, end_s) {
            let at_s = self.chance.below(end_s.max(1));
            self.acts.push((at_s, Act::Server(Deed::RotateKeys)));
        }
        for _ in 0..self.times(TRESPASSES, end_s).min(self.lights as u64 * 1_000 - 1_000) {
            let (at_s, from) = (self.chance.below(end_s.max(1)), self.device());
            let to = (from + 1 + self.chance.below(self.lights as u64 - 1) as usize) % self.lights;
            self.acts.push((at_s, Act::Trespass { from, to }));
        }
        for _ in 0..self.times(1, end_s) {
            let (at_s, seconds) = self.stretch(3 * HOUR_S, end_s);
            self.acts.push((at_s, Act::Partition { device: None, seconds }));
            let at_s = self.chance.below(end_s.max(1));
            self.acts.push((at_s, Act::CityPowerCut { seconds: 1 + self.chance.below(600) }));
        }
        let flashes = (self.lights as u64).div_ceil(DEVICES_PER_LOST_FLASH);
        for _ in 0..self.times(flashes, end_s) {
            let (device, at_s) = (self.device(), self.chance.below(end_s.max(1)));
            self.acts.push((at_s, Act::LoseFlash { device, seconds: 1 + self.chance.below(600) }));
            let again_s = (at_s + self.chance.below(RECLAIM_WITHIN_S)).min(end_s);
            self.acts.push((again_s, Act::Server(Deed::AllowReclaim { device })));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_plans_the_same_misfortunes_and_all_kinds_of_them() {
        let day = plan(7, 20, DAY_S);
        assert_eq!(day, plan(7, 20, DAY_S));
        assert_ne!(day, plan(8, 20, DAY_S));
        assert!(day.is_sorted_by_key(|(at_s, _)| *at_s));
        let has = |is: fn(&Act) -> bool| day.iter().any(|(_, act)| is(act));
        assert!(has(|a| matches!(a, Act::Server(Deed::Order { .. }))));
        assert!(has(|a| matches!(a, Act::Server(Deed::Crash))) && has(|a| matches!(a, Act::Server(Deed::Restart))));
        assert!(has(|a| matches!(a, Act::Partition { device: Some(_), .. })));
        assert!(has(|a| matches!(a, Act::LoseFlash { .. })));
        assert!(has(|a| matches!(a, Act::NetworkTime { error_ms, .. } if *error_ms != 0)));
        assert!(has(|a| matches!(a, Act::Trespass { from, to } if from != to)));
        let calm_s = DAY_S - CALM_S;
        let last = day.iter().filter(|(_, act)| !matches!(act, Act::Look | Act::Calm)).map(|(at_s, _)| *at_s).max();
        assert!(last.is_some_and(|last| last <= calm_s));
        assert!(!plan(1, 1, DAY_S).is_empty(), "a single device has nobody to trespass on");
    }
}
