//! Backups and what is found in them: of a server at work, put back, and looked through when somebody changed something.
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ccms_core::ids::LightNo;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::clock::Clock;
use ccms_store::{Day, LogPosition, RolledDay, SealedDay};
use sqlx::{AssertSqlSafe, Connection, Executor};

use crate::city::City;
use crate::controller::Controller;
use crate::database::{Database, Engine};
use crate::disk_faults::{Traffic, is_whole};
use crate::ledger::{Kept, lines};
use crate::server::{Server, router_to, without_shares};

const DEVICE: &str = "IMEI:351234567890123";

/// The command line on a database and a folder of keys.
async fn ccms(arguments: &[&str], url: &str, data_dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ccms"));
    command.args(arguments).args(["--database", url, "--data-dir"]).arg(data_dir);
    tokio::task::spawn_blocking(move || command.output()).await.expect("a thread").expect("ccms runs")
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let said = said(output);
    assert!(output.status.success(), "{said}");
    said
}

#[track_caller]
fn fails(output: &Output, with: &str) {
    let said = said(output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(with), "{with:?} in {said}");
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

fn flips(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A device that has configured and reported, and may ask as often as it likes.
async fn device_at(server: &Server) -> Controller {
    let mut device = Controller::new(router_to(&server.address), Clock::system(0), DEVICE);
    device.configures().await.ok();
    device.reports(PowerState::On).await.ok();
    device
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_server_at_work_is_put_back_with_all_that_was_acknowledged() {
    let database = Database::fresh(Engine::Sqlite).await;
    let folder = database.folder.path().to_owned();
    let (kept, url) = (folder.join("kept"), database.url.clone());
    let kept_name = kept.to_str().unwrap();
    let mut server = Server::launch(&database, "127.0.0.1:0", without_shares);
    let address = server.address.clone();
    let mut device = device_at(&server).await;
    let traffic = Traffic::begin(&address, &folder, 200);
    traffic.flows().await;

    let acknowledged = lines(&traffic.ledger);
    let said = succeeds(&ccms(&["backup", kept_name], &url, &folder).await);
    assert!(said.contains("KEEP IT SECRET"), "{said}");
    traffic.flows().await;
    assert_eq!(names_in(&kept), ["ccms.db", "manifest.json", "master.key", "token-keys"]);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&kept), 0o700);
    names_in(&kept).iter().for_each(|name| assert_eq!(mode(&kept.join(name)), 0o600, "{name}"));
    assert!(names_in(&folder).iter().all(|name| !name.ends_with(".part")));
    succeeds(&ccms(&["verify", "--backup", kept_name], &url, &folder).await);
    succeeds(&ccms(&["verify"], &url, &folder).await);
    fails(&ccms(&["backup", kept_name], &url, &folder).await, "exists already");
    for arguments in [&["restore", kept_name][..], &["restore", kept_name, "--replace"]] {
        fails(&ccms(arguments, &url, &folder).await, "a server runs on this database");
    }

    let ledger = traffic.ledger.clone();
    traffic.ends().await;
    server.is_killed();
    let all = lines(&ledger);
    fails(&ccms(&["restore", kept_name], &url, &folder).await, "is there already");
    Kept::read(&database).await.holds_once(&all);
    flips(&kept.join("ccms.db"), 5_000);
    fails(&ccms(&["verify", "--backup", kept_name], &url, &folder).await, "ccms.db was changed");
    fails(&ccms(&["restore", kept_name, "--replace"], &url, &folder).await, "nothing was touched");
    Kept::read(&database).await.holds_once(&all);
    flips(&kept.join("ccms.db"), 5_000);

    // What is there now goes aside, and is whole there.
    succeeds(&ccms(&["restore", kept_name, "--replace"], &url, &folder).await);
    let restored = Kept::read(&database).await;
    restored.holds_once(&acknowledged);
    is_whole(&database).await;
    let names = names_in(&folder);
    let aside = folder.join(names.iter().find(|name| name.contains("before-restore")).expect("a folder"));
    let before = Database::in_folder(&aside);
    Kept::read(&before).await.holds_once(&all);
    succeeds(&ccms(&["verify"], &url, &folder).await);
    let _server = Server::launch(&database, &address, without_shares);
    device.reports(PowerState::Off).await.ok();
    device.asks_for_commands().await.ok();
    assert!(Kept::read(&database).await.log.len() > restored.log.len());
}

/// Into an empty place, cut off in between, and without keys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_cut_off_is_ended_before_a_server_starts() {
    let database = Database::fresh(Engine::Sqlite).await;
    let folder = database.folder.path().to_owned();
    let mut server = Server::launch(&database, "127.0.0.1:0", without_shares);
    let mut device = device_at(&server).await;
    let (whole, bare) = (folder.join("whole"), folder.join("bare"));
    succeeds(&ccms(&["backup", whole.to_str().unwrap()], &database.url, &folder).await);
    let said = succeeds(&ccms(&["backup", bare.to_str().unwrap(), "--without-keys"], &database.url, &folder).await);
    assert!(said.contains("without master.key"), "{said}");
    assert_eq!(names_in(&bare), ["ccms.db", "manifest.json"]);
    server.is_killed();

    let elsewhere = tempfile::tempdir().unwrap();
    let place = Database::in_folder(elsewhere.path());
    let home = place.folder.path();
    std::fs::write(elsewhere.path().join("ccms.db.restoring"), "half a copy").unwrap();
    let begun = ccms(&["serve", "--listen", "127.0.0.1:0"], &place.url, home).await;
    fails(&begun, "a restore was begun and not ended");
    succeeds(&ccms(&["restore", whole.to_str().unwrap()], &place.url, home).await);
    assert_eq!(names_in(elsewhere.path()), ["ccms.db", "ccms.db.lock"]);
    let mut server = Server::launch(&place, "127.0.0.1:0", without_shares);
    device.router = router_to(&server.address);
    device.reports(PowerState::Off).await.ok();
    assert_eq!(Kept::read(&place).await.log.len(), 2);

    // The keys that are there stay.
    server.is_killed();
    succeeds(&ccms(&["restore", bare.to_str().unwrap(), "--replace"], &place.url, home).await);
    let server = Server::launch(&place, "127.0.0.1:0", without_shares);
    device.router = router_to(&server.address);
    device.reports(PowerState::Off).await.ok();
    assert_eq!(Kept::read(&place).await.log.len(), 2);
}

