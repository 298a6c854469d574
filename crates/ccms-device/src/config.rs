//! What is soldered or typed in at installation, and the size of everything the device keeps.
use ccms_core::ids::DeviceId;

/// Readings in one request after an outage.
pub const READINGS_PER_BATCH: usize = 200;
/// A body above this is worth packing.
pub const COMPRESS_ABOVE_BYTES: usize = 10 * 1024;
/// Sequence numbers reserved in flash at a time: a restart skips what is left of a block instead of writing flash for each.
pub const SEQ_BLOCK: u32 = 1_024;
/// State changes are reported at once, but no more often than this: a flapping sensor must not become a flood.
pub const CHANGE_GAP_MS: u64 = 2_000;
/// Bounds of what the server may ask for between statuses.
pub const STATUS_PACE_S: (u32, u32) = (5, 300);
/// Bounds of what the server may ask for between polls.
pub const POLL_PACE_S: (u32, u32) = (2, 300);
/// Longest wait between configures, once the document's three attempts are spent.
pub const CONFIGURE_WAIT_MAX_S: u64 = 3_600;
/// Longest wait that an error answer may ask for.
pub const RETRY_AFTER_MAX_S: u32 = 3_600;
/// Every wait is stretched by up to this, so that devices that failed together do not return together.
pub const JITTER_PERCENT: u64 = 20;
/// A manual override never outlives a day.
pub const OVERRIDE_MAX_S: i64 = 86_400;
/// An acknowledgement that its ladder could not deliver is tried again after this, or on the next sign of life.
pub const ACK_PARKED_S: u64 = 300;

/// Identity and place of one controller.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub device_id: DeviceId,
    pub device_type: String,
    pub name: String,
    pub city: String,
    pub address: String,
    pub latitude: f64,
    pub longitude: f64,
    pub battery_backup_hours: u32,
    pub communication_type: String,
    pub firmware_version: String,
    /// Seed of all jitter; different for every device.
    pub seed: u64,
}

impl Config {
    /// A controller as the document's example describes it, without name and address.
    pub fn new(device_id: DeviceId, latitude: f64, longitude: f64, seed: u64) -> Self {
        Self {
            device_id,
            device_type: "street_light_controller".into(),
            name: String::new(),
            city: String::new(),
            address: String::new(),
            latitude,
            longitude,
            battery_backup_hours: 12,
            communication_type: "GSM".into(),
            firmware_version: concat!("v", env!("CARGO_PKG_VERSION")).into(),
            seed,
        }
    }

    /// Minutes east of Greenwich, for a server that sends local times without a zone: the sun's own time at this
    /// longitude, within an hour or so of any legal time.
    pub fn solar_offset_minutes(&self) -> i32 {
        (self.longitude * 4.0).round() as i32
    }
}
