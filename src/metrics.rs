//! What happens, in numbers, for Prometheus: `GET /metrics` on a listener of its own.
//!
//! One recorder serves the whole process, however many servers run in it. Routes are counted by their template, methods
//! and statuses by a fixed list: the number of series is bounded whatever clients send. [`HttpMetrics`] keeps the handles
//! of all series it has met, so that a request costs a few look-ups and atomic additions.
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ccms_service::Ccms;
use ccms_service::metrics::{self as service, Stopwatch};
use metrics::{Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics::{gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Limits};
use crate::listener::{self, Entrance};

const REQUESTS: &str = "ccms_http_requests_total";
const DURATION: &str = "ccms_http_request_duration_seconds";
const IN_FLIGHT: &str = "ccms_http_requests_in_flight";
/// Everything that no route's template matches: files, and paths that do not exist.
pub(crate) const OTHER: &str = "other";

const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const READINGS: [f64; 11] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0];
/// Histograms keep every value until somebody asks or this has passed.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Whoever collects does so alone; a few people may look as well.
const CONNECTIONS_MAX: usize = 64;

/// The process's recorder, made at the first call.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&SECONDS).unwrap_or_default();
        let batch = Matcher::Full(service::BATCH.to_owned());
        let recorder = builder.set_buckets_for_metric(batch, &READINGS).unwrap_or_default().build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is installed; /metrics stays empty");
        }
        describe();
        gauge!("ccms_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1);
        handle
    })
}

fn describe() {
    service::describe();
    describe_counter!(REQUESTS, Unit::Count, "Answered requests by route, method and status");
    describe_histogram!(DURATION, Unit::Seconds, "Time from a request's head to its answer's head, by route");
    describe_gauge!(IN_FLIGHT, Unit::Count, "Requests that wait for the head of their answer");
    describe_gauge!("ccms_build_info", Unit::Count, "Always 1; its label says which version runs");
    describe_gauge!("ccms_connections_open", Unit::Count, "Open connections");
    describe_gauge!("ccms_connections_max", Unit::Count, "Connections that may be open at a time");
    let refused =
        "Connections that were cut: too slow with their first request, or in the way when there were too many";
    describe_counter!("ccms_connections_refused_total", Unit::Count, refused);
    describe_counter!("ccms_tls_handshake_failures_total", Unit::Count, "TLS handshakes that came to nothing");
    let reloads = "Certificate files that changed, by whether what they hold could be taken";
    describe_counter!("ccms_tls_certificate_reloads_total", Unit::Count, reloads);
}

/// The series of a server's routes.
#[derive(Clone)]
pub struct HttpMetrics(Arc<Inner>);

struct Inner {
    routes: RwLock<HashMap<String, Arc<Route>>>,
    in_flight: Gauge,
}

/// One route's.
struct Route {
    name: String,
    duration: Histogram,
    requests: RwLock<HashMap<(&'static str, StatusCode), Counter>>,
}

impl Default for HttpMetrics {
    fn default() -> Self {
        recorder();
        Self(Arc::new(Inner { routes: RwLock::default(), in_flight: gauge!(IN_FLIGHT) }))
    }
}

/// What is counted of one route, for whoever answers it without the layer.
pub(crate) struct Series {
    route: Arc<Route>,
    /// Of the method that was first answered with 200: nearly all are of this one.
    usual: OnceLock<(&'static str, Counter)>,
}

impl Series {
    pub fn answered(&self, method: &'static str, status: StatusCode, took: Duration) {
        if status == StatusCode::OK {
            let (usual, counter) = self.usual.get_or_init(|| (method, self.route.counter(method, status)));
            if *usual == method {
                self.route.duration.record(took.as_secs_f64());
                return counter.increment(1);
            }
        }
        self.route.answered(method, status, took);
    }
}

impl HttpMetrics {
    pub(crate) fn series(&self, template: &str) -> Series {
        Series { route: self.route(template), usual: OnceLock::new() }
    }

