//! Commands: queued by an operator, handed out to polls, acknowledged by the device, or over in another way.
//! Every step is on disk before anyone is told of it; memory follows.
use ccms_core::command::{Command, CommandEvent, CommandKind, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightId};
use ccms_core::time::UtcMillis;
use ccms_core::view::CommandView;
use ccms_core::wire::ack::{AckMessage, AckResponse};
use ccms_core::wire::commands::{CommandMessage, CommandsResponse};
use ccms_store::{CommandChange, StoreResult};
use serde_json::json;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::people::MayCommand;
use crate::queries::command_view;
use crate::refusal::Refusal;
use crate::telemetry::DeviceIdentity;

impl Ccms {
    /// Queues a command for one light. It supersedes a live one of the same type.
    pub async fn command(
        &self,
        by: MayCommand<'_>,
        light: &LightId,
        kind: CommandKind,
    ) -> Result<CommandView, ServiceError> {
        if matches!(kind, CommandKind::Brightness(percent) if percent > 100) {
            return Err(ServiceError::Invalid {
                field: "brightness_level",
                message: "Brightness is 0 to 100 %.".into(),
            });
        }
        let now = self.now();
        let (light_no, device_no) = {
            let live = self.live().read();
            let light = live.light_no(light).and_then(|no| live.light(no)).ok_or(ServiceError::NotFound)?;
            let device = live.device_of(light).ok_or_else(|| ServiceError::Invalid {
                field: "light_id",
                message: "No controller is assigned to this light.".into(),
            })?;
            (light.record.no, device.record.no)
        };
        let command = Command {
            id: self.new_command_id(),
            light_no,
            device_no,
            kind,
            // A person waits for it: the device polls every two seconds until it is done.
            priority: Priority::High,
            state: CommandState::Queued,
            requested_by: by.person().email.clone(),
            requested_at: now,
            expires_at: now.plus_seconds(kind.default_life_s()),
            delivered_at: None,
            finished_at: None,
            executed_at: None,
            detail: None,
        };
        let particulars = json!({"command_id": command.id.as_str(), "kind": kind});
        let audit = self.audit_entry(&by.person().email, "command.create", light.as_str(), particulars);
        let superseded = self.store().enqueue_command(&command, &audit).await?;
        let view = command_view(&command);
        let mut live = self.live().write();
        superseded.iter().for_each(|id| live.command_changed(id, CommandEvent::Superseded, now));
        live.put_command(command);
        Ok(view)
    }

    /// A poll: what is due, oldest obligations first. It does not consume: a command is handed out again until it is
    /// acknowledged or over. An empty poll touches memory only.
    pub async fn poll(&self, who: &DeviceIdentity) -> Result<CommandsResponse, Refusal> {
        let now = self.now();
        let mut due: Vec<Command> = {
            let mut live = self.live().write();
            live.contact(who.no, now);
            let device = live.device(who.no);
            device.into_iter().flat_map(|d| &d.commands).filter(|c| c.is_due(now)).map(|c| c.command.clone()).collect()
        };
        if !due.is_empty() {
            self.hand_out(who.no, &mut due, now).await?;
        }
        due.sort_by_key(Command::execution_order);
        Ok(CommandsResponse {
            status: "ok".into(),
            commands: due.iter().map(CommandMessage::from).collect(),
            server_timestamp: now,
            next_poll_seconds: Some(self.pace(who.no, now).1),
        })
    }

