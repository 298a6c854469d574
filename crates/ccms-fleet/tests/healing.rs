//! Ten thousand controllers lose their server for twenty minutes. When it is back they do not come back as one: the fullest second
//! has at most three times the calls of the mean one. Device cores in virtual time; the server's answers are no question here.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ccms_core::time::UtcMillis;
use ccms_fleet::world::{Request, Resident, Response, Rules, World};

const DEVICES: usize = 10_000;
const BEFORE_S: u64 = 90;
const OUTAGE_S: u64 = 1_200;
const UNDER_WAY_S: i64 = 3;
/// Longer than the longest wait between two probes, 300 s and a fifth.
const AFTER_S: u64 = 400;

/// As few words as a device needs.
fn answer(request: &Request) -> Response {
    let at = request.at;
    let body = match request.path.rsplit('/').next() {
        Some("configure") => format!(
            r#"{{"status":"success","message":"","light_id":"SL{}","device_token":"t","server_timestamp":"{at}","config":{{"schedule_enabled":true,"sunrise_time":"06:00:00","sunset_time":"18:30:00","brightness_level":100,"auto_dimming":true,"utc_offset_minutes":330}}}}"#,
            request.device
        ),
        Some("commands") => format!(r#"{{"status":"ok","commands":[],"server_timestamp":"{at}"}}"#),
        _ => format!(r#"{{"status":"success","message":"","next_update_seconds":30,"server_timestamp":"{at}"}}"#),
    };
    Response { status: 200, body: body.into_bytes() }
}

/// Calls in each second.
fn run(world: &mut World, seconds: u64) -> BTreeMap<i64, u32> {
    let mut calls: BTreeMap<i64, u32> = BTreeMap::new();
    let mut server = async |request: Request| {
        *calls.entry(request.at.seconds()).or_default() += 1;
        answer(&request)
    };
    {
        let future = pin!(world.run_for_seconds(seconds, &mut server));
        assert_eq!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
    }
    calls
}

fn fullest(calls: &BTreeMap<i64, u32>, seconds: u64) -> (f64, u32) {
    (f64::from(calls.values().sum::<u32>()) / seconds as f64, calls.values().copied().max().unwrap_or(0))
}

#[test]
fn ten_thousand_devices_come_back_without_a_stampede() {
    let rules = Rules { lights: DEVICES, start_spread_seconds: 60, seed: 5, ..Rules::default() };
    let mut world = World::new(rules);
    run(&mut world, BEFORE_S);
    let cut: UtcMillis = world.now();
    world.cut_network(cut..cut.plus_seconds(OUTAGE_S as i64));
    let (sent, lost) = (world.requests(), run(&mut world, OUTAGE_S));
    // What had left before it may still arrive.
    assert!(lost.keys().all(|second| *second <= cut.seconds() + UNDER_WAY_S), "nothing gets through");
    let of_outage = (world.requests() - sent) as f64 / DEVICES as f64;
    let calls = run(&mut world, AFTER_S);
    let (mean, most) = fullest(&calls, AFTER_S);
    println!(
        "{DEVICES} devices: {of_outage:.1} calls each while nobody answered; then {mean:.0} calls/s in the mean, {most} in the fullest \
         second: {:.2} times as many",
        f64::from(most) / mean
    );
    assert!(f64::from(most) <= 3.0 * mean);
    assert!(world.devices().all(Resident::is_online));
    // 6 tries of two kinds before it is given up, then 10, 30, 60 and 300 s.
    assert!(of_outage < 40.0, "{of_outage}");
}
