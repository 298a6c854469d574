//! Every answer of a device route goes out through here.
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use ccms_core::wire::envelope::ErrorCode;
use ccms_service::{Refusal, metrics};
use serde::Serialize;

pub(super) fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// The refusal in the documented envelope.
pub(super) fn refuse(refusal: &Refusal) -> Response {
    metrics::refused(refusal.code);
    tracing::debug!(code = refusal.code.as_str(), message = refusal.message, "device refused");
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json(status, &refusal.envelope());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(refusal.retry_after_s));
    }
    response
}

/// A fault of ours must not look like a lost connection: the device would count it against its network.
pub(super) fn after_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a device route panicked");
    refuse(&Refusal::new(ErrorCode::Internal, "The server failed to handle this request"))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            refuse(&Refusal::new(ErrorCode::Internal, "The answer could not be written"))
        }
    }
}
