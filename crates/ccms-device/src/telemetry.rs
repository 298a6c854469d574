//! Reporting: every 30 s, every 10 s while hot, at the server's pace, and at once when something changes. Every sample goes
//! through the ring and leaves it only when a 200 covered it; after an outage the newest is sent first, then the rest in
//! batches, oldest first.
use ccms_core::limits::{
    SERVER_ERROR_RETRIES, SERVER_ERROR_WAIT_S, STATUS_INTERVAL_HOT_S, TIMEOUT_RETRIES, TIMEOUT_WAIT_S,
};
use ccms_core::time::UtcMillis;
use ccms_core::wire::status::{StatusRequest, StatusResponse};
use serde::Serialize;

use crate::clock::Uptime;
use crate::config::{CHANGE_GAP_MS, JITTER_PERCENT, POLL_PACE_S, READINGS_PER_BATCH, SEQ_BLOCK, STATUS_PACE_S};
use crate::device::Device;
use crate::exchange::{Delivered, Led, Output};
use crate::reading::{Sample, Sensors};
use crate::request::{Kind, Verdict, asked_wait_s};
use crate::saved::Change;
use crate::state::State;

/// Several readings in one body.
#[derive(Serialize)]
struct Readings {
    readings: Vec<StatusRequest>,
}

impl Device {
    pub(crate) fn on_sensors(&mut self, at: Uptime, sensors: Sensors) {
        if self.last_sample.as_ref().is_some_and(|(_, last)| sensors.differs_notably(last)) {
            self.report_soon(at);
        }
        match (self.state, sensors.critical) {
            (State::Ready, true) => {
                self.enter(State::Error);
                self.show(Led::Red, format!("Critical failure: {}", sensors.error_flags.join(", ")));
            }
            (State::Error, false) => {
                self.enter(State::Ready);
                self.show(Led::Green, "Recovered".into());
            }
            _ => {}
        }
        self.sensors = Some(sensors);
    }

    /// A change is reported at once, unless the last report is only a moment old.
    pub(crate) fn report_soon(&mut self, at: Uptime) {
        let earliest = self.last_sample.as_ref().map_or(at, |(last, _)| last.plus_ms(CHANGE_GAP_MS));
        self.status_due = self.status_due.min(at.max(earliest));
    }

    fn status_interval_s(&self) -> u32 {
        match &self.sensors {
            Some(s) if s.is_hot() && !s.battery_is_low() => self.status_interval_s.min(STATUS_INTERVAL_HOT_S),
            _ => self.status_interval_s,
        }
    }

    pub(crate) fn take_sample(&mut self, at: Uptime) {
        let interval_ms = u64::from(self.status_interval_s()) * 1000;
        // From due time to due time, so that three hours make exactly 360 readings; from now when this one came late.
        let steady = self.status_due.plus_ms(interval_ms);
        self.status_due = if steady > at { steady } else { at.plus_ms(interval_ms) };
        let (Some(sensors), Some(lamp)) = (self.sensors.clone(), self.lamp) else { return };
        if self.settings.light_id.is_none() {
            return;
        }
        let seq = self.take_seq(at);
        let undated = self.clock.known(at).is_none();
        self.last_sample = Some((at, sensors.clone()));
        let sample = Sample {
            seq,
            at: UtcMillis::from_seconds(self.clock.guess(at).seconds()),
            uptime_s: (at.0 / 1000) as u32,
            lamp,
            sensors,
            stored: false,
            undated,
        };
        self.readings.push(sample);
        self.live = true;
        if !self.state.is_online() {
            self.store_readings();
        }
    }

    fn take_seq(&mut self, at: Uptime) -> u32 {
        let seq = self.next_seq;
        self.next_seq = seq.wrapping_add(1);
        if seq >= self.settings.seq_reserved {
            self.settings.seq_reserved = seq.saturating_add(SEQ_BLOCK);
            self.persist(at);
        }
        seq
    }

    /// Writes to flash what did not get through.
    fn store_readings(&mut self) {
        let outputs = &mut self.outputs;
        for sample in self.readings.iter_mut().filter(|s| !s.stored) {
            sample.stored = true;
            outputs.push_back(Output::Persist(Change::ReadingStored(Box::new(sample.clone()))));
        }
    }

    pub(crate) fn report_if_due(&mut self, at: Uptime) {
        if self.status.in_flight.is_some() || self.status.not_before > at || self.acks_go_first() {
            return;
        }
        // A sample is about to be taken: it goes first.
        if self.status_due <= at {
            return;
        }
        let Some(light_id) = self.settings.light_id.clone() else { return };
        let device_id = self.config.device_id.to_string();
        let newest = self.readings.newest().filter(|_| self.live).map(|s| (s.seq, s.to_wire(&device_id, &light_id)));
        let (covering, body) = if let Some((seq, status)) = newest {
            self.live = false;
            (vec![seq], serde_json::to_vec(&status))
        } else {
            let batch: Vec<&Sample> = self.readings.iter().take(self.batch_max).collect();
            if batch.is_empty() {
                return;
            }
            let readings = batch.iter().map(|s| s.to_wire(&device_id, &light_id)).collect();
            (batch.iter().map(|s| s.seq).collect(), serde_json::to_vec(&Readings { readings }))
        };
        self.covering = covering;
        self.send(at, Kind::Status, body.unwrap_or_default());
    }

