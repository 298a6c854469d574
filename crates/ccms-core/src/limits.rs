//! Every number of the device contract, by name and with its unit. Source: the device document, section as (§n).

/// Ordinary distance between two statuses (§2).
pub const STATUS_INTERVAL_S: u32 = 30;
/// Distance between statuses of a hot device (§2).
pub const STATUS_INTERVAL_HOT_S: u32 = 10;
/// Distance between statuses that a server promises a device on a low battery: the document asks 10 s of statuses and
/// 60 s of polls "to save power"; the server paces both at 60 s and still accepts 10 s.
pub const STATUS_INTERVAL_LOW_BATTERY_S: u32 = 60;
/// Above this a device reports every [`STATUS_INTERVAL_HOT_S`] (§2).
pub const TEMPERATURE_HOT_C: f64 = 60.0;
/// Above this the light is overheating (§9).
pub const TEMPERATURE_CRITICAL_C: f64 = 65.0;
/// Below this the battery is low (§2).
pub const BATTERY_LOW_PERCENT: u8 = 20;
/// Below this the battery is critically low (§9).
pub const BATTERY_CRITICAL_PERCENT: u8 = 10;
/// Below this the connection is poor (§9); the document writes dBm, the sample value is a percentage.
pub const SIGNAL_POOR_PERCENT: u8 = 10;

/// Ordinary distance between two polls (§3).
pub const POLL_INTERVAL_S: u32 = 10;
/// Distance between polls while a high-priority command is alive (§3).
pub const POLL_INTERVAL_URGENT_S: u32 = 2;
/// Distance between polls on a low battery (§3).
pub const POLL_INTERVAL_LOW_BATTERY_S: u32 = 60;
/// Back-off of polls without a connection (§3).
pub const POLL_BACKOFF_S: [u32; 4] = [10, 30, 60, 300];
/// The same command is handed out again after this at the earliest.
pub const REDELIVERY_INTERVAL_S: u32 = 10;

/// A failed configure is tried again after this (§1).
pub const CONFIGURE_RETRY_S: u32 = 300;
/// Configures in a row before the device asks for a person (§1).
pub const CONFIGURE_ATTEMPTS: u32 = 3;
/// Timeout of a configure (§11).
pub const CONFIGURE_TIMEOUT_S: u32 = 10;
/// Timeout of a status, a poll and an acknowledgement (§11).
pub const REQUEST_TIMEOUT_S: u32 = 5;
/// Timeout of a sync (§11).
pub const SYNC_TIMEOUT_S: u32 = 30;
/// Delays of the retry ladder before an item is stored for later (§6).
pub const RETRY_LADDER_S: [u32; 4] = [0, 5, 15, 30];
/// Wait after a 500 (§6), at most [`SERVER_ERROR_RETRIES`] times.
pub const SERVER_ERROR_WAIT_S: u32 = 30;
pub const SERVER_ERROR_RETRIES: u32 = 3;
/// Wait after a timeout (§6), at most [`TIMEOUT_RETRIES`] times, then offline.
pub const TIMEOUT_WAIT_S: u32 = 10;
pub const TIMEOUT_RETRIES: u32 = 5;

/// Without contact for this long a device is offline (§9).
pub const OFFLINE_AFTER_S: u32 = 120;
/// Statuses that may be missed before that, when the promised interval is longer.
pub const OFFLINE_AFTER_INTERVALS: u32 = 4;

/// Readings kept on the device while offline (§2): 3 h at 10 s.
pub const READINGS_KEPT: usize = 1_080;
/// Acknowledgements kept on the device (§7).
pub const ACKS_KEPT: usize = 100;
/// Alerts kept on the device (§6), in a store of their own.
pub const ALERTS_KEPT: usize = 100;
/// Command ids a device remembers so that it acts once per command.
pub const COMMAND_IDS_REMEMBERED: usize = 256;

/// Life of a device token (§8).
pub const TOKEN_LIFE_S: i64 = 7 * 86_400;
/// A silent device keeps its claim for this long (§8).
pub const SILENCE_LIMIT_S: i64 = 30 * 86_400;
/// Life of a power, brightness or reset command.
pub const COMMAND_LIFE_S: i64 = 15 * 60;
/// Life of a schedule command.
pub const SCHEDULE_COMMAND_LIFE_S: i64 = 7 * 86_400;

/// Largest request body on the wire.
pub const BODY_BYTES_MAX: usize = 256 * 1024;
/// Largest request body after gunzip.
pub const BODY_DECODED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Readings in one request.
pub const READINGS_PER_REQUEST_MAX: usize = 2_000;
/// Acknowledgements, and alerts, in one sync; a device keeps a hundred of each.
pub const SYNC_ITEMS_MAX: usize = 500;
/// Kept of an item that cannot be read.
pub const QUARANTINED_BYTES_MAX: usize = 4 * 1024;
/// Largest body of an alert, unpacked.
pub const ALERT_BODY_BYTES_MAX: usize = 16 * 1024;
/// Characters kept of an alert's kind.
pub const ALERT_KIND_CHARS_MAX: usize = 48;
/// Characters kept of an alert's message, and of a firmware report's.
pub const DEVICE_MESSAGE_CHARS_MAX: usize = 500;
/// Largest body of logs, unpacked.
pub const LOGS_BODY_DECODED_BYTES_MAX: usize = 256 * 1024;
/// A device may hand in logs this often.
pub const LOGS_INTERVAL_S: u32 = 60;
/// Lines kept of one upload of logs, the newest ones, and characters of each.
pub const LOG_LINES_MAX: usize = 2_000;
pub const LOG_LINE_CHARS_MAX: usize = 1_000;
/// Error flags kept of one reading, and characters kept of each.
pub const ERROR_FLAGS_MAX: usize = 16;
pub const ERROR_FLAG_CHARS_MAX: usize = 48;
/// Characters kept of a text that a device reports (name, address, firmware version, …).
pub const DEVICE_TEXT_CHARS_MAX: usize = 120;
/// A place this close to 0,0, in degrees, is that of a receiver without a fix.
pub const NO_FIX_DEGREES: f64 = 0.001;
/// A device clock this far ahead of ours, or before [`CLOCK_FLOOR_S`], is suspect.
pub const CLOCK_AHEAD_MAX_S: i64 = 86_400;
/// 2020-01-01T00:00:00Z.
pub const CLOCK_FLOOR_S: i64 = 1_577_836_800;
