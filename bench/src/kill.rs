//! The server is killed while every connection waits for an answer, again and again: what it acknowledged is there, once.
use std::time::Duration;

use anyhow::Context;
use ccms_store::Store;
use ccms_store_postgres::PostgresStore;
use ccms_store_sqlite::SqliteStore;

use crate::client::Driver;
use crate::ledger;
use crate::process::{Process, is_whole};
use crate::report::{Bar, part, row};

const ROUNDS: u32 = 50;
const LENGTH: Duration = Duration::from_millis(700);
const CONNECTIONS: usize = 512;
const READY_MAX_MS: f64 = 3_000.0;

/// On SQLite, and on an empty PostgreSQL database when one is named.
pub async fn measure(smoke: bool, postgres: Option<&str>) -> anyhow::Result<()> {
    let (rounds, connections) = if smoke { (2, 32) } else { (ROUNDS, CONNECTIONS) };
    part(&format!(
        "killed (SIGKILL) {rounds} times while {connections} connections report as fast as they are answered"
    ));
    let folder = tempfile::tempdir()?;
    let sqlite = format!("sqlite://{}", folder.path().join("ccms.db").display());
    for url in std::iter::once(sqlite.as_str()).chain(postgres) {
        let engine = url.split(':').next().unwrap_or_default();
        let mut server = Process::start(folder.path(), url)?;
        let mut driver = Driver::connect(server.address, 0, connections).await?;
        driver.enrol().await?;
        let (mut slowest, mut acknowledged) = (Duration::ZERO, 0);
        for _ in 0..rounds {
            let (load, killed) = tokio::join!(driver.statuses(LENGTH * 4), async {
                tokio::time::sleep(LENGTH).await;
                server.kill()
            });
            killed?;
            acknowledged += load?.ok;
            server = Process::start(folder.path(), url)?;
            slowest = slowest.max(server.ready_after);
            driver.reconnect(server.address).await?;
        }
        // A last word of each, so that the server is seen to work.
        let after = driver.statuses(Duration::from_millis(200)).await?;
        server.kill()?;
        let store: Box<dyn Store> = if engine == "sqlite" {
            Box::new(SqliteStore::open(url).await?)
        } else {
            Box::new(PostgresStore::connect(url).await.context("the database that was named")?)
        };
        let found = ledger::look_up(&*store, &driver).await?;
        store.close().await;
        let broken = !is_whole(folder.path(), url)?;
        let row = |what: &str, figure: f64, unit, bar| row(&format!("{engine}: {what}"), figure, unit, bar);
        row("statuses acknowledged", (acknowledged + after.ok) as f64, "", Bar::None);
        row("of them missing", found.missing as f64, "", Bar::AtMost(0.0));
        row("of them there twice", found.twice as f64, "", Bar::AtMost(0.0));
        row("faults that `ccms verify` ends with", f64::from(u8::from(broken)), "", Bar::AtMost(0.0));
        row("ready again after, at most", slowest.as_secs_f64() * 1e3, "ms", Bar::AtMost(READY_MAX_MS));
        anyhow::ensure!(after.ok > 0, "nothing was taken after the last start");
    }
    Ok(())
}
