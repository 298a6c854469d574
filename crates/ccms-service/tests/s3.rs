//! The archive in a bucket: days leave for it, are read from it, verified and brought back, over the wire to a real server.
//!
//! `CCMS_TEST_S3_URL=s3://bucket/prefix cargo test -p ccms-service --features s3 --test s3`, with the bucket's place and keys in the
//! environment as other tools take them (`AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`, `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`). The bucket has to be there.
#![cfg(feature = "s3")]
use std::sync::Arc;

use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_service::archiving::shelf::Shelf;
use ccms_service::archiving::{restore, verify};
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::settings::Settings;
use ccms_service::{Ccms, Role, Who};
use ccms_store::{AuditEntry, Curated, Day, DynStore, NewDevice, ReadingRow, SealedDay};
use ccms_store_sqlite::SqliteStore;

const DAY: Day = Day(20_439);
const LIGHTS: u32 = 40;
const READINGS: i64 = 2_880;

fn day_of(light: u32) -> Vec<ReadingRow> {
    let reading = |n: i64| Reading {
        reported_at: UtcMillis(DAY.begins().0 + n * 30_000),
        power_state: Some(if n < 1_400 { PowerState::On } else { PowerState::Off }),
        // What hardly packs: files of some megabytes take several parts.
        power_dw: Some((n * 7_919 + i64::from(light) * 104_729) as u32 % 90_000),
        current_ma: Some((n * 15_485_863 + i64::from(light) * 32_452_843) as u32 % 400_000),
        energy_wh: Some(480_000 + n / 2),
        ..Reading::default()
    };
    (0..READINGS)
        .map(reading)
        .map(|reading| ReadingRow {
            light_no: LightNo(light),
            device_no: DeviceNo(light),
            received_at: reading.reported_at,
            dedupe: reading.dedupe_key(),
            reading,
        })
        .collect()
}

fn audit(at: UtcMillis, action: &str) -> AuditEntry {
    AuditEntry { at, actor: "test".into(), action: action.into(), target: "test".into(), detail: serde_json::json!({}) }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_live_in_a_bucket() {
    let Ok(url) = std::env::var("CCMS_TEST_S3_URL") else {
        eprintln!("NOT TESTED: the archive in a bucket (CCMS_TEST_S3_URL is not set)");
        return;
    };
    let now = DAY.begins().plus_seconds(40 * 86_400);
    let shelf = Shelf::open(&format!("{url}/{}", std::process::id())).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}", folder.path().join("ccms.db").display());
    let store: DynStore = Arc::new(SqliteStore::open(&database).await.unwrap());
    for light in 1..=LIGHTS {
        let device_id = DeviceId::parse(&format!("TEST-{light}")).unwrap();
        let new =
            NewDevice { device_id, light_id: None, curated: Curated::default(), claim_until: None, created_at: now };
        store.register_device(new, &audit(now, "device.register")).await.unwrap();
    }
    let mut settings = Settings::default();
    settings.storage.shelf = Some(shelf.clone());
    let clock = Clock::manual(now);
    let ccms = Ccms::start(settings, clock.clone(), store.clone(), &MasterKey::random()).await.unwrap();
    let who = Who::person("test", Role::Admin, None);
    for light in 1..=LIGHTS {
        let rows = day_of(light);
        let body = ccms_block::encode(&rows).unwrap();
        let block = SealedDay { light_no: LightNo(light), day: DAY, revision: 1, readings: rows.len() as u32, body };
        assert_eq!(store.write_sealed(&[block]).await.unwrap(), [true]);
    }
    let window = (DAY.begins(), DAY.ends());
    let told = async |light: u32| {
        let id = LightId::numbered(light);
        ccms.light_readings(who.may_view().unwrap(), &id, window, None, 5_000).await.unwrap().0
    };
    let (before, last) = (told(1).await, told(LIGHTS).await);
    assert_eq!(before.len() as i64, READINGS);
    let done = ccms.archive().await.unwrap();
    assert_eq!((done.days, done.failed, done.readings), (1, 0, u64::from(LIGHTS) * READINGS as u64));
    assert!(done.bytes > 5 * 1024 * 1024, "{} bytes are one part only", done.bytes);
    assert!(store.sealed_of_day(DAY, LightNo(0), LightNo(u32::MAX)).await.unwrap().is_empty());
    assert_eq!((told(1).await, told(LIGHTS).await), (before.clone(), last));

    let verified = verify::verify(&store, &shelf, None, now).await.unwrap();
    assert_eq!((verified.days, verified.damaged, verified.findings.len()), (1, 0, 0), "{:?}", verified.findings);
    let until = now.plus_seconds(86_400);
    let back = restore::restore(&store, &shelf, DAY, until, &audit(now, "archive.restore")).await.unwrap().unwrap();
    assert_eq!((back.lights, back.readings), (LIGHTS, done.readings));
    assert_eq!(told(1).await, before);
    ccms.stop().await;
}
