//! What has to hold of every call of the whole run.
use std::collections::BTreeMap;

use ccms_device::Kind;
use ccms_device::config::COMPRESS_ABOVE_BYTES;

use crate::conformance::call::{Call, Got, Signed};
use crate::conformance::check::{Check, Finding};
use crate::conformance::scene::Scene;
use crate::conformance::script::{Script, Step};

const CONFIGURE: Check =
    Check::new("configure-form", &[1], &[], "every configure has the 14 documented fields with the documented types");
const STATUS: Check = Check::new(
    "status-form",
    &[2],
    &[],
    "every status has the documented fields, nested in status and energy, and numbers are JSON numbers",
);
const ACK: Check =
    Check::new("ack-form", &[3], &[], "every acknowledgement has the documented fields with the documented types");
const ROUTES: Check = Check::new(
    "routes",
    &[12],
    &[],
    "only documented routes and methods are called, bodies are JSON and say application/json",
);
const OTHERS: Check = Check::new(
    "other-forms",
    &[12],
    &[],
    "alerts, logs and firmware reports are JSON objects that name what they are about (alert_type, device_id, firmware_version)",
);
const BEARER: Check =
    Check::new("bearer", &[8], &[6], "every poll, status, sync, alert and log carries Authorization: Bearer");
const GZIP: Check =
    Check::new("gzip", &[7], &[], "a body above 10 KB is packed with gzip and says Content-Encoding: gzip");
const SENT_ONCE: Check =
    Check::new("sent-once", &[2], &[27], "a reading that was answered 200 is done with and does not come again");
const RATE: Check = Check::new("rate", &[11], &[35], "no more than 2 calls a second in bursts of 20");
const SIGNATURE: Check = Check::new(
    "signature",
    &[8],
    &[9],
    "X-Device-Signature, where it is used, is right over the body's bytes as they were sent",
)
.optional();
const TLS: Check = Check::new("tls", &[8], &[13], "every call comes over TLS").optional();

/// A cut that came between an answer and its note in flash makes one reading come again.
const AGAIN_MOST: usize = 2;

pub const SCRIPT: Script = Script {
    name: "throughout",
    title: "What has to hold of every call",
    is_long: false,
    steps: &[
        Step::Judge(&CONFIGURE, |s| form(s, &[Kind::Configure], said_configure)),
        Step::Judge(&STATUS, |s| form(s, &[Kind::Status, Kind::Sync], |c| c.said.readings.len())),
        Step::Judge(&ACK, |s| form(s, &[Kind::CommandAck], |c| c.said.acks.len())),
        Step::Judge(&OTHERS, |s| {
            let any = |c: &Call| usize::from(c.said.alerts + c.said.logs > 0 || c.is(Kind::Firmware));
            form(s, &[Kind::Alert, Kind::Logs, Kind::Firmware], any)
        }),
        Step::Judge(&ROUTES, routes),
        Step::Judge(&BEARER, |s| {
            let asks = |c: &&Call| !matches!(c.kind, None | Some(Kind::Configure | Kind::CommandAck));
            let calls = s.calls.iter().filter(asks);
            let bare = calls.clone().filter(|c| c.bearer.is_none()).count();
            Finding::of(bare == 0, format!("{bare} of {} calls had none", calls.count()))
        }),
        Step::Judge(&GZIP, |s| {
            let large: Vec<&Call> = s.calls.iter().filter(|c| c.plain_bytes > COMPRESS_ABOVE_BYTES).collect();
            let most = large.iter().map(|c| c.plain_bytes).max().unwrap_or_default();
            let plain = large.iter().filter(|c| !c.packed).count();
            match large.len() {
                0 if s.rules.quick || !s.rules.only.is_empty() => {
                    Finding::left_out("no body was above 10 KB in such a run")
                }
                0 => Finding::not_seen("no body was above 10 KB; a longer outage makes one"),
                n => Finding::of(
                    plain == 0,
                    format!("{plain} of {n} such bodies came unpacked (the largest has {most} B)"),
                ),
            }
        }),
        Step::Judge(&SENT_ONCE, |s| {
            let mut times = BTreeMap::<_, usize>::new();
            let answered = s.calls.iter().filter(|c| c.got == Got::Accepted);
            answered.flat_map(|c| &c.said.readings).for_each(|r| *times.entry(&r.key).or_default() += 1);
            let again = times.values().filter(|n| **n > 1).count();
            Finding::of(again <= AGAIN_MOST, format!("{again} of {} readings came again", times.len()))
        }),
        Step::Judge(&RATE, rate),
        Step::Judge(&SIGNATURE, |s| {
            let count = |signed| s.calls.iter().filter(|c| c.signed == signed).count();
            match (count(Signed::Right), count(Signed::Wrong)) {
                (0, 0) => Finding::not_seen("the device does not sign"),
                (right, wrong) => Finding::of(wrong == 0, format!("{right} right, {wrong} wrong")),
            }
        }),
        Step::Judge(&TLS, |s| {
            let plain = s.calls.iter().filter(|c| !c.secure).count();
            match plain {
                0 => Finding::pass("they did"),
                n if n == s.calls.len() => Finding::not_seen("the examination was over plain HTTP"),
                n => Finding::fail(format!("{n} did not")),
            }
        }),
    ],
};

