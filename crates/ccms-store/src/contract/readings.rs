//! The log: each row once, in order of arrival, and what was written comes back.
use std::collections::HashSet;
use std::sync::Arc;

use ccms_core::ids::LightNo;
use ccms_core::reading::{Reading, ReadingFlags};
use ccms_core::time::UtcMillis;

use super::Database;
use super::samples::{at, audit, extreme_readings, reading, registered, row, session, user};
use crate::{Appended, LogPosition, ReadingRow, Store};

const ALL: (UtcMillis, UtcMillis) = (UtcMillis(-1_000_000_000), UtcMillis(253_402_300_800_000));

async fn log(store: &dyn Store) -> Vec<ReadingRow> {
    store.log_after(LogPosition(0), 10_000).await.unwrap().into_iter().map(|(_, row)| row).collect()
}

pub async fn every_field_comes_back(database: Arc<dyn Database>) {
    let store = database.open().await;
    let rows: Vec<_> = extreme_readings().into_iter().map(|r| row(7, r)).collect();
    let done = store.append_readings(&rows).await.unwrap();
    assert_eq!(done.stored, vec![true; rows.len()]);
    assert_eq!(log(&*store).await, rows);
    let newest: Vec<_> = rows.iter().rev().cloned().collect();
    assert_eq!(store.latest_readings(LightNo(7), 10).await.unwrap(), newest);
    let mut by_time = rows.clone();
    by_time.sort_by_key(|r| std::cmp::Reverse(r.reading.reported_at));
    assert_eq!(store.readings(LightNo(7), ALL.0, ALL.1, 10).await.unwrap(), by_time);

    // A message number is told from a hash; the numbers of lights and devices reach far.
    let far = ReadingRow { light_no: LightNo(u32::MAX), ..row(7, extreme_readings().remove(2)) };
    let unnumbered = row(8, Reading { seq: None, ..extreme_readings().remove(2) });
    store.append_readings(&[far.clone(), unnumbered.clone()]).await.unwrap();
    assert_eq!(store.latest_readings(LightNo(u32::MAX), 1).await.unwrap(), [far]);
    assert_eq!(store.latest_readings(LightNo(8), 1).await.unwrap(), [unnumbered]);
}

pub async fn a_row_is_stored_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.append_readings(&[]).await.unwrap(), Appended::default());
    let (a, b) = (reading(1, 0, 1), reading(1, 0, 2));
    let (c, d) = (reading(2, 0, 1), reading(1, 1, 1));
    // The key decides, not the content: the first one stands.
    let mut other_content = a.clone();
    other_content.reading.brightness_percent = Some(1);
    let inside = [a.clone(), b.clone(), a.clone(), other_content.clone(), c.clone(), b.clone()];
    let first = store.append_readings(&inside).await.unwrap();
    assert_eq!(first.stored, [true, true, false, false, true, false]);

    let across = [c.clone(), d.clone(), a.clone(), d.clone()];
    let second = store.append_readings(&across).await.unwrap();
    assert_eq!(second.stored, [false, true, false, false]);
    assert!(second.upto > first.upto);

    store.close().await;
    drop(store);
    let store = database.open().await;
    let nothing = store.append_readings(&[d.clone(), other_content]).await.unwrap();
    assert_eq!(nothing, Appended { stored: vec![false, false], before: second.upto, upto: second.upto });
    assert_eq!(log(&*store).await, [a, b, c, d]);
    let empty = store.append_readings(&[]).await.unwrap();
    assert_eq!(empty, Appended { stored: vec![], before: second.upto, upto: second.upto });
}

