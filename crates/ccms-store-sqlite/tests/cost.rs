//! What the tables of readings cost on disk and in time. Figures, no verdicts:
//! `cargo test -p ccms-store-sqlite --test cost -- --ignored --nocapture`
#![expect(clippy::disallowed_methods, reason = "measures")]
use std::sync::Arc;
use std::time::{Duration, Instant};

use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_store::{CheckpointRow, LogPosition, ReadingRow, Store};
use ccms_store_sqlite::SqliteStore;

const NOON: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

/// What a lamp says at night, `step` half minutes into it, as `delay_ms` later it arrives.
fn row(light: u32, lights: u32, step: u32) -> ReadingRow {
    let wobble = (light.wrapping_mul(2_654_435_761) ^ step.wrapping_mul(40_503)) >> 8;
    let second = step * 30 + light * 30 / lights;
    let reading = Reading {
        reported_at: NOON.plus_seconds(i64::from(second)),
        power_state: Some(PowerState::On),
        brightness_percent: Some(60),
        temperature_dc: Some(250 + (wobble % 100) as i16),
        battery_percent: Some(90 + (wobble % 10) as u8),
        signal_percent: Some(70 + (wobble % 20) as u8),
        uptime_s: Some(40_000 + second),
        voltage_dv: Some(2_280 + (wobble % 50) as u16),
        current_ma: Some(400 + wobble % 60),
        power_dw: Some(950 + wobble % 70),
        frequency_chz: Some(4_990 + (wobble % 20) as u16),
        energy_wh: Some(i64::from(120_000 + step)),
        ..Reading::default()
    };
    ReadingRow {
        light_no: LightNo(light + 1),
        device_no: DeviceNo(light + 1),
        received_at: UtcMillis(reading.reported_at.0 + 120 + i64::from(wobble % 400)),
        dedupe: reading.dedupe_key(),
        reading,
    }
}

fn written() -> u64 {
    let account = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    account.lines().find_map(|l| l.strip_prefix("write_bytes: ")?.trim().parse().ok()).unwrap_or(0)
}

async fn open(folder: &tempfile::TempDir) -> Arc<SqliteStore> {
    Arc::new(
        SqliteStore::open(&format!("sqlite://{}", folder.path().join("ccms.db").display())).await.expect("a database"),
    )
}

/// Longest wait of an append of 100 rows, again and again until `done`.
async fn longest_wait(store: &SqliteStore, done: &tokio::sync::watch::Receiver<bool>) -> Duration {
    let (mut longest, mut step) = (Duration::ZERO, 10_000);
    while !*done.borrow() {
        let rows: Vec<_> = (0..100).map(|light| row(light, 100, step)).collect();
        let began = Instant::now();
        store.append_readings(&rows).await.expect("stored");
        longest = longest.max(began.elapsed());
        step += 1;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    longest
}

/// A checkpoint of 100,000 lights beside the intake: in one transaction, and in pieces.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "figures"]
async fn checkpoint() {
    const LIGHTS: u32 = 100_000;
    for piece in [LIGHTS as usize, 8_192, 2_048, 512] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let states = |step: u32| -> Vec<CheckpointRow> {
            let state = |light| {
                let latest = row(light, LIGHTS, step);
                CheckpointRow {
                    light_no: latest.light_no,
                    last_contact: latest.received_at,
                    promised_interval_s: 30,
                    latest: Some(latest),
                }
            };
            (0..LIGHTS).map(state).collect()
        };
        store.write_checkpoint(LogPosition(0), &states(0)).await.unwrap();
        let (rows, wrote) = (states(1), written());
        let (end, done) = tokio::sync::watch::channel(false);
        let waiting = tokio::spawn({
            let store = store.clone();
            async move { longest_wait(&store, &done).await }
        });
        let (began, mut held) = (Instant::now(), Duration::ZERO);
        for piece in rows.chunks(piece) {
            let began = Instant::now();
            store.write_checkpoint(LogPosition(0), piece).await.unwrap();
            held = held.max(began.elapsed());
        }
        let took = began.elapsed();
        end.send_replace(true);
        println!(
            "pieces of {piece:>6}: {took:>8.0?} in all, {:>5.1} MB written, one piece at most {held:>8.0?}, an append waited at most {:>8.0?}",
            (written() - wrote) as f64 / 1e6,
            waiting.await.unwrap()
        );
        store.close().await;
    }
}

/// A stored reading: in order, and with arrivals out of order by up to so many seconds.
#[tokio::test]
#[ignore = "figures"]
async fn hot_row() {
    const LIGHTS: u32 = 1_000;
    for jitter_s in [0, 2] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder).await;
        let mut rows: Vec<_> =
            (0..360).flat_map(|step| (0..LIGHTS).map(move |light| row(light, LIGHTS, step))).collect();
        let late = |r: &ReadingRow| i64::from((r.light_no.0.wrapping_mul(48_271) >> 4) % 1_000) * jitter_s;
        rows.sort_by_key(|r| r.received_at.0 + late(r));
        for batch in rows.chunks(1_000) {
            store.append_readings(batch).await.unwrap();
        }
        store.close().await;
        let file = folder.path().join("ccms.db");
        println!(
            "jitter {jitter_s} s: {:.1} bytes a reading",
            file.metadata().unwrap().len() as f64 / rows.len() as f64
        );
        let query = "SELECT name, sum(pgsize) * 1.0 / 360000, sum(payload) * 1.0 / 360000, 100 - sum(unused) * 100.0 / sum(pgsize) FROM dbstat
          WHERE name LIKE 'energy%' GROUP BY name";
        let answer = std::process::Command::new("sqlite3").arg(&file).arg(query).output();
        println!(
            "table, bytes of pages, of content, fill %:\n{}",
            answer.map_or("no sqlite3 here".into(), |o| String::from_utf8_lossy(&o.stdout).into_owned())
        );
    }
}
