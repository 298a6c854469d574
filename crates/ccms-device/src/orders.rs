//! Obeying: polls, commands, acknowledgements. A command has one effect over restarts, because its id is in flash before the
//! lamp moves; an expired one has none.
use ccms_core::command::{AckStatus, CommandKind};
use ccms_core::ids::CommandId;
use ccms_core::limits::COMMAND_IDS_REMEMBERED;
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::{AckRequest, AckResult};
use ccms_core::wire::commands::CommandMessage;
use serde::Deserialize;
use serde_json::Value;

use crate::clock::Uptime;
use crate::config::POLL_PACE_S;
use crate::device::Device;
use crate::lamp::override_end;
use crate::request::{Kind, Verdict};
use crate::saved::Remembered;
use crate::state::State;

/// The documented answer to a poll, with its commands unread: one of an unknown type must not cost the others.
#[derive(Deserialize)]
struct PollAnswer {
    #[serde(default)]
    commands: Vec<Value>,
    server_timestamp: Option<UtcMillis>,
    next_poll_seconds: Option<u32>,
}

impl Device {
    pub(crate) fn poll_if_due(&mut self, at: Uptime) {
        if self.poll.in_flight.is_none() && self.poll.not_before <= at {
            self.send(at, Kind::Commands, Vec::new());
        }
    }

    pub(crate) fn on_poll_answer(&mut self, at: Uptime, verdict: Verdict) {
        let offline = self.state == State::Offline;
        match verdict {
            Verdict::Done(body) => {
                let interval_s = self.poll_interval_s();
                let Ok(answer) = serde_json::from_slice::<PollAnswer>(&body) else {
                    self.log("the answer to a poll is unreadable".into());
                    self.poll.not_before = at.plus_s(u64::from(interval_s));
                    return;
                };
                self.contact(at);
                if let Some(server) = answer.server_timestamp {
                    self.hear_time(at, server, true);
                }
                let pace_s = answer.next_poll_seconds.unwrap_or(interval_s).clamp(POLL_PACE_S.0, POLL_PACE_S.1);
                self.poll.not_before = at.plus_s(u64::from(pace_s));
                answer.commands.into_iter().for_each(|command| self.obey(at, command));
            }
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::Refused { .. } | Verdict::ServerError { .. } | Verdict::NoAnswer if offline => {
                self.backoff_step += 1;
                self.poll.not_before = at.plus_ms(self.backoff_ms());
            }
            Verdict::Refused { status, .. } => {
                self.log(format!("poll refused with {status}"));
                self.poll.not_before = at.plus_s(u64::from(self.poll_interval_s()));
            }
            Verdict::ServerError { .. } | Verdict::NoAnswer => self.lane_failed(at, Kind::Commands, &verdict),
        }
    }

    fn obey(&mut self, at: Uptime, raw: Value) {
        let revert_after_s = raw.get("revert_after_seconds").and_then(Value::as_i64);
        // Without an id nothing can be remembered or acknowledged, so nothing is done.
        let id = raw.get("command_id").or(raw.get("id")).and_then(Value::as_str).and_then(|t| CommandId::parse(t).ok());
        let Some(id) = id else { return };
        if let Some(done) = self.settings.remembered.iter().find(|r| r.id == id).cloned() {
            // Redelivered: the acknowledgement was lost. The effect is not repeated.
            self.acknowledge(at, done, Some("already acted upon".into()));
            return;
        }
        let now = self.clock.guess(at);
        let command = serde_json::from_value::<CommandMessage>(raw).ok();
        let expired = command.as_ref().and_then(|c| c.expires_at).is_some_and(|end| now >= end);
        let (status, message) = match command.and_then(|c| c.kind()) {
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
        self.drive_lamp(at);
    }

    fn execute(&mut self, at: Uptime, kind: CommandKind, revert_after_s: Option<i64>) -> (AckStatus, Option<String>) {
        let schedule = self.schedule();
        let until =
            override_end(at, self.clock.known(at), schedule.as_ref(), self.utc_offset_minutes(), revert_after_s);
        match kind {
            CommandKind::Power(power) => self.settings.manual.power = Some((power, until)),
            CommandKind::Brightness(percent) => self.settings.manual.brightness = Some((percent, until)),
            CommandKind::Schedule(new) => {
                let Some(config) = &mut self.settings.config else {
                    return (AckStatus::Failed, Some("not configured".into()));
                };
                config.schedule_enabled = new.enabled;
                (config.sunrise_time, config.sunset_time) = (new.sunrise_time, new.sunset_time);
            }
            CommandKind::Reset => return (AckStatus::Rejected, Some("this controller cannot restart itself".into())),
        }
        (AckStatus::Executed, None)
    }

    fn acknowledge(&mut self, at: Uptime, done: Remembered, message: Option<String>) {
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

    fn save_acks(&mut self, at: Uptime) {
        self.settings.acks = self.acks.all();
        self.persist(at);
    }

    /// After an outage the server hears first what was done.
    pub(crate) fn acks_go_first(&self) -> bool {
        let waiting =
            self.ack.in_flight.is_some() || self.acks.next_due().is_some_and(|due| due <= self.status.not_before);
        waiting && self.readings.len() > 1
    }

    pub(crate) fn ack_if_due(&mut self, at: Uptime) {
        if self.ack.in_flight.is_some() || self.ack.not_before > at {
            return;
        }
        let Some(ack) = self.acks.due(at).cloned() else { return };
        self.acking = Some(ack.command_id.clone());
        let body = serde_json::to_vec(&ack).unwrap_or_default();
        self.send(at, Kind::CommandAck, body);
    }

    pub(crate) fn on_ack_answer(&mut self, at: Uptime, verdict: Verdict) {
        let Some(id) = self.acking.take() else { return };
        match verdict {
            Verdict::Done(_) => {
                self.acks.remove(&id);
                self.save_acks(at);
                self.contact(at);
            }
            Verdict::Refused { status, .. } => {
                self.log(format!("acknowledgement of {id} refused with {status}"));
                if self.acks.refused(&id, at) {
                    self.acks.remove(&id);
                    self.save_acks(at);
                }
            }
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::ServerError { .. } | Verdict::NoAnswer => self.acks.failed(&id, at, &mut self.chance),
        }
    }

    /// The server answers again: acknowledgements are due at once.
    pub(crate) fn back_online(&mut self, at: Uptime) {
        self.backoff_step = 0;
        self.ack.not_before = at;
        self.acks.revive(at);
    }
}
