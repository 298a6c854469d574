//! `POST /device/{deviceId}/command-ack`.
use serde::{Deserialize, Serialize};

use super::BadBody;
use super::field;
use crate::command::AckStatus;
use crate::ids::CommandId;
use crate::limits::DEVICE_TEXT_CHARS_MAX;
use crate::reading::{PowerState, clean_text};
use crate::time::UtcMillis;

/// The documented acknowledgement as a device writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AckRequest {
    pub device_id: String,
    pub command_id: CommandId,
    pub status: AckStatus,
    pub execution_timestamp: UtcMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<AckResult>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AckResult {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_state: Option<PowerState>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_brightness: Option<u8>,
    /// Addition: why it failed or was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// An acknowledgement as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct AckMessage {
    pub device_id: Option<String>,
    /// `None` when it names no possible command; such an acknowledgement is ignored, not refused.
    pub command_id: Option<CommandId>,
    pub status: AckStatus,
    pub executed_at: Option<UtcMillis>,
    /// The `result` as the device wrote it, shortened and cleaned, for the timeline.
    pub detail: Option<String>,
}

impl AckMessage {
    /// Reads both spellings: `command_id`/`execution_timestamp` and the pseudocode's `id`/`timestamp`.
    ///
    /// # Errors
    /// [`BadBody`] when the body is not a JSON object, names no command, or has a status that is none of the four.
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        super::mending(body, Self::parse_json)
    }

    fn parse_json(body: &str) -> Result<Self, BadBody> {
        match super::shape(body)? {
            super::Shape::Object => Self::read(body),
            super::Shape::List(_) => Err(BadBody::Shape("an object was expected")),
        }
    }

    pub(super) fn read(json: &str) -> Result<Self, BadBody> {
        let [device_id, command_id, id, status, execution_timestamp, timestamp, result, message] = field::fields(
            json,
            ["device_id", "command_id", "id", "status", "execution_timestamp", "timestamp", "result", "message"],
        )?;
        let id = field::text(command_id.or(id)).ok_or(BadBody::Shape("\"command_id\" is missing"))?;
        let status = field::text(status)
            .and_then(|t| AckStatus::parse(t.trim()))
            .ok_or(BadBody::Shape("\"status\" must be executed, failed, rejected or expired"))?;
        Ok(Self {
            device_id: field::identity(device_id),
            command_id: CommandId::parse(&id).ok(),
            status,
            executed_at: field::instant(execution_timestamp).or_else(|| field::instant(timestamp)),
            detail: result
                .map(|r| clean_text(r.get(), DEVICE_TEXT_CHARS_MAX))
                .or_else(|| field::cleaned(message, DEVICE_TEXT_CHARS_MAX)),
        })
    }
}

/// The answer; the document shows none, so it has the shape of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AckResponse {
    pub status: String,
    pub message: String,
    pub server_timestamp: UtcMillis,
    /// True when the id is unknown or another device's: nothing happened, and nothing is to be repeated.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignored: bool,
}

impl AckResponse {
    pub const MESSAGE: &'static str = "Acknowledgement recorded";
    pub const IGNORED: &'static str = "No such command for this device";
}
