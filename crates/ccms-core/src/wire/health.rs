//! `GET /device/{deviceId}/health`: how the server sees the device that asks.
use serde::{Deserialize, Serialize};

use crate::light::Indicator;
use crate::time::UtcMillis;

/// The answer; the document shows none, so it has the shape of a poll's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthResponse {
    /// `ok`: the server hears this device.
    pub status: String,
    pub device_id: String,
    /// What it drives.
    pub light_ids: Vec<String>,
    /// The worst colour among its lights.
    pub indicator: Indicator,
    /// When its last status arrived, if one ever did.
    pub last_status_at: Option<UtcMillis>,
    /// Commands that wait for a poll.
    pub pending_commands: u32,
    pub next_update_seconds: u32,
    pub next_poll_seconds: u32,
    pub server_timestamp: UtcMillis,
}
