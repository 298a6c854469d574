//! Alerts: what wants a person's eye, newest first, and the two steps that a person takes with one.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_core::ids::{DeviceId, LightId};
use ccms_service::AlertFilter;
use ccms_store::AlertState;
use serde::{Deserialize, Deserializer};

use super::call::{Call, Cursor, Limit, Page, json};
use super::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    device_id: Option<DeviceId>,
    light_id: Option<LightId>,
    state: Option<Named>,
    cursor: Option<Cursor<1>>,
    #[serde(default)]
    limit: Limit,
}

struct Named(AlertState);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let state = AlertState::parse(&String::deserialize(d)?);
        state.map(Self).ok_or_else(|| serde::de::Error::custom("state is open, acknowledged or resolved"))
    }
}

pub async fn list(call: Call) -> Result<Response, Problem> {
    let wish: Wish = call.params()?;
    let filter = AlertFilter {
        device_id: wish.device_id,
        light_id: wish.light_id,
        state: wish.state.map(|s| s.0),
        before: wish.cursor.map(|c| c.0[0]),
        limit: wish.limit.0 as u32,
    };
    let (items, next) = call.ccms().alerts(call.who().may_view()?, filter).await?;
    Ok(json(StatusCode::OK, &Page { items, next_cursor: next.map(|no| Cursor([no]).text()) }))
}

pub async fn acknowledge(call: Call) -> Result<Response, Problem> {
    move_to(call, AlertState::Acknowledged).await
}

pub async fn resolve(call: Call) -> Result<Response, Problem> {
    move_to(call, AlertState::Resolved).await
}

async fn move_to(call: Call, state: AlertState) -> Result<Response, Problem> {
    let (may, no) = (call.who().may_acknowledge()?, call.part::<i64>("alert_id", "alert")?);
    let alert = call.ccms().move_alert(may, no, state).await.map_err(Problem::of_state)?;
    Ok(json(StatusCode::OK, &alert))
}
