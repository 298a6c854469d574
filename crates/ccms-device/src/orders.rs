//! Obeying (§3): polls, commands, acknowledgements. A command has one effect over restarts, because its id is in flash before
//! the lamp moves; an expired one has none. Whether it is expired is asked of the server's own clock, which stands in the
//! same answer: a device whose clock is wrong must not refuse everything.
use ccms_core::command::{AckStatus, CommandKind};
use ccms_core::ids::CommandId;
use ccms_core::limits::{COMMAND_IDS_REMEMBERED, POLL_INTERVAL_URGENT_S};
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::{AckRequest, AckResult};
use ccms_core::wire::commands::CommandMessage;
use serde_json::{Map, Value};

use crate::answer::{Answer, Verdict, instant};
use crate::clock::Uptime;
use crate::config::{POLL_PACE_S, RESET_GAP_S};
use crate::device::Device;
use crate::exchange::Output;
use crate::lamp::{Circumstances, is_dark};
use crate::logbook::Level;
use crate::request::Kind;
use crate::saved::Remembered;
use crate::state::State;

/// The most commands of one answer that are looked at. The server keeps one for each of four types alive.
const COMMANDS_PER_ANSWER_MAX: usize = 32;

impl Device {
    pub(crate) fn on_poll_answer(&mut self, at: Uptime, verdict: Verdict) {
        match verdict {
            Verdict::Done(answer) => self.polled(at, answer),
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::Refused { status, .. } if self.state != State::Offline => {
                self.log(at, Level::Warning, format!("poll refused with {status}"));
                self.lane_mut(Kind::Commands).not_before = at.plus_s(u64::from(self.poll_interval_s()));
            }
            Verdict::Refused { .. } | Verdict::ServerError { .. } | Verdict::NoAnswer | Verdict::Unreadable => {
                self.lane_failed(at, Kind::Commands, &verdict);
            }
        }
    }

    fn polled(&mut self, at: Uptime, mut answer: Answer) {
        // One command of an unknown type must not cost the others, so each is read by itself.
        let commands = match answer.0.remove("commands") {
            Some(Value::Array(commands)) => commands,
            _ => Vec::new(),
        };
        self.contact(at);
        let server = answer.instant("server_timestamp");
        if let Some(server) = server {
            self.hear_time(at, server, true);
        }
        let urgent = commands.iter().any(|c| c.get("priority").and_then(Value::as_str) == Some("high"));
        let usual_s = if urgent { POLL_INTERVAL_URGENT_S } else { self.poll_interval_s() };
        let pace_s = answer.number("next_poll_seconds").unwrap_or(usual_s).clamp(POLL_PACE_S.0, POLL_PACE_S.1);
        self.lane_mut(Kind::Commands).not_before = at.plus_s(u64::from(pace_s));
        // A technician took the lock while the poll was under way: the server hands them out again.
        if self.state == State::Maintenance {
            return;
        }
        for command in commands.into_iter().take(COMMANDS_PER_ANSWER_MAX) {
            if let Value::Object(command) = command {
                self.obey(at, server, command);
            }
            if self.state == State::PowerOff {
                return;
            }
        }
    }

    fn obey(&mut self, at: Uptime, server: Option<UtcMillis>, raw: Map<String, Value>) {
        // Without an id nothing can be remembered or acknowledged, so nothing is done.
        let id = raw.get("command_id").or(raw.get("id")).and_then(Value::as_str).and_then(|t| CommandId::parse(t).ok());
        let Some(id) = id else { return };
        if let Some(done) = self.settings.remembered.iter().find(|r| r.id == id).cloned() {
            // Redelivered: the acknowledgement was lost. The effect is not repeated.
            self.acknowledge(at, done, Some("already acted upon".into()));
            return;
        }
        let now = self.clock.guess(at);
        // An end that is there and cannot be read is no reason to do it for ever.
        let expired = match raw.get("expires_at") {
            None | Some(Value::Null) => false,
            Some(end) => instant(end).is_none_or(|end| server.unwrap_or(now) >= end),
        };
        let revert_after_s = raw.get("revert_after_seconds").and_then(Value::as_f64).map(|s| s as i64);
        let command = serde_json::from_value::<CommandMessage>(readable(raw)).ok();
        let kind = command.and_then(|c| c.kind());
        let (status, message) = match kind {
            _ if expired => (AckStatus::Expired, None),
            None => (AckStatus::Rejected, Some("unknown type, or a field is missing".to_owned())),
            Some(kind) => self.execute(at, kind, revert_after_s),
        };
        // Whole seconds, so that flash and memory tell the same story.
        let done = Remembered { id, status, at: UtcMillis::from_seconds(now.seconds()) };
        if self.settings.remembered.len() >= COMMAND_IDS_REMEMBERED {
            self.settings.remembered.pop_front();
        }
        self.settings.remembered.push_back(done.clone());
        self.acknowledge(at, done, message);
        if kind == Some(CommandKind::Reset) && status == AckStatus::Executed {
            self.restart(at);
            return;
        }
        self.drive_lamp(at);
        if status == AckStatus::Executed {
            // The document asks for a status after each command, also when the lamp was there already.
            self.report_soon(at);
        }
    }

