//! One effect for each command, and none for one whose time is over.
use super::{POLL_S, REPORT_S, SETTLED};
use crate::conformance::check::{Check, Finding};
use crate::conformance::orders::Order;
use crate::conformance::scene::Scene;
use crate::conformance::script::{Script, Step, need, wait};

const ONCE: Check = Check::new(
    "once-per-command",
    &[3],
    &[17],
    "a command that is handed out a second time after a later one was executed has no second effect",
);
const AGAIN: Check = Check::new(
    "acked-again",
    &[3],
    &[20, 17],
    "it is acknowledged again, so that a lost acknowledgement does not keep it alive for ever",
);
const EXPIRED: Check = Check::new(
    "expiry",
    &[3],
    &[18],
    "a command whose expires_at is before the answer's server_timestamp is not executed, nor acknowledged as executed",
);

pub const SCRIPT: Script = Script {
    name: "once",
    title: "The same command twice, with another one between",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| p.order(now, Order::brightness("dim to 40", 40))),
        need("the acknowledgement of a first command", |_| REPORT_S, |s| s.acked("dim to 40").is_some()),
        need("a status that shows it", |_| REPORT_S, |s| s.shows_brightness(s.began_ms, 40).is_some()),
        Step::Do(|p, now| p.order(now, Order::brightness("dim to 70", 70))),
        need("the acknowledgement of a second command", |_| REPORT_S, |s| s.acked("dim to 70").is_some()),
        need("a status that shows it", |_| REPORT_S, |s| s.shows_brightness(s.began_ms, 70).is_some()),
        Step::Rest(|_| 10),
        Step::Mark("again"),
        Step::Do(|p, _| p.orders.again("dim to 40")),
        need("the poll that brings the first one again", |_| POLL_S, |s| handed_again(s).is_some()),
        wait("an acknowledgement of it", |_| 20, |s| acked_again(s).is_some()),
        wait(
            "a status after it",
            |_| REPORT_S,
            |s| s.present(handed_again(s).unwrap_or(s.now_ms) + 100).next().is_some(),
        ),
        Step::Judge(&ONCE, |s| {
            let from = handed_again(s).unwrap_or(s.now_ms);
            let levels: Vec<f64> = s.present(from + 100).filter_map(|(_, r)| r.brightness).collect();
            match levels.as_slice() {
                [] => Finding::not_seen("no status came after it"),
                levels if levels.contains(&40.0) => Finding::fail("the lamp went back to 40 %: it was executed twice"),
                levels => Finding::of(levels.iter().all(|l| *l == 70.0), format!("the lamp stayed at {} %", levels[0])),
            }
        }),
        Step::Judge(&AGAIN, |s| match acked_again(s) {
            None => Finding::fail("it was not acknowledged again within 20 s"),
            Some(word) => Finding::pass(format!("acknowledged again: {word}")),
        }),
    ],
};

pub const EXPIRY: Script = Script {
    name: "expiry",
    title: "A command whose time is over",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| p.order(now, Order::brightness("too late", 33).expired())),
        need("the poll that brings it", |_| POLL_S, |s| s.handed("too late").is_some()),
        Step::Mark("too late"),
        wait("a status after it", |_| REPORT_S, |s| s.present(s.mark("too late") + 100).next().is_some()),
        Step::Rest(|_| 3),
        Step::Judge(&EXPIRED, |s| {
            let shown = s.shows_brightness(s.mark("too late"), 33).is_some();
            let word = s.order("too late").and_then(|o| o.acks.first()).map_or("not at all", |(_, word)| word.as_str());
            let lamp = if shown { "the lamp went to 33 %" } else { "the lamp did not follow" };
            Finding::of(!shown && word != "executed", format!("{lamp}; acknowledged: {word}"))
        }),
    ],
};

fn handed_again(s: &Scene<'_>) -> Option<u64> {
    s.handed_last("dim to 40").filter(|at| *at >= s.mark("again"))
}

fn acked_again<'a>(s: &Scene<'a>) -> Option<&'a str> {
    let acks = &s.order("dim to 40")?.acks;
    acks.iter().find(|(at, _)| *at >= s.mark("again")).map(|(_, word)| word.as_str())
}
