//! What an operation means in a store: only that can be changed which is there, and people have other numbers in each.
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceNo, LightNo, UserId};
use ccms_store::Store;
use ccms_store::contract::samples;

use super::{Order, command_id};

pub async fn user(store: &dyn Store, email: &str) -> Option<UserId> {
    store.user_by_email(email).await.unwrap().map(|u| u.id)
}

/// One that is alive and not before `id`, or `id` itself.
pub async fn alive(store: &dyn Store, id: &CommandId) -> CommandId {
    let live = store.live_commands().await.unwrap();
    live.into_iter().map(|c| c.id).filter(|c| c >= id).min().unwrap_or_else(|| id.clone())
}

pub async fn known(store: &dyn Store, device: u32) -> Option<DeviceNo> {
    store.devices().await.unwrap().into_iter().map(|d| d.no).find(|no| no.0 == device)
}

/// The orders for lights that have a controller.
pub async fn commands(store: &dyn Store, orders: &[Order]) -> Vec<Command> {
    let (lights, devices) = (store.lights().await.unwrap(), store.devices().await.unwrap());
    orders
        .iter()
        .filter_map(|order| {
            let light = lights.iter().find(|l| l.no == LightNo(order.light))?;
            let device = devices.iter().find(|d| Some(d.no) == light.device_no)?;
            let id = command_id(order.id);
            Some(samples::command(id.as_str(), device, light, order.kind, order.at))
        })
        .collect()
}
