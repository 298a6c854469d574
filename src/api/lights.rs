//! Lights: found, read, corrected. What people curated stands at the top, what the controller said of itself under `reported`,
//! and the present state under `live`.
//!
//! `ETag` covers the curated part alone, so that a correction is refused when somebody else's came in between, and not because
//! the lamp reported meanwhile.
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ccms_core::ids::{CommandId, DeviceId, LightId};
use ccms_core::light::{Cause, Indicator};
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::catalogue::{LightQuery, LightView, LiveView, Wanted};
use ccms_store::{Curated, LightRecord, Reported};
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};

use super::call::{Call, Cursor, Limit, Page, json};
use super::fields::Fields;
use super::problem::Problem;
use super::readings::Measured;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    bbox: Option<Bbox>,
    q: Option<String>,
    indicator: Option<Indicator>,
    cursor: Option<Cursor<1>>,
    #[serde(default)]
    limit: Limit,
}

pub async fn list(call: Call) -> Result<Response, Problem> {
    let wish: Wish = call.params()?;
    let query = LightQuery {
        bbox: wish.bbox.map(|b| b.0),
        q: wish.q.unwrap_or_default(),
        indicator: wish.indicator,
        after_no: wish.cursor.map(|c| u32::try_from(c.0[0]).unwrap_or(u32::MAX)),
        limit: wish.limit.0,
    };
    let (found, next) = call.ccms().find_lights(call.who().may_view()?, &query).await?;
    let items = found.iter().map(Light::of).collect();
    let next_cursor = next.map(|no| Cursor([i64::from(no)]).text());
    Ok(json(StatusCode::OK, &Page { items, next_cursor }))
}

pub async fn show(call: Call) -> Result<Response, Problem> {
    let id = call.light_id()?;
    let view = call.ccms().find_light(call.who().may_view()?, &id).await?;
    let tag = tag_of(&view.record);
    if names(&call.headers, header::IF_NONE_MATCH, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, tagged(&tag)).into_response());
    }
    Ok((tagged(&tag), json(StatusCode::OK, &Light::of(&view))).into_response())
}

pub async fn correct(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_commission()?, call.light_id()?);
    let change = Change::read(call.fields()?)?;
    let expected = |record: &LightRecord| {
        !call.headers.contains_key(header::IF_MATCH) || names(&call.headers, header::IF_MATCH, &tag_of(record))
    };
    let view = call.ccms().correct_light(may, &id, expected, |curated| change.apply(curated)).await?;
    Ok((tagged(&tag_of(&view.record)), json(StatusCode::OK, &Light::of(&view))).into_response())
}

/// `west,south,east,north` in degrees.
struct Bbox([f64; 4]);

impl<'de> Deserialize<'de> for Bbox {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let numbers: Vec<f64> = text.split(',').filter_map(|n| n.trim().parse().ok()).collect();
        let right = |[west, south, east, north]: &[f64; 4]| {
            west.abs() <= 180.0 && east.abs() <= 180.0 && south.abs() <= 90.0 && north.abs() <= 90.0 && south <= north
        };
        let bbox: Option<[f64; 4]> = numbers.try_into().ok().filter(|_| text.split(',').count() == 4).filter(right);
        bbox.map(Self).ok_or_else(|| serde::de::Error::custom("bbox is west,south,east,north in degrees"))
    }
}

/// A correction: what is named is set, `null` takes away, the rest stays.
struct Change {
    name: Option<Option<String>>,
    address: Option<Option<String>>,
    city: Option<Option<String>>,
    zone: Option<Option<String>>,
    ward: Option<Option<String>>,
    feeder: Option<Option<String>>,
    pole: Option<Option<String>>,
    latitude: Option<Option<f64>>,
    longitude: Option<Option<f64>>,
    wattage: Option<Option<f64>>,
}

impl Change {
    fn read(mut f: Fields) -> Result<Self, Problem> {
        let change = Self {
            name: f.text_change("name"),
            address: f.text_change("address"),
            city: f.text_change("city"),
            zone: f.text_change("zone"),
            ward: f.text_change("ward"),
            feeder: f.text_change("feeder"),
            pole: f.text_change("pole"),
            latitude: f.number_change("latitude"),
            longitude: f.number_change("longitude"),
            wattage: f.number_change("wattage"),
        };
        f.finish(Some(change))
    }

    fn apply(self, to: &mut Curated) {
        let set = |field: &mut String, change: Option<Option<String>>| {
            if let Some(value) = change {
                *field = value.unwrap_or_default();
            }
        };
        set(&mut to.name, self.name);
        set(&mut to.address, self.address);
        set(&mut to.city, self.city);
        set(&mut to.zone, self.zone);
        set(&mut to.ward, self.ward);
        set(&mut to.feeder, self.feeder);
        set(&mut to.pole, self.pole);
        to.latitude = self.latitude.map_or(to.latitude, Option::unwrap_or_default);
        to.longitude = self.longitude.map_or(to.longitude, Option::unwrap_or_default);
        to.wattage_w = self.wattage.unwrap_or(to.wattage_w);
    }
}

