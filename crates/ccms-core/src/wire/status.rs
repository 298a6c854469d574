//! `POST /device/{deviceId}/status`: one status nested as documented, flat as in the pseudocode, an array of either, or
//! `{"readings":[…]}`.
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::BadBody;
use super::field::{self, Raw};
use crate::ids::LightId;
use crate::limits;
use crate::reading::{PowerState, Reading, ReadingFlags, clean_text};
use crate::time::UtcMillis;

/// One status as it came, with the identities it claims; the caller compares those with the token's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusMessage {
    pub device_id: Option<String>,
    pub light_id: Option<String>,
    /// `reading.light_id` is set when `light_id` parses.
    pub reading: Reading,
}

#[derive(Deserialize, Default)]
struct Wire<'a> {
    #[serde(borrow, default)]
    readings: Raw<'a>,
    #[serde(borrow, default)]
    device_id: Raw<'a>,
    #[serde(borrow, default)]
    light_id: Raw<'a>,
    #[serde(borrow, default)]
    timestamp: Raw<'a>,
    #[serde(borrow, default)]
    seq: Raw<'a>,
    #[serde(borrow, default)]
    status: Raw<'a>,
    #[serde(borrow, default)]
    energy: Raw<'a>,
    // The flat shape.
    #[serde(borrow, default)]
    brightness: Raw<'a>,
    #[serde(borrow, default)]
    battery: Raw<'a>,
}

#[derive(Deserialize, Default)]
struct StatusWire<'a> {
    #[serde(borrow, default)]
    power_state: Raw<'a>,
    #[serde(borrow, default)]
    brightness: Raw<'a>,
    #[serde(borrow, default)]
    temperature_celsius: Raw<'a>,
    #[serde(borrow, default)]
    battery_percentage: Raw<'a>,
    #[serde(borrow, default)]
    gsm_signal_strength: Raw<'a>,
    #[serde(borrow, default)]
    uptime_seconds: Raw<'a>,
    #[serde(borrow, default)]
    error_flags: Raw<'a>,
}

#[derive(Deserialize, Default)]
struct EnergyWire<'a> {
    #[serde(borrow, default)]
    voltage: Raw<'a>,
    #[serde(borrow, default)]
    current: Raw<'a>,
    #[serde(borrow, default)]
    power_watts: Raw<'a>,
    #[serde(borrow, default)]
    frequency: Raw<'a>,
    #[serde(borrow, default)]
    cumulative_kwh: Raw<'a>,
}

/// Reads a status body of any documented shape.
///
/// # Errors
/// [`BadBody`] when the body is not JSON, has no reading in it, or more than [`limits::READINGS_PER_REQUEST_MAX`].
pub fn parse(body: &[u8], received_at: UtcMillis) -> Result<Vec<StatusMessage>, BadBody> {
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    match first {
        Some(b'[') => parse_list(body, received_at),
        Some(b'{') => {
            let wire: Wire<'_> = serde_json::from_slice(body).map_err(|e| BadBody::json(&e))?;
            match wire.readings {
                Some(list) if list.get().starts_with('[') => parse_list(list.get().as_bytes(), received_at),
                Some(_) => Err(BadBody::Shape("\"readings\" must be an array")),
                None => Ok(vec![message(wire, received_at)?]),
            }
        }
        Some(_) => {
            serde_json::from_slice::<&RawValue>(body).map_err(|e| BadBody::json(&e))?;
            Err(BadBody::Shape("a status is an object or an array of objects"))
        }
        None => Err(BadBody::NotJson("it is empty".into())),
    }
}

fn parse_list(body: &[u8], received_at: UtcMillis) -> Result<Vec<StatusMessage>, BadBody> {
    let list: Vec<&RawValue> = serde_json::from_slice(body).map_err(|e| BadBody::json(&e))?;
    if list.len() > limits::READINGS_PER_REQUEST_MAX {
        return Err(BadBody::TooMany { max: limits::READINGS_PER_REQUEST_MAX });
    }
    list.into_iter()
        .map(|raw| {
            let wire =
                super::object(raw.get().as_bytes()).map_err(|_| BadBody::Shape("every reading must be an object"))?;
            message(wire, received_at)
        })
        .collect()
}

