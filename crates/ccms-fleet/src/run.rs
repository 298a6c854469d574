//! `ccms-fleet run`: a city of devices in one process against a live server.
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context;
use ccms_device::chance::Chance;
use ccms_device::{Change, Config, Delivered, Device};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::appender::Appender;
use crate::city::{City, Site};
use crate::clock::Clock;
use crate::http::Http;
use crate::identity::{device_id, device_seed};
use crate::ledger::Ledger;
use crate::runner::{Desk, Runner, Shared};
use crate::simlamp::SimLamp;
use crate::statelog::{Kept, Notebook, StateLog};
use crate::stats::{Progress, Stats, Summary};

/// Time between progress lines.
const PROGRESS_S: u64 = 2;
/// Lights started per second unless the spread is given.
const STARTS_PER_S: usize = 200;
const START_SPREAD_MIN_S: u64 = 5;

#[derive(Debug, Clone, clap::Args)]
pub struct RunOptions {
    #[arg(long, value_enum, default_value = "helsinki")]
    pub city: City,
    /// GeoJSON with a point for every lamp, instead of the city's own.
    #[arg(long)]
    pub lamps: Option<PathBuf>,
    /// How many lights; all lamps of the city by default, 2500 in a generated one.
    #[arg(long)]
    pub lights: Option<usize>,
    /// Decides identities, positions of a generated city, physics and faults.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's root, such as http://127.0.0.1:8000
    #[arg(long)]
    pub server: String,
    /// Where the flash of all devices is kept. With it a restarted city keeps its tokens.
    #[arg(long)]
    pub state_dir: PathBuf,
    /// Shifts the devices' clock; must equal the server's own shift.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    pub clock_offset_seconds: i64,
    /// Appends `light_id,timestamp_ms,seq` for every reading that a 200 covered.
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Ends the run after this time; without it only a signal does.
    #[arg(long)]
    pub duration_seconds: Option<u64>,
    /// Devices are powered on over this time; by default 5 s, or longer for more than 1000 lights.
    #[arg(long)]
    pub start_spread_seconds: Option<u64>,
    /// Lets a few lamps be sick.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    pub faults: bool,
    /// Devices have no network time and learn the time from the server.
    #[arg(long)]
    pub no_network_time: bool,
    /// Writes the summary as JSON to this file at the end.
    #[arg(long)]
    pub summary_json: Option<PathBuf>,
}

struct CityDesk {
    id: String,
    notes: Notebook,
    ledger: Option<Ledger>,
}

impl Desk for CityDesk {
    fn persist(&mut self, _device: &Device, change: Change) {
        self.notes.change(&self.id, change);
    }

    fn delivered(&mut self, delivered: &Delivered) {
        if let Some(ledger) = &self.ledger {
            ledger.note(delivered);
        }
    }

    fn meter(&mut self, meter_uj: u64) {
        self.notes.meter(&self.id, meter_uj);
    }
}

/// Runs a city until its time is over or `stop` turns true.
///
/// # Errors
/// When files cannot be read or written, or the server's URL is none.
pub async fn run(options: RunOptions, stop: watch::Receiver<bool>) -> anyhow::Result<Summary> {
    let sites = options.city.sites(options.lamps.as_deref(), options.lights, options.seed)?;
    let (log, mut kept) = StateLog::open(&options.state_dir)?;
    let ledger = options.ledger.as_deref().map(Appender::open).transpose()?;
    let shared = Arc::new(Shared {
        clock: Clock::start(options.clock_offset_seconds),
        http: Http::new(&options.server)?,
        stats: Stats::new(sites.len()),
        network_time: !options.no_network_time,
    });
    let spread_s = options.start_spread_seconds.unwrap_or(START_SPREAD_MIN_S.max((sites.len() / STARTS_PER_S) as u64));
    eprintln!("{} lights of {:?} report to {}", sites.len(), options.city, options.server);

    // Devices stop when the time is over too, and put their things away either way.
    let (halt, halted) = watch::channel(false);
    let mut devices = JoinSet::new();
    for (index, site) in sites.into_iter().enumerate() {
        let desk = CityDesk {
            id: device_id(options.seed, index).to_string(),
            notes: log.notebook(),
            ledger: ledger.as_ref().map(|l| Ledger::new(l.pen())),
        };
        let kept = take(&mut kept, &desk.id);
        let start_ms = Chance::new(device_seed(options.seed, index) ^ 1).below(spread_s * 1000 + 1);
        devices.spawn(light(Arc::clone(&shared), options.clone(), index, site, kept, desk, start_ms, halted.clone()));
    }
    watch_over(&options, &shared, stop).await;
    // Fails only when every device is gone already.
    let _ = halt.send(true);
    while devices.join_next().await.is_some() {}

    log.close()?;
    if let Some(ledger) = ledger {
        ledger.close()?;
    }
    let summary = shared.stats.summary(shared.clock.elapsed());
    if let Some(path) = &options.summary_json {
        let text = serde_json::to_string_pretty(&summary)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(summary)
}

fn take(kept: &mut HashMap<String, Kept>, id: &str) -> Kept {
    kept.remove(id).unwrap_or_default()
}

#[allow(clippy::too_many_arguments, reason = "one call; a struct would only rename its arguments")]
async fn light(
    shared: Arc<Shared>,
    options: RunOptions,
    index: usize,
    site: Site,
    kept: Kept,
    desk: CityDesk,
    start_ms: u64,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = stop.wait_for(|s| *s) => return,
        () = tokio::time::sleep(Duration::from_millis(start_ms)) => {}
    }
    let seed = device_seed(options.seed, index);
    let lamp = SimLamp::new(seed, site.latitude, site.longitude, options.faults, kept.meter_uj);
    let mut config = Config::new(device_id(options.seed, index), site.latitude, site.longitude, seed);
    (config.name, config.address, config.city) = (site.name, site.address, site.city);
    Runner::new(shared, lamp, desk, |now| Device::new(config, kept.saved, now)).run(stop).await;
}

/// Prints progress until the end.
async fn watch_over(options: &RunOptions, shared: &Shared, mut stop: watch::Receiver<bool>) {
    let (mut progress, mut all_seen) = (Progress::new(), false);
    let end = options.duration_seconds.map(Duration::from_secs);
    loop {
        let left = end.map(|e| e.saturating_sub(shared.clock.elapsed()));
        let pause = Duration::from_secs(PROGRESS_S).min(left.unwrap_or(Duration::MAX));
        let stopped = tokio::select! {
            _ = stop.wait_for(|s| *s) => true,
            () = tokio::time::sleep(pause) => false,
        };
        eprintln!("{}", progress.line(&shared.stats, shared.clock.elapsed()));
        if !all_seen && shared.stats.ever_online.load(Relaxed) == shared.stats.lights() {
            all_seen = true;
            eprintln!("all {} lights online", shared.stats.lights());
        }
        if stopped || end.is_some_and(|e| shared.clock.elapsed() >= e) {
            return;
        }
    }
}
