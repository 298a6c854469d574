//! What days came to: kept with their blocks or not at all, and summed without looking at anything else.
use std::sync::Arc;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;

use super::Database;
use super::samples::registered;
use super::sealing::{ALL, FIRST, LIGHTS, block, forgets, said, undated};
use crate::{DailyPart, Day, DayPart, LedgerDay, ReadingRow, RolledDay, SealedDay};

fn rolled(light: u32, day: i32, ledger: &[u8]) -> RolledDay {
    RolledDay {
        light_no: LightNo(light),
        day: Day(FIRST.0 + day),
        ledger: ledger.into(),
        measured: [ledger, b"measured"].concat(),
    }
}

fn ledger(light: u32, day: i32, body: &[u8]) -> LedgerDay {
    LedgerDay { light_no: LightNo(light), day: Day(FIRST.0 + day), body: body.into() }
}

fn sealed(light: u32, day: i32, revision: u32, body: &[u8]) -> (SealedDay, RolledDay) {
    (block(light, day, revision, body), rolled(light, day, body))
}

pub async fn a_day_is_kept_with_its_block_or_not_at_all(database: Arc<dyn Database>) {
    let store = database.open().await;
    let first = [sealed(1, 0, 1, b"a"), sealed(1, 1, 1, &[0, 255]), sealed(2, 0, 1, b"b")];
    assert_eq!(store.seal(&first).await.unwrap(), [true; 3]);
    let mixed = [sealed(1, 0, 2, b"aa"), sealed(2, 0, 1, b"lost"), sealed(9, 0, 2, b"lost")];
    assert_eq!(store.seal(&mixed).await.unwrap(), [true, false, false]);
    assert_eq!(store.sealed_of_day(FIRST, LIGHTS.0, LIGHTS.1).await.unwrap(), [mixed[0].0.clone(), first[2].0.clone()]);
    let of_light =
        async |light, limit| store.rollups_of_light(LightNo(light), FIRST, Day(FIRST.0 + 1), limit).await.unwrap();
    assert_eq!(of_light(1, 9).await, [first[1].1.clone(), mixed[0].1.clone()], "newest first");
    assert_eq!(of_light(1, 1).await, [first[1].1.clone()]);
    assert_eq!(of_light(2, 9).await, [first[2].1.clone()]);
    assert_eq!(of_light(9, 9).await, []);
    store.write_rollups(&[rolled(1, 0, b"again"), rolled(1, 5, b"new")]).await.unwrap();
    assert_eq!(of_light(1, 9).await, [first[1].1.clone(), rolled(1, 0, b"again")]);
    assert_eq!(store.unrolled_days(9).await.unwrap(), []);
}

/// A day whose readings are gone is told by what it came to, unless a block or a file has them.
pub async fn what_lost_its_readings_is_found(database: Arc<dyn Database>) {
    let store = database.open().await;
    store.seal(&[sealed(1, 0, 1, b"a")]).await.unwrap();
    store
        .write_rollups(&[rolled(1, 1, b"b"), rolled(2, 0, b"c"), rolled(2, 3, b"d"), rolled(3, 1, b"e")])
        .await
        .unwrap();
    assert!(store.record_archived(&super::archive::archived(1, 1)).await.unwrap());
    let at = |day: i32| Day(FIRST.0 + day);
    let bare = [(LightNo(2), at(0)), (LightNo(2), at(3))];
    let first = (LightNo(0), Day(i32::MIN));
    assert_eq!(store.bare_rollups(first, 9).await.unwrap(), bare);
    assert_eq!(store.bare_rollups(first, 1).await.unwrap(), bare[..1]);
    assert_eq!(store.bare_rollups(bare[0], 9).await.unwrap(), bare[1..]);
    assert_eq!(store.bare_rollups(bare[1], 9).await.unwrap(), []);
}

pub async fn ledgers_are_those_of_registered_lights(database: Arc<dyn Database>) {
    let store = database.open().await;
    for n in 1..=3 {
        registered(&*store, n).await;
    }
    let days: Vec<_> =
        [(1, 0), (1, 3), (1, 4), (2, 4), (3, 1), (9, 4)].map(|(l, d)| rolled(l, d, &[l as u8, d as u8])).into();
    store.write_rollups(&days).await.unwrap();
    let at = |day: i32| Day(FIRST.0 + day);
    let all = store.ledgers(LIGHTS, at(3), at(4)).await.unwrap();
    assert_eq!(all, [ledger(1, 3, &[1, 3]), ledger(1, 4, &[1, 4]), ledger(2, 4, &[2, 4])]);
    assert_eq!(store.ledgers((LightNo(2), LightNo(3)), at(0), at(9)).await.unwrap(), [ledger(2, 4, &[2, 4])]);
    let before = store.ledgers_before(LIGHTS, at(4)).await.unwrap();
    assert_eq!(before, [ledger(1, 3, &[1, 3]), ledger(3, 1, &[3, 1])], "of each the last one");
    assert_eq!(store.ledgers_before((LightNo(0), LightNo(2)), at(3)).await.unwrap(), [ledger(1, 0, &[1, 0])]);
    assert_eq!(store.ledgers_before(LIGHTS, at(0)).await.unwrap(), []);
}

