//! Statuses and polls over HTTP, as fast as they are answered, beside bare servers: rows 1, 2 and 3.
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::client::Driver;
use crate::ledger;
use crate::load::Load;
use crate::report::{Bar, median, part, row};
use crate::servers::{Bases, Disk, Product};

/// How often everything is measured, in turn; a figure is the median. And how long each time.
const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(3);
const SMOKE_LENGTH: Duration = Duration::from_millis(250);
const PROFILE_LENGTH: Duration = Duration::from_secs(10);

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

    fn print(&self, what: &str, base: &str) {
        for (who, loads) in [(what, &self.0), (base, &self.1)] {
            row(who, median(loads, Load::cpu_us), "CPU us", Bar::None);
            row(who, median(loads, Load::per_second), "a second", Bar::None);
        }
        let loads = || self.0.iter().chain(&self.1);
        let (refused, cut) = (loads().map(|l| l.refused).sum::<u64>(), loads().map(|l| l.cut).sum::<u64>());
        if refused + cut > 0 {
            row("not counted: answers other than 200", refused as f64, "", Bar::AtMost(0.0));
            row("connections that ended before their time", cut as f64, "", Bar::AtMost(0.0));
        }
    }
}

/// One load on the product, for a profiler to look at.
pub async fn profile(kind: &str, connections: usize, serving: &Runtime) -> anyhow::Result<()> {
    let product = Product::start(serving, Disk::Real).await?;
    let mut driver = Driver::connect(product.address, 0, connections).await?;
    driver.enrol().await?;
    let load =
        if kind == "poll" { driver.polls(PROFILE_LENGTH).await? } else { driver.statuses(PROFILE_LENGTH).await? };
    println!("{:.0}/s, {:.1} CPU us each", load.per_second(), load.cpu_us());
    drop(driver);
    product.stop().await;
    Ok(())
}

pub async fn measure(smoke: bool, connections: usize, serving: &Runtime) -> anyhow::Result<()> {
    let (rounds, length) = if smoke { (1, SMOKE_LENGTH) } else { (ROUNDS, LENGTH) };
    part(&format!(
        "{connections} connections, {rounds} x {} ms, servers and generator on the same cores; CPU us of the servers for each answer",
        length.as_millis()
    ));
    let (product, bases) = (Product::start(serving, Disk::Real).await?, Bases::start(serving).await?);
    let mut ours = Driver::connect(product.address, 0, connections).await?;
    ours.enrol().await?;
    let mut bare = Driver::connect(bases.bare, 0, connections).await?;
    let mut naive = Driver::connect(bases.naive, 0, connections).await?;

    let (mut echo, mut insert, mut get) = (Pair::default(), Pair::default(), Pair::default());
    let (mut rows_per_flush, mut calls_per_poll) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        echo.1.push(bare.statuses(length).await?);
        let before = product.calls();
        let load = ours.statuses(length).await?;
        rows_per_flush.push(load.ok as f64 / (product.calls().appends - before.appends).max(1) as f64);
        echo.0.push(load);
        insert.0.push(load);
        insert.1.push(naive.statuses(length).await?);

        get.1.push(bare.polls(length).await?);
        let before = product.calls();
        let load = ours.polls(length).await?;
        calls_per_poll.push((product.calls().all - before.all) as f64 / load.ok.max(1) as f64);
        get.0.push(load);
    }
    echo.print("durable, authenticated status", "bare axum that sends the JSON back");
    row("CPU of the bare echo as a share of a status", echo.cpu_share_percent(), "%", Bar::AtLeast(60.0));
    insert.print("durable, authenticated status", "an INSERT and a commit for each, nobody authenticated");
    row("statuses for one of INSERT and commit each", insert.times_faster(), "times", Bar::AtLeast(5.0));
    row("readings in one flush", median(&rows_per_flush, |r| *r), "", Bar::AtLeast(150.0));
    get.print("empty poll", "bare axum that answers a word");
    row("CPU of the bare GET as a share of a poll", get.cpu_share_percent(), "%", Bar::AtLeast(85.0));
    // What runs every second in the background is among them.
    row("calls of the store for an empty poll", median(&calls_per_poll, |c| *c), "", Bar::AtMost(0.001));
    ledger::report("product", &*product.store, &ours).await?;
    ledger::report("INSERT base", &*bases.store, &naive).await?;
    drop((ours, bare, naive));
    product.stop().await;
    bases.stop().await;
    Ok(())
}
