//! `/device/{deviceId}/firmware`: PUT reports what the controller runs and how far an update is, GET asks for an image.
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{BadBody, Shape, field};
use crate::limits::{DEVICE_MESSAGE_CHARS_MAX, DEVICE_TEXT_CHARS_MAX};
use crate::time::UtcMillis;

/// A report as a device writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FirmwareRequest {
    pub device_id: String,
    pub firmware_version: String,
    /// `running`, `downloading`, `installing`, `failed`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub timestamp: UtcMillis,
}

/// A report as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirmwareMessage {
    pub device_id: Option<String>,
    pub version: Option<String>,
    pub state: Option<String>,
    pub progress_percent: Option<u8>,
    pub message: Option<String>,
    pub at: Option<UtcMillis>,
}

impl FirmwareMessage {
    /// # Errors
    /// [`BadBody`] when the body is not a JSON object, or says neither version, state nor progress.
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        super::mending(body, Self::parse_json)
    }

    fn parse_json(body: &str) -> Result<Self, BadBody> {
        let Shape::Object = super::shape(body)? else { return Err(BadBody::Shape("an object was expected")) };
        let [device_id, firmware_version, version, state, status, progress, message, error, at] = field::fields(
            body,
            [
                "device_id",
                "firmware_version",
                "version",
                "state",
                "status",
                "progress",
                "message",
                "error",
                "timestamp",
            ],
        )?;
        let text = |raw| field::cleaned(raw, DEVICE_TEXT_CHARS_MAX);
        let report = Self {
            device_id: field::identity(device_id),
            version: text(firmware_version).or_else(|| text(version)),
            state: text(state).or_else(|| text(status)),
            progress_percent: progress
                .and_then(field::number)
                .filter(|p| (0.0..=100.0).contains(p))
                .map(|p| p.round() as u8),
            message: field::cleaned(message.or(error), DEVICE_MESSAGE_CHARS_MAX),
            at: field::instant(at),
        };
        if report.version.is_none() && report.state.is_none() && report.progress_percent.is_none() {
            return Err(BadBody::Shape("a firmware report has a \"firmware_version\", a \"state\" or a \"progress\""));
        }
        Ok(report)
    }
}

/// The answer to PUT, and to GET while there is no image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirmwareResponse {
    pub status: String,
    pub message: String,
    /// What to install: `null` when the controller is to stay as it is.
    pub update: Option<Value>,
    pub server_timestamp: UtcMillis,
}

impl FirmwareResponse {
    pub const RECORDED: &'static str = "Firmware report recorded";
    pub const NO_UPDATE: &'static str = "No update is assigned";

    /// The answer to a report.
    pub fn recorded(now: UtcMillis) -> Self {
        Self { status: "success".into(), message: Self::RECORDED.into(), update: None, server_timestamp: now }
    }

    /// The answer to the question for an image.
    pub fn no_update(now: UtcMillis) -> Self {
        Self { status: "ok".into(), message: Self::NO_UPDATE.into(), update: None, server_timestamp: now }
    }
}
