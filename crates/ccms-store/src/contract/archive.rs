//! Days leave the database: found and paged, recorded once, their blocks removed as they were and not otherwise.
use std::sync::Arc;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use serde_json::json;

use super::Database;
use crate::{ArchivedDay, AuditEntry, Day, SealedDay, SealedMark, Store};

const FIRST: Day = Day(20_439);
const NOW: UtcMillis = UtcMillis(1_765_967_405_123);

fn block(light: u32, day: i32, revision: u32, body: &[u8]) -> SealedDay {
    SealedDay { light_no: LightNo(light), day: Day(FIRST.0 + day), revision, readings: 3, body: body.into() }
}

pub(super) fn archived(day: i32, revision: u32) -> ArchivedDay {
    ArchivedDay {
        day: Day(FIRST.0 + day),
        revision,
        file: format!("2025/day-{day}.r{revision}.parquet"),
        readings: 5_000_000_000 + u64::from(revision),
        lights: 100_000,
        bytes: 20_000_000_000,
        sha256: [revision as u8; 32],
        footer_bytes: 4_000_000_000,
        footer_crc: u32::MAX - revision,
        archived_at: NOW,
        kept_until: None,
        restored: false,
    }
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry { at: NOW, actor: "system".into(), action: action.into(), target: "2025".into(), detail: json!({}) }
}

async fn recorded(store: &dyn Store) -> Vec<ArchivedDay> {
    store.archived_days(Day(i32::MIN), Day(i32::MAX), 100).await.unwrap()
}

async fn bodies(store: &dyn Store, day: i32) -> Vec<Vec<u8>> {
    let page = store.sealed_page(Day(FIRST.0 + day), LightNo(0), 100).await.unwrap();
    page.into_iter().map(|b| b.body).collect()
}

pub async fn blocks_are_found_and_paged_by_day(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.earliest_sealed_day(Day(i32::MIN), Day(i32::MAX)).await.unwrap(), None);
    let blocks = [block(9, 2, 1, b"a"), block(2, 2, 1, b"b"), block(1, 0, 1, b"c"), block(5, 2, 1, b"d")];
    store.write_sealed(&blocks).await.unwrap();
    for (from, before, first) in [(-9, 9, Some(0)), (1, 9, Some(2)), (1, 2, None), (3, 9, None), (0, 1, Some(0))] {
        let found = store.earliest_sealed_day(Day(FIRST.0 + from), Day(FIRST.0 + before)).await.unwrap();
        assert_eq!(found, first.map(|day: i32| Day(FIRST.0 + day)), "{from} {before}");
    }
    let page = async |from, limit| store.sealed_page(Day(FIRST.0 + 2), LightNo(from), limit).await.unwrap();
    assert_eq!(page(0, 2).await, [blocks[1].clone(), blocks[3].clone()]);
    assert_eq!(page(6, 2).await, [blocks[0].clone()]);
    assert_eq!(page(10, 2).await, []);
}

pub async fn a_file_is_recorded_once_and_replaced_in_turn(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert!(!store.record_archived(&archived(0, 2)).await.unwrap(), "there is none before it");
    assert!(store.record_archived(&archived(0, 1)).await.unwrap());
    assert!(!store.record_archived(&archived(0, 1)).await.unwrap());
    for day in [1, 2] {
        assert!(store.record_archived(&archived(day, 1)).await.unwrap());
    }
    assert!(store.record_archived(&archived(0, 2)).await.unwrap());
    assert!(!store.record_archived(&archived(0, 2)).await.unwrap());
    assert_eq!(recorded(&*store).await, [archived(2, 1), archived(1, 1), archived(0, 2)], "whole, newest first");
    let some = store.archived_days(FIRST, Day(FIRST.0 + 1), 1).await.unwrap();
    assert_eq!(some, [archived(1, 1)]);
    assert!(!store.forget_archived(FIRST, 1, &entry("archive.delete")).await.unwrap());
    assert!(store.audit(9).await.unwrap().is_empty(), "and nothing is said of it");
    assert!(store.forget_archived(FIRST, 2, &entry("archive.delete")).await.unwrap());
    assert_eq!(recorded(&*store).await, [archived(2, 1), archived(1, 1)]);
    assert_eq!(store.audit(9).await.unwrap(), [entry("archive.delete")]);
}

