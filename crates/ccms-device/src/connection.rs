//! Whether the server is there (§3, §6): the failures that lead to OFFLINE, the back-off there, and the way back.
use ccms_core::limits::{
    POLL_INTERVAL_LOW_BATTERY_S, POLL_INTERVAL_S, SERVER_ERROR_RETRIES, SERVER_ERROR_WAIT_S, TIMEOUT_RETRIES,
    TIMEOUT_WAIT_S,
};

use crate::answer::{Verdict, asked_wait_s};
use crate::clock::Uptime;
use crate::config::JITTER_PERCENT;
use crate::device::Device;
use crate::exchange::Led;
use crate::logbook::Level;
use crate::request::Kind;
use crate::state::State;

/// The first sample after an outage is spread over this.
const BACK_SPREAD_MS: u64 = 1_000;

impl Device {
    pub(crate) fn poll_interval_s(&self) -> u32 {
        match &self.sensors {
            Some(s) if s.battery_is_low() => POLL_INTERVAL_LOW_BATTERY_S,
            _ => POLL_INTERVAL_S,
        }
    }

    /// Past its end a token is good for reports and configure only; a report's answer brings a new one.
    pub(crate) fn token_is_over(&self) -> bool {
        let now = self.clock.known_now();
        self.settings.token_expires_at.zip(now).is_some_and(|(end, now)| now >= end)
    }

    /// An accepted request: the token is good, and the way is open.
    pub(crate) fn contact(&mut self, at: Uptime) {
        (self.token_refused, self.accepted) = (false, true);
        if self.state == State::Offline {
            self.enter(self.home());
            self.show(self.led(), "Online".into());
            self.log(at, Level::Info, "online".into());
            self.status_due = self.status_due.min(at.plus_ms(self.chance.below(BACK_SPREAD_MS)));
            self.lane_mut(Kind::Status).not_before = self.status_due;
            self.back_online(at);
        }
    }

    /// The light that goes with the state.
    pub(crate) fn led(&self) -> Led {
        match self.state {
            State::Ready => Led::Green,
            State::Offline | State::Maintenance => Led::Yellow,
            State::Configuring | State::Error => Led::Red,
            State::PowerOn | State::Initializing | State::PowerOff => Led::Off,
        }
    }

    /// The server answers again: what piled up is due at once.
    pub(crate) fn back_online(&mut self, at: Uptime) {
        (self.backoff_step, self.resync, self.one_by_one) = (0, true, false);
        self.lane_mut(Kind::CommandAck).not_before = at;
        self.lane_mut(Kind::Alert).not_before = at;
        self.acks.revive(at, |_| true);
        self.alerts.revive(at, |_| true);
    }

    /// 500: wait 30 s, at most three times. No answer: 10 s, at most five times. Then offline, and the back-off of polls.
    pub(crate) fn lane_failed(&mut self, at: Uptime, kind: Kind, verdict: &Verdict) {
        if self.state == State::Offline {
            // What was under way when the connection was given up is no probe.
            if self.is_probe(kind) {
                self.backoff_step += 1;
                let wait_ms = self.backoff_ms();
                self.lane_mut(Kind::Commands).not_before = at.plus_ms(wait_ms);
            }
            return;
        }
        let (is_server_error, asked_s) = match verdict {
            Verdict::ServerError { error } => (true, asked_wait_s(error.as_ref())),
            Verdict::Done(_)
            | Verdict::Refused { .. }
            | Verdict::Reconfigure { .. }
            | Verdict::NoAnswer
            | Verdict::Unreadable => (false, None),
        };
        let lane = self.lane_mut(kind);
        let (failures, most, wait_s) = if is_server_error {
            lane.server_errors += 1;
            (lane.server_errors, SERVER_ERROR_RETRIES, asked_s.unwrap_or(u64::from(SERVER_ERROR_WAIT_S)))
        } else {
            lane.no_answers += 1;
            (lane.no_answers, TIMEOUT_RETRIES, u64::from(TIMEOUT_WAIT_S))
        };
        if failures <= most {
            let wait_ms = self.chance.stretched(wait_s * 1000, JITTER_PERCENT);
            self.lane_mut(kind).not_before = at.plus_ms(wait_ms);
            return;
        }
        match self.state {
            State::Ready | State::Error => self.go_offline(at),
            // The lock outlives the connection; the back-off is kept all the same.
            State::Maintenance => {
                let wait_ms = self.backoff_ms();
                self.backoff_step += 1;
                self.lane_mut(kind).not_before = at.plus_ms(wait_ms);
                self.resync = true;
            }
            // Configuring has waits of its own, and sends nothing else.
            State::Configuring | State::Offline | State::PowerOn | State::Initializing | State::PowerOff => {}
        }
    }

    fn go_offline(&mut self, at: Uptime) {
        for lane in &mut self.lanes {
            (lane.no_answers, lane.server_errors) = (0, 0);
        }
        self.enter(State::Offline);
        self.show(Led::Yellow, "No connection; readings are kept".into());
        self.log(at, Level::Warning, "no connection".into());
        self.store_at_once = true;
        self.store_readings();
        self.backoff_step = 0;
        let wait_ms = self.backoff_ms();
        self.lane_mut(Kind::Commands).not_before = at.plus_ms(wait_ms);
    }
}