    async fn hand_out(&self, device: DeviceNo, due: &mut Vec<Command>, now: UtcMillis) -> StoreResult<()> {
        let first: Vec<CommandChange> = due
            .iter()
            .filter(|c| c.state == CommandState::Queued)
            .map(|c| CommandChange { delivered_at: Some(now), ..change(c, CommandState::Delivered, now) })
            .collect();
        if !first.is_empty() {
            let applied = self.store().change_commands(&first).await?;
            // A command that was superseded or cancelled meanwhile is not handed out.
            let lost: Vec<&CommandId> = first.iter().zip(applied).filter(|(_, ok)| !ok).map(|(c, _)| &c.id).collect();
            due.retain(|c| !lost.contains(&&c.id));
        }
        let mut live = self.live().write();
        for command in due.iter() {
            live.command_changed(&command.id, CommandEvent::Delivered, now);
        }
        if let Some(held) = live.device_mut(device) {
            let handed = held.commands.iter_mut().filter(|c| due.iter().any(|d| d.id == c.command.id));
            handed.for_each(|c| c.handed_out_at = Some(now));
        }
        Ok(())
    }

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
            self.audit(&format!("device {path}"), "device.mismatch", path.as_str(), json!({"part": "ack body"})).await;
            return Err(Refusal::mismatch("device_id in the body differs from the path"));
        }
        let device = match who {
            Some(identity) => {
                self.live().write().contact(identity.no, now);
                Some(identity.no)
            }
            None => self.live().read().device_no(path),
        };
        let known = match (&ack.command_id, device) {
            (Some(id), Some(device)) => self.take_ack(id, device, who.is_some(), &ack, now).await?,
            _ => false,
        };
        if !known {
            let named = ack.command_id.as_ref().map_or("unreadable", CommandId::as_str);
            self.audit(&format!("device {path}"), "command.ack_ignored", named, json!({"verified": who.is_some()}))
                .await;
        }
        let message = if known { AckResponse::MESSAGE } else { AckResponse::IGNORED };
        Ok(AckResponse { status: "success".into(), message: message.into(), server_timestamp: now, ignored: !known })
    }

    /// True when the command is this device's, whether or not the acknowledgement still changed anything.
    async fn take_ack(
        &self,
        id: &CommandId,
        device: DeviceNo,
        verified: bool,
        ack: &AckMessage,
        now: UtcMillis,
    ) -> StoreResult<bool> {
        let held = {
            let live = self.live().read();
            live.device(device).and_then(|d| d.commands.iter().find(|c| c.command.id == *id)).map(|c| c.command.clone())
        };
        let Some(command) = held else {
            // Over already, or never ours: the store remembers.
            return Ok(self.store().command(id).await?.is_some_and(|c| c.device_no == device));
        };
        let event = CommandEvent::Acknowledged { status: ack.status, verified };
        if let Some(next) = command.state.after(event) {
            let change = CommandChange {
                executed_at: ack.executed_at,
                detail: ack.detail.clone(),
                ..change(&command, next, now)
            };
            self.change_command(&change, event).await?;
        }
        Ok(true)
    }

    /// Records one step and lets memory follow.
    async fn change_command(&self, step: &CommandChange, event: CommandEvent) -> StoreResult<()> {
        if self.store().change_commands(std::slice::from_ref(step)).await?.first() == Some(&true) {
            self.live().write().command_changed(&step.id, event, step.at);
        }
        Ok(())
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

    /// Ends commands whose time is over.
    pub(crate) async fn expire_commands(&self) {
        let now = self.now();
        let over: Vec<CommandChange> = {
            let live = self.live().read();
            let expired = live.devices().flat_map(|d| &d.commands).filter(|c| c.command.is_expired(now));
            expired.map(|c| change(&c.command, CommandState::Expired, now)).collect()
        };
        if over.is_empty() {
            return;
        }
        match self.store().change_commands(&over).await {
            Ok(applied) => {
                let mut live = self.live().write();
                let done = over.iter().zip(applied).filter(|(_, ok)| *ok);
                done.for_each(|(c, _)| live.command_changed(&c.id, CommandEvent::Expired, now));
            }
            Err(error) => tracing::error!(%error, "expired commands were not recorded; they are not handed out either"),
        }
    }
}

fn change(command: &Command, to: CommandState, at: UtcMillis) -> CommandChange {
    CommandChange {
        id: command.id.clone(),
        from: command.state,
        to,
        at,
        delivered_at: None,
        executed_at: None,
        detail: None,
    }
}
