//! CONFIGURING: at every power-up, and whenever the server does not know the device or its token. Three tries five minutes
//! apart with the document's local message, then for ever with full jitter between five minutes and an hour.
use ccms_core::limits::{CONFIGURE_ATTEMPTS, CONFIGURE_RETRY_S};
use ccms_core::reading::PowerState;
use ccms_core::wire::configure::{ConfigureRequest, ConfigureResponse};

use crate::clock::Uptime;
use crate::config::{CONFIGURE_WAIT_MAX_S, JITTER_PERCENT};
use crate::device::Device;
use crate::exchange::Led;
use crate::request::{Kind, Verdict, asked_wait_s};
use crate::state::State;

impl Device {
    pub(crate) fn configure_if_due(&mut self, at: Uptime) {
        if self.configure.in_flight.is_some() || self.configure.not_before > at {
            return;
        }
        let c = &self.config;
        let request = ConfigureRequest {
            device_id: Some(c.device_id.to_string()),
            device_type: Some(c.device_type.clone()),
            name: Some(c.name.clone()),
            city: Some(c.city.clone()),
            latitude: Some(c.latitude),
            longitude: Some(c.longitude),
            address: Some(c.address.clone()),
            status: Some(self.lamp.map_or(PowerState::On, |l| l.power).as_str().to_owned()),
            battery_backup_hours: Some(f64::from(c.battery_backup_hours)),
            gsm_imei: c.device_id.imei().map(str::to_owned),
            gsm_signal_strength: self.sensors.as_ref().map(|s| f64::from(s.signal_percent)),
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
        match verdict {
            Verdict::Done(body) => match serde_json::from_slice::<ConfigureResponse>(&body) {
                Ok(response) => self.adopt(at, response),
                Err(_) => self.configure_failed(at, "the server's answer is unreadable", None),
            },
            Verdict::Refused { error, status } => {
                let message =
                    error.as_ref().map_or_else(|| format!("the server answered {status}"), |e| e.message.clone());
                self.configure_failed(at, &message, asked_wait_s(error.as_ref()));
            }
            Verdict::ServerError { error } => {
                let message = error.as_ref().map_or("server error", |e| e.message.as_str());
                self.configure_failed(at, message, asked_wait_s(error.as_ref()));
            }
            Verdict::Reconfigure { status: 401 } => self.configure_failed(at, "not authorised", None),
            Verdict::Reconfigure { .. } => self.configure_failed(at, "device not registered", None),
            Verdict::NoAnswer => self.configure_failed(at, "no answer from the server", None),
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
        let has_credentials = fresh.is_some() || (self.settings.token.is_some() && !self.token_refused);
        if fresh.is_some() {
            self.settings.token = fresh;
            self.token_refused = false;
        }
        self.persist(at);
        if !has_credentials {
            let message = "this device is claimed and its token is lost; an operator must allow it to be claimed again";
            self.configure_failed(at, message, None);
            return;
        }
        self.configure_attempts = 0;
        self.enter(State::Ready);
        self.show(Led::Green, "Configured".into());
        self.status_due = at;
        // A city powers up in one minute: spread what follows.
        let spread_ms = u64::from(self.poll_interval_s()) * 1000;
        self.poll.not_before = at.plus_ms(self.chance.below(spread_ms));
        self.status.not_before = at;
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
        self.configure.not_before = at.plus_ms(wait_ms);
        let text = if self.configure_attempts < CONFIGURE_ATTEMPTS {
            format!("Configuration Failed: {message}. Retrying in {}...", spoken(wait_ms))
        } else {
            format!("Configuration Failed: {message}. Needs a technician; still retrying")
        };
        self.log(text.clone());
        self.show(Led::Red, text);
    }

    /// The server answered 401 or 404. At once after a time of success; on the ladder when configure did not cure it.
    pub(crate) fn reconfigure(&mut self, at: Uptime, status: u16) {
        // Poll and status may both have been refused: one configure cures both.
        if self.state == State::Configuring {
            return;
        }
        self.log(format!("{status}: configuring again"));
        let cured_before = !self.token_refused;
        self.token_refused = true;
        self.enter(State::Configuring);
        let wait_ms = if cured_before {
            self.chance.below(2_000)
        } else {
            self.chance.stretched(u64::from(CONFIGURE_RETRY_S) * 1000, JITTER_PERCENT)
        };
        self.configure.not_before = at.plus_ms(wait_ms);
    }
}

fn spoken(wait_ms: u64) -> String {
    match (wait_ms + 30_000) / 60_000 {
        0 => format!("{} seconds", wait_ms / 1000),
        1 => "1 minute".into(),
        n => format!("{n} minutes"),
    }
}
