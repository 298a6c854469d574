//! A generated city around the device document's own coordinates, laid out as planned cities are: ring roads, arterials
//! that cross them, and between two rings and two arterials a neighbourhood with a street grid turned its own way. Lamps
//! stand every 30 m.
use std::collections::HashSet;
use std::f64::consts::TAU;

use ccms_device::chance::Chance;

use super::{Plane, Site};

const CENTRE: Plane = Plane::around(28.6139, 77.2090);
const LAMP_DISTANCE_M: f64 = 30.0;
/// Lamps stand beside the roadway, in turn left and right.
const KERB_M: f64 = 6.0;
const ARTERIALS: usize = 8;
/// Room between a neighbourhood's lanes and the big roads around it.
const MARGIN_M: f64 = 28.0;
const BLOCK_M: (f64, f64) = (130.0, 85.0);
/// Two lamps never stand closer than about this.
const CELL_M: f64 = 12.0;
const RINGS: [&str; 4] = ["Inner Circle", "Ring Road", "Outer Ring Road", "Peripheral Road"];
const ROADS: [&str; ARTERIALS] = [
    "Janpath",
    "Ashoka Road",
    "Shanti Path",
    "Mandir Marg",
    "Kasturba Marg",
    "Lodhi Road",
    "Aurobindo Marg",
    "Bagh Road",
];
const QUARTERS: [&str; 16] = [
    "Lajpat Nagar",
    "Green Park",
    "Defence Colony",
    "Karol Bagh",
    "Sunder Nagar",
    "Vasant Vihar",
    "Saket",
    "Rajendra Nagar",
    "Patel Nagar",
    "Jor Bagh",
    "Model Town",
    "Civil Lines",
    "Hauz Khas",
    "Malviya Nagar",
    "Nizamuddin",
    "Greater Kailash",
];

struct Plan {
    lamps: Vec<(f64, f64, String)>,
    taken: HashSet<(i64, i64)>,
}

/// The `lights` lamps nearest to the centre of a plan that is large enough for them.
pub(super) fn sites(lights: usize, seed: u64) -> Vec<Site> {
    let mut radius_m = 500.0_f64.max((lights as f64 / 500.0 / std::f64::consts::PI).sqrt() * 1000.0);
    let mut lamps = plan(radius_m, seed).lamps;
    while lamps.len() < lights {
        radius_m *= 1.2;
        lamps = plan(radius_m, seed).lamps;
    }
    lamps.sort_by(|a, b| a.0.hypot(a.1).total_cmp(&b.0.hypot(b.1)));
    lamps.truncate(lights);
    lamps.into_iter().map(|(x, y, name)| site(x, y, name)).collect()
}

fn site(x: f64, y: f64, name: String) -> Site {
    let (latitude, longitude) = CENTRE.to_degrees(x, y);
    Site { address: format!("{name}, Delhi"), name, city: "Delhi".into(), latitude, longitude }
}

fn plan(radius_m: f64, seed: u64) -> Plan {
    let mut plan = Plan { lamps: Vec::new(), taken: HashSet::new() };
    let mut chance = Chance::new(seed);
    let rings = ring_radii(radius_m);
    for (i, r) in rings.iter().enumerate() {
        let name = RINGS.get(i).map_or_else(|| format!("Circle {}", i + 1), |n| (*n).to_owned());
        let lamps = (TAU * r / LAMP_DISTANCE_M).max(6.0) as usize;
        let on_ring = |k: usize| (r + kerb(k), TAU * k as f64 / lamps as f64);
        plan.street(&name, (0..lamps).map(|k| polar(on_ring(k))));
    }
    let inner = rings[0];
    for (a, name) in ROADS.iter().enumerate() {
        // Every other arterial begins at the second ring, as minor ones do.
        let from = if a % 2 == 0 { inner } else { rings.get(1).copied().unwrap_or(inner) };
        let lamps = ((radius_m - from) / LAMP_DISTANCE_M).max(0.0) as usize;
        let at = |k: usize| {
            let r = from + LAMP_DISTANCE_M * (k as f64 + 0.5);
            (r, bearing(a, r) + kerb(k) / r)
        };
        plan.street(name, (0..lamps).map(|k| polar(at(k))));
    }
    let mut quarter = 0;
    for pair in rings.windows(2).map(|w| (w[0], w[1])).chain([(rings[rings.len() - 1], radius_m)]) {
        for a in 0..ARTERIALS {
            let name = match quarter / QUARTERS.len() {
                0 => QUARTERS[quarter].to_owned(),
                n => format!("{} {}", QUARTERS[quarter % QUARTERS.len()], n + 1),
            };
            quarter += 1;
            neighbourhood(&mut plan, &name, pair, a, chance.unit());
        }
    }
    plan
}

