//! Days leave the log: found, counted, replaced by blocks, forgotten in pieces.
use std::collections::BTreeSet;
use std::sync::Arc;

use ccms_core::ids::LightNo;
use ccms_core::reading::ReadingFlags;
use ccms_core::time::UtcMillis;

use super::Database;
use super::samples::{at, reading};
use crate::{Day, LogPosition, ReadingRow, SealedDay, Store};

const DAY_S: i64 = 86_400;
pub(super) const FIRST: Day = Day(20_439);
pub(super) const ALL: LogPosition = LogPosition(i64::MAX);
pub(super) const LIGHTS: (LightNo, LightNo) = (LightNo(0), LightNo(u32::MAX));

/// A reading of light `light`, `seconds` into day `FIRST + day`.
pub(super) fn said(light: u32, day: i64, seconds: i64, seq: u32) -> ReadingRow {
    let at = UtcMillis(FIRST.begins().0 + (day * DAY_S + seconds) * 1000);
    let mut row = reading(light, 0, seq);
    (row.reading.reported_at, row.received_at) = (at, UtcMillis(at.0 + 150));
    row
}

/// The same from a clock of 1970, arrived at that time.
pub(super) fn undated(light: u32, day: i64, seconds: i64, seq: u32) -> ReadingRow {
    let mut row = said(light, day, seconds, seq);
    row.reading.reported_at = UtcMillis(i64::from(seq) * 1000);
    row.reading.flags.set(ReadingFlags::CLOCK_SUSPECT);
    row
}

fn keys(rows: &[ReadingRow]) -> BTreeSet<(u32, i64, i64)> {
    rows.iter().map(|r| (r.light_no.0, r.reading.reported_at.0, r.dedupe)).collect()
}

pub(super) fn block(light: u32, day: i32, revision: u32, body: &[u8]) -> SealedDay {
    SealedDay { light_no: LightNo(light), day: Day(FIRST.0 + day), revision, readings: 3, body: body.into() }
}

async fn rows_of(store: &dyn Store, day: i32, upto: LogPosition) -> Vec<ReadingRow> {
    let rows = store.hot_rows(Day(FIRST.0 + day), None, upto, 100).await.unwrap();
    rows.into_iter().map(|(_, row)| row).collect()
}

pub async fn a_day_is_found_by_its_own_time_where_that_can_be_believed(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.row_at_or_before(ALL).await.unwrap(), None);
    assert_eq!(store.earliest_hot_day(Day(i32::MIN), Day(i32::MAX), ALL).await.unwrap(), None);
    let rows = [
        said(1, 1, 0, 1),
        said(1, 0, DAY_S - 1, 2),
        said(2, 1, DAY_S - 1, 3),
        said(2, 2, 0, 4),
        undated(3, 1, 7, 5),
        undated(3, 3, 0, 6),
    ];
    let upto = store.append_readings(&rows).await.unwrap().upto;
    let later = said(4, 1, 9, 7);
    store.append_readings(std::slice::from_ref(&later)).await.unwrap();

    for (from, before, upto, first) in [
        (-9, 5, upto, Some(0)),
        (1, 5, upto, Some(1)),
        (3, 9, upto, None),
        (-9, 0, upto, None),
        (-9, 5, LogPosition(0), None),
    ] {
        let found = store.earliest_hot_day(Day(FIRST.0 + from), Day(FIRST.0 + before), upto).await.unwrap();
        assert_eq!(found, first.map(|day: i32| Day(FIRST.0 + day)), "{from} {before}");
    }
    for (day, expected) in [(0, &rows[1..2]), (2, &rows[3..4]), (3, &rows[..0]), (4, &rows[..0])] {
        assert_eq!(keys(&rows_of(&*store, day, upto).await), keys(expected), "{day}");
        assert_eq!(store.hot_count(Day(FIRST.0 + day), upto).await.unwrap(), expected.len() as u64, "{day}");
    }
    let second = [rows[0].clone(), rows[2].clone()];
    let mut found = rows_of(&*store, 1, upto).await;
    found.sort_by_key(|r| r.light_no.0);
    assert_eq!(found, second, "whole, and what came later is left");
    assert_eq!(store.hot_count(Day(FIRST.0 + 1), ALL).await.unwrap(), 3);
    for limit in 1..5 {
        let (mut paged, mut last) = (Vec::new(), None);
        loop {
            let page = store.hot_rows(Day(FIRST.0 + 1), last.as_ref(), upto, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            last = page.last().cloned();
            paged.extend(page.into_iter().map(|(_, row)| row));
            if last.is_none() {
                break;
            }
        }
        assert_eq!((paged.len(), keys(&paged)), (2, keys(&second)), "each once, {limit} at a time");
    }
    let (last, arrived) = store.row_at_or_before(ALL).await.unwrap().unwrap();
    assert_eq!((last > upto, arrived), (true, later.received_at));
    assert_eq!(store.row_at_or_before(LogPosition(0)).await.unwrap(), None);
}

