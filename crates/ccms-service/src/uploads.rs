//! What devices hand in beside readings: logs, firmware reports, and messages that nobody can read. And what they ask of the
//! server about themselves.
use ccms_core::light::Indicator;
use ccms_core::wire::firmware::{FirmwareMessage, FirmwareResponse};
use ccms_core::wire::health::HealthResponse;
use ccms_core::wire::logs::{LogsMessage, LogsResponse};
use ccms_core::wire::{BadBody, Quarantined};
use ccms_store::{self as store, FirmwareReport, Severity, StoreResult};
use serde_json::json;

use crate::alerts::Raise;
use crate::ccms::Ccms;
use crate::identity::DeviceIdentity;
use crate::metrics;
use crate::refusal::Refusal;

/// Uploads of logs kept of each device.
const LOGS_KEPT: u32 = 50;
/// Unreadable messages kept of each device.
const QUARANTINED_KEPT: u32 = 200;
/// The alert for a device that talks and is not understood.
const MALFORMED: &str = "malformed_messages";

impl Ccms {
    /// Keeps logs, at most once a minute for each device.
    pub async fn record_logs(&self, who: &DeviceIdentity, logs: LogsMessage) -> Result<LogsResponse, Refusal> {
        self.check_own_device(who, logs.device_id.as_deref(), "logs").await?;
        if !logs.lines.is_empty() {
            self.admit_logs(who.no)?;
        }
        let stored = self.keep_logs(who, &logs).await?;
        let now = self.now();
        self.live().write().contact(who.no, now);
        Ok(LogsResponse {
            status: "success".into(),
            message: LogsResponse::MESSAGE.into(),
            stored,
            server_timestamp: now,
        })
    }

    /// How many lines were kept.
    pub(crate) async fn keep_logs(&self, who: &DeviceIdentity, logs: &LogsMessage) -> StoreResult<u32> {
        if logs.lines.is_empty() {
            return Ok(0);
        }
        self.store().save_device_log(who.no, self.now(), &logs.to_text(), LOGS_KEPT).await?;
        Ok(logs.lines.len() as u32)
    }

    /// Keeps what a controller runs and how far its update is; there is no image to offer.
    pub async fn record_firmware(
        &self,
        who: &DeviceIdentity,
        message: FirmwareMessage,
    ) -> Result<FirmwareResponse, Refusal> {
        self.check_own_device(who, message.device_id.as_deref(), "firmware").await?;
        let now = self.now();
        let report = FirmwareReport {
            device: who.no,
            at: now,
            version: message.version.clone(),
            state: message.state,
            progress_percent: message.progress_percent,
            message: message.message,
        };
        self.store().save_firmware_report(&report).await?;
        let known = self.live().read().device(who.no).map(|d| d.record.reported());
        if let Some(mut reported) = known
            && message.version.is_some()
            && reported.firmware_version != message.version
        {
            reported.firmware_version = message.version;
            self.store().save_reported(who.no, &reported).await?;
            self.live().write().device_says(who.no, &reported);
        }
        self.live().write().contact(who.no, now);
        Ok(FirmwareResponse::recorded(now))
    }

    /// The image for a controller: none, so far.
    pub fn firmware_for(&self, who: &DeviceIdentity) -> FirmwareResponse {
        let now = self.now();
        self.live().write().contact(who.no, now);
        FirmwareResponse::no_update(now)
    }

    /// How the server sees the device that asks.
    pub fn health(&self, who: &DeviceIdentity) -> HealthResponse {
        let now = self.now();
        let (next_update_seconds, next_poll_seconds) = self.pace(who.no, now);
        let mut live = self.live().write();
        live.contact(who.no, now);
        let device = live.device(who.no);
        let lights = || device.into_iter().flat_map(|d| &d.lights).filter_map(|no| live.light(*no));
        // The worst first, as a person would weigh it.
        let weight = |colour: &Indicator| match colour {
            Indicator::Red => 3,
            Indicator::Yellow => 2,
            Indicator::Gray => 1,
            Indicator::Green => 0,
        };
        HealthResponse {
            status: "ok".into(),
            device_id: who.id.to_string(),
            light_ids: lights().map(|l| l.record.id_text()).collect(),
            indicator: lights().map(|l| live.facts(l).indicator(now)).max_by_key(weight).unwrap_or(Indicator::Gray),
            last_status_at: lights().filter_map(|l| l.latest.as_ref()).map(|row| row.received_at).max(),
            pending_commands: device.map_or(0, |d| {
                d.commands.iter().filter(|c| c.command.state.is_pending() && !c.command.is_expired(now)).count() as u32
            }),
            next_update_seconds,
            next_poll_seconds,
            server_timestamp: now,
        }
    }

    /// Puts items aside that could not be read, and says so to people.
    pub(crate) async fn put_aside(&self, who: &DeviceIdentity, items: Vec<Quarantined>) -> StoreResult<u32> {
        let Some(first) = items.first().map(|item| item.reason) else { return Ok(0) };
        let count = items.len() as u32;
        let kept = items.into_iter().map(|item| store::Quarantined { reason: item.reason.to_owned(), raw: item.raw });
        // The newest are kept, so of too many the last ones.
        let kept: Vec<_> = kept.skip((count as usize).saturating_sub(QUARANTINED_KEPT as usize)).collect();
        self.store().save_quarantined(who.no, self.now(), &kept, QUARANTINED_KEPT).await?;
        metrics::quarantined(count);
        self.warn_malformed(who, first, json!({"quarantined": count})).await;
        Ok(count)
    }

    /// A device that proved who it is sent a body that could not be read at all.
    pub async fn malformed(&self, who: &DeviceIdentity, route: &str, bad: &BadBody) {
        self.live().write().contact(who.no, self.now());
        self.warn_malformed(who, &bad.to_string(), json!({"route": route})).await;
    }

    async fn warn_malformed(&self, who: &DeviceIdentity, reason: &str, detail: serde_json::Value) {
        self.raise_beside(Raise {
            device: Some(who.no),
            light: None,
            kind: MALFORMED,
            severity: Severity::Warning,
            message: format!("The device sends messages that cannot be read: {reason}"),
            detail,
        })
        .await;
    }
}
