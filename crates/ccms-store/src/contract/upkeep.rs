//! Looking through everything: blocks page by page, how much there is, how far the log ever went.
use std::sync::Arc;

use ccms_core::ids::LightNo;

use super::Database;
use super::samples::{audit, reading, registered};
use crate::{Day, LogPosition, SealedDay, StoreError};

const BEFORE_ALL: (LightNo, Day) = (LightNo(0), Day(i32::MIN));

fn block(light: u32, day: i32, readings: u32) -> SealedDay {
    SealedDay { light_no: LightNo(light), day: Day(day), revision: 1, readings, body: vec![light as u8, day as u8] }
}

pub async fn a_new_database_is_whole_and_empty(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.engine_findings().await.unwrap(), Vec::<String>::new());
    assert!(store.counts().await.unwrap().iter().all(|(_, n)| *n == 0));
    assert!(store.schema_version().await.unwrap() >= 15);
    assert_eq!(store.last_position().await.unwrap(), LogPosition(0));
    assert_eq!(store.sealed_after(BEFORE_ALL, 10).await.unwrap(), []);
}

pub async fn everything_is_counted(database: Arc<dyn Database>) {
    let store = database.open().await;
    registered(&*store, 1).await;
    registered(&*store, 2).await;
    store.write_audit(&audit("one.more")).await.unwrap();
    let upto = store.append_readings(&[reading(1, 0, 1), reading(2, 0, 1), reading(2, 1, 2)]).await.unwrap().upto;
    store.write_sealed(&[block(1, 5, 100), block(2, 5, 20)]).await.unwrap();
    let counts = store.counts().await.unwrap();
    let count = |name: &str| counts.iter().find(|(n, _)| *n == name).map(|(_, count)| *count);
    let expected = [("devices", 2), ("lights", 2), ("energy_parameters", 3), ("sealed_readings", 2), ("audit", 3)];
    for (name, n) in expected {
        assert_eq!(count(name), Some(n), "{name} of {counts:?}");
    }
    assert_eq!(count("readings in blocks"), Some(120));
    store.settle().await.unwrap();
    assert_eq!(store.last_position().await.unwrap(), upto);
    let day = Day::of(reading(1, 0, 1).reading.reported_at);
    store.forget_hot(day, LogPosition(0), upto, 10, &[]).await.unwrap();
    assert_eq!(store.last_position().await.unwrap(), upto, "a row that is gone was there");
    assert_eq!(store.engine_findings().await.unwrap(), Vec::<String>::new());
}

pub async fn blocks_page_by_light_and_day(database: Arc<dyn Database>) {
    let store = database.open().await;
    let all: Vec<_> = [(1, -3), (1, 0), (1, 7), (2, -9), (3, 0), (3, 1)].map(|(l, d)| block(l, d, 1)).into();
    let shuffled: Vec<_> = all.iter().rev().cloned().collect();
    store.write_sealed(&shuffled).await.unwrap();
    let (mut found, mut after) = (Vec::new(), BEFORE_ALL);
    loop {
        let page = store.sealed_after(after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.len() <= 2);
        after = (last.light_no, last.day);
        found.extend(page);
    }
    assert_eq!(found, all);
}

pub async fn a_copy_is_of_an_embedded_database(database: Arc<dyn Database>) {
    let store = database.open().await;
    let embedded = store.engine().await.unwrap().starts_with("sqlite");
    match store.copy_into(std::path::Path::new("/proc/self/no/such/place")).await {
        Err(StoreError::Unavailable(_)) => assert!(embedded),
        Err(StoreError::Unusable(_)) => assert!(!embedded),
        other => panic!("{other:?}"),
    }
}
