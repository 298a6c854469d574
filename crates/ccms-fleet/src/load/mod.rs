//! `ccms-fleet load`: requests at a rate that does not depend on how fast they are answered, or as many as come back.
//!
//! With a rate every connection has a timetable. A request whose turn comes while the one before it is still unanswered is sent as
//! soon as it can be, and its latency counts from its turn: a server that stalls cannot hide it by being asked less. A request that
//! was sent late because this program was late counts from when it was sent, and how late that was is told apart.
//!
//! - `target`  what is asked: one address, or what controllers say
//! - `enrol`   controllers that have to be the server's before they may speak
//! - `pace`    the timetable
//! - `tally`   what came of it, in figures
mod enrol;
mod pace;
mod tally;
mod target;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::appender::Appender;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::line::{Line, Server};
use crate::machine;
use crate::statelog::StateLog;

use pace::Pace;
use tally::Tally;
pub use tally::{Latency, LoadSummary};
use target::Target;

/// Controllers that enrol at a time.
const ENROLLING_MAX: usize = 64;
/// Without a timetable a caller that nobody answers waits so long.
const REFUSED_PAUSE: Duration = Duration::from_millis(10);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, clap::Args)]
pub struct LoadOptions {
    /// GET this address over and over
    #[arg(long, conflicts_with = "server", required_unless_present = "server")]
    pub url: Option<String>,
    /// Speak to this server as controllers do, each on its own connection: statuses and polls
    #[arg(long, requires = "state_dir")]
    pub server: Option<String>,
    /// Where the controllers' credentials are kept, as those of `run`
    #[arg(long)]
    pub state_dir: Option<PathBuf>,
    /// Decides who the controllers are
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Polls for each status; the document's own rhythm is three
    #[arg(long, default_value_t = 3)]
    pub polls: u32,
    /// Requests per second of all connections together; without it the next one goes out when the last one was answered
    #[arg(long)]
    pub rate: Option<f64>,
    #[arg(long, default_value_t = 100)]
    pub connections: usize,
    /// How long it is measured
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Before that, not counted
    #[arg(long, default_value_t = 2)]
    pub warmup_seconds: u64,
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
    /// Appends `light_id,timestamp_ms,seq` for every status that was answered with 200
    #[arg(long, requires = "server")]
    pub ledger: Option<PathBuf>,
    /// Addresses to call from, taken in turn; by default 127.0.0.1, 127.0.0.2 and so on, each for 25,000 connections
    #[arg(long)]
    pub source: Vec<IpAddr>,
    /// Between lines of progress where standard error is no terminal
    #[arg(long, default_value_t = 10)]
    pub progress_seconds: u64,
    /// Writes the figures as JSON to this file too
    #[arg(long)]
    pub out: Option<PathBuf>,
}

impl LoadOptions {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.connections > 0 && self.threads > 0 && self.seconds > 0,
            "connections, threads and seconds: at least one"
        );
        ensure!(self.rate.is_none_or(|rate| rate.is_finite() && rate > 0.0), "--rate is above zero");
        Ok(())
    }

    fn line(&self, server: &Arc<Server>, index: usize) -> Line {
        let source = match self.source.as_slice() {
            [] => machine::source_address(server.ip(), &[], index),
            given => Some(given[index % given.len()]),
        };
        Line::new(Arc::clone(server), source)
    }
}

/// One connection: the way, and what goes over it.
struct Caller {
    line: Line,
    target: Target,
    index: usize,
}

