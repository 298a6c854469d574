//! What the screen is told about one light. The service fills these, the browser draws them; the words are for people.
//!
//! Three facts are kept apart: what was *commanded*, what was *delivered* to the device, and what the device says is *actual*.
use serde::{Deserialize, Serialize};

use crate::command::{CommandKind, CommandState, Priority};
use crate::ids::{CommandId, DeviceId, LightId};
use crate::light::{Cause, Indicator};
use crate::reading::PowerState;
use crate::schedule::Schedule;
use crate::time::UtcMillis;
use crate::wire::alert::AlertSeverity;

/// How many lights are in each colour, in the order of [`Indicator::ALL`], and how many are lit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FleetCounts {
    pub green: u32,
    pub yellow: u32,
    pub red: u32,
    pub gray: u32,
    pub lit: u32,
}

impl FleetCounts {
    pub const fn total(&self) -> u32 {
        self.green + self.yellow + self.red + self.gray
    }
}

/// What the frame of every page shows: the city, its clock and the next turn of its lamps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CityView {
    pub name: String,
    /// IANA name, shown beside local times.
    pub timezone: String,
    pub utc_offset_minutes: i32,
    /// The server's time when this was made.
    pub now: UtcMillis,
    /// True when the server runs on a shifted clock, as a demonstration does.
    pub demo_clock: bool,
    /// The coming sunset or sunrise at the middle of the fleet, and how many lights follow it.
    pub next_sun: Option<SunEvent>,
    pub counts: FleetCounts,
    pub map: MapView,
}

/// The next moment at which the schedule switches the city.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SunEvent {
    pub at: UtcMillis,
    /// `On` at sunset, `Off` at sunrise.
    pub switches: PowerState,
    pub lights: u32,
}

/// How the map is drawn here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MapView {
    /// `[south, west, north, east]` in degrees around all lights; `None` while there are none.
    pub bounds: Option<[f64; 4]>,
    /// Raster tiles, `https://…/{z}/{x}/{y}.png`, if the city configured any.
    pub tile_url: Option<String>,
    pub attribution: Option<String>,
    /// Layers served at `/basemap/{layer}.geojson`: any of `water`, `green`, `buildings`, `roads`.
    pub geojson_layers: Vec<String>,
}

/// One hit of the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LightHit {
    pub light_id: LightId,
    pub device_id: Option<DeviceId>,
    pub name: String,
    pub address: String,
    pub indicator: Indicator,
    pub power_state: Option<PowerState>,
    pub brightness_percent: Option<u8>,
    pub last_contact: Option<UtcMillis>,
    pub cause: Option<Cause>,
}

/// One page of the list of lights, in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct LightsPage {
    pub hits: Vec<LightHit>,
    /// Ask for what follows this number; `None` at the end.
    pub next_after_no: Option<u32>,
    /// How many lights match in all.
    pub total: u32,
}

/// Everything the drawer shows of one light.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LightDetail {
    /// The server's time when this was made; ages are counted from it.
    pub now: UtcMillis,
    pub light_id: LightId,
    pub light_no: u32,
    pub name: String,
    pub address: String,
    pub city: String,
    pub latitude: f64,
    pub longitude: f64,
    pub indicator: Indicator,
    pub cause: Option<Cause>,
    pub online: bool,
    pub last_contact: Option<UtcMillis>,
    /// What the schedule wants of the lamp right now.
    pub scheduled: PowerState,
    pub schedule: Option<Schedule>,
    /// What the newest command that is not over badly asks for, and where it is.
    pub commanded: Option<CommandView>,
    /// What the device said last.
    pub actual: Option<ReadingView>,
    pub device: Option<DeviceView>,
    /// Newest first.
    pub readings: Vec<ReadingView>,
    /// Newest first.
    pub commands: Vec<CommandView>,
    /// Whether the viewer may command it.
    pub may_command: bool,
}

/// The controller behind a light.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceView {
    pub device_id: DeviceId,
    pub firmware_version: Option<String>,
    pub communication_type: Option<String>,
    pub gsm_imei: Option<String>,
    pub claimed_at: Option<UtcMillis>,
}

/// One reading, in units for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadingView {
    pub reported_at: UtcMillis,
    pub received_at: UtcMillis,
    pub power_state: Option<PowerState>,
    pub brightness_percent: Option<u8>,
    pub temperature_c: Option<f64>,
    pub battery_percent: Option<u8>,
    pub signal_percent: Option<u8>,
    pub uptime_s: Option<u32>,
    pub voltage_v: Option<f64>,
    pub current_a: Option<f64>,
    pub power_w: Option<f64>,
    pub frequency_hz: Option<f64>,
    pub energy_kwh: Option<f64>,
    pub error_flags: Vec<String>,
    /// Names of what was wrong with it.
    pub flags: Vec<String>,
}

/// One command with a time for each step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandView {
    pub command_id: CommandId,
    pub light_id: LightId,
    pub kind: CommandKind,
    pub priority: Priority,
    pub state: CommandState,
    pub requested_by: String,
    /// Why, in their words.
    pub reason: Option<String>,
    pub requested_at: UtcMillis,
    pub expires_at: UtcMillis,
    pub delivered_at: Option<UtcMillis>,
    /// When an acknowledgement without proof came, by the server's clock.
    pub unverified_at: Option<UtcMillis>,
    /// The device's own time of execution, whatever its clock says.
    pub executed_at: Option<UtcMillis>,
    /// When it was over, by the server's clock.
    pub finished_at: Option<UtcMillis>,
    pub detail: Option<String>,
}

/// A controller that asked to be let in and waits for a person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PendingDevice {
    pub device_id: DeviceId,
    pub first_seen: UtcMillis,
    pub last_seen: UtcMillis,
    pub attempts: u32,
    pub reported_name: String,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    /// True for a registered device whose claim window is closed.
    pub registered: bool,
}

/// Something that wants a person's eye.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertView {
    pub alert_id: i64,
    pub device_id: Option<DeviceId>,
    pub light_id: Option<LightId>,
    /// `battery_low`, `malformed_messages`, …
    pub kind: String,
    pub severity: AlertSeverity,
    pub state: AlertState,
    pub message: String,
    pub detail: serde_json::Value,
    pub opened_at: UtcMillis,
    /// When it was last seen.
    pub last_at: UtcMillis,
    /// How often, from 1.
    pub count: u32,
    /// Who acknowledged or resolved it last, and when.
    pub moved_by: Option<String>,
    pub moved_at: Option<UtcMillis>,
}

/// Where an alert is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Open,
    Acknowledged,
    Resolved,
}
