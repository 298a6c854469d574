//! Real lamps from GeoJSON points (OpenStreetMap's `highway=street_lamp` as it is), named after the nearest street. The
//! lamps and streets of Helsinki's centre are built in. © OpenStreetMap contributors, ODbL 1.0.
use std::collections::BTreeMap;

use anyhow::Context;
use serde::Deserialize;

use super::{Plane, Site};

pub(super) const LAMPS: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../cities/helsinki/lamps.geojson"));
const ROADS: &[u8] = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../cities/helsinki/roads.geojson"));

/// Beyond this a street does not name a lamp.
const STREET_REACH_M: f64 = 250.0;

#[derive(Deserialize)]
struct Collection {
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(default)]
    properties: Option<Properties>,
    geometry: Option<Geometry>,
}

#[derive(Deserialize, Default)]
struct Properties {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates")]
enum Geometry {
    Point(Vec<f64>),
    LineString(Vec<Vec<f64>>),
    #[serde(other)]
    Other,
}

struct Segment {
    street: usize,
    from: (f64, f64),
    to: (f64, f64),
}

/// The lamps in `geojson`, each named after its street with a running number along it.
pub(super) fn sites(geojson: &[u8]) -> anyhow::Result<Vec<Site>> {
    let lamps: Collection = serde_json::from_slice(geojson)?;
    let points: Vec<(f64, f64)> = lamps.features.iter().filter_map(|f| point(f.geometry.as_ref()?)).collect();
    let Some(first) = points.first() else { return Ok(Vec::new()) };
    let plane = Plane::around(first.0, first.1);
    let (streets, segments) = streets(plane)?;
    let metres: Vec<_> = points.iter().map(|(lat, lon)| plane.to_metres(*lat, *lon)).collect();

    let mut lamps_of: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (lamp, at) in metres.iter().enumerate() {
        lamps_of.entry(nearest_street(*at, &segments)).or_default().push(lamp);
    }
    let mut names = vec![(String::new(), ""); points.len()];
    for (street, mut lamps) in lamps_of {
        order_along(&mut lamps, &metres);
        let (street, city) = street.map_or(("Lamp", "Helsinki"), |s| (streets[s].as_str(), "Helsinki"));
        for (number, lamp) in lamps.into_iter().enumerate() {
            names[lamp] = (format!("{street} {}", number + 1), city);
        }
    }
    let site = |((name, city), (latitude, longitude)): ((String, &str), (f64, f64))| Site {
        address: format!("{name}, {city}"),
        name,
        city: city.to_owned(),
        latitude,
        longitude,
    };
    Ok(names.into_iter().zip(points).map(site).collect())
}

fn point(geometry: &Geometry) -> Option<(f64, f64)> {
    match geometry {
        Geometry::Point(p) => Some((*p.get(1)?, *p.first()?)),
        Geometry::LineString(_) | Geometry::Other => None,
    }
}

fn streets(plane: Plane) -> anyhow::Result<(Vec<String>, Vec<Segment>)> {
    let roads: Collection = serde_json::from_slice(ROADS).context("the built-in streets")?;
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut segments = Vec::new();
    for feature in roads.features {
        let (Some(name), Some(Geometry::LineString(line))) =
            (feature.properties.unwrap_or_default().name, feature.geometry)
        else {
            continue;
        };
        let next = names.len();
        let street = *names.entry(name).or_insert(next);
        let at = |p: &Vec<f64>| Some(plane.to_metres(*p.get(1)?, *p.first()?));
        let pairs = line.windows(2).filter_map(|w| Some((at(&w[0])?, at(&w[1])?)));
        segments.extend(pairs.map(|(from, to)| Segment { street, from, to }));
    }
    let mut by_number = vec![String::new(); names.len()];
    for (name, number) in names {
        by_number[number] = name;
    }
    Ok((by_number, segments))
}

fn nearest_street(at: (f64, f64), segments: &[Segment]) -> Option<usize> {
    let nearest = segments.iter().map(|s| (distance_m(at, s), s.street)).min_by(|a, b| a.0.total_cmp(&b.0))?;
    (nearest.0 <= STREET_REACH_M).then_some(nearest.1)
}

fn distance_m(p: (f64, f64), s: &Segment) -> f64 {
    let (dx, dy) = (s.to.0 - s.from.0, s.to.1 - s.from.1);
    let length2 = dx * dx + dy * dy;
    let along = ((p.0 - s.from.0) * dx + (p.1 - s.from.1) * dy) / length2.max(f64::MIN_POSITIVE);
    let t = along.clamp(0.0, 1.0);
    (p.0 - s.from.0 - t * dx).hypot(p.1 - s.from.1 - t * dy)
}

/// Sorts lamps along the direction in which their street stretches, so that numbers run as house numbers do.
fn order_along(lamps: &mut [usize], metres: &[(f64, f64)]) {
    let extent = |axis: fn(&(f64, f64)) -> f64| {
        let values = || lamps.iter().map(|l| axis(&metres[*l]));
        values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
    };
    let west_to_east = extent(|p| p.0) >= extent(|p| p.1);
    let key = |l: &usize| if west_to_east { metres[*l].0 } else { metres[*l].1 };
    lamps.sort_by(|a, b| key(a).total_cmp(&key(b)));
}
