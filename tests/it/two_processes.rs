//! Two processes of the operating system's on one PostgreSQL database: a command crosses from one to the other, and whichever
//! is killed in the middle of reports to both, the other goes on and what was acknowledged is there once.
use std::collections::BTreeMap;
use std::time::Duration;

use ccms_core::time::UtcMillis;
use ccms_service::settings::EnrolmentMode;
use ccms_store::LogPosition;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::city::{City, eventually};
use crate::controller::example;
use crate::process::{Process, Settings};

const DEVICE: &str = "IMEI:351234567890123";
/// What one process does is known to the other by then.
const SOON: Duration = Duration::from_secs(1);
/// A lease that nobody renews is another's by then.
const TAKEN_OVER: Duration = Duration::from_secs(7);
const REPORTS_BESIDE_A_KILL: usize = 8;

/// A server of the operating system's, on the database of `city`.
fn process(city: &City) -> Process {
    Process::start(&Settings {
        environment: vec![
            ("CCMS__DATABASE__URL", city.database_url()),
            ("CCMS__METRICS__LISTEN", "127.0.0.1:0".into()),
        ],
        data_dir: Some(city.data_dir()),
        ..Settings::default()
    })
}

async fn ready(http: &reqwest::Client, server: &Process) -> String {
    let answer = http.get(format!("http://{}/readyz", server.address)).send().await.expect("an answer");
    answer.text().await.expect("text")
}

/// A command for the device at one process, asked of the other by a poll that is held.
async fn crosses(http: &reqwest::Client, key: &str, token: &str, from: &Process, to: &Process, action: &str) {
    let poll = http.get(format!("http://{}/api/device/{DEVICE}/commands?wait=30", to.address)).bearer_auth(token);
    let poll = tokio::spawn(async move {
        let answer: Value = poll.send().await.expect("an answer").json().await.expect("JSON");
        answer["commands"][0]["command_id"].clone()
    });
    let order = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": action});
    let order = http.post(format!("http://{}/api/v1/commands", from.address)).bearer_auth(key).json(&order);
    let made: Value = order.send().await.expect("an answer").json().await.expect("JSON");
    let got = timeout(SOON, poll).await.expect("within a second of the command").expect("a poll");
    assert_eq!(got, made["items"][0]["command_id"], "{made}");
    let ack = json!({"command_id": got, "status": "executed"});
    let ack = http.post(format!("http://{}/api/device/{DEVICE}/command-ack", to.address)).bearer_auth(token).json(&ack);
    assert_eq!(ack.send().await.expect("an answer").status(), 200);
}

/// Statuses to both at once while one of them is killed: the times of those that got a 200.
struct Reports {
    http: reqwest::Client,
    token: String,
    next: UtcMillis,
    acknowledged: Vec<UtcMillis>,
}

impl Reports {
    /// Sends so many to each, kills one of them as soon as it has acknowledged one, and waits for what comes of the rest.
    async fn outlive(&mut self, dies: Process, stays: &Process) {
        let addresses = [dies.address, stays.address];
        let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
        for (turn, to) in (0..2 * REPORTS_BESIDE_A_KILL).zip(addresses.iter().cycle()) {
            let (at, said, dies) = (self.next, said.clone(), turn % 2 == 0);
            self.next = self.next.plus_seconds(1);
            let mut body: Value = serde_json::from_slice(&example("status-request.json")).expect("an example");
            body["timestamp"] = json!(at.to_string());
            let url = format!("http://{to}/api/device/{DEVICE}/status");
            let report = self.http.post(url).bearer_auth(&self.token).json(&body).send();
            tokio::spawn(async move {
                let is_kept = report.await.is_ok_and(|answer| answer.status() == 200);
                let _ = said.send((at, dies, is_kept));
            });
        }
        drop(said);
        let mut dies = Some(dies);
        while let Some((at, by_the_dying, is_kept)) = heard.recv().await {
            if is_kept {
                self.acknowledged.push(at);
                if by_the_dying {
                    dies.take();
                }
            }
        }
        assert!(dies.is_none(), "none of the statuses to it was acknowledged");
    }

    async fn are_kept_once(&self, city: &City) {
        let mut times: BTreeMap<UtcMillis, usize> = BTreeMap::new();
        let store = city.opens_store().await;
        for (_, row) in store.log_after(LogPosition::default(), 10_000).await.expect("the log") {
            *times.entry(row.reading.reported_at).or_default() += 1;
        }
        store.close().await;
        assert!(times.values().all(|n| *n == 1), "a status is there twice: {times:?}");
        let missing: Vec<_> = self.acknowledged.iter().filter(|at| !times.contains_key(at)).collect();
        assert!(missing.is_empty(), "of {} acknowledged {missing:?} are gone", self.acknowledged.len());
    }
}

#[tokio::test]
async fn of_two_processes_either_may_be_killed() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    // Only its database and its folder are of use here; the processes share both.
    let city = City::shared(EnrolmentMode::Open).await;
    city.ccms.stop().await;
    let key = ccms_service::api_keys::create(
        &city.opens_store().await,
        "test",
        city.clock.now(),
        "both",
        &[ccms_service::Scope::Admin],
        None,
    )
    .await
    .expect("a key");
    std::fs::remove_file(city.data_dir().join("token-keys")).expect("keys of its own");
    let (mut one, mut other) = (process(&city), process(&city));
    let configure = http.post(format!("http://{}/api/device/{DEVICE}/configure", one.address));
    let configured = configure.body(example("configure-request.json")).send().await.expect("an answer");
    let configured: Value = configured.json().await.expect("JSON");
    let token = configured["device_token"].as_str().expect("a token").to_owned();
    let next: UtcMillis = serde_json::from_value(configured["server_timestamp"].clone()).expect("a time");
    let mut reports = Reports { http: http.clone(), token: token.clone(), next, acknowledged: vec![] };
    for round in 0..4 {
        assert!(ready(&http, &one).await.starts_with("ready\nleads,"), "{}", ready(&http, &one).await);
        assert!(ready(&http, &other).await.starts_with("ready\nfollows,"), "{}", ready(&http, &other).await);
        let action = if round % 2 == 0 { "on" } else { "off" };
        crosses(&http, &key, &token, &one, &other, action).await;
        crosses(&http, &key, &token, &other, &one, if round % 2 == 0 { "off" } else { "on" }).await;
        if round % 2 == 0 {
            // SIGKILL for the one that leads.
            reports.outlive(one, &other).await;
            let taken = eventually("the other leads", async || ready(&http, &other).await.starts_with("ready\nleads,"));
            timeout(TAKEN_OVER, taken).await.expect("in time");
            (one, other) = (other, process(&city));
        } else {
            reports.outlive(other, &one).await;
            other = process(&city);
        }
    }
    let metrics = reqwest::get(format!("http://{}/metrics", one.metrics.expect("metrics"))).await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    for line in ["ccms_lease_held 1", "ccms_follow_behind_seconds ", "ccms_follow_readings "] {
        assert!(metrics.contains(line), "no {line:?} in {metrics}");
    }
    reports.are_kept_once(&city).await;
}
