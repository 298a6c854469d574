//! The command line. Flags come last: they override the environment, which overrides the file.
//!
//! - `admin`    people who sign in
//! - `api_key`  keys with which other systems use the REST API
//! - `archive`  days that are long over, in files
//! - `audit`    who did what, and whether the record is whole
//! - `backup`   everything in one folder, `restore` puts it back, `verify` looks whether all is whole
//! - `device`   controllers
//! - `keys`     what signs device tokens
//!
//! Every command but `serve` and `restore` opens the database itself and works beside a running server.
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use ccms_service::settings::EnrolmentMode;
use clap::{Args, Parser, Subcommand};

use crate::boot;
use crate::config::Config;

mod admin;
mod api_key;
mod archive;
mod audit;
mod backup;
mod device;
mod keys;
mod restore;
mod verify;

pub use admin::{AdminCommand, admin};
pub use api_key::{ApiKeyCommand, api_key};
pub use archive::{ArchiveCommand, archive};
pub use audit::{AuditCommand, audit};
pub use backup::{BackupArgs, backup};
pub use device::{DeviceCommand, device};
pub use keys::{KeysCommand, keys};
pub use restore::{RestoreArgs, restore};
pub use verify::{VerifyArgs, verify};

/// Control and monitoring system for street lights.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Without one the server runs.
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve,
    /// Read the configuration, say what is wrong with it, and print it without its secrets.
    CheckConfig,
    /// Manage the people who sign in; works beside a running server.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Manage the keys with which other systems use the REST API; works beside a running server.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Manage devices; works beside a running server.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// Manage the keys that sign device tokens; works beside a running server.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Read the audit log and prove that nothing in it was changed.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Copy everything into a new folder, and look whether the copy is whole; works beside a running server. (SQLite; on
    /// PostgreSQL it says how.)
    Backup(BackupArgs),
    /// Put a backup in the place of the database. The server must be stopped.
    Restore(RestoreArgs),
    /// Look through everything that is kept: structures, audit log, blocks, log, checkpoint. Ends with an error when something is
    /// wrong; works beside a running server.
    Verify(VerifyArgs),
    /// List, check or bring back days that were moved to Parquet files; works beside a running server.
    #[command(subcommand)]
    Archive(ArchiveCommand),
}

#[derive(Debug, Args, Clone, Default)]
pub struct ConfigArgs {
    /// A TOML file.
    #[arg(long, env = "CCMS_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Address and port of the HTTP server.
    #[arg(long, global = true)]
    pub listen: Option<SocketAddr>,
    /// sqlite://PATH or postgres://…
    #[arg(long, global = true)]
    pub database: Option<String>,
    /// Where the database (SQLite) and the keys are.
    #[arg(long, global = true)]
    pub data_dir: Option<PathBuf>,
    /// open: first contact claims; registered: devices are registered beforehand.
    #[arg(long, global = true, value_parser = ["open", "registered"])]
    pub enrolment: Option<String>,
}

pub fn serve(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    crate::log::init(&config);
    runtime()?.block_on(boot::serve(config))
}

pub fn check_config(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    println!("{}", config.redacted());
    println!("The configuration is good.");
    Ok(())
}

/// The enrolment mode that a flag names.
pub(crate) fn enrolment_mode(text: &str) -> EnrolmentMode {
    if text == "open" { EnrolmentMode::Open } else { EnrolmentMode::Registered }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the async runtime")
}

/// Runs `work` on an open store and closes it, whatever came of it.
fn with_store<F, T>(args: &ConfigArgs, work: impl FnOnce(Config, ccms_store::DynStore) -> F) -> anyhow::Result<T>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let config = Config::load(args)?;
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("making the data directory {}", config.data_dir.display()))?;
    runtime()?.block_on(async {
        let store = boot::open_store(&config).await?;
        let result = work(config, store.clone()).await;
        store.close().await;
        result
    })
}

/// An audit entry of someone at the server's own command line.
fn audit_entry(config: &Config, action: &str, target: &str, detail: serde_json::Value) -> ccms_store::AuditEntry {
    ccms_store::AuditEntry {
        at: config.clock().now(),
        actor: "command line".into(),
        action: action.into(),
        target: target.into(),
        detail,
    }
}