/// Runs until its time is over or `stop` turns true.
///
/// # Errors
/// When nobody can be reached there, a controller cannot enrol, or files cannot be read or written.
pub async fn run(options: LoadOptions, stop: watch::Receiver<bool>) -> anyhow::Result<LoadSummary> {
    options.check()?;
    machine::raise_descriptors(options.connections)?;
    let clock = Clock::start(0);
    let ledger = options.ledger.as_deref().map(Appender::open).transpose()?;
    let mut log = None;
    let callers = match (&options.url, &options.server, &options.state_dir) {
        (Some(url), ..) => gets(&options, url).await?,
        (None, Some(server), Some(state_dir)) => {
            let (opened, kept) = StateLog::open(state_dir)?;
            let (notes, server) = (opened.notebook(), Arc::new(Server::find(server).await?));
            log = Some(opened);
            controllers(&options, server, clock, kept, &notes, ledger.as_ref()).await?
        }
        _ => anyhow::bail!("--url, or --server and --state-dir"),
    };
    let began = clock.elapsed();
    let pace = Pace::new(options.rate, options.connections, began);
    let (measured, ends) =
        (began + Duration::from_secs(options.warmup_seconds), options.warmup_seconds + options.seconds);
    let tally = Arc::new(Tally::new(measured, began + Duration::from_secs(ends)));
    let (halt, halted) = watch::channel(false);
    let threads = on_threads(callers, options.threads, pace, clock, Arc::clone(&tally), halted);
    if tally.watch(clock, Duration::from_secs(options.progress_seconds.max(1)), stop).await {
        // Fails only when every caller is gone already.
        let _ = halt.send(true);
    }
    // Whoever was asked something before the end is still listened to: the slowest answers are among these.
    for thread in threads {
        let joined = tokio::task::spawn_blocking(move || thread.join()).await?;
        joined.map_err(|_| anyhow::anyhow!("a thread of callers failed"))??;
    }
    if let Some(log) = log {
        log.close()?;
    }
    if let Some(ledger) = ledger {
        ledger.close()?;
    }
    let summary = tally.summary(&options, clock.elapsed());
    if let Some(path) = &options.out {
        let text = serde_json::to_string_pretty(&summary)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(summary)
}

async fn gets(options: &LoadOptions, url: &str) -> anyhow::Result<Vec<Caller>> {
    let parsed = reqwest::Url::parse(url).with_context(|| format!("{url:?} is not a URL"))?;
    let root = parsed.origin().ascii_serialization();
    let server = Arc::new(Server::find(&root).await?);
    let path = parsed.query().map_or(parsed.path().to_owned(), |query| format!("{}?{query}", parsed.path()));
    let request: Arc<[u8]> = target::get(server.host(), &path).into();
    let caller =
        |index| Caller { line: options.line(&server, index), target: Target::Get(Arc::clone(&request)), index };
    Ok((0..options.connections).map(caller).collect())
}

async fn controllers(
    options: &LoadOptions,
    server: Arc<Server>,
    clock: Clock,
    mut kept: std::collections::HashMap<String, crate::statelog::Kept>,
    notes: &crate::statelog::Notebook,
    ledger: Option<&Appender>,
) -> anyhow::Result<Vec<Caller>> {
    let (mut enrolling, mut callers) = (JoinSet::new(), Vec::with_capacity(options.connections));
    let numbers = pace::requests_of_each(options);
    for index in 0..options.connections {
        if enrolling.len() >= ENROLLING_MAX
            && let Some(enrolled) = enrolling.join_next().await
        {
            callers.push(enrolled??);
        }
        let (line, server, notes) = (options.line(&server, index), Arc::clone(&server), notes.clone());
        let saved = kept.remove(crate::identity::device_id(options.seed, index).as_str()).unwrap_or_default().saved;
        let (seed, polls) = (options.seed, options.polls);
        let ledger = ledger.map(|ledger| Ledger::new(ledger.pen()));
        enrolling.spawn(async move {
            let settings = enrol::enrol(&line, seed, index, saved, numbers, clock, &notes).await?;
            let target = target::Controller::new(server.host(), seed, index, &settings, polls, ledger)?;
            anyhow::Ok(Caller { line, target: Target::Controller(Box::new(target)), index })
        });
    }
    while let Some(enrolled) = enrolling.join_next().await {
        callers.push(enrolled??);
    }
    eprintln!("{} controllers are the server's", callers.len());
    Ok(callers)
}

/// Every thread has its own connections and knows nothing of the others: what is measured is the server.
fn on_threads(
    callers: Vec<Caller>,
    threads: usize,
    pace: Pace,
    clock: Clock,
    tally: Arc<Tally>,
    halted: watch::Receiver<bool>,
) -> Vec<std::thread::JoinHandle<anyhow::Result<()>>> {
    let mut shares: Vec<Vec<Caller>> = (0..threads).map(|_| Vec::new()).collect();
    callers.into_iter().enumerate().for_each(|(n, caller)| shares[n % threads].push(caller));
    let thread = |share: Vec<Caller>| {
        let (tally, mut halted) = (Arc::clone(&tally), halted.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("a runtime")?;
            runtime.block_on(async {
                let mut calling = JoinSet::new();
                share.into_iter().for_each(|caller| drop(calling.spawn(caller.calls(pace, clock, Arc::clone(&tally)))));
                tokio::select! {
                    _ = halted.wait_for(|halt| *halt) => calling.shutdown().await,
                    () = async { while calling.join_next().await.is_some() {} } => {}
                }
            });
            anyhow::Ok(())
        })
    };
    shares.into_iter().map(thread).collect()
}

impl Caller {
    async fn calls(mut self, pace: Pace, clock: Clock, tally: Arc<Tally>) {
        for n in 0.. {
            let turn = pace.turn(self.index, n);
            if turn.is_some_and(|turn| tally.is_over(turn)) {
                return;
            }
            let free = clock.elapsed();
            if let Some(turn) = turn
                && turn > free
            {
                tokio::time::sleep_until(tokio::time::Instant::from_std(clock.instant_at(turn))).await;
            }
            let sent = clock.elapsed();
            if tally.is_over(sent) {
                let is_in_time = |n: &u64| pace.turn(self.index, *n).is_some_and(|turn| !tally.is_over(turn));
                return tally.note_unsent((n..).take_while(is_in_time).count() as u64);
            }
            let bytes = self.target.request(n, clock.utc());
            let answer = tokio::time::timeout(PATIENCE, self.line.exchange(&bytes)).await;
            let answered = clock.elapsed();
            let status = answer.ok().and_then(Result::ok).map(|answer| answer.0);
            self.target.answered(status);
            if status.is_none() && turn.is_none() {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
            // Whoever was free at its turn and sent late was held up by this program, not by the server.
            let due = turn.map(|turn| if turn > free { sent } else { turn });
            let slack = turn.filter(|turn| *turn > free).map(|turn| sent.saturating_sub(turn));
            tally.note(status, due.unwrap_or(sent), sent, answered, slack);
        }
    }
}
