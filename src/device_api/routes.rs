//! The routes of the device contract, as a table: what is not in it does not exist. The router is built from it, and whoever
//! wants to know the routes (tests, documentation) reads it.
use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, any, on};
use ccms_core::limits;
use ccms_service::{TokenUse, Traffic};
use tower_http::catch_panic::CatchPanicLayer;

use super::arrived::DevicePath;
use super::{Context, answer, handlers};

/// Below these the routes are mounted; both are the same.
pub const MOUNTS: [&str; 2] = ["/api/device", "/device"];

/// One route: a method on `{mount}/{device_id}/{name}`.
#[derive(Debug, Clone)]
pub struct DeviceRoute {
    pub method: Method,
    pub name: &'static str,
    pub proof: Proof,
    pub traffic: Traffic,
    /// Largest body after unpacking; what a GET brings is not read at all.
    pub body_bytes_max: usize,
    pub(super) endpoint: Endpoint,
}

/// What a device has to show on a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A token of the device in the path.
    Token(TokenUse),
    /// The same, or none at all; a token that is not valid is refused.
    TokenOrNone,
    /// Whatever the device still has; what it gets depends on it.
    Weighed,
}

/// What is done with a request; a route without its handler does not compile.
#[derive(Debug, Clone, Copy)]
pub(super) enum Endpoint {
    Configure,
    Status,
    Sync,
    Commands,
    CommandAck,
    Alert,
    Logs,
    Health,
    FirmwareReport,
    FirmwareImage,
}

const REPORTS: Proof = Proof::Token(TokenUse::Report);
const OTHERS: Proof = Proof::Token(TokenUse::Command);
const SMALL_BODY_BYTES_MAX: usize = limits::ALERT_BODY_BYTES_MAX;

pub static ROUTES: [DeviceRoute; 10] = [
    route(
        Method::POST,
        "configure",
        Proof::Weighed,
        Traffic::Configure,
        limits::BODY_DECODED_BYTES_MAX,
        Endpoint::Configure,
    ),
    route(Method::POST, "status", REPORTS, Traffic::Report, limits::BODY_DECODED_BYTES_MAX, Endpoint::Status),
    route(Method::POST, "sync", REPORTS, Traffic::Report, limits::BODY_DECODED_BYTES_MAX, Endpoint::Sync),
    route(Method::GET, "commands", OTHERS, Traffic::Poll, 0, Endpoint::Commands),
    route(
        Method::POST,
        "command-ack",
        Proof::TokenOrNone,
        Traffic::Poll,
        limits::BODY_DECODED_BYTES_MAX,
        Endpoint::CommandAck,
    ),
    route(Method::POST, "alert", OTHERS, Traffic::Report, SMALL_BODY_BYTES_MAX, Endpoint::Alert),
    route(Method::POST, "logs", OTHERS, Traffic::Report, limits::LOGS_BODY_DECODED_BYTES_MAX, Endpoint::Logs),
    route(Method::GET, "health", OTHERS, Traffic::Poll, 0, Endpoint::Health),
    route(Method::PUT, "firmware", OTHERS, Traffic::Report, SMALL_BODY_BYTES_MAX, Endpoint::FirmwareReport),
    route(Method::GET, "firmware", OTHERS, Traffic::Poll, 0, Endpoint::FirmwareImage),
];

const fn route(
    method: Method,
    name: &'static str,
    proof: Proof,
    traffic: Traffic,
    body_bytes_max: usize,
    endpoint: Endpoint,
) -> DeviceRoute {
    DeviceRoute { method, name, proof, traffic, body_bytes_max, endpoint }
}

impl DeviceRoute {
    /// `/{device_id}/status`, below a mount.
    pub fn template(&self) -> String {
        format!("/{{device_id}}/{}", self.name)
    }
}

/// Every route below every mount; everything else there is refused in the envelope.
pub(super) fn router(context: Context) -> Router {
    let mut device: Router<Context> = Router::new();
    for route in &ROUTES {
        device = device.route(&route.template(), method_router(route));
    }
    let device = device
        .fallback(handlers::unknown_path)
        .method_not_allowed_fallback(handlers::wrong_method)
        .layer(CatchPanicLayer::custom(answer::after_panic))
        .with_state(context);
    let mut all = Router::new();
    for mount in MOUNTS {
        // The nested router does not see its own bare path.
        all = all.route(&format!("{mount}/"), any(handlers::unknown_path)).nest(mount, device.clone());
    }
    all
}

fn method_router(route: &'static DeviceRoute) -> MethodRouter<Context> {
    let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::TRACE);
    let endpoint = on(filter, move |State(c): State<Context>, path: DevicePath, request: Request| async move {
        handlers::serve(&c, path, request, route).await
    });
    // The framework would answer HEAD by a GET whose body it drops: a poll that nobody reads.
    if filter == MethodFilter::GET { endpoint.on(MethodFilter::HEAD, handlers::wrong_method) } else { endpoint }
}
