//! `ccms-bench`: what the product costs, next to a base measured in the same run. Ratios and counts are what to read; rates
//! depend on the machine and the hour. Figures are printed beside their bars, never asserted.
//!
//! Servers and generator share this process: the product and the bases on one runtime, the generator on a thread of its
//! own, real sockets on loopback between them.
//!
//! - [`servers`]  the product as it ships, and the bare servers it is compared with
//! - [`client`]   a cheap keep-alive HTTP client, one connection per device
//! - [`load`]     what became of its requests, and what they cost
//! - [`ledger`]   whether what was acknowledged is in the log
//! - [`counting`] a store that counts the calls made to it, and may be slow
//! - [`process`]  the server as a process of its own
//! - [`cores`]    the generator on a core of its own
//! - [`cpu`]      processor time of every thread but the generator's
//! - [`report`]   a line for each figure, and the file of `--out`
//!
//! The parts, in this order: [`http`], [`tail`], [`sync`], [`engines`], [`overload`], [`storage`], [`snapshot`], [`start`], [`kill`], [`years`].
mod client;
mod cores;
mod counting;
mod cpu;
mod engines;
mod http;
mod kill;
mod ledger;
mod load;
mod overload;
mod process;
mod report;
mod servers;
mod snapshot;
mod start;
mod storage;
mod sync;
mod tail;
mod years;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use ccms::cli::{Cli, Command};
use clap::{Parser, ValueEnum};
use tokio::runtime::{Builder, Runtime};

use crate::cores::{Place, move_to};

/// Benchmarks of CCMS, each beside a base measured in the same run.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// About a second per part: shows that it runs, says little.
    #[arg(long)]
    smoke: bool,
    /// Connections at a time, each a device of its own; 512, or 64 for --smoke.
    #[arg(long)]
    connections: Option<usize>,
    /// Nothing but one load on the product for ten seconds, for a profiler to look at.
    #[arg(long, value_parser = ["status", "poll"])]
    profile: Option<String>,
    /// These parts alone.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// An empty PostgreSQL database, for `engines` and `kill`.
    #[arg(long)]
    postgres: Option<String>,
    /// A file for every figure, a line of JSON each.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Http,
    Tail,
    Sync,
    Engines,
    Overload,
    Storage,
    Snapshot,
    Start,
    Kill,
    Years,
}

fn main() -> anyhow::Result<()> {
    // The server of `process`.
    if std::env::args().nth(1).is_some_and(|word| word == "serve" || word == "verify") {
        return serve();
    }
    let options = Options::parse();
    move_to(Place::Anywhere);
    let serving = Builder::new_multi_thread().thread_name("server").enable_all().build().context("a runtime")?;
    // For what is compared by the processor time of a request.
    let apart = Builder::new_multi_thread()
        // As a server has that sees these cores alone: more workers would only take turns on them.
        .worker_threads(cores::of_servers())
        .thread_name("server")
        .on_thread_start(|| move_to(Place::Servers))
        .enable_all()
        .build()
        .context("a runtime")?;
    let generating = std::thread::Builder::new().name(cpu::GENERATOR.into()).spawn(move || -> anyhow::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("a runtime")?;
        if let Some(path) = &options.out {
            // Where the database is and whose it is stays out of it.
            let shown =
                Options { postgres: options.postgres.as_ref().map(|_| "named".into()), out: None, ..options.clone() };
            report::write_to(path, &format!("{shown:?}"))?;
        }
        runtime.block_on(measure(&options, &serving, &apart))?;
        serving.shutdown_timeout(Duration::from_secs(10));
        apart.shutdown_timeout(Duration::from_secs(10));
        Ok(())
    })?;
    generating.join().map_err(|_| anyhow::anyhow!("the generator panicked"))?
}

/// What is not about requests runs where the servers run, so that its work is counted.
async fn measure(options: &Options, serving: &Runtime, apart: &Runtime) -> anyhow::Result<()> {
    let Options { smoke, postgres, only, profile, .. } = options;
    let (smoke, postgres) = (*smoke, postgres.as_deref());
    let connections = options.connections.unwrap_or(if smoke { 64 } else { 512 }).max(1);
    if let Some(kind) = profile {
        move_to(Place::Generator);
        return http::profile(kind, connections, apart).await;
    }
    for part in Part::value_variants() {
        if !only.is_empty() && !only.contains(part) {
            continue;
        }
        let is_apart = matches!(part, Part::Http | Part::Tail | Part::Sync);
        move_to(if is_apart { Place::Generator } else { Place::Anywhere });
        match part {
            Part::Http => http::measure(smoke, connections, apart).await?,
            Part::Tail => tail::measure(smoke, connections, apart).await?,
            Part::Sync => sync::measure(smoke, connections, apart).await?,
            Part::Engines => {
                if let Some(postgres) = postgres {
                    engines::measure(smoke, connections, serving, postgres).await?;
                }
            }
            Part::Overload => overload::measure(smoke, serving).await?,
            Part::Storage => serving.spawn(storage::measure(smoke)).await??,
            Part::Snapshot => serving.spawn(snapshot::measure(smoke)).await??,
            Part::Start => serving.spawn(start::measure(smoke)).await??,
            Part::Kill => kill::measure(smoke, postgres).await?,
            Part::Years => serving.spawn(years::measure(smoke)).await??,
        }
    }
    Ok(())
}

/// What the real program does with the same words.
fn serve() -> anyhow::Result<()> {
    let Cli { config, command } = Cli::parse();
    match command {
        Some(Command::Verify(args)) => ccms::cli::verify(&config, &args),
        _ => ccms::cli::serve(&config),
    }
}
