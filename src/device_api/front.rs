//! The device contract as one service, in front of everything that a browser needs: these are nearly all the requests there
//! are, and a stack of layers around them cost more than what they ask for. What the layers do for the rest is done here for
//! devices, each once: count, give an id, put the id into every log line, finish what was begun, survive a panic.
use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use ccms_service::metrics::Stopwatch;
use ccms_service::request::{self, Described};
use futures_util::FutureExt;

use super::routes::{DeviceRoute, MOUNTS, ROUTES};
use super::{Context, answer, handlers};
use crate::door::ClientAddress;
use crate::metrics::{HttpMetrics, OTHER, Series};
use crate::router::{NOSNIFF, ONLY_TLS_FROM_NOW_ON};
use crate::site::Answering;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every route below every mount; everything else there is refused in the envelope.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    context: Context,
    only_tls: bool,
    metrics: HttpMetrics,
    /// By mount and route.
    series: [[OnceLock<Series>; ROUTES.len()]; MOUNTS.len()],
    other: OnceLock<Series>,
}

/// What a path below a mount names.
struct Named<'a> {
    mount: usize,
    /// As it stands in the path.
    device: &'a str,
    route: &'a str,
}

/// What is to be done with a request.
enum Asked {
    Route { mount: usize, at: usize },
    WrongMethod { mount: usize, at: usize },
    Nothing,
}

impl Front {
    pub(super) fn new(context: Context, only_tls: bool, metrics: HttpMetrics) -> Self {
        Self(Arc::new(Inner { context, only_tls, metrics, series: Default::default(), other: OnceLock::new() }))
    }

    /// Whether a path is below a mount, so that its answer is ours.
    pub fn takes(path: &str) -> bool {
        below(path).is_some()
    }
}

impl Front {
    pub(crate) fn answer(&self, request: Request, client: Option<ClientAddress>) -> Answering {
        let head = Head::new(&request, client);
        let serving = self.0.clone().serve(request, head.clone());
        // One allocation holds all of it, and is small enough for an allocator's quick way; see the test of its size.
        Box::pin(request::serve(head, serving))
    }
}

/// What a log line says of a request, should it write one.
struct Head {
    /// As the request brought it.
    brought: Option<HeaderValue>,
    /// Made up when a line or a refusal needs one, which hardly any request does.
    made_up: OnceLock<HeaderValue>,
    client: Option<ClientAddress>,
    method: Method,
    uri: Uri,
}

impl Head {
    fn new(request: &Request, client: Option<ClientAddress>) -> Arc<Self> {
        let brought = request.headers().get(&REQUEST_ID).cloned();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Arc::new(Self { brought, made_up: OnceLock::new(), client, method, uri })
    }

    fn id(&self) -> &HeaderValue {
        self.brought.as_ref().unwrap_or_else(|| self.made_up.get_or_init(made_up_id))
    }
}

impl Described for Head {
    fn describe(&self, each: &mut dyn FnMut(&'static str, &dyn Display)) {
        each("id", &self.id().to_str().unwrap_or_default());
        if let Some(ClientAddress(client)) = &self.client {
            each("client", client);
        }
        each("method", &self.method);
        each("path", &self.uri.path());
    }
}

impl Inner {
    /// No `async fn`, which would keep its arguments twice.
    fn serve(self: Arc<Self>, mut request: Request, head: Arc<Head>) -> impl Future<Output = Response> + Send {
        let watch = Stopwatch::start();
        let asked = asked(request.uri().path(), request.method());
        let method = crate::metrics::method_name(request.method());
        async move {
            let flying = self.metrics.begin();
            let mut response = self.served(&asked, &mut request).await;
            drop(flying);
            self.complete(&mut response, &head);
            let took = watch.elapsed();
            self.series(&asked).answered(method, response.status(), took);
            tracing::debug!(status = response.status().as_u16(), latency_us = took.as_micros() as u64, "answered");
            response
        }
    }

    fn complete(&self, response: &mut Response, head: &Head) {
        // By its id a refusal is found in the log. An answer that is as it should be has one when the request did.
        let is_told = head.brought.is_some() || response.status() != StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        if is_told {
            headers.entry(REQUEST_ID).or_insert_with(|| head.id().clone());
        }
        if self.only_tls {
            headers.entry(header::STRICT_TRANSPORT_SECURITY).or_insert(ONLY_TLS_FROM_NOW_ON);
        }
    }

    async fn served(self: &Arc<Self>, asked: &Asked, request: &mut Request) -> Response {
        let route = match *asked {
            Asked::Route { at, .. } => &ROUTES[at],
            Asked::WrongMethod { at, .. } => return wrong_method(&ROUTES[at]),
            Asked::Nothing => return handlers::unknown_path(),
        };
        if !route.is_begun_in_one_go() {
            let handled = handlers::serve(&self.context, route, request);
            return AssertUnwindSafe(handled).catch_unwind().await.unwrap_or_else(answer::after_panic);
        }
        Box::pin(self.to_its_end(route, std::mem::take(request))).await
    }