/// The documented way, with PostgreSQL's own tools.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_of_a_server_at_work_is_put_back_with_all_that_was_acknowledged() {
    let database = Database::fresh(Engine::Postgres).await;
    let folder = database.folder.path().to_owned();
    fails(&ccms(&["backup", "somewhere"], &database.url, &folder).await, "pg_dump --format=custom");
    let mut server = Server::launch(&database, "127.0.0.1:0", without_shares);
    let mut device = device_at(&server).await;
    let traffic = Traffic::begin(&server.address, &folder, 100);
    traffic.flows().await;
    let acknowledged = lines(&traffic.ledger);
    let dump = folder.join("ccms.dump");
    let tool = async |name: &'static str, arguments: Vec<String>| {
        let ran = tokio::task::spawn_blocking(move || Command::new(name).args(arguments).output()).await.unwrap();
        succeeds(&ran.unwrap_or_else(|e| panic!("{name}: {e}")));
    };
    tool("pg_dump", vec!["--format=custom".into(), format!("--file={}", dump.display()), database.url.clone()]).await;
    traffic.ends().await;
    server.is_killed();

    let restored = Database::fresh(Engine::Postgres).await;
    let onto = format!("--dbname={}", restored.url);
    tool("pg_restore", vec!["--exit-on-error".into(), "--no-owner".into(), onto, dump.display().to_string()]).await;
    for key in ["master.key", "token-keys"] {
        std::fs::copy(folder.join(key), restored.folder.path().join(key)).unwrap();
    }
    succeeds(&ccms(&["verify"], &restored.url, restored.folder.path()).await);
    Kept::read(&restored).await.holds_once(&acknowledged);
    let server = Server::launch(&restored, "127.0.0.1:0", without_shares);
    device.router = router_to(&server.address);
    device.reports(PowerState::Off).await.ok();
}

pub async fn by_hand(city: &City, sql: &str) {
    let (url, sql) = (city.database_url(), AssertSqlSafe(sql.to_owned()));
    if url.starts_with("sqlite:") {
        sqlx::SqliteConnection::connect(&url).await.unwrap().execute(sql).await.map(drop).unwrap();
    } else {
        sqlx::PgConnection::connect(&url).await.unwrap().execute(sql).await.map(drop).unwrap();
    }
}

