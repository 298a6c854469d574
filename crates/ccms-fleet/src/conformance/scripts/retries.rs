//! 500, no answer, a late one, the same one twice.
use ccms_core::limits::{RETRY_LADDER_S, SERVER_ERROR_WAIT_S};
use ccms_core::wire::envelope::ErrorCode;
use ccms_device::Kind;

use super::{BACK_S, POLL_S, REPORT_S, SETTLED};
use crate::conformance::call::{Call, Got};
use crate::conformance::check::{Check, Finding};
use crate::conformance::fault::{ALWAYS, Fault, How, On};
use crate::conformance::orders::Order;
use crate::conformance::scene::{Scene, gaps, listed, of, reports, seconds};
use crate::conformance::script::{Script, Step, need, wait};

const RETRY: Check = Check::new(
    "retry-ladder",
    &[6],
    &[],
    "what is answered 500 is tried again after 5 s, then 15 s, then 30 s, never sooner, and then kept for later",
);
const KEPT: Check = Check::new(
    "ack-kept",
    &[6, 7],
    &[28],
    "what the ladder could not deliver is delivered when the server is well again",
);
const WAIT: Check = Check::new("wait-after-500", &[6], &[], "after a 500 to a status no report comes for 30 s");
const NOT_LOST: Check = Check::new(
    "reading-after-500",
    &[2, 6],
    &[27, 30],
    "the reading of that status comes again with its timestamp and seq",
);
const SENT_AGAIN: Check = Check::new(
    "reading-after-lost-answer",
    &[2, 6],
    &[27, 30],
    "a status whose answer was lost comes again with its timestamp and seq, and is not taken for delivered",
);
const TIMEOUT: Check = Check::new(
    "timeout",
    &[11, 6],
    &[],
    "an answer that takes longer than 5 s is given up: the same reading comes again, 10 s after that and not sooner",
);
const LATE_POLL: Check = Check::new(
    "late-poll",
    &[3, 11],
    &[17],
    "a command that came in a late answer is executed and acknowledged all the same, by then or when it comes again",
);
const TWICE: Check = Check::new(
    "answered-twice",
    &[3, 6],
    &[17],
    "an answer that comes twice over is taken once: its command is executed, and polls go on as before",
);

pub const LADDER: Script = Script {
    name: "ladder",
    title: "500 to every acknowledgement",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, now| {
            p.misbehave(Fault::new(On::Kind(Kind::CommandAck), How::Refuse(ErrorCode::Internal, 0), ALWAYS));
            p.order(now, Order::brightness("ladder", 64));
            // Handed out again, it would rightly be acknowledged again.
            p.orders.once = true;
        }),
        need("the poll that brings a command", |_| POLL_S, |s| s.handed("ladder").is_some()),
        wait("four acknowledgements", |_| 150, |s| of(s.here(), Kind::CommandAck).len() >= RETRY_LADDER_S.len()),
        Step::Rest(|_| 20),
        Step::Judge(&RETRY, |s| {
            let gaps = gaps(&of(s.here(), Kind::CommandAck));
            let rungs = RETRY_LADDER_S.iter().skip(1).chain([&30]);
            let early = gaps.iter().zip(rungs).any(|(gap, rung)| *gap < f64::from(*rung) * 0.9);
            let none = of(s.here(), Kind::CommandAck).is_empty();
            let good = !early && gaps.len() >= 3;
            let seen =
                if none { "no acknowledgement came".into() } else { format!("tried again after {}", listed(&gaps)) };
            Finding::of(good, seen)
        }),
        Step::Do(|p, _| {
            p.heal();
            p.orders.once = false;
        }),
        Step::Mark("well"),
        wait("the acknowledgement", |_| BACK_S, |s| s.acked("ladder").is_some()),
        Step::Judge(&KEPT, |s| match s.acked("ladder") {
            None => Finding::fail("it did not come within 400 s"),
            Some(at) => Finding::pass(format!("{:.1} s after the server was well", seconds(at - s.mark("well")))),
        }),
    ],
};

pub const SERVER_ERROR: Script = Script {
    name: "server-error",
    title: "500 to a status",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.misbehave(Fault::new(On::Reports, How::Refuse(ErrorCode::Internal, 30), 1))),
        need("a status to refuse", |_| REPORT_S, |s| struck(s).is_some()),
        wait("the next report", |_| 90, |s| next_report(s).is_some()),
        wait("the same reading again", |_| 60, |s| came_again(s).is_some()),
        Step::Judge(&WAIT, |s| match (struck(s), next_report(s)) {
            (Some(refused), Some(next)) => {
                let after = seconds(next.at_ms - refused.at_ms);
                Finding::of(after >= f64::from(SERVER_ERROR_WAIT_S) * 0.9, format!("the next one after {after:.1} s"))
            }
            _ => Finding::fail("no report within 90 s"),
        }),
        Step::Judge(&NOT_LOST, again),
    ],
};

