//! What a city needs of GeoJSON. Lamps are points: those with `highway=street_lamp` as OpenStreetMap has them, or, in a file made
//! for the purpose, all points without a `highway`. Streets are lines with a `highway` and a `name`.
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Debug, Deserialize)]
struct Collection {
    features: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
struct Feature {
    #[serde(default)]
    properties: Option<Properties>,
    geometry: Option<Geometry>,
}

#[derive(Debug, Deserialize, Default)]
struct Properties {
    highway: Option<String>,
    name: Option<String>,
    /// The number on the pole.
    #[serde(rename = "ref")]
    pole: Option<String>,
    #[serde(rename = "light:method")]
    method: Option<String>,
    lamp_type: Option<String>,
}

/// Areas, collections and whatever else a file has are passed over unread.
#[derive(Debug, Deserialize)]
struct Geometry {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    coordinates: Option<Box<RawValue>>,
}

/// A lamp as a map has it.
#[derive(Debug, Clone, PartialEq)]
pub struct MapLamp {
    pub latitude: f64,
    pub longitude: f64,
    pub pole: Option<String>,
    /// Where the map says so.
    pub is_led: Option<bool>,
}

/// A street as a map has it: latitudes and longitudes.
#[derive(Debug, Clone, PartialEq)]
pub struct MapStreet {
    pub name: String,
    pub main: bool,
    pub line: Vec<(f64, f64)>,
}

const LAMP: &str = "street_lamp";
const MAIN: [&str; 5] = ["motorway", "trunk", "primary", "secondary", "tertiary"];

/// The lamps and the named streets of a file.
pub fn read(text: &[u8]) -> serde_json::Result<(Vec<MapLamp>, Vec<MapStreet>)> {
    let (mut lamps, mut streets) = (Vec::new(), Vec::new());
    for feature in serde_json::from_slice::<Collection>(text)?.features {
        let of = feature.properties.unwrap_or_default();
        let Some(Geometry { kind, coordinates: Some(raw) }) = feature.geometry else { continue };
        match kind.as_str() {
            "Point" if of.highway.as_deref().is_none_or(|h| h == LAMP) => {
                let Some((latitude, longitude)) = place(&serde_json::from_str::<Vec<f64>>(raw.get())?) else {
                    continue;
                };
                let method = of.method.or(of.lamp_type).filter(|m| !m.is_empty());
                let is_led = method.map(|m| m.to_ascii_lowercase().contains("led"));
                lamps.push(MapLamp { latitude, longitude, pole: of.pole, is_led });
            }
            "LineString" => {
                if let (Some(highway), Some(name)) = (of.highway, of.name) {
                    let main = MAIN.iter().any(|class| highway.starts_with(class));
                    let line: Vec<Vec<f64>> = serde_json::from_str(raw.get())?;
                    streets.push(MapStreet { name, main, line: line.iter().filter_map(|at| place(at)).collect() });
                }
            }
            _ => {}
        }
    }
    Ok((lamps, streets))
}

/// GeoJSON puts the longitude first.
fn place(at: &[f64]) -> Option<(f64, f64)> {
    let (latitude, longitude) = (*at.get(1)?, *at.first()?);
    let on_earth = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
    on_earth.then_some((latitude, longitude))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_of_openstreetmap_is_taken_as_it_is() {
        let text = br#"{"type":"FeatureCollection","generator":"overpass-turbo","features":[
            {"type":"Feature","id":"node/1","properties":{"@id":"node/1","highway":"street_lamp","lamp_type":"electric","ref":"17a"},
             "geometry":{"type":"Point","coordinates":[24.95,60.17,3.0]}},
            {"type":"Feature","properties":{"highway":"street_lamp","light:method":"LED"},"geometry":{"type":"Point","coordinates":[24.951,60.17]}},
            {"type":"Feature","properties":{"highway":"crossing"},"geometry":{"type":"Point","coordinates":[24.95,60.17]}},
            {"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[24.952,60.17]}},
            {"type":"Feature","properties":{"highway":"street_lamp"},"geometry":{"type":"Point","coordinates":[240.0,60.17]}},
            {"type":"Feature","properties":{"highway":"street_lamp"},"geometry":null},
            {"type":"Feature","properties":{"highway":"primary_link","name":"Mannerheimintie"},
             "geometry":{"type":"LineString","coordinates":[[24.94,60.17],[24.96,60.17]]}},
            {"type":"Feature","properties":{"building":"yes"},"geometry":{"type":"Polygon","coordinates":[[[0,0],[0,1],[1,1],[0,0]]]}},
            {"type":"Feature","properties":{},"geometry":{"type":"GeometryCollection","geometries":[]}}]}"#;
        let (lamps, streets) = read(text).unwrap();
        let places: Vec<_> = lamps.iter().map(|l| (l.longitude, l.pole.as_deref(), l.is_led)).collect();
        assert_eq!(places, [(24.95, Some("17a"), Some(false)), (24.951, None, Some(true)), (24.952, None, None)]);
        assert_eq!(streets.len(), 1);
        assert!(streets[0].main && streets[0].name == "Mannerheimintie" && streets[0].line.len() == 2);
        assert!(read(b"{}").is_err());
    }
}
