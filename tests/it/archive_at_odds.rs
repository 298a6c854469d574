//! Archive and database do not agree, or somebody is late: nothing that one of them has is lost, what both lost is told, and what is wrong
//! with one day holds up no other.
use ccms_core::ids::LightNo;
use ccms_service::settings::EnrolmentMode;
use ccms_store::{AuditEntry, Day, ReadingRow, SealedDay};
use serde_json::json;

use crate::archive::{
    DAY_S, DAYS, LATER_S, archived, city_long_after, file, files, hands_in_again, history, replaced, said,
};
use crate::city::{City, DOCUMENT_TIME};
use crate::database::Engine;
use crate::sealing::{blocks, hands_in_the_past};
use crate::upkeep::by_hand;

/// The day goes into its file between one look of the sealer and the next.
async fn a_day_that_is_archived_while_it_is_sealed_loses_no_sums(engine: Engine) {
    let (city, reader, _) = city_long_after(engine).await;
    let stored = city.stored().await;
    let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
    let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at).unwrap();
    hands_in_again(&city, row).await;
    city.waits(3_601);
    let told = history(&reader).await;
    let (ccms, runtime) = (city.ccms.clone(), tokio::runtime::Handle::current());
    city.store.before("sealed_of_day", move || {
        let archived = tokio::task::block_in_place(|| runtime.block_on(ccms.archive()));
        assert_eq!(archived.unwrap().days, DAYS);
    });
    assert_eq!(city.ccms.seal().await.unwrap().left, 0);
    assert_eq!(blocks(&city).await.iter().filter(|b| b.day == Day::of(at)).count(), 1, "what came late");
    assert_eq!(history(&reader).await, told);
    let output = city.command_line(&["verify"]).await;
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_archives_while_it_seals() {
    a_day_that_is_archived_while_it_is_sealed_loses_no_sums(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_archives_while_it_seals() {
    a_day_that_is_archived_while_it_is_sealed_loses_no_sums(Engine::Postgres).await;
}

on_both! {
    /// The database of a time before days were archived, or before a file was replaced, beside the folder of today: nothing of the folder
    /// is lost, and all of it is found again.
    async fn a_folder_that_is_newer_than_the_database_is_taken_in(engine) {
        let (city, reader, _) = city_long_after(engine).await;
        let stored = city.stored().await;
        city.ccms.archive().await.unwrap();
        let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
        let before = archived(&city).await.into_iter().find(|d| d.day == Day::of(at)).unwrap();
        let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at).unwrap();
        hands_in_again(&city, row).await;
        city.waits(2 * DAY_S);
        city.ccms.seal().await.unwrap();
        assert_eq!(city.ccms.archive().await.unwrap().days, 1);
        let (told, days, there) = (history(&reader).await, archived(&city).await, files(&city));

        let store = city.store.inner();
        let note = AuditEntry { at, actor: "test".into(), action: "by.hand".into(), target: "x".into(), detail: json!({}) };
        assert!(store.adopt_archived(&before, Some(2), &note).await.unwrap());
        let lost = days[3].day;
        for table in ["archived_days", "rollup_ledgers", "rollup_measures"] {
            by_hand(&city, &format!("DELETE FROM {table} WHERE day = {}", lost.0)).await;
        }
        for _ in 0..2 {
            city.ccms.archive().await.unwrap();
            assert_eq!((files(&city), replaced(&city)), (there.clone(), 1), "nothing goes");
            city.waits(9 * DAY_S);
        }
        for command in ["list", "verify"] {
            let output = said(&city.command_line(&["archive", command]).await);
            assert!(output.contains(&format!("{}: the database does not know it", days[3].file)), "{output}");
        }
        let output = city.command_line(&["archive", "adopt"]).await;
        assert!(output.status.success() && said(&output).contains("2 days were taken in"), "{}", said(&output));
        assert_eq!(archived(&city).await.iter().map(|d| (d.revision, d.sha256)).collect::<Vec<_>>(), days.iter().map(|d| (d.revision, d.sha256)).collect::<Vec<_>>());
        assert_eq!(history(&reader).await, told);
        assert!(said(&city.command_line(&["archive", "adopt"]).await).contains("0 days"));
        let output = city.command_line(&["verify"]).await;
        assert!(output.status.success(), "{}", said(&output));
        city.ccms.archive().await.unwrap();
        assert_eq!((files(&city), replaced(&city)), (there, 0));
        assert!(city.command_line(&["archive", "verify"]).await.status.success());
    }

    /// One file that is away holds up its own day, and no other.
    async fn a_file_that_is_away_holds_up_its_own_day(engine) {
        let (city, reader, _) = city_long_after(engine).await;
        let stored = city.stored().await;
        city.ccms.archive().await.unwrap();
        let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
        let day = archived(&city).await.into_iter().find(|d| d.day == Day::of(at)).unwrap();
        let (path, away) = (file(&city, &day), city.data_dir().join("away"));
        std::fs::rename(&path, &away).unwrap();
        for later in [0, DAY_S] {
            let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at.plus_seconds(later)).unwrap();
            hands_in_again(&city, row).await;
        }
        city.waits(3_601);
        let sealed = city.ccms.seal().await.unwrap();
        assert_eq!((sealed.days, sealed.left), (2, 1), "the day behind it, and today");
        let left: Vec<_> = city.log().await.into_iter().filter(|row| row.reading.reported_at > at.plus_seconds(-DAY_S)).collect();
        assert!(left.len() == 2 && left.iter().all(|row| Day::of(row.reading.reported_at) == day.day), "{left:?}");
        std::fs::rename(&away, &path).unwrap();
        let told = history(&reader).await;
        assert_eq!(city.ccms.seal().await.unwrap().left, 0);
        assert_eq!(history(&reader).await, told);
    }

    /// What came late when a day's readings were deleted fills what nothing was known of.
    async fn sums_of_a_deleted_day_outlive_what_comes_late(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |config| {
            config.storage.delete_archive_after_days = 60;
        })
        .await;
        let (reader, _) = hands_in_the_past(&city).await;
        city.waits(LATER_S);
        city.ccms.seal().await.unwrap();
        let stored = city.stored().await;
        city.ccms.archive().await.unwrap();
        city.waits(48 * DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().deleted, DAYS);
        let told = history(&reader).await;
        let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
        let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at).unwrap();
        for round in 0..2 {
            let row = ReadingRow { reading: ccms_core::reading::Reading { reported_at: at.plus_seconds(60 * round), ..row.reading.clone() }, ..row.clone() };
            hands_in_again(&city, &row).await;
            for _ in 0..2 {
                let now = history(&reader).await;
                assert_eq!((&now[1], &now[2]), (&told[1], &told[2]), "round {round}");
                city.waits(3_601);
                city.ccms.seal().await.unwrap();
                assert!(blocks(&city).await.iter().any(|b| b.day == Day::of(at)));
            }
            let output = city.command_line(&["verify"]).await;
            assert!(output.status.success(), "{}", said(&output));
        }
        city.ccms.archive().await.unwrap();
        assert_eq!(history(&reader).await[2], told[2]);
        let output = city.command_line(&["verify"]).await;
        assert!(output.status.success() && archived(&city).await.is_empty(), "{}", said(&output));
    }

    /// A day whose readings are nowhere, and a file that no record names.
    async fn what_is_lost_is_found_out(engine) {
        let (city, _, _) = city_long_after(engine).await;
        by_hand(&city, &format!("DELETE FROM sealed_readings WHERE light_no = 2 AND day = {}", Day::of(DOCUMENT_TIME).0 - 1)).await;
        let output = city.command_line(&["verify"]).await;
        assert!(!output.status.success() && said(&output).contains("what 1 lights said on 2025-12-16 is lost"), "{}", said(&output));
        city.ccms.archive().await.unwrap();
        by_hand(&city, &format!("DELETE FROM archived_days WHERE day = {}", Day::of(DOCUMENT_TIME).0 - 2)).await;
        city.waits(2 * DAY_S);
        let output = city.command_line(&["verify"]).await;
        assert!(!output.status.success() && said(&output).contains("what 2 lights said on 2025-12-15 is lost"), "{}", said(&output));
        let stray = files(&city).into_iter().find(|f| f.to_string_lossy().contains("2025-12-15.")).unwrap();
        let later = stray.with_file_name("2025-12-15.r2.1-00000000.parquet");
        std::fs::rename(stray, later).unwrap();
        let output = city.command_line(&["verify"]).await;
        assert!(said(&output).contains("2025-12-15.r2.1-00000000.parquet: the database does not know it"), "{}", said(&output));
    }

    /// However many days wait with something late: a few at a time, those first that wait longest; and none on a full disk.
    async fn the_archive_is_rewritten_little_by_little(engine) {
        let (city, reader, _) = city_long_after(engine).await;
        let store = city.store.inner();
        let sealed = blocks(&city).await;
        let model = sealed.iter().find(|b| b.light_no == LightNo(1)).unwrap();
        let row = ccms_block::decode(model.light_no, &model.body).unwrap().remove(0);
        let of_day = |day: Day, n: i64| {
            let mut row = row.clone();
            row.reading.reported_at = day.begins().plus_seconds(n);
            let body = ccms_block::encode(&[row]).unwrap();
            SealedDay { light_no: LightNo(1), day, revision: 1, readings: 1, body }
        };
        let first = Day(Day::of(DOCUMENT_TIME).0 - 20);
        let days: Vec<Day> = (0..7).map(|n| Day(first.0 + n)).collect();
        store.write_sealed(&days.iter().map(|day| of_day(*day, 0)).collect::<Vec<_>>()).await.unwrap();
        city.ccms.disk_has(1, 1 << 40).await;
        assert_eq!(city.ccms.archive().await.unwrap().days, 0, "the disk is full");
        city.ccms.disk_has(1 << 40, 1 << 40).await;
        assert_eq!(city.ccms.archive().await.unwrap().days, 7 + DAYS, "whatever has no file yet");
        let told = history(&reader).await;
        store.write_sealed(&days.iter().map(|day| of_day(*day, 5)).collect::<Vec<_>>()).await.unwrap();
        city.waits(2 * DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().days, 4);
        store.write_sealed(&days[..4].iter().map(|day| of_day(*day, 9)).collect::<Vec<_>>()).await.unwrap();
        city.waits(2 * DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().days, 4);
        let revisions: Vec<u32> = archived(&city).await.iter().filter(|d| days.contains(&d.day)).map(|d| d.revision).rev().collect();
        assert_eq!(revisions, [3, 2, 2, 2, 2, 2, 2], "those that wait longest first");
        assert_eq!(history(&reader).await, told);
    }
}
