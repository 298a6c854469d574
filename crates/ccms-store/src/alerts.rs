//! What is wrong and wants a person's eye. One open alert per (device, light, kind): the same again counts.
use async_trait::async_trait;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;

use crate::{AuditEntry, StoreResult};

#[async_trait]
pub trait Alerts {
    /// Opens an alert, or counts one more occurrence of the one that is open or acknowledged for the same device, light
    /// and kind: then message, detail, severity (the worse one) and `last_at` follow. True when it was opened.
    async fn raise_alert(&self, raise: &AlertRaise) -> StoreResult<(AlertRecord, bool)>;
    /// As [`Self::raise_alert`] for something that a device said, recognised by `said`: `None`, and nothing changes, when the
    /// device of `raise` said it before. The newest `keep` of each device are remembered.
    async fn raise_alert_once(
        &self,
        raise: &AlertRaise,
        said: i64,
        keep: u32,
    ) -> StoreResult<Option<(AlertRecord, bool)>>;
    /// Moves an alert on: open → acknowledged → resolved, or open → resolved. `None` when there is none or it is not
    /// before that state.
    async fn move_alert(
        &self,
        no: i64,
        to: AlertState,
        by: &str,
        at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<AlertRecord>>;
    async fn alert(&self, no: i64) -> StoreResult<Option<AlertRecord>>;
    /// Newest first (by number), at most `limit`.
    async fn alerts(&self, query: &AlertQuery) -> StoreResult<Vec<AlertRecord>>;
    /// The same for those of one zone: whose light lies in it, or which have no light and whose device drives one there.
    /// Looks through at most `reach` numbers, however few of them are the zone's. Also answers the number to go on before,
    /// unless nothing is left.
    async fn alerts_of_zone(
        &self,
        zone: &str,
        query: &AlertQuery,
        reach: u32,
    ) -> StoreResult<(Vec<AlertRecord>, Option<i64>)>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertState {
    Open,
    Acknowledged,
    Resolved,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlertRaise {
    pub device_no: Option<DeviceNo>,
    pub light_no: Option<LightNo>,
    /// `battery_low`, `clone_suspected`, …; a device's own kinds come cleaned and capped.
    pub kind: String,
    pub severity: Severity,
    pub message: String,
    pub detail: serde_json::Value,
    pub at: UtcMillis,
}

#[derive(Debug, Clone, PartialEq)]
pub struct AlertRecord {
    pub no: i64,
    pub device_no: Option<DeviceNo>,
    pub light_no: Option<LightNo>,
    pub kind: String,
    pub severity: Severity,
    pub state: AlertState,
    pub message: String,
    pub detail: serde_json::Value,
    pub opened_at: UtcMillis,
    pub last_at: UtcMillis,
    /// Occurrences, from 1.
    pub count: u32,
    /// Who acknowledged or resolved it last, and when.
    pub moved_by: Option<String>,
    pub moved_at: Option<UtcMillis>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct AlertQuery {
    pub device_no: Option<DeviceNo>,
    pub light_no: Option<LightNo>,
    pub state: Option<AlertState>,
    /// Only alerts with a smaller number: the cursor.
    pub before_no: Option<i64>,
    pub limit: u32,
}

/// For engines: a page of a zone, and where to go on, when the numbers from `from` on were looked through.
pub fn zone_page(found: Vec<AlertRecord>, limit: u32, from: i64) -> (Vec<AlertRecord>, Option<i64>) {
    let full = found.len() >= limit as usize;
    let next = if full { found.last().map(|a| a.no) } else { Some(from) };
    // Numbers begin at 1.
    (found, next.filter(|before| *before > 1))
}

impl Severity {
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

impl AlertState {
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}
