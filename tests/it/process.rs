//! The server's binary as a process of its own, for what only a process shows: its memory, its descriptors, what it prints.
//! Its database is its own SQLite file; nothing here depends on the engine. It dies with the test.
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// How a server process is started.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub environment: Vec<(&'static str, String)>,
    /// Descriptors that it may hold.
    pub descriptors: Option<u32>,
    /// `127.0.0.1:0` unless said.
    pub listen: Option<&'static str>,
    /// Where its files are; a folder of its own unless said.
    pub data_dir: Option<std::path::PathBuf>,
}

pub struct Process {
    child: Child,
    pub scheme: String,
    pub address: SocketAddr,
    pub metrics: Option<SocketAddr>,
    folder: TempDir,
}

impl Process {
    pub fn start(settings: &Settings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = spawn(settings, &folder);
        let mut metrics = None;
        for line in BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok) {
            if let Some(at) = line.strip_prefix("Metrics are at http://").and_then(|l| l.strip_suffix("/metrics")) {
                metrics = Some(at.parse().expect("an address"));
            }
            if let Some((scheme, at)) = line.strip_prefix("CCMS listens on ").and_then(|url| url.split_once("://")) {
                let (scheme, address) = (scheme.to_owned(), at.parse().expect("an address"));
                return Self { child, scheme, address, metrics, folder };
            }
        }
        let ended = child.wait();
        panic!("the server ended ({ended:?}): {}", log_of(&folder));
    }

    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// What it says when it refuses to start.
    pub fn refuses(settings: &Settings) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut child = spawn(settings, &folder);
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let started = out.lines().map_while(Result::ok).any(|line| line.starts_with("CCMS listens"));
        let _ = child.kill();
        assert!(!child.wait().expect("its end").success() && !started, "it started");
        log_of(&folder)
    }

    /// Resident memory in KiB: now, and the most there ever was.
    pub fn memory_kib(&self) -> (u64, u64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let line = |name: &str| {
            let line = status.lines().find_map(|l| l.strip_prefix(name)).expect("a line");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        (line("VmRSS:"), line("VmHWM:"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("server.log")).unwrap_or_default()
}

fn spawn(settings: &Settings, folder: &TempDir) -> Child {
    let mut command = match settings.descriptors {
        None => Command::new(env!("CARGO_BIN_EXE_ccms")),
        Some(most) => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!("ulimit -n {most} && exec \"$0\" \"$@\""), env!("CARGO_BIN_EXE_ccms")]);
            shell
        }
    };
    // What this shell says to a server is not meant for this one.
    for (name, _) in std::env::vars().filter(|(n, _)| n.starts_with("CCMS") || n.starts_with("LEPTOS")) {
        command.env_remove(name);
    }
    command
        .args(["serve", "--enrolment", "open", "--listen", settings.listen.unwrap_or("127.0.0.1:0"), "--data-dir"])
        .arg(settings.data_dir.as_deref().unwrap_or(folder.path()))
        .env("CCMS__LOG__LEVEL", "warn")
        .envs(settings.environment.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(Stdio::from(std::fs::File::create(folder.path().join("server.log")).expect("a log")))
        .spawn()
        .expect("the server starts")
}
