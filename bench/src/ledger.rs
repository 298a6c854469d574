//! Whether what a 200 covered is in the log, once.
use std::collections::{HashMap, HashSet};

use ccms_store::{LogPosition, Store};

use crate::client::{self, Driver};
use crate::report::{Bar, row};

/// Rows read at a time.
const PAGE_ROWS: u32 = 10_000;

/// What became of the statuses that a 200 covered.
pub struct Found {
    pub missing: usize,
    pub twice: usize,
}

/// Looks for every one of them.
pub async fn look_up(store: &dyn Store, driver: &Driver) -> anyhow::Result<Found> {
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

pub async fn report(name: &str, store: &dyn Store, driver: &Driver) -> anyhow::Result<()> {
    let found = look_up(store, driver).await?;
    row(&format!("{name}: statuses acknowledged"), driver.acknowledged().count() as f64, "", Bar::None);
    row(&format!("{name}: of them not found stored"), found.missing as f64, "", Bar::AtMost(0.0));
    row(&format!("{name}: of them stored twice"), found.twice as f64, "", Bar::AtMost(0.0));
    Ok(())
}
