//! CONFIGURING (§1): at every power-up, and whenever the server does not know the device or its token. Three tries five
//! minutes apart with the document's local message, then for ever with full jitter between five minutes and an hour. A device
//! that runs asks again once a day, without leaving its state: sunset moves, and so does the legal time.
use ccms_core::limits::{CONFIGURE_ATTEMPTS, CONFIGURE_RETRY_S};
use ccms_core::reading::PowerState;
use ccms_core::wire::configure::{ConfigureRequest, ConfigureResponse};
use serde_json::Value;

use crate::answer::{Verdict, asked_wait_s};
use crate::clock::Uptime;
use crate::config::{CONFIGURE_REFRESH_RETRY_S, CONFIGURE_WAIT_MAX_S, JITTER_PERCENT};
use crate::device::Device;
use crate::exchange::Led;
use crate::logbook::Level;
use crate::reading::Quantity;
use crate::request::Kind;
use crate::state::State;

/// Configured again after a 401 or 404 within this: a short spread, since a fault of the server would send everybody.
const CURE_SPREAD_MS: u64 = 2_000;

impl Device {
    /// After INITIALIZING.
    pub(crate) fn begin(&mut self, at: Uptime) {
        self.lane_mut(Kind::Configure).not_before = at;
        if self.settings.maintenance.is_some() {
            self.enter(State::Maintenance);
            self.show_maintenance();
        } else {
            self.enter(State::Configuring);
        }
    }

    pub(crate) fn send_configure(&mut self, at: Uptime) {
        let c = &self.config;
        let failing = self.sensors.as_ref().is_some_and(|s| s.critical);
        let power = self.lamp.map_or(PowerState::On, |l| l.power).as_str();
        let request = ConfigureRequest {
            device_id: Some(c.device_id.to_string()),
            device_type: Some(c.device_type.clone()),
            name: Some(c.name.clone()),
            city: Some(c.city.clone()),
            latitude: Some(c.latitude),
            longitude: Some(c.longitude),
            address: Some(c.address.clone()),
            status: Some(if failing { "error" } else { power }.to_owned()),
            battery_backup_hours: Some(f64::from(c.battery_backup_hours)),
            gsm_imei: c.device_id.imei().map(str::to_owned),
            gsm_signal_strength: self
                .sensors
                .as_ref()
                .filter(|s| s.measures(Quantity::Signal))
                .map(|s| f64::from(s.signal_percent)),
            communication_type: Some(c.communication_type.clone()),
            firmware_version: Some(c.firmware_version.clone()),
            timestamp: Some(self.clock.guess(at)),
            ..ConfigureRequest::default()
        };
        // Strings and finite numbers always become JSON; an empty body would only cost a 400.
        let body = serde_json::to_vec(&request).unwrap_or_default();
        self.send(at, Kind::Configure, body);
    }

    pub(crate) fn on_configured(&mut self, at: Uptime, verdict: Verdict) {
        let (message, asked_s) = match verdict {
            Verdict::Done(answer) => match serde_json::from_value::<ConfigureResponse>(Value::Object(answer.0)) {
                Ok(response) => return self.adopt(at, response),
                Err(_) => ("the server's answer is unreadable".to_owned(), None),
            },
            Verdict::Refused { error, status } => {
                let asked_s = asked_wait_s(error.as_ref());
                (error.map_or_else(|| format!("the server answered {status}"), |e| e.message), asked_s)
            }
            Verdict::ServerError { error } => {
                let asked_s = asked_wait_s(error.as_ref());
                (error.map_or_else(|| "server error".into(), |e| e.message), asked_s)
            }
            Verdict::Reconfigure { status: 401 } => ("not authorised".into(), None),
            Verdict::Reconfigure { .. } => ("device not registered".into(), None),
            Verdict::NoAnswer => ("no answer from the server".into(), None),
            Verdict::Unreadable => ("the server's answer is unreadable".into(), None),
        };
        if self.registered {
            // Nothing depends on a refresh at once.
            let wait_ms = self.chance.stretched(CONFIGURE_REFRESH_RETRY_S * 1000, JITTER_PERCENT);
            self.configure_again = at.plus_ms(wait_ms);
            self.log(at, Level::Warning, format!("settings were not refreshed: {message}"));
        } else {
            self.configure_failed(at, &message, asked_s);
        }
    }

