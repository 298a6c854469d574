//! Commands from the side of who gives them: queued for one light or many, looked up, cancelled. Every step is on disk before
//! anyone is told of it; memory follows. How they reach the device is in `delivery`, how they come back in `acks`.
use std::collections::{BTreeMap, BTreeSet};

use ccms_core::command::{Command, CommandEvent, CommandKind, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceNo, LightId, LightNo};
use ccms_core::limits;
use ccms_core::reading::clean_text;
use ccms_core::time::UtcMillis;
use ccms_core::view::CommandView;
use ccms_store::AnswerNote;
use serde_json::json;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::metrics;
use crate::permission::{MayCommand, MayView, Who};
use crate::queries::command_view;
use crate::told::Happening;

/// Lights in one batch of commands.
pub const COMMAND_LIGHTS_MAX: usize = 10_000;
/// The longest time that a command may stay worth executing.
pub const COMMAND_LIFE_MAX_S: i64 = 7 * 86_400;
/// Distance between two restarts of one controller.
pub const RESET_EVERY_S: i64 = 3_600;
/// Characters kept of a reason.
const REASON_CHARS_MAX: usize = 240;

/// The same command for some lights.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    pub lights: &'a [LightId],
    pub kind: CommandKind,
    pub priority: Priority,
    pub expires_in_s: Option<i64>,
    pub reason: Option<&'a str>,
}

/// Makes of the commands what is answered to them, for whom and under which key.
pub type KeepAnswer<'a> = Box<dyn FnOnce(&[CommandView]) -> AnswerNote + Send + 'a>;

impl Ccms {
    /// Queues a command for one light, as urgent as a person who waits for it. It supersedes a live one of the same type.
    pub async fn command(
        &self,
        by: MayCommand<'_>,
        light: &LightId,
        kind: CommandKind,
    ) -> Result<CommandView, ServiceError> {
        let views = self.command_many(by, std::slice::from_ref(light), kind, Priority::High, None, None).await?;
        views.into_iter().next().ok_or(ServiceError::NotFound)
    }

    /// Queues the same command for several lights: all of them or, when one cannot be commanded, none. A light that is named
    /// twice gets it once. Answers in the order of `lights`.
    pub async fn command_many(
        &self,
        by: MayCommand<'_>,
        lights: &[LightId],
        kind: CommandKind,
        priority: Priority,
        expires_in_s: Option<i64>,
        reason: Option<&str>,
    ) -> Result<Vec<CommandView>, ServiceError> {
        self.order(by, &Order { lights, kind, priority, expires_in_s, reason }, None).await
    }

    /// The same. With `keep` the commands and what is answered to them are one transaction: a request that is sent again finds
    /// both or neither, whatever became of this server in between.
    pub async fn order(
        &self,
        by: MayCommand<'_>,
        order: &Order<'_>,
        keep: Option<KeepAnswer<'_>>,
    ) -> Result<Vec<CommandView>, ServiceError> {
        let Order { lights, kind, priority, expires_in_s, reason } = *order;
        let life_s = check(lights, &kind, expires_in_s)?;
        let reason = reason.map(|r| clean_text(r, REASON_CHARS_MAX)).filter(|r| !r.is_empty());
        let targets = self.targets(by.who(), lights)?;
        // One at a time, so that of two commands for a light memory and disk agree which came last.
        let _turn = self.inner().ordering.lock().await;
        let now = self.now();
        if kind == CommandKind::Reset {
            self.check_resets(&targets, now).await?;
        }
        let commands: Vec<Command> = targets
            .iter()
            .map(|(_, light_no, device_no)| Command {
                id: self.new_command_id(),
                light_no: *light_no,
                device_no: *device_no,
                kind,
                priority,
                state: CommandState::Queued,
                requested_by: by.name().to_owned(),
                reason: reason.clone(),
                requested_at: now,
                expires_at: now.plus_seconds(life_s),
                delivered_at: None,
                unverified_at: None,
                finished_at: None,
                executed_at: None,
                detail: None,
            })
            .collect();
        let audit = {
            let ids: Vec<&str> = commands.iter().map(|c| c.id.as_str()).collect();
            let named: Vec<&str> = targets.iter().map(|(id, ..)| id.as_str()).collect();
            let (target, particulars) = match (named.as_slice(), ids.as_slice()) {
                ([light], [id]) => ((*light).to_owned(), json!({"command_id": id, "kind": kind, "reason": reason})),
                _ => (
                    format!("{} lights", named.len()),
                    json!({"command_ids": ids, "light_ids": named, "kind": kind, "reason": reason}),
                ),
            };
            self.audit_entry(by.name(), "command.create", &target, particulars)
        };
        let views: Vec<CommandView> =
            commands.iter().zip(&targets).map(|(c, (light, ..))| command_view(c, light)).collect();
        let superseded = match keep.map(|keep| keep(&views)) {
            Some(note) => self.store().enqueue_commands_once(&commands, &audit, &note).await?,
            None => self.store().enqueue_commands(&commands, &audit).await?,
        };
        let devices: BTreeSet<DeviceNo> = commands.iter().map(|c| c.device_no).collect();
        {
            let mut live = self.live().write();
            superseded.iter().for_each(|id| live.command_changed(id, CommandEvent::Superseded, now));
            for command in commands {
                live.happens(Happening::Command(Box::new(command.clone())));
                live.put_command(command);
            }
        }
        superseded.iter().for_each(|_| metrics::command_finished(CommandState::Superseded));
        devices.into_iter().for_each(|no| self.inner().waiting.wake(no));
        Ok(views)
    }

