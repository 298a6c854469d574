//! The command line. Flags come last: they override the environment, which overrides the file.
use std::io::Read;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use ccms_core::ids::{DeviceId, LightId};
use ccms_service::Role;
use ccms_service::settings::EnrolmentMode;
use ccms_store::NewDevice;
use clap::{Args, Parser, Subcommand};

use crate::boot;
use crate::config::Config;

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
    /// Manage the people who sign in.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Manage devices; works beside a running server.
    #[command(subcommand)]
    Device(DeviceCommand),
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

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Make a person who can sign in.
    Create {
        #[arg(long)]
        email: String,
        /// Read the password from standard input (one line).
        #[arg(long, required = true)]
        password_stdin: bool,
        #[arg(long, default_value = "operator", value_parser = ["viewer", "operator", "admin"])]
        role: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Register a device with its light, so that it can be approved and claim its place.
    Add {
        #[arg(long)]
        device_id: DeviceId,
        #[arg(long)]
        light_id: Option<LightId>,
        #[arg(long, allow_hyphen_values = true)]
        latitude: f64,
        #[arg(long, allow_hyphen_values = true)]
        longitude: f64,
        #[arg(long, default_value = "")]
        name: String,
        #[arg(long, default_value = "")]
        address: String,
        /// Open the claim window for this long at once.
        #[arg(long, value_name = "HOURS")]
        claim_hours: Option<i64>,
    },
    /// Open the claim window of a registered device for 24 hours.
    Approve {
        #[arg(long)]
        device_id: DeviceId,
    },
    /// List devices with their state.
    List,
}

pub fn serve(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    boot::init_logging(&config);
    runtime()?.block_on(boot::serve(config))
}

pub fn check_config(args: &ConfigArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    println!("{}", config.redacted());
    println!("The configuration is good.");
    Ok(())
}

pub fn admin(args: &ConfigArgs, command: &AdminCommand) -> anyhow::Result<()> {
    let AdminCommand::Create { email, role, .. } = command;
    let config = Config::load(args)?;
    let mut password = String::new();
    std::io::stdin().read_to_string(&mut password).context("reading the password from standard input")?;
    let password = password.trim_end_matches(['\r', '\n']);
    let Some(role) = Role::parse(role) else { bail!("unknown role {role}") };
    runtime()?.block_on(async {
        let ccms = boot::start_service(&config).await?;
        let person = ccms.create_person(email, password, role).await;
        ccms.stop().await;
        let person = person?;
        println!("Created {} with role {}.", person.email, person.role.as_str());
        Ok(())
    })
}

pub fn device(args: &ConfigArgs, command: &DeviceCommand) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    runtime()?.block_on(async {
        let store = boot::open_store(&config).await?;
        let result = device_command(&config, &store, command).await;
        store.close().await;
        result
    })
}

async fn device_command(config: &Config, store: &ccms_store::DynStore, command: &DeviceCommand) -> anyhow::Result<()> {
    let now = config.clock().now();
    let audit = |action: &str, target: &DeviceId| ccms_store::AuditEntry {
        at: now,
        actor: "command line".into(),
        action: action.into(),
        target: target.to_string(),
        detail: serde_json::json!({}),
    };
    match command {
        DeviceCommand::Add { device_id, light_id, latitude, longitude, name, address, claim_hours } => {
            if latitude.abs() > 90.0 || longitude.abs() > 180.0 {
                bail!("latitude is -90 to 90 and longitude -180 to 180 degrees");
            }
            let new = NewDevice {
                device_id: device_id.clone(),
                light_id: light_id.clone(),
                name: name.clone(),
                address: address.clone(),
                city: config.city.name.clone(),
                latitude: *latitude,
                longitude: *longitude,
                claim_until: claim_hours.map(|h| now.plus_seconds(h * 3600)),
                created_at: now,
            };
            let (_, light) = store.register_device(new, &audit("device.register", device_id)).await?;
            println!("Registered {device_id} with light {}.", light.id);
        }
        DeviceCommand::Approve { device_id } => {
            let until = now.plus_seconds(86_400);
            if !store.open_claim_window(device_id, until, &audit("device.approve", device_id)).await? {
                bail!("{device_id} is not registered, or claimed already; register it first with `ccms device add`");
            }
            println!("{device_id} may claim its place until {until}.");
        }
        DeviceCommand::List => {
            for d in store.devices().await? {
                println!("{:<28} {:<11} {:>4} attempts", d.id.as_str(), d.state.as_str(), d.attempts);
            }
        }
    }
    Ok(())
}

/// The enrolment mode that a flag names.
pub(crate) fn enrolment_mode(text: &str) -> EnrolmentMode {
    if text == "open" { EnrolmentMode::Open } else { EnrolmentMode::Registered }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the async runtime")
}
