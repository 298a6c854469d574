//! What the server says the time is, true and false.
use ccms_core::limits::CLOCK_FLOOR_S;
use ccms_core::time::UtcMillis;

use super::{POLL_S, REPORT_S, SETTLED};
use crate::conformance::check::{Check, Finding};
use crate::conformance::orders::Order;
use crate::conformance::scene::Scene;
use crate::conformance::script::{Script, Step, need, wait};

const JUMP: Check = Check::new(
    "clock-jump",
    &[2],
    &[14],
    "when server_timestamp jumps by two hours the device goes on reporting, by the new time or by a clock of its own",
);
const BY_SERVER: Check = Check::new(
    "expiry-by-server",
    &[3],
    &[18],
    "a command that is alive by server_timestamp is executed, whatever the device's own clock says",
);
const FLOOR: Check = Check::new(
    "clock-floor",
    &[2],
    &[14],
    "a server_timestamp of 1970 is not believed: no timestamp before 2020 comes",
);

const JUMP_S: i64 = 7_200;
const OFF_MS: i64 = 15_000;

pub const SCRIPT: Script = Script {
    name: "clock",
    title: "The server's clock jumps, and is wrong",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.jump_s = JUMP_S),
        Step::Mark("jump"),
        need("a poll and a status", |_| REPORT_S, |s| s.present(s.mark("jump")).next().is_some()),
        Step::Mark("told"),
        Step::Do(|p, now| p.order(now, Order::brightness("jumped", 57))),
        need("the poll that brings a command", |_| POLL_S, |s| s.handed("jumped").is_some()),
        wait("its acknowledgement", |_| 20, |s| s.acked("jumped").is_some()),
        wait("two statuses", |_| 2 * REPORT_S, |s| s.present(s.mark("told")).count() >= 2),
        Step::Judge(&JUMP, jump),
        Step::Judge(&BY_SERVER, |s| {
            let word = s.order("jumped").and_then(|o| o.acks.first()).map_or("not at all", |(_, word)| word.as_str());
            Finding::of(word == "executed", format!("acknowledged: {word}"))
        }),
        Step::Do(|p, _| p.jump_s = 0),
        Step::Mark("back"),
        wait("a status", |_| REPORT_S, |s| s.present(s.mark("back")).next().is_some()),
        Step::Do(|p, _| p.wrong_time = Some(UtcMillis(0))),
        need("a call to answer with a wrong time", |_| POLL_S, |s| s.part.wrong_time.is_none()),
        Step::Mark("1970"),
        need("two statuses", |_| 2 * REPORT_S, |s| s.present(s.mark("1970")).count() >= 2),
        Step::Judge(&FLOOR, |s| {
            let times = s.present(s.mark("1970")).filter_map(|(_, r)| r.at);
            match times.min() {
                None => Finding::fail("no status with a timestamp came"),
                Some(earliest) => Finding::of(
                    earliest >= UtcMillis::from_seconds(CLOCK_FLOOR_S),
                    format!("the earliest was {earliest}"),
                ),
            }
        }),
    ],
};

fn jump(s: &Scene<'_>) -> Finding {
    let mut offs = Vec::new();
    for (call, reading) in s.present(s.mark("told")) {
        let Some(at) = reading.at else { return Finding::fail("a status without a timestamp that can be read") };
        offs.push(at.since(s.part.utc(call.at_ms)));
    }
    let follows = offs.iter().all(|ms| ms.abs() <= OFF_MS);
    let keeps = offs.iter().all(|ms| (ms + JUMP_S * 1000).abs() <= OFF_MS);
    match offs.as_slice() {
        [] => Finding::fail("no status came after it"),
        _ if follows => Finding::pass("it followed the server's time"),
        _ if keeps => Finding::pass("it kept a time of its own"),
        [first, ..] => Finding::fail(format!("its time was off by {:.0} s", *first as f64 / 1000.0)),
    }
}