pub async fn what_a_day_came_to_is_kept_until_it_changes(database: Arc<dyn Database>) {
    let store = database.open().await;
    let at = |day: i32| Day(FIRST.0 + day);
    let open = |day: i32, part: u32, revision: i64| DayPart { day: at(day), part, revision };
    assert_eq!(store.open_parts(Day(i32::MAX), 9).await.unwrap(), []);
    let days = [(1, 0), (1_023, 0), (1_024, 0), (1, 1), (u32::MAX, 1)].map(|(light, day)| rolled(light, day, b"a"));
    store.write_rollups(&days).await.unwrap();
    let last = u32::MAX / 1_024;
    let all = [open(1, last, 1), open(1, 0, 1), open(0, 1, 1), open(0, 0, 1)];
    assert_eq!(store.open_parts(at(2), 9).await.unwrap(), all, "newest first");
    assert_eq!(store.open_parts(at(1), 9).await.unwrap(), all[2..]);
    assert_eq!(store.open_parts(at(2), 1).await.unwrap(), all[..1]);
    assert!(store.write_daily(&all[3], b"sums").await.unwrap());
    assert!(store.write_daily(&all[1], &[0, 255]).await.unwrap());
    assert!(!store.write_daily(&open(5, 5, 1), b"nothing there").await.unwrap());
    assert_eq!(store.open_parts(at(2), 9).await.unwrap(), [all[0], all[2]]);
    let kept = [(0, b"sums".to_vec()), (1, vec![0, 255])].map(|(day, body)| DailyPart { day: at(day), body });
    assert_eq!(store.daily(0, at(0), at(1)).await.unwrap(), kept);
    assert_eq!(store.daily(0, at(1), at(9)).await.unwrap(), kept[1..]);
    assert_eq!(store.daily(1, at(0), at(9)).await.unwrap(), []);
    assert_eq!(store.daily_known(at(0), at(9)).await.unwrap(), [(at(0), 0), (at(1), 0)]);
    // A block that is kept opens its day again; one that is not leaves it.
    assert_eq!(store.seal(&[sealed(7, 0, 1, b"b"), sealed(8, 1, 5, b"lost")]).await.unwrap(), [true, false]);
    assert_eq!(store.open_parts(at(1), 9).await.unwrap(), [all[2], open(0, 0, 2)]);
    assert_eq!(store.daily(0, at(0), at(1)).await.unwrap(), kept[1..]);
    assert!(!store.write_daily(&all[3], b"of before").await.unwrap());
    assert!(store.write_daily(&open(0, 0, 2), b"of now").await.unwrap());
    assert_eq!(store.daily_known(at(0), at(0)).await.unwrap(), [(at(0), 0)]);
}

pub async fn a_moment_is_found_in_the_log(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.oldest_hot_arrival(&[]).await.unwrap(), None);
    let rows = [undated(1, 0, 5, 1), said(1, 0, 10, 2), said(2, 0, 20, 3), said(3, 0, 30, 4), said(1, 0, 40, 5)];
    store.append_readings(&rows).await.unwrap();
    assert_eq!(store.oldest_hot_arrival(&[]).await.unwrap(), Some(rows[1].received_at));
    let newest = async |lights: &[u32], from_s: i64, to_s: i64| {
        let at = |s: i64| UtcMillis(FIRST.begins().0 + s * 1000);
        let lights: Vec<LightNo> = lights.iter().map(|no| LightNo(*no)).collect();
        let mut found = store.newest_hot(&lights, at(from_s), at(to_s)).await.unwrap();
        found.sort_by_key(|r| r.received_at);
        found
    };
    assert_eq!(newest(&[1, 2, 3], 10, 40).await, rows[1..4]);
    assert_eq!(newest(&[1, 3], 10, 40).await, [rows[1].clone(), rows[3].clone()], "and nobody in between");
    assert_eq!(newest(&[1, 2, 3], 10, 30).await, rows[1..3], "the end is outside");
    assert_eq!(newest(&[1], 0, 11).await, rows[..2], "one that is believed, and one that is not by its arrival");
    assert_eq!(newest(&[1], 0, 5).await, []);
    assert_eq!(newest(&[], 0, 40).await, []);
    let again = [said(1, 0, 11, 9), said(1, 0, 11, 6), said(1, 0, 12, 7), said(1, 0, 9, 8)];
    store.append_readings(&again).await.unwrap();
    assert_eq!(newest(&[1, 9], 10, 40).await, again[2..3], "the newest by its own time, whenever it arrived");
    assert_eq!(newest(&[1], 10, 12).await, again[..1], "of one moment the highest key");
    let uptimes = [Some(60), Some(90), Some(30), None];
    let heap = (20..).zip(uptimes).map(|(seq, uptime_s)| {
        let mut row = undated(2, 0, 50, seq);
        row.reading.uptime_s = uptime_s;
        row
    });
    let heap: Vec<ReadingRow> = heap.collect();
    store.append_readings(&heap).await.unwrap();
    assert_eq!(newest(&[1, 2], 45, 60).await, heap[1..2], "of one arrival the longest uptime");
    forgets(&*store, 0, ALL, 100, &[]).await;
    assert_eq!(store.oldest_hot_arrival(&[]).await.unwrap(), None, "one that nobody believes stays and does not count");
}
