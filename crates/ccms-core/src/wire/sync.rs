//! `POST /device/{deviceId}/sync`: what piled up while the device was offline, in sections that are applied in the order of
//! [`SyncMessage`]'s fields. Every section may be missing, and none costs another: what cannot be read is set apart.
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::ack::{AckMessage, AckRequest};
use super::alert::{AlertMessage, AlertRequest};
use super::logs::{LogLine, LogsMessage};
use super::measured::Item;
use super::status::{Reader, StatusMessage, StatusRequest};
use super::{BadBody, Quarantined, Shape, field};
use crate::limits::SYNC_ITEMS_MAX;
use crate::time::UtcMillis;

/// A sync as a device writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SyncRequest {
    pub device_id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acks: Vec<AckRequest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertRequest>,
    /// The present state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusRequest>,
    /// The past.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<StatusRequest>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logs: Vec<LogLine>,
}

/// A sync as it came.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SyncMessage {
    pub device_id: Option<String>,
    pub gsm_imei: Option<String>,
    pub acks: Vec<AckMessage>,
    pub alerts: Vec<AlertMessage>,
    /// The section `status`, then the section `readings`.
    pub statuses: Vec<StatusMessage>,
    pub logs: LogsMessage,
    pub quarantined: Vec<Quarantined>,
}

impl SyncMessage {
    /// Reads the sections; a bare array is one of readings, and a bare status counts too.
    ///
    /// # Errors
    /// [`BadBody`] when the body is not JSON, has none of the sections, or more in one of them than a device can keep.
    pub fn parse(body: &[u8], received_at: UtcMillis) -> Result<Self, BadBody> {
        super::mending(body, |body| Self::parse_json(body, received_at))
    }

    fn parse_json(body: &str, received_at: UtcMillis) -> Result<Self, BadBody> {
        let mut sync = Self::default();
        let mut reader = Reader::new(received_at);
        if let Shape::List(items) = super::shape(body)? {
            reader.readings(&items, &Item::default())?;
        } else {
            let [device_id, acks, alerts, status, logs] =
                field::fields(body, ["device_id", "acks", "alerts", "status", "logs"])?;
            let outer = Item::read(body)?;
            let statuses = status.is_some() || outer.readings.is_some() || outer.lights.is_some() || outer.measures();
            if acks.is_none() && alerts.is_none() && logs.is_none() && !statuses {
                return Err(BadBody::Shape("a sync has acks, alerts, status, readings or logs"));
            }
            sync.device_id = field::identity(device_id);
            sync.gsm_imei = field::imei(outer.gsm_imei);
            sync.acks = sync.section(acks, "acks", "no acknowledgement", |r| AckMessage::read(r.get()))?;
            sync.alerts = sync.section(alerts, "alerts", "no alert", AlertMessage::item)?;
            present(&mut reader, status, &outer)?;
            if let Some(readings) = outer.readings {
                match field::items(readings) {
                    Some(items) => reader.readings(&items, &outer)?,
                    None => reader.readings(&[readings], &outer)?,
                }
            }
            sync.logs = logs.map(LogsMessage::section).unwrap_or_default();
        }
        sync.statuses = reader.batch.messages;
        sync.quarantined.append(&mut reader.batch.quarantined);
        Ok(sync)
    }

    /// The items of one section; a single item may stand without a list around it.
    fn section<T>(
        &mut self,
        raw: Option<&RawValue>,
        what: &'static str,
        reason: &'static str,
        read: impl Fn(&RawValue) -> Result<T, BadBody>,
    ) -> Result<Vec<T>, BadBody> {
        let items = raw.map(|raw| field::items(raw).unwrap_or_else(|| vec![raw])).unwrap_or_default();
        if items.len() > SYNC_ITEMS_MAX {
            return Err(BadBody::TooMany { max: SYNC_ITEMS_MAX, what });
        }
        let mut kept = Vec::with_capacity(items.len());
        for raw in items {
            match read(raw) {
                Ok(item) => kept.push(item),
                Err(_) => self.quarantined.push(Quarantined::new(raw, reason)),
            }
        }
        Ok(kept)
    }
}

/// The section `status`: a status, a list of them, or, when a status was sent here without sections, its part of that name.
fn present(reader: &mut Reader, status: Option<&RawValue>, outer: &Item<'_>) -> Result<(), BadBody> {
    let around = outer.without_readings();
    match status {
        Some(status) => match (field::items(status), Item::read(status.get())) {
            (Some(items), _) => reader.readings(&items, &around),
            (None, Ok(item)) if item.is_documented() || item.lights.is_some() => reader.readings(&[status], &around),
            (None, _) => reader.object(&around),
        },
        None if outer.lights.is_some() || outer.measures() => reader.object(&around),
        None => Ok(()),
    }
}

/// The answer: what became of it all, with the server's pacing and, in time, a fresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncResponse {
    pub status: String,
    pub message: String,
    /// Readings that were new.
    pub stored: u32,
    /// Readings that were there already.
    pub duplicate: u32,
    /// Items of any section that could not be read.
    pub quarantined: u32,
    /// What was taken of the other sections.
    pub acks: u32,
    pub alerts: u32,
    pub logs: u32,
    pub next_update_seconds: u32,
    pub next_poll_seconds: u32,
    pub server_timestamp: UtcMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<UtcMillis>,
}

impl SyncResponse {
    pub const MESSAGE: &'static str = "Data synchronised";
}
