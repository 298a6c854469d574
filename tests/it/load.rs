//! The load driver before the real server: what it says was acknowledged is on disk once, whoever was a controller of it is one the
//! next time, and a rate is kept.
use std::net::IpAddr;

use ccms_fleet::load::{LoadOptions, run};
use tokio::sync::watch;

use crate::database::{Database, Engine};
use crate::ledger::{Kept, lines};
use crate::server::{Server, without_shares};

const CONNECTIONS: usize = 20;
const RATE: f64 = 60.0;

fn options(server: &Server, database: &Database) -> LoadOptions {
    let folder = database.folder.path();
    LoadOptions {
        url: None,
        server: Some(format!("http://{}", server.address)),
        state_dir: Some(folder.join("load")),
        seed: 1,
        polls: 1,
        rate: Some(RATE),
        connections: CONNECTIONS,
        seconds: 2,
        warmup_seconds: 0,
        threads: 2,
        ledger: Some(folder.join("ledger.csv")),
        source: [[127, 0, 0, 2], [127, 0, 0, 3]].map(IpAddr::from).to_vec(),
        progress_seconds: 10,
        out: Some(folder.join("load.json")),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_kept_and_what_was_acknowledged_is_stored_once() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let database = Database::fresh(Engine::Sqlite).await;
    let server = Server::launch(&database, "127.0.0.1:0", without_shares);
    let (_go, stop) = watch::channel(false);
    let ledger = database.folder.path().join("ledger.csv");
    let mut acknowledged = 0;
    // The second time its controllers are known, and their numbers go on.
    for _ in 0..2 {
        let summary = run(options(&server, &database), stop.clone()).await.expect("a run");
        let errors = summary.turned_away + summary.other_answers + summary.no_answers;
        assert_eq!((errors, summary.ok), (0, summary.requests), "{summary:?}");
        assert!((summary.requests as f64 - 2.0 * RATE).abs() <= 2.0, "{summary:?}");
        assert!(summary.latency_ms.max >= summary.service_ms.max && summary.service_ms.p50 > 0.0, "{summary:?}");
        let now = lines(&ledger).len();
        assert!(now - acknowledged >= RATE as usize - CONNECTIONS, "every other request is a status: {now}");
        acknowledged = now;
    }
    Kept::read(&database).await.holds_once(&lines(&ledger));
    let written = std::fs::read_to_string(database.folder.path().join("load.json")).expect("figures");
    assert!(written.contains("\"latency_ms\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_is_asked_as_often_as_it_answers() {
    let database = Database::fresh(Engine::Sqlite).await;
    let server = Server::start(&database, "127.0.0.1:0");
    let (_go, stop) = watch::channel(false);
    let url = Some(format!("http://{}/healthz", server.address));
    let only_get = LoadOptions { url, server: None, state_dir: None, ledger: None, ..options(&server, &database) };
    let only_get = LoadOptions { rate: None, connections: 4, seconds: 1, source: Vec::new(), ..only_get };
    let summary = run(only_get, stop).await.expect("a run");
    assert_eq!((summary.ok, summary.no_answers), (summary.requests, 0), "{summary:?}");
    assert!(summary.requests > 100, "{summary:?}");
}
