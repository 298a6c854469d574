//! What devices say became of commands. With a token it counts at once; without one, when an authenticated status agrees.
//! Ids that are unknown, foreign or over are answered like any other: nothing happens, and nothing is to be repeated.
use ccms_core::command::{Command, CommandEvent};
use ccms_core::ids::{CommandId, DeviceId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::{AckMessage, AckResponse};
use ccms_store::{CommandChange, StoreResult};
use serde_json::json;

use crate::ccms::Ccms;
use crate::delivery::change;
use crate::identity::DeviceIdentity;
use crate::refusal::Refusal;

impl Ccms {
    /// An acknowledgement. `who` is `None` when it came without a token: then it counts as unverified until an
    /// authenticated status agrees.
    pub async fn acknowledge(
        &self,
        path: &DeviceId,
        who: Option<&DeviceIdentity>,
        ack: AckMessage,
    ) -> Result<AckResponse, Refusal> {
        let now = self.now();
        if ack.device_id.as_deref().is_some_and(|id| id != path.as_str()) {
            self.note_of_device(path, "device.mismatch", path.as_str(), json!({"part": "ack body"})).await;
            return Err(Refusal::mismatch("device_id in the body differs from the path"));
        }
        let device = match who {
            Some(identity) => {
                self.live().write().contact(identity.no, now);
                Some(identity.no)
            }
            None => self.live().read().device_no(path),
        };
        let known = match device {
            Some(device) => self.take_ack(device, who.is_some(), &ack, now).await?,
            None => false,
        };
        if !known {
            let named = ack.command_id.as_ref().map_or("unreadable", CommandId::as_str);
            self.note_of_device(path, "command.ack_ignored", named, json!({"verified": who.is_some()})).await;
        }
        let message = if known { AckResponse::MESSAGE } else { AckResponse::IGNORED };
        Ok(AckResponse { status: "success".into(), message: message.into(), server_timestamp: now, ignored: !known })
    }

    /// True when the command is this device's, whether or not the acknowledgement still changed anything.
    pub(crate) async fn take_ack(
        &self,
        device: DeviceNo,
        verified: bool,
        ack: &AckMessage,
        now: UtcMillis,
    ) -> StoreResult<bool> {
        let Some(id) = &ack.command_id else { return Ok(false) };
        let held = {
            let live = self.live().read();
            live.device(device).and_then(|d| d.commands.iter().find(|c| c.command.id == *id)).map(|c| c.command.clone())
        };
        if let Some(held) = held
            && self.step(&held, verified, ack, now).await?
        {
            return Ok(true);
        }
        // Over already, never ours, or it moved on while we looked: the store knows.
        let Some(stored) = self.store().command(id).await?.filter(|c| c.device_no == device) else { return Ok(false) };
        let changed = self.step(&stored, verified, ack, now).await?;
        // Without a token nobody is told of a command that was never handed out.
        Ok(changed || verified || stored.delivered_at.is_some())
    }

    /// True when the acknowledgement changed the command as it is given here.
    async fn step(&self, command: &Command, verified: bool, ack: &AckMessage, now: UtcMillis) -> StoreResult<bool> {
        let event = CommandEvent::Acknowledged { status: ack.status, verified };
        let Some(next) = command.state.after(event) else { return Ok(false) };
        let step =
            CommandChange { executed_at: ack.executed_at, detail: ack.detail.clone(), ..change(command, next, now) };
        self.change_command(&step, event).await
    }

    /// A status showed that an unverified command was done.
    pub(crate) async fn confirm_command(&self, id: &CommandId) {
        let now = self.now();
        let command = {
            let live = self.live().read();
            let device = live.command_owner(id).and_then(|no| live.device(no));
            device.and_then(|d| d.commands.iter().find(|c| c.command.id == *id)).map(|c| c.command.clone())
        };
        let Some(command) = command else { return };
        if let Some(next) = command.state.after(CommandEvent::Confirmed)
            && let Err(error) = self.change_command(&change(&command, next, now), CommandEvent::Confirmed).await
        {
            tracing::error!(%error, command = %id, "a confirmation was not recorded; the next status repeats it");
        }
    }
}
