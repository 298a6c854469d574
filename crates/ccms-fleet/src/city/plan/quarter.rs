//! One quarter: a grid of lanes, turned and meshed its own way, cut by the main roads around it and by its parks.
use std::f64::consts::TAU;

use super::road::Road;
use super::shape::Shape;
use crate::physics::noise;

/// Room between lamps of lanes and the main roads.
const MARGIN_M: f64 = 21.0;
/// Distance between lanes one way and the other. Lamps between two crossings keep their distance from 60 m on.
const BLOCK_M: (f64, f64) = (62.0, 110.0);
const BLOCK_ACROSS_M: (f64, f64) = (80.0, 160.0);
/// Quarters with a park; with two.
const PARK_SHARE: f64 = 0.4;
const TWO_PARKS_SHARE: f64 = 0.12;
const PARK_M: (f64, f64) = (60.0, 170.0);
const PARK_CORNERS: usize = 28;
/// Between a park's edge and the main roads, and lanes.
const PARK_MARGIN_M: f64 = 24.0;
const PARK_LANE_M: f64 = 8.0;
/// Points at which a lane is checked.
const LOOK_M: f64 = 6.0;

pub struct Quarter<'a> {
    shape: &'a Shape,
    band: usize,
    sector: usize,
    seed: u64,
    middle: (f64, f64),
    radius_m: f64,
    /// Sine and cosine of the grid's turn.
    turn: (f64, f64),
    parks: Vec<Park>,
}

struct Park {
    middle: (f64, f64),
    /// From the middle to the edge, all around.
    edge_m: Vec<f64>,
}

impl<'a> Quarter<'a> {
    pub fn new(shape: &'a Shape, band: usize, sector: usize) -> Self {
        let seed = noise::hash(noise::hash(shape.seed, band as i64), 1_000 + sector as i64);
        let (middle, radius_m) = shape.bounds(band, sector);
        let turn = (noise::unit(seed, 0) * TAU / 4.0).sin_cos();
        let mut quarter = Self { shape, band, sector, seed, middle, radius_m, turn, parks: Vec::new() };
        let lot = noise::unit(seed, 1);
        let parks = usize::from(lot < PARK_SHARE) + usize::from(lot < TWO_PARKS_SHARE);
        quarter.parks = (0..parks).filter_map(|n| quarter.park(noise::hash(seed, 2 + n as i64))).collect();
        quarter
    }

    pub fn into_parks(self) -> Vec<Vec<(f64, f64)>> {
        self.parks.into_iter().map(|park| park.outline()).collect()
    }

    /// All lanes, in an order in which neighbours follow each other.
    pub fn streets(&self) -> Vec<Road> {
        let (columns, rows) = (self.lines(BLOCK_M, 11), self.lines(BLOCK_ACROSS_M, 12));
        let mut roads = Vec::new();
        for u in &columns {
            roads.extend(self.cut(&rows, |v| self.turned(*u, v)));
        }
        for v in &rows {
            roads.extend(self.cut(&columns, |u| self.turned(u, *v)));
        }
        roads
    }

    /// Where the lanes of one direction are, in the quarter's own turned coordinates.
    fn lines(&self, (least_m, most_m): (f64, f64), what: i64) -> Vec<f64> {
        let seed = noise::hash(self.seed, what);
        // A quarter has its own mesh, and no two of its blocks are quite the same.
        let mesh_m = least_m + 0.7 * noise::unit(seed, 0) * (most_m - least_m);
        let mut at = -self.radius_m;
        let mut lines = Vec::new();
        for n in 1.. {
            lines.push(at);
            if at > self.radius_m {
                break;
            }
            at += mesh_m + 0.3 * noise::unit(seed, n) * (most_m - least_m);
        }
        lines
    }

    fn turned(&self, u: f64, v: f64) -> (f64, f64) {
        let (sin, cos) = self.turn;
        (self.middle.0 + u * cos - v * sin, self.middle.1 + u * sin + v * cos)
    }

