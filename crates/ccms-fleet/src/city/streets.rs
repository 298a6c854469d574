//! Which street a lamp of a map stands in, how far along it, and which ward it is in.
use std::collections::BTreeMap;

use super::geojson::{MapLamp, MapStreet};
use super::plane::Plane;

/// Beyond this a street does not name a lamp.
const STREET_REACH_M: f64 = 250.0;
/// Segments are looked up in squares of this size.
const CELL_M: f64 = 250.0;
/// Where nobody says otherwise, a ward is a square of this size.
const WARD_M: f64 = 600.0;
/// The inner part of a city, as a share of its extent from the middle.
const CENTRE_SHARE: f64 = 0.3;

/// Where each lamp is, and what its street and ward are called.
#[derive(Debug, Default)]
pub struct Placed {
    pub lamps: Vec<Place>,
    /// Name, and whether it is a main road.
    pub streets: Vec<(String, bool)>,
    /// Name and zone.
    pub wards: Vec<(String, &'static str)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    pub street: usize,
    pub along_m: f64,
    pub ward: usize,
}

struct Segment {
    street: usize,
    from: (f64, f64),
    to: (f64, f64),
}

pub fn placed(lamps: &[MapLamp], streets: &[MapStreet]) -> Placed {
    let Some(first) = lamps.first() else { return Placed::default() };
    let plane = Plane::around(first.latitude, first.longitude);
    let at: Vec<_> = lamps.iter().map(|l| plane.to_metres(l.latitude, l.longitude)).collect();
    let mut placed = Placed::default();
    // The last street is none: lamps that stand in no street are numbered among themselves.
    let mut names: BTreeMap<&str, bool> = BTreeMap::new();
    for street in streets {
        *names.entry(&street.name).or_default() |= street.main;
    }
    placed.streets = names.iter().map(|(name, main)| ((*name).to_owned(), *main)).collect();
    let nowhere = placed.streets.len();
    placed.streets.push(("Lamp".into(), false));
    let numbers: BTreeMap<&str, usize> = names.keys().enumerate().map(|(n, name)| (*name, n)).collect();

    let cells = cells(streets, &numbers, plane);
    let (squares, wards) = wards(&at);
    placed.wards = wards;
    let mut of_street: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (lamp, place) in at.iter().enumerate() {
        let street = nearest_street(*place, &cells).unwrap_or(nowhere);
        of_street.entry(street).or_default().push(lamp);
        placed.lamps.push(Place { street, along_m: 0.0, ward: squares[lamp] });
    }
    for lamps in of_street.values() {
        let along = direction(lamps, &at);
        for lamp in lamps {
            placed.lamps[*lamp].along_m = along(&at[*lamp]);
        }
    }
    placed
}

type Cells = BTreeMap<(i64, i64), Vec<Segment>>;

fn cell(at: (f64, f64)) -> (i64, i64) {
    ((at.0 / CELL_M).floor() as i64, (at.1 / CELL_M).floor() as i64)
}

/// Every segment in all squares that it may come near.
fn cells(streets: &[MapStreet], numbers: &BTreeMap<&str, usize>, plane: Plane) -> Cells {
    let mut cells = Cells::new();
    for street in streets {
        for pair in street.line.windows(2) {
            let (from, to) = (plane.to_metres(pair[0].0, pair[0].1), plane.to_metres(pair[1].0, pair[1].1));
            let (a, b) = (cell((from.0.min(to.0), from.1.min(to.1))), cell((from.0.max(to.0), from.1.max(to.1))));
            for i in a.0..=b.0 {
                for j in a.1..=b.1 {
                    let segment = Segment { street: numbers[street.name.as_str()], from, to };
                    cells.entry((i, j)).or_default().push(segment);
                }
            }
        }
    }
    cells
}

fn nearest_street(at: (f64, f64), cells: &Cells) -> Option<usize> {
    let (i, j) = cell(at);
    let near = (-1..=1).flat_map(|di| (-1..=1).map(move |dj| (i + di, j + dj))).filter_map(|c| cells.get(&c)).flatten();
    let (nearest_m, street) = near.map(|s| (distance_m(at, s), s.street)).min_by(|a, b| a.0.total_cmp(&b.0))?;
    (nearest_m <= STREET_REACH_M).then_some(street)
}

fn distance_m(p: (f64, f64), s: &Segment) -> f64 {
    let (dx, dy) = (s.to.0 - s.from.0, s.to.1 - s.from.1);
    let length2 = dx * dx + dy * dy;
    let along = ((p.0 - s.from.0) * dx + (p.1 - s.from.1) * dy) / length2.max(f64::MIN_POSITIVE);
    let t = along.clamp(0.0, 1.0);
    (p.0 - s.from.0 - t * dx).hypot(p.1 - s.from.1 - t * dy)
}

/// The direction in which a street stretches, so that numbers run as house numbers do.
fn direction(lamps: &[usize], at: &[(f64, f64)]) -> impl Fn(&(f64, f64)) -> f64 + use<> {
    let extent = |axis: fn(&(f64, f64)) -> f64| {
        let values = || lamps.iter().map(|l| axis(&at[*l]));
        values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min)
    };
    let west_to_east = extent(|p| p.0) >= extent(|p| p.1);
    move |p| if west_to_east { p.0 } else { p.1 }
}

/// The ward of each lamp, and the wards: squares in reading order, with the part of the city that they are in.
fn wards(at: &[(f64, f64)]) -> (Vec<usize>, Vec<(String, &'static str)>) {
    let square = |p: &(f64, f64)| ((-p.1 / WARD_M).floor() as i64, (p.0 / WARD_M).floor() as i64);
    let used: std::collections::BTreeSet<_> = at.iter().map(square).collect();
    let numbers: BTreeMap<_, usize> = used.iter().enumerate().map(|(n, s)| (*s, n)).collect();
    let count = at.len() as f64;
    let middle = (at.iter().map(|p| p.0).sum::<f64>() / count, at.iter().map(|p| p.1).sum::<f64>() / count);
    let from_middle = |p: &(f64, f64)| (p.0 - middle.0).hypot(p.1 - middle.1);
    let extent = at.iter().map(from_middle).fold(0.0, f64::max);
    let zone = |(row, column): &(i64, i64)| {
        let corner = ((*column as f64 + 0.5) * WARD_M, -(*row as f64 + 0.5) * WARD_M);
        let (dx, dy) = (corner.0 - middle.0, corner.1 - middle.1);
        match () {
            () if from_middle(&corner) < CENTRE_SHARE * extent => "Centre",
            () if dy.abs() >= dx.abs() => {
                if dy > 0.0 {
                    "North"
                } else {
                    "South"
                }
            }
            () => {
                if dx > 0.0 {
                    "East"
                } else {
                    "West"
                }
            }
        }
    };
    let names = used.iter().enumerate().map(|(n, s)| (format!("Ward {}", n + 1), zone(s))).collect();
    (at.iter().map(|p| numbers[&square(p)]).collect(), names)
}
