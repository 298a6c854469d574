//! Whether the fields of a body are there and of the documented type. Strict on purpose: the server forgives a number that
//! is written as a text, a tender should not.
use ccms_core::time::UtcMillis;
use ccms_device::Kind;
use serde_json::Value;

/// What a field has to be.
#[derive(Debug, Clone, Copy)]
pub enum Is {
    Text,
    /// A JSON number in these bounds; `85.0` is as good as `85`.
    Number(f64, f64),
    /// `2025-12-17T10:30:00Z`
    Instant,
    OneOf(&'static [&'static str]),
    Texts,
    Imei,
    Object(&'static [(&'static str, Is)]),
}

/// Something about a field that is not as documented.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The kind of thing that the field is part of, on whatever route it came.
    pub of: Kind,
    pub text: String,
}

const PERCENT: Is = Is::Number(0.0, 100.0);
const COUNT: Is = Is::Number(0.0, f64::MAX);
/// Percent, or dBm below zero.
const SIGNAL: Is = Is::Number(-140.0, 100.0);

pub const CONFIGURE: &[(&str, Is)] = &[
    ("device_id", Is::Text),
    ("device_type", Is::Text),
    ("name", Is::Text),
    ("city", Is::Text),
    ("latitude", Is::Number(-90.0, 90.0)),
    ("longitude", Is::Number(-180.0, 180.0)),
    ("address", Is::Text),
    ("status", Is::OneOf(&["on", "off", "error"])),
    ("battery_backup_hours", COUNT),
    ("gsm_imei", Is::Imei),
    ("gsm_signal_strength", SIGNAL),
    ("communication_type", Is::Text),
    ("firmware_version", Is::Text),
    ("timestamp", Is::Instant),
];

pub const STATUS: &[(&str, Is)] = &[
    ("device_id", Is::Text),
    ("light_id", Is::Text),
    ("timestamp", Is::Instant),
    (
        "status",
        Is::Object(&[
            ("power_state", Is::OneOf(&["on", "off"])),
            ("brightness", PERCENT),
            ("temperature_celsius", Is::Number(-90.0, 200.0)),
            ("battery_percentage", PERCENT),
            ("gsm_signal_strength", SIGNAL),
            ("uptime_seconds", COUNT),
            ("error_flags", Is::Texts),
        ]),
    ),
    (
        "energy",
        Is::Object(&[
            ("voltage", COUNT),
            ("current", COUNT),
            ("power_watts", COUNT),
            ("frequency", COUNT),
            ("cumulative_kwh", COUNT),
        ]),
    ),
];

pub const ACK: &[(&str, Is)] = &[
    ("device_id", Is::Text),
    ("command_id", Is::Text),
    ("status", Is::OneOf(&["executed", "failed", "rejected", "expired"])),
    ("execution_timestamp", Is::Instant),
    ("result", Is::Object(&[("new_state", Is::OneOf(&["on", "off"])), ("actual_brightness", PERCENT)])),
];

/// The document shows no body for alerts, logs and firmware reports: what the receiving end cannot do without.
pub const FIRMWARE: &[(&str, Is)] = &[("device_id", Is::Text), ("firmware_version", Is::Text)];
pub const ALERT: &[(&str, Is)] = &[("alert_type", Is::Text), ("timestamp", Is::Instant)];
pub const LOGS: &[(&str, Is)] = &[("device_id", Is::Text)];

/// Appends what is wrong with `value`.
pub fn inspect(of: Kind, fields: &[(&str, Is)], value: &Value, complaints: &mut Vec<Complaint>) {
    within(of, "", fields, value, complaints);
}

fn within(of: Kind, path: &str, fields: &[(&str, Is)], value: &Value, complaints: &mut Vec<Complaint>) {
    for (name, is) in fields {
        let path = format!("{path}{name}");
        let what = match value.get(name) {
            None => Some("is missing".to_owned()),
            Some(found) => match is {
                Is::Object(inner) if found.is_object() => {
                    within(of, &format!("{path}."), inner, found, complaints);
                    None
                }
                _ => wrong(*is, found),
            },
        };
        if let Some(what) = what {
            complaints.push(Complaint { of, text: format!("{}: {path} {what}", of.as_str()) });
        }
    }
}

fn wrong(is: Is, found: &Value) -> Option<String> {
    let (good, wanted) = match is {
        Is::Text => (found.is_string(), "a text".to_owned()),
        Is::Number(min, max) => {
            let wanted = if max == f64::MAX { "a number".to_owned() } else { format!("a number from {min} to {max}") };
            (found.as_f64().is_some_and(|n| (min..=max).contains(&n)), wanted)
        }
        Is::Instant => {
            let good = found.as_str().is_some_and(|t| t.contains('T') && UtcMillis::parse_lenient(t).is_some());
            (good, "a time such as 2025-12-17T10:30:00Z".to_owned())
        }
        Is::OneOf(words) => (found.as_str().is_some_and(|t| words.contains(&t)), words.join(" or ")),
        Is::Texts => (found.as_array().is_some_and(|a| a.iter().all(Value::is_string)), "a list of texts".to_owned()),
        Is::Imei => {
            let good = found.as_str().is_some_and(|t| t.len() == 15 && t.bytes().all(|b| b.is_ascii_digit()));
            (good, "a text of 15 digits".to_owned())
        }
        Is::Object(_) => (false, "an object".to_owned()),
    };
    (!good).then(|| format!("is {}, not {wanted}", shown(found)))
}

/// Short enough for a line of a report.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.len() <= MOST { text } else { format!("{}…", &text[..text.floor_char_boundary(MOST)]) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_documents_own_status_is_good_and_each_field_is_missed_and_typed() {
        let good = json!({
            "device_id": "IMEI:351234567890123", "light_id": "SL001", "timestamp": "2025-12-17T10:30:35Z",
            "status": {"power_state": "on", "brightness": 85, "temperature_celsius": 42.5, "battery_percentage": 95,
                       "gsm_signal_strength": 82, "uptime_seconds": 864000, "error_flags": []},
            "energy": {"voltage": 230.5, "current": 0.26, "power_watts": 60, "frequency": 50, "cumulative_kwh": 1245.67}
        });
        let complaints = |value: &Value| {
            let mut complaints = Vec::new();
            inspect(Kind::Status, STATUS, value, &mut complaints);
            complaints.into_iter().map(|c| c.text).collect::<Vec<_>>()
        };
        assert_eq!(complaints(&good), [""; 0]);
        for pointer in ["/timestamp", "/status/brightness", "/status/error_flags", "/energy/cumulative_kwh"] {
            let mut typed = good.clone();
            *typed.pointer_mut(pointer).unwrap() = json!("85");
            assert_eq!(complaints(&typed).len(), 1, "{pointer}");
            let mut missing = good.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = if parent.is_empty() { &mut missing } else { missing.pointer_mut(parent).unwrap() };
            parent.as_object_mut().unwrap().remove(name);
            assert_eq!(complaints(&missing), [format!("status: {} is missing", pointer[1..].replace('/', "."))]);
        }
        let mut flat = good;
        flat["status"] = json!("on");
        assert_eq!(complaints(&flat), ["status: status is \"on\", not an object"]);
    }
}
