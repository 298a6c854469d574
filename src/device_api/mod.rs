//! The device contract over HTTP: `/api/device/{deviceId}/…` and, as an alias, `/device/{deviceId}/…`.
//!
//! Every answer, good or bad, is JSON of a documented shape with a documented status; firmware knows no other. So nothing
//! of the framework's own refusals may reach a device: each extractor here is fallible and each fallback is ours.
//!
//! - [`ROUTES`] is the table of routes, and the router is built from it
//! - `arrived` is the way in, the same for all: who speaks, room, body, signature
//! - `handlers` is what each route does then, and `answer` the way out
mod answer;
mod arrived;
mod bearer;
mod body;
mod handlers;
mod routes;

use std::time::Duration;

use axum::Router;
use ccms_service::Ccms;
use tokio_util::sync::CancellationToken;

use crate::config::Limits;
pub use handlers::WAIT_MAX;
pub use routes::{DeviceRoute, MOUNTS, Proof, ROUTES};

/// What the handlers share.
#[derive(Clone)]
struct Context {
    ccms: Ccms,
    body_timeout: Duration,
    /// Ends polls that wait.
    stop: CancellationToken,
}

pub fn routes(ccms: &Ccms, limits: &Limits, stop: CancellationToken) -> Router {
    let body_timeout = Duration::from_secs(limits.body_read_seconds.max(1));
    routes::router(Context { ccms: ccms.clone(), body_timeout, stop })
}
