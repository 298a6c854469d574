//! Row 17: what a reading costs that comes with 359 others after three hours without network, beside one that comes by itself.
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::client::Driver;
use crate::load::Load;
use crate::report::{Bar, median, part, row};
use crate::servers::{Disk, Product};

/// Three hours of them.
const READINGS: usize = 360;
/// When the network went.
const BEFORE: Duration = Duration::from_secs(4 * 3_600);
const ROUNDS: u32 = 5;
const LENGTH: Duration = Duration::from_secs(3);
const SMOKE_LENGTH: Duration = Duration::from_millis(250);

pub async fn measure(smoke: bool, connections: usize, serving: &Runtime) -> anyhow::Result<()> {
    let (rounds, length) = if smoke { (1, SMOKE_LENGTH) } else { (ROUNDS, LENGTH) };
    part(&format!(
        "{rounds} x {connections} devices come back after hours: each reports, and then sends {READINGS} readings at once (gzip)"
    ));
    let product = Product::start(serving, Disk::Real).await?;
    let (mut single, mut synced, mut bytes) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        let mut driver = Driver::connect(product.address, round * connections as u32, connections).await?;
        driver.enrol().await?;
        driver.status_of(BEFORE).await?;
        single.push(driver.statuses(length).await?);
        let (load, sent) = driver.sync_once(READINGS).await?;
        anyhow::ensure!(load.ok == connections as u64, "{} of {connections} syncs were taken", load.ok);
        synced.push(load);
        bytes = sent;
    }
    let each = |load: &Load| load.cpu_us() / READINGS as f64;
    row("a reading by itself", median(&single, Load::cpu_us), "CPU us", Bar::None);
    row("a reading among 360", median(&synced, each), "CPU us", Bar::None);
    row("readings synced", median(&synced, Load::per_second) * READINGS as f64, "a second", Bar::None);
    row("a body of 360 readings, packed", bytes as f64, "bytes", Bar::None);
    let share = median(&single, Load::cpu_us) / median(&synced, each);
    row("readings among 360 for one by itself, by CPU", share, "times", Bar::AtLeast(10.0));
    product.stop().await;
    Ok(())
}
