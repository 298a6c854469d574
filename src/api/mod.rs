//! The REST API under `/api/v1`: with it other systems do what operators do on the screen.
//!
//! Every request goes the same way: is there such a route, who asks, may they, is the body within its bounds, was this asked
//! before, and only then the handler, which takes its own proof from [`Call::who`] for the use case it calls. What goes wrong on
//! the way is told as [`problem`].
//!
//! - `routes`       the table of all routes: method, path, right; the router and the tests are made from it
//! - `auth`         an API key, or a person who is signed in
//! - `call`         one request as handlers see it, and the reading of its parts
//! - `fields`       a JSON body field by field, with everything that is wrong with it
//! - `problem`      every refusal
//! - `idempotency`  what is asked twice is done once
//! - `lights`, `readings`, `devices`, `commands`, `alerts`, `events`, `import`, `export`: one file per thing
//! - `columns`      the columns of a file of lights, and what is done to cells
//! - `openapi`      the description of all this, and of the device API, with a page to read it
mod alerts;
mod auth;
mod call;
mod columns;
mod commands;
mod devices;
mod energy;
mod events;
mod export;
mod fields;
mod idempotency;
mod import;
mod lights;
mod moment;
mod openapi;
mod page;
mod problem;
mod readings;
pub mod routes;
mod sheet;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, any, on};
use bytes::{Bytes, BytesMut};
use ccms_service::Ccms;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::Limits;
use call::Call;
use idempotency::{Lanes, Once};
use problem::Problem;
use routes::{ROUTES, Route};

/// Event streams open at a time.
const WATCHERS_MAX: usize = 64;
/// A client that sends too much is listened to this far, so that it gets to read its answer instead of a reset.
const DRAIN_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What all requests share.
#[derive(Clone)]
pub struct Context {
    ccms: Ccms,
    body_timeout: Duration,
    lanes: Lanes,
    watchers: Arc<Semaphore>,
    stop: CancellationToken,
}

/// The API, its description and its documentation. Sessions have to be layered around it.
pub fn routes(ccms: &Ccms, limits: &Limits, stop: CancellationToken) -> Router {
    let context = Context {
        ccms: ccms.clone(),
        body_timeout: Duration::from_secs(limits.body_read_seconds.max(1)),
        lanes: Lanes::default(),
        watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        stop,
    };
    let mut api = Router::new();
    for route in ROUTES {
        api = api.route(route.template, method_router(route));
    }
    let api = api
        .fallback(|| async { Problem::not_found("There is no such path below /api/v1.") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take that method; see Allow.")
        })
        .layer(CatchPanicLayer::custom(problem::after_panic))
        .with_state(context);
    let bare = || any(|| async { Problem::not_found("There is no such path below /api/v1.") });
    Router::new().nest("/api/v1", api).route("/api/v1/", bare()).merge(openapi::routes())
}

fn method_router(route: &'static Route) -> MethodRouter<Context> {
    let filter = match route.method {
        Method::POST => MethodFilter::POST,
        Method::PATCH => MethodFilter::PATCH,
        _ => MethodFilter::GET,
    };
    on(
        filter,
        move |State(context): State<Context>, path: Result<RawPathParams, RawPathParamsRejection>, request: Request| async move {
            let served = async {
                let path: RawPathParams = path.map_err(|_| Problem::malformed("The path cannot be read."))?;
                let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                serve(route, context, path, request).await
            };
            let mut response = served.await.unwrap_or_else(IntoResponse::into_response);
            // What a city's lamps do is nobody's to keep in between, unless the handler says otherwise.
            response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            response
        },
    )
}

async fn serve(
    route: &'static Route,
    context: Context,
    path: Vec<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    let caller = auth::caller(&context.ccms, &head).await?;
    if !caller.who().may(route.needs) {
        return Err(auth::refusal(&context.ccms, caller.who(), &path).await);
    }
    let body = tokio::time::timeout(context.body_timeout, collect(body, route.body_bytes_max))
        .await
        .map_err(|_| Problem::malformed("The body did not arrive in time."))??;
    let key = if route.method == Method::POST { idempotency::key_of(&head.headers)? } else { None };
    let (ccms, lanes) = (context.ccms.clone(), context.lanes.clone());
    let target = head.uri.path_and_query().map_or(head.uri.path(), |p| p.as_str());
    let once = key.map(|key| {
        let request = idempotency::fingerprint(route.method.as_str(), target, &body);
        Once { actor: caller.actor(), key, request }
    });
    let query = head.uri.query().unwrap_or_default().to_owned();
    let call = Call { context, caller, path, query, headers: head.headers, body, once: once.clone() };
    let act = async move { (route.handler)(call).await.unwrap_or_else(IntoResponse::into_response) };
    match once {
        Some(once) => Ok(idempotency::once(&ccms, &lanes, &once, act).await),
        None => Ok(act.await),
    }
}

async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Problem> {
    let (mut kept, mut seen) = (BytesMut::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("The body could not be read to its end."))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen <= bytes_max {
            kept.extend_from_slice(&data);
        } else if seen > DRAIN_BYTES_MAX {
            break;
        }
    }
    if seen > bytes_max {
        let detail = format!("The body is larger than {} KB.", bytes_max / 1024);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(kept.freeze())
}
