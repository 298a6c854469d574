//! A city as files: `lights-N.csv` for the server's import, with zone, ward, feeder, pole and wattage, which no controller knows;
//! and, of a planned city, the ground for the map: `roads.geojson` and `green.geojson`; and its lamps.
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::{Value, json};

use super::{Profile, Town, Wanted};
use crate::identity::device_id;

/// The server takes so many rows in one file.
const ROWS_MAX: usize = 20_000;
const HEADER: &str = "device_id,name,latitude,longitude,address,city,zone,ward,feeder,pole,wattage";

#[derive(Debug, Clone, clap::Args)]
pub struct PlanOptions {
    #[arg(long, value_enum, default_value = "city")]
    pub profile: Profile,
    /// GeoJSON with street lamps, instead of the profile's own
    #[arg(long)]
    pub lamps: Option<PathBuf>,
    /// What the city of that file is called
    #[arg(long)]
    pub city_name: Option<String>,
    /// How many lights; all of the profile by default
    #[arg(long)]
    pub lights: Option<usize>,
    /// As of the run: decides identities and the plan
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The folder to write into
    #[arg(long)]
    pub out: PathBuf,
}

/// Writes the files and says what they are.
///
/// # Errors
/// When a file cannot be read or written.
pub fn write(options: &PlanOptions) -> anyhow::Result<()> {
    let town = Town::of(&Wanted {
        profile: options.profile,
        lamps: options.lamps.as_deref(),
        city_name: options.city_name.as_deref(),
        lights: options.lights,
        seed: options.seed,
    })?;
    std::fs::create_dir_all(&options.out).with_context(|| format!("making {}", options.out.display()))?;
    let mut files: Vec<(String, String)> = csv(&town, options.seed)
        .into_iter()
        .enumerate()
        .map(|(n, text)| (format!("lights-{}.csv", n + 1), text))
        .collect();
    files.push(("lamps.geojson".into(), collection(lamps(&town))));
    if !town.streets.is_empty() {
        files.push(("roads.geojson".into(), collection(roads(&town))));
        files.push(("green.geojson".into(), collection(parks(&town))));
    }
    for (name, text) in files {
        save(&options.out.join(name), &text)?;
    }
    let (lights, feeders) = (town.sites.len(), town.feeders_w.len());
    eprintln!("{lights} lights on {feeders} feeders, {} streets, {} parks", town.streets.len(), town.parks.len());
    Ok(())
}

fn save(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))
}

fn csv(town: &Town, seed: u64) -> Vec<String> {
    let mut index = 0;
    let parts = town.sites.chunks(ROWS_MAX).map(|sites| {
        let mut text = format!("{HEADER}\n");
        for site in sites {
            let (lat, lon, watts) = (site.latitude, site.longitude, site.wire.rated_w);
            let quoted =
                [&site.address, &site.city, &site.zone, &site.ward, &site.feeder, &site.pole].map(|t| quoted(t));
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "{},{},{lat},{lon},{},{watts}",
                device_id(seed, index),
                self::quoted(&site.name),
                quoted.join(",")
            );
            index += 1;
        }
        text
    });
    parts.collect()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn collection(features: Vec<Value>) -> String {
    json!({"type": "FeatureCollection", "features": features}).to_string()
}

fn feature(properties: Value, kind: &str, coordinates: Value) -> Value {
    json!({"type": "Feature", "properties": properties, "geometry": {"type": kind, "coordinates": coordinates}})
}

fn lamps(town: &Town) -> Vec<Value> {
    let lamp = |s: &super::Site| {
        feature(json!({"highway": "street_lamp", "ref": s.pole}), "Point", json!([s.longitude, s.latitude]))
    };
    town.sites.iter().map(lamp).collect()
}

fn line(points: &[(f64, f64)]) -> Value {
    points.iter().map(|(lat, lon)| json!([lon, lat])).collect()
}

fn roads(town: &Town) -> Vec<Value> {
    let class = |main| if main { "primary" } else { "residential" };
    let road =
        |s: &super::MapStreet| feature(json!({"highway": class(s.main), "name": s.name}), "LineString", line(&s.line));
    town.streets.iter().map(road).collect()
}

fn parks(town: &Town) -> Vec<Value> {
    town.parks.iter().map(|park| feature(json!({}), "Polygon", json!([line(park)]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planned_city_is_written_and_its_lamps_can_be_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let options = PlanOptions {
            profile: Profile::City,
            lamps: None,
            city_name: None,
            lights: Some(600),
            seed: 1,
            out: dir.path().to_owned(),
        };
        write(&options).unwrap();
        let text = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
        let csv = text("lights-1.csv");
        assert_eq!(csv.lines().count(), 601);
        let row = csv.lines().nth(1).unwrap();
        assert!(row.starts_with(&device_id(1, 0).to_string()) && row.split("\",\"").count() == 6, "{row}");
        let town =
            Town::of(&Wanted { profile: Profile::City, lights: Some(600), seed: 1, ..Wanted::default() }).unwrap();
        let (lamps, _) = super::super::geojson::read(text("lamps.geojson").as_bytes()).unwrap();
        let places = |t: &Town| t.sites.iter().map(|s| (s.latitude, s.longitude)).collect::<Vec<_>>();
        assert_eq!(lamps.iter().map(|l| (l.latitude, l.longitude)).collect::<Vec<_>>(), places(&town));
        let (_, streets) = super::super::geojson::read(text("roads.geojson").as_bytes()).unwrap();
        assert!(streets.len() > 20 && streets.iter().any(|s| s.main));
        assert!(text("green.geojson").contains("Polygon"));
    }
}
