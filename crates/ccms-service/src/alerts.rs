//! What is wrong and wants a person's eye: raised by devices and by the server itself, looked at and moved on by people. The
//! same alert of the same device and light, while it is open, counts and is not told again.
use std::collections::BTreeSet;

use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::limits;
use ccms_core::view::{self, AlertView};
use ccms_core::wire::alert::{AlertMessage, AlertResponse, AlertSeverity};
use ccms_store::{AlertQuery, AlertRaise, AlertRecord, AlertState, Severity, StoreResult};
use serde_json::json;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::identity::DeviceIdentity;
use crate::permission::{MayAcknowledge, MayView, Who};
use crate::refusal::Refusal;
use crate::told::{AlertStep, Happening};

/// Kinds of alerts that one device may have open; what it invents beyond them is counted as [`OTHER_KIND`].
const OPEN_KINDS_MAX: u32 = 50;
const OTHER_KIND: &str = "other";
/// Messages of one device that are recognised when they come again: as many as one sync may bring.
const MESSAGES_REMEMBERED: u32 = limits::SYNC_ITEMS_MAX as u32;
/// Numbers that one page of a zone's alerts looks through.
const ZONE_REACH: u32 = 50_000;
/// Alerts in one list.
pub const ALERTS_PAGE_MAX: u32 = 500;

/// Which alerts somebody asks for, the newest first.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    pub device_id: Option<DeviceId>,
    pub light_id: Option<LightId>,
    pub state: Option<AlertState>,
    /// Only alerts with a smaller number: the cursor.
    pub before: Option<i64>,
    pub limit: u32,
}

/// An alert that the server itself raises.
#[derive(Debug)]
pub(crate) struct Raise<'a> {
    pub device: Option<DeviceNo>,
    pub light: Option<LightNo>,
    pub kind: &'a str,
    pub severity: Severity,
    pub message: String,
    pub detail: serde_json::Value,
}

impl Ccms {
    /// An alert of a device.
    pub async fn record_alert(&self, who: &DeviceIdentity, message: AlertMessage) -> Result<AlertResponse, Refusal> {
        self.check_own_device(who, message.device_id.as_deref(), "alert").await?;
        let light = match &message.light_id {
            None => self.only_light(who.no),
            Some(_) => Some(self.check_own_light(who, message.light.as_ref(), "alert").await?),
        };
        let now = self.now();
        let opened = self.keep_alert(who, light, message).await?;
        self.live().write().contact(who.no, now);
        Ok(AlertResponse {
            status: "success".into(),
            message: AlertResponse::MESSAGE.into(),
            server_timestamp: now,
            duplicate: !opened,
        })
    }

    /// True when it was not open already. One that is sent again, as a device does whose answer got lost, is no new
    /// occurrence: it counts nothing, and brings nothing back that a person resolved.
    pub(crate) async fn keep_alert(
        &self,
        who: &DeviceIdentity,
        light: Option<LightNo>,
        message: AlertMessage,
    ) -> StoreResult<bool> {
        let said = message.dedupe_key(self.now());
        let kind = self.kind_with_room(who.no, &message.kind).await?;
        let raise = Raise {
            device: Some(who.no),
            light,
            kind,
            severity: severity(message.severity),
            message: message.message.unwrap_or_else(|| message.kind.replace('_', " ")),
            detail: json!({"by": "device", "reported_at": message.at, "value": message.value,
                "threshold": message.threshold}),
        };
        let raise = self.raise_of(raise);
        let Some(said) = said else { return Ok(self.note_raised(self.store().raise_alert(&raise).await?)) };
        match self.store().raise_alert_once(&raise, said, MESSAGES_REMEMBERED).await? {
            Some(raised) => Ok(self.note_raised(raised)),
            None => Ok(false),
        }
    }

    /// Opens an alert or counts one more occurrence; true when it was opened. On disk when this returns.
    pub(crate) async fn raise(&self, raise: Raise<'_>) -> StoreResult<bool> {
        let raised = self.store().raise_alert(&self.raise_of(raise)).await?;
        Ok(self.note_raised(raised))
    }

