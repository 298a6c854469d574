//! The real server process, killed without warning while a city of real devices reports to it: whatever it acknowledged is in
//! the database once, and after the restart the map shows the last state at once (I1, I9).
//!
//! `CCMS_LEDGER_ROUNDS` says how often it is killed, `CCMS_LEDGER_LIGHTS` by how many lights it is used.
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use ccms_core::ids::{LightId, LightNo};
use ccms_core::snapshot::Snapshot;
use ccms_core::time::UtcMillis;
use ccms_fleet::city::Profile;
use ccms_fleet::run::{RunOptions, run};
use ccms_fleet::sickness::FaultChoice;
use ccms_service::clock::Clock;
use ccms_service::people::SESSION_USER_KEY;
use ccms_store::{LogPosition, ReadingRow, SessionRecord};
use tokio::sync::watch;
use tower_sessions::session::{Id, Record};

use crate::database::{Database, Engine};
use crate::disk_faults::is_whole;
use crate::server::{SESSION, Server, get, until};

const ROUNDS: usize = 3;
const LIGHTS: usize = 500;
/// From the start of the process to the first 200, when it was killed more often than usual.
const READY_MAX: Duration = Duration::from_secs(3);
/// Acknowledged statuses between two kills, so that each falls into live traffic.
const STATUSES_PER_ROUND: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_kept_what_it_acknowledged_on_sqlite() {
    is_killed_again_and_again(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_kept_what_it_acknowledged_on_postgres() {
    is_killed_again_and_again(Engine::Postgres).await;
}

async fn is_killed_again_and_again(engine: Engine) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let rounds = from_environment("CCMS_LEDGER_ROUNDS", ROUNDS);
    let lights = from_environment("CCMS_LEDGER_LIGHTS", LIGHTS);
    let database = Database::fresh(engine).await;
    let folder = database.folder.path().to_owned();
    let ledger = folder.join("ledger.csv");
    let mut server = Server::start(&database, "127.0.0.1:0");
    let address = server.address.clone();
    sign_in(&database).await;

    let (halt, halted) = watch::channel(false);
    let fleet = tokio::spawn(run(fleet(&address, &folder, &ledger, lights), halted));
    let clock = Clock::system(0);
    let mut slowest = Duration::ZERO;
    for round in 1..=rounds {
        let before = lines(&ledger).len();
        until(&format!("statuses flow in round {round}"), &folder, async || {
            lines(&ledger).len() >= before + STATUSES_PER_ROUND
        })
        .await;
        server.is_killed();
        let acknowledged = lines(&ledger);
        let kept = Kept::read(&database).await;
        kept.holds_once(&acknowledged);

        is_whole(&database).await;
        let begun = clock.monotonic();
        server = Server::start(&database, &address);
        until("the server is ready", &folder, async || get(&address, "/readyz").await.is_some()).await;
        slowest = slowest.max(clock.monotonic() - begun);
        let shown = get(&address, "/live/fleet").await.expect("the fleet");
        let shown = Snapshot::decode(&shown).expect("a snapshot");
        kept.is_what_is_shown(&shown, &Kept::read(&database).await);
    }
    halt.send(true).expect("the fleet listens");
    let summary = fleet.await.expect("the fleet runs").expect("to its end");
    server.is_killed();
    Kept::read(&database).await.holds_once(&lines(&ledger));
    assert_eq!(summary.readings_acknowledged as usize, lines(&ledger).len());
    let acknowledged = summary.readings_acknowledged;
    println!(
        "{engine:?}: {acknowledged} statuses acknowledged over {rounds} kills, all kept once; ready in {slowest:?} at most"
    );
    // Among all the other tests nobody has the machine to himself.
    assert!(rounds <= ROUNDS || slowest <= READY_MAX, "ready in {slowest:?} at most");
}

fn from_environment(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

pub fn fleet(address: &str, folder: &Path, ledger: &Path, lights: usize) -> RunOptions {
    RunOptions {
        profile: Profile::Delhi,
        lights: Some(lights),
        ledger: Some(ledger.to_owned()),
        start_spread_seconds: Some(3),
        faults: FaultChoice::OFF,
        ..RunOptions::new(format!("http://{address}"), folder.join("fleet"))
    }
}

/// One line of the ledger: light, time, number.
pub type Line = (LightId, UtcMillis, u32);

pub fn lines(ledger: &Path) -> Vec<Line> {
    let text = std::fs::read_to_string(ledger).unwrap_or_default();
    // The last line may still be under the pen.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().map(|line| parse(line).unwrap_or_else(|| panic!("{line:?} is no line of a ledger"))).collect()
}

fn parse(line: &str) -> Option<Line> {
    let mut parts = line.split(',');
    let (light, at, seq) = (parts.next()?, parts.next()?, parts.next()?);
    Some((LightId::parse(light).ok()?, UtcMillis(at.parse().ok()?), seq.parse().ok()?))
}

/// What the database holds, read beside the server.
pub struct Kept {
    lights: HashMap<LightId, LightNo>,
    pub log: Vec<ReadingRow>,
}

impl Kept {
    pub async fn read(database: &Database) -> Self {
        let store = database.open().await;
        let lights = store.lights().await.expect("lights").into_iter().map(|l| (l.id, l.no)).collect();
        let (mut log, mut after) = (Vec::new(), LogPosition::default());
        loop {
            let page = store.log_after(after, 10_000).await.expect("the log");
            let Some((last, _)) = page.last() else { break };
            after = *last;
            log.extend(page.into_iter().map(|(_, row)| row));
        }
        store.close().await;
        Self { lights, log }
    }

    pub fn holds_once(&self, acknowledged: &[Line]) {
        let mut times: BTreeMap<(LightNo, UtcMillis, Option<u32>), u32> = BTreeMap::new();
        for row in &self.log {
            *times.entry((row.light_no, row.reading.reported_at, row.reading.seq)).or_default() += 1;
        }
        assert!(times.values().all(|n| *n == 1), "a status is there twice");
        let is_missing = |(light, at, seq): &&Line| !times.contains_key(&(self.lights[light], *at, Some(*seq)));
        let missing: Vec<&Line> = acknowledged.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "{} of {} acknowledged are gone: {missing:?}", missing.len(), acknowledged.len());
    }

    /// Each light as its newest reading says; lights that reported again since the restart may be ahead.
    fn is_what_is_shown(&self, shown: &Snapshot, now: &Self) {
        let again: BTreeSet<LightNo> = now.log[self.log.len()..].iter().map(|row| row.light_no).collect();
        let mut newest: BTreeMap<LightNo, &ReadingRow> = BTreeMap::new();
        for row in &self.log {
            let time = |r: &ReadingRow| r.reading.ordering_time(r.received_at);
            let held = newest.entry(row.light_no).or_insert(row);
            if time(held) <= time(row) {
                *held = row;
            }
        }
        let marks: HashMap<u32, _> = shown.marks.iter().map(|mark| (mark.no, mark)).collect();
        let mut compared = 0;
        for (no, row) in newest.iter().filter(|(no, _)| !again.contains(no)) {
            let mark = marks.get(&no.0).unwrap_or_else(|| panic!("light {no:?} is not on the map"));
            let said = (row.reading.power_state, row.reading.brightness_percent.unwrap_or(0));
            assert_eq!((mark.state.power(), mark.brightness), said, "light {no:?}");
            compared += 1;
        }
        assert!(compared > 0, "every light had reported before the map was asked for");
    }
}

/// A session of the administrator whom the first start made.
pub async fn sign_in(database: &Database) {
    let expires_at = UtcMillis::from_seconds(4_102_444_800);
    let id: Id = SESSION.parse().expect("a session id");
    let expiry_date = time::OffsetDateTime::from_unix_timestamp(expires_at.seconds()).expect("a date");
    let data = [(SESSION_USER_KEY.to_owned(), serde_json::json!(1))].into();
    let data = serde_json::to_string(&Record { id, data, expiry_date }).expect("JSON");
    let store = database.open().await;
    let created = store
        .create_session(&SessionRecord { id: SESSION.into(), user_id: None, data, expires_at })
        .await
        .expect("a session");
    assert!(created);
    store.close().await;
}
