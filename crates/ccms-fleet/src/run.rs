//! `ccms-fleet run`: a city of devices in one process against a live server, each with its own identity, lamp and connection.
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ccms_device::chance::Chance;
use ccms_device::{Change, Config, Delivered, Device};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::appender::Appender;
use crate::city::{Profile, Site, Town, Wanted};
use crate::clock::Clock;
use crate::http::Http;
use crate::identity::{device_id, device_seed};
use crate::ledger::Ledger;
use crate::line::{Line, Server};
use crate::machine;
use crate::physics::{Feeder, Surroundings, noise};
use crate::progress::Progress;
use crate::runner::{Desk, Runner, Shared};
use crate::sickness::{FaultChoice, Rates};
use crate::simlamp::{Fitting, SimLamp};
use crate::statelog::{Kept, Notebook, StateLog};
use crate::stats::{Stats, Summary};

/// Between plain lines of progress, where nobody looks on.
const PROGRESS_S: u64 = 10;
/// Lights started per second unless the spread is given.
const STARTS_PER_S: usize = 200;
const START_SPREAD_MIN_S: u64 = 5;

#[derive(Debug, Clone, clap::Args)]
pub struct RunOptions {
    #[arg(long, alias = "city", value_enum, default_value = "helsinki")]
    pub profile: Profile,
    /// GeoJSON with street lamps, such as an export of OpenStreetMap's `highway=street_lamp`, instead of the profile's own
    #[arg(long)]
    pub lamps: Option<PathBuf>,
    /// What the city of that file is called
    #[arg(long)]
    pub city_name: Option<String>,
    /// How many lights; all of the profile by default
    #[arg(long)]
    pub lights: Option<usize>,
    /// Decides identities, positions of a generated city, physics and faults
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The server's root, such as http://127.0.0.1:8000
    #[arg(long)]
    pub server: String,
    /// Where the flash of all devices is kept; with it a restarted city keeps its tokens
    #[arg(long)]
    pub state_dir: PathBuf,
    /// Shifts the devices' clock; must equal the server's own shift
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    pub clock_offset_seconds: i64,
    /// Appends `light_id,timestamp_ms,seq` for every reading that a 200 covered
    #[arg(long)]
    pub ledger: Option<PathBuf>,
    /// Ends the run after this time; without it only a signal does
    #[arg(long)]
    pub duration_seconds: Option<u64>,
    /// Devices are powered on over this time; by default 5 s, or longer for more than 1000 lights
    #[arg(long)]
    pub start_spread_seconds: Option<u64>,
    /// on: as the profile has them; off, calm, usual, rough; a factor; then single rates: on,dead-lamp=0.05,brownouts=2
    #[arg(long, default_value = "on", num_args = 0..=1, default_missing_value = "on")]
    pub faults: FaultChoice,
    /// Cuts the power of the whole city after so many seconds for so many: 600+300
    #[arg(long)]
    pub power_cut: Option<PowerCut>,
    /// Devices have no network time and learn the time from the server
    #[arg(long)]
    pub no_network_time: bool,
    /// Addresses to call from, one for each 25,000 lights; 127.0.0.1, 127.0.0.2 and so on when the server is on this machine
    #[arg(long)]
    pub source: Vec<IpAddr>,
    /// Between lines of progress where standard error is no terminal; a terminal shows one live line
    #[arg(long, default_value_t = PROGRESS_S)]
    pub progress_seconds: u64,
    /// Writes the summary as JSON to this file at the end
    #[arg(long, alias = "summary-json")]
    pub out: Option<PathBuf>,
}

impl RunOptions {
    /// Helsinki as it is, for as long as it is let.
    pub fn new(server: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            profile: Profile::Helsinki,
            lamps: None,
            city_name: None,
            lights: None,
            seed: 1,
            server: server.into(),
            state_dir: state_dir.into(),
            clock_offset_seconds: 0,
            ledger: None,
            duration_seconds: None,
            start_spread_seconds: None,
            faults: FaultChoice::ON,
            power_cut: None,
            no_network_time: false,
            source: Vec::new(),
            progress_seconds: PROGRESS_S,
            out: None,
        }
    }

    fn town(&self) -> anyhow::Result<Town> {
        Town::of(&Wanted {
            profile: self.profile,
            lamps: self.lamps.as_deref(),
            city_name: self.city_name.as_deref(),
            lights: self.lights,
            seed: self.seed,
        })
    }
}

/// A power cut of the whole city that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerCut {
    pub after_s: u32,
    pub for_s: u32,
}

impl FromStr for PowerCut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('+').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (after_s, for_s) = parts.ok_or("after so many seconds, for so many, such as 600+300")?;
        Ok(Self { after_s, for_s })
    }
}

/// What all lights of a run have in common.
struct Fleet {
    shared: Arc<Shared>,
    /// None: connections are pooled, as for TLS.
    server: Option<Arc<Server>>,
    around: Arc<Surroundings>,
    feeders: Vec<Arc<Feeder>>,
    rates: Rates,
    seed: u64,
    source: Vec<IpAddr>,
}

