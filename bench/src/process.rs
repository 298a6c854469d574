//! The server as a process of its own, for what only a process shows: how it starts, what it weighs, that it can be killed.
//! It is this very program, which serves when its first word is `serve` (see `main`), by the code of `ccms serve`.
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use ccms_service::metrics::Stopwatch;

/// How long a server may be silent before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From its start to the first 200 of `/readyz`.
    pub ready_after: Duration,
}

impl Process {
    /// Without limits that a generator could meet; otherwise as it ships.
    pub fn start(folder: &Path, database: &str) -> anyhow::Result<Self> {
        let watch = Stopwatch::start();
        let mut command =
            with_database(folder, database, &["serve", "--enrolment", "open", "--listen", "127.0.0.1:0"])?;
        for name in ["DEVICE_PER_SECOND", "DEVICE_BURST", "FLEET_PER_DEVICE_PER_SECOND"] {
            command.env(format!("CCMS__LIMITS__{name}"), "100000");
        }
        command.env("CCMS__METRICS__LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("starting the server")?;
        let said = BufReader::new(child.stdout.take().context("its output")?);
        let address = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("listens on http://")?.1.to_owned()));
        let address = address.context("the server ended before it listened")?.parse()?;
        let answer = get(address, "/readyz")?;
        ensure!(answer.starts_with("HTTP/1.1 200"), "the server is not ready: {answer}");
        Ok(Self { child, address, ready_after: watch.elapsed() })
    }

    /// SIGKILL: no handler runs, nothing is flushed by it.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Bytes of memory that it holds.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        resident_bytes_of(&self.child.id().to_string())
    }
}

/// Bytes of memory that a process holds, by its number or `self`.
pub fn resident_bytes_of(process: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Whether `ccms verify` finds everything whole.
pub fn is_whole(folder: &Path, database: &str) -> anyhow::Result<bool> {
    let said = with_database(folder, database, &["verify"])?.output()?;
    if !said.status.success() {
        println!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    }
    Ok(said.status.success())
}

fn with_database(folder: &Path, database: &str, words: &[&str]) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // What this shell says to a server is not meant for this one.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("CCMS") || name.starts_with("LEPTOS")) {
        command.env_remove(name);
    }
    command.args(words).args(["--database", database, "--data-dir"]).arg(folder);
    Ok(command)
}

fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}
