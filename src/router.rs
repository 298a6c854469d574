//! Which path goes where. Device routes stand apart from everything else: no session, no compression, no cookie, and none of the
//! layers either (see [`device_api::Front`]).
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use ccms_app::{App, shell};
use ccms_service::Ccms;
use leptos::config::LeptosOptions;
use leptos::context::provide_context;
use leptos_axum::{LeptosRoutes, generate_route_list};
use tokio_util::sync::CancellationToken;
use tower::util::option_layer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::RequestBodyTimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Instrument, Span};

use crate::config::Config;
use crate::door::ClientAddress;
use crate::metrics::{self, HttpMetrics};
use crate::site::Site;
use crate::{api, basemap, device_api, live, origin, session};

/// Largest form that the screen sends.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// What is served is of the type it says; a browser that guesses could be made to run it.
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

pub(crate) const ONLY_TLS_FROM_NOW_ON: HeaderValue = HeaderValue::from_static("max-age=31536000");

pub fn build(config: &Config, ccms: &Ccms, leptos: LeptosOptions, stop: CancellationToken) -> Site {
    let metrics = HttpMetrics::default();
    let device = device_api::front(config, ccms, metrics.clone(), stop.clone());
    let others = Router::new()
        .merge(health_routes(ccms))
        .merge(rest_api(config, ccms, stop.clone()))
        .merge(screen(config, ccms, leptos, stop))
        .layer(middleware::from_fn(to_its_end))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(TraceLayer::new_for_http().make_span_with(request_span).on_failure(()))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(option_layer(config.tls.is_some().then(only_tls_from_now_on)))
        // On everything that leaves here, so that no route can forget it.
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF))
        .layer(middleware::from_fn_with_state(metrics, metrics::observe));
    Site::new(device, others)
}

/// What a request began to change is finished, also when its sender hangs up: between the database and the memory that
/// follows it there must be no end.
async fn to_its_end(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only the end of the runtime cancels it.
            Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        },
    }
}

/// Browsers that were here over TLS once come back over TLS only. A proxy that ends TLS says so itself, or does not.
fn only_tls_from_now_on() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(header::STRICT_TRANSPORT_SECURITY, ONLY_TLS_FROM_NOW_ON)
}

/// Every log line of a request carries its id, which the answer repeats as `x-request-id`.
fn request_span(request: &Request) -> Span {
    let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let client = request.extensions().get::<ClientAddress>().map(|client| tracing::field::display(client.0));
    tracing::info_span!("request", id, client, method = %request.method(), path = request.uri().path())
}

fn health_routes(ccms: &Ccms) -> Router {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).with_state(ccms.clone())
}

async fn ready(State(ccms): State<Ccms>) -> Response {
    if ccms.is_ready().await {
        // Of several processes on one database each says for itself whether it runs the background jobs, and how far behind
        // the others it may be.
        let member = ccms.membership().map(|m| {
            let jobs = if m.leads { "leads" } else { "follows" };
            format!("ready\n{jobs}, {} ms behind\n", m.behind.as_millis())
        });
        member.unwrap_or_else(|| "ready\n".to_owned()).into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    }
}

/// Other systems bring a key; a person who is signed in may use it too, so it knows the session.
fn rest_api(config: &Config, ccms: &Ccms, stop: CancellationToken) -> Router {
    api::routes(ccms, &config.limits, stop)
        .layer(session::layer(ccms, config.is_behind_tls()))
        .layer(CompressionLayer::new())
}

fn screen(config: &Config, ccms: &Ccms, leptos: LeptosOptions, stop: CancellationToken) -> Router {
    let context = {
        let ccms = ccms.clone();
        move || provide_context(ccms.clone())
    };
    let page = {
        let options = leptos.clone();
        move || shell(options.clone())
    };
    let fallback = leptos_axum::file_and_error_handler_with_context::<LeptosOptions, _>(context.clone(), shell);
    let fixed = |name: header::HeaderName, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
    };
    Router::new()
        .leptos_routes_with_context(&leptos, generate_route_list(App), context, page)
        .fallback(fallback)
        .with_state(leptos)
        .merge(basemap::routes(config.map.geojson_dir.as_deref()))
        .layer(CompressionLayer::new())
        // Behind it: a snapshot has nothing left that could be pressed out, and events leave at once.
        .merge(live::routes(ccms, stop))
        .layer(RequestBodyLimitLayer::new(FORM_BYTES_MAX))
        .layer(RequestBodyTimeoutLayer::new(Duration::from_secs(config.limits.body_read_seconds.max(1))))
        .layer(middleware::from_fn(origin::check))
        .layer(session::layer(ccms, config.is_behind_tls()))
        .layer(fixed(header::X_FRAME_OPTIONS, "DENY"))
        .layer(fixed(header::REFERRER_POLICY, "same-origin"))
        .layer(fixed(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"))
        .layer(fixed(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"))
        .layer(fixed(
            header::HeaderName::from_static("permissions-policy"),
            "geolocation=(), camera=(), microphone=(), payment=(), usb=()",
        ))
}
