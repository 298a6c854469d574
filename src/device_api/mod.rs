//! The device contract over HTTP: `/api/device/{deviceId}/…` and, as an alias, `/device/{deviceId}/…`.
//!
//! Every answer, good or bad, is JSON of a documented shape with a documented status; firmware knows no other. So nothing
//! of the framework's own refusals may reach a device: each extractor here is fallible and each fallback is ours.
mod answer;
mod bearer;
mod body;

use std::time::Duration;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::{any, get, post};
use ccms_core::ids::DeviceId;
use ccms_core::wire::ack::AckMessage;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::envelope::ErrorCode;
use ccms_core::wire::status;
use ccms_service::{Ccms, Refusal, TokenUse};
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::Limits;
use answer::{answer, refuse};

/// What the handlers share.
#[derive(Clone)]
struct Context {
    ccms: Ccms,
    body_timeout: Duration,
}

type DevicePath = Result<Path<String>, PathRejection>;

pub fn routes(ccms: &Ccms, limits: &Limits) -> Router {
    let context = Context { ccms: ccms.clone(), body_timeout: Duration::from_secs(limits.body_read_seconds.max(1)) };
    let device = Router::new()
        .route("/{device_id}/configure", post(configure))
        .route("/{device_id}/status", post(record_status))
        .route("/{device_id}/commands", get(commands))
        .route("/{device_id}/command-ack", post(acknowledge))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(CatchPanicLayer::custom(answer::after_panic))
        .with_state(context);
    let bare = Router::new().route("/api/device/", any(unknown_path)).route("/device/", any(unknown_path));
    bare.nest("/api/device", device.clone()).nest("/device", device)
}

async fn configure(State(c): State<Context>, path: DevicePath, request: Request) -> Response {
    answer(
        async {
            let id = device_id(path)?;
            let (head, body) = body::read(request, c.body_timeout).await?;
            let reported = ConfigureRequest::parse(&body, c.ccms.now())?;
            c.ccms.configure(&id, bearer::token(&head.headers), &reported).await
        }
        .await,
    )
}

async fn record_status(State(c): State<Context>, path: DevicePath, request: Request) -> Response {
    answer(
        async {
            let id = device_id(path)?;
            // Who speaks comes first: nobody else's body is read.
            let who = c.ccms.authenticate(&id, bearer::token(request.headers()), TokenUse::Report).await;
            let (_, body) = body::read(request, c.body_timeout).await?;
            let who = who?;
            let batch = status::parse(&body, c.ccms.now())?;
            let mut receipt = c.ccms.record_status(&who, batch.messages).await?;
            receipt.quarantined = batch.quarantined.len() as u32;
            Ok::<_, Refusal>(receipt.response(batch.is_list))
        }
        .await,
    )
}

async fn commands(State(c): State<Context>, path: DevicePath, headers: HeaderMap) -> Response {
    answer(
        async {
            let id = device_id(path)?;
            let who = c.ccms.authenticate(&id, bearer::token(&headers), TokenUse::Command).await?;
            c.ccms.poll(&who).await
        }
        .await,
    )
}

async fn acknowledge(State(c): State<Context>, path: DevicePath, request: Request) -> Response {
    answer(
        async {
            let id = device_id(path)?;
            let (head, body) = body::read(request, c.body_timeout).await?;
            let who = match bearer::token(&head.headers) {
                // The document shows this request without a token: accepted, but unverified.
                None => None,
                bearer => Some(c.ccms.authenticate(&id, bearer, TokenUse::Command).await?),
            };
            let ack = AckMessage::parse(&body)?;
            c.ccms.acknowledge(&id, who.as_ref(), ack).await
        }
        .await,
    )
}

async fn unknown_path() -> Response {
    refuse(&Refusal::new(ErrorCode::UnknownPath, "There is no such path below /api/device/{deviceId}/"))
}

async fn wrong_method() -> Response {
    refuse(&Refusal::new(ErrorCode::MethodNotAllowed, "This path does not take that method"))
}

fn device_id(path: DevicePath) -> Result<DeviceId, Refusal> {
    let text = path.map_err(|_| Refusal::new(ErrorCode::BadRequest, "The device id in the path cannot be read"))?.0;
    DeviceId::parse(&text).map_err(|e| Refusal::new(ErrorCode::BadRequest, e.to_string()))
}