on_both! {
    async fn what_is_wrong_is_found_beside_a_server(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        for minute in 0..30 {
            let at = UtcMillis(Day::of(city.clock.now()).begins().0 - 86_400_000 + minute * 60_000);
            device.reports_at(if minute % 2 == 0 { PowerState::On } else { PowerState::Off }, at).await.ok();
        }
        city.waits(7 * 3_600);
        device.reports(PowerState::On).await.ok();
        city.ccms.checkpoint().await;
        assert_eq!(city.ccms.seal().await.unwrap().readings, 30);
        let store = city.store.inner();
        let said = succeeds(&city.command_line(&["verify"]).await);
        for line in ["1 blocks with 30 readings", "1 rows of the log", "the chain is whole", "30  readings in blocks"] {
            assert!(said.contains(line), "{line:?} in {said}");
        }

        // A row of the log that is in its block as well is a sealing that was cut off: told, and no fault.
        let block = store.sealed_of_light(LightNo(1), Day(i32::MIN), Day(i32::MAX), 9).await.unwrap().remove(0);
        let rows = ccms_block::decode(block.light_no, &block.body).unwrap();
        store.append_readings(&rows[3..5]).await.unwrap();
        let said = succeeds(&city.command_line(&["verify"]).await);
        assert!(said.contains("2 of them are in blocks already"), "{said}");

        let mut flipped = block.body.clone();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let twice = ccms_block::encode(&[&rows[..], &rows[..1]].concat()).unwrap();
        let wrong = |readings: u32, body: &[u8]| SealedDay { readings, body: body.into(), ..block.clone() };
        let blocks = [
            (wrong(30, &flipped), "light number 1 on 2025-12-16: the block is damaged"),
            (wrong(31, &block.body), "it holds 30 readings and should hold 31"),
            (wrong(31, &twice), "is there twice"),
            (SealedDay { day: Day(block.day.0 + 1), revision: 1, ..block.clone() }, "is of another day"),
            (SealedDay { light_no: LightNo(77), revision: 1, ..block.clone() }, "light number 77, which there is not"),
        ];
        let mut revision = block.revision;
        for (bad, finding) in blocks {
            if (bad.light_no, bad.day) == (block.light_no, block.day) {
                revision += 1;
            }
            let is_new = bad.revision == 1 && (bad.light_no, bad.day) != (block.light_no, block.day);
            let bad = SealedDay { revision: if is_new { 1 } else { revision }, ..bad };
            assert_eq!(store.write_sealed(std::slice::from_ref(&bad)).await.unwrap(), [true]);
            fails(&city.command_line(&["verify"]).await, finding);
            revision += u32::from(!is_new);
            if !is_new {
                let good = SealedDay { revision, ..block.clone() };
                assert_eq!(store.write_sealed(&[good]).await.unwrap(), [true]);
                succeeds(&city.command_line(&["verify"]).await);
            }
        }
        by_hand(&city, "DELETE FROM sealed_readings WHERE light_no = 77").await;
        by_hand(&city, &format!("DELETE FROM sealed_readings WHERE day = {}", block.day.0 + 1)).await;
        succeeds(&city.command_line(&["verify"]).await);

        let right = store.rollups_of_light(block.light_no, block.day, block.day, 1).await.unwrap().remove(0);
        let quarters = ccms_block::quarters(&rows[..20], UtcMillis(i64::MAX));
        let (ledger, measured) = ccms_block::encode_quarters(block.day, &quarters).unwrap();
        store.write_rollups(&[RolledDay { ledger, measured, ..right.clone() }]).await.unwrap();
        fails(&city.command_line(&["verify"]).await, "its sums are not those of its readings");
        by_hand(&city, "DELETE FROM rollup_ledgers").await;
        fails(&city.command_line(&["verify"]).await, "its quarters of an hour were not summed up");
        store.write_rollups(&[right]).await.unwrap();
        succeeds(&city.command_line(&["verify"]).await);

        by_hand(&city, "UPDATE audit SET actor = 'nobody' WHERE no = 1").await;
        fails(&city.command_line(&["verify"]).await, "the audit log was changed: entry 1");
        store.write_checkpoint(LogPosition(1 << 40), &[]).await.unwrap();
        fails(&city.command_line(&["verify"]).await, "the checkpoint is ahead of the log");
        if engine == Engine::Sqlite {
            let kept: PathBuf = city.data_dir().join("kept");
            // A true copy of what is there, and it says what is wrong with that.
            std::fs::write(city.data_dir().join("master.key"), "0".repeat(64)).unwrap();
            fails(&city.command_line(&["backup", kept.to_str().unwrap()]).await, "the backup is a true copy, but 2 things");
            assert!(kept.join("manifest.json").exists());
        }
    }
}
