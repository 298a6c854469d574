//! The bones of a city: rings, arterials, and the quarters between them. A place has a reach (its distance from the middle,
//! evened out so that every ring has one) and an angle clockwise from north.
use std::f64::consts::TAU;

use super::road::Road;
use crate::physics::noise;

const FIRST_RING_M: f64 = 300.0;
/// Rings stand wider apart the farther out they are, up to a point.
const RING_GAP_M: f64 = 480.0;
const RING_GAP_GROWS: f64 = 1.2;
const RING_GAP_MAX_M: f64 = 900.0;
/// How far from round rings are.
const WOBBLE: f64 = 0.05;
/// How far from round the edge of the city is.
const OUTLINE_WOBBLE: f64 = 0.2;
/// Arterials at the edge; only every second one begins at the first ring.
const ARTERIALS: usize = 16;
/// The ring at which the others begin.
const MINOR_FROM_RING: usize = 3;
/// How far arterials swing to either side, and after what distance. Little near the middle; crossings stay close to right
/// angles, or lamps at a corner would meet.
const SWING_M: f64 = 90.0;
const SWING_STEADY_M: f64 = 600.0;
const BEND_M: f64 = 1_100.0;
/// Points of a bent road.
const STEP_M: f64 = 12.0;

pub struct Shape {
    pub seed: u64,
    rings_m: Vec<f64>,
    edge_m: f64,
}

impl Shape {
    /// A city at least this large.
    pub fn new(seed: u64, radius_m: f64) -> Self {
        // The innermost lights are taken, by a city's uneven outline: plan for its farthest corner.
        let edge_m = radius_m * (1.0 + OUTLINE_WOBBLE + WOBBLE);
        let (mut rings_m, mut gap_m) = (vec![FIRST_RING_M], RING_GAP_M);
        while rings_m[rings_m.len() - 1] < edge_m {
            rings_m.push(rings_m[rings_m.len() - 1] + gap_m);
            gap_m = (gap_m * RING_GAP_GROWS).min(RING_GAP_MAX_M);
        }
        let edge_m = rings_m[rings_m.len() - 1];
        Self { seed, rings_m, edge_m }
    }

    pub fn rings(&self) -> usize {
        self.rings_m.len()
    }

    pub fn arterials(&self) -> impl Iterator<Item = usize> {
        let minors = self.rings() > MINOR_FROM_RING;
        (0..ARTERIALS).filter(move |a| minors || a.is_multiple_of(2))
    }