    fn raise_of(&self, raise: Raise<'_>) -> AlertRaise {
        AlertRaise {
            device_no: raise.device,
            light_no: raise.light,
            kind: raise.kind.to_owned(),
            severity: raise.severity,
            message: raise.message,
            detail: raise.detail,
            at: self.now(),
        }
    }

    /// Answers whether it was opened.
    fn note_raised(&self, (record, opened): (AlertRecord, bool)) -> bool {
        if opened {
            tracing::info!(alert = record.no, kind = record.kind, "an alert was opened");
        }
        self.tell_watchers(if opened { AlertStep::Opened } else { AlertStep::Repeated }, record);
        opened
    }

    /// As [`Self::raise`] where the alert is not what was asked for: one that cannot be kept is told to the log.
    pub(crate) async fn raise_beside(&self, raise: Raise<'_>) {
        let kind = raise.kind.to_owned();
        if let Err(error) = self.raise(raise).await {
            tracing::error!(%error, kind, "an alert was lost");
        }
    }

    /// Alerts of lights and devices that are theirs to see, newest first, and the number to go on before when there may be
    /// more. A page of somebody's zone may be short, even empty, and yet not the last.
    pub async fn alerts(
        &self,
        by: MayView<'_>,
        filter: AlertFilter,
    ) -> Result<(Vec<AlertView>, Option<i64>), ServiceError> {
        let limit = filter.limit.clamp(1, ALERTS_PAGE_MAX);
        let mut query = AlertQuery { state: filter.state, before_no: filter.before, limit, ..AlertQuery::default() };
        let nothing = Ok((Vec::new(), None));
        {
            let live = self.live().read();
            // What nobody knows has no alerts.
            if let Some(id) = &filter.device_id {
                let Some(no) = live.device_no(id) else { return nothing };
                query.device_no = Some(no);
            }
            if let Some(id) = &filter.light_id {
                let Some(no) = live.light_no(id) else { return nothing };
                query.light_no = Some(no);
            }
        }
        let (page, next) = match by.who().zone() {
            // Those of one light or one device have an index of their own.
            Some(zone) if query.device_no.is_none() && query.light_no.is_none() => {
                self.store().alerts_of_zone(zone, &query, ZONE_REACH).await?
            }
            _ => {
                let page = self.store().alerts(&query).await?;
                let next = page.last().map(|a| a.no).filter(|_| page.len() == limit as usize);
                (page, next)
            }
        };
        let seen = page.into_iter().filter(|a| self.sees_alert(by.who(), a));
        Ok((seen.map(|a| self.alert_view(a)).collect(), next))
    }

    /// Moves an alert on: to acknowledged, or to resolved.
    pub async fn move_alert(&self, by: MayAcknowledge<'_>, no: i64, to: AlertState) -> Result<AlertView, ServiceError> {
        let known = self.store().alert(no).await?.filter(|a| self.sees_alert(by.who(), a));
        let known = known.ok_or(ServiceError::NotFound)?;
        let invalid = || ServiceError::Invalid {
            field: "state",
            message: format!("This alert is {} already.", known.state.as_str()),
        };
        let action = match to {
            AlertState::Open => return Err(invalid()),
            AlertState::Acknowledged => "alert.acknowledge",
            AlertState::Resolved => "alert.resolve",
        };
        let audit = self.audit_entry(by.name(), action, &no.to_string(), json!({"kind": known.kind}));
        let moved = self.store().move_alert(no, to, by.name(), self.now(), &audit).await?.ok_or_else(invalid)?;
        let step = if to == AlertState::Resolved { AlertStep::Resolved } else { AlertStep::Acknowledged };
        self.tell_watchers(step, moved.clone());
        Ok(self.alert_view(moved))
    }

