//! What is soldered or typed in at installation, and the size of everything the device keeps. The document's own numbers
//! are in [`ccms_core::limits`]; these are the ones that it leaves to the builder.
use ccms_core::ids::DeviceId;

use crate::signature::Key;

/// Readings in one sync: three hours at 30 s and those of the wait for the next probe; about 150 KB unpacked. A port with
/// less memory takes less.
pub const READINGS_PER_SYNC: usize = 400;
/// A body above this is packed (§7).
pub const COMPRESS_ABOVE_BYTES: usize = 10 * 1024;
/// Longer answers are none of this contract.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
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
/// A running device asks for its settings again after this: the sun and the legal time move, and only configure tells.
pub const CONFIGURE_REFRESH_S: u64 = 86_400;
/// The same after a refresh that failed.
pub const CONFIGURE_REFRESH_RETRY_S: u64 = 3_600;
/// Longest wait that an error answer may ask for.
pub const RETRY_AFTER_MAX_S: u32 = 3_600;
/// Every wait is stretched by up to this, so that devices that failed together do not return together.
pub const JITTER_PERCENT: u64 = 20;
/// A body that was refused with 400 is tried once more after this.
pub const REFUSED_WAIT_S: u64 = 5;
/// Statuses that go one by one, because the server refused them together, go no faster than this.
pub const ONE_BY_ONE_GAP_MS: u64 = 1_000;
/// What its retry ladder could not deliver is tried again after this, or on the next sign of life.
pub const PARKED_S: u64 = 300;

/// A manual override never outlives a day.
pub const OVERRIDE_MAX_S: i64 = 86_400;
/// By night an order that makes it dark ends after this, unless the order names its own end.
pub const DARK_OVERRIDE_S: i64 = 3_600;
/// Below this a dimmed lamp counts as dark.
pub const DARK_BELOW_PERCENT: u8 = 30;
/// What a technician switched by hand ends after this, also when it is forgotten.
pub const HAND_MAX_S: u64 = 3_600;
/// A controller restarts on command no more often than this.
pub const RESET_GAP_S: i64 = 3_600;

/// The same alert is raised no more often than this.
pub const ALERT_GAP_S: u64 = 300;
/// Conditions watched at once: the device's own and one for each of its error flags.
pub const ALERT_KINDS_MAX: usize = 20;

/// Lines kept for the technician, and the bytes of each.
pub const LOG_LINES_KEPT: usize = 64;
pub const LOG_LINE_BYTES_MAX: usize = 200;
/// Logs are handed in this often, at once after an error, and never more often than the server takes them.
pub const LOGS_EVERY_S: u64 = 3_600;

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
    /// What the factory burnt in, where it did: it proves a device that has no other credentials yet, or has lost them.
    pub factory_key: Option<Key>,
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
            factory_key: None,
            seed,
        }
    }

    /// Minutes east of Greenwich, for a server that sends local times without a zone: the sun's own time at this
    /// longitude, within an hour or so of any legal time.
    pub fn solar_offset_minutes(&self) -> i32 {
        (self.longitude * 4.0).round() as i32
    }
}