struct CityDesk {
    id: Box<str>,
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
/// When files cannot be read or written, the server's URL is none, or the system gives too few file descriptors.
pub async fn run(options: RunOptions, stop: watch::Receiver<bool>) -> anyhow::Result<Summary> {
    let town = options.town()?;
    machine::raise_descriptors(town.sites.len())?;
    let (log, mut kept) = StateLog::open(&options.state_dir)?;
    let ledger = options.ledger.as_deref().map(Appender::open).transpose()?;
    let memory_before = machine::memory_bytes();
    let fleet = Arc::new(Fleet::of(&options, &town).await?);
    let (stats, clock) = (&fleet.shared.stats, fleet.shared.clock);
    let spread_s =
        options.start_spread_seconds.unwrap_or(START_SPREAD_MIN_S.max((town.sites.len() / STARTS_PER_S) as u64));
    eprintln!("{} lights of {} report to {}", town.sites.len(), town.sites[0].city, options.server);

    // Devices stop when the time is over too, and put their things away either way.
    let (halt, halted) = watch::channel(false);
    let mut devices = JoinSet::new();
    for (index, site) in town.sites.into_iter().enumerate() {
        let id = device_id(options.seed, index).to_string().into_boxed_str();
        let kept = take(&mut kept, &id);
        let desk = CityDesk { id, notes: log.notebook(), ledger: ledger.as_ref().map(|l| Ledger::new(l.pen())) };
        let start_ms = Chance::new(device_seed(options.seed, index) ^ 1).below(spread_s * 1000 + 1);
        devices.spawn(Arc::clone(&fleet).light(index, site, kept, desk, start_ms, halted.clone()));
    }
    drop(kept);
    watch_over(&options, &fleet.shared, stop).await;
    let memory = machine::memory_bytes().zip(memory_before);
    let name = format!("{:?}", options.profile).to_lowercase();
    let summary = stats.summary(name, options.seed, clock.elapsed(), memory);
    // Fails only when every device is gone already.
    let _ = halt.send(true);
    while devices.join_next().await.is_some() {}

    log.close()?;
    if let Some(ledger) = ledger {
        ledger.close()?;
    }
    // What was answered while the devices stopped counts too.
    let summary = Summary {
        online: summary.online,
        memory_bytes: summary.memory_bytes,
        memory_bytes_per_light: summary.memory_bytes_per_light,
        ..stats.summary(summary.profile, summary.seed, clock.elapsed(), None)
    };
    if let Some(path) = &options.out {
        write(path, &summary)?;
    }
    Ok(summary)
}

fn write(path: &Path, summary: &Summary) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(summary)? + "\n";
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn take(kept: &mut HashMap<String, Kept>, id: &str) -> Kept {
    kept.remove(id).unwrap_or_default()
}

impl Fleet {
    async fn of(options: &RunOptions, town: &Town) -> anyhow::Result<Self> {
        let rates = options.faults.rates(options.profile.rates());
        let clock = Clock::start(options.clock_offset_seconds);
        let middle = &town.sites[0];
        let holes = rates.coverage_holes;
        let mut around = Surroundings::new(options.seed, middle.latitude, middle.longitude, rates.mains, holes);
        if let Some(cut) = options.power_cut {
            around.grid = around.grid.with_cut(clock.utc().plus_seconds(i64::from(cut.after_s)), cut.for_s);
        }
        let feeder = |(n, watts): (usize, &f64)| {
            Arc::new(Feeder::new(noise::hash(noise::hash(options.seed, -1), n as i64), *watts, &around.grid))
        };
        let feeders = town.feeders_w.iter().enumerate().map(feeder).collect();
        let server = match options.server.starts_with("https:") {
            true => None,
            false => Some(Arc::new(Server::find(&options.server).await?)),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                clock,
                http: Http::new(&options.server)?,
                stats: Stats::new(town.sites.len()),
                network_time: !options.no_network_time,
            }),
            server,
            around: Arc::new(around),
            feeders,
            rates,
            seed: options.seed,
            source: options.source.clone(),
        })
    }

    /// One light, from its power-on to the end of the run.
    async fn light(
        self: Arc<Self>,
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
        let seed = device_seed(self.seed, index);
        let fitting = Fitting {
            seed,
            latitude: site.latitude,
            longitude: site.longitude,
            light: site.wire.light,
            rated_w: site.wire.rated_w,
            feeder: Arc::clone(&self.feeders[site.wire.feeder]),
            place: site.wire.place,
            meter_uj: kept.meter_uj,
        };
        let lamp = SimLamp::fitted(Arc::clone(&self.around), fitting, &self.rates);
        let mut config = Config::new(device_id(self.seed, index), site.latitude, site.longitude, seed);
        (config.name, config.address, config.city) = (site.name, site.address, site.city);
        let mut runner = Runner::new(Arc::clone(&self.shared), lamp, desk, |now| Device::new(config, kept.saved, now));
        runner.line = self.server.as_ref().map(|server| {
            let source = machine::source_address(server.ip(), &self.source, index);
            Arc::new(Line::new(Arc::clone(server), source))
        });
        drop(self);
        runner.run(stop).await;
    }
}

/// Tells of the progress until the end.
async fn watch_over(options: &RunOptions, shared: &Shared, mut stop: watch::Receiver<bool>) {
    let mut progress = Progress::new(Duration::from_secs(options.progress_seconds.max(1)));
    let end = options.duration_seconds.map(Duration::from_secs);
    loop {
        let left = end.map(|e| e.saturating_sub(shared.clock.elapsed()));
        let pause = progress.every().min(left.unwrap_or(Duration::MAX));
        let stopped = tokio::select! {
            _ = stop.wait_for(|s| *s) => true,
            () = tokio::time::sleep(pause) => false,
        };
        progress.tell(&shared.stats, shared.clock.elapsed());
        if stopped || end.is_some_and(|e| shared.clock.elapsed() >= e) {
            return progress.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_is_read() {
        assert_eq!("600+300".parse(), Ok(PowerCut { after_s: 600, for_s: 300 }));
        assert!(["600", "600+", "+5", "a+b", "-1+5"].iter().all(|bad| bad.parse::<PowerCut>().is_err()));
    }
}