    /// What a request began to change is finished, also when its sender hangs up: between the database and the memory
    /// that follows it there must be no end.
    async fn to_its_end(self: &Arc<Self>, route: &'static DeviceRoute, mut request: Request) -> Response {
        let inner = self.clone();
        let finishing = async move { handlers::serve(&inner.context, route, &mut request).await };
        match tokio::spawn(request::go_on(finishing)).await {
            Ok(response) => response,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => answer::after_panic(panic),
                // Only the end of the runtime cancels it.
                Err(_) => answer::refuse(&ccms_service::Refusal::unavailable()),
            },
        }
    }

    /// Made when it is first needed, so that a route that nobody asks for has none.
    fn series(&self, asked: &Asked) -> &Series {
        match *asked {
            Asked::Route { mount, at } | Asked::WrongMethod { mount, at } => self.series[mount][at].get_or_init(|| {
                // Routes of one path are one template.
                self.metrics.series(&format!("{}{}", MOUNTS[mount], ROUTES[at].template()))
            }),
            Asked::Nothing => self.other.get_or_init(|| self.metrics.series(OTHER)),
        }
    }
}

fn below(path: &str) -> Option<(usize, &str)> {
    let tail = |mount: &str| {
        let rest = path.strip_prefix(mount)?;
        // The mount itself is ours too, or firmware with half a path would be shown a page.
        if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
    };
    MOUNTS.iter().enumerate().find_map(|(at, mount)| Some((at, tail(mount)?)))
}

fn named(path: &str) -> Option<Named<'_>> {
    let (mount, tail) = below(path)?;
    let (device, route) = tail.split_once('/')?;
    Some(Named { mount, device, route })
}

fn asked(path: &str, method: &Method) -> Asked {
    let Some(named) = named(path) else { return Asked::Nothing };
    let mut of_path = ROUTES.iter().enumerate().filter(|(_, route)| route.name == named.route);
    let Some((first, _)) = of_path.clone().next() else { return Asked::Nothing };
    let mount = named.mount;
    match of_path.find(|(_, route)| route.method == *method) {
        Some((at, _)) => Asked::Route { mount, at },
        None => Asked::WrongMethod { mount, at: first },
    }
}

/// The device that a path names, as it stands there.
pub(super) fn device_in(path: &str) -> &str {
    named(path).map_or("", |named| named.device)
}

/// A poll by HEAD would be one that nobody reads: it is refused like any other.
fn wrong_method(route: &DeviceRoute) -> Response {
    let mut response = handlers::wrong_method();
    let methods: Vec<&str> = ROUTES.iter().filter(|r| r.name == route.name).map(|r| r.method.as_str()).collect();
    if let Ok(allowed) = HeaderValue::from_str(&methods.join(",")) {
        response.headers_mut().insert(header::ALLOW, allowed);
    }
    response
}

/// 32 hexadecimal digits.
fn made_up_id() -> HeaderValue {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bits = ccms_service::chance::bits();
    let text: [u8; 32] = std::array::from_fn(|at| DIGITS[(bits >> (4 * at)) as usize & 15]);
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route_of(path: &str, method: Method) -> Option<&'static str> {
        match asked(path, &method) {
            Asked::Route { at, .. } => Some(ROUTES[at].name),
            _ => None,
        }
    }

    #[test]
    fn a_path_is_a_mount_a_device_and_a_name_and_nothing_else() {
        for mount in MOUNTS {
            for route in &ROUTES {
                let path = format!("{mount}/IMEI:1/{}", route.name);
                assert_eq!(route_of(&path, route.method.clone()), Some(route.name));
                assert!(matches!(asked(&path, &Method::DELETE), Asked::WrongMethod { .. }));
                assert!(matches!(asked(&path, &Method::HEAD), Asked::WrongMethod { .. }));
                assert_eq!(device_in(&path), "IMEI:1");
            }
        }
        for other in
            ["/device/", "/device/X", "/device//", "/device/X/status/", "/device/X/Status", "/device/a/b/status"]
        {
            assert!(Front::takes(other) && route_of(other, Method::POST).is_none(), "{other}");
        }
        for other in ["/devices/X/status", "/api/devices", "/x/device/X/status", "/"] {
            assert!(!Front::takes(other), "{other}");
        }
    }

    /// Of the futures that a function of three arguments makes.
    fn size<A, B, C, F: Future>(_: impl Fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    /// Every request allocates this. Allocators keep small blocks at hand; above about a kilobyte they go and look.
    #[test]
    fn what_a_request_needs_while_it_is_served_is_small() {
        let serving = size(Inner::serve);
        let handling = size::<&'static Context, &'static DeviceRoute, &'static mut Request, _>(handlers::serve);
        println!("serving a request takes {serving} bytes, {handling} of them for handling it");
        assert!(serving <= 1_000, "{serving} bytes, {handling} of them for handling it");
    }
}
