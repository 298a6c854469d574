//! A power cut while the server is there.
use ccms_device::Kind;

use super::{BACK_S, POLL_S, REPORT_S, SETTLED};
use crate::conformance::call::{Call, Signed};
use crate::conformance::check::{Check, Finding};
use crate::conformance::fault::{Fault, How, On};
use crate::conformance::orders::Order;
use crate::conformance::part::Half;
use crate::conformance::scene::Scene;
use crate::conformance::script::{Script, Step, Stimulus, need, wait};

const CONFIGURES: Check =
    Check::new("configure-on-power-on", &[1, 5, 11], &[], "POST configure is the first call after the power came back");
const SURVIVES: Check = Check::new(
    "token-survives",
    &[7, 8],
    &[2],
    "the token survives a power cut: configure carries it, or a good signature, as proof",
);
const LIT: Check = Check::new(
    "lit-without-time",
    &[1, 2],
    &[25, 14],
    "until the server told it the time the lamp is on, also when it is day by the schedule: status on in configure and readings",
);
const ONCE: Check = Check::new(
    "once-over-restart",
    &[7, 3],
    &[17],
    "a command that was executed before the power cut and comes again after it has no second effect",
);

pub const SCRIPT: Script = Script {
    name: "power-cut",
    title: "A power cut by day",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| p.order(now, Order::brightness("before", 35))),
        need("a status that shows a first command", |_| REPORT_S, |s| s.shows_brightness(s.began_ms, 35).is_some()),
        need("its acknowledgement", |_| REPORT_S, |s| s.acked("before").is_some()),
        Step::Do(|p, now| p.order(now, Order::brightness("later", 72))),
        need("a status that shows a second command", |_| REPORT_S, |s| s.shows_brightness(s.began_ms, 72).is_some()),
        need("its acknowledgement", |_| REPORT_S, |s| s.acked("later").is_some()),
        Step::Do(|p, now| p.order_schedule(now, "day before the cut", Half::Day)),
        wait("the acknowledgement of a schedule", |_| REPORT_S, |s| s.acked("day before the cut").is_some()),
        wait("the lamp to go off", |_| REPORT_S, is_off),
        // It boots, and is kept waiting for the time.
        Step::Do(|p, _| p.misbehave(Fault::new(On::Kind(Kind::Configure), How::Late(8), 1))),
        Step::Mark("cut"),
        Step::Ask(Stimulus::PowerCycle),
        need("POST configure", |_| BACK_S, |s| configured(s).is_some()),
        need("a status", |_| BACK_S, |s| s.present(configured(s).map_or(s.now_ms, |c| c.at_ms)).next().is_some()),
        Step::Judge(&CONFIGURES, |s| match first_of_boot(s) {
            None => Finding::fail("no call came"),
            Some(first) => Finding::of(first.is(Kind::Configure), format!("it was {}", first.line)),
        }),
        Step::Judge(&SURVIVES, |s| {
            let Some(call) = configured(s) else { return Finding::not_seen("no configure came") };
            let by_token = call.bearer.as_deref().is_some_and(|t| s.part.knows(t));
            match (by_token, call.signed) {
                (true, _) => Finding::pass("configure carried the token"),
                (false, Signed::Right) => Finding::pass("configure was signed"),
                (false, _) => Finding::fail("configure carried neither the token nor a good signature"),
            }
        }),
        Step::Judge(&LIT, lit),
        Step::Do(|p, now| p.order_schedule(now, "night after the cut", Half::Night)),
        need("the lamp to go on", |_| REPORT_S + POLL_S, is_on),
        Step::Mark("again"),
        Step::Do(|p, _| p.orders.again("before")),
        need("the poll that brings the first command again", |_| POLL_S, |s| handed_again(s).is_some()),
        wait(
            "a status after it",
            |_| REPORT_S,
            |s| s.present(handed_again(s).unwrap_or(s.now_ms) + 100).next().is_some(),
        ),
        Step::Judge(&ONCE, |s| {
            let after = s.present(handed_again(s).unwrap_or(s.now_ms) + 100);
            let levels: Vec<f64> = after.filter_map(|(_, r)| r.brightness).collect();
            match levels.as_slice() {
                [] => Finding::not_seen("no status came after it"),
                levels if levels.contains(&35.0) => Finding::fail("the lamp went to 35 %: it was executed again"),
                levels => Finding::pass(format!("the lamp stayed at {} %", levels[0])),
            }
        }),
    ],
};

fn is_off(s: &Scene<'_>) -> bool {
    s.present(s.began_ms).last().is_some_and(|(_, r)| r.power.as_deref() == Some("off"))
}

fn is_on(s: &Scene<'_>) -> bool {
    s.handed("night after the cut").is_some_and(|at| s.shows_power(at, "on").is_some())
}

fn configured<'a>(s: &Scene<'a>) -> Option<&'a Call> {
    s.after("cut").iter().find(|c| c.is(Kind::Configure))
}

/// The first call of the new boot. Until the power is really gone the device goes on as before, and no boot is that short.
fn first_of_boot<'a>(s: &Scene<'a>) -> Option<&'a Call> {
    let configured_ms = configured(s)?.at_ms;
    s.after("cut").iter().find(|c| c.at_ms + BOOT_LEAST_MS > configured_ms)
}

/// No controller boots faster than this, and a cut takes seconds.
const BOOT_LEAST_MS: u64 = 1_500;

fn lit(s: &Scene<'_>) -> Finding {
    if s.rules.own_clock {
        return Finding::left_out("the device knows the time by itself (--own-clock)");
    }
    let Some(call) = configured(s) else { return Finding::not_seen("no configure came") };
    let mut before =
        s.calls.iter().filter(|c| c.at_ms < call.at_ms && c.is_taken()).filter_map(|c| c.said.readings.first());
    if before.next_back().is_none_or(|r| r.power.as_deref() != Some("off")) {
        return Finding::not_seen("the lamp was on before the cut");
    }
    let status = call.said.status.as_deref().unwrap_or("nothing");
    let readings = s.since(call.at_ms).iter().filter(|c| c.is_taken()).flat_map(|c| &c.said.readings);
    // Younger than the answer that told the time.
    let blind: Vec<_> = readings.filter(|r| r.uptime.is_some_and(|u| u < 8.0)).collect();
    let dark = blind.iter().filter(|r| r.power.as_deref() != Some("on")).count();
    let seen = format!("configure said {status}; {dark} of {} readings of that time were not on", blind.len());
    Finding::of(status == "on" && dark == 0, seen)
}

fn handed_again(s: &Scene<'_>) -> Option<u64> {
    s.handed_last("before").filter(|at| *at >= s.mark("again"))
}
