//! The real server on a disk that fails: a flush that is lost, and later a disk without room. The disk is `faulty/disk.c` in front
//! of the C library; a whole disk of 64 MB where a file system may be mounted.
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use ccms::boot::BROKEN_EXIT_CODE;
use ccms_core::reading::PowerState;
use ccms_fleet::run::run;
use ccms_service::clock::Clock;
use ccms_service::{Scope, api_keys};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api_client::Integrator;
use crate::controller::Controller;
use crate::database::{Database, Engine};
use crate::ledger::{Kept, fleet, lines};
use crate::server::{Server, get, log_of, router_to, until, without_shares};

/// Acknowledged statuses before and after a fault, so that it falls into live traffic.
const STATUSES: usize = 60;

/// The faulty disk, built once; `None`, loudly, where there is no compiler.
pub fn faulty_disk() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let manifest = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests"));
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faulty-disk.so");
        let made = Command::new("cc")
            .args(["-Wall", "-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &manifest.join("tests/it/faulty/disk.c")])
            .status();
        match made {
            Ok(status) => {
                assert!(status.success(), "tests/it/faulty/disk.c does not compile");
                Some(library)
            }
            Err(error) => {
                eprintln!("NOT TESTED: a failing disk, because there is no C compiler ({error})");
                None
            }
        }
    });
    built.as_deref()
}

/// A city of devices that report, with a ledger of what they were acknowledged.
pub struct Traffic {
    halt: watch::Sender<bool>,
    fleet: JoinHandle<()>,
    folder: PathBuf,
    pub ledger: PathBuf,
}

impl Traffic {
    pub fn begin(address: &str, folder: &Path, lights: usize) -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ledger = folder.join("ledger.csv");
        let (halt, halted) = watch::channel(false);
        let running = run(fleet(address, folder, &ledger, lights), halted);
        let fleet = tokio::spawn(async move {
            running.await.expect("the fleet runs to its end");
        });
        Self { halt, fleet, folder: folder.to_owned(), ledger }
    }

    /// So many more acknowledged statuses.
    pub async fn flows(&self) {
        let before = lines(&self.ledger).len();
        until("statuses flow", &self.folder, async || lines(&self.ledger).len() >= before + STATUSES).await;
    }

    pub async fn ends(self) {
        self.halt.send(true).expect("the fleet listens");
        self.fleet.await.expect("the fleet runs");
    }
}

/// What the engine says of the file, read when nobody else has it.
pub async fn is_whole(database: &Database) {
    let store = database.open().await;
    assert_eq!(store.engine_findings().await.expect("a check"), Vec::<String>::new());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_flush_of_a_commit_ends_the_process_and_nothing_acknowledged_is_lost() {
    let Some(disk) = faulty_disk() else { return };
    let database = Database::fresh(Engine::Sqlite).await;
    let folder = database.folder.path().to_owned();
    let trigger = folder.join("flush-fails");
    let mut server = Server::launch(&database, "127.0.0.1:0", |command| {
        command.env("LD_PRELOAD", disk).env("CCMS_TEST_FLUSH_FAILS", &trigger).env("CCMS_TEST_FLUSH_OF", "ccms.db-wal");
    });
    let address = server.address.clone();
    let traffic = Traffic::begin(&address, &folder, 200);
    traffic.flows().await;
    std::fs::write(&trigger, "").unwrap();
    until("the process ends", &folder, async || server.ended().is_some()).await;
    assert_eq!(server.ended().and_then(|s| s.code()), Some(BROKEN_EXIT_CODE.into()), "{}", log_of(&folder));
    assert!(!trigger.exists(), "one flush failed, and only one");
    assert!(log_of(&folder).contains("the server ends because its database"), "{}", log_of(&folder));
    Kept::read(&database).await.holds_once(&lines(&traffic.ledger));

    // Started again, by whoever does that, it goes on with what the disk holds.
    let mut server = Server::start(&database, &address);
    until("the server is ready", &folder, async || get(&address, "/readyz").await.is_some()).await;
    traffic.flows().await;
    let ledger = traffic.ledger.clone();
    traffic.ends().await;
    server.is_killed();
    Kept::read(&database).await.holds_once(&lines(&ledger));
    is_whole(&database).await;
}

/// SQLite folds its journal into the file by itself, and says nothing when that fails: it does it again. Nobody was told
/// anything that hangs on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_flush_of_the_file_itself_is_done_again() {
    let Some(disk) = faulty_disk() else { return };
    let database = Database::fresh(Engine::Sqlite).await;
    let folder = database.folder.path().to_owned();
    let trigger = folder.join("flush-fails");
    let mut server = Server::launch(&database, "127.0.0.1:0", |command| {
        command.env("LD_PRELOAD", disk).env("CCMS_TEST_FLUSH_FAILS", &trigger).env("CCMS_TEST_FLUSH_OF", "ccms.db");
    });
    std::fs::write(&trigger, "").unwrap();
    let traffic = Traffic::begin(&server.address, &folder, 500);
    until("a flush of the file fails", &folder, async || !trigger.exists()).await;
    traffic.flows().await;
    let ledger = traffic.ledger.clone();
    traffic.ends().await;
    assert!(server.ended().is_none(), "{}", log_of(&folder));
    server.is_killed();
    Kept::read(&database).await.holds_once(&lines(&ledger));
    is_whole(&database).await;
}

