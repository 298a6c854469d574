//! `ccms device …`: controllers, at the command line.
use anyhow::bail;
use ccms_core::ids::{DeviceId, LightId};
use ccms_store::{Curated, NewDevice};
use clap::Subcommand;

use super::{ConfigArgs, audit_entry, with_store};
use crate::config::Config;

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

pub fn device(args: &ConfigArgs, command: &DeviceCommand) -> anyhow::Result<()> {
    with_store(args, async |config, store| device_command(&config, &store, command).await)
}

async fn device_command(config: &Config, store: &ccms_store::DynStore, command: &DeviceCommand) -> anyhow::Result<()> {
    let now = config.clock().now();
    let audit =
        |action: &str, target: &DeviceId| audit_entry(config, action, target.as_str(), serde_json::json!({}));
    match command {
        DeviceCommand::Add { device_id, light_id, latitude, longitude, name, address, claim_hours } => {
            if latitude.abs() > 90.0 || longitude.abs() > 180.0 {
                bail!("latitude is -90 to 90 and longitude -180 to 180 degrees");
            }
            let new = NewDevice {
                device_id: device_id.clone(),
                light_id: light_id.clone(),
                curated: Curated {
                    name: name.clone(),
                    address: address.clone(),
                    city: config.city.name.clone(),
                    latitude: *latitude,
                    longitude: *longitude,
                    ..Curated::default()
                },
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
