//! Devices that obey, poll or repeat in the wrong way.
use ccms_device::{Kind, Outcome as Answered};
use ccms_fleet::conformance::Rules;
use ccms_fleet::conformance::check::Outcome;
use serde_json::{Value, json};

use super::{edit, fails, status_of};
use crate::bench::{Broken, Outgoing, START, examine};

/// It remembers no ids: the device sees each delivery under a name of its own, and the server the true one.
#[derive(Default)]
struct Forgetful(u32);

impl Broken for Forgetful {
    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        if kind == Kind::Commands {
            self.0 += 1;
            let number = self.0;
            edit(outcome, |answer| {
                for command in answer["commands"].as_array_mut().into_iter().flatten() {
                    command["command_id"] = json!(format!("{}-{number}", command["command_id"].as_str().unwrap()));
                }
            });
        }
        false
    }

    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        let restore = |ack: &mut Value| {
            if let Some(id) = ack["command_id"].as_str().and_then(|id| id.split('-').next()) {
                ack["command_id"] = json!(id);
            }
        };
        match out.kind {
            Kind::CommandAck => restore(&mut out.body),
            Kind::Sync => {
                let acks = out.body.get_mut("acks").and_then(Value::as_array_mut);
                acks.into_iter().flatten().for_each(restore);
            }
            _ => {}
        }
        1
    }
}

#[test]
fn one_that_executes_a_command_twice() {
    fails(Forgetful::default(), &[("once-per-command", 3), ("once-over-restart", 7)]);
}

/// What is refused with 500 is tried again at once, three times.
#[derive(Default)]
struct Impatient(u32);

impl Broken for Impatient {
    fn hears(&mut self, _kind: Kind, outcome: &mut Answered) -> bool {
        self.0 = if status_of(outcome) == 500 { self.0 + 1 } else { 0 };
        !self.0.is_multiple_of(4)
    }
}

#[test]
fn one_that_tries_again_at_once() {
    fails(Impatient::default(), &[("retry-ladder", 6), ("wait-after-500", 6)]);
}

struct Timeless;

impl Broken for Timeless {
    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        if kind == Kind::Commands {
            edit(outcome, |answer| {
                for command in answer["commands"].as_array_mut().into_iter().flatten() {
                    command.as_object_mut().unwrap().remove("expires_at");
                }
            });
        }
        false
    }
}

#[test]
fn one_that_does_not_look_at_the_expiry() {
    fails(Timeless, &[("expiry", 3)]);
}

/// The server's word on the next poll is twisted.
struct Slow;

impl Broken for Slow {
    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        if matches!(kind, Kind::Commands | Kind::Status | Kind::Sync) {
            edit(outcome, |answer| {
                if let Some(next) = answer.get_mut("next_poll_seconds").filter(|next| next.as_u64() < Some(30)) {
                    *next = json!(17);
                }
            });
        }
        false
    }
}

#[test]
fn one_that_polls_at_a_pace_of_its_own() {
    fails(Slow, &[("poll-cadence", 3), ("urgent-polls", 3)]);
}

/// Every fourth poll is sent twice.
#[derive(Default)]
struct Stammering(u32);

impl Broken for Stammering {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        self.0 += u32::from(out.kind == Kind::Commands);
        if out.kind == Kind::Commands && self.0.is_multiple_of(4) { 2 } else { 1 }
    }
}

#[test]
fn one_that_polls_twice_at_a_time() {
    let report = examine(Rules::new(START), Stammering::default());
    let failed = report.names(Outcome::Fail);
    assert!(failed.contains(&"poll-cadence") && failed.contains(&"timeout-retry"), "{failed:?}");
}
