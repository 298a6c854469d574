//! Two minutes in which nothing happens.
use ccms_core::limits::{POLL_INTERVAL_S, STATUS_INTERVAL_S};
use ccms_device::Kind;

use super::SETTLED;
use crate::conformance::check::{Check, Finding};
use crate::conformance::scene::{Scene, figures, gaps, of, reports};
use crate::conformance::script::{Script, Step};

const STATUS: Check = Check::new("status-cadence", &[2, 11], &[], "a status every 30 s while nothing changes");
const POLL: Check = Check::new("poll-cadence", &[3, 11], &[23], "a poll every 10 s");
const TIME: Check = Check::new(
    "status-time",
    &[2],
    &[14],
    "timestamps are in UTC and follow server_timestamp, or a clock of the device's own, within 10 s",
);
const COUNTERS: Check =
    Check::new("counters", &[2], &[], "uptime_seconds grows as time does, and cumulative_kwh never falls");

/// How far a cadence may be off, in seconds.
const STATUS_OFF_S: f64 = 3.0;
const POLL_OFF_S: f64 = 3.0;
const TIME_OFF_MS: i64 = 10_000;
const UPTIME_OFF_S: f64 = 3.0;

pub const SCRIPT: Script = Script {
    name: "rhythm",
    title: "Two minutes in which nothing happens",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Rest(|_| 5),
        Step::Mark("quiet"),
        Step::Rest(|_| 125),
        Step::Judge(&STATUS, status),
        Step::Judge(&POLL, poll),
        Step::Judge(&TIME, time),
        Step::Judge(&COUNTERS, counters),
    ],
};

fn status(s: &Scene<'_>) -> Finding {
    let all = reports(s.after("quiet"));
    // What changed is told at once, and may be.
    let steady: Vec<_> = all
        .windows(2)
        .filter(|w| {
            let state = |i: usize| w[i].said.readings.first().map(|r| r.state.as_str());
            state(0) == state(1)
        })
        .map(|w| (w[1].at_ms - w[0].at_ms) as f64 / 1000.0)
        .collect();
    let every = f64::from(STATUS_INTERVAL_S);
    let good = steady.iter().all(|gap| (gap - every).abs() <= STATUS_OFF_S);
    Finding::of(good && all.len() >= 4, format!("{} statuses in 125 s, distances {}", all.len(), figures(&steady)))
}

fn poll(s: &Scene<'_>) -> Finding {
    let all = of(s.after("quiet"), Kind::Commands);
    let gaps = gaps(&all);
    let every = f64::from(POLL_INTERVAL_S);
    let good = gaps.iter().all(|gap| (gap - every).abs() <= POLL_OFF_S);
    Finding::of(good && all.len() >= 9, format!("{} polls in 125 s, distances {}", all.len(), figures(&gaps)))
}

fn time(s: &Scene<'_>) -> Finding {
    let off = s.present(s.mark("quiet")).map(|(call, r)| r.at.map(|at| at.since(s.part.utc(call.at_ms))));
    let offs: Option<Vec<i64>> = off.collect();
    match offs {
        None => Finding::fail("a status without a timestamp that can be read"),
        Some(offs) if offs.is_empty() => Finding::not_seen("no status came"),
        Some(offs) => {
            let worst = offs.iter().copied().max_by_key(|ms| ms.abs()).unwrap_or_default();
            Finding::of(worst.abs() <= TIME_OFF_MS, format!("off by {:.1} s at most", worst as f64 / 1000.0))
        }
    }
}

fn counters(s: &Scene<'_>) -> Finding {
    let readings: Vec<_> = s.present(s.mark("quiet")).collect();
    let mut complaints = Vec::new();
    for pair in readings.windows(2) {
        let ((call_a, a), (call_b, b)) = (pair[0], pair[1]);
        let passed = (call_b.at_ms - call_a.at_ms) as f64 / 1000.0;
        match a.uptime.zip(b.uptime) {
            None => complaints.push("no uptime_seconds".into()),
            Some((a, b)) if (b - a - passed).abs() > UPTIME_OFF_S => {
                complaints.push(format!("uptime_seconds went from {a} to {b} in {passed:.1} s"));
            }
            Some(_) => {}
        }
        if let Some((a, b)) = a.kwh.zip(b.kwh).filter(|(a, b)| b < a) {
            complaints.push(format!("cumulative_kwh fell from {a} to {b}"));
        }
    }
    match readings.len() {
        0 | 1 => Finding::not_seen("fewer than two statuses came"),
        n => Finding::of_complaints(&complaints, format!("so they did in {n} statuses")),
    }
}
