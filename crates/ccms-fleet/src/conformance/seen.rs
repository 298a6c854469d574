//! What a body says, as far as a judge wants to know. Types are checked by [`super::form`]; here a number that is written as
//! a text is read all the same, so that one mistake is reported once.
use ccms_core::time::UtcMillis;
use ccms_device::Kind;
use serde_json::Value;

use super::form::{self, Complaint, inspect};

/// One reading of one light.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub at: Option<UtcMillis>,
    /// Time and number: what makes it the same reading when it comes again.
    pub key: (i64, String),
    pub light_id: Option<String>,
    pub power: Option<String>,
    pub brightness: Option<f64>,
    pub temperature: Option<f64>,
    pub battery: Option<f64>,
    pub uptime: Option<f64>,
    pub kwh: Option<f64>,
    /// Power, brightness and flags as one text: what a device reports at once when it changes.
    pub state: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckSeen {
    pub command_id: String,
    pub status: String,
}

/// What one body says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Said {
    pub device_id: Option<String>,
    pub imei: Option<String>,
    /// Of a configure: `on`, `off` or `error`.
    pub status: Option<String>,
    pub device_type: Option<String>,
    pub name: Option<String>,
    pub firmware: Option<String>,
    /// The present ones first.
    pub readings: Vec<Seen>,
    /// Readings of the past: a list of a status, or the section of a sync.
    pub past: usize,
    pub acks: Vec<AckSeen>,
    pub alerts: usize,
    pub logs: usize,
    /// It is not JSON.
    pub unreadable: bool,
    pub complaints: Vec<Complaint>,
}

/// Reads the body of a request.
pub fn read(kind: Kind, plain: &[u8]) -> Said {
    let mut said = Said::default();
    if matches!(kind, Kind::Commands | Kind::Health) {
        return said;
    }
    let Ok(body) = serde_json::from_slice::<Value>(plain) else {
        said.unreadable = true;
        said.complaints.push(Complaint { of: kind, text: format!("{}: the body is not JSON", kind.as_str()) });
        return said;
    };
    said.device_id = text(&body, "device_id");
    let mut complaints = Vec::new();
    match kind {
        Kind::Configure => {
            inspect(kind, form::CONFIGURE, &body, &mut complaints);
            said.imei = text(&body, "gsm_imei");
            said.status = text(&body, "status");
            said.device_type = text(&body, "device_type");
            said.name = text(&body, "name");
            said.firmware = text(&body, "firmware_version");
        }
        Kind::Status => said.status(&body, &mut complaints),
        Kind::CommandAck => said.ack(&body, &mut complaints),
        Kind::Alert => said.alert(&body, &mut complaints),
        Kind::Logs => {
            inspect(kind, form::LOGS, &body, &mut complaints);
            said.logs = count(&body, "logs");
        }
        Kind::Firmware => {
            inspect(kind, form::FIRMWARE, &body, &mut complaints);
            said.firmware = text(&body, "firmware_version");
        }
        Kind::Sync => said.sync(&body, &mut complaints),
        Kind::Commands | Kind::Health => {}
    }
    said.complaints = complaints;
    said
}

impl Said {
    fn reading(&mut self, value: &Value, complaints: &mut Vec<Complaint>) {
        inspect(Kind::Status, form::STATUS, value, complaints);
        self.readings.push(seen(value));
    }

    /// One status; or several, as a list or under `readings`.
    fn status(&mut self, body: &Value, complaints: &mut Vec<Complaint>) {
        match body.as_array().or_else(|| body.get("readings").and_then(Value::as_array)) {
            Some(list) => {
                list.iter().for_each(|value| self.reading(value, complaints));
                self.past = self.readings.len();
            }
            None => self.reading(body, complaints),
        }
    }

    fn ack(&mut self, value: &Value, complaints: &mut Vec<Complaint>) {
        inspect(Kind::CommandAck, form::ACK, value, complaints);
        let command_id = text(value, "command_id").unwrap_or_default();
        self.acks.push(AckSeen { command_id, status: text(value, "status").unwrap_or_default() });
    }

    fn alert(&mut self, value: &Value, complaints: &mut Vec<Complaint>) {
        inspect(Kind::Alert, form::ALERT, value, complaints);
        self.alerts += 1;
    }

    fn sync(&mut self, body: &Value, complaints: &mut Vec<Complaint>) {
        let section = |name: &str| body.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        section("acks").iter().for_each(|ack| self.ack(ack, complaints));
        section("alerts").iter().for_each(|alert| self.alert(alert, complaints));
        if let Some(present) = body.get("status") {
            self.reading(present, complaints);
        }
        let before = self.readings.len();
        section("readings").iter().for_each(|reading| self.reading(reading, complaints));
        self.past = self.readings.len() - before;
        self.logs = count(body, "logs");
    }
}

fn seen(value: &Value) -> Seen {
    let inner = |name: &str| value.pointer(&format!("/status/{name}"));
    let number = |name: &str| inner(name).and_then(number);
    let at = text(value, "timestamp").and_then(|t| UtcMillis::parse_lenient(&t));
    let power = inner("power_state").and_then(Value::as_str).map(str::to_owned);
    let brightness = number("brightness");
    let flags = inner("error_flags").map(Value::to_string).unwrap_or_default();
    Seen {
        at,
        key: (at.unwrap_or_default().0, value.get("seq").map(Value::to_string).unwrap_or_default()),
        light_id: text(value, "light_id"),
        state: format!("{power:?} {brightness:?} {flags}"),
        power,
        brightness,
        temperature: number("temperature_celsius"),
        battery: number("battery_percentage"),
        uptime: number("uptime_seconds"),
        kwh: value.pointer("/energy/cumulative_kwh").and_then(self::number),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn count(value: &Value, name: &str) -> usize {
    value.get(name).and_then(Value::as_array).map_or(0, Vec::len)
}