fn message(w: Wire<'_>, received_at: UtcMillis) -> Result<StatusMessage, BadBody> {
    let mut r = Reading::default();
    let (status, energy) = (part::<StatusWire<'_>>(w.status), part::<EnergyWire<'_>>(w.energy));
    // `"status":"on"` is the flat shape; anything else that is not an object says nothing.
    let power = match w.status {
        Some(raw) if !field::is_object(raw) => Some(raw),
        _ => status.power_state,
    };
    if power.is_none() && w.timestamp.is_none() && w.energy.is_none() && w.brightness.is_none() && w.status.is_none() {
        return Err(BadBody::Shape("a status has none of the documented fields"));
    }
    let f = &mut r.flags;
    r.power_state = power.filter(|p| p.get() != "null").and_then(|raw| {
        let state = field::text(Some(raw)).and_then(|t| PowerState::parse(&t));
        if state.is_none() {
            f.set(ReadingFlags::BAD_POWER_STATE);
        }
        state
    });
    let percent = (0.0, 100.0);
    r.brightness_percent =
        field::scaled(status.brightness.or(w.brightness), percent, 1.0, ReadingFlags::BAD_BRIGHTNESS, f)
            .map(|v| v as u8);
    r.battery_percent =
        field::scaled(status.battery_percentage.or(w.battery), percent, 1.0, ReadingFlags::BAD_BATTERY, f)
            .map(|v| v as u8);
    r.temperature_dc =
        field::scaled(status.temperature_celsius, (-100.0, 250.0), 10.0, ReadingFlags::BAD_TEMPERATURE, f)
            .map(|v| v as i16);
    r.signal_percent = field::scaled(status.gsm_signal_strength, (-150.0, 100.0), 1.0, ReadingFlags::BAD_SIGNAL, f)
        .map(signal_percent);
    r.uptime_s = field::scaled(status.uptime_seconds, (0.0, f64::from(u32::MAX)), 1.0, ReadingFlags::BAD_UPTIME, f)
        .map(|v| v as u32);
    r.voltage_dv = field::scaled(energy.voltage, (0.0, 1000.0), 10.0, ReadingFlags::BAD_VOLTAGE, f).map(|v| v as u16);
    r.current_ma = field::scaled(energy.current, (0.0, 1000.0), 1000.0, ReadingFlags::BAD_CURRENT, f).map(|v| v as u32);
    r.power_dw =
        field::scaled(energy.power_watts, (0.0, 100_000.0), 10.0, ReadingFlags::BAD_POWER, f).map(|v| v as u32);
    r.frequency_chz =
        field::scaled(energy.frequency, (0.0, 500.0), 100.0, ReadingFlags::BAD_FREQUENCY, f).map(|v| v as u16);
    r.energy_wh = field::scaled(energy.cumulative_kwh, (0.0, 1e9), 1000.0, ReadingFlags::BAD_ENERGY, f);
    r.error_flags = error_flags(status.error_flags, f);
    r.seq = w
        .seq
        .and_then(field::number)
        .filter(|v| v.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(v))
        .map(|v| v as u32);
    match field::instant(w.timestamp) {
        Some(at) => r.reported_at = at,
        None => {
            r.reported_at = received_at;
            r.flags.set(ReadingFlags::CLOCK_MISSING);
        }
    }
    r.judge_clock(received_at);
    let light_id = field::text(w.light_id);
    r.light_id = light_id.as_deref().and_then(|t| LightId::parse(t).ok());
    Ok(StatusMessage { device_id: field::text(w.device_id), light_id, reading: r })
}

/// An object's parts; anything that is not an object has none.
fn part<'a, T: Deserialize<'a> + Default>(raw: Raw<'a>) -> T {
    raw.filter(|r| field::is_object(r)).and_then(|r| serde_json::from_str(r.get()).ok()).unwrap_or_default()
}

/// The sample's 85 is a percentage; negative values are dBm, where -113 is nothing and -51 is full.
fn signal_percent(value: i64) -> u8 {
    if value >= 0 {
        return value as u8;
    }
    ((value as f64 + 113.0) / 62.0 * 100.0).clamp(0.0, 100.0).round() as u8
}

fn error_flags(raw: Raw<'_>, flags: &mut ReadingFlags) -> Vec<Box<str>> {
    let Some(raw) = raw.filter(|r| r.get() != "null") else { return Vec::new() };
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(raw.get()) else {
        flags.set(ReadingFlags::BAD_ERROR_FLAGS);
        return Vec::new();
    };
    list.into_iter()
        .filter_map(|item| field::text(Some(item)))
        .map(|t| clean_text(&t, limits::ERROR_FLAG_CHARS_MAX).into_boxed_str())
        .filter(|t| !t.is_empty())
        .take(limits::ERROR_FLAGS_MAX)
        .collect()
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusPart {
    pub power_state: PowerState,
    pub brightness: u8,
    pub temperature_celsius: f64,
    pub battery_percentage: u8,
    pub gsm_signal_strength: u8,
    pub uptime_seconds: u32,
    pub error_flags: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergyPart {
    pub voltage: f64,
    pub current: f64,
    pub power_watts: f64,
    pub frequency: f64,
    pub cumulative_kwh: f64,
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
