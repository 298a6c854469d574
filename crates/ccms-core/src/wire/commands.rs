//! `GET /device/{deviceId}/commands`.
use serde::{Deserialize, Deserializer, Serialize};

use crate::command::{Command, CommandKind, CommandType, Priority};
use crate::ids::CommandId;
use crate::reading::PowerState;
use crate::schedule::Schedule;
use crate::time::UtcMillis;

/// The documented answer to a poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandsResponse {
    pub status: String,
    /// Those that can be read: a command of a type that is not known yet does not hide the others.
    #[serde(default, deserialize_with = "readable")]
    pub commands: Vec<CommandMessage>,
    pub server_timestamp: UtcMillis,
    /// Addition: when to poll next, 2 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_poll_seconds: Option<u32>,
}

/// One command as a device receives it. `id` and `type` repeat `command_id` and `command_type`, because the document's
/// pseudocode reads those names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct CommandMessage {
    pub command_id: CommandId,
    pub command_type: CommandType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<PowerState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brightness_level: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    pub priority: Priority,
    pub requested_at: UtcMillis,
    /// Addition: not to be executed from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UtcMillis>,
    /// Addition: the device itself goes back to its schedule after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert_after_seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<CommandType>,
}

/// Either spelling, as in the document's poll, its pseudocode and its MQTT message.
#[derive(Deserialize)]
struct Wire {
    command_id: Option<CommandId>,
    id: Option<CommandId>,
    command_type: Option<CommandType>,
    #[serde(rename = "type")]
    type_: Option<CommandType>,
    action: Option<PowerState>,
    brightness_level: Option<f64>,
    schedule: Option<Schedule>,
    priority: Option<Priority>,
    requested_at: Option<UtcMillis>,
    timestamp: Option<UtcMillis>,
    expires_at: Option<UtcMillis>,
    revert_after_seconds: Option<u32>,
}

impl TryFrom<Wire> for CommandMessage {
    type Error = &'static str;

    fn try_from(w: Wire) -> Result<Self, Self::Error> {
        Ok(Self {
            command_id: w.command_id.or_else(|| w.id.clone()).ok_or("\"command_id\" is missing")?,
            command_type: w.command_type.or(w.type_).ok_or("\"command_type\" is missing")?,
            action: w.action,
            brightness_level: w.brightness_level.filter(|b| (0.0..=100.0).contains(b)).map(|b| b.round() as u8),
            schedule: w.schedule,
            priority: w.priority.unwrap_or(Priority::Normal),
            requested_at: w.requested_at.or(w.timestamp).unwrap_or_default(),
            expires_at: w.expires_at,
            revert_after_seconds: w.revert_after_seconds,
            id: w.id,
            type_: w.type_,
        })
    }
}

fn readable<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<CommandMessage>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(d)?;
    Ok(all.into_iter().filter_map(|c| serde_json::from_value(c).ok()).collect())
}

impl From<&Command> for CommandMessage {
    fn from(c: &Command) -> Self {
        let (action, brightness_level, schedule) = match c.kind {
            CommandKind::Power(state) => (Some(state), None, None),
            CommandKind::Brightness(level) => (None, Some(level), None),
            CommandKind::Schedule(schedule) => (None, None, Some(schedule)),
            CommandKind::Reset => (None, None, None),
        };
        Self {
            command_id: c.id.clone(),
            command_type: c.kind.command_type(),
            action,
            brightness_level,
            schedule,
            priority: c.priority,
            requested_at: c.requested_at,
            expires_at: Some(c.expires_at),
            revert_after_seconds: None,
            id: Some(c.id.clone()),
            type_: Some(c.kind.command_type()),
        }
    }
}

impl CommandMessage {
    /// What is asked, if the fields that its type needs are there.
    pub fn kind(&self) -> Option<CommandKind> {
        match self.command_type {
            CommandType::PowerControl => self.action.map(CommandKind::Power),
            CommandType::BrightnessControl => self.brightness_level.filter(|b| *b <= 100).map(CommandKind::Brightness),
            CommandType::ScheduleUpdate => self.schedule.map(CommandKind::Schedule),
            CommandType::DeviceReset => Some(CommandKind::Reset),
        }
    }
}
