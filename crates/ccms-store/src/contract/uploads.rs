//! What devices hand in beside readings: bounded per device, the newest stay.
use std::sync::Arc;

use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{Reading, ReadingFlags};
use ccms_core::time::UtcMillis;

use super::Database;
use super::samples::{at, reading, registered, row};
use crate::{DeviceLog, FirmwareReport, Quarantined, ReadingRow, Store};

async fn two_devices(store: &dyn Store) -> [DeviceNo; 2] {
    [registered(store, 1).await.0.no, registered(store, 2).await.0.no]
}

pub async fn the_newest_logs_stay(database: Arc<dyn Database>) {
    let store = database.open().await;
    let [one, other] = two_devices(&*store).await;
    let log = |n: i64| DeviceLog { at: at(n), text: format!("line {n} \"ä\" ✓\n{}", "x".repeat(9_000)) };
    store.save_device_log(other, at(0), &log(0).text, 3).await.unwrap();
    // The clock steps back: the order of arrival counts.
    for n in [1, 2, 9, 4, 5] {
        store.save_device_log(one, at(n), &log(n).text, 3).await.unwrap();
    }
    assert_eq!(store.device_logs(one, 10).await.unwrap(), [log(5), log(4), log(9)]);
    assert_eq!(store.device_logs(one, 2).await.unwrap(), [log(5), log(4)]);
    assert_eq!(store.device_logs(other, 10).await.unwrap(), [log(0)], "each device has its own");
    assert_eq!(store.device_logs(DeviceNo(99), 10).await.unwrap(), []);
}

pub async fn the_newest_unreadable_messages_stay(database: Arc<dyn Database>) {
    let store = database.open().await;
    let [one, other] = two_devices(&*store).await;
    let item = |n: i64| Quarantined { reason: format!("not an object ({n})"), raw: format!("[{n}, \"ä\\u0000\"") };
    let items = |range: std::ops::Range<i64>| range.map(item).collect::<Vec<_>>();
    store.save_quarantined(other, at(0), &items(90..91), 4).await.unwrap();
    store.save_quarantined(one, at(1), &items(0..3), 4).await.unwrap();
    store.save_quarantined(one, at(2), &[], 4).await.unwrap();
    store.save_quarantined(one, at(3), &items(3..5), 4).await.unwrap();
    let expected = [(at(3), item(4)), (at(3), item(3)), (at(1), item(2)), (at(1), item(1))];
    assert_eq!(store.quarantined(one, 10).await.unwrap(), expected);
    assert_eq!(store.quarantined(one, 1).await.unwrap(), expected[..1]);
    // One batch may hold more than is kept.
    store.save_quarantined(one, at(4), &items(10..30), 4).await.unwrap();
    let expected: Vec<_> = (26..30).rev().map(|n| (at(4), item(n))).collect();
    assert_eq!(store.quarantined(one, 10).await.unwrap(), expected);
    assert_eq!(store.quarantined(other, 10).await.unwrap(), [(at(0), item(90))]);
}

pub async fn the_last_firmware_report_stands(database: Arc<dyn Database>) {
    let store = database.open().await;
    let [one, other] = two_devices(&*store).await;
    assert_eq!(store.firmware_report(one).await.unwrap(), None);
    let full = FirmwareReport {
        device: one,
        at: at(1),
        version: Some("2.1.0".into()),
        state: Some("downloading".into()),
        progress_percent: Some(u8::MAX),
        message: Some("läuft \"so\" ✓".into()),
    };
    let bare =
        FirmwareReport { at: at(0), version: None, state: None, progress_percent: None, message: None, ..full.clone() };
    for report in [full.clone(), bare.clone(), full.clone()] {
        store.save_firmware_report(&report).await.unwrap();
        assert_eq!(store.firmware_report(one).await.unwrap(), Some(report), "whole, nothing of the one before");
    }
    let others = FirmwareReport { device: other, progress_percent: Some(0), ..bare };
    store.save_firmware_report(&others).await.unwrap();
    assert_eq!(store.firmware_report(other).await.unwrap(), Some(others));
    assert_eq!(store.firmware_report(one).await.unwrap(), Some(full));
}

pub async fn suspect_readings_are_found_by_arrival(database: Arc<dyn Database>) {
    let store = database.open().await;
    // Clocks of 1970 and 2080, arrived at `seconds`; other flags beside and alone, and a sound clock.
    let said = |light, clock: i64, seconds, flags| ReadingRow {
        received_at: at(seconds),
        ..row(light, Reading { reported_at: UtcMillis(clock), flags, ..Reading::default() })
    };
    let suspect = ReadingFlags::CLOCK_SUSPECT;
    let both = ReadingFlags(suspect.0 | 1);
    let a = said(1, 5_000, 10, suspect);
    let b = said(1, 3_471_292_800_000, 20, both);
    let c = said(1, 1_000, 30, suspect);
    let sound = [said(1, 2_000, 20, ReadingFlags(1)), reading(1, 20, 1), said(2, 5_000, 20, suspect)];
    // They arrive in one order and are written in another.
    let [first, second, third] = sound.clone();
    store.append_readings(&[c.clone(), a.clone(), first, second, third, b.clone()]).await.unwrap();
    let find = async |from, to, limit| store.suspect_readings(LightNo(1), at(from), at(to), limit).await.unwrap();
    assert_eq!(find(0, 99, 10).await, [c.clone(), b.clone(), a.clone()], "newest first");
    assert_eq!(find(10, 30, 10).await, [b.clone(), a.clone()], "half open");
    assert_eq!(find(11, 31, 10).await, [c.clone(), b.clone()]);
    assert_eq!(find(0, 99, 2).await, [c, b]);
    assert_eq!(find(0, 99, 0).await, []);
    assert_eq!(find(31, 99, 10).await, []);
    assert_eq!(store.suspect_readings(LightNo(2), at(0), at(99), 9).await.unwrap(), sound[2..]);
}
