//! Commands: that they are done, told of and shown.
use ccms_core::limits::POLL_INTERVAL_URGENT_S;
use ccms_device::Kind;
use serde_json::json;

use super::{AT_ONCE_MS, POLL_S, REPORT_S, SETTLED};
use crate::conformance::check::{Check, Finding};
use crate::conformance::fault::{ALWAYS, Fault, How, On};
use crate::conformance::orders::Order;
use crate::conformance::part::Half;
use crate::conformance::scene::{Scene, figures, gaps, of, seconds};
use crate::conformance::script::{Script, Step, need, wait};

const SCHEDULE_UPDATE: Check = Check::new(
    "schedule",
    &[3, 1],
    &[25],
    "schedule_update is executed and acknowledged, and the lamp follows it both ways: off by day, on by night",
);
const ACK: Check = Check::new(
    "ack-at-once",
    &[3, 11],
    &[],
    "POST command-ack with status executed follows the poll that brought the command within 5 s",
);
const SHOWN: Check = Check::new(
    "status-on-change",
    &[2, 3],
    &[],
    "a status with the new power_state follows a power_control within 5 s, not at the next regular time",
);
const REVERT: Check =
    Check::new("revert", &[3], &[24], "after revert_after_seconds the lamp goes back to its schedule by itself")
        .optional();
const IN_ORDER: Check = Check::new(
    "in-order",
    &[3],
    &[19],
    "commands of one answer are executed and acknowledged in the order of the array",
);
const UNKNOWN: Check = Check::new(
    "unknown-command",
    &[3],
    &[21],
    "a command of a type that the device does not know is not acknowledged as executed and costs the others nothing",
);
const URGENT_POLLS: Check = Check::new(
    "urgent-polls",
    &[3],
    &[23],
    "while a command of high priority is not acknowledged the device polls every 2 s (next_poll_seconds)",
);
const ACK_QUEUED: Check =
    Check::new("ack-queued", &[11, 7], &[20], "an acknowledgement that got no answer is kept and comes again");

pub const SCHEDULE: Script = Script {
    name: "schedule",
    title: "A new schedule, to day and back to night",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| p.order_schedule(now, "to day", Half::Day)),
        need("the poll that brings a schedule", |_| POLL_S, |s| s.handed("to day").is_some()),
        wait("the lamp to go off", |_| 15, |s| s.shows_power(s.began_ms, "off").is_some()),
        Step::Mark("day"),
        Step::Do(|p, now| p.order_schedule(now, "to night", Half::Night)),
        need("the poll that brings a schedule", |_| POLL_S, |s| s.handed("to night").is_some()),
        wait("the lamp to go on", |_| 15, |s| s.shows_power(s.mark("day"), "on").is_some()),
        wait("its acknowledgement", |_| 10, |s| s.acked("to night").is_some()),
        Step::Judge(&SCHEDULE_UPDATE, |s| {
            let acked = s.is_acked_executed("to day") && s.is_acked_executed("to night");
            let (off, on) = (s.shows_power(s.began_ms, "off").is_some(), s.shows_power(s.mark("day"), "on").is_some());
            let word = |yes| if yes { "yes" } else { "no" };
            let seen = format!("acknowledged: {}, off by day: {}, on by night: {}", word(acked), word(off), word(on));
            Finding::of(acked && off && on, seen)
        }),
    ],
};

pub const POWER: Script = Script {
    name: "power-control",
    title: "Off for a while",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| p.order(now, Order::power("off", "off", 45).high())),
        need("the poll that brings a command", |_| POLL_S, |s| s.handed("off").is_some()),
        wait("its acknowledgement", |_| REPORT_S, |s| s.acked("off").is_some()),
        wait("a status with the lamp off", |_| REPORT_S, |s| s.shows_power(handed(s, "off"), "off").is_some()),
        Step::Judge(&ACK, |s| match s.acked("off") {
            None => Finding::fail("no acknowledgement came within 45 s"),
            Some(at) => {
                let (took, word) = (at - handed(s, "off"), &s.order("off").map_or("", |o| o.acks[0].1.as_str()));
                Finding::of(took <= AT_ONCE_MS && *word == "executed", format!("{word} after {:.1} s", seconds(took)))
            }
        }),
        Step::Judge(&SHOWN, |s| match s.shows_power(handed(s, "off"), "off") {
            None => Finding::fail("no status showed it within 45 s"),
            Some(at) => {
                let took = at - handed(s, "off");
                Finding::of(took <= AT_ONCE_MS, format!("shown after {:.1} s", seconds(took)))
            }
        }),
        wait("the lamp to go on by itself", |_| 45 + REPORT_S, |s| on_again(s).is_some()),
        Step::Judge(&REVERT, |s| match on_again(s) {
            None => Finding::not_seen("the lamp stayed off; the server has to end the override"),
            Some(at) => {
                let after = seconds(at - handed(s, "off"));
                Finding::of(
                    (44.0..=45.0 + f64::from(REPORT_S)).contains(&after),
                    format!("on again after {after:.1} s"),
                )
            }
        }),
        // For those that do not: nothing after this may find the lamp off.
        Step::Do(|p, now| p.order(now, Order::power("on", "on", 5))),
        wait("the acknowledgement of that", |_| REPORT_S, |s| s.acked("on").is_some()),
    ],
};

