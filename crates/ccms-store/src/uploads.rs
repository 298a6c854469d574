//! What devices hand in beside readings: log texts, firmware reports, and messages that nobody could read. Each device keeps
//! a bounded number of each; the oldest go first.
use async_trait::async_trait;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;

use crate::{ReadingRow, StoreResult};

#[async_trait]
pub trait Uploads {
    /// Keeps one upload of log text and removes the device's oldest beyond `keep`.
    async fn save_device_log(&self, device: DeviceNo, at: UtcMillis, text: &str, keep: u32) -> StoreResult<()>;
    /// Newest first.
    async fn device_logs(&self, device: DeviceNo, limit: u32) -> StoreResult<Vec<DeviceLog>>;

    /// Keeps unreadable messages and removes the device's oldest beyond `keep`.
    async fn save_quarantined(
        &self,
        device: DeviceNo,
        at: UtcMillis,
        items: &[Quarantined],
        keep: u32,
    ) -> StoreResult<()>;
    /// Newest first, with the time of arrival.
    async fn quarantined(&self, device: DeviceNo, limit: u32) -> StoreResult<Vec<(UtcMillis, Quarantined)>>;

    /// Replaces the device's firmware report.
    async fn save_firmware_report(&self, report: &FirmwareReport) -> StoreResult<()>;
    async fn firmware_report(&self, device: DeviceNo) -> StoreResult<Option<FirmwareReport>>;

    /// Readings of one light whose clock was suspect (flag `CLOCK_SUSPECT`), by time of arrival: `from <= received < to`,
    /// newest first, at most `limit`. Found through a partial index: they are few.
    async fn suspect_readings(
        &self,
        light: LightNo,
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>>;
}

#[derive(Debug, Clone, PartialEq)]
pub struct DeviceLog {
    pub at: UtcMillis,
    pub text: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Quarantined {
    pub reason: String,
    pub raw: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FirmwareReport {
    pub device: DeviceNo,
    pub at: UtcMillis,
    pub version: Option<String>,
    pub state: Option<String>,
    pub progress_percent: Option<u8>,
    pub message: Option<String>,
}
