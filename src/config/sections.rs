//! What can be configured, section by section, and what holds when nothing is said.
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use ccms_core::time::TimeOfDay;
use ccms_service::settings::{self, EnrolmentMode};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    /// The address of a reverse proxy that ends TLS in front of us; allows plain HTTP off loopback.
    pub trusted_proxy: Option<IpAddr>,
    pub database: Database,
    pub enrolment: Enrolment,
    pub keys: KeyFiles,
    pub city: City,
    pub map: Map,
    pub schedule: ScheduleConfig,
    pub clock: ClockConfig,
    pub log: Log,
    pub limits: Limits,
    pub storage: Storage,
    pub site: Site,
    pub mqtt: Mqtt,
    pub tls: Option<Tls>,
    pub metrics: Metrics,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Database {
    /// `sqlite://PATH` or `postgres://…`; by default `ccms.db` in the data directory.
    pub url: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Enrolment {
    pub mode: EnrolmentMode,
    /// Allows open enrolment on an address that others can reach. For test benches in a closed network.
    pub open_off_loopback: bool,
    /// The manufacturer's group key, in hexadecimal digits: devices that sign with theirs are let in without a person.
    pub factory_key_file: Option<PathBuf>,
    /// `south,west,north,east` in degrees: a configure from elsewhere is refused.
    pub service_area: Option<String>,
    /// Models (`device_type`) that have to sign their bodies.
    pub signature_required_models: Vec<String>,
    /// A device that nobody heard of for so many days waits for a person. 30 when absent.
    pub silence_days: Option<u32>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct KeyFiles {
    /// By default `master.key` in the data directory, made at the first start.
    pub master_key_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct City {
    pub name: String,
    /// IANA name.
    pub timezone: String,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Map {
    /// `https://…/{z}/{x}/{y}.png`.
    pub tile_url: Option<String>,
    /// Shown on the map; by default what the GeoJSON files say.
    pub attribution: Option<String>,
    /// A folder with any of `water.geojson`, `green.geojson`, `buildings.geojson`, `roads.geojson`.
    pub geojson_dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Fixed local times for the whole city; by the sun when absent.
    pub sunrise_time: Option<TimeOfDay>,
    pub sunset_time: Option<TimeOfDay>,
    /// Percent while lit.
    pub brightness_level: u8,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct ClockConfig {
    /// Moves the server's clock, for demonstrations. Devices follow it.
    pub offset_seconds: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// `text` or `json`.
    pub format: String,
    /// `error`, `warn`, `info`, `debug`, or directives like `info,ccms=debug`.
    pub level: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    pub connections: usize,
    /// Time for a request's head, and for the next one on an idle connection.
    pub header_read_seconds: u64,
    /// Time for a request's body.
    pub body_read_seconds: u64,
    /// Time for requests under way when the server stops.
    pub drain_seconds: u64,
    /// Requests that may wait for the database's writer.
    pub intake_queue_requests: usize,
    /// Requests of one device: a second, and at once.
    pub device_per_second: f64,
    pub device_burst: u32,
    /// Requests of the whole fleet, for each of its devices.
    pub fleet_per_device_per_second: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Storage {
    /// Days older than this many leave the database for Parquet files; 0: never.
    pub archive_after_days: u32,
    /// Files older than this many days are deleted for good; 0: never.
    pub delete_archive_after_days: u32,
    /// `file:///folder`, or `s3://bucket/prefix` where that was built in; by default `archive` in the data directory.
    pub archive_url: Option<String>,
}

/// Without it the server speaks plain HTTP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The chain, the server's own certificate first; PEM.
    pub certificate_file: PathBuf,
    /// PEM.
    pub key_file: PathBuf,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// Where `/metrics` is; by default on loopback.
    pub listen: Option<SocketAddr>,
}

impl Metrics {
    pub fn address(&self) -> SocketAddr {
        self.listen.unwrap_or_else(crate::metrics::default_address)
    }
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Site {
    /// The built browser half.
    pub root: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Mqtt {
    /// Reserved: this version speaks HTTP only and refuses to start with it.
    pub enabled: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8000)),
            data_dir: "data".into(),
            trusted_proxy: None,
            database: Database::default(),
            enrolment: Enrolment::default(),
            keys: KeyFiles::default(),
            city: City::default(),
            map: Map::default(),
            schedule: ScheduleConfig::default(),
            clock: ClockConfig::default(),
            log: Log::default(),
            limits: Limits::default(),
            storage: Storage::default(),
            site: Site::default(),
            mqtt: Mqtt::default(),
            tls: None,
            metrics: Metrics::default(),
        }
    }
}

impl Default for City {
    fn default() -> Self {
        Self { name: "City".into(), timezone: "UTC".into() }
    }
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { sunrise_time: None, sunset_time: None, brightness_level: 100 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: "text".into(), level: "info".into() }
    }
}

impl Default for Storage {
    fn default() -> Self {
        let settings::Storage { archive_after_days, delete_archive_after_days, .. } = settings::Storage::default();
        Self { archive_after_days, delete_archive_after_days, archive_url: None }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            header_read_seconds: 30,
            body_read_seconds: 30,
            drain_seconds: 10,
            intake_queue_requests: 16_384,
            device_per_second: settings::Limits::default().device_per_second,
            device_burst: settings::Limits::default().device_burst,
            fleet_per_device_per_second: settings::Limits::default().fleet_per_device_per_second,
        }
    }
}
