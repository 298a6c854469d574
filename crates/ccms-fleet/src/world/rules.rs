//! What a world is made of, and what passes between it and a server.
use ccms_core::time::UtcMillis;

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
        }
    }
}

/// A request as it reaches the server, packed and signed as on any other way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Which device of the world sends it, from 0.
    pub device: usize,
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