    /// Bands lie inside of the ring of their number; sectors go clockwise.
    pub fn quarters(&self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.rings()).flat_map(|band| (0..sectors(band)).map(move |sector| (band, sector)))
    }

    /// The number of a quarter among [`Self::quarters`].
    pub fn ward(&self, band: usize, sector: usize) -> usize {
        (0..band).map(sectors).sum::<usize>() + sector
    }

    /// The quarter that a place is in.
    pub fn ward_at(&self, at: (f64, f64)) -> usize {
        let (reach_m, angle) = self.polar(at);
        let band = self.rings_m.iter().position(|r| reach_m <= r + 0.5).unwrap_or(self.rings() - 1);
        let inside = |s: &usize| {
            let (from, width) = self.span(band, *s, reach_m);
            (angle - from).rem_euclid(TAU) < width
        };
        self.ward(band, (0..sectors(band)).find(inside).unwrap_or(0))
    }

    pub fn zone(&self, band: usize, sector: usize) -> &'static str {
        if band <= 1 {
            return "Centre";
        }
        let middle = (sector as f64 + 0.5) / sectors(band) as f64;
        ["North", "East", "South", "West"][((middle * 4.0 + 0.5).floor() as usize) % 4]
    }

    /// Whether a place is in a quarter and so far from the main roads around it.
    pub fn is_inside(&self, band: usize, sector: usize, at: (f64, f64), margin_m: f64) -> bool {
        let (reach_m, angle) = self.polar(at);
        let inner_m = if band == 0 { 0.0 } else { self.rings_m[band - 1] + margin_m };
        if reach_m < inner_m || reach_m > self.rings_m[band] - margin_m {
            return false;
        }
        if sectors(band) == 1 {
            return true;
        }
        let (from, width) = self.span(band, sector, reach_m);
        let margin = margin_m / reach_m.max(1.0);
        (margin..width - margin).contains(&(angle - from).rem_euclid(TAU))
    }

    /// The middle of a quarter, and a radius around it that covers the quarter.
    pub fn bounds(&self, band: usize, sector: usize) -> ((f64, f64), f64) {
        if band == 0 {
            return ((0.0, 0.0), FIRST_RING_M * (1.0 + WOBBLE));
        }
        let (inner_m, outer_m) = (self.rings_m[band - 1], self.rings_m[band]);
        let middle_m = (inner_m + outer_m) / 2.0;
        let (from, width) = self.span(band, sector, middle_m);
        let middle = self.place(middle_m, from + width / 2.0);
        let corners = [inner_m, middle_m, outer_m].into_iter().flat_map(|reach| {
            let (from, width) = self.span(band, sector, reach);
            [0.0, 0.5, 1.0].map(|t| self.place(reach, from + width * t))
        });
        let radius = corners.map(|c| (c.0 - middle.0).hypot(c.1 - middle.1)).fold(0.0, f64::max);
        (middle, radius * 1.05)
    }

    pub fn ring(&self, ring: usize) -> Road {
        let reach_m = self.rings_m[ring];
        let meets = |a: &usize| a.is_multiple_of(2) || ring >= MINOR_FROM_RING;
        let mut crossings: Vec<f64> =
            self.arterials().filter(meets).map(|a| self.bearing(a, reach_m).rem_euclid(TAU)).collect();
        crossings.sort_by(f64::total_cmp);
        crossings.push(crossings[0] + TAU);
        let (mut line, mut cuts) = (Vec::new(), Vec::new());
        for pair in crossings.windows(2) {
            cuts.push(line.len());
            let steps = ((pair[1] - pair[0]) * reach_m / STEP_M).ceil().max(1.0);
            line.extend(
                (0..steps as usize).map(|n| self.place(reach_m, pair[0] + (pair[1] - pair[0]) * n as f64 / steps)),
            );
        }
        cuts.push(line.len());
        line.push(line[0]);
        Road::main(line, &cuts)
    }

    pub fn arterial(&self, arterial: usize) -> Road {
        // Every fourth begins at the second ring, so that not all meet in the middle.
        let first = if arterial % 2 == 1 { MINOR_FROM_RING } else { usize::from(arterial % 4 == 2) };
        let mut reaches: Vec<f64> = self.rings_m[first.min(self.rings() - 1)..].to_vec();
        if reaches[reaches.len() - 1] < self.edge_m {
            reaches.push(self.edge_m);
        }
        let (mut line, mut cuts) = (Vec::new(), Vec::new());
        let at = |reach: f64| self.place(reach, self.bearing(arterial, reach));
        for pair in reaches.windows(2) {
            cuts.push(line.len());
            let steps = ((pair[1] - pair[0]) / STEP_M).ceil();
            line.extend((0..steps as usize).map(|n| at(pair[0] + (pair[1] - pair[0]) * n as f64 / steps)));
        }
        cuts.push(line.len());
        line.push(at(reaches[reaches.len() - 1]));
        Road::main(line, &cuts)
    }

    /// How far out a place counts, when the city's edge is not round.
    pub fn outline(&self, at: (f64, f64)) -> f64 {
        let angle = at.0.atan2(at.1);
        at.0.hypot(at.1) / (1.0 + OUTLINE_WOBBLE * self.wobble(angle, 2))
    }

    /// Reach and angle of a place.
    fn polar(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let angle = x.atan2(y);
        (x.hypot(y) / (1.0 + WOBBLE * self.wobble(angle, 1)), angle)
    }

    fn place(&self, reach_m: f64, angle: f64) -> (f64, f64) {
        let r = reach_m * (1.0 + WOBBLE * self.wobble(angle, 1));
        (r * angle.sin(), r * angle.cos())
    }

    /// Between -1 and 1 around a circle.
    fn wobble(&self, angle: f64, what: i64) -> f64 {
        let phase = |n: i64| noise::unit(noise::hash(self.seed, -what), n) * TAU;
        0.6 * (2.0 * angle + phase(0)).sin() + 0.4 * (3.0 * angle + phase(1)).sin()
    }

    fn bearing(&self, arterial: usize, reach_m: f64) -> f64 {
        let bend = noise::curve(noise::hash(self.seed, 3), reach_m / BEND_M + arterial as f64 * 17.0);
        TAU * (arterial as f64 + 0.5) / ARTERIALS as f64 + bend * SWING_M / (reach_m + SWING_STEADY_M)
    }

    /// Where a sector begins at this reach, and how wide it is.
    fn span(&self, band: usize, sector: usize, reach_m: f64) -> (f64, f64) {
        let each = ARTERIALS / sectors(band).min(ARTERIALS);
        let (from, to) = (sector * each, (sector + 1) * each);
        let from_angle = self.bearing(from, reach_m);
        let turn = if to == ARTERIALS { TAU } else { 0.0 };
        let width = match sectors(band) {
            1 => TAU,
            _ => self.bearing(to % ARTERIALS, reach_m) + turn - from_angle,
        };
        (from_angle, width)
    }
}

fn sectors(band: usize) -> usize {
    match band {
        0 => 1,
        _ if band <= MINOR_FROM_RING => ARTERIALS / 2,
        _ => ARTERIALS,
    }
}
