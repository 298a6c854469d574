//! A fresh token in the answer to a status.
use super::{REPORT_S, SETTLED};
use crate::conformance::check::{Check, Finding};
use crate::conformance::script::{Script, Step, need};

const REFRESH: Check =
    Check::new("token-refresh", &[8], &[6], "device_token in the answer to a status is used from then on");

/// Requests that were under way when the answer came.
const UNDER_WAY_MS: u64 = 3_000;

pub const SCRIPT: Script = Script {
    name: "token-refresh",
    title: "A fresh token in the answer to a status",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Do(|p, _| p.refresh = true),
        need("a status to answer with a token", |_| REPORT_S, |s| !s.part.refresh),
        Step::Mark("fresh"),
        Step::Rest(|_| REPORT_S),
        Step::Judge(&REFRESH, |s| {
            let calls = s.since(s.mark("fresh") + UNDER_WAY_MS);
            let fresh = calls.iter().filter(|c| c.bearer.as_deref() == s.part.token()).count();
            match calls.len() {
                0 => Finding::fail("no call came within 45 s"),
                all => Finding::of(fresh == all, format!("{fresh} of {all} calls after it had the fresh token")),
            }
        }),
    ],
};
