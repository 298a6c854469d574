//! The device contract over HTTP: `/api/device/{deviceId}/…` and, as an alias, `/device/{deviceId}/…`.
//!
//! Every answer, good or bad, is JSON of a documented shape with a documented status; firmware knows no other. So nothing
//! of the framework's own refusals may reach a device: the framework's routing is not on this way at all.
//!
//! - [`ROUTES`] is the table of routes
//! - [`Front`] looks requests up in it and does for all of them what layers do for browsers
//! - `arrived` is the way in, the same for all: who speaks, room, body, signature
//! - `handlers` is what each route does then, and `answer` the way out
mod answer;
mod arrived;
mod bearer;
mod body;
mod front;
mod handlers;
mod routes;

use std::time::Duration;

use ccms_service::Ccms;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::metrics::HttpMetrics;
pub use front::Front;
pub use handlers::WAIT_MAX;
pub use routes::{DeviceRoute, MOUNTS, Proof, ROUTES};

/// What the handlers share.
struct Context {
    ccms: Ccms,
    body_timeout: Duration,
    /// Ends polls that wait.
    stop: CancellationToken,
}

pub(crate) fn front(config: &Config, ccms: &Ccms, metrics: HttpMetrics, stop: CancellationToken) -> Front {
    let body_timeout = Duration::from_secs(config.limits.body_read_seconds.max(1));
    Front::new(Context { ccms: ccms.clone(), body_timeout, stop }, config.tls.is_some(), metrics)
}
