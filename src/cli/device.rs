//! `ccms device …`: controllers, at the command line.
use anyhow::bail;
use ccms_core::ids::{DeviceId, LightId};
use ccms_store::{Curated, DeviceRecord, DeviceState, NewDevice};
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
    /// Open the claim window of a device for 24 hours: of a registered one, or of a revoked one that has its light still.
    Approve {
        #[arg(long)]
        device_id: DeviceId,
    },
    /// Turn a device away that waits to be let in.
    Reject {
        #[arg(long)]
        device_id: DeviceId,
    },
    /// Let a device in service that lost its credentials have fresh ones without proof, once, within 24 hours.
    AllowReclaim {
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
    let audit = |action: &str, target: &DeviceId| audit_entry(config, action, target.as_str(), serde_json::json!({}));
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
            let entry = audit("device.approve", device_id);
            let approved = match store.device(device_id).await?.map(|d| d.state) {
                Some(DeviceState::Revoked) => store.release_device(device_id, Some(until), &entry).await?.is_some(),
                _ => store.open_claim_window(device_id, until, &entry).await?,
            };
            if !approved {
                bail!("{device_id} is not registered, or claimed already; register it first with `ccms device add`");
            }
            println!("{device_id} may claim its place until {until}.");
        }
        DeviceCommand::Reject { device_id } => {
            let waits = |d: DeviceRecord| matches!(d.state, DeviceState::Pending | DeviceState::Registered);
            if !store.device(device_id).await?.is_some_and(waits) {
                bail!("{device_id} does not wait to be let in");
            }
            store.revoke_device(device_id, now, &audit("device.reject", device_id)).await?;
            println!("{device_id} was turned away.");
        }
        DeviceCommand::AllowReclaim { device_id } => {
            let until = now.plus_seconds(86_400);
            if !store.open_reclaim_window(device_id, until, &audit("device.allow_reclaim", device_id)).await? {
                bail!("{device_id} is not in service");
            }
            println!("{device_id} may be claimed again, once, until {until}.");
        }
        DeviceCommand::List => {
            for d in store.devices().await? {
                println!("{:<28} {:<11} {:>4} attempts", d.id.as_str(), d.state.as_str(), d.attempts);
            }
        }
    }
    Ok(())
}
