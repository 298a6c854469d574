//! What a month of a city costs: put together from the ledgers of its quarters of an hour, and from what whole days came to.
//!
//! `cargo run --release -p ccms-block --example daily`
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, by hand")]
use std::time::{Duration, Instant};

use ccms_block::{Daily, Sum, Tally, decode_daily, decode_ledger, encode_daily, encode_quarters, quarters};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};

/// Lights of one body, whose days differ.
const LIGHTS: u32 = 1_024;
const DAYS: i32 = 30;
const FIRST: Day = Day(20_440);

/// A day with a reading every thirty seconds, some of which are lost.
fn day_of(light: u32, day: i32) -> Vec<ReadingRow> {
    let mut chance = u64::from(light) << 32 | day as u64;
    let mut below = move |n: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (chance >> 33) % n
    };
    let begins = Day(FIRST.0 + day).begins().0;
    let mut rows = Vec::new();
    for n in 0..2_880_i64 {
        if below(50) == 0 {
            continue;
        }
        let on = !(720..2_160 + below(20) as i64).contains(&n);
        let reading = Reading {
            reported_at: UtcMillis(begins + n * 30_000 + i64::from(light % 30) * 1_000),
            power_state: Some(if on { PowerState::On } else { PowerState::Off }),
            power_dw: Some(if on { 600 + below(5) as u32 } else { 12 }),
            energy_wh: Some(480_000 + i64::from(light) * 997 + i64::from(day) * 720 + n / 4),
            ..Reading::default()
        };
        rows.push(ReadingRow {
            light_no: LightNo(light),
            device_no: DeviceNo(light),
            received_at: reading.reported_at,
            dedupe: 0,
            reading,
        });
    }
    rows
}

fn main() {
    let (mut ledgers, mut whole) = (Vec::new(), Vec::new());
    let (mut ledger_bytes, mut whole_bytes) = (0, 0);
    for day in 0..DAYS {
        let of_day = Day(FIRST.0 + day);
        let mut lights = Vec::new();
        for light in 0..LIGHTS {
            let quarters = quarters(&day_of(light, day), UtcMillis(i64::MAX));
            let (ledger, _) = encode_quarters(of_day, &quarters).unwrap();
            lights.push((LightNo(light), Daily::of(&decode_ledger(of_day, &ledger).unwrap()).unwrap()));
            ledger_bytes += ledger.len();
            ledgers.push((of_day, light, ledger));
        }
        let body = encode_daily(of_day, &lights).unwrap();
        whole_bytes += body.len();
        whole.push((of_day, body));
    }
    let light_days = (LIGHTS * DAYS as u32) as usize;
    let each = |bytes: usize| bytes as f64 / light_days as f64;
    println!("bytes of a light's day: ledger {:.0}, whole {:.1}", each(ledger_bytes), each(whole_bytes));

    let mut tallies = vec![(Tally::default(), Sum::default()); LIGHTS as usize];
    let start = Instant::now();
    for (day, light, ledger) in &ledgers {
        let (tally, sum) = &mut tallies[*light as usize];
        decode_ledger(*day, ledger).unwrap().iter().for_each(|quarter| tally.add(quarter, sum));
    }
    let by_quarter = start.elapsed();
    let expected: Vec<Sum> = tallies.iter().map(|(_, sum)| *sum).collect();
    let mut tallies = vec![(Tally::default(), Sum::default()); LIGHTS as usize];
    let start = Instant::now();
    for (day, body) in &whole {
        for (light, daily) in decode_daily(*day, body).unwrap() {
            let (tally, sum) = &mut tallies[light.0 as usize];
            tally.add_day(&daily, sum);
        }
    }
    let by_day = start.elapsed();
    assert!(tallies.iter().map(|(_, sum)| *sum).eq(expected), "both come to the same");
    let each = |took: Duration| took.as_secs_f64() * 1e6 / light_days as f64;
    println!("a light's day by quarters {:.2} µs, as a whole {:.3} µs", each(by_quarter), each(by_day));
    println!("3,000,000 of them {:.1} s, {:.2} s", 3.0 * each(by_quarter), 3.0 * each(by_day));
}
