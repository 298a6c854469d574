//! Devices that are broken in one way each: the common mistakes. Each must fail in the checks that speak of it, with the right
//! section, and in no other.
mod belonging;
mod obeying;
mod telling;

use ccms_device::{Kind, Outcome as Answered};
use ccms_fleet::conformance::check::Outcome;
use ccms_fleet::conformance::{Report, Rules};
use serde_json::Value;

use crate::bench::{Broken, Outgoing, START, examine};

/// Examines it in full and expects these failures: name and first section.
fn fails(broken: impl Broken + 'static, expected: &[(&str, u8)]) -> Report {
    let report = examine(Rules::new(START), broken);
    let failed = report.checks.iter().filter(|c| c.outcome == Outcome::Fail);
    let failed: Vec<(&str, u8)> = failed.map(|c| (c.name, c.section())).collect();
    let why: Vec<String> = report
        .checks
        .iter()
        .filter(|c| c.outcome != Outcome::Pass)
        .map(|c| format!("{}: {}", c.name, c.seen))
        .collect();
    assert_eq!(failed, expected, "{}", why.join("\n"));
    report
}

/// Changes the JSON of an answer.
fn edit(outcome: &mut Answered, change: impl FnOnce(&mut Value)) {
    if let Answered::Answer { body, .. } = outcome
        && let Ok(mut value) = serde_json::from_slice::<Value>(body)
    {
        change(&mut value);
        *body = value.to_string().into_bytes();
    }
}

fn status_of(outcome: &Answered) -> u16 {
    match outcome {
        Answered::Answer { status, .. } => *status,
        Answered::NoAnswer => 0,
    }
}

/// Each reading of a sync.
fn readings(body: &mut Value) -> Vec<&mut Value> {
    let mut found = Vec::new();
    for (name, value) in body.as_object_mut().into_iter().flatten() {
        match (name.as_str(), value) {
            ("status", status) => found.push(status),
            ("readings", Value::Array(list)) => found.extend(list.iter_mut()),
            _ => {}
        }
    }
    found
}

/// Applies to the one reading of a status, or to each of a sync.
fn each_reading(out: &mut Outgoing, mut change: impl FnMut(&mut Value)) {
    match out.kind {
        Kind::Status => change(&mut out.body),
        Kind::Sync => readings(&mut out.body).into_iter().for_each(change),
        _ => {}
    }
}
