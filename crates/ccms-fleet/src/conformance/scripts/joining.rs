//! The first call, and what it says.
use ccms_device::Kind;

use super::{POLL_S, REPORT_S};
use crate::conformance::call::{Call, Got};
use crate::conformance::check::{Check, Finding};
use crate::conformance::part::{BRIGHTNESS_PERCENT, LIGHT_ID};
use crate::conformance::scene::{Scene, of};
use crate::conformance::script::{InVain, Script, Step, wait};

const FIRST_CALL: Check = Check::new(
    "configure-first",
    &[1, 5],
    &[5],
    "POST configure is the first call after power-on, and what a device that is refused comes back with",
);
const IDENTITY: Check = Check::new(
    "identity",
    &[1, 12],
    &[11],
    "device_id in the path and in the body is the same, and the digits of an IMEI: identity are those of gsm_imei",
);
const ADOPTED: Check =
    Check::new("light-id", &[1], &[12], "light_id of the server's answer is used in the statuses that follow");
const TOKEN: Check =
    Check::new("token-used", &[8], &[6], "device_token of the server's answer goes with the next polls and statuses");
const LAMP: Check = Check::new(
    "lamp-as-configured",
    &[1],
    &[25],
    "in the night of the schedule it was given the lamp is on at brightness_level: status on, 80 %",
);

pub const SCRIPT: Script = Script {
    name: "joining",
    title: "Registration and the first calls. Switch the device on",
    is_long: false,
    steps: &[
        Step::Wait {
            what: "the first call of a device",
            most_s: |r| r.first_call_s,
            until: |s| !s.calls.is_empty(),
            in_vain: InVain::Stop,
        },
        Step::Wait {
            what: "POST configure",
            most_s: |_| 400,
            until: |s| configured(s).is_some(),
            in_vain: InVain::Stop,
        },
        wait("the first poll", |_| POLL_S, |s| s.calls.iter().any(|c| c.is(Kind::Commands) && c.got == Got::Accepted)),
        wait("the first status", |_| REPORT_S, |s| s.present(0).next().is_some()),
        wait("the lamp at its level", |_| REPORT_S, |s| s.shows_brightness(0, BRIGHTNESS_PERCENT).is_some()),
        Step::Judge(&FIRST_CALL, first_call),
        Step::Judge(&IDENTITY, identity),
        Step::Judge(&ADOPTED, adopted),
        Step::Judge(&TOKEN, token),
        Step::Judge(&LAMP, lamp),
    ],
};

fn configured<'a>(s: &Scene<'a>) -> Option<&'a Call> {
    s.calls.iter().find(|c| c.is(Kind::Configure) && c.got == Got::Accepted)
}

fn first_call(s: &Scene<'_>) -> Finding {
    let Some(first) = s.calls.first() else { return Finding::not_seen("no call") };
    let before = s.calls.iter().take_while(|c| !c.is(Kind::Configure)).count();
    match before {
        0 => Finding::pass("it was"),
        n => Finding::of(
            s.calls.iter().take(n).all(|c| matches!(c.got, Got::Refused(401 | 404))),
            format!("first came {}, and after {n} refused calls configure", first.line),
        ),
    }
}

fn identity(s: &Scene<'_>) -> Finding {
    let Some(call) = configured(s) else { return Finding::not_seen("no configure") };
    let said = call.said.device_id.as_deref().unwrap_or("none");
    let imei = call.path_id.strip_prefix("IMEI:");
    let fits = imei.is_none_or(|digits| call.said.imei.as_deref() == Some(digits));
    let seen = format!("path {}, body {said}, gsm_imei {}", call.path_id, call.said.imei.as_deref().unwrap_or("none"));
    Finding::of(said == call.path_id && fits, seen)
}

fn adopted(s: &Scene<'_>) -> Finding {
    match s.present(0).next() {
        None => Finding::fail("no status came"),
        Some((_, reading)) => {
            let light_id = reading.light_id.as_deref().unwrap_or("none");
            Finding::of(light_id == LIGHT_ID, format!("given {LIGHT_ID}, reported {light_id}"))
        }
    }
}

fn token(s: &Scene<'_>) -> Finding {
    let Some(configured) = configured(s) else { return Finding::not_seen("no configure") };
    let after = s.since(configured.at_ms + 1).iter();
    let calls: Vec<&Call> = after.filter(|c| c.is(Kind::Commands) || c.is_report()).collect();
    let bare = calls.iter().filter(|c| c.bearer.is_none()).count();
    let other = calls.iter().filter(|c| c.bearer.as_deref().is_some_and(|t| !s.part.knows(t))).count();
    let polls = of(s.calls, Kind::Commands).len();
    match calls.len() {
        0 => Finding::fail("neither poll nor status came"),
        n => Finding::of(
            bare + other == 0,
            format!("{n} polls and statuses ({polls} polls): {bare} without a token, {other} with another one"),
        ),
    }
}

fn lamp(s: &Scene<'_>) -> Finding {
    let level = f64::from(BRIGHTNESS_PERCENT);
    match s.present(0).last() {
        None => Finding::fail("no status came"),
        Some((_, r)) => {
            let power = r.power.as_deref().unwrap_or("unknown");
            let seen = format!("{power} at {} %", r.brightness.unwrap_or(f64::NAN));
            Finding::of(power == "on" && r.brightness == Some(level), seen)
        }
    }
}
