//! Row 16: the same statuses on SQLite and on PostgreSQL, whose server shares the cores.
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::client::Driver;
use crate::ledger;
use crate::load::Load;
use crate::report::{Bar, median, part, row};
use crate::servers::{Disk, Product};

const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(3);
const SMOKE_LENGTH: Duration = Duration::from_millis(250);

pub async fn measure(smoke: bool, connections: usize, serving: &Runtime, postgres: &str) -> anyhow::Result<()> {
    let (rounds, length) = if smoke { (1, SMOKE_LENGTH) } else { (ROUNDS, LENGTH) };
    part(&format!(
        "{connections} connections report as fast as they are answered, to a product on SQLite and to one on PostgreSQL, {rounds} x {} ms",
        length.as_millis()
    ));
    let embedded = Product::start(serving, Disk::Real).await?;
    let shared = Product::start(serving, Disk::Postgres(postgres.to_owned())).await?;
    let mut one = Driver::connect(embedded.address, 0, connections).await?;
    one.enrol().await?;
    let mut other = Driver::connect(shared.address, 0, connections).await?;
    other.enrol().await?;
    let (mut sqlite, mut postgres) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        sqlite.push(one.statuses(length).await?);
        postgres.push(other.statuses(length).await?);
    }
    row("statuses on SQLite", median(&sqlite, Load::per_second), "a second", Bar::None);
    row("statuses on PostgreSQL", median(&postgres, Load::per_second), "a second", Bar::None);
    row("CPU of our process on SQLite", median(&sqlite, Load::cpu_us), "CPU us", Bar::None);
    row("CPU of our process on PostgreSQL", median(&postgres, Load::cpu_us), "CPU us", Bar::None);
    let share = 100.0 * median(&postgres, Load::per_second) / median(&sqlite, Load::per_second);
    row("statuses on PostgreSQL as a share of those on SQLite", share, "%", Bar::AtLeast(50.0));
    ledger::report("SQLite", &*embedded.store, &one).await?;
    ledger::report("PostgreSQL", &*shared.store, &other).await?;
    drop((one, other));
    embedded.stop().await;
    shared.stop().await;
    Ok(())
}
