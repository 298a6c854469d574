//! `ccms-bench`: what the product costs, next to a base measured in the same run. Ratios and counts are what to read; rates
//! depend on the machine and the hour. Figures are printed, never asserted.
//!
//! Servers and generator share this process: the product and the bases on one runtime, the generator on a thread of its
//! own, real sockets on loopback between them.
//!
//! - [`servers`]  the product as it ships, and the bare servers it is compared with
//! - [`client`]   a cheap keep-alive HTTP client, one connection per device
//! - [`counting`] a store that counts the calls made to it
//! - [`storage`]  what a reading costs on disk, hot and sealed
//! - [`process`]  the server as a process of its own
//! - [`start`]    how long that takes to start, and what it weighs
//! - [`kill`]     whether it keeps what it acknowledged when it is killed
//! - [`years`]    what questions take when two years of a city are there
//! - [`cpu`]      processor time of every thread but the generator's
mod client;
mod counting;
mod cpu;
mod kill;
mod process;
mod servers;
mod start;
mod storage;
mod years;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::Context;
use ccms::cli::{Cli, Command};
use ccms_store::{LogPosition, Store};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use client::{Driver, Load};
use servers::Servers;

/// Benchmarks of CCMS, each beside a base measured in the same run.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// About a second per row: shows that it runs, says little.
    #[arg(long)]
    smoke: bool,
    /// Connections at a time, each a device of its own; 512, or 64 for --smoke.
    #[arg(long)]
    connections: Option<usize>,
    /// Nothing but one load on the product for ten seconds, for a profiler to look at.
    #[arg(long, value_parser = ["status", "poll"])]
    profile: Option<String>,
    /// One part alone.
    #[arg(long, value_parser = ["http", "storage", "start", "kill", "years"])]
    only: Option<String>,
    /// An empty PostgreSQL database, where the server is killed as well.
    #[arg(long)]
    postgres: Option<String>,
}

/// How often everything is measured, in turn; a figure is the median. And how long each time.
const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(3);
const PROFILE_LENGTH: Duration = Duration::from_secs(10);
const SMOKE_LENGTH: Duration = Duration::from_millis(250);
/// Rows read at a time when looking whether what was acknowledged is stored.
const PAGE_ROWS: u32 = 10_000;

fn main() -> anyhow::Result<()> {
    // The server of `process`.
    if std::env::args().nth(1).is_some_and(|word| word == "serve" || word == "verify") {
        return serve();
    }
    let options = Options::parse();
    let serving = Builder::new_multi_thread().thread_name("server").enable_all().build().context("a runtime")?;
    let generating = std::thread::Builder::new().name(cpu::GENERATOR.into()).spawn(move || -> anyhow::Result<()> {
        let runtime = Builder::new_current_thread().enable_all().build().context("a runtime")?;
        let Options { smoke, postgres, only, profile, .. } = options.clone();
        let wanted = |part: &str| profile.is_none() && only.as_deref().is_none_or(|only| only == part);
        if profile.is_some() || wanted("http") {
            runtime.block_on(measure(&options, &serving))?;
        }
        if wanted("storage") {
            runtime.block_on(serving.spawn(storage::measure(smoke)))??;
        }
        if wanted("start") {
            runtime.block_on(serving.spawn(start::measure(smoke)))??;
        }
        if wanted("kill") {
            runtime.block_on(kill::measure(smoke, postgres.as_deref()))?;
        }
        if wanted("years") {
            runtime.block_on(serving.spawn(years::measure(smoke)))??;
        }
        serving.shutdown_timeout(Duration::from_secs(10));
        Ok(())
    })?;
    generating.join().map_err(|_| anyhow::anyhow!("the generator panicked"))?
}

/// What the real program does with the same words.
fn serve() -> anyhow::Result<()> {
    let Cli { config, command } = Cli::parse();
    match command {
        Some(Command::Verify(args)) => ccms::cli::verify(&config, &args),
        _ => ccms::cli::serve(&config),
    }
}

/// The product's loads and those of its base, one of each per round.
#[derive(Default)]
struct Pair(Vec<Load>, Vec<Load>);

impl Pair {
    fn cpu_share_percent(&self) -> f64 {
        100.0 * median(&self.1, Load::cpu_us) / median(&self.0, Load::cpu_us)
    }

    fn times_faster(&self) -> f64 {
        median(&self.0, Load::per_second) / median(&self.1, Load::per_second)
    }

