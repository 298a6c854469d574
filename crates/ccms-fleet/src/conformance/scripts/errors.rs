//! 400, 401 and 404.
use ccms_core::wire::envelope::ErrorCode;
use ccms_device::Kind;

use super::{BACK_S, POLL_S, REPORT_S, SETTLED};
use crate::conformance::call::{Call, Got};
use crate::conformance::check::{Check, Finding};
use crate::conformance::fault::{ALWAYS, Fault, How, On};
use crate::conformance::scene::{Scene, seconds};
use crate::conformance::script::{Script, Step, need, wait};

const ONCE_MORE: Check = Check::new(
    "bad-request",
    &[6],
    &[],
    "a status that is refused with 400 is tried once more at most, and does not keep later ones back",
);
const RECONFIGURES: Check =
    Check::new("reconfigure-after-401", &[6, 8], &[2], "a 401 is followed by POST configure within 30 s");
const REJECTED: Check = Check::new(
    "rejected-token",
    &[8, 6],
    &[6],
    "the refused token is not used again but as proof with configure, and the new one is used from then on",
);
const UNKNOWN: Check =
    Check::new("reconfigure-after-404", &[6, 5], &[5], "a 404 is followed by POST configure within 30 s");

/// Requests that were under way when the refusal came.
const UNDER_WAY_MS: u64 = 3_000;
const CURE_S: u32 = 30;

pub const BAD_REQUEST: Script = Script {
    name: "bad-request",
    title: "400 to one status, whenever it comes",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.misbehave(Fault::new(On::OneReading, How::Refuse(ErrorCode::BadRequest, 0), ALWAYS))),
        need("a status to refuse", |_| REPORT_S, |s| refused(s, 400).is_some()),
        Step::Rest(|_| 70),
        Step::Judge(&ONCE_MORE, |s| {
            let tries = s.here().iter().filter(|c| c.got == Got::Refused(400)).count();
            let first = refused(s, 400).map_or(s.now_ms, |c| c.at_ms);
            let later = s.present(first).count();
            Finding::of(tries <= 2 && later > 0, format!("sent {tries} times in 70 s, and {later} later statuses came"))
        }),
    ],
};

pub const UNAUTHORIZED: Script = Script {
    name: "unauthorized",
    title: "The token is refused",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.revoke()),
        need("a call to refuse", |_| POLL_S, |s| refused(s, 401).is_some()),
        wait("POST configure", |_| CURE_S, |s| cured(s, 401).is_some()),
        wait("a status", |_| REPORT_S, |s| s.present(cured(s, 401).map_or(s.now_ms, |c| c.at_ms)).next().is_some()),
        Step::Rest(|_| 15),
        Step::Judge(&RECONFIGURES, |s| cure(s, 401)),
        Step::Judge(&REJECTED, |s| {
            let Some(first) = refused(s, 401) else { return Finding::not_seen("nothing was refused") };
            let after = s.since(first.at_ms + UNDER_WAY_MS).iter().filter(|c| !c.is(Kind::Configure));
            let carries = |c: &&Call| c.bearer.as_deref().is_some_and(|t| !s.part.is_valid(t));
            let (old, all) = (after.clone().filter(carries).count(), after.count());
            match all {
                0 => Finding::fail("no call came after it"),
                _ => Finding::of(old == 0, format!("{old} of {all} calls after it had the refused token")),
            }
        }),
    ],
};

pub const NOT_FOUND: Script = Script {
    name: "not-found",
    title: "The server does not know the device any more",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| {
            p.forgotten = true;
            p.revoke();
        }),
        need("a call to refuse", |_| POLL_S, |s| refused(s, 404).is_some()),
        wait("POST configure", |_| CURE_S, |s| cured(s, 404).is_some()),
        Step::Judge(&UNKNOWN, |s| cure(s, 404)),
        wait("a status", |_| BACK_S, |s| s.is_settled()),
    ],
};

fn refused<'a>(s: &Scene<'a>, status: u16) -> Option<&'a Call> {
    s.here().iter().find(|c| c.got == Got::Refused(status))
}

fn cured<'a>(s: &Scene<'a>, status: u16) -> Option<&'a Call> {
    s.since(refused(s, status)?.at_ms).iter().find(|c| c.is(Kind::Configure))
}

fn cure(s: &Scene<'_>, status: u16) -> Finding {
    match (refused(s, status), cured(s, status)) {
        (Some(refused), Some(cured)) => {
            Finding::pass(format!("configure {:.1} s after {}", seconds(cured.at_ms - refused.at_ms), refused.line))
        }
        _ => Finding::fail("no configure within 30 s"),
    }
}
