//! Where a light stands between what was asked of it and what it does. Two facts are worked out here, by the rules that the
//! controller itself follows, and neither is ever drawn for what was last *reported*:
//!
//! - *target*: what it comes to once every command that is not over is done;
//! - *in effect*: what applies now, by an override that still holds or else by the schedule.
//!
//! Power and brightness are overridden apart. An override that was executed holds until the next sunset or sunrise of the
//! light's schedule, and a day at most.
use ccms_core::command::{Command, CommandKind, CommandState};
use ccms_core::ids::CommandId;
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::{TimeOfDay, UtcMillis};

const DAY_MS: i64 = 86_400_000;

/// What decides when nothing was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Night {
    pub schedule: Schedule,
    pub utc_offset_minutes: i32,
    /// Percent while lit.
    pub brightness_percent: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Schedule,
    /// A command that is not over.
    Command,
    /// A command that was executed and still holds.
    Override,
}

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Command => "command",
            Self::Override => "override",
        }
    }
}

/// A state of the lamp, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub power_state: PowerState,
    /// What was asked for while lit, also where the lamp is off; without a command 0 while it is off.
    pub brightness_percent: u8,
    pub source: Source,
    /// The newest command behind it.
    pub command: Option<(CommandId, CommandState)>,
    /// When it ends by itself; `None` where nobody can say.
    pub until: Option<UtcMillis>,
}

/// Target and what is in effect. `commands`: those that are not over, and the newest executed one of each type.
pub(crate) fn standing(commands: &[Command], night: Night, now: UtcMillis) -> (Wanted, Wanted) {
    let executed = |c: &&Command| c.state == CommandState::Executed;
    let alive = |c: &&Command| c.state.is_live();
    let told = newest(commands, executed, |k| matches!(k, CommandKind::Schedule(_)));
    let schedule = schedule_of(told).unwrap_or(night.schedule);
    let lamp = Lamp { night: Night { schedule, ..night }, now };

    let holds = |c: &&Command| executed(c) && lamp.end_of(c).is_some_and(|end| now < end);
    let power = newest(commands, holds, |k| matches!(k, CommandKind::Power(_)));
    let brightness = newest(commands, holds, |k| matches!(k, CommandKind::Brightness(_)));
    let in_effect = lamp.under(power, brightness, [power, brightness], Source::Override);

    let next_power = newest(commands, alive, |k| matches!(k, CommandKind::Power(_)));
    let next_brightness = newest(commands, alive, |k| matches!(k, CommandKind::Brightness(_)));
    let next_schedule = newest(commands, alive, |k| matches!(k, CommandKind::Schedule(_)));
    if [next_power, next_brightness, next_schedule].iter().all(Option::is_none) {
        return (in_effect.clone(), in_effect);
    }
    let lamp = Lamp { night: Night { schedule: schedule_of(next_schedule).unwrap_or(schedule), ..night }, now };
    let asked = [next_power, next_brightness, next_schedule];
    let target = lamp.under(next_power.or(power), next_brightness.or(brightness), asked, Source::Command);
    (target, in_effect)
}

fn newest(
    commands: &[Command],
    state: impl Fn(&&Command) -> bool,
    kind: impl Fn(&CommandKind) -> bool,
) -> Option<&Command> {
    commands.iter().filter(|c| kind(&c.kind) && state(c)).max_by_key(|c| c.requested_at)
}

fn schedule_of(command: Option<&Command>) -> Option<Schedule> {
    match command?.kind {
        CommandKind::Schedule(schedule) => Some(schedule),
        _ => None,
    }
}

struct Lamp {
    night: Night,
    now: UtcMillis,
}

impl Lamp {
    /// The lamp under these overrides; `why` are the commands that are to be named as the reason.
    fn under<const N: usize>(
        &self,
        power: Option<&Command>,
        brightness: Option<&Command>,
        why: [Option<&Command>; N],
        source: Source,
    ) -> Wanted {
        let local = TimeOfDay::at(self.now, self.night.utc_offset_minutes);
        let power_state = match power.map(|c| c.kind) {
            Some(CommandKind::Power(state)) => state,
            _ => self.night.schedule.wants(Some(local)),
        };
        let brightness_percent = match brightness.map(|c| c.kind) {
            Some(CommandKind::Brightness(percent)) => percent,
            _ if power_state == PowerState::On => self.night.brightness_percent,
            _ => 0,
        };
        let reason = why.into_iter().flatten().max_by_key(|c| c.requested_at);
        let until = match reason {
            None => self.edge_after(self.now),
            Some(_) if source == Source::Command => None,
            Some(_) => why.into_iter().flatten().filter_map(|c| self.end_of(c)).min(),
        };
        Wanted {
            power_state,
            brightness_percent,
            source: if reason.is_some() { source } else { Source::Schedule },
            command: reason.map(|c| (c.id.clone(), c.state)),
            until,
        }
    }

