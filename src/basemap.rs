//! The city's own GeoJSON as a map that needs no network: fixed layer names from one configured folder.
use std::path::Path;

use axum::Router;
use axum::http::{HeaderValue, header};
use tower_http::services::ServeFile;
use tower_http::set_header::SetResponseHeaderLayer;

/// In the order in which they are drawn.
const LAYERS: [&str; 4] = ["water", "green", "buildings", "roads"];

/// The layers that the folder has.
pub fn layers(dir: Option<&Path>) -> Vec<String> {
    let has = |layer: &&str| dir.is_some_and(|d| d.join(format!("{layer}.geojson")).is_file());
    LAYERS.into_iter().filter(has).map(str::to_owned).collect()
}

/// `/basemap/{layer}.geojson`, for those layers only.
pub fn routes(dir: Option<&Path>) -> Router {
    let mut router = Router::new();
    let Some(dir) = dir else { return router };
    for layer in layers(Some(dir)) {
        let file = format!("{layer}.geojson");
        router = router.route_service(&format!("/basemap/{file}"), ServeFile::new(dir.join(&file)));
    }
    router.layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("max-age=3600")))
}