    /// The pieces of a line of the grid that are in the quarter. `crossings` is where the other lanes are along it: lamps
    /// stand where they would in an endless grid.
    fn cut(&self, crossings: &[f64], at: impl Fn(f64) -> (f64, f64)) -> Vec<Road> {
        let (first, last) = (crossings[0], crossings[crossings.len() - 1]);
        let is_free = |along: f64, margin_m: f64| {
            let place = at(along);
            self.shape.is_inside(self.band, self.sector, place, margin_m) && !self.parks.iter().any(|p| p.has(place))
        };
        // From where lamps end the lane itself goes on to the main road, or to the park.
        let goes_on = |mut along: f64, step_m: f64| {
            while (first..=last).contains(&along) && is_free(along + step_m, 0.0) {
                along += step_m;
            }
            along
        };
        let mut roads = Vec::new();
        let (mut from, mut along) = (None, first);
        while along <= last {
            match (from, is_free(along, MARGIN_M)) {
                (None, true) => from = Some(along),
                (Some(begin), false) => {
                    let lit = (begin, along - LOOK_M);
                    let (begin, end) = (goes_on(lit.0, -LOOK_M), goes_on(lit.1, LOOK_M));
                    let cuts = crossings.iter().map(|c| c - begin).collect();
                    roads.push(Road::lane(at(begin), at(end), cuts, (lit.0 - begin, lit.1 - begin)));
                    from = None;
                }
                _ => {}
            }
            along += LOOK_M;
        }
        roads
    }

    fn park(&self, seed: u64) -> Option<Park> {
        let size_m = (PARK_M.0 + noise::unit(seed, 0) * (PARK_M.1 - PARK_M.0)).min(self.radius_m * 0.6);
        let inside = |place| self.shape.is_inside(self.band, self.sector, place, PARK_MARGIN_M);
        let middle = (1..9).find_map(|n| {
            let (r, a) = (self.radius_m * noise::unit(seed, n), TAU * noise::unit(seed, -n));
            Some((self.middle.0 + r * a.sin(), self.middle.1 + r * a.cos())).filter(|place| inside(*place))
        })?;
        let edge_m = (0..PARK_CORNERS)
            .map(|corner| {
                let angle = TAU * corner as f64 / PARK_CORNERS as f64;
                let far_m = size_m * (1.0 + 0.25 * (2.0 * angle + TAU * noise::unit(seed, 20)).sin());
                let mut edge_m = 0.0;
                while edge_m < far_m && inside(around(middle, angle, edge_m + 4.0)) {
                    edge_m += 4.0;
                }
                edge_m
            })
            .collect();
        Some(Park { middle, edge_m })
    }
}

impl Park {
    /// Whether a place is in it or right beside it.
    fn has(&self, (x, y): (f64, f64)) -> bool {
        let (dx, dy) = (x - self.middle.0, y - self.middle.1);
        let turn = (dx.atan2(dy) / TAU).rem_euclid(1.0) * self.edge_m.len() as f64;
        let corner = turn.floor() as usize % self.edge_m.len();
        let (a, b) = (self.edge_m[corner], self.edge_m[(corner + 1) % self.edge_m.len()]);
        dx.hypot(dy) < a + (b - a) * turn.fract() + PARK_LANE_M
    }

    fn outline(&self) -> Vec<(f64, f64)> {
        let corners = self.edge_m.len() as f64;
        let mut line: Vec<_> = self
            .edge_m
            .iter()
            .enumerate()
            .map(|(n, edge)| around(self.middle, TAU * n as f64 / corners, *edge))
            .collect();
        line.push(line[0]);
        line
    }
}

fn around(middle: (f64, f64), angle: f64, r: f64) -> (f64, f64) {
    (middle.0 + r * angle.sin(), middle.1 + r * angle.cos())
}