/// The entity tag of a light's curated part.
fn tag_of(record: &LightRecord) -> String {
    let c = &record.curated;
    let mut hasher = Sha256::new();
    for text in [record.id.as_str(), &c.name, &c.address, &c.city, &c.zone, &c.ward, &c.feeder, &c.pole] {
        hasher.update((text.len() as u64).to_le_bytes());
        hasher.update(text);
    }
    for number in [Some(c.latitude), Some(c.longitude), c.wattage_w] {
        hasher.update(number.map_or(u64::MAX, f64::to_bits).to_le_bytes());
    }
    let hash: String = hasher.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hash}\"")
}

fn tagged(tag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.extend(HeaderValue::from_str(tag).ok().map(|value| (header::ETAG, value)));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers
}

/// Whether a header lists this tag, or any (`*`).
fn names(headers: &HeaderMap, name: header::HeaderName, tag: &str) -> bool {
    let listed = headers.get_all(name).into_iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(','));
    listed.map(str::trim).any(|t| t == "*" || t == tag)
}

#[derive(Serialize)]
pub(super) struct Light<'a> {
    light_id: &'a LightId,
    name: &'a str,
    latitude: Option<f64>,
    longitude: Option<f64>,
    address: &'a str,
    city: &'a str,
    zone: &'a str,
    ward: &'a str,
    feeder: &'a str,
    pole: &'a str,
    wattage: Option<f64>,
    device_id: Option<&'a DeviceId>,
    reported: Option<SaysOfItself<'a>>,
    live: Live<'a>,
}

impl<'a> Light<'a> {
    pub(super) fn of(view: &'a LightView) -> Self {
        let c = &view.record.curated;
        let placed = (c.latitude, c.longitude) != (0.0, 0.0);
        Self {
            light_id: &view.record.id,
            name: &c.name,
            latitude: placed.then_some(c.latitude),
            longitude: placed.then_some(c.longitude),
            address: &c.address,
            city: &c.city,
            zone: &c.zone,
            ward: &c.ward,
            feeder: &c.feeder,
            pole: &c.pole,
            wattage: c.wattage_w,
            device_id: view.device.as_ref().map(|d| &d.id),
            reported: view.device.as_ref().map(|d| SaysOfItself::of(&d.reported)),
            live: Live::of(&view.live),
        }
    }
}

/// What a controller said of itself; never mixed with what people curated.
#[derive(Serialize)]
pub(super) struct SaysOfItself<'a> {
    device_type: Option<&'a str>,
    name: Option<&'a str>,
    city: Option<&'a str>,
    address: Option<&'a str>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    gsm_imei: Option<&'a str>,
    communication_type: Option<&'a str>,
    firmware_version: Option<&'a str>,
    battery_backup_hours: Option<f64>,
}

impl<'a> SaysOfItself<'a> {
    pub(super) fn of(r: &'a Reported) -> Self {
        Self {
            device_type: r.device_type.as_deref(),
            name: r.name.as_deref(),
            city: r.city.as_deref(),
            address: r.address.as_deref(),
            latitude: r.latitude,
            longitude: r.longitude,
            gsm_imei: r.gsm_imei.as_deref(),
            communication_type: r.communication_type.as_deref(),
            firmware_version: r.firmware_version.as_deref(),
            battery_backup_hours: r.battery_backup_hours,
        }
    }
}

#[derive(Serialize)]
pub(super) struct Live<'a> {
    reported_at: Option<UtcMillis>,
    received_at: Option<UtcMillis>,
    last_seen: Option<UtcMillis>,
    online: bool,
    indicator: Indicator,
    cause: Option<Cause>,
    #[serde(flatten)]
    measured: Measured<'a>,
    energy: Option<super::readings::Energy>,
    target: Lamp<'a>,
    in_effect: Lamp<'a>,
    actual: Option<Actual>,
}

#[derive(Serialize)]
struct Actual {
    power_state: Option<PowerState>,
    brightness: Option<u8>,
    reported_at: UtcMillis,
    received_at: UtcMillis,
}

/// A state of the lamp and why it is, or is to be, so.
#[derive(Serialize)]
struct Lamp<'a> {
    power_state: PowerState,
    brightness: u8,
    source: &'static str,
    command_id: Option<&'a CommandId>,
    command_state: Option<&'static str>,
    until: Option<UtcMillis>,
}

impl<'a> Lamp<'a> {
    fn of(wanted: &'a Wanted) -> Self {
        Self {
            power_state: wanted.power_state,
            brightness: wanted.brightness_percent,
            source: wanted.source.as_str(),
            command_id: wanted.command.as_ref().map(|(id, _)| id),
            command_state: wanted.command.as_ref().map(|(_, state)| state.as_str()),
            until: wanted.until,
        }
    }
}

impl<'a> Live<'a> {
    pub(super) fn of(live: &'a LiveView) -> Self {
        let reading = live.latest.as_ref().map(|row| &row.reading);
        Self {
            reported_at: reading.map(|r| r.reported_at),
            received_at: live.latest.as_ref().map(|row| row.received_at),
            last_seen: live.last_seen,
            online: live.online,
            indicator: live.indicator,
            cause: live.cause,
            measured: reading.map(Measured::of).unwrap_or_default(),
            energy: reading.map(super::readings::Energy::of),
            target: Lamp::of(&live.target),
            in_effect: Lamp::of(&live.in_effect),
            actual: live.latest.as_ref().map(|row| Actual {
                power_state: row.reading.power_state,
                brightness: row.reading.brightness_percent,
                reported_at: row.reading.reported_at,
                received_at: row.received_at,
            }),
        }
    }
}
