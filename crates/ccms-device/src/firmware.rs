//! The firmware report (§12, PUT `firmware`): which version runs, told once after each change, and how far an installation
//! is, as the shell says. Images are fetched and verified by whoever can install them; this machine cannot, and says so in
//! its log when the server offers one.
use ccms_core::time::UtcMillis;
use ccms_core::wire::firmware::FirmwareRequest;
use serde_json::Value;

use crate::answer::Verdict;
use crate::clock::Uptime;
use crate::device::Device;
use crate::logbook::Level;
use crate::outbox::rung_ms;
use crate::request::Kind;

const RUNNING: &str = "running";

/// How far an installation is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// `downloading`, `installing`, `failed`, …
    pub state: String,
    pub percent: Option<u8>,
    pub message: Option<String>,
}

/// What is to be told. A newer one replaces it: nobody needs to hear of 45 % after 60 %.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    progress: Progress,
    attempts: usize,
    pub due: Uptime,
    /// Under way; one that replaces it is not.
    sent: bool,
}

impl Device {
    pub(crate) fn on_firmware(&mut self, at: Uptime, progress: Progress) {
        self.report = Some(Report { progress, attempts: 0, due: at, sent: false });
    }

    /// After a configure: the version, unless the server was told of it.
    pub(crate) fn report_firmware(&mut self, at: Uptime) {
        if self.report.is_none() && self.settings.firmware_reported.as_ref() != Some(&self.config.firmware_version) {
            let progress = Progress { state: RUNNING.into(), percent: Some(100), message: None };
            self.report = Some(Report { progress, attempts: 0, due: at, sent: false });
        }
    }

    pub(crate) fn send_firmware(&mut self, at: Uptime) {
        let Some(report) = &mut self.report else { return };
        report.sent = true;
        let request = FirmwareRequest {
            device_id: self.config.device_id.to_string(),
            firmware_version: self.config.firmware_version.clone(),
            state: Some(report.progress.state.clone()),
            progress: report.progress.percent,
            message: report.progress.message.clone(),
            timestamp: UtcMillis::from_seconds(self.clock.guess(at).seconds()),
        };
        self.send(at, Kind::Firmware, serde_json::to_vec(&request).unwrap_or_default());
    }

    pub(crate) fn on_firmware_answer(&mut self, at: Uptime, verdict: Verdict) {
        match verdict {
            Verdict::Done(answer) => {
                if answer.0.get("update").is_some_and(|update| *update != Value::Null) {
                    self.log(at, Level::Warning, "an update is offered, and this controller cannot install it".into());
                }
                let told = self.report.take_if(|report| report.sent);
                if told.is_some_and(|report| report.progress.state == RUNNING) {
                    self.settings.firmware_reported = Some(self.config.firmware_version.clone());
                    self.persist(at);
                }
                self.contact(at);
            }
            Verdict::Refused { status, .. } => {
                self.log(at, Level::Warning, format!("the firmware report was refused with {status}"));
                if self.is_refused_again(at, Kind::Firmware) {
                    self.report.take_if(|report| report.sent);
                }
            }
            Verdict::Reconfigure { status } => self.reconfigure(at, status),
            Verdict::ServerError { .. } | Verdict::NoAnswer | Verdict::Unreadable => {
                if let Some(report) = &mut self.report {
                    report.attempts += 1;
                    report.due = at.plus_ms(rung_ms(report.attempts, &mut self.chance));
                }
            }
        }
    }
}
