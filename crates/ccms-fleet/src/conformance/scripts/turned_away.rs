//! Nobody has approved the device yet.
use ccms_core::limits::CONFIGURE_RETRY_S;
use ccms_core::wire::envelope::ErrorCode;
use ccms_device::Kind;

use super::{BACK_S, POLL_S, SETTLED};
use crate::conformance::check::{Check, Finding};
use crate::conformance::fault::{Fault, How, On};
use crate::conformance::scene::{Scene, gaps, listed, of, seconds};
use crate::conformance::script::{Script, Step, need, wait};

const EVERY_5_MIN: Check = Check::new(
    "configure-retry",
    &[1, 11],
    &[],
    "a configure that is refused with 400 is tried again after 5 min (retry_after_seconds), three times in all",
);
const FOR_EVER: Check =
    Check::new("configure-for-ever", &[1], &[4], "after three refusals the device keeps trying, within an hour");
const READY: Check =
    Check::new("ready-again", &[5], &[], "once configure is accepted the device polls and reports as before");

const THREE: u32 = 3;
const HOUR_S: u32 = 3_600;

pub const SCRIPT: Script = Script {
    name: "turned-away",
    title: "Configure is refused three times. The device should show the error on the spot",
    is_long: true,
    steps: &[
        SETTLED,
        Step::Do(|p, _| {
            p.misbehave(Fault::new(
                On::Kind(Kind::Configure),
                How::Refuse(ErrorCode::PendingApproval, CONFIGURE_RETRY_S),
                THREE,
            ));
            p.forgotten = true;
            p.revoke();
        }),
        need("a call to refuse", |_| POLL_S, |s| s.here().iter().any(|c| !c.is_taken())),
        Step::Mark("refused"),
        wait("three configures", |_| 2 * BACK_S + 60, |s| tries(s).len() >= THREE as usize),
        Step::Judge(&EVERY_5_MIN, |s| {
            let gaps = gaps(&tries(s).into_iter().take(THREE as usize).collect::<Vec<_>>());
            let every = f64::from(CONFIGURE_RETRY_S);
            let good = gaps.len() == 2 && gaps.iter().all(|g| (every - 10.0..=every * 1.3).contains(g));
            Finding::of(good, format!("tried again after {}", listed(&gaps)))
        }),
        wait("a fourth one", |_| HOUR_S + 600, |s| tries(s).len() > THREE as usize),
        Step::Judge(&FOR_EVER, |s| match tries(s)[..] {
            [.., third, fourth] if tries(s).len() > THREE as usize => {
                Finding::pass(format!("again after {:.0} s", seconds(fourth.at_ms - third.at_ms)))
            }
            _ => Finding::fail("no fourth try within 70 min"),
        }),
        wait("a poll and a status", |_| 60, is_ready),
        Step::Judge(&READY, |s| Finding::of(is_ready(s), if is_ready(s) { "it does" } else { "not within 60 s" })),
    ],
};

fn tries<'a>(s: &Scene<'a>) -> Vec<&'a crate::conformance::call::Call> {
    of(s.here(), Kind::Configure)
}

fn is_ready(s: &Scene<'_>) -> bool {
    let Some(last) = tries(s).last().map(|c| c.at_ms) else { return false };
    let after = s.since(last + 1);
    after.iter().any(|c| c.is(Kind::Commands) && c.is_taken()) && s.present(last).next().is_some()
}
