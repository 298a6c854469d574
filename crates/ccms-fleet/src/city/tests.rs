use std::collections::{HashMap, HashSet};

use super::*;

fn town(profile: Profile, lights: Option<usize>, seed: u64) -> Town {
    Town::of(&Wanted { profile, lights, seed, ..Wanted::default() }).unwrap()
}

fn names(town: &Town) -> HashSet<&str> {
    town.sites.iter().map(|s| s.name.as_str()).collect()
}

#[test]
fn helsinki_has_its_586_lamps_with_street_names_and_running_numbers() {
    let town = town(Profile::Helsinki, None, 1);
    assert_eq!((town.sites.len(), names(&town).len()), (586, 586), "every lamp has a name of its own");
    assert!(names(&town).contains("Unioninkatu 1"));
    assert!(town.sites.iter().all(|s| s.address.ends_with(", Helsinki") && (60.1..60.3).contains(&s.latitude)));
    assert!(Town::of(&Wanted { lights: Some(587), ..Wanted::default() }).is_err());
}

#[test]
fn generated_cities_have_as_many_lights_as_asked_distinct_and_the_same_every_time() {
    for (profile, lights) in [(Profile::Delhi, 1), (Profile::City, 100), (Profile::Delhi, 5_000)] {
        let town = town(profile, Some(lights), 3);
        assert_eq!((town.sites.len(), names(&town).len()), (lights, lights));
        assert_eq!(town, super::tests::town(profile, Some(lights), 3));
    }
    assert_eq!((Profile::City.lights(), Profile::Delhi.lights()), (20_000, 100_000));
}

#[test]
fn zones_wards_and_feeders_contain_each_other() {
    for (profile, lights) in [(Profile::Helsinki, None), (Profile::City, Some(4_000))] {
        let town = town(profile, lights, 1);
        let mut of_feeder: HashMap<&str, Vec<&Site>> = HashMap::new();
        let mut zone_of_ward: HashMap<&str, &str> = HashMap::new();
        for site in &town.sites {
            of_feeder.entry(&site.feeder).or_default().push(site);
            assert_eq!(*zone_of_ward.entry(&site.ward).or_insert(&site.zone), site.zone);
            assert!(town.feeders_w[site.wire.feeder] >= f64::from(site.wire.rated_w));
        }
        assert_eq!(of_feeder.len(), town.feeders_w.len(), "a name for each feeder");
        for lights in of_feeder.values() {
            assert!(lights.iter().all(|s| s.ward == lights[0].ward && s.wire.feeder == lights[0].wire.feeder));
        }
        let zones: HashSet<&str> = town.sites.iter().map(|s| s.zone.as_str()).collect();
        assert!(zones.len() >= 4, "{zones:?}");
        let poles: HashSet<&str> = town.sites.iter().map(|s| s.pole.as_str()).collect();
        assert_eq!(poles.len(), town.sites.len());
    }
}

#[test]
fn lamps_of_a_users_file_are_taken_with_its_streets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lamps.geojson");
    let lamp = |lon: f64| {
        format!(
            r#"{{"type":"Feature","properties":{{"highway":"street_lamp","ref":"P{lon}"}},"geometry":{{"type":"Point","coordinates":[{lon},45.0]}}}}"#
        )
    };
    let street = r#"{"type":"Feature","properties":{"highway":"residential","name":"Via Roma"},"geometry":{"type":"LineString","coordinates":[[9.0,45.0],[9.01,45.0]]}}"#;
    let text = format!(
        r#"{{"type":"FeatureCollection","features":[{},{},{},{street}]}}"#,
        lamp(9.002),
        lamp(9.001),
        lamp(9.5)
    );
    std::fs::write(&file, text).unwrap();
    let wanted = Wanted { profile: Profile::City, lamps: Some(&file), city_name: Some("Pavia"), ..Wanted::default() };
    let town = Town::of(&wanted).unwrap();
    let found: Vec<(&str, &str)> = town.sites.iter().map(|s| (s.address.as_str(), s.pole.as_str())).collect();
    assert_eq!(
        found,
        [("Via Roma 2, Pavia", "P9.002"), ("Via Roma 1, Pavia", "P9.001"), ("Lamp 1, Pavia", "P9.5")],
        "numbers run along the street; a lamp in no street has none"
    );
    std::fs::write(&file, "[]").unwrap();
    assert!(Town::of(&wanted).is_err());
}