pub async fn what_is_forgotten_is_gone_and_its_place_is_never_given_again(database: Arc<dyn Database>) {
    let store = database.open().await;
    let rows: Vec<_> =
        (0..10).map(|i| said(1, 0, i, i as u32)).chain([undated(1, 0, 3, 77), said(1, 1, 0, 78)]).collect();
    let upto = store.append_readings(&rows).await.unwrap().upto;
    store.append_readings(&[said(2, 0, 1, 79)]).await.unwrap();
    store.write_checkpoint(upto, &[]).await.unwrap();
    assert_eq!(forgets(&*store, 0, upto, 4, &[]).await, 4, "in pieces");
    assert_eq!(keys(&rows_of(&*store, 0, upto).await), keys(&rows[4..10]), "the oldest first");
    assert_eq!(forgets(&*store, 0, upto, 100, &[]).await, 6);
    assert_eq!(forgets(&*store, 0, upto, 100, &[]).await, 0);
    assert_eq!(store.hot_count(FIRST, ALL).await.unwrap(), 1, "what came later stays");
    for day in [0, 1] {
        forgets(&*store, day, ALL, 100, &[]).await;
    }
    let left: Vec<_> = store.log_after(LogPosition(0), 10).await.unwrap().into_iter().map(|(_, row)| row).collect();
    assert_eq!(left, rows[10..11], "whose clock was suspect stays");
    store.write_checkpoint(LogPosition(upto.0 + 1), &[]).await.unwrap();

    store.close().await;
    drop(store);
    let store = database.open().await;
    let again = store.append_readings(&[]).await.unwrap().upto;
    assert!(again > upto, "{again:?}");
    let next = store.append_readings(&[said(1, 2, 0, 1)]).await.unwrap().upto;
    assert!(next > again);
    assert_eq!(store.log_after(again, 10).await.unwrap().len(), 1);
}

pub async fn whose_clock_was_suspect_is_forgotten_by_arrival(database: Arc<dyn Database>) {
    let store = database.open().await;
    let arrived = |light, seconds, seq| ReadingRow { received_at: at(seconds), ..undated(light, 0, 3, seq) };
    let rows: Vec<_> = (0..5).map(|n| arrived(1 + n, i64::from(n), n)).chain([said(1, 0, 0, 9)]).collect();
    let upto = store.append_readings(&rows).await.unwrap().upto;
    store.append_readings(&[arrived(9, 0, 9)]).await.unwrap();
    assert_eq!(store.forget_suspect(at(0), ALL, 9).await.unwrap(), 0);
    assert_eq!(store.forget_suspect(at(4), upto, 3).await.unwrap(), 3, "in pieces");
    assert_eq!(store.forget_suspect(at(4), upto, 3).await.unwrap(), 1);
    assert_eq!(store.forget_suspect(at(4), upto, 3).await.unwrap(), 0);
    let left: Vec<_> = store.log_after(LogPosition(0), 10).await.unwrap().into_iter().map(|(_, row)| row).collect();
    assert_eq!(
        left,
        [rows[4].clone(), rows[5].clone(), arrived(9, 0, 9)],
        "what came later, or beyond, or was believed"
    );
    // Positions are never given again.
    assert_eq!(store.forget_suspect(at(9), ALL, 9).await.unwrap(), 2);
    let next = store.append_readings(&[arrived(9, 0, 9)]).await.unwrap();
    assert_eq!((next.stored, next.upto > LogPosition(upto.0 + 1)), (vec![true], true));
}

