//! `ccms-fleet device`: one reference device with a flash file, telling what it does.
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use ccms_core::ids::DeviceId;
use ccms_device::{Change, Config, Delivered, Device, Display, Lamp, State};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::directory::{Directory, Outputs};
use crate::flash::Flash;
use crate::http::Http;
use crate::runner::{Desk, Runner, Shared};
use crate::simlamp::SimLamp;
use crate::stats::Stats;
use crate::trust::{Pin, Trust};

#[derive(Debug, Clone, clap::Args)]
pub struct DeviceOptions {
    /// The server's root, such as http://127.0.0.1:8000
    #[arg(long)]
    pub server: String,
    /// `IMEI:` and 15 digits
    #[arg(long)]
    pub device_id: String,
    #[arg(long, allow_hyphen_values = true)]
    pub latitude: f64,
    #[arg(long, allow_hyphen_values = true)]
    pub longitude: f64,
    #[arg(long, default_value = "")]
    pub name: String,
    #[arg(long, default_value = "")]
    pub address: String,
    #[arg(long, default_value = "")]
    pub city: String,
    /// The file that stands for the device's flash.
    #[arg(long)]
    pub flash: PathBuf,
    /// Shifts the device's clock.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    pub clock_offset_seconds: i64,
    /// The device has no network time and learns the time from the server.
    #[arg(long)]
    pub no_network_time: bool,
    /// Believes a server over TLS by its public key, whatever else its certificate says: `sha256/` and the base64 of the
    /// SHA-256 of its SubjectPublicKeyInfo. May be repeated: give a spare one
    #[arg(long, value_name = "sha256/BASE64")]
    pub pin: Vec<Pin>,
    /// Believes only certificates of these authorities, PEM
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// Measures by reading files of this directory, and switches by writing into its `out`, instead of simulating a lamp
    #[arg(long)]
    pub sensors: Option<PathBuf>,
}

struct SoloDesk {
    flash: Flash,
    /// Where LED and display are, when they are not only told of here.
    outputs: Option<Outputs>,
}

impl Desk for SoloDesk {
    fn persist(&mut self, device: &Device, _change: Change) {
        if let Err(error) = self.flash.store(&device.saved()) {
            eprintln!("flash: {error:#}");
        }
    }

    fn delivered(&mut self, delivered: &Delivered) {
        for (at, seq) in &delivered.readings {
            println!("{} reported {at} (number {seq})", delivered.light_id);
        }
    }

    fn entered(&mut self, state: State) {
        println!("state {}", state.as_str());
    }

    fn show(&mut self, display: &Display) {
        println!("display [{:?}] {}", display.led, display.text);
        if let Some(outputs) = &self.outputs {
            outputs.show(display);
        }
    }

    fn log(&mut self, line: &str) {
        println!("log {line}");
    }

    fn lamp(&mut self, lamp: Lamp) {
        println!("lamp {} at {} %", lamp.power.as_str(), lamp.brightness_percent);
    }
}

/// Runs one device until `stop` turns true.
///
/// # Errors
/// When the identity or the URL is none, or the flash file cannot be read.
pub async fn run(options: DeviceOptions, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let id = DeviceId::parse(&options.device_id).context("--device-id")?;
    let flash = Flash::at(&options.flash);
    let (saved, damage) = flash.load()?;
    if let Some(damage) = damage {
        eprintln!("flash: {damage}; starting as new");
    }
    let trust = Trust::new(options.pin, options.ca.as_deref())?;
    let seed = id.as_str().bytes().fold(0_u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
    let shared = Arc::new(Shared {
        clock: Clock::start(options.clock_offset_seconds),
        http: Http::with_trust(&options.server, trust.as_ref())?,
        stats: Stats::new(1),
        network_time: !options.no_network_time,
    });
    let mut config = Config::new(id, options.latitude, options.longitude, seed);
    (config.name, config.address, config.city) = (options.name, options.address, options.city);
    let boot = |now| Device::new(config, saved, now);
    match options.sensors {
        Some(path) => {
            let directory = Directory::open(&path)?;
            let desk = SoloDesk { flash, outputs: Some(directory.outputs().clone()) };
            Runner::new(shared, directory, desk, boot).run(stop).await;
        }
        None => {
            let lamp = SimLamp::new(seed, options.latitude, options.longitude, false, None);
            Runner::new(shared, lamp, SoloDesk { flash, outputs: None }, boot).run(stop).await;
        }
    }
    Ok(())
}