/// A disk of 64 MB, gone with the test.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, loudly, where no file system may be mounted.
    fn mounted() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounting =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "none"]).arg(folder.path()).output();
        if mounting.is_ok_and(|done| done.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("NOT TESTED: a full disk of 64 MB, because no file system may be mounted here");
        None
    }

    /// Something else takes every byte that is left.
    fn fills(&self) {
        let mut filler = std::fs::File::options().create(true).append(true).open(self.filler()).unwrap();
        let (mut piece, zeros) = (1 << 20, vec![0u8; 1 << 20]);
        while piece > 0 {
            match std::io::Write::write(&mut filler, &zeros[..piece]) {
                Ok(written) if written > 0 => {}
                _ => piece /= 2,
            }
        }
    }

    fn has_room_again(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("somebody-else")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

/// A device that is asked to do things, at a server of its own process.
async fn controller(address: &str) -> Controller {
    let mut device = Controller::new(router_to(address), Clock::system(0), "IMEI:351234567890123");
    device.configures().await.ok();
    // The first use of a token is written down.
    device.reports(PowerState::On).await.ok();
    device
}

/// Reports until the answer is of this kind.
async fn reports_until(device: &mut Controller, folder: &Path, status: u16) {
    let what = format!("reports are answered with {status}");
    until(&what, folder, async || {
        let answer = device.reports(PowerState::On).await;
        if answer.status != 200 {
            assert!(answer.refused(503, "UNAVAILABLE") > 0, "it is told when to come back");
        }
        answer.status == status
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_something_else_fills_to_the_brim_is_a_state() {
    let Some(disk) = SmallDisk::mounted() else { return };
    let database = Database::in_folder(disk.0.path());
    let folder = database.folder.path().to_owned();
    let mut server = Server::launch(&database, "127.0.0.1:0", without_shares);
    let address = server.address.clone();
    let store = database.open().await;
    let clock = Clock::system(0);
    let scopes = [Scope::Read, Scope::Command];
    let key = api_keys::create(&store, "test", clock.now(), "switch", &scopes, None).await.unwrap();
    store.close().await;
    let office = Integrator::elsewhere(router_to(&address)).with_key(&key);
    let mut device = controller(&address).await;
    let traffic = Traffic::begin(&address, &folder, 100);
    traffic.flows().await;
    until("ballast is kept", &folder, async || disk.0.path().join("ccms.db.ballast").exists()).await;

    for _ in 0..2 {
        disk.fills();
        reports_until(&mut device, &folder, 503).await;
        // Until the next look, within a second, there is no room for anything.
        until("the ballast makes room", &folder, async || !disk.0.path().join("ccms.db.ballast").exists()).await;
        until("an alert says so", &folder, async || {
            let alerts = office.gets("alerts").await;
            alerts.status == 200 && alerts.json().to_string().contains("disk_full")
        })
        .await;
        for _ in 0..20 {
            let order =
                json!({"light_ids": [device.light], "command_type": "brightness_control", "brightness_level": 40});
            let given = office.posts("commands", &order).await;
            assert_eq!(given.status, 201, "{given:?}: {}", log_of(&folder));
            let given = given.json();
            let id = given["items"][0]["command_id"].as_str().expect("an id").to_owned();
            assert_eq!(device.polls().await, std::slice::from_ref(&id));
            device.acknowledges(&id, "executed").await.ok();
        }
        reports_until(&mut device, &folder, 503).await;
        disk.has_room_again();
        reports_until(&mut device, &folder, 200).await;
        traffic.flows().await;
        until("ballast is kept again", &folder, async || disk.0.path().join("ccms.db.ballast").exists()).await;
    }
    let ledger = traffic.ledger.clone();
    traffic.ends().await;
    assert!(server.ended().is_none(), "{}", log_of(&folder));
    server.is_killed();
    Kept::read(&database).await.holds_once(&lines(&ledger));
    is_whole(&database).await;
}

/// No file grows: what happens between two looks at the disk, and on one whose room cannot be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_without_room_refuses_reports_and_recovers() {
    let Some(disk) = faulty_disk() else { return };
    let database = Database::fresh(Engine::Sqlite).await;
    let folder = database.folder.path().to_owned();
    let full = folder.join("disk-full");
    let mut server = Server::launch(&database, "127.0.0.1:0", |command| {
        command.env("LD_PRELOAD", disk).env("CCMS_TEST_DISK_FULL", &full);
        without_shares(command);
    });
    let address = server.address.clone();
    let mut device = controller(&address).await;
    let traffic = Traffic::begin(&address, &folder, 100);
    for _ in 0..3 {
        traffic.flows().await;
        std::fs::write(&full, "").unwrap();
        reports_until(&mut device, &folder, 503).await;
        assert!(device.polls().await.is_empty(), "it is answered, from memory");
        reports_until(&mut device, &folder, 503).await;
        std::fs::remove_file(&full).unwrap();
        reports_until(&mut device, &folder, 200).await;
    }
    let ledger = traffic.ledger.clone();
    traffic.ends().await;
    assert!(server.ended().is_none(), "a full disk is no reason to end: {}", log_of(&folder));
    server.is_killed();
    Kept::read(&database).await.holds_once(&lines(&ledger));
    is_whole(&database).await;
}
