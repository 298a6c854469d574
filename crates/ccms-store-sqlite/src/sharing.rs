//! One process has this file: the lease is its own, and nobody else changes anything that it would have to be told of.
use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{DeviceRecord, LightRecord, Notices, Sharing, StoreResult};
use tokio::sync::mpsc;

use crate::{SqliteStore, commands, devices, failed, lights};

#[async_trait]
impl Sharing for SqliteStore {
    async fn hold_lease(&self, _for_ms: u32) -> StoreResult<bool> {
        Ok(true)
    }

    async fn leave_lease(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn notices(&self) -> StoreResult<Notices> {
        Ok(mpsc::channel(1).1)
    }

    async fn tell_contacts(&self, _heard: &[(DeviceNo, UtcMillis)]) -> StoreResult<()> {
        Ok(())
    }

    async fn devices_of(&self, numbers: &[DeviceNo]) -> StoreResult<Vec<DeviceRecord>> {
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        let mut found = Vec::new();
        for no in in_order(numbers) {
            found.extend(devices::device_by_no(&mut connection, no).await?);
        }
        Ok(found)
    }

    async fn lights_of(&self, numbers: &[LightNo]) -> StoreResult<Vec<LightRecord>> {
        let mut found = Vec::new();
        for no in in_order(numbers) {
            let next = lights::after(self, LightNo(no.0.saturating_sub(1)), 1).await?;
            found.extend(next.into_iter().filter(|light| light.no == no));
        }
        Ok(found)
    }

    async fn live_commands_of(&self, devices: &[DeviceNo]) -> StoreResult<Vec<Command>> {
        let mut live = commands::live(self).await?;
        live.retain(|command| devices.contains(&command.device_no));
        Ok(live)
    }
}

/// Each once, the lowest first.
fn in_order<N: Copy + Ord>(numbers: &[N]) -> std::collections::BTreeSet<N> {
    numbers.iter().copied().collect()
}
