//! From the start of the process to its first 200, and what it weighs then: with nothing in it, and with a city.
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::status;
use ccms_fleet::city::{Profile, Town, Wanted};
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::settings::{EnrolmentMode, Limits, Settings};
use ccms_service::{Ccms, Evidence, TokenUse};
use ccms_store_sqlite::SqliteStore;
use tokio::task::JoinSet;

use crate::process::Process;
use crate::report::{Bar, part, row};

pub const LIGHTS: u32 = 100_000;
const TIMES: usize = 5;
/// Devices that come at the same time.
const AT_ONCE: usize = 256;

pub async fn measure(smoke: bool) -> anyhow::Result<()> {
    let lights = if smoke { 200 } else { LIGHTS };
    part(&format!(
        "from the start of the process to its first 200, and what it holds in memory then; SQLite, the slowest of {TIMES}"
    ));
    let ms = |took: Duration| took.as_secs_f64() * 1e3;
    let (new, _) = started(None)?;
    row("never started before", ms(new), "ms", Bar::None);
    let empty = tempfile::tempdir()?;
    started(Some(empty.path()))?;
    let (nothing, bare_bytes) = started(Some(empty.path()))?;
    row("nothing in it", ms(nothing), "ms", Bar::AtMost(50.0));
    row("nothing in it: memory", bare_bytes as f64 / 1e6, "MB", Bar::AtMost(25.0));
    let city = tempfile::tempdir()?;
    fill(city.path(), lights).await?;
    let (full, bytes) = started(Some(city.path()))?;
    let what = format!("{lights} lights, checkpoint and a status of each behind it");
    row(&what, ms(full), "ms", Bar::AtMost(1_000.0));
    row(&format!("{lights} lights: memory"), bytes as f64 / 1e6, "MB", Bar::None);
    let each = bytes.saturating_sub(bare_bytes) as f64 / f64::from(lights);
    row(&format!("{lights} lights: memory of each, with what starting needed"), each, "bytes", Bar::None);
    Ok(())
}

/// The slowest start, and the memory held after it; in new folders when none is named.
fn started(folder: Option<&Path>) -> anyhow::Result<(Duration, u64)> {
    let (mut slowest, mut bytes) = (Duration::ZERO, 0);
    for _ in 0..TIMES {
        let new = tempfile::tempdir()?;
        let folder = folder.unwrap_or(new.path());
        let process = Process::start(folder, &url(folder))?;
        slowest = slowest.max(process.ready_after);
        bytes = bytes.max(process.resident_bytes()?);
    }
    Ok((slowest, bytes))
}

pub fn url(folder: &Path) -> String {
    format!("sqlite://{}", folder.join("ccms.db").display())
}

/// So many lights with a controller each, which reported, then a checkpoint, and then reported again.
async fn fill(folder: &Path, lights: u32) -> anyhow::Result<()> {
    // The keys that the process will use.
    drop(Process::start(folder, &url(folder))?);
    let store = Arc::new(SqliteStore::open(&url(folder)).await?);
    let ccms = Ccms::start(settings(), Clock::system(0), store, &MasterKey::random()).await?;
    let tokens = enrol(&ccms, lights).await?;
    report_all(&ccms, &tokens, 0).await?;
    ccms.checkpoint().await;
    report_all(&ccms, &tokens, 1).await?;
    ccms.stop().await;
    Ok(())
}

/// Anybody may come, and often.
pub fn settings() -> Settings {
    let limits = Limits { fleet_per_device_per_second: 1e6, ..Limits::default() };
    Settings { enrolment: EnrolmentMode::Open, limits, new_lights_every_s: 86_400, ..Settings::default() }
}

/// A controller, and what it says who it is with.
type Enrolled = (DeviceId, String);

/// So many lights, each with a controller, where the lamps of a generated city stand.
pub async fn enrol(ccms: &Ccms, lights: u32) -> anyhow::Result<Vec<Enrolled>> {
    let mut tokens = Vec::new();
    let mut coming = JoinSet::new();
    let wanted = Wanted { profile: Profile::Delhi, lights: Some(lights as usize), seed: 1, ..Wanted::default() };
    let sites = Town::of(&wanted)?.sites;
    for (n, site) in (0..lights).zip(&sites) {
        if coming.len() >= AT_ONCE {
            tokens.push(coming.join_next().await.context("one came")???);
        }
        let (ccms, latitude, longitude) = (ccms.clone(), site.latitude, site.longitude);
        coming.spawn(async move {
            let id = DeviceId::parse(&format!("IMEI:35{n:013}"))?;
            let says = ConfigureRequest {
                name: Some(format!("Light {n}")),
                latitude: Some(latitude),
                longitude: Some(longitude),
                ..ConfigureRequest::default()
            };
            let answer = ccms.configure(&id, Evidence::default(), &says).await;
            let answer = answer.map_err(|refusal| anyhow::anyhow!("not let in: {}", refusal.message))?;
            Ok::<_, anyhow::Error>((id, answer.device_token.context("no token came")?))
        });
    }
    while let Some(came) = coming.join_next().await {
        tokens.push(came??);
    }
    Ok(tokens)
}

/// Each of them reports.
pub async fn report_all(ccms: &Ccms, tokens: &[Enrolled], seq: u32) -> anyhow::Result<()> {
    let mut reporting = JoinSet::new();
    for (id, token) in tokens {
        if reporting.len() >= AT_ONCE {
            reporting.join_next().await.context("one reported")???;
        }
        let (ccms, id, token) = (ccms.clone(), id.clone(), token.clone());
        reporting.spawn(async move { report(&ccms, &id, &token, seq).await });
    }
    while let Some(reported) = reporting.join_next().await {
        reported??;
    }
    Ok(())
}

async fn report(ccms: &Ccms, id: &DeviceId, token: &str, seq: u32) -> anyhow::Result<()> {
    let refused = |refusal: ccms_service::Refusal| anyhow::anyhow!("refused: {}", refusal.message);
    let who = ccms.authenticate(id, Some(token), TokenUse::Report).await.map_err(refused)?;
    let now: UtcMillis = ccms.now();
    let body = crate::client::status(id.as_str(), seq, now);
    let batch = status::parse(body.as_bytes(), now).map_err(|bad| anyhow::anyhow!("{bad}"))?;
    ccms.record_status(&who, batch).await.map_err(refused)?;
    Ok(())
}
