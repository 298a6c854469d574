//! A database of an earlier release opens, keeps what it holds, and gains what is new.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
use ccms_core::ids::{CommandId, DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::audit_chain::{CHAIN_START, walk};
use ccms_store::contract::samples;
use ccms_store::{
    Access, CheckpointRow, Credentials, Curated, Day, DayPart, DeviceState, LogPosition, Role, RolledDay, Rollups,
    Sealing, Store, Uploads,
};
use ccms_store_sqlite::SqliteStore;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Executor};

/// The last migration before days were summed up.
const BLOCKS_ALONE: i64 = 15;
/// The last migration before it was looked at whose counter was read.
const ANYBODYS_COUNTER: i64 = 21;
/// The last migration of the first release.
const FIRST_RELEASE: i64 = 5;

const HELD: &str = r#"
    INSERT INTO users (email, email_key, role, password_hash, created_at) VALUES ('a@x', 'a@x', 'admin', 'phc', 1);
    INSERT INTO sessions (id, data, expires_at) VALUES ('s', '{}', 9000000000000);
    INSERT INTO devices (id, state, epoch, created_at, claimed_at) VALUES ('IMEI:351234560000001', 'claimed', 3, 1, 2);
    INSERT INTO lights (id, numbered, device_no, name, address, city, latitude, longitude, created_at)
        VALUES ('SL001', 1, 1, 'Pole', 'Street', 'City', 60.5, 24.5, 1);
    INSERT INTO energy_parameters (light_no, device_no, reported_at, delay_ms, dedupe, flags)
        VALUES (1, 1, 5000, 1000, 1, 4096), (1, 1, 6000, 1000, 2, 0);
    INSERT INTO light_state (light_no, last_contact, promised_interval_s, device_no, reported_at, delay_ms, dedupe, flags)
        VALUES (1, 6500, 30, 1, 5000, 1000, 1, 0);
    INSERT INTO commands (id, light_no, device_no, command_type, kind, priority, state, requested_by, requested_at,
        expires_at) VALUES ('C', 1, 1, 'power_control', '{"power":"ON"}', 'normal', 'queued', 'a@x', 1, 2);
    INSERT INTO audit (at, actor, action, target, detail) VALUES (1, 'a', 'b', 'c', '{}'), (2, 'a', 'b', 'c', '{}');
"#;