    /// When the override that this command was ends.
    fn end_of(&self, command: &Command) -> Option<UtcMillis> {
        // Our clock stands in where the device told none, or one that cannot be right.
        let finished = command.finished_at?;
        let began = command.executed_at.filter(|at| at.since(finished).abs() < DAY_MS).unwrap_or(finished);
        Some(self.edge_after(began).unwrap_or(UtcMillis(began.0 + DAY_MS)))
    }

    /// The next sunset or sunrise of the schedule.
    fn edge_after(&self, at: UtcMillis) -> Option<UtcMillis> {
        let Schedule { enabled, sunrise_time, sunset_time } = self.night.schedule;
        if !enabled || sunrise_time == sunset_time {
            return None;
        }
        let (day_s, local_s) = (TimeOfDay::DAY_SECONDS, TimeOfDay::at(at, self.night.utc_offset_minutes).seconds());
        let ahead_s = |edge: TimeOfDay| match (edge.seconds() + day_s - local_s) % day_s {
            0 => day_s,
            s => s,
        };
        let next_s = ahead_s(sunrise_time).min(ahead_s(sunset_time));
        Some(UtcMillis::from_seconds(at.seconds()).plus_seconds(i64::from(next_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccms_core::command::Priority;
    use ccms_core::ids::{DeviceNo, LightNo};

    fn at(text: &str) -> UtcMillis {
        UtcMillis::parse_lenient(text).unwrap()
    }

    fn night() -> Night {
        let time = |t| TimeOfDay::parse(t).unwrap();
        let schedule = Schedule { enabled: true, sunrise_time: time("06:00"), sunset_time: time("18:00") };
        Night { schedule, utc_offset_minutes: 0, brightness_percent: 80 }
    }

    fn command(n: u128, kind: CommandKind, state: CommandState, asked: UtcMillis) -> Command {
        Command {
            id: CommandId::from_random(n),
            light_no: LightNo(1),
            device_no: DeviceNo(1),
            kind,
            priority: Priority::High,
            state,
            requested_by: "a".into(),
            reason: None,
            requested_at: asked,
            expires_at: asked.plus_seconds(900),
            delivered_at: None,
            unverified_at: None,
            finished_at: (!state.is_live()).then(|| asked.plus_seconds(5)),
            executed_at: None,
            detail: None,
        }
    }

    #[test]
    fn without_commands_the_schedule_decides() {
        let (target, in_effect) = standing(&[], night(), at("2026-01-01T20:00:00Z"));
        assert_eq!(target, in_effect);
        assert_eq!(
            (target.power_state, target.brightness_percent, target.source),
            (PowerState::On, 80, Source::Schedule)
        );
        assert_eq!(target.until, Some(at("2026-01-02T06:00:00Z")));
        let (noon, _) = standing(&[], night(), at("2026-01-01T12:00:00Z"));
        assert_eq!((noon.power_state, noon.brightness_percent), (PowerState::Off, 0));
    }

    #[test]
    fn a_queued_command_is_the_target_and_not_yet_in_effect() {
        let now = at("2026-01-01T12:00:00Z");
        let asked = command(1, CommandKind::Power(PowerState::On), CommandState::Delivered, now);
        let (target, in_effect) = standing(&[asked], night(), now);
        assert_eq!((target.power_state, target.source), (PowerState::On, Source::Command));
        assert_eq!(target.command, Some((CommandId::from_random(1), CommandState::Delivered)));
        assert_eq!((in_effect.power_state, in_effect.source), (PowerState::Off, Source::Schedule));
    }

    #[test]
    fn an_executed_override_holds_until_the_next_turn_of_the_schedule() {
        let asked = at("2026-01-01T12:00:00Z");
        let done = [
            command(1, CommandKind::Power(PowerState::On), CommandState::Executed, asked),
            command(2, CommandKind::Brightness(40), CommandState::Executed, asked.plus_seconds(60)),
        ];
        let (target, in_effect) = standing(&done, night(), at("2026-01-01T17:59:59Z"));
        assert_eq!(target, in_effect);
        assert_eq!((in_effect.power_state, in_effect.brightness_percent), (PowerState::On, 40));
        assert_eq!((in_effect.source, in_effect.until), (Source::Override, Some(at("2026-01-01T18:00:00Z"))));
        let (_, over) = standing(&done, night(), at("2026-01-01T18:00:00Z"));
        assert_eq!((over.source, over.brightness_percent), (Source::Schedule, 80));
    }

    #[test]
    fn a_failed_command_changes_nothing_and_a_new_schedule_stays() {
        let now = at("2026-01-01T12:00:00Z");
        let failed = command(1, CommandKind::Power(PowerState::On), CommandState::Failed, now);
        assert_eq!(standing(&[failed], night(), now).0.source, Source::Schedule);
        let dark = Schedule { enabled: false, ..night().schedule };
        let told = command(2, CommandKind::Schedule(dark), CommandState::Executed, now);
        let (_, in_effect) = standing(&[told], night(), now.plus_seconds(86_400));
        assert_eq!(
            (in_effect.power_state, in_effect.source, in_effect.until),
            (PowerState::On, Source::Schedule, None)
        );
    }
}
