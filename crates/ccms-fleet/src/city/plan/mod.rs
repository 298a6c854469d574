//! A city from a generator, laid out as grown ones are: rings that are not quite round, arterials that bend on their way
//! out and become more of them, and between two rings and two arterials a quarter with a street grid turned its own way and
//! a park here and there. Every choice is a function of the seed and the place, so the middle of a city is the same however
//! large it gets.
//!
//! - [`shape`]   rings, arterials, and which quarter a place is in
//! - [`road`]    a line, the lamps along it, and its crossings
//! - [`quarter`] the streets and parks of one quarter
//! - [`names`]   what everything is called
pub mod names;
mod quarter;
mod road;
mod shape;

use names::Style;
use quarter::Quarter;
use road::Road;
use shape::Shape;

/// Lamps of a built-up square metre, a little less than there are.
const LAMPS_PER_M2: f64 = 0.000_42;
/// When there were too few, the city is planned so much larger.
const LARGER: f64 = 1.15;
/// A street of fewer lamps is a leftover of the cutting.
const STREET_LAMPS_MIN: usize = 3;

/// A planned lamp, in metres around the middle of the city.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lamp {
    pub at: (f64, f64),
    /// Which of the city's streets, and how far along it.
    pub street: usize,
    pub along_m: f64,
    /// Which of the city's wards.
    pub ward: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Street {
    pub name: String,
    /// An arterial or a ring.
    pub main: bool,
    pub line: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Ward {
    pub name: String,
    pub zone: &'static str,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// From the middle outwards.
    pub lamps: Vec<Lamp>,
    pub streets: Vec<Street>,
    pub wards: Vec<Ward>,
    /// Outlines.
    pub parks: Vec<Vec<(f64, f64)>>,
}

/// The `lights` innermost lamps of a city that is large enough for them.
pub fn plan(style: &Style, lights: usize, seed: u64) -> Plan {
    let mut radius_m = 300.0 + (lights as f64 / LAMPS_PER_M2 / std::f64::consts::PI).sqrt();
    loop {
        let mut plan = whole(style, &Shape::new(seed, radius_m));
        if plan.lamps.len() >= lights {
            plan.lamps.truncate(lights);
            return plan;
        }
        radius_m *= LARGER;
    }
}

fn whole(style: &Style, shape: &Shape) -> Plan {
    let mut plan = Plan::default();
    for (band, sector) in shape.quarters() {
        plan.wards.push(Ward { name: style.quarter(plan.wards.len()), zone: shape.zone(band, sector) });
    }
    for ring in 0..shape.rings() {
        plan.build(&style.ring(ring), true, shape, &shape.ring(ring));
    }
    for arterial in shape.arterials() {
        plan.build(&style.road(arterial), true, shape, &shape.arterial(arterial));
    }
    for (band, sector) in shape.quarters() {
        let quarter = Quarter::new(shape, band, sector);
        let name = plan.wards[shape.ward(band, sector)].name.clone();
        for (n, road) in quarter.streets().iter().enumerate() {
            plan.build(&style.lane(&name, n + 1), false, shape, road);
        }
        plan.parks.extend(quarter.into_parks());
    }
    let far = |lamp: &Lamp| shape.outline(lamp.at);
    plan.lamps.sort_by(|a, b| far(a).total_cmp(&far(b)));
    plan
}

impl Plan {
    fn build(&mut self, name: &str, main: bool, shape: &Shape, road: &Road) {
        let street = self.streets.len();
        let lamps: Vec<Lamp> =
            road.lamps().map(|l| Lamp { at: l.at, street, along_m: l.along_m, ward: shape.ward_at(l.axis) }).collect();
        if lamps.len() >= STREET_LAMPS_MIN {
            self.lamps.extend(lamps);
            self.streets.push(Street { name: name.to_owned(), main, line: road.line().to_vec() });
        }
    }
}

#[cfg(test)]
mod tests;
