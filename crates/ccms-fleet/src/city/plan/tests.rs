use std::collections::HashMap;

use proptest::prelude::*;

use super::names::{CITY, DELHI};
use super::*;

/// No two lamps are closer.
const APART_M: f64 = 7.5;

/// The smallest distance between two lamps.
fn closest_m(lamps: &[Lamp]) -> f64 {
    const CELL_M: f64 = 30.0;
    let cell = |at: (f64, f64)| ((at.0 / CELL_M).floor() as i64, (at.1 / CELL_M).floor() as i64);
    let mut cells: HashMap<(i64, i64), Vec<(f64, f64)>> = HashMap::new();
    let mut closest = f64::MAX;
    for lamp in lamps {
        let (i, j) = cell(lamp.at);
        for near in (-1..=1).flat_map(|di| (-1..=1).map(move |dj| (i + di, j + dj))) {
            for other in cells.get(&near).into_iter().flatten() {
                closest = closest.min((lamp.at.0 - other.0).hypot(lamp.at.1 - other.1));
            }
        }
        cells.entry((i, j)).or_default().push(lamp.at);
    }
    closest
}

/// Distances along their street between each two lamps that follow each other.
fn gaps_m(plan: &Plan) -> Vec<f64> {
    let mut lamps: Vec<&Lamp> = plan.lamps.iter().collect();
    lamps.sort_by(|a, b| (a.street, a.along_m).partial_cmp(&(b.street, b.along_m)).unwrap());
    let pairs = lamps.windows(2).filter(|w| w[0].street == w[1].street);
    pairs.map(|w| w[1].along_m - w[0].along_m).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn a_plan_has_exactly_the_lights_asked_for(seed: u64, lights in 1_usize..3_000, delhi: bool) {
        let plan = plan(if delhi { &DELHI } else { &CITY }, lights, seed);
        prop_assert_eq!(plan.lamps.len(), lights);
    }

    #[test]
    fn lamps_stand_apart_and_25_to_40_m_from_each_other_along_their_street(seed: u64, radius_m in 200.0..1_800.0) {
        let plan = whole(&CITY, &Shape::new(seed, radius_m));
        let closest = closest_m(&plan.lamps);
        prop_assert!(closest >= APART_M, "two lamps are {closest} m apart");
        for gap_m in gaps_m(&plan) {
            prop_assert!((25.0..=40.0).contains(&gap_m), "{gap_m} m");
        }
    }
}

#[test]
fn the_middle_of_a_city_is_the_same_however_large_it_is() {
    let (small, large) = (plan(&CITY, 500, 7), plan(&CITY, 3_000, 7));
    let places = |p: &Plan| p.lamps[..500].iter().map(|l| l.at).collect::<Vec<_>>();
    assert_eq!(places(&small), places(&large));
    assert_eq!(small, plan(&CITY, 500, 7));
    assert_ne!(places(&small), places(&plan(&CITY, 500, 8)));
}

#[test]
fn no_lamp_stands_in_a_park_and_there_are_parks() {
    let plan = plan(&CITY, 6_000, 1);
    assert!(plan.parks.len() >= 4, "{}", plan.parks.len());
    for park in &plan.parks {
        let inside = |at: (f64, f64)| {
            let crossed = park.windows(2).filter(|w| {
                let ((x0, y0), (x1, y1)) = (w[0], w[1]);
                (y0 > at.1) != (y1 > at.1) && at.0 < x0 + (at.1 - y0) / (y1 - y0) * (x1 - x0)
            });
            crossed.count() % 2 == 1
        };
        assert!(!plan.lamps.iter().any(|l| inside(l.at)));
    }
}

#[test]
fn a_city_has_a_sensible_share_of_main_roads_and_many_directions() {
    let plan = plan(&DELHI, 10_000, 1);
    let main = plan.lamps.iter().filter(|l| plan.streets[l.street].main).count() as f64 / 10_000.0;
    assert!((0.1..0.35).contains(&main), "{main}");
    let turns: std::collections::HashSet<i64> = plan
        .streets
        .iter()
        .filter(|s| !s.main)
        .map(|s| {
            ((s.line[1].0 - s.line[0].0).atan2(s.line[1].1 - s.line[0].1).to_degrees().rem_euclid(90.0) / 10.0) as i64
        })
        .collect();
    assert!(turns.len() >= 7, "quarters are turned {} ways", turns.len());
    let used: std::collections::HashSet<usize> = plan.lamps.iter().map(|l| l.ward).collect();
    assert!(used.len() >= 12, "{} wards", used.len());
}
