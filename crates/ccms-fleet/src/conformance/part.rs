//! The server's part: who the device is, which tokens it has, what it is told, and how it is treated. Answers are those of the
//! contract, additions included, so that a device meets here what it will meet in a city.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ccms_core::limits::{
    BATTERY_LOW_PERCENT, POLL_INTERVAL_LOW_BATTERY_S, POLL_INTERVAL_S, POLL_INTERVAL_URGENT_S,
    STATUS_INTERVAL_LOW_BATTERY_S, STATUS_INTERVAL_S, TOKEN_LIFE_S,
};
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_core::wire::envelope::{ErrorCode, ErrorEnvelope};
use ccms_device::{Key, Kind};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::call::{Call, Got, Heard, Reaction};
use super::fault::{Fault, How};
use super::orders::{Order, Orders};

/// Which half of the day the schedule makes of now: an hour of it is over, eleven are to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    Night,
    Day,
}

/// The light's name, given by the server.
pub const LIGHT_ID: &str = "SL001";
/// Brightness while lit, as configure says it.
pub const BRIGHTNESS_PERCENT: u8 = 80;

#[derive(Debug)]
pub struct Part {
    start: UtcMillis,
    /// How wrong the server's clock is told, in seconds.
    pub jump_s: i64,
    /// Told once instead of the time.
    pub wrong_time: Option<UtcMillis>,
    pub device_id: Option<String>,
    pub half: Half,
    pub orders: Orders,
    faults: Vec<Fault>,
    tokens: Vec<String>,
    /// Tokens before this one are void.
    valid_from: usize,
    /// Answered 404 until it configures.
    pub forgotten: bool,
    /// The next status brings a fresh token.
    pub refresh: bool,
    secret: String,
    battery_is_low: bool,
}

impl Part {
    /// `device_id`: the only one that is spoken to; the first that configures if `None`.
    pub fn new(start: UtcMillis, device_id: Option<String>) -> Self {
        let secret = Sha256::digest(format!("a secret for {}", start.0)).iter().map(|b| format!("{b:02x}")).collect();
        Self {
            start,
            jump_s: 0,
            wrong_time: None,
            device_id,
            half: Half::Night,
            orders: Orders::default(),
            faults: Vec::new(),
            tokens: Vec::new(),
            valid_from: 0,
            forgotten: false,
            refresh: false,
            secret,
            battery_is_low: false,
        }
    }

    /// What the server says the time is.
    pub fn utc(&self, now_ms: u64) -> UtcMillis {
        UtcMillis(self.start.0 + now_ms as i64).plus_seconds(self.jump_s)
    }

    /// The token that the device should use, once it was told one.
    pub fn token(&self) -> Option<&str> {
        self.tokens.last().map(String::as_str)
    }

    /// Whether this token was ever given out here.
    pub fn knows(&self, token: &str) -> bool {
        self.tokens.iter().any(|t| t == token)
    }

    /// Whether this token is one that the server takes.
    pub fn is_valid(&self, token: &str) -> bool {
        self.tokens[self.valid_from..].iter().any(|t| t == token)
    }

    pub fn order(&mut self, now_ms: u64, order: Order) {
        let now = self.utc(now_ms);
        self.orders.give(now, order);
    }

    /// A schedule under which now is such a half of the day, as a command.
    pub fn order_schedule(&mut self, now_ms: u64, name: &'static str, half: Half) {
        self.half = half;
        let (sunrise, sunset) = self.sun(now_ms);
        let schedule = json!({"enabled": true, "sunrise_time": sunrise, "sunset_time": sunset});
        self.order(now_ms, Order::new(name, json!({"command_type": "schedule_update", "schedule": schedule})));
    }

