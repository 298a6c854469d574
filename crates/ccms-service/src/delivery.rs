//! Commands on their way to the device: handed out to polls, again after a while, never once their time is over. A poll may
//! wait until there is something for it.
use std::pin::pin;
use std::time::Duration;

use ccms_core::command::{Command, CommandEvent, CommandState};
use ccms_core::ids::{CommandId, DeviceNo};
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_core::wire::commands::{CommandMessage, CommandsResponse};
use ccms_store::{CommandChange, DeviceState, StoreResult};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::ccms::Ccms;
use crate::identity::DeviceIdentity;
use crate::metrics;
use crate::refusal::Refusal;
use crate::request;

/// The shortest rest of a waiting poll between two looks, whatever the clocks say.
const LOOK_AGAIN_MIN: Duration = Duration::from_secs(1);

impl Ccms {
    /// A poll: what is due, in the order of execution. It does not consume: a command is handed out again until it is
    /// acknowledged or over. An empty poll touches memory only.
    pub async fn poll(&self, who: &DeviceIdentity) -> Result<CommandsResponse, Refusal> {
        let now = self.now();
        let mut due = self.take_due(who, now)?;
        if !due.is_empty() {
            // On a task of its own: a device that hangs up in between must not leave memory behind the database.
            let (ccms, device) = (self.clone(), who.no);
            let handing =
                tokio::spawn(request::go_on(async move { ccms.hand_out(device, due, now).await }.in_current_span()));
            due = handing.await.map_err(|_| Refusal::unavailable())??;
        }
        due.sort_by_key(Command::execution_order);
        Ok(CommandsResponse {
            status: "ok".into(),
            commands: due.iter().map(CommandMessage::from).collect(),
            server_timestamp: now,
            next_poll_seconds: Some(self.pace(who.no, now).1),
        })
    }

    /// A poll that is held until something is due for the device, for at most `longest` or until `end`.
    pub async fn poll_waiting(
        &self,
        who: &DeviceIdentity,
        longest: Duration,
        end: &CancellationToken,
    ) -> Result<CommandsResponse, Refusal> {
        let place = if longest.is_zero() { None } else { self.inner().waiting.enter(who.no) };
        let Some(place) = place else { return self.poll(who).await };
        let mut over = pin!(tokio::time::sleep(longest));
        loop {
            // Listen before looking: a command that comes in between is not missed.
            let mut rung = pin!(place.bell.notified());
            rung.as_mut().enable();
            let answer = self.poll(who).await?;
            if !answer.commands.is_empty() {
                return Ok(answer);
            }
            let again = self.due_again_in(who.no);
            tokio::select! {
                () = rung => {}
                () = tokio::time::sleep(again.unwrap_or(longest)), if again.is_some() => {}
                () = &mut over => return self.poll(who).await,
                () = end.cancelled() => return Ok(answer),
                () = self.inner().stop.cancelled() => return Ok(answer),
            }
        }
    }

    /// Polls that are held, for metrics and tests.
    pub fn waiting_polls(&self) -> usize {
        self.inner().waiting.polls()
    }

    /// What a poll at `now` gets, marked in the same breath, so that two polls at once do not both get it.
    fn take_due(&self, who: &DeviceIdentity, now: UtcMillis) -> Result<Vec<Command>, Refusal> {
        let mut live = self.live().write();
        // A poll may have waited while its device was revoked.
        let valid =
            live.device(who.no).is_some_and(|d| d.record.state == DeviceState::Claimed && d.record.epoch == who.epoch);
        if !valid {
            return Err(Refusal::unauthorized("The device token is no longer valid; configure again"));
        }
        live.contact(who.no, now);
        let held = live.device_mut(who.no).into_iter().flat_map(|d| &mut d.commands);
        let due = held.filter(|c| c.is_due(now)).map(|c| {
            c.handed_out_at = Some(now);
            c.command.clone()
        });
        Ok(due.collect())
    }

