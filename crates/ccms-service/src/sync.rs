//! POST sync: everything that piled up while a device was offline, in one request. Acknowledgements first, then alerts, then
//! its present state and its past, then logs; an item that cannot be read is put aside and costs nobody else. What names
//! another device or its light refuses the whole, before anything is kept.
use ccms_core::command::CommandEvent;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::AckMessage;
use ccms_core::wire::sync::{SyncMessage, SyncResponse};
use ccms_store::{CommandChange, StoreResult};

use crate::ccms::Ccms;
use crate::delivery::change;
use crate::identity::DeviceIdentity;
use crate::metrics;
use crate::refusal::Refusal;

impl Ccms {
    /// Returns when all of it is on disk. A sync that is sent again changes nothing.
    pub async fn sync(&self, who: &DeviceIdentity, message: SyncMessage) -> Result<SyncResponse, Refusal> {
        let now = self.now();
        let lights = self.check_sync(who, &message).await?;
        let rows = self.rows_of(who, message.statuses, now).await?;
        let acks = self.take_acks(who, &message.acks, now).await?;
        let mut alerts = 0;
        for (alert, light) in message.alerts.into_iter().zip(lights) {
            self.keep_alert(who, light, alert).await?;
            alerts += 1;
        }
        let kept = self.keep_rows(rows).await?;
        // Logs are for curiosity: too many of them are left out, and nothing else waits for them.
        let logs = match message.logs.lines.is_empty() || self.admit_logs(who.no).is_err() {
            true => 0,
            false => self.keep_logs(who, &message.logs).await?,
        };
        let quarantined = self.put_aside(who, message.quarantined).await?;
        self.live().write().contact(who.no, now);
        let (next_update_seconds, next_poll_seconds) = self.pace(who.no, now);
        let credentials = self.refresh(who, now);
        Ok(SyncResponse {
            status: "success".into(),
            message: SyncResponse::MESSAGE.into(),
            stored: kept.stored,
            duplicate: kept.duplicate,
            quarantined,
            acks,
            alerts,
            logs,
            next_update_seconds,
            next_poll_seconds,
            server_timestamp: now,
            token_expires_at: credentials.as_ref().map(|c| c.expires_at),
            device_token: credentials.map(|c| c.token),
        })
    }

    /// That nothing in it speaks of another device. Answers the light of each alert.
    async fn check_sync(&self, who: &DeviceIdentity, message: &SyncMessage) -> Result<Vec<Option<LightNo>>, Refusal> {
        let named = std::iter::once(&message.device_id)
            .chain(message.acks.iter().map(|a| &a.device_id))
            .chain(message.alerts.iter().map(|a| &a.device_id))
            .chain(std::iter::once(&message.logs.device_id));
        for id in named {
            self.check_own_device(who, id.as_deref(), "sync").await?;
        }
        self.check_own_imei(who, message.gsm_imei.as_deref(), "sync").await?;
        let mut lights = Vec::with_capacity(message.alerts.len());
        for alert in &message.alerts {
            lights.push(match &alert.light_id {
                None => self.only_light(who.no),
                Some(_) => Some(self.check_own_light(who, alert.light.as_ref(), "sync").await?),
            });
        }
        Ok(lights)
    }

    /// Takes what can be taken in one transaction, and looks at the rest one by one. Answers how many were this device's.
    async fn take_acks(&self, who: &DeviceIdentity, acks: &[AckMessage], now: UtcMillis) -> StoreResult<u32> {
        let steps: Vec<(usize, CommandEvent, CommandChange)> = {
            let live = self.live().read();
            let held = live.device(who.no).map(|d| d.commands.as_slice()).unwrap_or_default();
            let step = |(at, ack): (usize, &AckMessage)| {
                let id = ack.command_id.as_ref()?;
                let command = &held.iter().find(|c| c.command.id == *id)?.command;
                let event = CommandEvent::Acknowledged { status: ack.status, verified: true };
                let step = change(command, command.state.after(event)?, now);
                Some((at, event, CommandChange { executed_at: ack.executed_at, detail: ack.detail.clone(), ..step }))
            };
            acks.iter().enumerate().filter_map(step).collect()
        };
        let mut taken = vec![false; acks.len()];
        if !steps.is_empty() {
            let changes: Vec<CommandChange> = steps.iter().map(|(.., change)| change.clone()).collect();
            let applied = self.store().change_commands(&changes).await?;
            let mut live = self.live().write();
            for ((at, event, step), _) in steps.iter().zip(applied).filter(|(_, ok)| *ok) {
                live.command_stepped(step, *event);
                metrics::command_finished(step.to);
                taken[*at] = true;
            }
        }
        for (ack, taken) in acks.iter().zip(&mut taken).filter(|(_, taken)| !**taken) {
            *taken = self.take_ack(who.no, true, ack, now).await?;
        }
        Ok(taken.into_iter().filter(|t| *t).count() as u32)
    }
}