    fn adopt(&mut self, at: Uptime, response: ConfigureResponse) {
        let fresh = response.device_token.or_else(|| response.config.device_token.clone());
        let proven = fresh.is_some() && self.settings.token.is_some() && !self.token_refused;
        self.hear_time(at, response.server_timestamp, proven);
        let mut config = response.config;
        // The token has one home, so that an old copy cannot come back.
        config.device_token = None;
        self.settings.config = Some(config);
        self.settings.light_id = Some(response.light_id);
        if fresh.is_some() {
            self.settings.token = fresh;
            self.settings.token_expires_at = response.token_expires_at;
            self.settings.device_secret = response.device_secret.or(self.settings.device_secret.take());
            self.token_refused = false;
        }
        self.persist(at);
        if self.settings.token.is_none() || self.token_refused {
            let message = "this device is claimed and its token is lost; an operator must allow it to be claimed again";
            self.configure_failed(at, message, None);
            return;
        }
        self.configure_attempts = 0;
        self.configure_again = self.next_refresh(at);
        if self.registered {
            self.contact(at);
        } else {
            self.go_ready(at);
        }
        self.report_firmware(at);
    }

    fn go_ready(&mut self, at: Uptime) {
        (self.registered, self.store_at_once) = (true, false);
        for lane in &mut self.lanes {
            (lane.no_answers, lane.server_errors) = (0, 0);
        }
        self.enter(self.home());
        match self.state {
            State::Maintenance => self.show_maintenance(),
            _ => self.show(self.led(), "Configured".into()),
        }
        self.status_due = at;
        // A city powers up in one minute: spread what follows.
        let spread_ms = u64::from(self.poll_interval_s()) * 1000;
        self.lane_mut(Kind::Commands).not_before = at.plus_ms(self.chance.below(spread_ms));
        self.lane_mut(Kind::Status).not_before = at;
        self.back_online(at);
    }

    fn configure_failed(&mut self, at: Uptime, message: &str, asked_s: Option<u64>) {
        self.configure_attempts = self.configure_attempts.saturating_add(1);
        let base_s = u64::from(CONFIGURE_RETRY_S);
        let wait_ms = if self.configure_attempts < CONFIGURE_ATTEMPTS {
            self.chance.stretched(asked_s.unwrap_or(base_s) * 1000, JITTER_PERCENT)
        } else {
            let over = (self.configure_attempts - CONFIGURE_ATTEMPTS + 1).min(8);
            let most_s = (base_s << over).min(CONFIGURE_WAIT_MAX_S).max(asked_s.unwrap_or(0));
            let least_s = asked_s.unwrap_or(base_s);
            least_s * 1000 + self.chance.below(most_s.saturating_sub(least_s) * 1000 + 1)
        };
        self.lane_mut(Kind::Configure).not_before = at.plus_ms(wait_ms);
        let text = if self.configure_attempts < CONFIGURE_ATTEMPTS {
            format!("Configuration Failed: {message}. Retrying in {}...", spoken(wait_ms))
        } else {
            format!("Configuration Failed: {message}. Needs a technician; still retrying")
        };
        self.log(at, Level::Error, text.clone());
        self.show(Led::Red, text);
    }

    /// The server answered 401 or 404. At once after a time of success; on the ladder when configure did not cure it.
    pub(crate) fn reconfigure(&mut self, at: Uptime, status: u16) {
        // Poll and status may both have been refused: one configure cures both.
        if !self.registered {
            return;
        }
        self.log(at, Level::Warning, format!("{status}: configuring again"));
        // Configured a moment ago and refused at once: more of the same would go round in circles.
        let cured_before = std::mem::take(&mut self.accepted);
        (self.token_refused, self.registered, self.store_at_once) = (true, false, true);
        self.store_readings();
        if self.state != State::Maintenance {
            self.enter(State::Configuring);
        }
        let wait_ms = if cured_before {
            self.chance.below(CURE_SPREAD_MS)
        } else {
            self.chance.stretched(u64::from(CONFIGURE_RETRY_S) * 1000, JITTER_PERCENT)
        };
        self.lane_mut(Kind::Configure).not_before = at.plus_ms(wait_ms);
    }
}

fn spoken(wait_ms: u64) -> String {
    match (wait_ms + 30_000) / 60_000 {
        0 => format!("{} seconds", wait_ms / 1000),
        1 => "1 minute".into(),
        n => format!("{n} minutes"),
    }
}
