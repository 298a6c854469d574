//! The city's own GeoJSON as a map that needs no network: fixed layer names from one configured folder.
use std::path::Path;

use axum::Router;
use axum::http::{HeaderValue, header};
use serde::Deserialize;
use tower_http::services::ServeFile;
use tower_http::set_header::SetResponseHeaderLayer;

/// In the order in which they are drawn.
const LAYERS: [&str; 4] = ["water", "green", "buildings", "roads"];

/// The layers that the folder has.
pub fn layers(dir: Option<&Path>) -> Vec<String> {
    let has = |layer: &&str| dir.is_some_and(|d| d.join(format!("{layer}.geojson")).is_file());
    LAYERS.into_iter().filter(has).map(str::to_owned).collect()
}

/// Whom the layers are owed to, as the files say themselves (`"attribution"` beside `"features"`): a licence such as the
/// ODbL asks that it stays visible wherever the data is shown.
pub fn attribution(dir: Option<&Path>) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        attribution: Option<String>,
    }
    let dir = dir?;
    layers(Some(dir)).iter().find_map(|layer| {
        let file = std::fs::File::open(dir.join(format!("{layer}.geojson"))).ok()?;
        serde_json::from_reader::<_, Head>(std::io::BufReader::new(file)).ok()?.attribution
    })
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
