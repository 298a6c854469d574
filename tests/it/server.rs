//! The server's binary on a database of the test's, beside which the test reads, and which outlives the process.
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;

use crate::database::Database;

/// For one wait.
const PATIENCE: Duration = Duration::from_secs(90);
/// The session that [`crate::ledger::sign_in`] makes.
pub const SESSION: &str = "AAAAAAAAAAAAAAAAAAAAAQ";

/// The binary itself, as its own process. It dies with the test.
pub struct Server {
    process: Child,
    pub address: String,
}

impl Server {
    pub fn start(database: &Database, listen: &str) -> Self {
        Self::launch(database, listen, |_| {})
    }

    /// Started as `edit` changes the command.
    pub fn launch(database: &Database, listen: &str, edit: impl FnOnce(&mut Command)) -> Self {
        let folder = database.folder.path();
        let log = std::fs::File::options().create(true).append(true).open(folder.join("server.log")).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ccms"));
        // What this shell says to a server is not meant for this one.
        for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CCMS") || n.starts_with("LEPTOS")) {
            command.env_remove(name);
        }
        command
            .args(["serve", "--enrolment", "open", "--listen", listen, "--database", &database.url, "--data-dir"])
            .arg(folder)
            .env("CCMS__LOG__LEVEL", "warn")
            .stdout(Stdio::piped())
            .stderr(log);
        edit(&mut command);
        let mut process = command.spawn().expect("the server starts");
        let out = BufReader::new(process.stdout.take().expect("its output"));
        let says =
            out.lines().map_while(Result::ok).find_map(|l| Some(l.split_once("listens on http://")?.1.to_owned()));
        let address = says.unwrap_or_else(|| panic!("the server ended: {}", log_of(folder)));
        Self { process, address }
    }

    /// SIGKILL: no handler runs, nothing is flushed by it.
    pub fn is_killed(&mut self) {
        self.process.kill().expect("a kill");
        self.process.wait().expect("its end");
    }

    /// How it ended, once it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("its state")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// How often one device is served is no question here.
pub fn without_shares(command: &mut Command) {
    for name in ["DEVICE_PER_SECOND", "DEVICE_BURST", "FLEET_PER_DEVICE_PER_SECOND"] {
        command.env(format!("CCMS__LIMITS__{name}"), "100000");
    }
}

/// A router that passes every request on to a server in another process, so that whoever speaks to one in this process can speak
/// to that one, too.
pub fn router_to(address: &str) -> Router {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
    let address = address.to_owned();
    Router::new().fallback(move |request: Request<Body>| {
        let (client, url) = (client.clone(), format!("http://{address}{}", request.uri()));
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.expect("a body").to_bytes();
            let sent = client.request(head.method, url).headers(head.headers).body(body).send().await;
            let answer = sent.expect("the server answers");
            let mut passed = Response::builder().status(answer.status());
            *passed.headers_mut().expect("headers") = answer.headers().clone();
            passed.body(Body::from(answer.bytes().await.expect("a body"))).expect("an answer")
        }
    })
}

/// The body of a 200, as the administrator's browser gets it.
pub async fn get(address: &str, path: &str) -> Option<Vec<u8>> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
    let asked = client.get(format!("http://{address}{path}")).header("cookie", format!("ccms={SESSION}"));
    let answer = asked.send().await.ok().filter(|a| a.status() == 200)?;
    Some(answer.bytes().await.ok()?.to_vec())
}

pub async fn until(what: &str, folder: &Path, mut is_so: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, wait).await.is_err() {
        panic!("not within {PATIENCE:?}: {what}. The server says: {}", log_of(folder));
    }
}

pub fn log_of(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
    text.lines().rev().take(20).collect::<Vec<_>>().join("\n")
}