pub const SEVERAL: Script = Script {
    name: "several",
    title: "Several commands in one answer, one of them unknown",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| {
            p.order(now, Order::brightness("first", 61));
            p.order(now, Order::new("unknown", json!({"command_type": "sing_a_song", "verse": 2})));
            p.order(now, Order::brightness("second", 62));
        }),
        need("the poll that brings commands", |_| POLL_S, |s| s.handed("second").is_some()),
        wait("both acknowledgements", |_| 30, |s| s.acked("first").is_some() && s.acked("second").is_some()),
        wait(
            "a status with the last one's brightness",
            |_| REPORT_S,
            |s| s.acked("second").and_then(|at| s.shows_brightness(at.saturating_sub(1), 62)).is_some(),
        ),
        Step::Judge(&IN_ORDER, |s| match (s.acked("first"), s.acked("second")) {
            (Some(first), Some(second)) => {
                let last = s.present(handed(s, "second")).last().and_then(|(_, r)| r.brightness);
                let seen = format!(
                    "acknowledged after {:.1} s and {:.1} s; brightness at last {}",
                    seconds(first - handed(s, "first")),
                    seconds(second - handed(s, "second")),
                    last.map_or("unknown".into(), |b| format!("{b} %")),
                );
                Finding::of(first <= second && last == Some(62.0), seen)
            }
            (first, second) => {
                let missing = usize::from(first.is_none()) + usize::from(second.is_none());
                Finding::fail(format!("{missing} of 2 were not acknowledged within 30 s"))
            }
        }),
        Step::Judge(&UNKNOWN, |s| {
            let word = s.order("unknown").and_then(|o| o.acks.first()).map_or("not at all", |(_, word)| word.as_str());
            let others = s.is_acked_executed("first") && s.is_acked_executed("second");
            let cost = if others { "the others were executed" } else { "others were not executed" };
            Finding::of(word != "executed" && others, format!("acknowledged: {word}; {cost}"))
        }),
    ],
};

pub const URGENT: Script = Script {
    name: "urgent",
    title: "A command of high priority whose acknowledgements get no answer",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| {
            p.misbehave(Fault::new(On::Kind(Kind::CommandAck), How::Silence, ALWAYS));
            p.order(now, Order::brightness("urgent", 63).high());
        }),
        need("the poll that brings a command", |_| POLL_S, |s| s.handed("urgent").is_some()),
        Step::Mark("urgent"),
        Step::Rest(|_| 14),
        Step::Judge(&URGENT_POLLS, |s| {
            let polls = of(s.since(s.mark("urgent")), Kind::Commands);
            let gaps = gaps(&polls);
            let most = f64::from(POLL_INTERVAL_URGENT_S) + 1.5;
            Finding::of(polls.len() >= 4 && gaps.iter().all(|g| *g <= most), format!("distances {}", figures(&gaps)))
        }),
        Step::Do(|p, _| p.heal()),
        wait("the acknowledgement", |_| 60, |s| s.acked("urgent").is_some()),
        Step::Judge(&ACK_QUEUED, |s| {
            let tries = of(s.since(s.mark("urgent")), Kind::CommandAck).len();
            match s.acked("urgent") {
                None => Finding::fail(format!("{tries} tries, and none that was answered")),
                Some(at) => {
                    let after = seconds(at - s.mark("urgent"));
                    Finding::pass(format!("heard at the {tries}. try, after {after:.1} s"))
                }
            }
        }),
    ],
};

fn handed(s: &Scene<'_>, name: &str) -> u64 {
    s.handed(name).unwrap_or(s.now_ms)
}

fn on_again(s: &Scene<'_>) -> Option<u64> {
    s.shows_power(s.shows_power(handed(s, "off"), "off")?, "on")
}
