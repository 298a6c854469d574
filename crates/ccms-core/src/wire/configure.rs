//! `POST /device/{deviceId}/configure`.
use serde::{Deserialize, Serialize};

use super::field::{self, Raw};
use super::measured::Item;
use super::mqtt::MqttConfig;
use super::status::{self, StatusBatch};
use super::{BadBody, Shape};
use crate::limits::{DEVICE_TEXT_CHARS_MAX, NO_FIX_DEGREES};
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
    /// The statuses it carries, for the document has them sent here: that of the lamp, or one for each of its lights. To be
    /// recorded only when the sender proved who it is.
    #[serde(skip)]
    pub statuses: StatusBatch,
}

impl ConfigureRequest {
    /// # Errors
    /// [`BadBody`] when the body is not JSON, or neither an object nor a list of statuses.
    pub fn parse(body: &[u8], received_at: UtcMillis) -> Result<Self, BadBody> {
        super::mending(body, |body| Self::parse_json(body, received_at))
    }

    fn parse_json(body: &str, received_at: UtcMillis) -> Result<Self, BadBody> {
        if let Shape::List(_) = super::shape(body)? {
            let statuses = status::parse_json(body, received_at)?;
            if statuses.messages.is_empty() {
                return Err(BadBody::Shape("an object was expected"));
            }
            return Ok(Self { statuses, ..Self::default() });
        }
        let [device_id, device_type, name, city, address, latitude, longitude, hours, imei, signal, by, version, at] =
            field::fields(
                body,
                [
                    "device_id",
                    "device_type",
                    "name",
                    "city",
                    "address",
                    "latitude",
                    "longitude",
                    "battery_backup_hours",
                    "gsm_imei",
                    "gsm_signal_strength",
                    "communication_type",
                    "firmware_version",
                    "timestamp",
                ],
            )?;
        let [status] = field::fields(body, ["status"])?;
        let cleaned = |raw: Raw<'_>| field::cleaned(raw, DEVICE_TEXT_CHARS_MAX);
        let (latitude, north_ok) = degrees(latitude, 90.0);
        let (longitude, east_ok) = degrees(longitude, 180.0);
        Ok(Self {
            device_id: field::identity(device_id),
            device_type: cleaned(device_type),
            name: cleaned(name),
            city: cleaned(city),
            latitude,
            longitude,
            address: cleaned(address),
            status: cleaned(status),
            battery_backup_hours: hours.and_then(field::number).filter(|h| (0.0..=HOURS_MAX).contains(h)),
            gsm_imei: field::imei(imei),
            gsm_signal_strength: signal.and_then(field::number).filter(|s| s.abs() <= SIGNAL_MAX),
            communication_type: cleaned(by),
            firmware_version: cleaned(version),
            timestamp: field::instant(at),
            place_invalid: !(north_ok && east_ok),
            statuses: statuses(body, received_at)?,
        })
    }

    /// The place, unless it is missing or the `0,0` of a receiver without a fix.
    pub fn place(&self) -> Option<(f64, f64)> {
        let place = (self.latitude?, self.longitude?);
        (place.0.abs() > NO_FIX_DEGREES || place.1.abs() > NO_FIX_DEGREES).then_some(place)
    }
}

/// Beyond these a number is a fault of the firmware, and says nothing.
const HOURS_MAX: f64 = 10_000.0;
const SIGNAL_MAX: f64 = 1_000.0;

/// What the same body says as a status. A `status` that is no state of a lamp ("ready") is none.
fn statuses(body: &str, received_at: UtcMillis) -> Result<StatusBatch, BadBody> {
    let item = Item::read(body)?;
    let mut reader = status::Reader::new(received_at);
    if item.lights.is_some() || item.readings.is_some() || item.shows_a_lamp() {
        reader.object(&item)?;
    }
    Ok(reader.batch)
}

/// Degrees, and whether they are possible. What is not even a number is a receiver without a fix.
fn degrees(raw: Raw<'_>, max: f64) -> (Option<f64>, bool) {
    let said = raw.and_then(field::number);
    let possible = said.filter(|v| v.abs() <= max);
    (possible, said.is_none() || possible.is_some())
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
    /// Addition, with the credentials only: the key of `X-Device-Signature`, as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_secret: Option<String>,
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
    /// Addition: the document's MQTT keys, when MQTT is on.
    #[serde(flatten)]
    pub mqtt: Option<MqttConfig>,
}

impl DeviceConfig {
    pub fn schedule(&self) -> Schedule {
        Schedule { enabled: self.schedule_enabled, sunrise_time: self.sunrise_time, sunset_time: self.sunset_time }
    }
}
