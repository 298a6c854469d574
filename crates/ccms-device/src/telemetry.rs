//! Reporting (§2): every 30 s, every 10 s while hot, at the server's pace, and at once when something changes. Every sample
//! goes through the ring and leaves it only when a 200 covered it. On a low battery the change is told at once and the rest
//! at the server's pace: the document asks for 10 s there and for saving power in the same breath.
use ccms_core::limits::STATUS_INTERVAL_HOT_S;
use ccms_core::time::UtcMillis;

use crate::answer::{Answer, Verdict};
use crate::clock::{STEP_MS, Step, Uptime};
use crate::config::{CHANGE_GAP_MS, ONE_BY_ONE_GAP_MS, POLL_PACE_S, REFUSED_WAIT_S, SEQ_BLOCK, STATUS_PACE_S};
use crate::device::{Covering, Device};
use crate::exchange::{Delivered, Led, Output};
use crate::logbook::Level;
use crate::reading::{Sample, Sensors};
use crate::request::Kind;
use crate::saved::Change;
use crate::state::State;

impl Device {
    pub(crate) fn on_sensors(&mut self, at: Uptime, sensors: Sensors) {
        if self.last_sample.as_ref().is_some_and(|(_, last)| sensors.differs_notably(last)) {
            self.report_soon(at);
        }
        self.watch_sensors(at, &sensors);
        let (failing, flags) = (sensors.critical, sensors.error_flags.join(", "));
        self.sensors = Some(sensors);
        match (self.state, failing) {
            (State::Ready, true) => {
                self.enter(State::Error);
                self.show(Led::Red, format!("Critical failure: {flags}"));
                self.log(at, Level::Error, format!("critical failure: {flags}"));
                // The technician's details go out at once.
                self.logs_due = at;
            }
            (State::Error, false) => {
                self.enter(State::Ready);
                self.show(Led::Green, "Recovered".into());
                self.log(at, Level::Info, "recovered".into());
            }
            _ => {}
        }
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
        let pushed_out = self.readings.push(sample);
        self.live = true;
        if self.store_at_once {
            // Flash pushes out the same one.
            self.store_readings();
        } else if let Some(oldest) = pushed_out.filter(|s| s.stored) {
            self.outputs.push_back(Output::Persist(Change::ReadingsGone(vec![oldest.seq])));
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
    pub(crate) fn store_readings(&mut self) {
        let outputs = &mut self.outputs;
        for sample in self.readings.iter_mut().filter(|s| !s.stored) {
            sample.stored = true;
            outputs.push_back(Output::Persist(Change::ReadingStored(Box::new(sample.clone()))));
        }
    }

    /// One reading: the newest while it is news, else the oldest.
    pub(crate) fn send_status(&mut self, at: Uptime) {
        let sample = if self.live { self.readings.newest() } else { self.readings.get(0) };
        let (Some(sample), Some(light_id)) = (sample, &self.settings.light_id) else { return };
        let covering = Covering { readings: vec![sample.seq], ..Covering::default() };
        let body = serde_json::to_vec(&sample.to_wire(self.config.device_id.as_str(), light_id)).unwrap_or_default();
        (self.covering, self.live) = (covering, false);
        self.send(at, Kind::Status, body);
    }

    pub(crate) fn on_status_answer(&mut self, at: Uptime, verdict: Verdict) {
        let covered = std::mem::take(&mut self.covering);
        match verdict {
            Verdict::Done(answer) => {
                self.delivered(&covered.readings, answer.number("duplicate"));
                self.reported(at);
                self.follow(at, &answer);
                self.contact(at);
            }
            Verdict::Refused { status, error } => {
                let why = error.map_or_else(String::new, |e| format!(" {}: {}", e.code, e.message));
                self.log(at, Level::Warning, format!("status refused with {status}{why}"));
                if self.is_refused_again(at, Kind::Status) {
                    self.drop_readings(&covered.readings);
                }
                self.refused_offline(at, Kind::Status);
            }
            Verdict::Reconfigure { status } => {
                self.live = true;
                self.reconfigure(at, status);
            }
            Verdict::ServerError { .. } | Verdict::NoAnswer | Verdict::Unreadable => {
                self.report_failed(at, Kind::Status, &verdict)
            }
        }
    }

    /// The newest reading goes first again: it is the best probe and the most wanted news.
    pub(crate) fn report_failed(&mut self, at: Uptime, kind: Kind, verdict: &Verdict) {
        (self.live, self.store_at_once) = (true, true);
        self.store_readings();
        self.lane_failed(at, kind, verdict);
    }

    /// 400: once more. True when it was the second one.
    pub(crate) fn is_refused_again(&mut self, at: Uptime, kind: Kind) -> bool {
        let lane = self.lane_mut(kind);
        lane.not_before = at.plus_s(REFUSED_WAIT_S);
        lane.refusals += 1;
        let again = lane.refusals > 1;
        if again {
            lane.refusals = 0;
        }
        again
    }

    /// A report that was the probe and is refused keeps the back-off like any other.
    pub(crate) fn refused_offline(&mut self, at: Uptime, kind: Kind) {
        if self.state == State::Offline {
            self.lane_failed(at, kind, &Verdict::NoAnswer);
        }
    }

    /// A report was accepted.
    pub(crate) fn reported(&mut self, at: Uptime) {
        (self.resync, self.store_at_once, self.backoff_step) = (false, false, 0);
        if self.one_by_one {
            self.one_by_one = self.readings.len() > 1;
            self.lane_mut(Kind::Status).not_before = at.plus_ms(ONE_BY_ONE_GAP_MS);
        }
    }

    /// Only what the answer covers leaves the ring.
    pub(crate) fn delivered(&mut self, seqs: &[u32], duplicate: Option<u32>) {
        let readings = self.readings.iter().filter(|s| seqs.contains(&s.seq)).map(Sample::receipt).collect();
        self.drop_readings(seqs);
        let light_id = self.settings.light_id.clone().unwrap_or_default();
        let duplicate = duplicate.unwrap_or(0);
        self.outputs.push_back(Output::Delivered(Delivered { light_id, readings, duplicate }));
    }

    pub(crate) fn drop_readings(&mut self, seqs: &[u32]) {
        if self.readings.remove(seqs) {
            self.outputs.push_back(Output::Persist(Change::ReadingsGone(seqs.to_vec())));
        }
    }

    /// What the server adds to an accepted report: its time, its pace, and in time a fresh token.
    pub(crate) fn follow(&mut self, at: Uptime, answer: &Answer) {
        if let Some(server) = answer.instant("server_timestamp") {
            self.hear_time(at, server, true);
        }
        if let Some(pace_s) = answer.number("next_update_seconds") {
            let pace_s = pace_s.clamp(STATUS_PACE_S.0, STATUS_PACE_S.1);
            if pace_s != self.status_interval_s {
                self.status_interval_s = pace_s;
                self.status_due = self.status_due.min(at.plus_s(u64::from(pace_s)));
            }
        }
        if let Some(poll_s) = answer.number("next_poll_seconds") {
            let soonest = at.plus_s(u64::from(poll_s.clamp(POLL_PACE_S.0, POLL_PACE_S.1)));
            let polls = self.lane_mut(Kind::Commands);
            polls.not_before = polls.not_before.min(soonest);
        }
        if let Some(token) = answer.text("device_token").filter(|t| self.settings.token.as_deref() != Some(t)) {
            self.settings.token = Some(token.to_owned());
            self.settings.token_expires_at = answer.instant("token_expires_at");
            self.persist(at);
        }
    }

    pub(crate) fn hear_time(&mut self, at: Uptime, server: UtcMillis, proven: bool) {
        if let Some(step) = self.clock.hear_server(at, server, proven) {
            self.clock_stepped(at, step);
        }
    }

    pub(crate) fn clock_stepped(&mut self, at: Uptime, step: Step) {
        let put_right_ms = match step {
            Step::Learnt { late_s } => {
                self.date_again(late_s);
                // What was stored is later than now: it was stored under a clock that was ahead by as much or more.
                (late_s * 1000).min(0)
            }
            Step::PutRight { ms } => ms,
        };
        // In flash too, or a power cut would bring back ends of a time that never was.
        if put_right_ms.abs() >= STEP_MS && self.settings.manual.shift(put_right_ms) {
            self.persist(at);
        }
    }

    /// The time is known at last: what was dated in this boot is dated again, in flash too, before any of it is sent. The
    /// same reading must not come under two times, or it would count twice.
    pub(crate) fn date_again(&mut self, late_s: i64) {
        let mut in_flash = Vec::new();
        for sample in self.readings.iter_mut().filter(|s| s.undated) {
            sample.at = sample.at.plus_seconds(late_s);
            sample.undated = false;
            if sample.stored {
                in_flash.push(sample.seq);
            }
        }
        if !in_flash.is_empty() {
            self.outputs.push_back(Output::Persist(Change::ReadingsShifted { seqs: in_flash, seconds: late_s }));
        }
        self.date_alerts_again(late_s);
        self.logbook.shift(late_s);
    }
}
