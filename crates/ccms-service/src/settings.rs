//! What a city can set. Every limit has a name with a unit.
use std::path::PathBuf;

use ccms_core::limits::SILENCE_LIMIT_S;
use ccms_core::schedule::Schedule;
use serde::Deserialize;

use crate::archiving::shelf::Shelf;

/// Who may claim a place in the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnrolmentMode {
    /// Devices are registered beforehand; unknown ones wait for a person.
    #[default]
    Registered,
    /// First contact claims. For demonstrations on one machine.
    Open,
}

#[derive(Debug, Clone)]
pub struct Settings {
    pub enrolment: EnrolmentMode,
    /// How long a claim window stays open after a person approved a device.
    pub claim_window_s: i64,
    /// A claimed device that nobody heard of for this long waits for a person.
    pub silence_s: i64,
    /// Where the city's lights stand; a configure from elsewhere is refused.
    pub service_area: Option<ServiceArea>,
    /// Models (`device_type`) that have to sign their bodies.
    pub signature_required_models: Vec<String>,
    pub city: City,
    pub map: Map,
    pub intake: Intake,
    pub limits: Limits,
    pub storage: Storage,
    /// Distance between looks for lights that were registered beside the server.
    pub new_lights_every_s: u64,
    /// Fixed local times instead of the sun's, for cities that switch by the clock.
    pub fixed_schedule: Option<Schedule>,
    /// Percent while lit.
    pub brightness_percent: u8,
    /// Password hashes that may be computed at the same time; each takes 19 MiB.
    pub password_hashes_at_once: usize,
}

/// Degrees, WGS 84; with `west` above `east` it crosses the date line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ServiceArea {
    pub south: f64,
    pub west: f64,
    pub north: f64,
    pub east: f64,
}

impl ServiceArea {
    /// `south,west,north,east`.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<f64> = text.split(',').map(|p| p.trim().parse().ok()).collect::<Option<_>>()?;
        let &[south, west, north, east] = parts.as_slice() else { return None };
        let on_earth = [south, north].iter().all(|d| d.abs() <= 90.0) && [west, east].iter().all(|d| d.abs() <= 180.0);
        (on_earth && south < north && west != east).then_some(Self { south, west, north, east })
    }

    pub fn contains(&self, latitude: f64, longitude: f64) -> bool {
        let (after, before) = (self.west <= longitude, longitude <= self.east);
        let between = if self.west <= self.east { after && before } else { after || before };
        between && (self.south..=self.north).contains(&latitude)
    }
}

#[derive(Debug, Clone)]
pub struct City {
    pub name: String,
    /// IANA name.
    pub timezone: String,
}

#[derive(Debug, Clone, Default)]
pub struct Map {
    pub tile_url: Option<String>,
    pub attribution: Option<String>,
    /// Names of the GeoJSON layers that the server has.
    pub geojson_layers: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub struct Intake {
    /// Requests that may wait for the writer; more are refused with 503.
    pub queue_requests_max: usize,
    /// Readings in one commit.
    pub batch_rows_max: usize,
    /// Distance between checkpoints of the latest state.
    pub checkpoint_every_s: i64,
    /// Lights in one transaction of a checkpoint.
    pub checkpoint_piece_lights: usize,
}

/// How long readings stay where.
#[derive(Debug, Clone)]
pub struct Storage {
    /// Days older than this many leave the database for files; 0: never.
    pub archive_after_days: u32,
    /// Files older than this many days are deleted; 0: never.
    pub delete_archive_after_days: u32,
    /// Where the files are. Without one nothing is archived.
    pub shelf: Option<Shelf>,
    /// Where readings wait that do not fit into memory while their day is packed, in files without a name; where the system has such a
    /// place when absent.
    pub temporary: Option<PathBuf>,
    /// Readings that are in memory at a time while days are packed: about 60 MB.
    pub rows_in_memory: usize,
    /// Blocks that are written or removed in one transaction: a few milliseconds of the writer's time, about half a megabyte. As
    /// with ...
    pub piece_blocks: usize,
    /// ... rows of the log that are removed in one.
    pub piece_rows: u32,
}

/// What is served to whom before the rest is refused. The defaults are twice and three times what the contract asks of a
/// device, so that one that keeps to it never meets them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub device_per_second: f64,
    /// Requests of one device at once.
    pub device_burst: u32,
    /// The whole fleet's share, for each of its devices.
    pub fleet_per_device_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { device_per_second: 2.0, device_burst: 20, fleet_per_device_per_second: 0.3 }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            archive_after_days: 30,
            delete_archive_after_days: 0,
            shelf: None,
            temporary: None,
            rows_in_memory: 100_000,
            piece_blocks: 64,
            piece_rows: 2_000,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enrolment: EnrolmentMode::default(),
            claim_window_s: 86_400,
            silence_s: SILENCE_LIMIT_S,
            service_area: None,
            signature_required_models: Vec::new(),
            city: City { name: "City".into(), timezone: "UTC".into() },
            map: Map::default(),
            intake: Intake {
                queue_requests_max: 16_384,
                batch_rows_max: 1_024,
                checkpoint_every_s: 60,
                checkpoint_piece_lights: 2_048,
            },
            limits: Limits::default(),
            storage: Storage::default(),
            new_lights_every_s: 2,
            fixed_schedule: None,
            brightness_percent: 100,
            password_hashes_at_once: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_area_is_a_box_on_earth() {
        let delhi = ServiceArea::parse("28.40, 76.84,28.88,77.35").unwrap();
        assert!(delhi.contains(28.6139, 77.2090) && delhi.contains(28.40, 76.84));
        assert!(!delhi.contains(60.17, 24.94) && !delhi.contains(28.6, 77.36) && !delhi.contains(f64::NAN, 77.0));
        let fiji = ServiceArea::parse("-21,177,-12,-178").unwrap();
        assert!(fiji.contains(-18.0, 178.0) && fiji.contains(-18.0, -179.0) && !fiji.contains(-18.0, 0.0));
        for bad in ["", "1,2,3", "1,2,3,4,5", "a,2,3,4", "3,2,1,4", "-91,2,3,4", "1,2,3,181", "NaN,2,3,4", "1,2,3,2"] {
            assert_eq!(ServiceArea::parse(bad), None, "{bad}");
        }
    }
}
