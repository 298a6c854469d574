//! Days that are long over leave the database for files, and nobody who reads a light's history can tell. Wherever that is
//! interrupted, nothing is lost and nothing is twice; what is damaged is said to be.
use std::path::PathBuf;
use std::process::Output;

use ccms_block::Quarter;
use ccms_core::ids::LightNo;
use ccms_core::reading::PowerState;
use ccms_service::Ccms;
use ccms_service::archiving::shelf::Shelf;
use ccms_service::keys::{Keys, MasterKey};
use ccms_service::settings::{EnrolmentMode, Settings};
use ccms_store::{ArchivedDay, Day, ReadingRow, RolledDay};
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::api_readings::all;
use crate::city::{City, DOCUMENT_TIME};
use crate::database::Engine;
use crate::sealing::{blocks, city_with_a_past, hands_in_the_past};
use crate::upkeep::by_hand;

pub const DAY_S: i64 = 86_400;
/// Of three days that end in the morning.
pub const DAYS: u32 = 4;
/// More than the thirty days after which a day goes.
pub const LATER_S: i64 = 40 * DAY_S;

pub async fn archived(city: &City) -> Vec<ArchivedDay> {
    city.store.inner().archived_days(Day(i32::MIN), Day(i32::MAX), 100).await.unwrap()
}

/// Files of the archive, staged ones too.
pub fn files(city: &City) -> Vec<PathBuf> {
    let folder = |path: PathBuf| std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let years = folder(city.data_dir().join("archive")).filter(|path| !path.ends_with("replaced"));
    years.flat_map(folder).collect()
}

/// Those that others took the place of.
pub fn replaced(city: &City) -> usize {
    std::fs::read_dir(city.data_dir().join("archive/replaced")).map_or(0, Iterator::count)
}

pub fn file(city: &City, day: &ArchivedDay) -> PathBuf {
    city.data_dir().join("archive").join(&day.file)
}

/// What is told of the past, but for readings whose clock nobody believes: they leave with the log, after thirty days.
pub async fn history(reader: &Integrator) -> Vec<Vec<Value>> {
    crate::sealing::history(reader).await.into_iter().map(dated).collect()
}

fn dated(mut told: Vec<Value>) -> Vec<Value> {
    told.retain(|reading| !reading["flags"].as_array().is_some_and(|flags| flags.contains(&json!("clock_suspect"))));
    told
}

/// Everything is sealed and old enough, and so it was told before anything moved.
pub async fn city_long_after(engine: Engine) -> (City, Integrator, Vec<Vec<serde_json::Value>>) {
    let (city, reader, _) = city_with_a_past(engine).await;
    city.waits(LATER_S);
    let told = history(&reader).await;
    city.ccms.seal().await.unwrap();
    assert_eq!(history(&reader).await, told);
    (city, reader, told)
}

/// One reading of light 1, word for word, and one of the same day that nobody heard of.
pub async fn hands_in_again(city: &City, row: &ReadingRow) {
    let twin = ReadingRow { received_at: city.clock.now(), ..row.clone() };
    let mut news = twin.clone();
    news.reading.reported_at = row.reading.reported_at.plus_seconds(5);
    news.dedupe = news.reading.dedupe_key();
    city.store.inner().append_readings(&[twin, news]).await.unwrap();
    // Another's word, so that memory and checkpoint go past the two.
    let others = city.store.inner().lights().await.unwrap().len();
    city.claimed_device(&format!("IMEI:35123456{others:07}")).await.reports(PowerState::On).await.ok();
    city.ccms.checkpoint().await;
}

/// On the same database, with a memory of its own.
async fn other_process(city: &City) -> Ccms {
    let mut settings = Settings { new_lights_every_s: 3_600, ..city.config.settings() };
    settings.storage.shelf = Some(Shelf::new(city.shelf.clone()));
    let keys = Keys { master: MasterKey::random(), ring_file: None, factory: None };
    Ccms::start(settings, city.clock.clone(), city.store.clone(), keys).await.unwrap()
}

pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

