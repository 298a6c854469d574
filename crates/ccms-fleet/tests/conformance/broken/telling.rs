//! Devices that tell in the wrong way, or lose what they should tell.
use ccms_device::{Kind, Outcome as Answered, Sensors};
use serde_json::{Value, json};

use super::{each_reading, fails, status_of};
use crate::bench::{Broken, Outgoing};

/// Every third reading of an outage is lost.
struct Leaky;

impl Broken for Leaky {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        if let Some(readings) = out.body.get_mut("readings").and_then(Value::as_array_mut).filter(|r| r.len() > 5) {
            readings.retain(|reading| reading["seq"].as_u64().is_some_and(|seq| seq % 3 != 0));
        }
        1
    }
}

#[test]
fn one_that_loses_the_readings_of_an_outage() {
    fails(Leaky, &[("readings-kept", 2)]);
}

/// Readings first, acknowledgements and alerts when they are through.
#[derive(Default)]
struct Backwards {
    held: Vec<Outgoing>,
    send: bool,
}

impl Broken for Backwards {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        if out.kind == Kind::Sync {
            for (section, kind) in [("acks", Kind::CommandAck), ("alerts", Kind::Alert)] {
                let Some(Value::Array(items)) = out.body.as_object_mut().unwrap().remove(section) else { continue };
                let single = |body| Outgoing { kind, bearer: out.bearer.clone(), body, pack: false };
                self.held.extend(items.into_iter().map(single));
            }
        }
        1
    }

    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        self.send = kind == Kind::Sync && status_of(outcome) == 200;
        false
    }

    fn adds(&mut self) -> Vec<Outgoing> {
        if self.send { std::mem::take(&mut self.held) } else { Vec::new() }
    }
}

#[test]
fn one_that_catches_up_in_the_wrong_order() {
    let report = fails(Backwards::default(), &[("sync-order", 7)]);
    let seen = &report.check("sync-order").unwrap().seen;
    assert!(seen.starts_with("status, readings, logs, ack"), "{seen}");
}

struct Bulky;

impl Broken for Bulky {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        out.pack = false;
        1
    }
}

#[test]
fn one_that_does_not_pack_what_is_large() {
    fails(Bulky, &[("gzip", 7)]);
}

/// It tells that it is hot, and takes its time all the same.
#[derive(Default)]
struct Calm(Option<i16>);

impl Broken for Calm {
    fn measures(&mut self, sensors: &mut Sensors) {
        self.0 = (sensors.temperature_dc > 600).then_some(sensors.temperature_dc);
        sensors.temperature_dc = sensors.temperature_dc.min(599);
    }

    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        if let Some(hot) = self.0 {
            each_reading(out, |reading| {
                if reading.pointer("/status/temperature_celsius").is_some() {
                    reading["status"]["temperature_celsius"] = json!(f64::from(hot) / 10.0);
                }
            });
        }
        1
    }
}

#[test]
fn one_that_reports_no_faster_when_it_is_hot() {
    fails(Calm::default(), &[("hot-cadence", 2), ("heat-alert", 9)]);
}

struct Stringly;

impl Broken for Stringly {
    fn sends(&mut self, _now_ms: u64, out: &mut Outgoing) -> usize {
        each_reading(out, |reading| {
            for field in ["/status/brightness", "/status/temperature_celsius", "/energy/voltage"] {
                if let Some(number) = reading.pointer_mut(field) {
                    *number = json!(number.to_string());
                }
            }
        });
        1
    }
}

#[test]
fn one_that_writes_numbers_as_texts() {
    let report = fails(Stringly, &[("status-form", 2)]);
    let seen = &report.check("status-form").unwrap().seen;
    assert!(seen.contains("energy.voltage is \"230.5\", not a number"), "{seen}");
}

/// A broken connection is as good as a success.
#[derive(Default)]
struct Optimist;

impl Broken for Optimist {
    fn hears(&mut self, kind: Kind, outcome: &mut Answered) -> bool {
        if matches!(kind, Kind::Status | Kind::Sync) && *outcome == Answered::NoAnswer {
            *outcome = Answered::Answer { status: 200, body: b"{}".to_vec() };
        }
        false
    }
}

#[test]
fn one_that_takes_a_lost_answer_for_a_success() {
    fails(Optimist, &[("reading-after-lost-answer", 2), ("sync-again", 7)]);
}