    /// One command, with a time for each step.
    pub async fn find_command(&self, by: MayView<'_>, id: &CommandId) -> Result<CommandView, ServiceError> {
        let command = self.store().command(id).await?.ok_or(ServiceError::NotFound)?;
        let light = self.seen_light(by.who(), command.light_no).ok_or(ServiceError::NotFound)?;
        Ok(command_view(&command, &light))
    }

    /// Takes a command back that is not over yet. Whether the device has acted on it already, its next status shows.
    pub async fn cancel_command(&self, by: MayCommand<'_>, id: &CommandId) -> Result<CommandView, ServiceError> {
        let known = self.store().command(id).await?.ok_or(ServiceError::NotFound)?;
        let light = self.seen_light(by.who(), known.light_no).ok_or(ServiceError::NotFound)?;
        let audit = self.audit_entry(by.name(), "command.cancel", light.as_str(), json!({"command_id": id.as_str()}));
        let _turn = self.inner().ordering.lock().await;
        let now = self.now();
        let cancelled = self.store().cancel_command(id, now, &audit).await?.ok_or_else(|| ServiceError::Invalid {
            field: "command_id",
            message: "This command is over already.".into(),
        })?;
        self.live().write().command_changed(id, CommandEvent::Cancelled, now);
        metrics::command_finished(CommandState::Cancelled);
        Ok(command_view(&cancelled, &light))
    }

    /// The id of a light, if it is theirs to see.
    pub(crate) fn seen_light(&self, who: Who<'_>, no: LightNo) -> Option<LightId> {
        let live = self.live().read();
        live.light(no).filter(|l| who.sees(&l.record)).map(|l| l.record.id())
    }

    /// Each light once, with its number and its device's.
    fn targets(&self, who: Who<'_>, lights: &[LightId]) -> Result<Vec<(LightId, LightNo, DeviceNo)>, ServiceError> {
        let live = self.live().read();
        let (mut targets, mut seen) = (Vec::with_capacity(lights.len()), BTreeSet::new());
        for id in lights {
            let light = live.light_no(id).and_then(|no| live.light(no)).filter(|l| who.sees(&l.record));
            let light = light.ok_or(ServiceError::NotFound)?;
            let device = live.device_of(light).ok_or_else(|| ServiceError::Invalid {
                field: "light_id",
                message: format!("No controller is assigned to light {id}."),
            })?;
            if seen.insert(light.record.no) {
                targets.push((id.clone(), light.record.no, device.record.no));
            }
        }
        Ok(targets)
    }

    /// A controller restarts at most once an hour, whoever asks, and through whichever of its lights.
    async fn check_resets(&self, targets: &[(LightId, LightNo, DeviceNo)], now: UtcMillis) -> Result<(), ServiceError> {
        let invalid = |message| Err(ServiceError::Invalid { field: "command_type", message });
        let mut asked: BTreeMap<DeviceNo, &LightId> = BTreeMap::new();
        for (id, _, device) in targets {
            if let Some(first) = asked.insert(*device, id) {
                return invalid(format!("Lights {first} and {id} have one controller; name one of them."));
            }
        }
        for device in self.store().devices_restarted_since(now.plus_seconds(-RESET_EVERY_S)).await? {
            if let Some(id) = asked.get(&device) {
                return invalid(format!("The controller of light {id} was restarted less than an hour ago."));
            }
        }
        Ok(())
    }
}

/// Refuses what no light could do; answers the command's life in seconds.
fn check(lights: &[LightId], kind: &CommandKind, expires_in_s: Option<i64>) -> Result<i64, ServiceError> {
    let invalid = |field, message: String| Err(ServiceError::Invalid { field, message });
    if lights.is_empty() || lights.len() > COMMAND_LIGHTS_MAX {
        return invalid("light_ids", format!("Name 1 to {COMMAND_LIGHTS_MAX} lights."));
    }
    if matches!(kind, CommandKind::Brightness(percent) if *percent > 100) {
        return invalid("brightness_level", "Brightness is 0 to 100 %.".into());
    }
    let life_s = expires_in_s.unwrap_or_else(|| kind.default_life_s());
    if !(i64::from(limits::POLL_INTERVAL_URGENT_S)..=COMMAND_LIFE_MAX_S).contains(&life_s) {
        let shortest = limits::POLL_INTERVAL_URGENT_S;
        return invalid("expires_in_seconds", format!("A command lives {shortest} seconds to 7 days."));
    }
    Ok(life_s)
}
