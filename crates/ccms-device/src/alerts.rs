//! Alerts (§7, §9): what a person should see is told to `alert` when it begins. While it lasts it is told once; it counts as
//! over only when the value is well back, and it is not told again within [`ALERT_GAP_S`], however it flaps.
use ccms_core::limits::{BATTERY_CRITICAL_PERCENT, SIGNAL_POOR_PERCENT, TEMPERATURE_CRITICAL_C};
use ccms_core::time::UtcMillis;
use ccms_core::wire::alert::{AlertRequest, AlertSeverity};

use crate::answer::Verdict;
use crate::clock::Uptime;
use crate::config::{ALERT_GAP_S, ALERT_KINDS_MAX};
use crate::device::Device;
use crate::exchange::Output;
use crate::logbook::Level;
use crate::reading::{Quantity, Sensors};
use crate::request::Kind;
use crate::saved::Change;

/// How far a value has to come back.
const BATTERY_BACK_PERCENT: u8 = 3;
const SIGNAL_BACK_PERCENT: u8 = 3;
const TEMPERATURE_BACK_C: f64 = 2.0;
/// A critical failure of the controller itself.
const DEVICE_FAULT: &str = "device_fault";

/// Something that is or was the matter.
#[derive(Debug, Clone)]
struct Matter {
    kind: Box<str>,
    told_at: Uptime,
    is_on: bool,
    /// It began anew too soon to be told again.
    waits: bool,
}

/// What was told, so that it is not told twice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watch(Vec<Matter>);

impl Watch {
    /// True when it is to be told now.
    fn is_news(&mut self, at: Uptime, kind: &str) -> bool {
        let fresh = |told_at: Uptime| at.since_ms(told_at) < ALERT_GAP_S * 1000;
        if let Some(matter) = self.0.iter_mut().find(|m| &*m.kind == kind) {
            matter.waits |= !matter.is_on;
            matter.is_on = true;
            if !matter.waits || fresh(matter.told_at) {
                return false;
            }
            (matter.waits, matter.told_at) = (false, at);
            return true;
        }
        self.0.retain(|m| m.is_on || fresh(m.told_at));
        if self.0.len() >= ALERT_KINDS_MAX {
            return false;
        }
        self.0.push(Matter { kind: kind.into(), told_at: at, is_on: true, waits: false });
        true
    }

    fn is_over(&mut self, kind: &str) {
        if let Some(matter) = self.0.iter_mut().find(|m| &*m.kind == kind) {
            (matter.is_on, matter.waits) = (false, false);
        }
    }

    fn over_unless(&mut self, goes_on: impl Fn(&str) -> bool) {
        let over: Vec<Box<str>> = self.0.iter().filter(|m| !goes_on(&m.kind)).map(|m| m.kind.clone()).collect();
        over.iter().for_each(|kind| self.is_over(kind));
    }
}

/// What a measured value says.
enum Judged {
    Bad,
    Between,
    Good,
}

