//! What a light takes in memory, as the allocator counts it: imported from a file, let in, reporting, drawn on the map. Through
//! the real service on a real database. A program of its own, so that nothing else is counted.
//!
//! `cargo test -p ccms-service --test memory -- --nocapture`
#![expect(clippy::unwrap_used, reason = "a test from end to end")]
use std::alloc::System;
use std::sync::Arc;

use ccms_core::ids::DeviceId;
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::status::{StatusBatch, StatusMessage};
use ccms_service::catalogue::ImportRow;
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::settings::{EnrolmentMode, Limits, Settings};
use ccms_service::{Caller, Ccms, Evidence, Role, TokenUse, Traffic, Who};
use ccms_store_sqlite::SqliteStore;
use futures_util::StreamExt;
use futures_util::stream;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static MEMORY: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);
const LIGHTS: u32 = 20_000;
/// What nobody needs more than once: lights that are there when counting begins.
const FIRST: u32 = 100;
/// Lights of one street; a feeder has four of them, a ward sixteen.
const STREET: u32 = 25;
/// Whoever watches the map can come back to so many steps, and no further.
const STEPS_KEPT: usize = 512;
/// The aim.
const BYTES_MAX: usize = 400;
/// The city's streets are named as streets are.
const KINDS: [&str; 4] = ["Road", "Marg", "Lane", "Avenue"];
const NAMES: [&str; 10] =
    ["Ashoka", "Lotus", "Palam", "Station", "Temple", "Mill", "Garden", "Market", "College", "Canal"];
const PARTS: [&str; 5] = ["Dwarka", "Rohini", "Saket", "Janakpuri", "Mayur Vihar"];