    pub fn misbehave(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// No faults, no commands, the right time.
    pub fn be_fair(&mut self) {
        self.faults.clear();
        self.orders.drop_all();
        self.jump_s = 0;
        self.wrong_time = None;
    }

    /// No faults; the rest stays.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// All tokens so far are void.
    pub fn revoke(&mut self) {
        self.valid_from = self.tokens.len();
    }

    /// What a call of the device gets.
    pub fn hear(&mut self, now_ms: u64, heard: &Heard) -> (Call, Reaction) {
        let mut call = Call::of(now_ms, heard, &Key::of_secret(&self.secret));
        let how = self.faults.iter_mut().find_map(|f| f.strikes(&call).then_some(f.how));
        let (got, reaction) = match how {
            Some(How::Silence) => (Got::Silence, Reaction::Silence),
            Some(How::Refuse(code, wait_s)) => refuse(code, "this is part of the examination", wait_s),
            None | Some(How::Lose | How::Late(_) | How::Twice) => match self.take(now_ms, &mut call) {
                Err(code) => refuse(code, "the server does not take this", 0),
                Ok(body) => {
                    let after_ms = if let Some(How::Late(s)) = how { u64::from(s) * 1000 } else { 0 };
                    let twice = how == Some(How::Twice);
                    let body = body.to_string().into_bytes();
                    match how {
                        Some(How::Lose) => (Got::Lost, Reaction::HangUp),
                        Some(How::Late(_)) => (Got::Late(after_ms), answer(body, after_ms, false)),
                        _ => (Got::Accepted, answer(body, 0, twice)),
                    }
                }
            },
        };
        call.got = got;
        (call, reaction)
    }

    /// Takes in what a call says, as a server would, and makes the answer.
    fn take(&mut self, now_ms: u64, call: &mut Call) -> Result<Value, ErrorCode> {
        let kind = call.kind.ok_or(ErrorCode::UnknownPath)?;
        match &self.device_id {
            Some(ours) if *ours != call.path_id => return Err(ErrorCode::DeviceMismatch),
            None if kind != Kind::Configure => return Err(ErrorCode::NotRegistered),
            Some(_) | None => {}
        }
        if call.said.unreadable {
            return Err(ErrorCode::BadRequest);
        }
        if kind != Kind::Configure {
            self.admit(kind, call.bearer.as_deref())?;
        }
        for ack in &call.said.acks {
            self.orders.acknowledged(now_ms, &ack.command_id, &ack.status);
        }
        if let Some(battery) = call.said.readings.first().and_then(|r| r.battery) {
            self.battery_is_low = battery < f64::from(BATTERY_LOW_PERCENT);
        }
        if kind == Kind::Configure {
            self.device_id = Some(call.path_id.clone());
            self.forgotten = false;
        }
        Ok(self.answer(now_ms, kind, call))
    }

    fn admit(&mut self, kind: Kind, bearer: Option<&str>) -> Result<(), ErrorCode> {
        if self.forgotten {
            return Err(ErrorCode::NotRegistered);
        }
        match bearer {
            // An acknowledgement without a token is believed when a status agrees; the document shows it without one.
            None if kind == Kind::CommandAck => Ok(()),
            Some(token) if self.is_valid(token) => Ok(()),
            Some(_) | None => Err(ErrorCode::Unauthorized),
        }
    }

    fn answer(&mut self, now_ms: u64, kind: Kind, call: &mut Call) -> Value {
        let at = self.wrong_time.take().unwrap_or_else(|| self.utc(now_ms)).to_string();
        let said = &call.said;
        let mut body = json!({"status": "success", "message": "Recorded", "server_timestamp": at});
        let add = match kind {
            Kind::Configure => self.configured(now_ms),
            Kind::Status if said.past > 0 => json!({"stored": said.readings.len(), "duplicate": 0, "quarantined": 0}),
            Kind::Sync => {
                json!({"stored": said.readings.len(), "duplicate": 0, "quarantined": 0, "acks": said.acks.len(),
                                 "alerts": said.alerts, "logs": said.logs})
            }
            Kind::Commands => {
                let (names, commands) = self.orders.hand_out(now_ms, self.utc(now_ms));
                call.handed = names;
                json!({"status": "ok", "commands": commands, "next_poll_seconds": self.poll_s()})
            }
            Kind::Health => {
                json!({"status": "ok", "device_id": call.path_id, "light_ids": [LIGHT_ID], "indicator": "green",
                                   "last_status_at": null, "pending_commands": self.orders.alive(),
                                   "next_update_seconds": self.update_s(), "next_poll_seconds": self.poll_s()})
            }
            Kind::Firmware => json!({"update": null}),
            Kind::Logs => json!({"stored": said.logs}),
            Kind::Status | Kind::CommandAck | Kind::Alert => json!({}),
        };
        merge(&mut body, add);
        if matches!(kind, Kind::Status | Kind::Sync) {
            merge(&mut body, json!({"next_update_seconds": self.update_s(), "next_poll_seconds": self.poll_s()}));
            if std::mem::take(&mut self.refresh) {
                let token = self.issue(now_ms);
                merge(&mut body, token);
            }
        }
        body
    }

    fn configured(&mut self, now_ms: u64) -> Value {
        let (sunrise, sunset) = self.sun(now_ms);
        let mut body = json!({
            "message": "Device configured successfully", "light_id": LIGHT_ID, "device_secret": self.secret,
            "config": {"schedule_enabled": true, "sunrise_time": sunrise, "sunset_time": sunset,
                       "brightness_level": BRIGHTNESS_PERCENT, "auto_dimming": true, "timezone": "UTC",
                       "utc_offset_minutes": 0, "light_id": LIGHT_ID},
        });
        let token = self.issue(now_ms);
        body["config"]["device_token"] = token["device_token"].clone();
        merge(&mut body, token);
        body
    }

    /// A fresh token. It looks like the one of a server, and so does its length; its signature is nobody's.
    fn issue(&mut self, now_ms: u64) -> Value {
        let (now, number) = (self.utc(now_ms), self.tokens.len());
        let end = now.plus_seconds(TOKEN_LIFE_S);
        let claims = json!({"sub": self.device_id, "iat": now.seconds(), "exp": end.seconds(), "jti": number});
        let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let sum = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{signed} {}", self.secret)));
        let token = format!("{signed}.{sum}");
        self.tokens.push(token.clone());
        json!({"device_token": token, "token_expires_at": end.to_string()})
    }

    /// Sunrise and sunset around now, in UTC.
    fn sun(&self, now_ms: u64) -> (String, String) {
        let edge = |hours: i64| {
            let at = TimeOfDay::at(self.utc(now_ms).plus_seconds(hours * 3_600), 0).seconds();
            format!("{:02}:{:02}:{:02}", at / 3_600, at / 60 % 60, at % 60)
        };
        match self.half {
            Half::Night => (edge(11), edge(-1)),
            Half::Day => (edge(-1), edge(11)),
        }
    }

    fn poll_s(&self) -> u32 {
        match () {
            () if self.orders.are_urgent() => POLL_INTERVAL_URGENT_S,
            () if self.battery_is_low => POLL_INTERVAL_LOW_BATTERY_S,
            () => POLL_INTERVAL_S,
        }
    }

    fn update_s(&self) -> u32 {
        if self.battery_is_low { STATUS_INTERVAL_LOW_BATTERY_S } else { STATUS_INTERVAL_S }
    }
}

fn answer(body: Vec<u8>, after_ms: u64, twice: bool) -> Reaction {
    Reaction::Answer { status: 200, body, after_ms, twice }
}

fn refuse(code: ErrorCode, message: &str, wait_s: u32) -> (Got, Reaction) {
    let status = code.http_status();
    let envelope = ErrorEnvelope::new(code, message, wait_s);
    let body = serde_json::to_vec(&envelope).unwrap_or_default();
    (Got::Refused(status), Reaction::Answer { status, body, after_ms: 0, twice: false })
}

fn merge(body: &mut Value, add: Value) {
    if let (Value::Object(body), Value::Object(add)) = (body, add) {
        body.extend(add);
    }
}