impl Device {
    pub(crate) fn watch_sensors(&mut self, at: Uptime, s: &Sensors) {
        // What is not measured is neither bad nor good.
        let level = |of: Quantity, bad: bool, good: bool| match (bad, good) {
            _ if !s.measures(of) => Judged::Between,
            (true, _) => Judged::Bad,
            (false, true) => Judged::Good,
            (false, false) => Judged::Between,
        };
        let celsius = f64::from(s.temperature_dc) / 10.0;
        let (battery, signal) = (s.battery_percent, s.signal_percent);
        let measured = [
            (
                "battery_low",
                AlertSeverity::Critical,
                f64::from(battery),
                f64::from(BATTERY_CRITICAL_PERCENT),
                level(
                    Quantity::Battery,
                    battery < BATTERY_CRITICAL_PERCENT,
                    battery >= BATTERY_CRITICAL_PERCENT + BATTERY_BACK_PERCENT,
                ),
            ),
            (
                "overheating",
                AlertSeverity::Critical,
                celsius,
                TEMPERATURE_CRITICAL_C,
                level(
                    Quantity::Temperature,
                    celsius > TEMPERATURE_CRITICAL_C,
                    celsius <= TEMPERATURE_CRITICAL_C - TEMPERATURE_BACK_C,
                ),
            ),
            (
                "poor_signal",
                AlertSeverity::Warning,
                f64::from(signal),
                f64::from(SIGNAL_POOR_PERCENT),
                level(
                    Quantity::Signal,
                    signal < SIGNAL_POOR_PERCENT,
                    signal >= SIGNAL_POOR_PERCENT + SIGNAL_BACK_PERCENT,
                ),
            ),
        ];
        for (kind, severity, value, threshold, level) in measured {
            match level {
                Judged::Bad => {
                    if self.watch.is_news(at, kind) {
                        self.raise(at, kind, severity, Some((value, threshold)), None);
                    }
                }
                Judged::Between => {}
                Judged::Good => self.watch.is_over(kind),
            }
        }
        if s.critical && self.watch.is_news(at, DEVICE_FAULT) {
            let what = s.error_flags.join(", ");
            self.raise(at, DEVICE_FAULT, AlertSeverity::Critical, None, Some(what));
        }
        let is_measured = |kind: &str| matches!(kind, "battery_low" | "overheating" | "poor_signal");
        // A critical failure names its flags itself.
        for flag in s.error_flags.iter().filter(|f| !s.critical && !is_measured(f)) {
            if self.watch.is_news(at, flag) {
                self.raise(at, flag, AlertSeverity::Warning, None, None);
            }
        }
        self.watch.over_unless(|kind| {
            is_measured(kind) || (kind == DEVICE_FAULT && s.critical) || s.error_flags.iter().any(|f| f == kind)
        });
    }

    fn raise(
        &mut self,
        at: Uptime,
        kind: &str,
        severity: AlertSeverity,
        measured: Option<(f64, f64)>,
        message: Option<String>,
    ) {
        self.log(at, Level::Error, format!("alert: {kind}"));
        let alert = AlertRequest {
            device_id: self.config.device_id.to_string(),
            light_id: self.settings.light_id.clone(),
            alert_type: kind.to_owned(),
            severity,
            message: message.filter(|m| !m.is_empty()),
            value: measured.map(|(value, _)| value),
            threshold: measured.map(|(_, threshold)| threshold),
            timestamp: UtcMillis::from_seconds(self.clock.guess(at).seconds()),
        };
        self.alerts.push(alert, at);
        self.save_alerts();
    }

    pub(crate) fn save_alerts(&mut self) {
        let alerts = self.alerts.all();
        self.outputs.push_back(Output::Persist(Change::Alerts(alerts)));
    }

    /// The time is known at last: what was raised in this boot is dated again.
    pub(crate) fn date_alerts_again(&mut self, late_s: i64) {
        let of_boot = self.alerts_of_boot;
        // Once in a boot, for what is raised from now on is dated right.
        self.alerts_of_boot = u32::MAX;
        let mut any = false;
        for pending in self.alerts.iter_mut().filter(|p| p.no >= of_boot) {
            pending.item.timestamp = pending.item.timestamp.plus_seconds(late_s);
            any = true;
        }
        if any {
            self.save_alerts();
        }
    }

    pub(crate) fn send_alert(&mut self, at: Uptime) {
        let Some(alert) = self.alerts.due(at, &self.covering.alerts) else { return };
        let (no, body) = (alert.no, serde_json::to_vec(&alert.item).unwrap_or_default());
        self.alerting = vec![no];
        self.send(at, Kind::Alert, body);
    }

    pub(crate) fn on_alert_answer(&mut self, at: Uptime, verdict: Verdict) {
        let nos = std::mem::take(&mut self.alerting);
        let Some(no) = nos.first().copied() else { return };
        match verdict {
            Verdict::Done(_) => {
                if self.alerts.remove(&nos) {
                    self.save_alerts();
                }
                self.contact(at);
            }
            Verdict::Refused { status, .. } => {
                self.log(at, Level::Warning, format!("an alert was refused with {status}"));
                if self.alerts.refused(no, at) && self.alerts.remove(&nos) {
                    self.save_alerts();
                }
            }
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::ServerError { .. } | Verdict::NoAnswer | Verdict::Unreadable => {
                self.alerts.failed(no, at, &mut self.chance);
            }
        }
    }
}