    fn execute(&mut self, at: Uptime, kind: CommandKind, revert_after_s: Option<i64>) -> (AckStatus, Option<String>) {
        let schedule = self.schedule();
        let circumstances = Circumstances {
            at,
            known: self.clock.known(at),
            schedule: schedule.as_ref(),
            utc_offset_minutes: self.utc_offset_minutes(),
        };
        let by_day = revert_after_s.is_none() && !circumstances.may_be_night();
        match kind {
            CommandKind::Power(power) => {
                let until = circumstances.override_end(power == PowerState::Off, revert_after_s);
                self.settings.manual.power = Some((power, until));
                self.settings.manual.power_by_day = by_day;
            }
            CommandKind::Brightness(percent) => {
                let until = circumstances.override_end(is_dark(percent), revert_after_s);
                self.settings.manual.brightness = Some((percent, until));
                self.settings.manual.brightness_by_day = by_day;
            }
            CommandKind::Schedule(new) => {
                let Some(config) = &mut self.settings.config else {
                    return (AckStatus::Failed, Some("not configured".into()));
                };
                config.schedule_enabled = new.enabled;
                (config.sunrise_time, config.sunset_time) = (new.sunrise_time, new.sunset_time);
            }
            CommandKind::Reset if self.was_reset_lately(at) => {
                return (AckStatus::Rejected, Some("it was restarted less than an hour ago".into()));
            }
            CommandKind::Reset => self.settings.last_reset = Some(self.clock.guess(at)),
        }
        (AckStatus::Executed, None)
    }

    /// By a clock that was set back since, it was.
    fn was_reset_lately(&self, at: Uptime) -> bool {
        let since_s = |last: UtcMillis| self.clock.guess(at).since(last) / 1000;
        self.settings.last_reset.is_some_and(|last| since_s(last).abs() < RESET_GAP_S)
    }

    /// The acknowledgement is in flash by now, and goes out after the restart; the command comes again until then, and is
    /// known.
    pub(crate) fn restart(&mut self, at: Uptime) {
        self.log(at, Level::Info, "restarting".into());
        self.power_off(at);
        self.outputs.push_back(Output::Restart);
    }

    fn acknowledge(&mut self, at: Uptime, done: Remembered, message: Option<String>) {
        if self.acks.iter().any(|p| p.item.command_id == done.id) {
            // It waits already; the server is there to hear it.
            self.acks.revive(at, |ack| ack.command_id == done.id);
            return;
        }
        let lamp = self.lamp_wanted(at);
        let ack = AckRequest {
            device_id: self.config.device_id.to_string(),
            command_id: done.id,
            status: done.status,
            execution_timestamp: done.at,
            result: Some(AckResult {
                new_state: Some(lamp.power),
                actual_brightness: Some(lamp.brightness_percent),
                message,
            }),
        };
        self.acks.push(ack, at);
        self.save_acks(at);
    }

    pub(crate) fn save_acks(&mut self, at: Uptime) {
        self.settings.acks = self.acks.all();
        self.persist(at);
    }

    pub(crate) fn send_ack(&mut self, at: Uptime) {
        let Some(ack) = self.acks.due(at, &self.covering.acks) else { return };
        let (no, body) = (ack.no, serde_json::to_vec(&ack.item).unwrap_or_default());
        self.acking = vec![no];
        self.send(at, Kind::CommandAck, body);
    }

    pub(crate) fn on_ack_answer(&mut self, at: Uptime, verdict: Verdict) {
        let nos = std::mem::take(&mut self.acking);
        let Some(no) = nos.first().copied() else { return };
        match verdict {
            Verdict::Done(_) => {
                if self.acks.remove(&nos) {
                    self.save_acks(at);
                }
                self.contact(at);
            }
            Verdict::Refused { status, .. } => {
                self.log(at, Level::Warning, format!("an acknowledgement was refused with {status}"));
                if self.acks.refused(no, at) && self.acks.remove(&nos) {
                    self.save_acks(at);
                }
            }
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::ServerError { .. } | Verdict::NoAnswer | Verdict::Unreadable => {
                self.acks.failed(no, at, &mut self.chance);
            }
        }
    }
}

/// A command without those additions that are of another type than agreed: they must not cost the rest of it.
fn readable(mut raw: Map<String, Value>) -> Value {
    for addition in ["expires_at", "revert_after_seconds", "priority", "requested_at", "timestamp"] {
        raw.remove(addition);
    }
    Value::Object(raw)
}
