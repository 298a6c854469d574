//! The command line: listen, play, report.
use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::hands::Hands;
use super::listen::Stage;
use super::referee::Referee;
use super::report::Report;
use super::script::Rules;
use super::scripts::ALL;
use super::{markdown, terminal};
use crate::clock::Clock;

#[derive(Debug, Clone, clap::Args)]
pub struct ConformanceOptions {
    /// Where the device is to call. Without a certificate this is plain HTTP: a test network's affair
    #[arg(long, default_value = "127.0.0.1:8000")]
    pub listen: SocketAddr,
    /// The only device that is spoken to; without it the first that configures
    #[arg(long)]
    pub device_id: Option<String>,
    /// Leaves out the scenarios that take long; the report says so
    #[arg(long)]
    pub quick: bool,
    /// Only these scenarios, separated by commas, after the first
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// Length of the outage; the device document names three hours
    #[arg(long, default_value_t = Rules::OFFLINE_S / 60, value_parser = clap::value_parser!(u32).range(5..=180))]
    pub offline_minutes: u32,
    /// How long to wait for the first call
    #[arg(long, default_value_t = Rules::FIRST_CALL_S / 60)]
    pub wait_minutes: u32,
    /// The device knows the time without the server, also after a power cut
    #[arg(long)]
    pub own_clock: bool,
    /// A command that takes the power from the device and gives it back; without it a person is asked
    #[arg(long)]
    pub power: Option<String>,
    /// A command of a test bench, given one word: hot, cool, battery-low, battery-full, power-cycle
    #[arg(long)]
    pub bench: Option<String>,
    /// Writes the report as Markdown
    #[arg(long)]
    pub report: Option<PathBuf>,
    /// Writes the report as JSON
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Certificate chain, PEM: the device calls over TLS
    #[arg(long, requires = "key_file")]
    pub certificate_file: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, requires = "certificate_file")]
    pub key_file: Option<PathBuf>,
}

/// Examines one device. Returns what the shell is to be told: 0 when everything passed, 1 when something failed, 3 when
/// something was not seen.
///
/// # Errors
/// When it cannot listen, or a file cannot be read or written.
pub async fn run(options: ConformanceOptions, stop: watch::Receiver<bool>) -> anyhow::Result<u8> {
    if let Some(unknown) = options.only.iter().find(|name| ALL.iter().all(|s| s.name != **name)) {
        let names: Vec<&str> = ALL.iter().map(|s| s.name).collect();
        bail!("--only {unknown}: there is no such scenario. There are {}", names.join(", "));
    }
    // An hour later is too late to find that a report cannot be written.
    for path in [&options.report, &options.json].into_iter().flatten() {
        File::create(path).with_context(|| format!("writing {}", path.display()))?;
    }
    let tls = match (&options.certificate_file, &options.key_file) {
        (Some(certificate), Some(key)) => Some(acceptor(certificate, key)?),
        _ => None,
    };
    let listener =
        TcpListener::bind(options.listen).await.with_context(|| format!("listening on {}", options.listen))?;
    let clock = Clock::start(0);
    let rules = Rules {
        device_id: options.device_id.clone(),
        quick: options.quick,
        only: options.only.clone(),
        first_call_s: options.wait_minutes * 60,
        offline_s: options.offline_minutes * 60,
        own_clock: options.own_clock,
        ..Rules::new(clock.utc())
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    println!("Point the device at {scheme}://{} and switch it on", listener.local_addr()?);
    let hands = Hands::new(options.power.clone(), options.bench.clone());
    let report = examine(clock, Referee::new(rules), listener, tls, &hands, stop, |line| println!("{line}")).await;
    print!("{}", terminal::write(&report));
    if let Some(path) = &options.report {
        std::fs::write(path, markdown::write(&report)).with_context(|| format!("writing {}", path.display()))?;
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(report.verdict.exit_code())
}

/// Plays a referee over a listener to its end, or until `stop` turns true.
pub async fn examine(
    clock: Clock,
    referee: Referee,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    hands: &Hands,
    stop: watch::Receiver<bool>,
    say: impl FnMut(&str),
) -> Report {
    let stage = Stage::new(clock, referee);
    tokio::select! {
        () = stage.play(hands, stop, say) => {}
        () = Arc::clone(&stage).serve(listener, tls) => {}
    }
    stage.with(|referee, now_ms| {
        referee.stop(now_ms);
        referee.report(now_ms)
    })
}

/// Takes connections over TLS with this certificate.
///
/// # Errors
/// When a file cannot be read, or the two do not belong together.
pub fn acceptor(certificate: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.with_context(|| format!("reading {}", certificate.display()))?;
    let key = PrivateKeyDer::from_pem_file(key).with_context(|| format!("reading {}", key.display()))?;
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
