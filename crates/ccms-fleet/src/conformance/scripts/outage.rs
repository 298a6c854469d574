//! The server is gone for a while: what the device does meanwhile, what it keeps, and how it comes back.
use ccms_core::limits::STATUS_INTERVAL_S;
use ccms_core::time::UtcMillis;
use ccms_device::Kind;

use super::{BACK_S, POLL_S, SETTLED};
use crate::conformance::call::{Call, Got};
use crate::conformance::check::{Check, Finding};
use crate::conformance::fault::{ALWAYS, Fault, How, On};
use crate::conformance::orders::Order;
use crate::conformance::scene::{Scene, gaps, listed, of, seconds};
use crate::conformance::script::{Script, Step, Stimulus, need, wait};

const RETRY: Check =
    Check::new("timeout-retry", &[6], &[], "without an answer a poll is tried again after 10 s, and not sooner");
const BACK_OFF: Check = Check::new(
    "back-off",
    &[3, 5],
    &[],
    "without a connection polls back off from 10 s over 30 s and 60 s to 300 s, and never stop",
);
const KEPT: Check = Check::new(
    "readings-kept",
    &[2, 7],
    &[27, 28],
    "the readings of the outage, one every 30 s, arrive after it, none missing",
);
const ORDER: Check = Check::new(
    "sync-order",
    &[7],
    &[29],
    "what piled up comes in this order: acknowledgements, alerts, the present status, cached readings, logs",
);
const AGAIN: Check = Check::new(
    "sync-again",
    &[7, 6],
    &[27, 30],
    "readings that were sent together and got no answer come again with their timestamps and numbers",
);
const ACK: Check = Check::new(
    "ack-over-outage",
    &[7],
    &[28],
    "an acknowledgement that was pending when the connection broke arrives after it",
);
const FLASH: Check = Check::new(
    "readings-survive",
    &[7],
    &[],
    "readings that were taken without a connection survive a power cut, but for one at most",
);

/// The largest distance of kept readings.
const GAP_MOST_S: f64 = STATUS_INTERVAL_S as f64 + 3.0;
/// At both ends: half an interval more, and a clock that is a little off.
const EDGE_MOST_S: f64 = STATUS_INTERVAL_S as f64 + 15.0;

pub const SCRIPT: Script = Script {
    name: "outage",
    title: "The server is silent for a while",
    is_long: true,
    steps: &[
        SETTLED,
        Step::Do(|p, now| {
            p.misbehave(Fault::new(On::Kind(Kind::CommandAck), How::Silence, ALWAYS));
            p.orders.once = true;
            p.order(now, Order::brightness("pending", 66));
        }),
        need("the poll that brings a command", |_| POLL_S, |s| s.handed("pending").is_some()),
        Step::Rest(|_| 2),
        Step::Do(|p, _| p.misbehave(Fault::new(On::Everything, How::Silence, ALWAYS))),
        Step::Mark("gone"),
        Step::Try(Stimulus::Hot),
        Step::Rest(|_| 60),
        Step::Try(Stimulus::Cool),
        Step::Rest(|r| r.offline_s.saturating_sub(60)),
        Step::Mark("back"),
        Step::Do(|p, _| {
            p.heal();
            p.misbehave(Fault::new(On::Bulk, How::Lose, 1));
            // What piled up comes first; nothing new is asked for.
            p.orders.hold = true;
        }),
        wait("the readings of the outage", |_| BACK_S + 120, is_complete),
        Step::Rest(|_| 20),
        Step::Judge(&RETRY, |s| {
            let early = s.mark("gone") + 90_000;
            let polls: Vec<&Call> = of(s.between("gone", "back"), Kind::Commands);
            let gaps = gaps(&polls.into_iter().filter(|c| c.at_ms <= early).collect::<Vec<_>>());
            match gaps.len() {
                0 => Finding::fail("no poll was tried again within 90 s"),
                _ => Finding::of(gaps.iter().all(|g| *g >= 9.5), format!("distances {}", listed(&gaps))),
            }
        }),
        Step::Judge(&BACK_OFF, back_off),
        Step::Judge(&KEPT, |s| {
            let (from, to) = (s.mark("gone"), s.mark("back"));
            let (count, gap, edge) = kept(s, from, to);
            let lasted = seconds(to - from);
            let seen = format!("{count} readings of {lasted:.0} s, largest distance {gap:.1} s");
            Finding::of(count > 0 && gap <= GAP_MOST_S && edge <= EDGE_MOST_S, seen)
        }),
        Step::Judge(&ORDER, order),
        Step::Judge(&AGAIN, |s| {
            let Some(lost) = s.after("back").iter().find(|c| c.got == Got::Lost) else {
                return Finding::not_seen("the device sends its readings one by one");
            };
            let later = s.since(lost.at_ms + 1).iter().filter(|c| c.got == Got::Accepted);
            let keys: Vec<_> = later.flat_map(|c| &c.said.readings).map(|r| &r.key).collect();
            let (all, again) =
                (&lost.said.readings, lost.said.readings.iter().filter(|r| keys.contains(&&r.key)).count());
            Finding::of(again == all.len(), format!("{again} of {} readings came again", all.len()))
        }),
        Step::Judge(&ACK, |s| match s.acked("pending") {
            None => Finding::fail("it never came"),
            Some(at) => {
                Finding::pass(format!("{:.1} s after the server was back", seconds(at.saturating_sub(s.mark("back")))))
            }
        }),
    ],
};

