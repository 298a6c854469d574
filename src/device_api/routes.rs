//! The routes of the device contract, as a table: what is not in it does not exist. `front` looks requests up in it, and
//! whoever wants to know the routes (tests, documentation) reads it.
use axum::http::Method;
use ccms_core::limits;
use ccms_service::{TokenUse, Traffic};

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

    /// Whether it changes things in the database and then in memory, so that it must not be given up in between. A status
    /// does that in the writer's task or, where it is rare, in one of its own; what only asks is looked after where it is
    /// more than looking.
    pub(super) fn is_begun_in_one_go(&self) -> bool {
        !self.method.is_safe() && !matches!(self.endpoint, Endpoint::Status)
    }
}