#[tokio::test]
async fn a_database_of_the_first_release_is_brought_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ccms.db");
    let mut old = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    sqlx::migrate!("../../migrations/sqlite").run_to(FIRST_RELEASE, &mut old).await.unwrap();
    let kind = serde_json::to_string(&ccms_core::command::CommandKind::Brightness(5)).unwrap();
    old.execute(HELD).await.unwrap();
    sqlx::query("UPDATE commands SET kind = ?").bind(kind).execute(&mut old).await.unwrap();
    old.close().await.unwrap();

    let store = SqliteStore::open(file.to_str().unwrap()).await.unwrap();
    let device = store.devices().await.unwrap().remove(0);
    assert_eq!((device.state, device.epoch), (DeviceState::Claimed, 3));
    assert_eq!((device.token_used_gen, device.reclaim_until), (0, None));
    let curated = Curated {
        name: "Pole".into(),
        address: "Street".into(),
        city: "City".into(),
        latitude: 60.5,
        longitude: 24.5,
        ..Curated::default()
    };
    assert_eq!(store.lights().await.unwrap()[0].curated, curated);
    let user = store.users().await.unwrap().remove(0);
    assert_eq!((user.role, user.zone), (Role::Admin, None));
    assert_eq!(store.session("s", UtcMillis(0)).await.unwrap(), None, "everybody signs in once more");
    let command = store.command(&CommandId::parse("C").unwrap()).await.unwrap().unwrap();
    assert_eq!(command.reason, None);
    let suspect = store.suspect_readings(LightNo(1), UtcMillis(0), UtcMillis(9_000), 9).await.unwrap();
    assert_eq!(suspect.iter().map(|r| r.received_at).collect::<Vec<_>>(), [UtcMillis(6_000)]);

    // The states of its lights stay until newer ones take their place.
    let (_, states) = store.checkpoint().await.unwrap();
    let kept = states[0].clone();
    assert_eq!((states.len(), kept.light_no, kept.last_contact), (1, LightNo(1), UtcMillis(6_500)));
    assert_eq!(kept.latest.as_ref().unwrap().received_at, UtcMillis(6_000));
    let other = CheckpointRow { light_no: LightNo(2), latest: None, ..kept.clone() };
    store.write_checkpoint(LogPosition(0), std::slice::from_ref(&other)).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap().1, [kept.clone(), other.clone()]);
    let newer = CheckpointRow { last_contact: UtcMillis(7_000), latest: None, ..kept };
    store.write_checkpoint(LogPosition(0), std::slice::from_ref(&newer)).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap().1, [newer, other]);

    // Its readings are in the log, known again when they come once more, and sealed like others.
    let log = store.log_after(LogPosition(0), 9).await.unwrap();
    assert_eq!(log.iter().map(|(at, r)| (at.0, r.reading.reported_at.0)).collect::<Vec<_>>(), [(1, 5_000), (2, 6_000)]);
    let (old, new) = (log[1].1.clone(), samples::reading(1, 0, 9));
    let appended = store.append_readings(&[old.clone(), new.clone()]).await.unwrap();
    assert_eq!((appended.stored, appended.before, appended.upto), (vec![false, true], LogPosition(2), LogPosition(3)));
    assert_eq!(store.latest_readings(LightNo(1), 9).await.unwrap(), [new, old.clone(), log[0].1.clone()]);
    let (day, all) = (Day(0), LogPosition(i64::MAX));
    assert_eq!(store.earliest_hot_day(Day(-1), Day(9), all).await.unwrap(), Some(day));
    assert_eq!(store.hot_rows(day, None, all, 9).await.unwrap(), [(LogPosition(2), old)]);
    assert_eq!(store.hot_count(day, all).await.unwrap(), 1);
    assert_eq!(store.forget_hot(day, LogPosition(0), all, 9, &[]).await.unwrap().0, 1);
    assert_eq!(store.hot_count(day, all).await.unwrap(), 0);

    // The chain begins behind the entries that are older than it.
    store.use_tokens(&[(DeviceNo(1), 7)]).await.unwrap();
    store.revoke_device(&device.id, samples::at(0), &samples::audit("revoke")).await.unwrap().unwrap();
    store.write_audit(&samples::audit("later")).await.unwrap();
    let chain = store.audit_chain(0, 9).await.unwrap();
    assert_eq!(
        chain.iter().map(|c| (c.no, c.hash.is_some())).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, true), (4, true)]
    );
    walk(CHAIN_START, &chain).unwrap();
}

#[tokio::test]
async fn days_that_were_sealed_before_they_were_summed_up_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ccms.db");
    let mut old = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    sqlx::migrate!("../../migrations/sqlite").run_to(BLOCKS_ALONE, &mut old).await.unwrap();
    old.execute("INSERT INTO sealed_readings VALUES (2, 20439, 1, 1, x'00'), (1, 20440, 1, 1, x'00')").await.unwrap();
    old.close().await.unwrap();

    let store = SqliteStore::open(file.to_str().unwrap()).await.unwrap();
    let (first, second) = ((LightNo(1), Day(20_440)), (LightNo(2), Day(20_439)));
    assert_eq!(store.unrolled_days(9).await.unwrap(), [first, second]);
    let done = RolledDay { light_no: first.0, day: first.1, ledger: vec![1], measured: vec![2] };
    store.write_rollups(&[done]).await.unwrap();
    assert_eq!(store.unrolled_days(9).await.unwrap(), [second]);
}

#[tokio::test]
async fn what_whole_days_came_to_is_worked_out_anew() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ccms.db");
    let mut old = SqliteConnectOptions::new().filename(&file).create_if_missing(true).connect().await.unwrap();
    sqlx::migrate!("../../migrations/sqlite").run_to(ANYBODYS_COUNTER, &mut old).await.unwrap();
    old.execute("INSERT INTO rollup_days VALUES (20439, 0, 4, x'00'), (20440, 0, 2, NULL)").await.unwrap();
    old.close().await.unwrap();

    let store = SqliteStore::open(file.to_str().unwrap()).await.unwrap();
    let open = |day, revision| DayPart { day: Day(day), part: 0, revision };
    assert_eq!(store.open_parts(Day(i32::MAX), 9).await.unwrap(), [open(20_440, 2), open(20_439, 5)]);
    assert_eq!(store.daily(0, Day(0), Day(i32::MAX)).await.unwrap(), []);
}