/// Of lights that are excepted nothing goes, whatever it shares a flush with; the others' readings all do.
pub async fn rows_of_some_lights_may_stay(database: Arc<dyn Database>) {
    let store = database.open().await;
    let mut upto = LogPosition(0);
    for flush in 0..4 {
        let rows: Vec<_> = (1..=3).map(|light| said(light, 0, 10 * flush, flush as u32)).collect();
        upto = store.append_readings(&rows).await.unwrap().upto;
    }
    let only: Vec<_> = (0..2).map(|n| said(2, 0, 100 + n, 100)).collect();
    upto = upto.max(store.append_readings(&only).await.unwrap().upto);
    store.write_checkpoint(upto, &[]).await.unwrap();
    let except = [LightNo(2), LightNo(77)];
    let (mut after, mut gone) = (LogPosition(0), Vec::new());
    loop {
        let (count, next) = store.forget_hot(FIRST, after, upto, 3, &except).await.unwrap();
        if count == 0 {
            break;
        }
        gone.push(count);
        after = next;
    }
    assert_eq!(gone, [3, 3, 2]);
    let left = rows_of(&*store, 0, upto).await;
    assert!(left.len() == 6 && left.iter().all(|row| row.light_no == LightNo(2)), "{left:?}");
    assert_eq!(store.hot_count(FIRST, upto).await.unwrap(), 6);
    let mut of_light = store.latest_readings(LightNo(2), 10).await.unwrap();
    of_light.reverse();
    assert_eq!(keys(&of_light), keys(&left), "and they are found as before");
    assert_eq!(store.oldest_hot_arrival(&[]).await.unwrap(), Some(left.iter().map(|r| r.received_at).min().unwrap()));
    assert_eq!(store.oldest_hot_arrival(&except).await.unwrap(), None);
    assert_eq!(store.log_findings().await.unwrap(), [""; 0]);
    assert_eq!(forgets(&*store, 0, upto, 100, &[]).await, 6);
}

/// From the beginning of the log.
pub(super) async fn forgets(store: &dyn Store, day: i32, upto: LogPosition, limit: u32, except: &[LightNo]) -> u64 {
    store.forget_hot(Day(FIRST.0 + day), LogPosition(0), upto, limit, except).await.unwrap().0
}

pub async fn a_block_takes_the_place_of_the_one_before_it(database: Arc<dyn Database>) {
    let store = database.open().await;
    let first = [block(1, 0, 1, b"a"), block(2, 0, 1, &[0, 255, 10]), block(1, 1, 1, b"")];
    assert_eq!(store.write_sealed(&first).await.unwrap(), [true; 3]);
    let mixed = [block(1, 0, 2, b"aa"), block(2, 0, 1, b"lost"), block(2, 0, 3, b"lost"), block(9, 0, 2, b"lost")];
    assert_eq!(store.write_sealed(&mixed).await.unwrap(), [true, false, false, false]);
    assert_eq!(store.write_sealed(&[]).await.unwrap(), [false; 0]);

    let of_day = store.sealed_of_day(FIRST, LIGHTS.0, LIGHTS.1).await.unwrap();
    assert_eq!(of_day, [mixed[0].clone(), first[1].clone()]);
    assert_eq!(store.sealed_of_day(FIRST, LightNo(2), LightNo(3)).await.unwrap(), [first[1].clone()]);
    let of_light = async |from: i32, last: i32, limit| {
        let (from, last) = (Day(FIRST.0 + from), Day(FIRST.0 + last));
        store.sealed_of_light(LightNo(1), from, last, limit).await.unwrap()
    };
    assert_eq!(of_light(0, 1, 10).await, [first[2].clone(), mixed[0].clone()], "newest first");
    assert_eq!(of_light(0, 1, 1).await, [first[2].clone()]);
    assert_eq!(of_light(0, 0, 10).await, [mixed[0].clone()]);
    assert_eq!(of_light(2, 9, 10).await, []);
}

pub async fn of_many_sealers_one_wins(database: Arc<dyn Database>) {
    let store = database.open().await;
    let tries: Vec<_> = (0..8_u8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.write_sealed(&[block(1, 0, 1, &[n])]).await.unwrap()[0] })
        })
        .collect();
    let mut won = Vec::new();
    for (n, attempt) in tries.into_iter().enumerate() {
        won.extend(attempt.await.unwrap().then_some(n as u8));
    }
    assert_eq!(won.len(), 1);
    assert_eq!(store.sealed_of_day(FIRST, LIGHTS.0, LIGHTS.1).await.unwrap()[0].body, won);
}