    pub(crate) fn on_status_answer(&mut self, at: Uptime, verdict: Verdict) {
        let covered = std::mem::take(&mut self.covering);
        match verdict {
            Verdict::Done(body) => {
                let response = serde_json::from_slice::<StatusResponse>(&body).ok();
                self.delivered(covered, response.as_ref().and_then(|r| r.duplicate).unwrap_or(0));
                if let Some(response) = response {
                    self.follow(at, response);
                }
                self.contact(at);
            }
            Verdict::Refused { status, error } => {
                let why = error.map_or_else(String::new, |e| format!(" {}: {}", e.code, e.message));
                self.log(format!("status refused with {status}{why}"));
                self.status_refused(at, &covered);
            }
            Verdict::Reconfigure { status } => {
                self.live = true;
                self.store_readings();
                self.reconfigure(at, status);
            }
            Verdict::ServerError { .. } | Verdict::NoAnswer => {
                // The newest reading goes first again: it is the best probe and the most wanted news.
                self.live = true;
                self.store_readings();
                self.lane_failed(at, Kind::Status, &verdict);
            }
        }
    }

    /// Only what the answer covers leaves the ring.
    fn delivered(&mut self, seqs: Vec<u32>, duplicate: u32) {
        (self.refusals, self.batch_max) = (0, (self.batch_max * 2).min(READINGS_PER_BATCH));
        let readings = self.readings.iter().filter(|s| seqs.contains(&s.seq)).map(Sample::receipt).collect();
        if self.readings.remove(&seqs) {
            self.outputs.push_back(Output::Persist(Change::ReadingsGone(seqs)));
        }
        let light_id = self.settings.light_id.clone().unwrap_or_default();
        self.outputs.push_back(Output::Delivered(Delivered { light_id, readings, duplicate }));
    }

    /// 400: once more, then a smaller batch, and at last without the one reading that the server cannot take.
    fn status_refused(&mut self, at: Uptime, covered: &[u32]) {
        self.status.not_before = at.plus_s(5);
        self.refusals += 1;
        if self.refusals < 2 {
            return;
        }
        self.refusals = 0;
        if covered.len() > 1 {
            self.batch_max = covered.len() / 2;
        } else if self.readings.remove(covered) {
            self.outputs.push_back(Output::Persist(Change::ReadingsGone(covered.to_vec())));
        }
    }

    fn follow(&mut self, at: Uptime, response: StatusResponse) {
        self.hear_time(at, response.server_timestamp, true);
        let pace_s = response.next_update_seconds.clamp(STATUS_PACE_S.0, STATUS_PACE_S.1);
        if pace_s != self.status_interval_s {
            self.status_interval_s = pace_s;
            self.status_due = self.status_due.min(at.plus_s(u64::from(pace_s)));
        }
        if let Some(poll_s) = response.next_poll_seconds {
            let soonest = at.plus_s(u64::from(poll_s.clamp(POLL_PACE_S.0, POLL_PACE_S.1)));
            self.poll.not_before = self.poll.not_before.min(soonest);
        }
        if let Some(token) = response.device_token.filter(|t| self.settings.token.as_ref() != Some(t)) {
            self.settings.token = Some(token);
            self.persist(at);
        }
    }

    pub(crate) fn hear_time(&mut self, at: Uptime, server: UtcMillis, proven: bool) {
        if !self.clock.hear_server(at, server, proven) {
            return;
        }
        for sample in self.readings.iter_mut().filter(|s| s.undated) {
            let age_s = (at.0 / 1000) as i64 - i64::from(sample.uptime_s);
            sample.at = UtcMillis::from_seconds(server.seconds() - age_s.max(0));
            sample.undated = false;
        }
    }

    /// An accepted request: the token is good, and the way is open.
    pub(crate) fn contact(&mut self, at: Uptime) {
        self.token_refused = false;
        if self.state == State::Offline {
            self.enter(State::Ready);
            self.show(Led::Green, "Online".into());
            self.status_due = self.status_due.min(at.plus_ms(self.chance.below(1_000)));
            self.status.not_before = self.status_due;
            self.back_online(at);
        }
    }

    /// 500: wait 30 s, at most three times. No answer: 10 s, at most five times. Then offline.
    pub(crate) fn lane_failed(&mut self, at: Uptime, kind: Kind, verdict: &Verdict) {
        let asked_s = match verdict {
            Verdict::ServerError { error } => asked_wait_s(error.as_ref()),
            Verdict::Done(_) | Verdict::Refused { .. } | Verdict::Reconfigure { .. } | Verdict::NoAnswer => None,
        };
        let is_server_error = matches!(verdict, Verdict::ServerError { .. });
        let lane = self.lane(kind);
        let (failures, most, wait_s) = if is_server_error {
            lane.server_errors += 1;
            (lane.server_errors, SERVER_ERROR_RETRIES, asked_s.unwrap_or(u64::from(SERVER_ERROR_WAIT_S)))
        } else {
            lane.no_answers += 1;
            (lane.no_answers, TIMEOUT_RETRIES, u64::from(TIMEOUT_WAIT_S))
        };
        if failures > most && self.state.is_online() {
            self.go_offline(at);
            return;
        }
        let wait_ms = self.chance.stretched(wait_s * 1000, JITTER_PERCENT);
        self.lane(kind).not_before = at.plus_ms(wait_ms);
    }

    fn go_offline(&mut self, at: Uptime) {
        for kind in Kind::ALL {
            let lane = self.lane(kind);
            (lane.no_answers, lane.server_errors) = (0, 0);
        }
        self.enter(State::Offline);
        self.show(Led::Yellow, "No connection; readings are kept".into());
        self.store_readings();
        self.backoff_step = 0;
        self.poll.not_before = at.plus_ms(self.backoff_ms());
    }
}
