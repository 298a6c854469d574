//! `/docs`: Swagger UI, served from this binary, so that the description can be read and tried where there is no internet.
//!
//! Its policy differs from the screen's: the page sets styles on its elements and draws its pictures from `data:` URLs. Scripts
//! come from here alone, and nothing is asked of any other host.
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_swagger_ui::Config;

use super::problem::Problem;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The checker of descriptions that the page would otherwise ask lives in the internet.
static CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| {
    Arc::new(
        Config::new(["/api/openapi.json"]).validator_url("none").persist_authorization(false).try_it_out_enabled(false),
    )
});

pub(super) fn routes() -> Router {
    let policy = SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Router::new()
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { file("index.html") }))
        .route("/docs/{file}", get(|Path(name): Path<String>| async move { file(&name) }))
        .layer(policy)
}

fn file(name: &str) -> Response {
    match utoipa_swagger_ui::serve(name, CONFIG.clone()) {
        Ok(Some(file)) => {
            let kind = HeaderValue::from_str(&file.content_type);
            let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
            let headers = [
                (header::CONTENT_TYPE, kind),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
                (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            ];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => Problem::not_found("There is no such page.").into_response(),
        Err(error) => {
            tracing::error!(%error, "the documentation page could not be made");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.").into_response()
        }
    }
}
