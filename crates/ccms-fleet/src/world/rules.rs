//! What a world is made of, and what passes between it and a server.
use ccms_core::time::{TimeOfDay, UtcMillis};

/// The schedule of the world's city, and its legal time: a server before which stories are told must have the same.
pub const SUNSET: TimeOfDay = TimeOfDay::from_seconds(18 * 3_600 + 1_800);
pub const SUNRISE: TimeOfDay = TimeOfDay::from_seconds(6 * 3_600);
pub const UTC_OFFSET_MINUTES: i32 = 330;

/// What decides a world. Print it to replay it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    pub lights: usize,
    pub seed: u64,
    pub start: UtcMillis,
    /// Devices are powered on over this time.
    pub start_spread_seconds: u64,
    /// Whether devices have network time, or learn it from the server.
    pub network_time: bool,
    pub sick_lamps: bool,
    pub faults: Faults,
    /// Keeps the transcript's lines, not only their hash.
    pub keep_lines: bool,
    /// A mistake that devices are made to make, to see that it is found.
    pub sabotage: Option<Sabotage>,
}

/// What a bad controller does. The machine itself is never changed: these are mistakes of the shell around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// Its flash does not keep which commands were done.
    ForgetsCommands,
    /// What got lost it sends again at once, until it gets through.
    Hurries,
    /// It wakes on full minutes only, as every other one does.
    WakesOnTheMinute,
}

/// Misfortunes, by probability per request or number per device and day.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// The server never hears of it.
    pub lost_request: f64,
    /// The server acted on it; the device never hears of that.
    pub lost_response: f64,
    /// 500 before the server saw it.
    pub server_error: f64,
    /// Power cuts of 1 to 120 s per device and day; flash survives.
    pub crashes_per_day: f64,
    /// The server hears of it twice, the second time up to a minute and a half later.
    pub repeated_request: f64,
    /// The answer comes twice.
    pub repeated_response: f64,
    /// The answer comes up to two minutes late: most devices have given it up by then.
    pub late_response: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            lights: 20,
            seed: 1,
            start: UtcMillis::from_seconds(1_765_965_600),
            start_spread_seconds: 10,
            network_time: false,
            sick_lamps: false,
            faults: Faults::default(),
            keep_lines: false,
            sabotage: None,
        }
    }
}

/// A request as it reaches the server, packed and signed as on any other way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which device of the world sends it, from 0.
    pub device: usize,
    /// How often that device had lost its flash when it sent this.
    pub life: u32,
    /// The true time: set the server's clock to it.
    pub at: UtcMillis,
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    pub path: String,
    /// Lower-case names.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}