    /// Its light's, or without one its device's lights': a zone sees an alert when it sees one of them.
    pub(crate) fn sees_alert(&self, who: Who<'_>, alert: &AlertRecord) -> bool {
        if who.zone().is_none() {
            return true;
        }
        let live = self.live().read();
        let of_device =
            || alert.device_no.and_then(|no| live.device(no)).map(|d| d.lights.as_slice()).unwrap_or_default();
        let lights = alert.light_no.as_ref().map_or_else(of_device, std::slice::from_ref);
        lights.iter().any(|no| live.light(*no).is_some_and(|l| who.sees(&l.record)))
    }

    pub(crate) fn alert_view(&self, alert: AlertRecord) -> AlertView {
        let live = self.live().read();
        AlertView {
            alert_id: alert.no,
            device_id: alert.device_no.and_then(|no| live.device(no)).map(|d| d.record.id()),
            light_id: alert.light_no.and_then(|no| live.light(no)).map(|l| l.record.id()),
            kind: alert.kind,
            severity: match alert.severity {
                Severity::Info => AlertSeverity::Info,
                Severity::Warning => AlertSeverity::Warning,
                Severity::Critical => AlertSeverity::Critical,
            },
            state: match alert.state {
                AlertState::Open => view::AlertState::Open,
                AlertState::Acknowledged => view::AlertState::Acknowledged,
                AlertState::Resolved => view::AlertState::Resolved,
            },
            message: alert.message,
            detail: alert.detail,
            opened_at: alert.opened_at,
            last_at: alert.last_at,
            count: alert.count,
            moved_by: alert.moved_by,
            moved_at: alert.moved_at,
        }
    }

    /// The kind a device named, unless it has too many others open.
    async fn kind_with_room<'a>(&self, device: DeviceNo, kind: &'a str) -> StoreResult<&'a str> {
        let open = AlertQuery {
            device_no: Some(device),
            state: Some(AlertState::Open),
            limit: OPEN_KINDS_MAX,
            ..AlertQuery::default()
        };
        let open = self.store().alerts(&open).await?;
        let kinds: BTreeSet<&str> = open.iter().map(|a| a.kind.as_str()).collect();
        let room = open.len() < OPEN_KINDS_MAX as usize || kinds.contains(kind);
        Ok(if room { kind } else { OTHER_KIND })
    }

    /// A device with one light means that one.
    pub(crate) fn only_light(&self, device: DeviceNo) -> Option<LightNo> {
        match self.live().read().device(device)?.lights.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// An alert that another process raised or moved. What was done to it last, it shows itself.
    pub(crate) fn tell_alert_of_another(&self, alert: AlertRecord) {
        let moved = alert.moved_at.is_some_and(|at| at >= alert.last_at);
        let step = match alert.state {
            AlertState::Resolved => AlertStep::Resolved,
            AlertState::Acknowledged if moved => AlertStep::Acknowledged,
            AlertState::Open if alert.count == 1 => AlertStep::Opened,
            AlertState::Open | AlertState::Acknowledged => AlertStep::Repeated,
        };
        self.tell_watchers(step, alert);
    }

    /// Marks what a screen shows as changed, unless it is only one more of what it shows, and tells other systems.
    fn tell_watchers(&self, step: AlertStep, alert: AlertRecord) {
        let mut live = self.live().write();
        let lights = match (alert.light_no, alert.device_no.and_then(|no| live.device(no))) {
            (Some(light), _) => vec![light],
            (None, Some(device)) => device.lights.to_vec(),
            (None, None) => Vec::new(),
        };
        if step != AlertStep::Repeated {
            lights.into_iter().for_each(|no| live.touch(no));
        }
        live.happens(Happening::Alert(step, Box::new(alert)));
    }
}

fn severity(said: AlertSeverity) -> Severity {
    match said {
        AlertSeverity::Info => Severity::Info,
        AlertSeverity::Warning => Severity::Warning,
        AlertSeverity::Critical => Severity::Critical,
    }
}
