//! `POST /device/{deviceId}/logs`. The document names it and shows no body: `{"logs":[…]}`, an array, or one entry; an
//! entry is a text, or an object with a text in it.
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::field::Raw;
use super::{BadBody, Shape, field};
use crate::limits::{LOG_LINE_CHARS_MAX, LOG_LINES_MAX};
use crate::reading::clean_text;
use crate::time::UtcMillis;

/// Logs as a device writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogsRequest {
    pub device_id: String,
    pub logs: Vec<LogLine>,
}

/// One line, cleaned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<UtcMillis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    pub message: String,
}

/// Logs as they came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogsMessage {
    pub device_id: Option<String>,
    /// At most [`LOG_LINES_MAX`], the last ones.
    pub lines: Vec<LogLine>,
    /// How many were left out before them.
    pub dropped: usize,
}

impl LogsMessage {
    /// # Errors
    /// [`BadBody`] when the body is not JSON, or an object that says nothing.
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        super::mending(body, Self::parse_json)
    }

    fn parse_json(body: &str) -> Result<Self, BadBody> {
        if let Shape::List(items) = super::shape(body)? {
            return Ok(Self::from_items(&items));
        }
        let [device_id, logs] = field::fields(body, ["device_id", "logs"])?;
        let mut message = Self::default();
        match logs {
            Some(logs) => message = Self::section(logs),
            // One entry, without a list around it.
            None => message.lines.extend(object(body)?),
        }
        if message.lines.is_empty() && logs.is_none() {
            return Err(BadBody::Shape("\"logs\" is missing"));
        }
        message.device_id = field::identity(device_id);
        Ok(message)
    }

    /// What stands under `logs`: a list, a text of many lines, or one entry.
    pub(super) fn section(raw: &RawValue) -> Self {
        if let Some(items) = field::items(raw) {
            return Self::from_items(&items);
        }
        match field::text(Some(raw)) {
            Some(text) => Self::from_lines(text.lines().filter_map(plain).collect()),
            None => Self::from_items(&[raw]),
        }
    }

    fn from_items(items: &[&RawValue]) -> Self {
        let skipped = items.len().saturating_sub(LOG_LINES_MAX);
        let mut message = Self::from_lines(items[skipped..].iter().filter_map(|raw| line(raw)).collect());
        message.dropped += skipped;
        message
    }

    fn from_lines(mut lines: Vec<LogLine>) -> Self {
        let dropped = lines.len().saturating_sub(LOG_LINES_MAX);
        lines.drain(..dropped);
        Self { device_id: None, lines, dropped }
    }

    /// As text, one line each, for keeping and showing.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            if let Some(at) = line.timestamp {
                let _ = write!(text, "{at} ");
            }
            if let Some(level) = &line.level {
                let _ = write!(text, "{level} ");
            }
            text.push_str(&line.message);
            text.push('\n');
        }
        text
    }
}

fn plain(text: &str) -> Option<LogLine> {
    let message = clean_text(text, LOG_LINE_CHARS_MAX);
    (!message.is_empty()).then_some(LogLine { timestamp: None, level: None, message })
}

/// An item. Nothing is lost: what has no text of its own is kept as the JSON that it is.
fn line(raw: &RawValue) -> Option<LogLine> {
    if field::is_object(raw) {
        return object(raw.get()).ok().flatten().or_else(|| plain(raw.get()));
    }
    match field::text(Some(raw)) {
        Some(text) => plain(&text),
        None => plain(raw.get()),
    }
}

fn object(json: &str) -> Result<Option<LogLine>, BadBody> {
    let [message, msg, text, level, severity, timestamp, time] =
        field::fields(json, ["message", "msg", "text", "level", "severity", "timestamp", "time"])?;
    let cleaned = |raw: Raw<'_>| field::cleaned(raw, LOG_LINE_CHARS_MAX);
    let message = cleaned(message).or_else(|| cleaned(msg)).or_else(|| cleaned(text));
    Ok(message.map(|message| LogLine {
        timestamp: field::instant(timestamp.or(time)),
        level: field::cleaned(level.or(severity), LEVEL_CHARS_MAX),
        message,
    }))
}

/// Characters kept of a level.
const LEVEL_CHARS_MAX: usize = 16;

/// The answer; the document shows none, so it has the shape of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogsResponse {
    pub status: String,
    pub message: String,
    /// Lines that were kept.
    pub stored: u32,
    pub server_timestamp: UtcMillis,
}

impl LogsResponse {
    pub const MESSAGE: &'static str = "Logs recorded";
}
