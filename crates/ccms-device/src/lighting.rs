//! Driving the lamp: by a technician's hand, by override, by schedule, or on for want of all of them.
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::TimeOfDay;

use crate::clock::Uptime;
use crate::device::Device;
use crate::exchange::Output;
use crate::lamp::{Lamp, next_edge_ms};
use crate::state::State;

impl Device {
    pub(crate) fn schedule(&self) -> Option<Schedule> {
        self.settings.config.as_ref().map(|c| c.schedule())
    }

    pub(crate) fn utc_offset_minutes(&self) -> i32 {
        let told = self.settings.config.as_ref().and_then(|c| c.utc_offset_minutes);
        told.unwrap_or_else(|| self.config.solar_offset_minutes())
    }

    /// What the lamp should do.
    pub(crate) fn lamp_wanted(&self, at: Uptime) -> Lamp {
        if let Some((lamp, _)) = self.hand.filter(|(_, until)| at < *until) {
            return lamp;
        }
        let known = self.clock.known(at);
        let local = known.map(|t| TimeOfDay::at(t, self.utc_offset_minutes()));
        let scheduled = self.schedule().map_or(PowerState::On, |s| s.wants(local));
        let power = self.settings.manual.power_now(at, known, scheduled).unwrap_or(scheduled);
        let level = || self.settings.config.as_ref().map_or(100, |c| c.brightness_level.min(100));
        let brightness_percent = match power {
            PowerState::On => self.settings.manual.brightness_now(at, known, scheduled).unwrap_or_else(level),
            PowerState::Off => 0,
        };
        Lamp { power, brightness_percent }
    }

    fn next_lamp_edge(&self, at: Uptime) -> Option<Uptime> {
        let known = self.clock.known(at);
        let of_schedule = || next_edge_ms(&self.schedule()?, known?, self.utc_offset_minutes());
        let edge = of_schedule().map(|ms| at.plus_ms(ms.max(0) as u64));
        let hand = self.hand.map(|(_, until)| until).filter(|until| at < *until);
        [edge, self.settings.manual.next_end(at, known), hand].into_iter().flatten().min()
    }

    pub(crate) fn drive_lamp(&mut self, at: Uptime) {
        let wanted = self.lamp_wanted(at);
        self.lamp_edge = self.next_lamp_edge(at);
        if self.state == State::PowerOn || self.lamp == Some(wanted) {
            return;
        }
        let at_boot = self.lamp.replace(wanted).is_none();
        self.outputs.push_back(Output::Actuate(wanted));
        if !at_boot {
            self.report_soon(at);
        }
    }
}
