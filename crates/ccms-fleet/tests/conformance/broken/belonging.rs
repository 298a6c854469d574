//! Devices that do not know who they are, what time it is, or where they belong.
use ccms_device::{Kind, Outcome as Answered, Saved};
use serde_json::json;

use super::{fails, status_of};
use crate::bench::{Broken, Outgoing};

/// Dark until it is told the time.
#[derive(Default)]
struct Dark {
    boots: u32,
    told: bool,
}

impl Broken for Dark {
    fn boots(&mut self, _saved: &mut Saved) {
        self.boots += 1;
        self.told = false;
    }

    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        self.told |= kind == Kind::Configure && status_of(outcome) == 200;
        false
    }

    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        if self.boots > 1 && !self.told && out.kind == Kind::Configure {
            out.body["status"] = json!("off");
        }
        1
    }
}

#[test]
fn one_that_goes_dark_when_it_does_not_know_the_time() {
    let report = fails(Dark::default(), &[("lit-without-time", 1)]);
    assert_eq!(report.check("lit-without-time").unwrap().decisions, ["G25", "G14"]);
}

/// Every third poll goes out with the first token that it was ever given, and a refusal of that is nothing to it.
#[derive(Default)]
struct Faithful {
    first: Option<String>,
    polls: u32,
}

impl Faithful {
    fn is_faithful(&self) -> bool {
        self.polls.is_multiple_of(3)
    }
}

impl Broken for Faithful {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        if let Some(token) = &out.bearer {
            self.first.get_or_insert(token.clone());
        }
        self.polls += u32::from(out.kind == Kind::Commands);
        if out.kind == Kind::Commands && self.is_faithful() {
            out.bearer = self.first.clone();
        }
        1
    }

    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        if kind == Kind::Commands && self.is_faithful() && status_of(outcome) == 401 {
            *outcome = Answered::Answer { status: 200, body: br#"{"status":"ok","commands":[]}"#.to_vec() };
        }
        false
    }
}

#[test]
fn one_that_goes_on_with_a_refused_token() {
    fails(Faithful::default(), &[("rejected-token", 8), ("token-refresh", 8)]);
}

/// Its flash forgets who it is.
struct Blank;

impl Broken for Blank {
    fn boots(&mut self, saved: &mut Saved) {
        saved.settings.token = None;
        saved.settings.device_secret = None;
    }
}

#[test]
fn one_that_forgets_its_token_without_power() {
    fails(Blank, &[("token-survives", 7)]);
}

/// Three tries, and then a van has to come.
#[derive(Default)]
struct Resigned(u32);

impl Broken for Resigned {
    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        if kind == Kind::Configure {
            self.0 = if status_of(outcome) == 400 { self.0 + 1 } else { 0 };
        }
        false
    }

    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        usize::from(!(out.kind == Kind::Configure && self.0 >= 3))
    }
}

#[test]
fn one_that_gives_up_after_three_configures() {
    fails(Resigned::default(), &[("configure-for-ever", 1), ("ready-again", 5)]);
}