fn held() -> usize {
    let stats = MEMORY.stats();
    // What grew or shrank in its place is in both already.
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

fn device(n: u32) -> DeviceId {
    DeviceId::parse(&format!("IMEI:{}", imei(n))).unwrap()
}

/// As they come out of boxes: in no order, and all fifteen digits differ.
fn imei(n: u32) -> u64 {
    351_000_000_000_000 + u64::from(n) * 48_271_000_003 % 999_999_000_001
}

fn street(n: u32) -> String {
    let street = (n / STREET) as usize;
    let name = NAMES[street % 10];
    format!("{name} {}, {}, New Delhi", KINDS[street / 10 % 4], PARTS[street / 40 % 5])
}

fn degrees(from: f64, e6: u32) -> f64 {
    // As a file says it, with six digits.
    format!("{:.6}", from + f64::from(e6) * 1e-6).parse().unwrap()
}

fn row(n: u32) -> ImportRow {
    ImportRow {
        row: n + 1,
        device_id: Some(device(n)),
        name: Some(format!("Street light {n}")),
        latitude: Some(degrees(28.5, n * 37 % 200_000)),
        longitude: Some(degrees(77.1, n * 53 % 200_000)),
        address: Some(format!("{} {}", n % STREET * 4 + 1, street(n))),
        city: Some("Delhi".into()),
        zone: Some(format!("Zone {}", n / 4_000 + 1)),
        ward: Some(format!("Ward {}", n / (STREET * 16) + 1)),
        feeder: Some(format!("F-{:04}", n / (STREET * 4) + 1)),
        pole: Some(format!("P{:05}", n * 7 % 99_991)),
        wattage: Some(Some([70.0, 90.0, 120.0][(n / STREET % 3) as usize])),
        ..ImportRow::default()
    }
}

/// What the contract's example says of itself. The place is the receiver's, with seven digits and not where people put it.
fn says(n: u32) -> ConfigureRequest {
    let text = |text: &str| Some(text.to_owned());
    ConfigureRequest {
        device_type: text("CCMS-LIGHT"),
        name: Some(format!("Street light {n}")),
        city: text("Delhi"),
        latitude: Some(degrees(28.5, n * 37 % 200_000 + 3)),
        longitude: Some(degrees(77.1, n * 53 % 200_000 + 5)),
        address: Some(format!("{} {}", n % STREET * 4 + 1, street(n))),
        battery_backup_hours: Some(4.0),
        gsm_imei: Some(imei(n).to_string()),
        communication_type: text("GSM"),
        firmware_version: Some(format!("2.{}.{}", n % 2, n % 5)),
        ..ConfigureRequest::default()
    }
}

fn status(n: u32, at: UtcMillis) -> StatusBatch {
    let reading = Reading {
        reported_at: at,
        seq: Some(n),
        power_state: Some(PowerState::On),
        brightness_percent: Some(80),
        temperature_dc: Some(300),
        battery_percent: Some(90),
        signal_percent: Some(70),
        uptime_s: Some(86_400 + n),
        voltage_dv: Some(2_300),
        current_ma: Some(391),
        power_dw: Some(900),
        frequency_chz: Some(5_000),
        energy_wh: Some(12_500 + i64::from(n)),
        ..Reading::default()
    };
    let message = StatusMessage { device_id: None, gsm_imei: None, light_id: None, reading };
    StatusBatch { messages: vec![message], ..StatusBatch::default() }
}

/// Imported, let in, twice heard of, drawn. Answers the tokens.
async fn come(ccms: &Ccms, clock: &Clock, numbers: std::ops::RangeInclusive<u32>) -> Vec<(u32, String)> {
    let admin = Who::person("admin@example.org", Role::Admin, None);
    let rows: Vec<_> = numbers.clone().map(row).collect();
    let report = ccms.import_lights(admin.may_commission().unwrap(), &rows, Vec::new(), false, Some(24)).await.unwrap();
    assert_eq!((report.created as usize, report.errors.len()), (rows.len(), 0));
    drop((rows, report));
    let lets_in = stream::iter(numbers).map(async |n| {
        let answer = ccms.configure(&device(n), Evidence::default(), &says(n)).await.unwrap();
        (n, answer.device_token.unwrap())
    });
    let tokens: Vec<_> = lets_in.buffer_unordered(64).collect().await;
    for _ in 0..2 {
        clock.advance_ms(30_000);
        let reports = stream::iter(&tokens).map(async |(n, token)| {
            let who = ccms.authenticate(&device(*n), Some(token), TokenUse::Report).await.unwrap();
            ccms.record_status(&who, status(*n, clock.now())).await.unwrap();
        });
        reports.buffer_unordered(512).collect::<()>().await;
        ccms.sweep().await;
        ccms.publish_changes();
    }
    tokens
}

/// So much happens that nothing is left of what came before, and everything is saved.
async fn calms_down(ccms: &Ccms, clock: &Clock, (n, token): &(u32, String)) {
    let who = ccms.authenticate(&device(*n), Some(token), TokenUse::Report).await.unwrap();
    for _ in 0..=STEPS_KEPT {
        clock.advance_ms(10);
        ccms.record_status(&who, status(*n, clock.now())).await.unwrap();
        ccms.publish_changes();
    }
    ccms.checkpoint().await;
}

#[tokio::test]
async fn a_light_takes_few_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let store =
        Arc::new(SqliteStore::open(&format!("sqlite://{}", folder.path().join("ccms.db").display())).await.unwrap());
    let limits = Limits { fleet_per_device_per_second: 1e6, ..Limits::default() };
    let settings =
        Settings { enrolment: EnrolmentMode::Registered, limits, new_lights_every_s: 3_600, ..Settings::default() };
    let clock = Clock::manual(NOW);
    let ccms = Ccms::start(settings, clock.clone(), store, &MasterKey::random()).await.unwrap();

    let first = come(&ccms, &clock, 1..=FIRST).await;
    calms_down(&ccms, &clock, &first[0]).await;
    let before = held();
    let tokens = come(&ccms, &clock, FIRST + 1..=LIGHTS).await;
    let token = tokens[0].clone();
    drop(tokens);
    calms_down(&ccms, &clock, &token).await;
    let of_a_light = (held() - before) / (LIGHTS - FIRST) as usize;
    println!("{of_a_light} bytes for each of {LIGHTS} lights with its controller and its latest state");

    let before = held();
    let who = ccms.authenticate(&device(token.0), Some(&token.1), TokenUse::Report).await.unwrap();
    ccms.admit(Caller::Proven(&who), Traffic::Report).unwrap();
    println!("{} bytes for the first that is counted by the governor", held().saturating_sub(before));

    let view = Who::person("admin@example.org", Role::Admin, None).may_view().unwrap();
    let counts = ccms.city(view).counts;
    assert_eq!((counts.green, counts.total()), (LIGHTS, LIGHTS), "each is known, and online");
    assert!(of_a_light <= BYTES_MAX, "{of_a_light} bytes for a light; {BYTES_MAX} is the aim");
    ccms.stop().await;
}
