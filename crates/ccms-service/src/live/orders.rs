//! Commands in memory: those that are not over, by their device; and of each light what it did last.
use ccms_core::command::{Command, CommandEvent, CommandState};
use ccms_core::ids::{CommandId, DeviceNo, LightNo};
use ccms_core::time::UtcMillis;

use super::small::Few;
use super::state::{LiveCommand, State};
use crate::told::Happening;

/// How far in its life a command is.
const fn age(state: CommandState) -> u8 {
    match state {
        CommandState::Queued => 0,
        CommandState::Delivered => 1,
        CommandState::Unverified => 2,
        _ => 3,
    }
}

impl State {
    pub fn put_command(&mut self, command: Command) {
        let (id, device_no, light_no) = (command.id.clone(), command.device_no, command.light_no);
        if let Some(device) = self.device_mut(device_no) {
            let ends = (command.expires_at, id.clone());
            device.command_steps += 1;
            // Another task may have read it back from the database already.
            device.commands.retain(|c| c.command.id != id);
            device.commands.push(LiveCommand { command, handed_out_at: None });
            self.expiring.insert(ends);
            self.device_by_command.insert(id, device_no);
            self.touched.insert(light_no);
        }
    }

    /// Takes a step in a command's life that is on disk. A command that is over leaves memory.
    pub fn command_changed(&mut self, id: &CommandId, event: CommandEvent, now: UtcMillis) {
        let Some(device) = self.command_owner(id).and_then(|no| self.device_mut(no)) else { return };
        let Some(at) = device.commands.iter().position(|c| c.command.id == *id) else { return };
        device.command_steps += 1;
        let held = &mut device.commands[at];
        let mut told = None;
        if let Some(next) = held.command.state.after(event) {
            held.command.state = next;
            if next == CommandState::Delivered {
                held.command.delivered_at.get_or_insert(now);
            }
            if next == CommandState::Unverified {
                held.command.unverified_at.get_or_insert(now);
            }
            if !next.is_live() {
                held.command.finished_at = Some(now);
            }
            told = Some(Happening::Command(Box::new(held.command.clone())));
        }
        let light_no = held.command.light_no;
        if !held.command.state.is_live() {
            let over = device.commands.remove(at).command;
            self.expiring.remove(&(over.expires_at, id.clone()));
            self.device_by_command.remove(id);
            if self.light(light_no).is_some_and(|l| l.executed_is_known) {
                self.note_executed(light_no, vec![over]);
            }
        }
        self.happened.extend(told);
        self.touched.insert(light_no);
    }

    /// Takes a command as the store has it. One that is over leaves memory.
    pub fn command_is(&mut self, command: Command) {
        let Some(device) = self.command_owner(&command.id).and_then(|no| self.device_mut(no)) else { return };
        let Some(at) = device.commands.iter().position(|c| c.command.id == command.id) else { return };
        if age(command.state) < age(device.commands[at].command.state) {
            // Read before it came to where it is here.
            return;
        }
        device.command_steps += 1;
        let (id, light_no) = (command.id.clone(), command.light_no);
        let ended = (device.commands[at].command.expires_at, id.clone());
        if command.state != device.commands[at].command.state {
            self.happened.push(Happening::Command(Box::new(command.clone())));
        }
        self.expiring.remove(&ended);
        if command.state.is_live() {
            self.expiring.insert((command.expires_at, id.clone()));
        }
        let Some(device) = self.device_mut(command.device_no) else { return };
        if command.state.is_live() {
            let held = &mut device.commands[at];
            held.handed_out_at = held.handed_out_at.max(command.delivered_at);
            held.command = command;
        } else {
            device.commands.remove(at);
            self.device_by_command.remove(&id);
            if command.state == CommandState::Executed {
                self.note_executed(light_no, vec![command]);
            }
        }
        self.touched.insert(light_no);
    }

    /// Commands whose time is over at `now`.
    pub fn expired_commands(&self, now: UtcMillis) -> impl Iterator<Item = &Command> {
        let over = self.expiring.iter().take_while(move |(at, _)| *at <= now);
        over.filter_map(|(_, id)| {
            let device = self.device(self.command_owner(id)?)?;
            device.commands.iter().map(|c| &c.command).find(|c| c.id == *id)
        })
    }

    /// Commands of a device as the store has them, in order: those that ended and those that are alive. True when there is
    /// one that was not known here.
    pub fn commands_are(&mut self, no: DeviceNo, commands: Vec<Command>) -> bool {
        let mut news = false;
        for command in commands {
            if self.command_owner(&command.id).is_some() {
                self.command_is(command);
            } else if command.state.is_live() && self.device(no).is_some() {
                // Handed out by another process is handed out: it rests as long as if this one had done it.
                let (id, handed_out_at) = (command.id.clone(), command.delivered_at);
                self.happens(Happening::Command(Box::new(command.clone())));
                self.put_command(command);
                let held = self.device_mut(no).into_iter().flat_map(|d| &mut d.commands);
                held.filter(|c| c.command.id == id).for_each(|c| c.handed_out_at = handed_out_at);
                news = true;
            }
        }
        news
    }

    /// Keeps the newest executed command of each type, of these and those that are known.
    pub fn note_executed(&mut self, no: LightNo, commands: Vec<Command>) {
        let Some(light) = self.light_mut(no) else { return };
        light.executed_is_known = true;
        let known = &mut light.executed;
        for command in commands.into_iter().filter(|c| c.state == CommandState::Executed) {
            match known.iter_mut().find(|k| k.kind.command_type() == command.kind.command_type()) {
                None => known.push(command),
                Some(older) if older.requested_at <= command.requested_at => *older = command,
                Some(_) => {}
            }
        }
    }

    /// What was executed is not known after all.
    pub fn forget_executed(&mut self, no: LightNo) {
        if let Some(light) = self.light_mut(no) {
            (light.executed, light.executed_is_known) = (Few::default(), false);
        }
    }
}
