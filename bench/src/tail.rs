//! How long the slowest wait at saturation, checkpoints included.
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::client::Driver;
use crate::report::{Bar, part, row};
use crate::servers::{Disk, Product};

const LENGTH: Duration = Duration::from_secs(60);
const SMOKE_LENGTH: Duration = Duration::from_millis(250);
/// Long enough for every connection to have been answered.
const WARM: Duration = Duration::from_secs(2);

pub async fn measure(smoke: bool, connections: usize, serving: &Runtime) -> anyhow::Result<()> {
    let (warm, length) = if smoke { (SMOKE_LENGTH, SMOKE_LENGTH) } else { (WARM, LENGTH) };
    part(&format!(
        "{connections} connections report for {} s as fast as they are answered; a checkpoint every {} s",
        length.as_secs(),
        Product::checkpoint_every_s()
    ));
    let product = Product::start(serving, Disk::Real).await?;
    let mut driver = Driver::connect(product.address, 0, connections).await?;
    driver.enrol().await?;
    driver.statuses(warm).await?;
    let load = driver.statuses(length).await?;
    row("statuses", load.per_second(), "a second", Bar::None);
    row("answered after, half of them", load.p50_ms, "ms", Bar::None);
    row("answered after, 99 of 100", load.p99_ms, "ms", Bar::None);
    row("answered after, the last", load.max_ms, "ms", Bar::None);
    row("99 of 100, in terms of half of them", load.p99_ms / load.p50_ms, "times", Bar::AtMost(4.0));
    drop(driver);
    product.stop().await;
    Ok(())
}
