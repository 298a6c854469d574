//! What is sent for people's sake: logs (§7, last of all; at once after an error), and the question how the server sees this
//! device (§12, `health`).
use ccms_core::limits::LOGS_INTERVAL_S;
use ccms_core::wire::logs::LogsRequest;

use crate::answer::{Verdict, asked_wait_s};
use crate::clock::Uptime;
use crate::config::{JITTER_PERCENT, LOGS_EVERY_S};
use crate::device::Device;
use crate::request::Kind;

impl Device {
    pub(crate) fn send_logs(&mut self, at: Uptime) {
        let logs = self.logbook.lines().iter().cloned().collect();
        let request = LogsRequest { device_id: self.config.device_id.to_string(), logs };
        self.logs_end = self.logbook.end();
        self.send(at, Kind::Logs, serde_json::to_vec(&request).unwrap_or_default());
    }

    pub(crate) fn on_logs_answer(&mut self, at: Uptime, verdict: Verdict) {
        let next_ms = self.chance.stretched(LOGS_EVERY_S * 1000, JITTER_PERCENT);
        self.logs_due = at.plus_ms(next_ms);
        // The server takes them once a minute.
        self.lane_mut(Kind::Logs).not_before = at.plus_s(u64::from(LOGS_INTERVAL_S));
        match verdict {
            Verdict::Done(_) => {
                self.logbook.remove_until(self.logs_end);
                self.contact(at);
            }
            Verdict::Refused { .. } => {
                if self.is_refused_again(at, Kind::Logs) {
                    self.logbook.remove_until(self.logs_end);
                }
                self.lane_mut(Kind::Logs).not_before = at.plus_s(u64::from(LOGS_INTERVAL_S));
            }
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::ServerError { error } => {
                let wait_s = asked_wait_s(error.as_ref()).unwrap_or(0).max(u64::from(LOGS_INTERVAL_S));
                self.lane_mut(Kind::Logs).not_before = at.plus_s(wait_s);
            }
            Verdict::NoAnswer | Verdict::Unreadable => {}
        }
    }

    pub(crate) fn on_health_answer(&mut self, at: Uptime, verdict: Verdict) {
        self.asks_health = false;
        let text = match verdict {
            Verdict::Done(answer) => {
                self.contact(at);
                let said = |name| answer.text(name).unwrap_or("nothing").to_owned();
                let pending = answer.number("pending_commands").unwrap_or(0);
                let (colour, last) = (said("indicator"), said("last_status_at"));
                format!("The server sees {colour}; last status {last}; {pending} commands wait")
            }
            Verdict::Reconfigure { status } => {
                self.reconfigure(at, status);
                "The server does not know this device".into()
            }
            Verdict::Refused { status, .. } => format!("The server answered {status}"),
            Verdict::ServerError { .. } => "The server has an error".into(),
            Verdict::NoAnswer | Verdict::Unreadable => "The server does not answer".into(),
        };
        self.show(self.led(), text);
    }
}