on_both! {
    async fn a_day_that_is_archived_reads_as_before(engine) {
        let (city, reader, _) = city_with_a_past(engine).await;
        city.waits(6 * 3_600 + 1);
        city.ccms.seal().await.unwrap();
        assert_eq!(city.ccms.archive().await.unwrap().days, 0, "nothing is old enough");
        city.waits(LATER_S);
        city.ccms.seal().await.unwrap();
        let (told, sealed, stored) = (history(&reader).await, blocks(&city).await, city.stored().await);
        let sees = city.operator().sees("SL001").await;
        let done = city.ccms.archive().await.unwrap();
        assert_eq!((done.days, done.failed), (DAYS, 0));
        assert_eq!(done.readings, sealed.iter().map(|b| u64::from(b.readings)).sum::<u64>());
        assert_eq!(history(&reader).await, told);
        assert!(blocks(&city).await.is_empty());
        assert_eq!((files(&city).len(), archived(&city).await.len()), (DAYS as usize, DAYS as usize));
        assert_eq!(city.ccms.archive().await.unwrap().days, 0, "once");
        let window = "from=2025-12-10T00:00:00Z&to=2025-12-19T00:00:00Z";
        assert_eq!(dated(all(&reader, &format!("lights/SL001/readings?limit=7&{window}")).await), told[0]);
        assert_eq!(city.operator().sees("SL001").await.actual, sees.actual);

        // What comes late becomes a block beside the file, and then part of the next file.
        let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
        let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at).expect("one of that moment");
        hands_in_again(&city, row).await;
        let with_late = history(&reader).await;
        assert_eq!(with_late[0].len(), told[0].len() + 1, "the repeat is shown once");
        city.waits(12 * 3_600);
        city.ccms.seal().await.unwrap();
        assert_eq!(blocks(&city).await.iter().filter(|b| b.day == Day::of(at)).count(), 1);
        assert_eq!(history(&reader).await, with_late);
        assert_eq!(city.ccms.archive().await.unwrap().days, 0, "its file is not a day old");
        city.waits(DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().days, 1);
        assert_eq!(history(&reader).await, with_late);
        assert!(blocks(&city).await.iter().all(|b| b.day != Day::of(at)));
        let revisions: Vec<u32> = archived(&city).await.iter().map(|d| d.revision).collect();
        assert_eq!((revisions.iter().sum::<u32>(), files(&city).len()), (DAYS + 1, DAYS as usize), "the old file is gone");
        assert_eq!(replaced(&city), 1, "aside, where a backup of the database still finds it");
        let output = city.command_line(&["archive", "verify"]).await;
        assert!(output.status.success() && said(&output).contains("replaced/"), "{}", said(&output));
        city.waits(6 * DAY_S);
        city.ccms.archive().await.unwrap();
        assert_eq!(replaced(&city), 1);
        city.waits(DAY_S + 60);
        city.ccms.archive().await.unwrap();
        assert_eq!(replaced(&city), 0);
        let city = city.crashes().await;
        assert_eq!(history(&Integrator::of(&city, ccms_service::Scope::Admin).await).await, with_late);
    }

    async fn a_restored_day_is_in_blocks_until_its_time_is_over(engine) {
        let (city, reader, told) = city_long_after(engine).await;
        let sealed = blocks(&city).await;
        city.ccms.archive().await.unwrap();
        let days = archived(&city).await;
        for _ in 0..2 {
            let output = city.command_line(&["archive", "restore", "--day", "2025-12-15", "--to", "2025-12-16"]).await;
            assert!(output.status.success(), "{}", said(&output));
            assert_eq!(history(&reader).await, told);
        }
        let back = blocks(&city).await;
        let of_days: Vec<_> = sealed.iter().filter(|b| back.iter().any(|other| other.day == b.day)).cloned().collect();
        assert_eq!((back.len(), &back), (4, &of_days), "as they were");
        assert_eq!(city.store.inner().audit(1).await.unwrap()[0].action, "archive.restore");
        // The file is not needed meanwhile.
        let away = file(&city, days.iter().find(|d| ccms_service::archiving::date(d.day) == "2025-12-15").unwrap());
        std::fs::rename(&away, away.with_extension("away")).unwrap();
        assert_eq!(history(&reader).await, told);
        std::fs::rename(away.with_extension("away"), &away).unwrap();
        assert_eq!(city.ccms.archive().await.unwrap().days, 0);
        assert_eq!(blocks(&city).await, back, "nothing of it is removed");
        // The command line lives in our own time, which is far ahead of the city's.
        city.waits(100 * 365 * DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().days, 0, "the files have it all");
        assert!(blocks(&city).await.is_empty());
        assert_eq!((history(&reader).await, archived(&city).await), (told, days));
    }

    /// The database goes away after any number of calls, and the disk; the next run finds what there is.
    async fn wherever_it_is_interrupted_nothing_is_lost_or_twice(engine) {
        for disk in [false, true] {
            let (city, reader, told) = city_long_after(engine).await;
            let mut interruptions = 0;
            loop {
                if disk { city.shelf.fails_after(interruptions) } else { city.store.fails_after(interruptions) }
                let outcome = city.ccms.archive().await;
                city.store.fails(false);
                city.shelf.mends();
                assert_eq!(history(&reader).await, told, "after {interruptions} calls");
                interruptions += 1;
                if outcome.is_ok_and(|done| done.failed == 0) {
                    break;
                }
            }
            assert!(interruptions > 8, "{interruptions}");
            city.waits(8 * DAY_S);
            city.ccms.archive().await.unwrap();
            assert_eq!(history(&reader).await, told);
            assert!(blocks(&city).await.is_empty());
            assert_eq!((files(&city).len(), archived(&city).await.len()), (DAYS as usize, DAYS as usize));
            let output = city.command_line(&["archive", "verify"]).await;
            assert!(output.status.success() && said(&output).contains("4 days"), "{}", said(&output));
        }
    }

    /// Late readings are merged with the file; that is interrupted as well.
    async fn a_file_is_replaced_or_stays(engine) {
        let (city, reader, _) = city_long_after(engine).await;
        let stored = city.stored().await;
        city.ccms.archive().await.unwrap();
        let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
        let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at).unwrap();
        hands_in_again(&city, row).await;
        city.waits(2 * DAY_S);
        city.ccms.seal().await.unwrap();
        let told = history(&reader).await;
        for interruptions in 0.. {
            if interruptions % 2 == 0 { city.shelf.fails_after(interruptions / 2) } else { city.store.fails_after(interruptions / 2) }
            let outcome = city.ccms.archive().await;
            city.store.fails(false);
            city.shelf.mends();
            assert_eq!(history(&reader).await, told, "after {interruptions} calls");
            if outcome.is_ok_and(|done| done.failed == 0) {
                break;
            }
        }
        city.waits(10 * DAY_S);
        city.ccms.archive().await.unwrap();
        assert_eq!((history(&reader).await, replaced(&city)), (told, 0));
        let revisions: Vec<u32> = archived(&city).await.iter().map(|d| d.revision).collect();
        assert_eq!((revisions.iter().sum::<u32>(), files(&city).len()), (DAYS + 1, DAYS as usize));
        assert!(blocks(&city).await.iter().all(|b| b.day != Day::of(at)));
    }

    async fn what_is_damaged_is_said_to_be(engine) {
        let (city, reader, told) = city_long_after(engine).await;
        city.ccms.archive().await.unwrap();
        let days = archived(&city).await;
        let day = days.iter().find(|d| ccms_service::archiving::date(d.day) == "2025-12-15").unwrap();
        let (path, whole) = (file(&city, day), std::fs::read(file(&city, day)).unwrap());
        let of_day = "lights/SL001/readings?from=2025-12-15T00:00:00Z&to=2025-12-16T00:00:00Z";
        let footer = whole.len() - day.footer_bytes as usize;
        let of_the_day = all(&reader, of_day).await;
        let flipped = |at: usize| {
            let mut changed = whole.clone();
            changed[at] ^= 4;
            Some(changed)
        };
        // In a page, gone; then what one light's day is read without: in the directory, in the footer, cut short.
        let damages = [flipped(200), None, flipped(footer - 20), flipped(footer + 9), flipped(whole.len() - 1), Some(whole[..footer].to_vec())];
        for (n, damage) in damages.into_iter().enumerate() {
            match damage {
                Some(bytes) => std::fs::write(&path, bytes).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            if n < 2 {
                reader.gets(of_day).await.problem(503);
            } else {
                assert_eq!(all(&reader, of_day).await, of_the_day);
            }
            let output = city.command_line(&["archive", "verify"]).await;
            assert!(!output.status.success() && said(&output).contains(&day.file), "{}", said(&output));
            reader.gets("lights/SL001/readings?from=2025-12-16T00:00:00Z&to=2025-12-17T00:00:00Z").await.ok();
        }
        // Nothing is remembered of the file: what of its directory is damaged is not believed.
        std::fs::write(&path, flipped(footer - 20).unwrap()).unwrap();
        let other = other_process(&city).await;
        let light = ccms_core::ids::LightId::numbered(1);
        let who = ccms_service::Who::person("test", ccms_store::Role::Admin, None);
        let window = (day.day.begins(), day.day.ends());
        assert!(other.light_readings(who.may_view().unwrap(), &light, window, None, 500).await.is_err());
        std::fs::remove_file(&path).unwrap();
        let restored = city.command_line(&["archive", "restore", "--day", "2025-12-15"]).await;
        assert!(!restored.status.success() && said(&restored).contains(&day.file), "{}", said(&restored));
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(history(&reader).await, told);
        let stray = path.with_file_name("2025-12-15.r7.1-00000000.parquet");
        std::fs::write(&stray, &whole).unwrap();
        let output = city.command_line(&["archive", "verify"]).await;
        assert!(!output.status.success() && said(&output).contains("2025-12-15.r7"), "{}", said(&output));
        let output = city.command_line(&["archive", "verify", "--day", "2025-12-15"]).await;
        assert!(output.status.success(), "{}", said(&output));
        city.ccms.archive().await.unwrap();
        assert!(stray.exists(), "it may be newer than the database is");
        let output = city.command_line(&["archive", "adopt"]).await;
        assert!(!output.status.success() && said(&output).contains("it says of itself"), "{}", said(&output));
        let named = |days: &[ArchivedDay]| days.iter().map(|d| (d.day, d.revision, d.file.clone())).collect::<Vec<_>>();
        assert_eq!((named(&archived(&city).await), stray.exists()), (named(&days), true));
        let list = said(&city.command_line(&["archive", "list"]).await);
        assert!(days.iter().all(|d| list.contains(&d.file)), "{list}");
    }

    /// As they were written before.
    async fn a_file_without_a_directory_reads_as_before(engine) {
        let (city, _, told) = city_long_after(engine).await;
        city.ccms.archive().await.unwrap();
        for day in archived(&city).await {
            let path = file(&city, &day);
            let mut bytes = std::fs::read(&path).unwrap();
            let name = bytes.len() - day.footer_bytes as usize - 8;
            assert_eq!(&bytes[name..][..8], b"ccms.dir");
            bytes[name..][..8].fill(0);
            std::fs::write(&path, bytes).unwrap();
        }
        let city = city.crashes().await;
        assert_eq!(history(&Integrator::of(&city, ccms_service::Scope::Admin).await).await, told);
    }

    async fn what_archived_days_came_to_is_verified(engine) {
        let (city, _, _) = city_long_after(engine).await;
        let stored = city.stored().await;
        city.ccms.archive().await.unwrap();
        let at = DOCUMENT_TIME.plus_seconds(-2 * DAY_S);
        let verify = async || city.command_line(&["verify"]).await;
        let output = verify().await;
        assert!(output.status.success() && said(&output).contains("4 archived days with"), "{}", said(&output));
        // Late readings beside a file, and a day that is in blocks as well, are looked at together with it.
        let row = stored.iter().find(|r| r.light_no == LightNo(1) && r.reading.reported_at == at).unwrap();
        hands_in_again(&city, row).await;
        city.waits(12 * 3_600);
        city.ccms.seal().await.unwrap();
        assert!(city.command_line(&["archive", "restore", "--day", "2025-12-16"]).await.status.success());
        let output = verify().await;
        assert!(output.status.success(), "{}", said(&output));
        // Of a day without a block, of one with, of one that was restored.
        let store = city.store.inner();
        for (day, light) in [("2025-12-14", 2), ("2025-12-15", 1), ("2025-12-16", 2)] {
            let of_day = Day::of(ccms_core::time::UtcMillis::parse_lenient(&format!("{day}T00:00:00Z")).unwrap());
            let right = store.rollups_of_light(LightNo(light), of_day, of_day, 1).await.unwrap().remove(0);
            let mut quarters = ccms_block::decode_ledger(of_day, &right.ledger).unwrap();
            quarters[3].on_s += 1;
            let measured = ccms_block::decode_measured(&quarters, &right.measured).unwrap();
            let forged: Vec<_> = quarters.into_iter().zip(measured).map(|(ledger, measured)| Quarter { ledger, measured }).collect();
            let (ledger, measured) = ccms_block::encode_quarters(of_day, &forged).unwrap();
            store.write_rollups(&[RolledDay { ledger, measured, ..right.clone() }]).await.unwrap();
            let output = verify().await;
            let finding = format!("the archived day {day} of light number {light}: its sums are not those of its readings");
            assert!(!output.status.success() && said(&output).contains(&finding), "{}", said(&output));
            assert!(city.command_line(&["verify", "--without-archive"]).await.status.success(), "it is the files that tell");
            by_hand(&city, &format!("DELETE FROM rollup_ledgers WHERE light_no = {light} AND day = {}", of_day.0)).await;
            assert!(said(&verify().await).contains("its quarters of an hour were not summed up"));
            store.write_rollups(&[right]).await.unwrap();
        }
        // Of a light that said nothing.
        let of_day = archived(&city).await[0].day;
        let right = store.rollups_of_light(LightNo(1), of_day, of_day, 1).await.unwrap().remove(0);
        let silent = store.lights().await.unwrap().iter().map(|l| l.no).max().unwrap();
        store.write_rollups(&[RolledDay { light_no: silent, ..right }]).await.unwrap();
        let output = verify().await;
        assert!(!output.status.success() && said(&output).contains("there are sums, and no readings"), "{}", said(&output));
        by_hand(&city, &format!("DELETE FROM rollup_ledgers WHERE light_no = {} AND day = {}", silent.0, of_day.0)).await;
        // A file that cannot be read is a finding, and the rest is looked through.
        std::fs::remove_file(file(&city, &archived(&city).await[0])).unwrap();
        let output = verify().await;
        assert!(!output.status.success() && said(&output).contains("1 things are wrong"), "{}", said(&output));
    }

    async fn what_is_too_old_is_deleted_and_that_is_noted(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |config| {
            config.storage.delete_archive_after_days = 60;
        })
        .await;
        let (reader, _) = hands_in_the_past(&city).await;
        city.waits(LATER_S);
        city.ccms.seal().await.unwrap();
        let told = history(&reader).await;
        assert_eq!((city.ccms.archive().await.unwrap().days, history(&reader).await), (DAYS, told.clone()));
        city.waits(18 * DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().deleted, 1, "only the first");
        city.waits(30 * DAY_S);
        assert_eq!(city.ccms.archive().await.unwrap().deleted, DAYS - 1);
        assert!(files(&city).is_empty() && archived(&city).await.is_empty());
        let left = history(&reader).await;
        let is_suspect = |item: &Value| item["flags"].as_array().unwrap().contains(&json!("clock_suspect"));
        assert!(!told[0].iter().all(is_suspect) && left[0].iter().all(is_suspect), "gone, and no error");
        assert_eq!(left[1..3], told[1..3], "what they came to stays");
        let audit = city.store.inner().audit(2).await.unwrap();
        assert!(audit.iter().all(|e| e.action == "archive.delete" && e.detail["readings"].is_number()), "{audit:?}");
    }

    /// Two processes on one database do the same at the same time.
    async fn two_archivers_are_as_good_as_one(engine) {
        let (city, reader, told) = city_long_after(engine).await;
        let other = other_process(&city).await;
        let (one, two) = tokio::join!(city.ccms.archive(), other.archive());
        assert!(one.unwrap().days + two.unwrap().days >= DAYS);
        assert_eq!(history(&reader).await, told);
        city.waits(8 * DAY_S);
        tokio::join!(city.ccms.archive(), other.archive()).0.unwrap();
        assert_eq!(history(&reader).await, told);
        assert!(blocks(&city).await.is_empty());
        assert_eq!(files(&city).len(), DAYS as usize);
        let output = city.command_line(&["archive", "verify"]).await;
        assert!(output.status.success(), "{}", said(&output));
    }
}
