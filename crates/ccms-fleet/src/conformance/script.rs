//! The words that scenarios are written in. A script is a list of steps, one after the other: change how the server behaves,
//! wait for something that the device does, ask for a hand, judge. It is data without state, so that a person can read what
//! a device goes through, and a report can name it.
use ccms_core::time::UtcMillis;

use super::check::{Check, Finding};
use super::part::Part;
use super::scene::Scene;

/// What decides a run.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The true time when it begins.
    pub start: UtcMillis,
    /// The only device that is spoken to; the first that calls if `None`.
    pub device_id: Option<String>,
    /// Long scripts are left out.
    pub quick: bool,
    /// Only the scripts of these names, besides the first; all if empty.
    pub only: Vec<String>,
    /// How long the first call may take.
    pub first_call_s: u32,
    /// Length of the outage, in seconds.
    pub offline_s: u32,
    /// The device knows the time without the server.
    pub own_clock: bool,
}

impl Rules {
    pub const FIRST_CALL_S: u32 = 900;
    pub const OFFLINE_S: u32 = 1_200;

    pub fn new(start: UtcMillis) -> Self {
        Self {
            start,
            device_id: None,
            quick: false,
            only: Vec::new(),
            first_call_s: Self::FIRST_CALL_S,
            offline_s: Self::OFFLINE_S,
            own_clock: false,
        }
    }
}

/// Something that has to be done to the device itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stimulus {
    PowerCycle,
    Hot,
    Cool,
    BatteryLow,
    BatteryFull,
}

impl Stimulus {
    pub const ALL: [Self; 5] = [Self::PowerCycle, Self::Hot, Self::Cool, Self::BatteryLow, Self::BatteryFull];

    /// The word that a bench is told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PowerCycle => "power-cycle",
            Self::Hot => "hot",
            Self::Cool => "cool",
            Self::BatteryLow => "battery-low",
            Self::BatteryFull => "battery-full",
        }
    }

    /// What a person is told.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::PowerCycle => "take the power from the device, wait five seconds, give it back",
            Self::Hot => "bring the temperature sensor above 65 °C and keep it there",
            Self::Cool => "let the temperature sensor cool down below 60 °C",
            Self::BatteryLow => {
                "bring the battery's charge below 10 % (or what the device takes for it) and keep it there"
            }
            Self::BatteryFull => "bring the battery's charge back above 20 %",
        }
    }
}

pub type Act = fn(&mut Part, u64);
pub type Until = fn(&Scene<'_>) -> bool;
pub type Judge = fn(&Scene<'_>) -> Finding;

/// What it means when something does not happen in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InVain {
    /// The judges will say.
    GoOn,
    /// The rest of this script cannot be judged.
    GiveUp,
    /// Nothing can be judged.
    Stop,
}

#[derive(Debug)]
pub enum Step {
    /// Told the time, in milliseconds since the run began.
    Do(Act),
    Mark(&'static str),
    /// So many seconds.
    Rest(fn(&Rules) -> u32),
    Wait {
        what: &'static str,
        most_s: fn(&Rules) -> u32,
        until: Until,
        in_vain: InVain,
    },
    Ask(Stimulus),
    /// Only where nobody has to be asked; nothing depends on it.
    Try(Stimulus),
    Judge(&'static Check, Judge),
}

/// Waits until the device did something; the judges say what it means if it did not.
pub const fn wait(what: &'static str, most_s: fn(&Rules) -> u32, until: Until) -> Step {
    Step::Wait { what, most_s, until, in_vain: InVain::GoOn }
}

/// Waits for what the rest of the script stands on.
pub const fn need(what: &'static str, most_s: fn(&Rules) -> u32, until: Until) -> Step {
    Step::Wait { what, most_s, until, in_vain: InVain::GiveUp }
}

#[derive(Debug)]
pub struct Script {
    /// For `--only`.
    pub name: &'static str,
    pub title: &'static str,
    /// Left out of a quick run.
    pub is_long: bool,
    pub steps: &'static [Step],
}

impl Script {
    pub fn checks(&self) -> impl Iterator<Item = &'static Check> {
        self.steps.iter().filter_map(|step| match step {
            Step::Judge(check, _) => Some(*check),
            _ => None,
        })
    }
}
