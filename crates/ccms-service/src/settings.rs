//! What a city can set. Every limit has a name with a unit.
use ccms_core::schedule::Schedule;
use serde::Deserialize;

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
    pub city: City,
    pub map: Map,
    pub intake: Intake,
    pub limits: Limits,
    /// Fixed local times instead of the sun's, for cities that switch by the clock.
    pub fixed_schedule: Option<Schedule>,
    /// Percent while lit.
    pub brightness_percent: u8,
    /// Password hashes that may be computed at the same time; each takes 19 MiB.
    pub password_hashes_at_once: usize,
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
}

/// What is served to whom before the rest is refused. The defaults are twice and three times what the contract asks of a
/// device, so that one that keeps to it never meets them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub device_per_second: f64,
    /// Requests of one device at once.
    pub device_burst: u32,
    /// The whole fleet's share, for each claimed device.
    pub fleet_per_device_per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { device_per_second: 2.0, device_burst: 20, fleet_per_device_per_second: 0.3 }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enrolment: EnrolmentMode::default(),
            claim_window_s: 86_400,
            city: City { name: "City".into(), timezone: "UTC".into() },
            map: Map::default(),
            intake: Intake { queue_requests_max: 16_384, batch_rows_max: 1_024, checkpoint_every_s: 60 },
            limits: Limits::default(),
            fixed_schedule: None,
            brightness_percent: 100,
            password_hashes_at_once: 2,
        }
    }
}