fn said_configure(call: &Call) -> usize {
    usize::from(call.is(Kind::Configure))
}

/// Complaints about things of these kinds; `count` is how many there were.
fn form(s: &Scene<'_>, of: &[Kind], count: impl Fn(&Call) -> usize) -> Finding {
    let total: usize = s.calls.iter().map(count).sum();
    let all = s.calls.iter().flat_map(|c| &c.said.complaints).filter(|c| of.contains(&c.of));
    let mut complaints: Vec<String> = all.map(|c| c.text.clone()).collect();
    if total == 0 && complaints.is_empty() {
        return Finding::not_seen("none came");
    }
    let found = complaints.len();
    // Each mistake once: the same firmware makes it each time.
    complaints.sort_unstable();
    complaints.dedup_by(|a, b| a.split(" is ").next() == b.split(" is ").next());
    match complaints.as_slice() {
        [] => Finding::pass(format!("{total} were so")),
        [one] => Finding::fail(format!("{one} ({found} times)")),
        [first, second, rest @ ..] => Finding::fail(format!("{first}; {second}; and {} more fields", rest.len())),
    }
}

fn routes(s: &Scene<'_>) -> Finding {
    let mut complaints = Vec::new();
    for call in s.calls {
        match call.kind {
            None => complaints.push(format!("{} is no route of the document", call.line)),
            Some(Kind::Commands | Kind::Health) => {}
            Some(_) if call.said.unreadable => complaints.push(format!("{}: the body cannot be read", call.line)),
            Some(_) if !call.is_json && !call.line.starts_with("GET") => {
                complaints.push(format!("{}: no Content-Type: application/json", call.line));
            }
            Some(_) => {}
        }
    }
    Finding::of_complaints(&complaints, format!("{} calls, all of them so", s.calls.len()))
}

/// The bucket of a device, as a server keeps it.
fn rate(s: &Scene<'_>) -> Finding {
    const PER_SECOND: f64 = 2.0;
    const BURST: f64 = 20.0;
    let (mut level, mut last_ms, mut over) = (BURST, 0, 0);
    for call in s.calls {
        level = (level + (call.at_ms - last_ms) as f64 / 1000.0 * PER_SECOND).min(BURST) - 1.0;
        last_ms = call.at_ms;
        if level < 0.0 {
            over += 1;
            level = 0.0;
        }
    }
    Finding::of(over == 0, format!("{over} of {} calls were more than that", s.calls.len()))
}
