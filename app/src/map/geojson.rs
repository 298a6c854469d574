//! The parts of GeoJSON that a basemap needs, as lines and rings in pixels of zoom 16 around an origin. Pure.
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::projection::{world, world_px};

/// The zoom whose pixels the shapes are kept in.
pub const SHAPE_ZOOM: f64 = 16.0;

#[derive(Debug, Deserialize)]
pub struct Collection {
    features: Vec<Feature>,
}

#[derive(Debug, Deserialize)]
struct Feature {
    #[serde(default)]
    properties: Option<Properties>,
    geometry: Option<Geometry>,
}

#[derive(Debug, Default, Deserialize)]
struct Properties {
    highway: Option<String>,
    name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum Geometry {
    Point(IgnoredAny),
    MultiPoint(IgnoredAny),
    LineString(Vec<Position>),
    MultiLineString(Vec<Vec<Position>>),
    Polygon(Vec<Vec<Position>>),
    MultiPolygon(Vec<Vec<Vec<Position>>>),
}

/// Longitude and latitude; a height, if any, is skipped.
#[derive(Debug, Clone, Copy)]
struct Position(f64, f64);

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Position;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a position")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Position, A::Error> {
                let missing = || serde::de::Error::custom("a position has two numbers");
                let lon = seq.next_element()?.ok_or_else(missing)?;
                let lat = seq.next_element()?.ok_or_else(missing)?;
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Position(lon, lat))
            }
        }
        d.deserialize_seq(Numbers)
    }
}

/// How important a road is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RoadClass {
    Path,
    Street,
    Main,
}

impl RoadClass {
    fn of(highway: &str) -> Self {
        match highway.trim_end_matches("_link") {
            "motorway" | "trunk" | "primary" | "secondary" | "tertiary" => Self::Main,
            "footway" | "path" | "steps" | "cycleway" | "pedestrian" | "track" | "bridleway" | "corridor"
            | "elevator" | "platform" => Self::Path,
            _ => Self::Street,
        }
    }
}

/// One line or ring, in pixels of [`SHAPE_ZOOM`] around the origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    pub road: Option<RoadClass>,
    pub points: Vec<(f64, f64)>,
    pub closed: bool,
}

/// A street's name on its longest straight piece.
#[derive(Debug, Clone, PartialEq)]
pub struct StreetName {
    pub name: String,
    pub middle: (f64, f64),
    /// Radians, readable from left to right.
    pub angle: f64,
    pub length: f64,
}

impl Collection {
    /// A place of the collection in the unit square.
    pub fn first(&self) -> Option<(f64, f64)> {
        let Position(lon, lat) = self.features.iter().find_map(|feature| match feature.geometry.as_ref()? {
            Geometry::LineString(line) => line.first(),
            Geometry::MultiLineString(lines) | Geometry::Polygon(lines) => lines.iter().flatten().next(),
            Geometry::MultiPolygon(polygons) => polygons.iter().flatten().flatten().next(),
            Geometry::Point(_) | Geometry::MultiPoint(_) => None,
        })?;
        Some(world(*lat, *lon))
    }

    /// All lines and rings.
    pub fn shapes(&self, origin: (f64, f64)) -> Vec<Shape> {
        let mut shapes = Vec::with_capacity(self.features.len());
        for feature in &self.features {
            let road = feature.properties.as_ref().and_then(|p| p.highway.as_deref()).map(RoadClass::of);
            let mut add = |line: &[Position], closed: bool| {
                let points = line.iter().map(|p| pixel(*p, origin)).collect();
                shapes.push(Shape { road, points, closed });
            };
            match &feature.geometry {
                Some(Geometry::LineString(line)) => add(line, false),
                Some(Geometry::MultiLineString(lines)) => lines.iter().for_each(|line| add(line, false)),
                Some(Geometry::Polygon(rings)) => rings.iter().for_each(|ring| add(ring, true)),
                Some(Geometry::MultiPolygon(polygons)) => polygons.iter().flatten().for_each(|ring| add(ring, true)),
                Some(Geometry::Point(_) | Geometry::MultiPoint(_)) | None => {}
            }
        }
        shapes
    }

    /// Each name once, on the longest straight piece among all ways that carry it.
    pub fn names(&self, origin: (f64, f64)) -> Vec<StreetName> {
        let mut names: Vec<StreetName> = Vec::new();
        for feature in &self.features {
            let Some(name) = feature.properties.as_ref().and_then(|p| p.name.as_deref()) else { continue };
            let Some(Geometry::LineString(line)) = &feature.geometry else { continue };
            let (Some(first), Some(last)) = (line.first(), line.last()) else { continue };
            // A way from crossing to crossing is straight enough to carry its name.
            let (a, b) = (pixel(*first, origin), pixel(*last, origin));
            let length = (b.0 - a.0).hypot(b.1 - a.1);
            let angle = (b.1 - a.1).atan2(b.0 - a.0);
            let upright = if angle.abs() > std::f64::consts::FRAC_PI_2 {
                angle - std::f64::consts::PI.copysign(angle)
            } else {
                angle
            };
            let found = StreetName {
                name: name.to_owned(),
                middle: ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0),
                angle: upright,
                length,
            };
            match names.iter_mut().find(|n| n.name == name) {
                Some(known) if known.length < length => *known = found,
                Some(_) => {}
                None => names.push(found),
            }
        }
        names
    }
}

fn pixel(Position(lon, lat): Position, origin: (f64, f64)) -> (f64, f64) {
    let (x, y) = world(lat, lon);
    let scale = world_px(SHAPE_ZOOM);
    ((x - origin.0) * scale, (y - origin.1) * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"type":"FeatureCollection","features":[
        {"type":"Feature","properties":{"highway":"secondary_link","name":"Esplanadi"},
         "geometry":{"type":"LineString","coordinates":[[24.95,60.17,12.5],[24.94,60.17]]}},
        {"type":"Feature","properties":{"highway":"footway"},
         "geometry":{"coordinates":[[[24.94,60.17],[24.95,60.17],[24.95,60.18],[24.94,60.17]]],"type":"Polygon"}},
        {"type":"Feature","properties":null,"geometry":{"type":"Point","coordinates":[1,2]}},
        {"type":"Feature","properties":{},"geometry":null}]}"#;

    #[test]
    fn reads_lines_rings_and_nothing_else() {
        let collection: Collection = serde_json::from_str(TEXT).unwrap();
        let shapes = collection.shapes(world(60.17, 24.94));
        assert_eq!(
            shapes.iter().map(|s| (s.road, s.closed)).collect::<Vec<_>>(),
            [(Some(RoadClass::Main), false), (Some(RoadClass::Path), true),]
        );
        assert!(shapes[0].points[1].0.abs() < 1e-6 && shapes[0].points[1].1.abs() < 1e-6);
    }

    #[test]
    fn a_name_reads_from_left_to_right() {
        let collection: Collection = serde_json::from_str(TEXT).unwrap();
        let names = collection.names(world(60.17, 24.94));
        assert_eq!(names.len(), 1);
        assert!(names[0].angle.abs() < 0.01, "{names:?}");
    }
}