pub const LOST_ANSWER: Script = Script {
    name: "lost-answer",
    title: "The connection breaks before the answer to a status",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.misbehave(Fault::new(On::Reports, How::Lose, 1))),
        need("a status to lose the answer of", |_| REPORT_S, |s| struck(s).is_some()),
        wait("the same reading again", |_| 90, |s| came_again(s).is_some()),
        Step::Judge(&SENT_AGAIN, again),
    ],
};

pub const LATE: Script = Script {
    name: "late",
    title: "Answers that come late, and one that comes twice",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.misbehave(Fault::new(On::Reports, How::Late(12), 1))),
        need("a status to answer late", |_| REPORT_S, |s| struck(s).is_some()),
        wait("the same reading again", |_| 90, |s| came_again(s).is_some()),
        Step::Judge(&TIMEOUT, |s| match (struck(s), next_report(s)) {
            (Some(late), Some(next)) => {
                let after = seconds(next.at_ms - late.at_ms);
                let again = came_again(s).is_some();
                let seen = format!(
                    "next report after {after:.1} s, the same reading again: {}",
                    if again { "yes" } else { "no" }
                );
                Finding::of(again && after >= 14.0, seen)
            }
            _ => Finding::fail("no report within 90 s"),
        }),
        Step::Mark("late poll"),
        Step::Do(|p, now| {
            p.heal();
            p.misbehave(Fault::new(On::Kind(Kind::Commands), How::Late(8), 1));
            p.order(now, Order::brightness("late", 51));
        }),
        need("a poll to answer late", |_| BACK_S, |s| s.handed("late").is_some()),
        wait("its acknowledgement", |_| 60, |s| s.acked("late").is_some()),
        wait("a status that shows it", |_| REPORT_S, |s| s.shows_brightness(s.mark("late poll"), 51).is_some()),
        Step::Judge(&LATE_POLL, |s| done(s, "late", "late poll", 51)),
        Step::Mark("twice"),
        Step::Do(|p, now| {
            p.misbehave(Fault::new(On::Kind(Kind::Commands), How::Twice, 1));
            p.order(now, Order::brightness("twice", 52));
        }),
        need("a poll to answer twice", |_| BACK_S, |s| s.handed("twice").is_some()),
        wait("its acknowledgement", |_| 30, |s| s.acked("twice").is_some()),
        wait("a status that shows it", |_| REPORT_S, |s| s.shows_brightness(s.mark("twice"), 52).is_some()),
        wait(
            "two more polls",
            |_| 40,
            |s| of(s.since(s.handed("twice").unwrap_or(s.now_ms)), Kind::Commands).len() >= 3,
        ),
        Step::Judge(&TWICE, |s| {
            let polls = of(s.since(s.handed("twice").unwrap_or(s.now_ms)), Kind::Commands);
            let finding = done(s, "twice", "twice", 52);
            if polls.len() < 3 { Finding::fail("polls did not go on within 40 s") } else { finding }
        }),
    ],
};

/// The first report of this script that was not simply accepted.
fn struck<'a>(s: &Scene<'a>) -> Option<&'a Call> {
    s.here().iter().find(|c| c.is_report() && c.got != Got::Accepted)
}

fn next_report<'a>(s: &Scene<'a>) -> Option<&'a Call> {
    let struck = struck(s)?;
    reports(s.since(struck.at_ms + 1)).first().copied()
}

/// A later report that holds a reading of the one that was struck.
fn came_again<'a>(s: &Scene<'a>) -> Option<&'a Call> {
    let struck = struck(s)?;
    let key = &struck.said.readings.first()?.key;
    reports(s.since(struck.at_ms + 1))
        .into_iter()
        .find(|c| c.is_taken() && c.said.readings.iter().any(|r| r.key == *key))
}

fn again(s: &Scene<'_>) -> Finding {
    match (struck(s), came_again(s)) {
        (Some(struck), Some(again)) => {
            let after = seconds(again.at_ms - struck.at_ms);
            Finding::pass(format!(
                "it came again after {after:.1} s ({})",
                again.line.rsplit('/').next().unwrap_or_default()
            ))
        }
        _ => {
            Finding::fail("it did not come again: the device took it for delivered, or gave it another time or number")
        }
    }
}

fn done(s: &Scene<'_>, name: &str, mark: &str, percent: u8) -> Finding {
    let shown = s.shows_brightness(s.mark(mark), percent).is_some();
    let acked = s.is_acked_executed(name);
    let word = |yes| if yes { "yes" } else { "no" };
    Finding::of(shown && acked, format!("executed: {}, acknowledged: {}", word(shown), word(acked)))
}
