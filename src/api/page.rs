//! `/docs`: Swagger UI, served from this binary, so that the description can be read and tried where there is no internet.
//!
//! Its policy differs from the screen's: the page draws its pictures from `data:` URLs, and of styles that stand in the page
//! one is let in by its hash: the colours of the logo, which its script puts there. Scripts come from here alone, and nothing
//! is asked of any other host.
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa_swagger_ui::Config;

use super::problem::Problem;

const POLICY: &str = "default-src 'none'; script-src 'self'; \
                      style-src 'self' 'sha256-RL3ie0nH+Lzz2YNqQN83mnU0J1ot4QL7b99vMdIX99w='; img-src 'self' data:; \
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
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
            (headers, file.bytes.into_owned()).into_response()
        }
        Ok(None) => Problem::not_found("There is no such page.").into_response(),
        Err(error) => {
            tracing::error!(%error, "the documentation page could not be made");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The page could not be made.").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine as _};
    use sha2::{Digest, Sha256};

    use super::*;

    /// A new version may bring another style: then its hash belongs into the policy.
    #[test]
    fn the_policy_lets_in_the_style_of_the_logo_and_no_other() {
        let script = utoipa_swagger_ui::serve("swagger-ui-standalone-preset.js", CONFIG.clone()).unwrap().unwrap();
        let script = String::from_utf8(script.bytes.into_owned()).unwrap();
        let logo = script.find(".logo_small_svg__cls-2{").expect("the logo's colours");
        let style = &script[logo..logo + script[logo..].find(['"', '\'', '`']).unwrap()];
        let hash = BASE64_STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert!(POLICY.contains(&format!("style-src 'self' 'sha256-{hash}';")), "{style}: {hash}");
        assert!(!POLICY.contains("unsafe"), "{POLICY}");
    }
}