pub async fn positions_grow_and_the_log_pages(database: Arc<dyn Database>) {
    let store = database.open().await;
    let mut last = LogPosition(0);
    for batch in 0..5 {
        let rows: Vec<_> = (0..20).map(|n| reading(n % 3 + 1, batch, n)).collect();
        // Half of each batch is there already: its numbers may leave gaps, but never turn.
        store.append_readings(&rows[..10]).await.unwrap();
        let done = store.append_readings(&rows).await.unwrap();
        assert!(done.upto > last);
        last = done.upto;
    }
    let whole = store.log_after(LogPosition(0), 1_000).await.unwrap();
    assert_eq!(whole.len(), 100);
    assert!(whole.windows(2).all(|w| w[0].0 < w[1].0));
    assert!(whole[0].0 > LogPosition(0));
    assert_eq!(whole[99].0, last);

    let (mut paged, mut after) = (Vec::new(), LogPosition(0));
    loop {
        let page = store.log_after(after, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some((position, _)) = page.last() else { break };
        after = *position;
        paged.extend(page);
    }
    assert_eq!(paged, whole);
    assert_eq!(store.log_after(last, 7).await.unwrap(), []);
    assert_eq!(store.log_after(LogPosition(0), 0).await.unwrap(), []);
}

pub async fn ranges_are_half_open_and_newest_first(database: Arc<dyn Database>) {
    let store = database.open().await;
    // Arrived out of order, among rows of other lights; two of one second differ by their message number.
    let rows: Vec<_> = [(30, 1), (10, 1), (20, 2), (20, 1), (0, 1)]
        .into_iter()
        .flat_map(|(seconds, seq)| [reading(4, seconds, seq), reading(5, seconds, seq), reading(6, seconds, seq)])
        .collect();
    store.append_readings(&rows).await.unwrap();
    let found = async |from, to, limit| {
        let rows = store.readings(LightNo(5), at(from), at(to), limit).await.unwrap();
        assert!(rows.iter().all(|r| r.light_no == LightNo(5)));
        rows.iter().map(|r| (r.reading.reported_at.since(at(0)) / 1000, r.reading.seq.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(found(0, 31, 10).await, [(30, 1), (20, 2), (20, 1), (10, 1), (0, 1)]);
    assert_eq!(found(0, 30, 10).await, [(20, 2), (20, 1), (10, 1), (0, 1)], "`to` is outside");
    assert_eq!(found(10, 30, 10).await, [(20, 2), (20, 1), (10, 1)], "`from` is inside");
    assert_eq!(found(0, 31, 2).await, [(30, 1), (20, 2)]);
    assert_eq!(found(0, 31, 0).await, []);
    assert_eq!(found(20, 20, 10).await, []);
    assert_eq!(found(30, 0, 10).await, [], "backwards");
    assert_eq!(store.readings(LightNo(9), ALL.0, ALL.1, 10).await.unwrap(), []);
}

pub async fn latest_goes_by_arrival(database: Arc<dyn Database>) {
    let store = database.open().await;
    let suspect = Reading { reported_at: UtcMillis(5_000), flags: ReadingFlags::CLOCK_SUSPECT, ..Reading::default() };
    let mut suspect = row(1, suspect);
    suspect.received_at = at(60);
    let (before, late) = (reading(1, 50, 1), reading(1, 20, 1));
    let rows = [reading(2, 0, 1), before.clone(), reading(2, 55, 1), suspect.clone(), reading(2, 70, 1), late.clone()];
    store.append_readings(&rows).await.unwrap();
    assert_eq!(store.latest_readings(LightNo(1), 10).await.unwrap(), [late.clone(), suspect.clone(), before]);
    assert_eq!(store.latest_readings(LightNo(1), 2).await.unwrap(), [late, suspect]);
    assert_eq!(store.latest_readings(LightNo(1), 0).await.unwrap(), []);
    assert_eq!(store.latest_readings(LightNo(3), 10).await.unwrap(), []);
}

pub async fn overlapping_writers_store_each_row_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    let rows: Vec<_> = (0..200).map(|n| reading(n % 10 + 1, i64::from(n / 10), n)).collect();
    let tasks: Vec<_> = (0..8_usize)
        .map(|writer| {
            let store = store.clone();
            // Everybody writes 100 of the 200, each from another start, in batches of 25.
            let mine: Vec<_> = (0..100).map(|n| rows[(writer * 25 + n) % 200].clone()).collect();
            tokio::spawn(async move {
                let mut stored = 0;
                for batch in mine.chunks(25) {
                    let done = store.append_readings(batch).await.unwrap();
                    assert_eq!(done.stored.len(), 25);
                    stored += done.stored.iter().filter(|s| **s).count();
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    assert_eq!(stored, 200, "each was told true once");
    let log = log(&*store).await;
    assert_eq!(log.len(), 200);
    assert_eq!(log.iter().map(|r| r.dedupe).collect::<HashSet<_>>().len(), 200);
}

/// Another process that reads on from where it was sees every row, whoever writes meanwhile.
pub async fn a_follower_misses_nothing(database: Arc<dyn Database>) {
    const WRITERS: u32 = 4;
    let (store, other) = (database.open().await, database.open().await);
    let writers: Vec<_> = (1..=WRITERS)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for second in 0..25 {
                    let batch: Vec<_> = (0..20).map(|n| reading(writer, second, n)).collect();
                    store.append_readings(&batch).await.unwrap();
                }
            })
        })
        .collect();
    let (mut followed, mut after) = (Vec::new(), LogPosition(0));
    while followed.len() < WRITERS as usize * 500 {
        let done = writers.iter().all(|w| w.is_finished());
        let page = other.log_after(after, 100).await.unwrap();
        if let Some((position, _)) = page.last() {
            after = *position;
        }
        assert!(!(done && page.is_empty()), "missed {}", WRITERS as usize * 500 - followed.len());
        followed.extend(page);
    }
    assert_eq!(followed, store.log_after(LogPosition(0), 10_000).await.unwrap());
}

pub async fn a_large_batch_keeps_its_order(database: Arc<dyn Database>) {
    let store = database.open().await;
    // Every size of statement takes part: 1,707 = 3 × 512 + 128 + 32 + 8 + 2 + 1.
    let rows: Vec<_> = (0..1_707_u32).map(|n| reading(n * 7_919 % 500 + 1, i64::from(n % 13), n)).collect();
    let done = store.append_readings(&rows).await.unwrap();
    assert!(done.stored.iter().all(|s| *s));
    assert_eq!(log(&*store).await, rows);
}

pub async fn a_closed_store_keeps_everything(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert!(store.engine().await.unwrap().split_once(' ').is_some_and(|(name, version)| {
        ["sqlite", "postgres"].contains(&name) && version.starts_with(|c: char| c.is_ascii_digit())
    }));
    store.ping().await.unwrap();
    store.create_user(user("a@x.example"), &audit("create")).await.unwrap();
    store.save_session(&session("s", at(9))).await.unwrap();
    let (device, light) = registered(&*store, 1).await;
    store.append_readings(&[reading(1, 0, 1)]).await.unwrap();
    store.write_audit(&audit("last")).await.unwrap();
    store.close().await;
    assert!(store.ping().await.is_err(), "a closed store answers no more");
    drop(store);

    let store = database.open().await;
    assert!(store.user_by_email("a@x.example").await.unwrap().is_some());
    assert!(store.session("s", at(0)).await.unwrap().is_some());
    assert_eq!(store.devices().await.unwrap(), [device]);
    assert_eq!(store.lights().await.unwrap(), [light]);
    assert_eq!(log(&*store).await, [reading(1, 0, 1)]);
    assert_eq!(store.audit(1).await.unwrap(), [audit("last")]);
}
