//! Heat, and a battery that runs down: what a device does then, and tells. Somebody, or a bench, has to bring it about.
use ccms_core::limits::{BATTERY_LOW_PERCENT, STATUS_INTERVAL_HOT_S, TEMPERATURE_HOT_C};
use ccms_device::Kind;

use super::{REPORT_S, SETTLED};
use crate::conformance::check::{Check, Finding};
use crate::conformance::scene::{Scene, figures, gaps, of, reports, seconds};
use crate::conformance::script::{Script, Step, Stimulus, need, wait};

const HOT: Check = Check::new("hot-cadence", &[2], &[], "above 60 °C a status every 10 s");
const HOT_ALERT: Check =
    Check::new("heat-alert", &[9, 7], &[], "above 65 °C an alert is sent, on its own or with a sync, within 60 s");
const LOW_POLL: Check = Check::new("low-battery-polls", &[3], &[33], "below 20 % of battery a poll every 60 s");
const LOW_STATUS: Check = Check::new(
    "low-battery-status",
    &[2],
    &[33],
    "below 20 % of battery statuses go on, every 10 s or as next_update_seconds (60) says",
);
const LOW_ALERT: Check = Check::new(
    "battery-alert",
    &[9, 7],
    &[],
    "below 10 % of battery an alert is sent, on its own or with a sync, within 60 s",
);

/// A slow sensor takes its time.
const WARMING_S: u32 = 600;

pub const HEAT: Script = Script {
    name: "heat",
    title: "The device gets hot",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Ask(Stimulus::Hot),
        need("a status above 60 °C", |_| WARMING_S, |s| is_hot(s).is_some()),
        Step::Mark("hot"),
        Step::Rest(|_| 65),
        Step::Judge(&HOT, |s| {
            let all = reports(s.since(s.mark("hot")));
            let gaps = gaps(&all);
            let most = f64::from(STATUS_INTERVAL_HOT_S) + 2.5;
            let good = gaps.len() >= 4 && gaps.iter().all(|g| *g <= most);
            Finding::of(good, format!("{} statuses in 65 s, distances {}", all.len(), figures(&gaps)))
        }),
        Step::Judge(&HOT_ALERT, |s| alert(s, "hot")),
        Step::Ask(Stimulus::Cool),
        wait(
            "a status below 60 °C",
            |_| WARMING_S,
            |s| {
                let last = s.present(s.mark("hot")).last();
                last.is_some_and(|(_, r)| r.temperature.is_some_and(|t| t <= TEMPERATURE_HOT_C))
            },
        ),
    ],
};

pub const BATTERY: Script = Script {
    name: "battery",
    title: "The battery runs down",
    is_long: false,
    steps: &[
        SETTLED,
        Step::Ask(Stimulus::BatteryLow),
        need("a status below 20 % of battery", |_| WARMING_S, |s| is_low(s).is_some()),
        Step::Mark("low"),
        Step::Rest(|_| 200),
        Step::Judge(&LOW_POLL, |s| {
            // The one under way may have been paced before.
            let polls = of(s.since(s.mark("low") + 15_000), Kind::Commands);
            let gaps = gaps(&polls);
            let good = !gaps.is_empty() && gaps.iter().all(|g| (50.0..=75.0).contains(g));
            Finding::of(good, format!("{} polls, distances {}", polls.len(), figures(&gaps)))
        }),
        Step::Judge(&LOW_STATUS, |s| {
            let all = reports(s.since(s.mark("low")));
            let gaps = gaps(&all);
            let good = gaps.len() >= 2 && gaps.iter().all(|g| *g <= 65.0);
            Finding::of(good, format!("{} statuses in 200 s, distances {}", all.len(), figures(&gaps)))
        }),
        Step::Judge(&LOW_ALERT, |s| alert(s, "low")),
        Step::Ask(Stimulus::BatteryFull),
        wait(
            "a status above 20 % of battery",
            |_| WARMING_S,
            |s| {
                let last = s.present(s.mark("low")).last();
                last.is_some_and(|(_, r)| r.battery.is_some_and(|b| b >= f64::from(BATTERY_LOW_PERCENT)))
            },
        ),
        Step::Rest(|_| REPORT_S),
    ],
};

fn is_hot(s: &Scene<'_>) -> Option<u64> {
    let hot = |t: f64| t > TEMPERATURE_HOT_C;
    s.present(s.began_ms).find(|(_, r)| r.temperature.is_some_and(hot)).map(|(c, _)| c.at_ms)
}

fn is_low(s: &Scene<'_>) -> Option<u64> {
    let low = |b: f64| b < f64::from(BATTERY_LOW_PERCENT);
    s.present(s.began_ms).find(|(_, r)| r.battery.is_some_and(low)).map(|(c, _)| c.at_ms)
}

/// An alert since the script began. It may come before the status that shows the same.
fn alert(s: &Scene<'_>, mark: &str) -> Finding {
    match s.here().iter().find(|c| c.said.alerts > 0 && c.is_taken()) {
        None => Finding::fail("no alert came"),
        Some(call) => {
            let after = seconds(call.at_ms.saturating_sub(s.mark(mark)));
            Finding::of(after <= 60.0, format!("{} {after:.1} s after the first such status", call.line))
        }
    }
}
