//! What a light takes in memory, and how long the lock is held. Figures, no verdicts:
//! `cargo test -p ccms-service live::size -- --ignored --nocapture --test-threads 1`
#![expect(clippy::disallowed_methods, reason = "measures")]
use std::time::Instant;

use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, DeviceRecord, DeviceState, LightRecord, ReadingRow, Reported};

use super::state::{LiveDevice, LiveLight, State};

const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

/// A light and its controller with everything that people and the controller itself say of them.
fn put(state: &mut State, n: u32) {
    let text = |text: &str| Some(text.to_owned());
    state.put_device(DeviceRecord {
        no: DeviceNo(n),
        id: DeviceId::parse(&format!("IMEI:{:015}", 351_234_567_000_000 + u64::from(n))).unwrap(),
        state: DeviceState::Claimed,
        epoch: 1,
        token_used_gen: NOW.0,
        reclaim_until: None,
        created_at: NOW,
        claim_until: None,
        claimed_at: Some(NOW),
        attempts: 0,
        first_attempt_at: None,
        last_attempt_at: None,
        reported: Reported {
            device_type: text("CCMS-LIGHT"),
            name: Some(format!("Street light {n}")),
            city: text("Delhi"),
            address: Some(format!("{n} Sector 12, Dwarka, New Delhi")),
            latitude: Some(28.6),
            longitude: Some(77.2),
            gsm_imei: Some(format!("{:015}", 351_234_567_000_000 + u64::from(n))),
            communication_type: text("GSM"),
            firmware_version: text("2.1.4"),
            battery_backup_hours: Some(4.0),
        },
    });
    state.put_light(LightRecord {
        no: LightNo(n),
        id: LightId::numbered(n),
        device_no: Some(DeviceNo(n)),
        curated: Curated {
            name: format!("Street light {n}"),
            address: format!("{n} Sector 12, Dwarka, New Delhi"),
            city: "Delhi".into(),
            zone: "Zone 3".into(),
            ward: "Ward 41".into(),
            feeder: "Feeder 7".into(),
            pole: format!("P{n}"),
            wattage_w: Some(90.0),
            latitude: 28.6 + f64::from(n) * 1e-6,
            longitude: 77.2,
        },
        created_at: NOW,
    });
    state.contact(DeviceNo(n), NOW);
    state.reading(&row(n, NOW));
    state.publish(LightNo(n), NOW);
}

fn row(n: u32, at: UtcMillis) -> ReadingRow {
    let reading =
        Reading { reported_at: at, power_state: Some(PowerState::On), temperature_dc: Some(300), ..Reading::default() };
    ReadingRow { light_no: LightNo(n), device_no: DeviceNo(n), received_at: at, dedupe: reading.dedupe_key(), reading }
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|p| p.parse::<usize>().ok()).unwrap_or(0) * 4_096
}

#[test]
#[ignore = "figures"]
fn bytes_of_a_light() {
    let mut state = State::default();
    state.drifted(NOW);
    // Between powers of two, so that lists that double weigh the same at both ends.
    let (few, many) = (16_000, 128_000);
    (1..=few).for_each(|n| put(&mut state, n));
    state.take_touched();
    let before = resident_bytes();
    (few + 1..=many).for_each(|n| put(&mut state, n));
    state.take_touched();
    let all = (resident_bytes() - before) / (many - few) as usize;
    println!("{all} bytes of resident memory for a light with its controller");
    println!(
        "  {:>4} in the list of lights (of which the record {}, the reading {})",
        size_of::<Option<LiveLight>>(),
        size_of::<LightRecord>(),
        size_of::<ReadingRow>()
    );
    println!(
        "  {:>4} in the list of devices (of which the record {})",
        size_of::<Option<LiveDevice>>(),
        size_of::<DeviceRecord>()
    );
    println!(
        "  {:>4} texts, tables of ids, wheel, marks",
        all.saturating_sub(size_of::<Option<LiveLight>>() + size_of::<Option<LiveDevice>>())
    );
}

#[test]
#[ignore = "figures"]
fn time_under_the_lock() {
    let mut state = State::default();
    state.drifted(NOW);
    (1..=100_000).for_each(|n| put(&mut state, n));
    let rows: Vec<_> = (1..=1_024).map(|n| row(n * 97, NOW.plus_seconds(30))).collect();
    let time = |what: &str, state: &mut State, act: &mut dyn FnMut(&mut State)| {
        let began = Instant::now();
        act(state);
        println!("{what:<48}{:>12.0?}", began.elapsed());
    };
    time("a batch of 1,024 readings", &mut state, &mut |s| rows.iter().for_each(|r| drop(s.reading(r))));
    time("the same with contacts", &mut state, &mut |s| {
        rows.iter().for_each(|r| s.contact(r.device_no, r.received_at))
    });
    time("marks of 100,000 lights at once", &mut state, &mut |s| {
        drop(s.lights().map(|l| s.mark(l, NOW)).collect::<Vec<_>>())
    });
    time("marks of 4,096 lights", &mut state, &mut |s| {
        drop(s.lights().take(4_096).map(|l| s.mark(l, NOW)).collect::<Vec<_>>())
    });
    time("a sweep in which nothing is due", &mut state, &mut |s| drop(s.drifted(NOW.plus_seconds(1))));
    time("a look at all, as the sweep was", &mut state, &mut |s| {
        let drifted = s.lights().filter(|l| l.published.is_some_and(|p| p != s.mark_state(l, NOW)));
        println!("{}", drifted.count());
    });
    time("a sweep that finds all silent", &mut state, &mut |s| drop(s.drifted(NOW.plus_seconds(200))));
}
