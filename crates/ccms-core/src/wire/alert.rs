//! `POST /device/{deviceId}/alert`. The document names it and shows no body, so every usual spelling is read.
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{BadBody, Shape, field};
use crate::ids::LightId;
use crate::limits::{ALERT_KIND_CHARS_MAX, DEVICE_MESSAGE_CHARS_MAX};
use crate::reading::{Fnv, clock_may_be_right};
use crate::time::UtcMillis;

/// How bad it is. The route is for critical alerts, so that is what silence means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertSeverity {
    Info,
    Warning,
    #[default]
    Critical,
}

impl AlertSeverity {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Reads what loggers and firmware usually call it.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "info" | "information" | "notice" | "debug" | "low" => Some(Self::Info),
            "warning" | "warn" | "minor" | "medium" | "moderate" => Some(Self::Warning),
            "critical" | "crit" | "fatal" | "error" | "emergency" | "alert" | "major" | "high" | "severe" => {
                Some(Self::Critical)
            }
            _ => None,
        }
    }
}

/// An alert as a device writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertRequest {
    pub device_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light_id: Option<String>,
    /// `battery_low`, `overheating`, …
    pub alert_type: String,
    pub severity: AlertSeverity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    pub timestamp: UtcMillis,
}

/// An alert as it came.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertMessage {
    pub device_id: Option<String>,
    pub light_id: Option<String>,
    /// `light_id`, if it can be one.
    pub light: Option<LightId>,
    /// Small letters, digits and `_`, so that the same alert is recognised however it is spelt.
    pub kind: String,
    pub severity: AlertSeverity,
    pub message: Option<String>,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    pub at: Option<UtcMillis>,
}

impl AlertMessage {
    /// The kind of an alert that names none.
    pub const UNNAMED: &'static str = "device_alert";

    /// # Errors
    /// [`BadBody`] when the body is not a JSON object, or says neither a kind nor a message.
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        super::mending(body, Self::parse_json)
    }

    fn parse_json(body: &str) -> Result<Self, BadBody> {
        match super::shape(body)? {
            Shape::Object => Self::read(body),
            Shape::List(_) => Err(BadBody::Shape("an object was expected")),
        }
    }

    /// One of a sync's alerts: an object, or only its kind.
    pub(super) fn item(raw: &RawValue) -> Result<Self, BadBody> {
        if raw.get().starts_with('"') { Self::new(raw_kind(raw), None) } else { Self::read(raw.get()) }
    }

    /// By what the same message is recognised when it is sent again. One without a time cannot be, nor one whose clock cannot
    /// be right: after each start such a clock says the same again, and what is said then may be new.
    pub fn dedupe_key(&self, received_at: UtcMillis) -> Option<i64> {
        let at = self.at.filter(|at| clock_may_be_right(*at, received_at))?;
        let mut hash = Fnv::new();
        hash.number(Some(at.0));
        for text in [Some(self.kind.as_str()), self.message.as_deref(), self.light_id.as_deref()] {
            hash.text(text);
        }
        Some(hash.finish().cast_signed())
    }

    fn read(json: &str) -> Result<Self, BadBody> {
        let [device_id, light_id, alert_type, type_, code, severity, level, message, description, at, value, threshold] =
            field::fields(
                json,
                [
                    "device_id",
                    "light_id",
                    "alert_type",
                    "type",
                    "code",
                    "severity",
                    "level",
                    "message",
                    "description",
                    "timestamp",
                    "value",
                    "threshold",
                ],
            )?;
        let kind = [alert_type, type_, code].into_iter().flatten().find_map(raw_kind);
        let text = |raw| field::cleaned(raw, DEVICE_MESSAGE_CHARS_MAX);
        let mut alert = Self::new(kind, text(message).or_else(|| text(description)))?;
        alert.device_id = field::identity(device_id);
        alert.light_id = field::identity(light_id);
        alert.light = alert.light_id.as_deref().and_then(|t| LightId::parse(t).ok());
        let severity = [severity, level].into_iter().find_map(|raw| AlertSeverity::parse(&field::text(raw)?));
        alert.severity = severity.unwrap_or_default();
        alert.value = value.and_then(field::number);
        alert.threshold = threshold.and_then(field::number);
        alert.at = field::instant(at);
        Ok(alert)
    }

    fn new(kind: Option<String>, message: Option<String>) -> Result<Self, BadBody> {
        if kind.is_none() && message.is_none() {
            return Err(BadBody::Shape("an alert has an \"alert_type\" or a \"message\""));
        }
        Ok(Self {
            device_id: None,
            light_id: None,
            light: None,
            kind: kind.unwrap_or_else(|| Self::UNNAMED.to_owned()),
            severity: AlertSeverity::default(),
            message,
            value: None,
            threshold: None,
            at: None,
        })
    }
}

/// `Battery Low!` is `battery_low`.
fn raw_kind(raw: &RawValue) -> Option<String> {
    let text = field::text(Some(raw))?;
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let mut kind = words.collect::<Vec<_>>().join("_").to_ascii_lowercase();
    kind.truncate(ALERT_KIND_CHARS_MAX);
    (!kind.is_empty()).then_some(kind)
}

/// The answer; the document shows none, so it has the shape of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertResponse {
    pub status: String,
    pub message: String,
    pub server_timestamp: UtcMillis,
    /// True when the same alert was open already: nobody was told again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub duplicate: bool,
}

impl AlertResponse {
    pub const MESSAGE: &'static str = "Alert recorded";
}