    /// Records the first hand-over, then lets memory follow. Answers what is handed out.
    async fn hand_out(&self, device: DeviceNo, mut due: Vec<Command>, now: UtcMillis) -> StoreResult<Vec<Command>> {
        if self.is_shared() {
            let ended = self.ended_elsewhere(&due).await.inspect_err(|_| self.put_back(device, &due))?;
            due.retain(|c| !ended.contains(&c.id));
        }
        let first: Vec<CommandChange> = due
            .iter()
            .filter(|c| c.state == CommandState::Queued)
            .map(|c| CommandChange { delivered_at: Some(now), ..change(c, CommandState::Delivered, now) })
            .collect();
        if !first.is_empty() {
            let applied = self.store().change_commands(&first).await.inspect_err(|_| self.put_back(device, &due))?;
            // A command that was superseded or cancelled meanwhile is not handed out.
            let lost: Vec<CommandId> =
                first.into_iter().zip(applied).filter(|(_, ok)| !ok).map(|(c, _)| c.id).collect();
            due.retain(|c| !lost.contains(&c.id));
            self.follow_commands(&lost).await?;
        }
        let mut live = self.live().write();
        due.iter().for_each(|c| live.command_changed(&c.id, CommandEvent::Delivered, now));
        Ok(due)
    }

    /// What is handed out once more writes nothing, so nothing would say that another process ended it a moment ago.
    async fn ended_elsewhere(&self, due: &[Command]) -> StoreResult<Vec<CommandId>> {
        let mut again: Vec<CommandId> =
            due.iter().filter(|c| c.state != CommandState::Queued).map(|c| c.id.clone()).collect();
        self.follow_commands(&again).await?;
        let live = self.live().read();
        let pending = |id: &CommandId| {
            let device = live.command_owner(id).and_then(|no| live.device(no));
            device.is_some_and(|d| d.commands.iter().any(|c| c.command.id == *id && c.command.state.is_pending()))
        };
        again.retain(|id| !pending(id));
        Ok(again)
    }

    /// Takes into memory what the store has of commands that had moved on there.
    async fn follow_commands(&self, ids: &[CommandId]) -> StoreResult<()> {
        for id in ids {
            if let Some(command) = self.store().command(id).await? {
                self.live().write().command_is(command);
            }
        }
        Ok(())
    }

    /// The hand-over was not recorded, so it did not happen: the next poll gets them.
    fn put_back(&self, device: DeviceNo, due: &[Command]) {
        let mut live = self.live().write();
        let held = live.device_mut(device).into_iter().flat_map(|d| &mut d.commands);
        held.filter(|c| due.iter().any(|d| d.id == c.command.id)).for_each(|c| c.handed_out_at = None);
    }

    /// When a command that was handed out is due again, if one is.
    fn due_again_in(&self, device: DeviceNo) -> Option<Duration> {
        let now = self.now();
        let rest_ms = i64::from(limits::REDELIVERY_INTERVAL_S) * 1000;
        let live = self.live().read();
        let pending = live.device(device)?.commands.iter().filter(|c| c.command.state.is_pending());
        let next = pending.map(|c| c.handed_out_at.map_or(0, |at| rest_ms - now.since(at))).min()?;
        Some(Duration::from_millis(next.max(0).unsigned_abs()).max(LOOK_AGAIN_MIN))
    }

    /// Records one step and lets memory follow. False when the command had moved on meanwhile.
    pub(crate) async fn change_command(&self, step: &CommandChange, event: CommandEvent) -> StoreResult<bool> {
        let applied = self.store().change_commands(std::slice::from_ref(step)).await?.first() == Some(&true);
        if applied {
            self.live().write().command_stepped(step, event);
            metrics::command_finished(step.to);
        }
        Ok(applied)
    }

    /// Ends commands whose time is over.
    pub(crate) async fn expire_commands(&self) {
        let now = self.now();
        let over: Vec<CommandChange> = {
            let live = self.live().read();
            live.expired_commands(now).map(|c| change(c, CommandState::Expired, now)).collect()
        };
        if over.is_empty() {
            return;
        }
        match self.store().change_commands(&over).await {
            Ok(applied) => {
                let (done, lost): (Vec<_>, Vec<_>) = over.into_iter().zip(applied).partition(|(_, ok)| *ok);
                for (step, _) in &done {
                    self.live().write().command_changed(&step.id, CommandEvent::Expired, now);
                    metrics::command_finished(step.to);
                }
                let lost: Vec<CommandId> = lost.into_iter().map(|(step, _)| step.id).collect();
                if let Err(error) = self.follow_commands(&lost).await {
                    tracing::error!(%error, "commands that had moved on could not be read; the next look tries again");
                }
            }
            Err(error) => tracing::error!(%error, "expired commands were not recorded; they are not handed out either"),
        }
    }
}

/// A step from the command's present state.
pub(crate) fn change(command: &Command, to: CommandState, at: UtcMillis) -> CommandChange {
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
