//! Every route of the API with the right it needs, in one table. A route that is not here does not exist: the router is made
//! from the table, and so are the tests of who may do what and the check of the description.
use std::pin::Pin;

use axum::http::Method;
use axum::response::Response;
use ccms_service::Permission;

use super::call::Call;
use super::problem::Problem;
use super::{alerts, commands, devices, energy, events, export, import, lights, moment, readings};

/// Largest body of an ordinary request.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest file of lights.
pub const FILE_BYTES_MAX: usize = 5 * 1024 * 1024;

type Answered = Pin<Box<dyn Future<Output = Result<Response, Problem>> + Send>>;

pub struct Route {
    pub method: Method,
    /// Below `/api/v1`.
    pub template: &'static str,
    pub needs: Permission,
    pub(super) body_bytes_max: usize,
    pub(super) handler: fn(Call) -> Answered,
}

macro_rules! table {
    ($($method:ident $template:literal $needs:ident $bytes:ident $handler:path;)*) => {
        pub static ROUTES: &[Route] = &[$(Route {
            method: Method::$method,
            template: $template,
            needs: Permission::$needs,
            body_bytes_max: $bytes,
            handler: |call| Box::pin($handler(call)),
        }),*];
    };
}

table! {
    GET   "/lights"                            View       BODY_BYTES_MAX lights::list;
    GET   "/lights/{light_id}"                 View       BODY_BYTES_MAX lights::show;
    PATCH "/lights/{light_id}"                 Commission BODY_BYTES_MAX lights::correct;
    GET   "/lights/{light_id}/readings"        View       BODY_BYTES_MAX readings::list;
    GET   "/fleet"                             View       BODY_BYTES_MAX moment::list;
    GET   "/energy"                            View       BODY_BYTES_MAX energy::list;
    GET   "/devices"                           View       BODY_BYTES_MAX devices::list;
    POST  "/devices"                           Commission BODY_BYTES_MAX devices::register;
    GET   "/devices/{device_id}"               View       BODY_BYTES_MAX devices::show;
    POST  "/devices/{device_id}/approve"       Commission BODY_BYTES_MAX devices::approve;
    POST  "/devices/{device_id}/reject"        Commission BODY_BYTES_MAX devices::reject;
    POST  "/devices/{device_id}/revoke"        Administer BODY_BYTES_MAX devices::revoke;
    POST  "/devices/{device_id}/swap"          Commission BODY_BYTES_MAX devices::swap;
    POST  "/devices/{device_id}/allow-reclaim" Commission BODY_BYTES_MAX devices::allow_reclaim;
    POST  "/commands"                          Command    BODY_BYTES_MAX commands::create;
    GET   "/commands/{command_id}"             View       BODY_BYTES_MAX commands::show;
    POST  "/commands/{command_id}/cancel"      Command    BODY_BYTES_MAX commands::cancel;
    GET   "/alerts"                            View       BODY_BYTES_MAX alerts::list;
    POST  "/alerts/{alert_id}/acknowledge"     Acknowledge BODY_BYTES_MAX alerts::acknowledge;
    POST  "/alerts/{alert_id}/resolve"         Acknowledge BODY_BYTES_MAX alerts::resolve;
    GET   "/events"                            View       BODY_BYTES_MAX events::watch;
    POST  "/import/lights"                     Commission FILE_BYTES_MAX import::lights;
    GET   "/export/lights.csv"                 View       BODY_BYTES_MAX export::csv;
    GET   "/export/lights.geojson"             View       BODY_BYTES_MAX export::geojson;
}
