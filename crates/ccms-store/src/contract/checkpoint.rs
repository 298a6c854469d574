//! The latest state of every light.
use std::sync::Arc;

use ccms_core::ids::LightNo;

use super::Database;
use super::samples::{at, extreme_readings, reading, row};
use crate::{CheckpointRow, LogPosition, ReadingRow, StoreError};

fn state(light: u32, seconds: i64, latest: Option<ReadingRow>) -> CheckpointRow {
    CheckpointRow { light_no: LightNo(light), last_contact: at(seconds), promised_interval_s: 30, latest }
}

pub async fn the_first_is_empty(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.checkpoint().await.unwrap(), (LogPosition(0), vec![]));
}

pub async fn rows_are_replaced_and_the_position_moves(database: Arc<dyn Database>) {
    let store = database.open().await;
    let mut first: Vec<_> =
        (1..).zip(extreme_readings()).map(|(n, reading)| state(n, i64::from(n), Some(row(n, reading)))).collect();
    first.push(CheckpointRow { promised_interval_s: u32::MAX, ..state(7, 7, None) });
    let shuffled: Vec<_> = first.iter().rev().cloned().collect();
    store.write_checkpoint(LogPosition(5), &shuffled).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap(), (LogPosition(5), first.clone()), "by number of the light");

    // Some are replaced (one loses its reading, one gains its first), one is new, the others stay.
    let second = [state(1, 100, None), state(7, 100, Some(reading(7, 90, 9))), state(9, 100, Some(reading(9, 90, 9)))];
    store.write_checkpoint(LogPosition(6), &second).await.unwrap();
    let expected = [&second[..1], &first[1..6], &second[1..]].concat();
    assert_eq!(store.checkpoint().await.unwrap(), (LogPosition(6), expected.clone()));

    store.write_checkpoint(LogPosition(7), &[]).await.unwrap();
    store.close().await;
    drop(store);
    let store = database.open().await;
    assert_eq!(store.checkpoint().await.unwrap(), (LogPosition(7), expected));

    let many: Vec<_> = (1..=1_300).map(|n| state(n, 200, Some(reading(n, 190, n)))).collect();
    store.write_checkpoint(LogPosition(8), &many).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap(), (LogPosition(8), many));
    store.write_checkpoint(LogPosition(i64::MAX), &[]).await.unwrap();
    assert_eq!(store.checkpoint_position().await.unwrap(), LogPosition(i64::MAX));
}

pub async fn it_never_claims_less_than_before(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.checkpoint_position().await.unwrap(), LogPosition(0));
    let there = state(1, 100, Some(reading(1, 90, 9)));
    store.write_checkpoint(LogPosition(9), std::slice::from_ref(&there)).await.unwrap();
    let refused = store.write_checkpoint(LogPosition(8), &[state(1, 50, None), state(2, 50, None)]).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert_eq!(store.checkpoint().await.unwrap(), (LogPosition(9), vec![there]), "all or nothing");
    assert_eq!(store.checkpoint_position().await.unwrap(), LogPosition(9));
}

/// The log may be searched only so far back: then the checkpoint answers.
pub async fn a_silent_light_shows_its_last_reading(database: Arc<dyn Database>) {
    let store = database.open().await;
    let last = reading(3, 0, 1);
    store.write_checkpoint(LogPosition(1), &[state(3, 0, Some(last.clone())), state(4, 0, None)]).await.unwrap();
    assert_eq!(store.latest_readings(LightNo(3), 5).await.unwrap(), [last]);
    assert_eq!(store.latest_readings(LightNo(4), 5).await.unwrap(), []);
    let newer = reading(3, 10, 1);
    store.append_readings(std::slice::from_ref(&newer)).await.unwrap();
    assert_eq!(store.latest_readings(LightNo(3), 5).await.unwrap(), [newer], "what the log has comes first");
}
