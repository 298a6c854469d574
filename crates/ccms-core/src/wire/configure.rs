//! `POST /device/{deviceId}/configure`.
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::BadBody;
use super::field::{self, Raw};
use crate::limits::DEVICE_TEXT_CHARS_MAX;
use crate::reading::clean_text;
use crate::schedule::Schedule;
use crate::time::{TimeOfDay, UtcMillis};

/// What a device sends of itself. Also what the server keeps as *reported*, apart from what people curated.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ConfigureRequest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Degrees, WGS 84; a place out of range is absent. `0,0` means "no fix".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_backup_hours: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gsm_imei: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gsm_signal_strength: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub communication_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub firmware_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<UtcMillis>,
    /// True when a place was sent that cannot exist on Earth.
    #[serde(skip)]
    pub place_invalid: bool,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    device_id: Raw<'a>,
    #[serde(borrow, default)]
    device_type: Raw<'a>,
    #[serde(borrow, default)]
    name: Raw<'a>,
    #[serde(borrow, default)]
    city: Raw<'a>,
    #[serde(borrow, default)]
    latitude: Raw<'a>,
    #[serde(borrow, default)]
    longitude: Raw<'a>,
    #[serde(borrow, default)]
    address: Raw<'a>,
    #[serde(borrow, default)]
    status: Raw<'a>,
    #[serde(borrow, default)]
    battery_backup_hours: Raw<'a>,
    #[serde(borrow, default)]
    gsm_imei: Raw<'a>,
    #[serde(borrow, default)]
    gsm_signal_strength: Raw<'a>,
    #[serde(borrow, default)]
    communication_type: Raw<'a>,
    #[serde(borrow, default)]
    firmware_version: Raw<'a>,
    #[serde(borrow, default)]
    timestamp: Raw<'a>,
}

impl ConfigureRequest {
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        let w: Wire<'_> = super::object(body)?;
        let (latitude, longitude) = (degrees(w.latitude, 90.0), degrees(w.longitude, 180.0));
        let place_invalid = [(w.latitude, latitude), (w.longitude, longitude)]
            .into_iter()
            .any(|(raw, value)| raw.is_some_and(|r| r.get() != "null") && value.is_none());
        Ok(Self {
            device_id: cleaned(w.device_id),
            device_type: cleaned(w.device_type),
            name: cleaned(w.name),
            city: cleaned(w.city),
            latitude,
            longitude,
            address: cleaned(w.address),
            status: cleaned(w.status),
            battery_backup_hours: plain_number(w.battery_backup_hours),
            gsm_imei: cleaned(w.gsm_imei),
            gsm_signal_strength: plain_number(w.gsm_signal_strength),
            communication_type: cleaned(w.communication_type),
            firmware_version: cleaned(w.firmware_version),
            timestamp: field::instant(w.timestamp),
            place_invalid,
        })
    }

    /// The place, unless it is missing or the `0,0` of a receiver without a fix.
    pub fn place(&self) -> Option<(f64, f64)> {
        let place = (self.latitude?, self.longitude?);
        (place != (0.0, 0.0)).then_some(place)
    }
}

fn cleaned(raw: Raw<'_>) -> Option<String> {
    field::text(raw).map(|t| clean_text(&t, DEVICE_TEXT_CHARS_MAX)).filter(|t| !t.is_empty())
}

fn plain_number(raw: Raw<'_>) -> Option<f64> {
    raw.and_then(|r: &RawValue| field::number(r)).filter(|v| v.is_finite())
}

fn degrees(raw: Raw<'_>, max: f64) -> Option<f64> {
    plain_number(raw).filter(|v| v.abs() <= max)
}

/// The documented answer. Credentials stand at top level and, because a literal client keeps nothing but `config`, there too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConfigureResponse {
    pub status: String,
    pub message: String,
    pub light_id: String,
    pub config: DeviceConfig,
    pub server_timestamp: UtcMillis,
    /// Addition: only after proof or first claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<UtcMillis>,
}

impl ConfigureResponse {
    pub const MESSAGE: &'static str = "Device configured successfully";
}

/// What a device keeps in flash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceConfig {
    pub schedule_enabled: bool,
    pub sunrise_time: TimeOfDay,
    pub sunset_time: TimeOfDay,
    /// Percent while lit.
    pub brightness_level: u8,
    pub auto_dimming: bool,
    /// Addition: IANA name of the zone that the local times are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Addition: that zone's distance to UTC now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc_offset_minutes: Option<i32>,
    /// Addition, repeated from the top level for clients that keep only `config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_token: Option<String>,
}

impl DeviceConfig {
    pub fn schedule(&self) -> Schedule {
        Schedule { enabled: self.schedule_enabled, sunrise_time: self.sunrise_time, sunset_time: self.sunset_time }
    }
}