/// Rings stand wider apart the farther out they are.
fn ring_radii(radius_m: f64) -> Vec<f64> {
    let mut radii = vec![260.0];
    let mut gap_m = 480.0;
    while radii[radii.len() - 1] + gap_m <= radius_m {
        radii.push(radii[radii.len() - 1] + gap_m);
        gap_m *= 1.25;
    }
    radii
}

/// Arterials bend a little on their way out.
fn bearing(arterial: usize, r: f64) -> f64 {
    TAU * arterial as f64 / ARTERIALS as f64 + 0.12 * (r / 900.0 + arterial as f64).sin()
}

fn kerb(k: usize) -> f64 {
    if k.is_multiple_of(2) { KERB_M } else { -KERB_M }
}

fn polar((r, angle): (f64, f64)) -> (f64, f64) {
    (r * angle.sin(), r * angle.cos())
}

/// The lanes of the quarter between two rings, from arterial `a` to the next.
fn neighbourhood(plan: &mut Plan, name: &str, (inner, outer): (f64, f64), a: usize, turn: f64) {
    let (sin, cos) = (turn * TAU / 4.0).sin_cos();
    let inside = |(x, y): (f64, f64)| {
        let r = x.hypot(y);
        if r < inner + MARGIN_M || r > outer - MARGIN_M {
            return false;
        }
        let angle = x.atan2(y);
        let after = |edge: f64| (angle - edge).rem_euclid(TAU);
        let width = (bearing(a + 1, r) - bearing(a, r)).rem_euclid(TAU);
        let margin = MARGIN_M / r;
        (margin..width - margin).contains(&after(bearing(a, r)))
    };
    let (mut lane, reach) = (0, outer + BLOCK_M.0);
    for (block, across) in [(BLOCK_M.0, false), (BLOCK_M.1, true)] {
        let lines = (2.0 * reach / block) as i64;
        for line in 0..=lines {
            let u = -reach + line as f64 * block;
            let along = |k: usize| {
                let v = -reach + k as f64 * LAMP_DISTANCE_M;
                let (p, q) = if across { (v, u + kerb(k) / 3.0) } else { (u + kerb(k) / 3.0, v) };
                (p * cos - q * sin, p * sin + q * cos)
            };
            let lamps: Vec<_> =
                (0..(2.0 * reach / LAMP_DISTANCE_M) as usize).map(along).filter(|p| inside(*p)).collect();
            // A lane of one or two lamps is a leftover of the cutting.
            if lamps.len() > 2 {
                lane += 1;
                plan.street(&format!("{name} Lane {lane}"), lamps.into_iter());
            }
        }
    }
}

impl Plan {
    fn street(&mut self, name: &str, lamps: impl Iterator<Item = (f64, f64)>) {
        let mut number = 0;
        for (x, y) in lamps {
            if self.taken.insert(((x / CELL_M) as i64, (y / CELL_M) as i64)) {
                number += 1;
                self.lamps.push((x, y, format!("{name} {number}")));
            }
        }
    }
}