    fn print(&self, what: &str, base: &str, says: &str) {
        println!(
            "{what:<31}{base:<28}{:>9.1}{:>9.1}{:>12.0}{:>12.0}   {says}",
            median(&self.0, Load::cpu_us),
            median(&self.1, Load::cpu_us),
            median(&self.0, Load::per_second),
            median(&self.1, Load::per_second)
        );
        let refused: u64 = self.0.iter().chain(&self.1).map(|l| l.refused).sum();
        let cut: u64 = self.0.iter().chain(&self.1).map(|l| l.cut).sum();
        if cut > 0 {
            println!("    {cut} connections ended before their time");
        }
        if refused > 0 {
            println!("    not counted: {refused} requests that were not answered with 200");
        }
    }
}

fn median<T>(values: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut values: Vec<f64> = values.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn measure(options: &Options, serving: &Runtime) -> anyhow::Result<()> {
    let (devices, rounds, length) = if options.smoke { (64, 1, SMOKE_LENGTH) } else { (512, ROUNDS, LENGTH) };
    let devices = options.connections.unwrap_or(devices).max(1);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    println!("{devices} connections, {rounds} x {} ms, {cores} core(s) for servers and generator", length.as_millis());
    let servers = Servers::start(serving).await?;
    let mut product = Driver::connect(servers.product, devices).await?;
    product.enrol().await?;
    if let Some(kind) = &options.profile {
        let load = if kind == "poll" {
            product.polls(PROFILE_LENGTH).await?
        } else {
            product.statuses(PROFILE_LENGTH).await?
        };
        println!("{:.0}/s, {:.1} CPU us each", load.per_second(), load.cpu_us());
        drop(product);
        servers.stop().await;
        return Ok(());
    }
    let mut bare = Driver::connect(servers.bare, devices).await?;
    let mut naive = Driver::connect(servers.naive, devices).await?;

    let (mut echo, mut insert, mut get) = (Pair::default(), Pair::default(), Pair::default());
    let (mut rows_per_flush, mut calls_per_poll) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        echo.1.push(bare.statuses(length).await?);
        let before = servers.calls();
        let load = product.statuses(length).await?;
        rows_per_flush.push(load.ok as f64 / (servers.calls().appends - before.appends).max(1) as f64);
        echo.0.push(load);
        insert.0.push(load);
        insert.1.push(naive.statuses(length).await?);

        get.1.push(bare.polls(length).await?);
        let before = servers.calls();
        let load = product.polls(length).await?;
        calls_per_poll.push((servers.calls().all - before.all) as f64 / load.ok.max(1) as f64);
        get.0.push(load);
    }

    println!(
        "\n{:<31}{:<28}{:>9}{:>9}{:>12}{:>12}   what it says",
        "what", "base", "CPU us", "base us", "per second", "base"
    );
    let says = format!("CPU of the base is {:.0} % of ours", echo.cpu_share_percent());
    echo.print("durable authenticated status", "bare axum, JSON echo", &says);
    let rows = median(&rows_per_flush, |r| *r);
    let says = format!("{:.1} times the base; {rows:.0} rows per flush", insert.times_faster());
    insert.print("durable authenticated status", "an INSERT and commit each", &says);
    let calls = median(&calls_per_poll, |c| *c);
    let says = format!("CPU of the base is {:.0} % of ours; {calls:.4} storage calls each", get.cpu_share_percent());
    get.print("empty poll", "bare axum, GET", &says);
    println!();
    report_stored("product", &*servers.product_store, &product).await?;
    report_stored("INSERT base", &*servers.naive_store, &naive).await?;
    drop((product, bare, naive));
    servers.stop().await;
    Ok(())
}

async fn report_stored(name: &str, store: &dyn Store, driver: &Driver) -> anyhow::Result<()> {
    let found = stored(store, driver).await?;
    let (count, Found { missing, twice }) = (driver.acknowledged().count(), found);
    println!("{name}: {count} statuses acknowledged, {missing} of them not found stored, {twice} stored twice");
    Ok(())
}

/// What became of the statuses that a 200 covered.
struct Found {
    missing: usize,
    twice: usize,
}

/// Whether every status that a 200 covered is in the log, and none of any twice.
async fn stored(store: &dyn Store, driver: &Driver) -> anyhow::Result<Found> {
    let devices = store.devices().await?;
    let numbers: HashMap<_, _> = devices.iter().map(|d| (d.no.0, client::number(d.id.as_str()))).collect();
    let (mut stored, mut twice, mut position) = (HashSet::new(), 0, LogPosition::default());
    loop {
        let page = store.log_after(position, PAGE_ROWS).await?;
        let Some((last, _)) = page.last() else { break };
        position = *last;
        // The base has no devices; it notes the number itself.
        let of = |no| numbers.get(&no).copied().unwrap_or(no);
        for (_, row) in &page {
            twice += usize::from(!stored.insert((of(row.device_no.0), row.dedupe)));
        }
    }
    let missing = driver.acknowledged().filter(|a| !stored.contains(a)).count();
    Ok(Found { missing, twice })
}
