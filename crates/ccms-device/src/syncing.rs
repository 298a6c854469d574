//! Catching up (§7): what piled up goes to `sync` in one request, in the document's order: acknowledgements, alerts, the
//! present state, cached readings, logs. Only what the 200 covers is deleted; what does not fit follows in the next one. A
//! server that refuses the whole gets less at a time, and at last each thing on its own route.
use ccms_core::wire::ack::AckRequest;
use ccms_core::wire::alert::AlertRequest;
use ccms_core::wire::logs::LogLine;
use ccms_core::wire::status::StatusRequest;
use serde::{Serialize, Serializer};

use crate::answer::{Answer, Verdict};
use crate::clock::Uptime;
use crate::config::READINGS_PER_SYNC;
use crate::device::{Covering, Device};
use crate::logbook::Level;
use crate::reading::{Ring, Sample};
use crate::request::Kind;

/// [`SyncRequest`](ccms_core::wire::sync::SyncRequest) without a copy of everything.
#[derive(Serialize)]
struct Sync<'a> {
    device_id: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acks: Vec<&'a AckRequest>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<&'a AlertRequest>,
    status: Option<StatusRequest>,
    #[serde(skip_serializing_if = "Past::is_empty")]
    readings: Past<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<&'a LogLine>,
}

/// The oldest readings, written one after the other.
struct Past<'a> {
    ring: &'a Ring,
    count: usize,
    device_id: &'a str,
    light_id: &'a str,
}

impl Past<'_> {
    fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Serialize for Past<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let oldest = self.ring.iter().take(self.count);
        serializer.collect_seq(oldest.map(|sample| sample.to_wire(self.device_id, self.light_id)))
    }
}

impl Device {
    pub(crate) fn send_sync(&mut self, at: Uptime) {
        let (Some(newest), Some(light_id)) = (self.readings.newest(), &self.settings.light_id) else { return };
        let device_id = self.config.device_id.as_str();
        let count = self.batch_max.min(self.readings.len() - 1);
        // What is under way on its own route is told there.
        let acks = || self.acks.iter().filter(|p| !self.acking.contains(&p.no));
        let alerts = || self.alerts.iter().filter(|p| !self.alerting.contains(&p.no));
        let covering = Covering {
            readings: self.readings.iter().take(count).chain([newest]).map(|s: &Sample| s.seq).collect(),
            acks: acks().map(|p| p.no).collect(),
            alerts: alerts().map(|p| p.no).collect(),
            logs_end: Some(self.logbook.end()),
        };
        let sync = Sync {
            device_id,
            acks: acks().map(|p| &p.item).collect(),
            alerts: alerts().map(|p| &p.item).collect(),
            status: Some(newest.to_wire(device_id, light_id)),
            readings: Past { ring: &self.readings, count, device_id, light_id },
            logs: self.logbook.lines().iter().collect(),
        };
        let body = serde_json::to_vec(&sync).unwrap_or_default();
        (self.covering, self.live) = (covering, false);
        self.send(at, Kind::Sync, body);
    }

    pub(crate) fn on_sync_answer(&mut self, at: Uptime, verdict: Verdict) {
        let covered = std::mem::take(&mut self.covering);
        match verdict {
            Verdict::Done(answer) => self.synced(at, &covered, &answer),
            Verdict::Refused { status, error } => {
                let why = error.map_or_else(String::new, |e| format!(" {}: {}", e.code, e.message));
                self.log(at, Level::Warning, format!("sync refused with {status}{why}"));
                self.live = true;
                if self.is_refused_again(at, Kind::Sync) {
                    match covered.readings.len() {
                        0..=2 => self.one_by_one = true,
                        many => self.batch_max = many / 2,
                    }
                }
                self.refused_offline(at, Kind::Sync);
            }
            Verdict::Reconfigure { status } => {
                self.live = true;
                self.reconfigure(at, status);
            }
            Verdict::ServerError { .. } | Verdict::NoAnswer | Verdict::Unreadable => {
                self.report_failed(at, Kind::Sync, &verdict);
            }
        }
    }

    fn synced(&mut self, at: Uptime, covered: &Covering, answer: &Answer) {
        self.batch_max = (self.batch_max * 2).min(READINGS_PER_SYNC);
        if self.acks.remove(&covered.acks) {
            self.save_acks(at);
        }
        if self.alerts.remove(&covered.alerts) {
            self.save_alerts();
        }
        self.delivered(&covered.readings, answer.number("duplicate"));
        // Logs are what a busy server leaves out; then they wait for their own time.
        if let Some(end) = covered.logs_end.filter(|_| answer.number("logs") != Some(0)) {
            self.logbook.remove_until(end);
        }
        self.reported(at);
        self.follow(at, answer);
        self.contact(at);
    }
}
