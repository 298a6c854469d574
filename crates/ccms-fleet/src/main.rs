//! `ccms-fleet`: `device` runs one reference device, `run` a simulated city of them, `world` and `replay` many in
//! virtual time, `load` asks at a given rate, `plan` writes a city to files, `conformance` examines a device.
use anyhow::Context;
use ccms_fleet::city::export;
use ccms_fleet::{conformance, load, rehearse, run, solo};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

#[derive(Debug, Parser)]
#[command(version, about = "Reference devices for CCMS: one, or a simulated city of them")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Runs one reference device.
    Device(solo::DeviceOptions),
    /// Runs one device for every lamp of a city.
    Run(Box<run::RunOptions>),
    /// Sends requests at a rate, or as many as come back, and tells how long they took.
    Load(Box<load::LoadOptions>),
    /// Lives through days of misfortunes in virtual time and looks whether everything that must hold holds.
    World(rehearse::WorldOptions),
    /// Tells one of these stories again, line by line.
    Replay(rehearse::ReplayOptions),
    /// Plays the server's part against any device, and proves it.
    Conformance(Box<conformance::ConformanceOptions>),
    /// Writes a city to files: for the server's import, and the ground for its map.
    Plan(export::PlanOptions),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider is installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        let stop = stop_on_signal()?;
        match cli.command {
            Command::Device(options) => solo::run(options, stop).await,
            Command::Load(options) => {
                let summary = load::run(*options, stop).await?;
                println!("{}", serde_json::to_string(&summary)?);
                Ok(())
            }
            Command::World(options) => rehearse::world(&options).await.map(drop),
            Command::Replay(options) => rehearse::replay(&options).await.map(drop),
            Command::Plan(options) => export::write(&options),
            Command::Conformance(options) => match conformance::run(*options, stop).await? {
                0 => Ok(()),
                code => std::process::exit(code.into()),
            },
            Command::Run(options) => {
                let summary = run::run(*options, stop).await?;
                println!("{}", serde_json::to_string(&summary)?);
                Ok(())
            }
        }
    })
}

/// Turns true at the first Ctrl-C or SIGTERM.
fn stop_on_signal() -> anyhow::Result<watch::Receiver<bool>> {
    let (stopped, stop) = watch::channel(false);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        // Fails only when nobody listens any more.
        let _ = stopped.send(true);
    });
    Ok(stop)
}
