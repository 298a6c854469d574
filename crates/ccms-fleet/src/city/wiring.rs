//! Which ward and zone a lamp belongs to, and which feeder it hangs on: a feeder is a stretch of cable along some streets of one
//! ward, never longer than its fuse allows. Streets are converted together, so all lamps of a feeder are of one kind.
use ccms_device::chance::Chance;

use crate::physics::{Light, noise};

/// Lights on one feeder.
const FEEDER_LIGHTS_MAX: usize = 80;
/// Rated powers: main roads, other streets.
const LED_W: ([f32; 2], [f32; 2]) = ([120.0, 150.0], [40.0, 60.0]);
const DISCHARGE_W: ([f32; 2], [f32; 2]) = ([250.0, 150.0], [100.0, 70.0]);

/// A lamp as far as cables go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hook {
    pub ward: usize,
    /// Streets with neighbouring numbers are neighbours.
    pub street: usize,
    pub along_m: f64,
    pub main: bool,
}

/// Where a lamp hangs, and what.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wire {
    /// The city's feeders are numbered, and those of each ward.
    pub feeder: usize,
    pub feeder_of_ward: usize,
    /// 0 where the feeder begins, 1 where it ends.
    pub place: f32,
    pub light: Light,
    pub rated_w: f32,
}

/// The wires of all lamps, in their order, and how many feeders there are. `led_share`: how far the city has got.
pub fn wires(lamps: &[Hook], led_share: f64, seed: u64) -> (Vec<Wire>, usize) {
    let mut order: Vec<usize> = (0..lamps.len()).collect();
    let cable = |n: &usize| (lamps[*n].ward, lamps[*n].main, lamps[*n].street);
    order.sort_by(|a, b| cable(a).cmp(&cable(b)).then(lamps[*a].along_m.total_cmp(&lamps[*b].along_m)));

    let mut wires = vec![None; lamps.len()];
    let (mut feeder, mut ward, mut of_ward) = (0, None, 0);
    for stretch in order.chunk_by(|a, b| (cable(a).0, cable(a).1) == (cable(b).0, cable(b).1)) {
        if ward.replace(lamps[stretch[0]].ward) != Some(lamps[stretch[0]].ward) {
            of_ward = 0;
        }
        // As even as can be: three of 60 rather than two of 80 and one of 20.
        let feeders = stretch.len().div_ceil(FEEDER_LIGHTS_MAX);
        for cable in stretch.chunks(stretch.len().div_ceil(feeders)) {
            let mut chance = Chance::new(noise::hash(noise::hash(seed, lamps[cable[0]].ward as i64), of_ward as i64));
            let main = lamps[cable[0]].main;
            let light = if chance.hits(led_share) { Light::Led } else { Light::Discharge };
            let (of_main, of_lanes) = if light == Light::Led { LED_W } else { DISCHARGE_W };
            let rated_w = if main { of_main } else { of_lanes }[chance.below(2) as usize];
            for (n, lamp) in cable.iter().enumerate() {
                let place = (n as f32 + 0.5) / cable.len() as f32;
                wires[*lamp] = Some(Wire { feeder, feeder_of_ward: of_ward, place, light, rated_w });
            }
            feeder += 1;
            of_ward += 1;
        }
    }
    (wires.into_iter().flatten().collect(), feeder)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn hook() -> impl Strategy<Value = Hook> {
        (0_usize..6, 0_usize..30, 0.0..1_000.0, any::<bool>()).prop_map(|(ward, street, along_m, main)| Hook {
            ward,
            street,
            along_m,
            main,
        })
    }

    proptest! {
        #[test]
        fn every_lamp_hangs_on_one_feeder_of_its_ward_and_none_is_overloaded(lamps in prop::collection::vec(hook(), 1..900)) {
            let (wires, feeders) = wires(&lamps, 0.6, 1);
            prop_assert_eq!(wires.len(), lamps.len());
            let mut of: HashMap<usize, Vec<(Hook, Wire)>> = HashMap::new();
            for (lamp, wire) in lamps.iter().zip(&wires) {
                of.entry(wire.feeder).or_default().push((*lamp, *wire));
            }
            prop_assert_eq!(of.len(), feeders);
            for lights in of.values() {
                let (first, wire) = lights[0];
                prop_assert!(lights.len() <= FEEDER_LIGHTS_MAX);
                prop_assert!(lights.iter().all(|(l, w)| l.ward == first.ward && l.main == first.main
                    && w.light == wire.light && w.rated_w == wire.rated_w && (0.0..1.0).contains(&w.place)));
            }
            let mut names: Vec<(usize, usize)> = of.values().map(|l| (l[0].0.ward, l[0].1.feeder_of_ward)).collect();
            names.sort_unstable();
            names.dedup();
            prop_assert_eq!(names.len(), feeders, "a ward's feeders have numbers of their own");
        }
    }

    #[test]
    fn a_city_is_converted_as_far_as_its_profile_says() {
        let lamps: Vec<Hook> =
            (0..40_000).map(|n| Hook { ward: n / 400, street: n / 20, along_m: n as f64, main: false }).collect();
        let (wires, _) = wires(&lamps, 0.75, 1);
        let led = wires.iter().filter(|w| w.light == Light::Led).count() as f64 / wires.len() as f64;
        assert!((0.68..0.82).contains(&led), "{led}");
    }
}
