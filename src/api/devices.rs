//! Controllers: who is there, who waits to be let in, and what people decide about them.
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ccms_core::ids::{DeviceId, LightId};
use ccms_core::time::UtcMillis;
use ccms_service::catalogue::{DeviceQuery, DeviceView, NewPlace};
use ccms_store::{Curated, DeviceState, FirmwareReport};
use serde::{Deserialize, Deserializer, Serialize};

use super::call::{Call, Cursor, Limit, Page, json};
use super::fields::Fields;
use super::lights::SaysOfItself;
use super::problem::Problem;

/// The longest that a claim window may be opened for at once.
pub(super) const CLAIM_HOURS_MAX: u32 = 720;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: Option<Named>,
    q: Option<String>,
    cursor: Option<Cursor<1>>,
    #[serde(default)]
    limit: Limit,
}

struct Named(DeviceState);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let state = DeviceState::parse(&String::deserialize(d)?);
        state.map(Self).ok_or_else(|| serde::de::Error::custom("state is pending, registered, claimed or revoked"))
    }
}

pub async fn list(call: Call) -> Result<Response, Problem> {
    let wish: Wish = call.params()?;
    let query = DeviceQuery {
        state: wish.state.map(|s| s.0),
        q: wish.q.unwrap_or_default(),
        after_no: wish.cursor.map(|c| u32::try_from(c.0[0]).unwrap_or(u32::MAX)),
        limit: wish.limit.0,
    };
    let (found, next) = call.ccms().find_devices(call.who().may_view()?, &query).await?;
    let items: Vec<Device> = found.iter().map(Device::of).collect();
    Ok(json(StatusCode::OK, &Page { items, next_cursor: next.map(|no| Cursor([i64::from(no)]).text()) }))
}

pub async fn show(call: Call) -> Result<Response, Problem> {
    let id = call.device_id()?;
    let view = call.ccms().find_device(call.who().may_view()?, &id).await?;
    Ok(json(StatusCode::OK, &Device::of(&view)))
}

fn registration(mut f: Fields) -> Result<NewPlace, Problem> {
    let device_id = f.id("device_id", "device");
    let device_id = f.needed("device_id", device_id);
    let light_id = f.id("light_id", "light");
    let mut text = |name| f.text(name).unwrap_or_default();
    let curated = Curated {
        name: text("name"),
        address: text("address"),
        city: text("city"),
        zone: text("zone"),
        ward: text("ward"),
        feeder: text("feeder"),
        pole: text("pole"),
        wattage_w: f.number("wattage"),
        latitude: f.number("latitude").unwrap_or_default(),
        longitude: f.number("longitude").unwrap_or_default(),
    };
    let claim_hours = f.whole("claim_hours", 1, CLAIM_HOURS_MAX.into()).and_then(|n| u32::try_from(n).ok());
    f.finish(device_id.map(|device_id| NewPlace { device_id, light_id, curated, claim_hours }))
}

pub async fn register(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_commission()?;
    let view = call.ccms().place_device(may, registration(call.fields()?)?).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/devices/{}", view.record.id));
    let mut response = json(StatusCode::CREATED, &Device::of(&view));
    response.headers_mut().extend(location.ok().map(|value| (header::LOCATION, value)));
    Ok(response)
}

pub(super) fn check_claim_hours(hours: Option<u32>) -> Result<(), Problem> {
    if hours.is_some_and(|h| !(1..=CLAIM_HOURS_MAX).contains(&h)) {
        return Err(Problem::invalid_field("claim_hours", format!("A claim window is 1 to {CLAIM_HOURS_MAX} hours.")));
    }
    Ok(())
}

pub async fn approve(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_commission()?, call.device_id()?);
    call.ccms().approve_device(may, &id).await.map_err(Problem::of_state)?;
    show(call).await
}

pub async fn reject(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_commission()?, call.device_id()?);
    call.ccms().reject_device(may, &id).await.map_err(Problem::of_state)?;
    show(call).await
}

pub async fn revoke(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_administer()?, call.device_id()?);
    call.ccms().revoke_device(may, &id).await.map_err(Problem::of_state)?;
    show(call).await
}

pub async fn allow_reclaim(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_commission()?, call.device_id()?);
    call.ccms().allow_reclaim(may, &id).await.map_err(Problem::of_state)?;
    show(call).await
}

/// Answers the device that takes over.
pub async fn swap(call: Call) -> Result<Response, Problem> {
    let (may, old) = (call.who().may_commission()?, call.device_id()?);
    let mut fields = call.fields()?;
    let new = fields.id("new_device_id", "device");
    let new = fields.needed("new_device_id", new);
    let new_device_id: DeviceId = fields.finish(new)?;
    call.ccms().swap_device(may, &old, &new_device_id).await.map_err(Problem::of_state)?;
    let view = call.ccms().find_device(call.who().may_view()?, &new_device_id).await?;
    Ok(json(StatusCode::OK, &Device::of(&view)))
}

#[derive(Serialize)]
struct Device<'a> {
    device_id: &'a DeviceId,
    state: &'static str,
    /// The first of its lights.
    light_id: Option<&'a LightId>,
    light_ids: &'a [LightId],
    last_seen: Option<UtcMillis>,
    registered_at: UtcMillis,
    claimed_at: Option<UtcMillis>,
    claim_until: Option<UtcMillis>,
    reclaim_until: Option<UtcMillis>,
    /// Requests to be let in that nobody answered.
    attempts: u32,
    reported: SaysOfItself<'a>,
    firmware: Option<Firmware<'a>>,
}

/// What the device last said of its firmware.
#[derive(Serialize)]
struct Firmware<'a> {
    version: Option<&'a str>,
    state: Option<&'a str>,
    progress: Option<u8>,
    message: Option<&'a str>,
    reported_at: UtcMillis,
}

impl<'a> Device<'a> {
    fn of(view: &'a DeviceView) -> Self {
        let d = &view.record;
        let firmware = |f: &'a FirmwareReport| Firmware {
            version: f.version.as_deref(),
            state: f.state.as_deref(),
            progress: f.progress_percent,
            message: f.message.as_deref(),
            reported_at: f.at,
        };
        Self {
            device_id: &d.id,
            state: d.state.as_str(),
            light_id: view.light_ids.first(),
            light_ids: &view.light_ids,
            last_seen: view.last_seen,
            registered_at: d.created_at,
            claimed_at: d.claimed_at,
            claim_until: d.claim_until,
            reclaim_until: d.reclaim_until,
            attempts: d.attempts,
            reported: SaysOfItself::of(&d.reported),
            firmware: view.firmware.as_ref().map(firmware),
        }
    }
}
