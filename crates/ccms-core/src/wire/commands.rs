//! `GET /device/{deviceId}/commands`.
use serde::{Deserialize, Serialize};

use crate::command::{Command, CommandKind, CommandType, Priority};
use crate::ids::CommandId;
use crate::reading::PowerState;
use crate::schedule::Schedule;
use crate::time::UtcMillis;

/// The documented answer to a poll.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandsResponse {
    pub status: String,
    pub commands: Vec<CommandMessage>,
    pub server_timestamp: UtcMillis,
    /// Addition: when to poll next, 2 to 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_poll_seconds: Option<u32>,
}

/// One command as a device receives it. `id` and `type` repeat `command_id` and `command_type`, because the document's
/// pseudocode reads those names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub type_: Option<CommandType>,
}

impl From<&Command> for CommandMessage {
    fn from(c: &Command) -> Self {
        let (action, brightness_level, schedule) = match c.kind {
            CommandKind::Power(state) => (Some(state), None, None),
            CommandKind::Brightness(level) => (None, Some(level), None),
            CommandKind::Schedule(schedule) => (None, None, Some(schedule)),
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
        }
    }
}