pub const POWER_CUT: Script = Script {
    name: "outage-power-cut",
    title: "The server is silent, and the power fails",
    is_long: true,
    steps: &[
        SETTLED,
        Step::Rest(|_| 5),
        Step::Do(|p, _| p.misbehave(Fault::new(On::ButConfigure, How::Silence, ALWAYS))),
        Step::Mark("gone"),
        Step::Rest(|_| 150),
        Step::Mark("cut"),
        Step::Ask(Stimulus::PowerCycle),
        need("POST configure", |_| BACK_S, |s| s.after("cut").iter().any(|c| c.is(Kind::Configure))),
        Step::Do(|p, _| p.heal()),
        wait("the readings of before", |_| BACK_S, survived),
        Step::Rest(|_| 5),
        Step::Judge(&FLASH, |s| {
            let (count, gap, edge) = kept(s, s.mark("gone"), s.mark("cut"));
            let seen = format!(
                "{count} readings of the {:.0} s before the cut, largest distance {:.1} s",
                seconds(s.mark("cut") - s.mark("gone")),
                gap.max(edge),
            );
            Finding::of(survived(s), seen)
        }),
    ],
};

fn survived(s: &Scene<'_>) -> bool {
    let (count, gap, edge) = kept(s, s.mark("gone"), s.mark("cut"));
    count > 1 && gap <= 2.0 * GAP_MOST_S && edge <= EDGE_MOST_S + f64::from(STATUS_INTERVAL_S)
}

fn is_complete(s: &Scene<'_>) -> bool {
    let (count, gap, edge) = kept(s, s.mark("gone"), s.mark("back"));
    count > 0
        && gap <= GAP_MOST_S
        && edge <= EDGE_MOST_S
        && s.acked("pending").is_some()
        && s.after("back").iter().all(|lost| lost.got != Got::Lost || came_again(s, lost))
}

fn came_again(s: &Scene<'_>, lost: &Call) -> bool {
    let key = lost.said.readings.last().map(|r| &r.key);
    let later = s.since(lost.at_ms + 1).iter().filter(|c| c.got == Got::Accepted);
    later.flat_map(|c| &c.said.readings).any(|r| Some(&r.key) == key)
}

/// Readings of a stretch that the server has by now: how many, the largest distance of two, and of an end, in seconds.
fn kept(s: &Scene<'_>, from_ms: u64, to_ms: u64) -> (usize, f64, f64) {
    let (from, to) = (s.part.utc(from_ms), s.part.utc(to_ms));
    let taken = s.since(from_ms).iter().filter(|c| c.is_taken()).flat_map(|c| &c.said.readings);
    let mut times: Vec<UtcMillis> = taken.filter_map(|r| r.at).filter(|at| (from..=to).contains(at)).collect();
    times.sort_unstable();
    times.dedup();
    let s_between = |a: UtcMillis, b: UtcMillis| b.since(a) as f64 / 1000.0;
    let gap = times.windows(2).map(|w| s_between(w[0], w[1])).fold(0.0, f64::max);
    let edge = match (times.first(), times.last()) {
        (Some(first), Some(last)) => s_between(from, *first).max(s_between(*last, to)),
        _ => f64::INFINITY,
    };
    (times.len(), gap, edge)
}

fn back_off(s: &Scene<'_>) -> Finding {
    let gaps = gaps(&of(s.between("gone", "back"), Kind::Commands));
    let lasted_s = (s.mark("back") - s.mark("gone")) / 1000;
    // What a device can have reached in this time, and what it may wait at most: 300 s, jitter, and a request.
    let (reached_s, most_s) = (if lasted_s >= 900 { 250.0 } else { 50.0 }, 380.0);
    let most = gaps.iter().copied().fold(0.0, f64::max);
    let grows = gaps.windows(2).all(|w| w[1] >= 0.7 * w[0]);
    let good = grows && (reached_s..=most_s).contains(&most) && gaps.iter().all(|g| *g >= 9.5);
    Finding::of(good, format!("distances {}", listed(&gaps)))
}

/// The document's order of what piled up.
const RANKS: [&str; 5] = ["acknowledgements", "alerts", "status", "readings", "logs"];

/// What a call brings, by rank.
fn ranks(s: &Scene<'_>, call: &Call) -> Vec<usize> {
    let fresh = |at: Option<UtcMillis>| at.is_some_and(|at| s.part.utc(call.at_ms).since(at) < 35_000);
    let said = &call.said;
    let single = call.is(Kind::Status) && said.past == 0;
    let present = match single {
        true => said.readings.first().is_some_and(|r| fresh(r.at)),
        false => said.readings.len() > said.past,
    };
    let past = if single { !present } else { said.past > 0 };
    [!said.acks.is_empty(), said.alerts > 0, present, past, said.logs > 0]
        .iter()
        .enumerate()
        .filter_map(|(rank, there)| there.then_some(rank))
        .collect()
}

fn order(s: &Scene<'_>) -> Finding {
    let mut first: [Option<usize>; RANKS.len()] = [None; RANKS.len()];
    for (number, call) in s.after("back").iter().enumerate() {
        for rank in ranks(s, call) {
            first[rank].get_or_insert(number);
        }
    }
    if first[3].is_none() {
        return Finding::not_seen("no reading of the outage came");
    }
    let seen: Vec<(usize, &str)> = first.iter().zip(RANKS).filter_map(|(at, what)| Some(((*at)?, what))).collect();
    let good = seen.windows(2).all(|w| w[0].0 <= w[1].0);
    let mut by_time = seen;
    by_time.sort_by_key(|(at, _)| *at);
    let words: Vec<&str> = by_time.iter().map(|(_, what)| *what).collect();
    Finding::of(good, words.join(", "))
}
