//! `POST /device/{deviceId}/status`: one status nested as documented, flat as in the pseudocode, an array of either,
//! `{"readings":[…]}`, or `{"lights":[…]}` with what the lights have in common beside it. What of a list cannot be a reading
//! is set apart and does not cost the others.
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::measured::Item;
use super::{BadBody, Quarantined, field};
use crate::limits::READINGS_PER_REQUEST_MAX;
use crate::reading::{PowerState, Reading};
use crate::time::UtcMillis;

/// One status as it came, with the identities it claims; the caller compares those with the token's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusMessage {
    pub device_id: Option<String>,
    /// Without the blanks around it.
    pub gsm_imei: Option<String>,
    pub light_id: Option<String>,
    /// `reading.light_id` is set when `light_id` parses.
    pub reading: Reading,
}

/// What a body of statuses holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusBatch {
    pub messages: Vec<StatusMessage>,
    pub quarantined: Vec<Quarantined>,
    /// It was a list, whose sender wants to know what became of its readings.
    pub is_list: bool,
}

const NO_LIST: &str = "\"readings\" must be an array";

/// Reads a status body of any documented shape.
///
/// # Errors
/// [`BadBody`] when the body is not JSON, is an object that is no status, or has more than [`READINGS_PER_REQUEST_MAX`]
/// readings.
pub fn parse(body: &[u8], received_at: UtcMillis) -> Result<StatusBatch, BadBody> {
    super::mending(body, |body| parse_json(body, received_at))
}

pub(super) fn parse_json(body: &str, received_at: UtcMillis) -> Result<StatusBatch, BadBody> {
    let mut reader = Reader::new(received_at);
    match super::shape(body)? {
        super::Shape::List(items) => {
            reader.batch.is_list = true;
            reader.readings(&items, &Item::default())?;
        }
        super::Shape::Object => {
            let outer = Item::read(body)?;
            if outer.lights.is_none() && !outer.is_status() {
                match outer.readings {
                    None => return Err(BadBody::Shape("a status has none of the documented fields")),
                    Some(r) if field::items(r).is_none() => return Err(BadBody::Shape(NO_LIST)),
                    Some(_) => {}
                }
            }
            reader.object(&outer)?;
        }
    }
    Ok(reader.batch)
}

/// Collects the statuses of one request, however many lists they come in.
pub(super) struct Reader {
    pub batch: StatusBatch,
    received_at: UtcMillis,
}

impl Reader {
    pub fn new(received_at: UtcMillis) -> Self {
        Self { batch: StatusBatch::default(), received_at }
    }

    /// Readings one by one; `outer` is what is said once for all.
    pub fn readings(&mut self, items: &[&RawValue], outer: &Item<'_>) -> Result<(), BadBody> {
        self.room_for(items.len())?;
        for raw in items {
            match Item::read(raw.get()) {
                Ok(item) if item.lights.is_some() || item.is_status() => {
                    self.object(&item.without_readings().of(outer))?;
                }
                Ok(_) => self.quarantine(raw, "a reading has none of the documented fields")?,
                Err(_) => self.quarantine(raw, "a reading is an object that has each name once")?,
            }
        }
        Ok(())
    }

    /// One object: itself, its lights, its readings.
    pub fn object(&mut self, outer: &Item<'_>) -> Result<(), BadBody> {
        match outer.lights {
            Some(lights) => self.lights(lights, outer)?,
            None if outer.readings.is_none() || outer.measures() => self.push(outer)?,
            None => {}
        }
        if let Some(readings) = outer.readings {
            self.batch.is_list = true;
            match field::items(readings) {
                Some(items) => self.readings(&items, outer)?,
                None => self.quarantine(readings, NO_LIST)?,
            }
        }
        Ok(())
    }

    fn lights(&mut self, raw: &RawValue, outer: &Item<'_>) -> Result<(), BadBody> {
        self.batch.is_list = true;
        let items = field::items(raw).unwrap_or_else(|| vec![raw]);
        self.room_for(items.len())?;
        let mut names_outer = outer.light_id.is_none();
        let mut common = *outer;
        for raw in items {
            let item = match raw.get().as_bytes().first() {
                Some(b'"') => Ok(Item::naming(raw)),
                _ => Item::read(raw.get()),
            };
            match item.map(|item| (item.says_something(), item.among_lights(&common))) {
                Ok((true, item)) if item.is_status() => {
                    names_outer |= field::identity(item.light_id) == field::identity(outer.light_id);
                    self.push(&item)?;
                    // One meter stands with the first light, as a reading does that names none.
                    common = outer.without_meter();
                }
                Ok(_) => self.quarantine(raw, "a light has none of the documented fields")?,
                Err(_) => self.quarantine(raw, "a light is an object that has each name once")?,
            }
        }
        // Beside the list stands a status of a light of its own.
        if !names_outer && outer.measures() { self.push(outer) } else { Ok(()) }
    }

    fn push(&mut self, item: &Item<'_>) -> Result<(), BadBody> {
        self.room_for(1)?;
        self.batch.messages.push(item.message(self.received_at));
        Ok(())
    }

    fn room_for(&self, more: usize) -> Result<(), BadBody> {
        let have = self.batch.messages.len() + self.batch.quarantined.len();
        if have + more > READINGS_PER_REQUEST_MAX {
            return Err(BadBody::TooMany { max: READINGS_PER_REQUEST_MAX, what: "readings" });
        }
        Ok(())
    }

    fn quarantine(&mut self, raw: &RawValue, reason: &'static str) -> Result<(), BadBody> {
        self.room_for(1)?;
        self.batch.quarantined.push(Quarantined::new(raw, reason));
        Ok(())
    }
}

/// The documented status as a device writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusRequest {
    pub device_id: String,
    pub light_id: String,
    pub timestamp: UtcMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u32>,
    pub status: StatusPart,
    pub energy: EnergyPart,
}

/// A value that its writer cannot measure is left out, which a reader stores as unknown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusPart {
    pub power_state: PowerState,
    pub brightness: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_celsius: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_percentage: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gsm_signal_strength: Option<u8>,
    pub uptime_seconds: u32,
    pub error_flags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyPart {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voltage: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_watts: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frequency: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cumulative_kwh: Option<f64>,
}

/// The documented answer, with the server's pacing and, in time, a fresh token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusResponse {
    pub status: String,
    pub message: String,
    pub next_update_seconds: u32,
    pub server_timestamp: UtcMillis,
    /// Addition: when to poll next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_poll_seconds: Option<u32>,
    /// Additions for arrays: what became of the readings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicate: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<u32>,
    /// Addition: a fresh token once half of the old one's life is over. The old one stays valid until this is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<UtcMillis>,
}

impl StatusResponse {
    pub const MESSAGE: &'static str = "Status recorded";
}