/// Of whatever revision it is; but never over what somebody else recorded meanwhile.
pub async fn a_file_that_is_there_already_is_adopted(database: Arc<dyn Database>) {
    let store = database.open().await;
    let adopt = entry("archive.adopt");
    assert!(!store.adopt_archived(&archived(0, 3), Some(2), &adopt).await.unwrap(), "nothing is recorded");
    assert!(store.adopt_archived(&archived(0, 3), None, &adopt).await.unwrap());
    assert!(!store.adopt_archived(&archived(0, 4), None, &adopt).await.unwrap());
    assert!(!store.adopt_archived(&archived(0, 4), Some(2), &adopt).await.unwrap());
    assert_eq!(recorded(&*store).await, [archived(0, 3)]);
    assert!(store.adopt_archived(&archived(0, 7), Some(3), &adopt).await.unwrap());
    assert!(store.record_archived(&archived(0, 8)).await.unwrap(), "it goes on from there");
    store.keep_sealed(FIRST, NOW, &entry("archive.restore")).await.unwrap();
    assert!(!store.adopt_archived(&archived(0, 9), Some(8), &adopt).await.unwrap(), "its blocks are wanted");
    let actions: Vec<_> = store.audit(9).await.unwrap().into_iter().map(|e| e.action).collect();
    assert_eq!(actions, ["archive.restore", "archive.adopt", "archive.adopt"]);
}

pub async fn only_blocks_that_were_archived_are_removed(database: Arc<dyn Database>) {
    let store = database.open().await;
    let blocks = [block(1, 0, 1, b"012345"), block(2, 0, 1, b"abcdef"), block(3, 0, 1, b""), block(1, 1, 1, b"012345")];
    store.write_sealed(&blocks).await.unwrap();
    let marks: Vec<_> = blocks.iter().take(3).map(SealedMark::of).collect();
    assert_eq!(store.forget_sealed(FIRST, 1, &marks).await.unwrap(), 0, "no file is recorded");
    store.record_archived(&archived(0, 1)).await.unwrap();
    assert_eq!(store.forget_sealed(FIRST, 2, &marks).await.unwrap(), 0, "another file is");
    // Changed meanwhile; and one that was removed and made anew, with as many readings.
    store.write_sealed(&[block(2, 0, 2, b"abcdefg")]).await.unwrap();
    let mut anew = marks.clone();
    anew[0].begins = b"012340".to_vec();
    assert_eq!(store.forget_sealed(FIRST, 1, &anew[..2]).await.unwrap(), 0);
    assert_eq!(store.forget_sealed(FIRST, 1, &marks).await.unwrap(), 2);
    assert_eq!(bodies(&*store, 0).await, [b"abcdefg"]);
    assert_eq!(bodies(&*store, 1).await, [b"012345"]);
    assert_eq!(store.forget_sealed(FIRST, 1, &marks).await.unwrap(), 0);
}

pub async fn blocks_that_are_wanted_stay(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (until, restore) = (NOW.plus_seconds(60), entry("archive.restore"));
    assert_eq!(store.keep_sealed(FIRST, until, &restore).await.unwrap(), None);
    store.record_archived(&archived(0, 1)).await.unwrap();
    assert!(!store.mark_restored(FIRST, 1).await.unwrap(), "nobody asked for it");
    let kept = ArchivedDay { kept_until: Some(until), ..archived(0, 1) };
    assert_eq!(store.keep_sealed(FIRST, until, &restore).await.unwrap(), Some(kept.clone()));
    let own = block(1, 0, 1, b"012345");
    store.write_sealed(std::slice::from_ref(&own)).await.unwrap();
    assert_eq!(store.forget_sealed(FIRST, 1, &[SealedMark::of(&own)]).await.unwrap(), 0);
    assert!(!store.record_archived(&archived(0, 2)).await.unwrap());
    assert!(!store.forget_archived(FIRST, 1, &entry("archive.delete")).await.unwrap());
    assert!(!store.mark_restored(FIRST, 2).await.unwrap());
    assert!(store.mark_restored(FIRST, 1).await.unwrap());
    assert_eq!(recorded(&*store).await, [ArchivedDay { restored: true, ..kept.clone() }]);
    assert!(!store.end_keeping(FIRST, NOW).await.unwrap(), "not yet");
    assert!(store.end_keeping(FIRST, until).await.unwrap());
    assert!(!store.end_keeping(FIRST, until).await.unwrap());
    assert_eq!(recorded(&*store).await, [archived(0, 1)]);
    assert!(!store.mark_restored(FIRST, 1).await.unwrap(), "its time was over first");
    assert_eq!(store.forget_sealed(FIRST, 1, &[SealedMark::of(&own)]).await.unwrap(), 1);
    assert_eq!(store.audit(9).await.unwrap(), [restore]);
}
