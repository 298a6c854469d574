//! What others changed: the database tells which rows, and they are read again. Many notices at once are one reading. The
//! connection for notices may be lost and what was told meanwhile with it: then everything is read again.
use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceId, DeviceNo};
use ccms_store::{DeviceRecord, LightRecord, Notice, StoreResult};

use super::news::{Changed, News};
use crate::ccms::Ccms;

/// Everything is read again after so long, whatever was told: for what nobody thought of.
const CATCH_UP_EVERY: Duration = Duration::from_secs(600);
/// Distance between attempts when the database does not answer.
const AGAIN_AFTER: Duration = Duration::from_millis(500);
impl Ccms {
    /// Takes up what others changed until this system stops.
    pub(super) async fn heed_notices(&self) {
        let stop = self.inner().stop.clone();
        let mut notices = loop {
            match self.store().notices().await {
                Ok(notices) => break notices,
                Err(error) => tracing::warn!(%error, "notices of other processes are not heard"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                () = stop.cancelled() => return,
            }
        };
        let mut catch_up = tokio::time::interval(CATCH_UP_EVERY);
        catch_up.reset();
        let mut news = News::default();
        loop {
            tokio::select! {
                heard = notices.recv() => match heard {
                    Some(notice) => news.add(notice),
                    None => return,
                },
                _ = catch_up.tick() => news.add(Notice::Everything),
                () = tokio::time::sleep(AGAIN_AFTER), if !news.is_empty() => {}
                () = stop.cancelled() => return,
            }
            news.drain(&mut notices);
            if let Err(error) = self.take_up(&mut news).await {
                tracing::warn!(%error, "what other processes changed could not be read; trying again");
            }
        }
    }

    /// Reads again what changed. What could not be read stays in `news`.
    async fn take_up(&self, news: &mut News) -> StoreResult<()> {
        self.take_contacts(std::mem::take(&mut news.contacts));
        // Devices before the lights that they drive, both before commands.
        if !news.devices.is_empty() {
            let devices = match news.devices.all {
                true => self.store().devices().await?,
                false => self.store().devices_of(&news.devices.listed()).await?,
            };
            self.take_devices(devices);
            news.devices = Changed::default();
        }
        if !news.lights.is_empty() {
            let lights = match news.lights.all {
                true => self.store().lights().await?,
                false => self.store().lights_of(&news.lights.listed()).await?,
            };
            self.take_lights(lights).await?;
            news.lights = Changed::default();
        }
        if !news.commands.is_empty() {
            let unsettled = self.take_commands(&news.commands).await?;
            news.commands = Changed::of(unsettled);
        }
        while let Some(no) = news.alerts.first().copied() {
            if let Some(alert) = self.store().alert(no).await? {
                self.tell_alert_of_another(alert);
            }
            news.alerts.remove(&no);
        }
        Ok(())
    }

    /// Devices as the database has them.
    fn take_devices(&self, devices: Vec<DeviceRecord>) {
        let changed: Vec<DeviceNo> = {
            let mut live = self.live().write();
            devices.into_iter().filter_map(|device| live.device_is(device)).collect()
        };
        // One that was revoked is told so, though it waits.
        changed.into_iter().for_each(|no| self.inner().waiting.wake(no));
    }

    /// Lights as the database has them, with devices that were not known yet.
    pub(super) async fn take_lights(&self, lights: Vec<LightRecord>) -> StoreResult<()> {
        let unknown: BTreeSet<DeviceNo> = {
            let live = self.live().read();
            lights.iter().filter_map(|l| l.device_no).filter(|no| live.device(*no).is_none()).collect()
        };
        if !unknown.is_empty() {
            let devices = self.store().devices_of(&Vec::from_iter(unknown)).await?;
            self.take_devices(devices);
        }
        let mut live = self.live().write();
        lights.into_iter().for_each(|light| live.light_is(light));
        Ok(())
    }

    /// One device as the database has it, with its lights: for whoever has to know now, before a notice comes.
    pub(crate) async fn take_device(&self, id: &DeviceId) -> StoreResult<()> {
        if let Some(device) = self.store().device(id).await? {
            let no = device.no;
            self.take_devices(vec![device]);
            let lights = self.store().lights_of_device(no).await?;
            self.take_lights(lights).await?;
        }
        Ok(())
    }

    /// The live commands of these devices as the database has them. Answers the devices whose commands changed here while
    /// they were read there: they are to be read again.
    async fn take_commands(&self, changed: &Changed<DeviceNo>) -> StoreResult<BTreeSet<DeviceNo>> {
        // Nobody here queues or cancels meanwhile, so what is not in the database is over.
        let _turn = self.inner().ordering.lock().await;
        let (steps, held) = {
            let live = self.live().read();
            let concerned: Vec<_> =
                live.devices().filter(|d| changed.all || changed.some.contains(&d.record.no)).collect();
            let steps: HashMap<DeviceNo, u32> = concerned.iter().map(|d| (d.record.no, d.command_steps)).collect();
            let held: Vec<(DeviceNo, CommandId)> =
                concerned.iter().flat_map(|d| d.commands.iter().map(|c| (d.record.no, c.command.id.clone()))).collect();
            (steps, held)
        };
        let stored = match changed.all {
            true => self.store().live_commands().await?,
            false => self.store().live_commands_of(&changed.listed()).await?,
        };
        let alive: HashSet<&CommandId> = stored.iter().map(|c| &c.id).collect();
        let mut found: HashMap<DeviceNo, Vec<Command>> = HashMap::new();
        for (device, id) in held.iter().filter(|(_, id)| !alive.contains(id)) {
            found.entry(*device).or_default().extend(self.store().command(id).await?);
        }
        // What ended first, so that what took its place comes behind it.
        for command in stored {
            found.entry(command.device_no).or_default().push(command);
        }
        let (mut unsettled, mut woken) = (BTreeSet::new(), Vec::new());
        {
            let mut live = self.live().write();
            for (device, commands) in found {
                if live.device(device).map(|d| d.command_steps) != steps.get(&device).copied() {
                    unsettled.insert(device);
                } else if live.commands_are(device, commands) {
                    woken.push(device);
                }
            }
        }
        woken.into_iter().for_each(|no| self.inner().waiting.wake(no));
        Ok(unsettled)
    }
}
