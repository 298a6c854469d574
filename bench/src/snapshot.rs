//! Row 11: what the map is fed with when a page opens, as it leaves the server.
use std::sync::Arc;

use ccms_core::snapshot::Snapshot;
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::{Ccms, Who};
use ccms_store::Role;
use ccms_store_sqlite::SqliteStore;

use crate::cpu::Spent;
use crate::report::{Bar, part, row};
use crate::start::{self, LIGHTS};

const TIMES: usize = 20;

pub async fn measure(smoke: bool) -> anyhow::Result<()> {
    let lights = if smoke { 200 } else { LIGHTS };
    part(&format!("the whole fleet for the map, {lights} lights, the mean of {TIMES}"));
    let folder = tempfile::tempdir()?;
    let store = Arc::new(SqliteStore::open(&start::url(folder.path())).await?);
    let ccms = Ccms::start(start::settings(), Clock::system(0), store, &MasterKey::random()).await?;
    let tokens = start::enrol(&ccms, lights).await?;
    start::report_all(&ccms, &tokens, 1).await?;
    let who = Who::person("bench", Role::Admin, None);
    // What the handler sends, to whatever browser: no encoding comes on top of it.
    let snapshot = || who.may_view().map(|may| ccms.snapshot(may));
    let seen = Snapshot::decode(&snapshot()?)?;
    anyhow::ensure!(seen.marks.len() == lights as usize, "{} lights", seen.marks.len());
    // All of them at once: the kernel counts a thread that runs only now and then.
    let (before, mut bytes) = (Spent::now()?, 0);
    for _ in 0..TIMES {
        bytes = std::hint::black_box(snapshot()?).len();
    }
    let spent_ms = Spent::now()?.since_us(&before) / 1e3 / TIMES as f64;
    row("sent", bytes as f64 / 1e3, "KB", Bar::AtMost(700.0));
    row("CPU of one", spent_ms, "ms", Bar::AtMost(30.0));
    ccms.stop().await;
    Ok(())
}