    /// A request is under way until this is dropped.
    pub(crate) fn begin(&self) -> Flying {
        Flying::begin(&self.0.in_flight)
    }

    fn route(&self, template: &str) -> Arc<Route> {
        if let Some(known) = self.0.routes.read().unwrap_or_else(PoisonError::into_inner).get(template) {
            return known.clone();
        }
        let name = template.to_owned();
        let duration = histogram!(DURATION, "route" => name.clone());
        let route = Arc::new(Route { name: name.clone(), duration, requests: RwLock::default() });
        self.0.routes.write().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(route).clone()
    }
}

impl Route {
    fn answered(&self, method: &'static str, status: StatusCode, took: Duration) {
        self.duration.record(took.as_secs_f64());
        self.counter(method, status).increment(1);
    }

    fn counter(&self, method: &'static str, status: StatusCode) -> Counter {
        if let Some(known) = self.requests.read().unwrap_or_else(PoisonError::into_inner).get(&(method, status)) {
            return known.clone();
        }
        let labels = [("route", self.name.clone()), ("method", method.into()), ("status", status.as_str().to_owned())];
        let new = counter!(REQUESTS, &labels);
        self.requests.write().unwrap_or_else(PoisonError::into_inner).entry((method, status)).or_insert(new).clone()
    }
}

/// The outermost layer around everything but the device routes, which count for themselves.
pub async fn observe(State(http): State<HttpMetrics>, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let matched = request.extensions().get::<MatchedPath>();
    let template = matched.map_or(OTHER, MatchedPath::as_str);
    let route = http.route(if template.contains("{*__private") { OTHER } else { template });
    let method = method_name(request.method());
    let flying = http.begin();
    let response = next.run(request).await;
    drop(flying);
    route.answered(method, response.status(), watch.elapsed());
    response
}

/// Anybody can make methods up.
pub(crate) fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

/// A request under way, also when its client hangs up before the answer.
pub(crate) struct Flying(Gauge);

impl Flying {
    fn begin(gauge: &Gauge) -> Self {
        gauge.increment(1);
        Self(gauge.clone())
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Takes the address for `/metrics`. The default one may be taken, by another server on this machine say: then it goes
/// without. One that somebody chose may not.
///
/// # Errors
/// When the configured address cannot be had.
pub fn bind(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let address = config.metrics.address();
    match listener::bind(address) {
        Ok(taken) => Ok(Some(taken)),
        Err(error) if config.metrics.listen.is_some() => {
            Err(error).with_context(|| format!("listening on {address} for metrics (metrics.listen)"))
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            tracing::warn!(%address, "there are no metrics: the address is taken; choose another with metrics.listen");
            Ok(None)
        }
        Err(error) => {
            tracing::warn!(%error, %address, "there are no metrics");
            Ok(None)
        }
    }
}

/// Serves `/metrics` until `stop`.
pub async fn serve(listener: Option<TcpListener>, ccms: Ccms, stop: CancellationToken) {
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP_EVERY).await;
            recorder().run_upkeep();
        }
    };
    let serving = async {
        let Some(listener) = listener else { return stop.cancelled().await };
        let limits =
            Limits { connections: CONNECTIONS_MAX, header_read_seconds: 10, drain_seconds: 1, ..Limits::default() };
        let entrance = Entrance { name: "metrics", limits, tls: None, trusted_proxy: None };
        entrance.serve(listener, routes(ccms), stop.clone()).await;
    };
    tokio::select! {
        () = serving => {}
        () = upkeep => {}
    }
}

/// `GET /metrics`.
pub fn routes(ccms: Ccms) -> Router {
    Router::new().route("/metrics", get(render)).with_state(ccms)
}

/// The address the metrics have when nobody says otherwise.
pub const fn default_address() -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464)
}

async fn render(State(ccms): State<Ccms>) -> Response {
    // Several servers in one process share the gauges: each brings its own up to date and reads them in one go.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let text = {
        let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        ccms.gauge();
        recorder().render()
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}
