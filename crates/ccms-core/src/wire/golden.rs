//! The document's own JSON examples, word for word, read and written by the types of this module.
use serde_json::{Value, json};

use super::{ack, commands, configure, envelope, status};
use crate::command::{AckStatus, CommandKind};
use crate::ids::CommandId;
use crate::reading::{PowerState, ReadingFlags};
use crate::time::UtcMillis;

fn example(name: &str) -> Vec<u8> {
    let path = format!("{}/contract/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn value(name: &str) -> Value {
    serde_json::from_slice(&example(name)).unwrap()
}

/// True when every documented field is there with the documented value; additions are allowed.
fn contains(actual: &Value, documented: &Value) -> bool {
    match (actual, documented) {
        (Value::Object(a), Value::Object(d)) => d.iter().all(|(k, v)| a.get(k).is_some_and(|x| contains(x, v))),
        (Value::Array(a), Value::Array(d)) => a.len() == d.len() && a.iter().zip(d).all(|(x, y)| contains(x, y)),
        (Value::Number(a), Value::Number(d)) => a.as_f64() == d.as_f64(),
        (a, d) => a == d,
    }
}

fn at(text: &str) -> UtcMillis {
    UtcMillis::parse_lenient(text).unwrap()
}

#[test]
fn configure_request() {
    let r = configure::ConfigureRequest::parse(&example("configure-request")).unwrap();
    assert_eq!(r.place(), Some((28.6139, 77.2090)));
    assert_eq!(r.gsm_imei.as_deref(), Some("351234567890123"));
    assert!(contains(&serde_json::to_value(&r).unwrap(), &value("configure-request")));
}

#[test]
fn configure_response() {
    let r: configure::ConfigureResponse = serde_json::from_slice(&example("configure-response")).unwrap();
    assert_eq!(serde_json::to_value(&r).unwrap(), value("configure-response"));
    assert!(r.config.schedule().enabled);
}

#[test]
fn configure_error() {
    let r: envelope::ErrorEnvelope = serde_json::from_slice(&example("configure-error")).unwrap();
    assert_eq!(r.code, envelope::ErrorCode::ConfigInvalid.as_str());
    assert_eq!(serde_json::to_value(&r).unwrap(), value("configure-error"));
}

#[test]
fn status_request() {
    let now = at("2025-12-17T10:30:36Z");
    let all = status::parse(&example("status-request"), now).unwrap();
    let [m] = all.as_slice() else { panic!("one status") };
    let r = &m.reading;
    assert_eq!(m.device_id.as_deref(), Some("IMEI:351234567890123"));
    assert_eq!(r.light_id.as_ref().map(|l| l.as_str()), Some("SL001"));
    assert_eq!((r.power_state, r.brightness_percent), (Some(PowerState::On), Some(85)));
    assert_eq!(
        (r.temperature_dc, r.battery_percent, r.signal_percent, r.uptime_s),
        (Some(425), Some(95), Some(82), Some(864_000))
    );
    assert_eq!(
        (r.voltage_dv, r.current_ma, r.power_dw, r.frequency_chz),
        (Some(2305), Some(260), Some(600), Some(5000))
    );
    assert_eq!((r.energy_wh, r.flags, r.error_flags.len()), (Some(1_245_670), ReadingFlags::default(), 0));
    assert_eq!(r.reported_at, at("2025-12-17T10:30:35Z"));
    let ours: status::StatusRequest = serde_json::from_slice(&example("status-request")).unwrap();
    assert!(contains(&serde_json::to_value(&ours).unwrap(), &value("status-request")));
}

#[test]
fn status_of_the_pseudocode() {
    let body =
        json!({"light_id":"SL001","status":"on","brightness":85,"battery":95,"timestamp":"2025-12-17T10:30:46Z"});
    let all = status::parse(body.to_string().as_bytes(), at("2025-12-17T10:30:47Z")).unwrap();
    let r = &all[0].reading;
    assert_eq!((r.power_state, r.brightness_percent, r.battery_percent), (Some(PowerState::On), Some(85), Some(95)));
}

#[test]
fn status_response() {
    let r: status::StatusResponse = serde_json::from_slice(&example("status-response")).unwrap();
    assert_eq!(serde_json::to_value(&r).unwrap(), value("status-response"));
}

#[test]
fn commands_responses() {
    for name in ["commands-none", "commands-pending"] {
        let r: commands::CommandsResponse = serde_json::from_slice(&example(name)).unwrap();
        assert_eq!(serde_json::to_value(&r).unwrap(), value(name), "{name}");
        assert!(r.commands.iter().all(|c| c.kind().is_some()));
    }
    let r: commands::CommandsResponse = serde_json::from_slice(&example("commands-pending")).unwrap();
    assert_eq!(r.commands[0].kind(), Some(CommandKind::Power(PowerState::On)));
    assert_eq!(r.commands[1].kind(), Some(CommandKind::Brightness(75)));
    assert!(matches!(r.commands[2].kind(), Some(CommandKind::Schedule(s)) if s.sunset_time.to_string() == "18:00:00"));
}

#[test]
fn ack_request_in_both_spellings() {
    let m = ack::AckMessage::parse(&example("ack-request")).unwrap();
    assert_eq!((m.command_id, m.status), (Some(CommandId::parse("CMD_001").unwrap()), AckStatus::Executed));
    assert_eq!(m.executed_at, Some(at("2025-12-17T10:30:47Z")));
    let ours: ack::AckRequest = serde_json::from_slice(&example("ack-request")).unwrap();
    assert_eq!(serde_json::to_value(&ours).unwrap(), value("ack-request"));
    let m =
        ack::AckMessage::parse(br#"{"id":"CMD_001","status":"executed","timestamp":"2025-12-17T10:30:47Z"}"#).unwrap();
    assert_eq!(m.executed_at, Some(at("2025-12-17T10:30:47Z")));
}

#[test]
fn one_bad_field_costs_only_itself() {
    let body = br#"{"timestamp":5,"unknown":{"a":[1]},"status":{"power_state":"blue","brightness":150,"temperature_celsius":"hot",
        "battery_percentage":85.0,"gsm_signal_strength":-82,"uptime_seconds":1e400,"error_flags":7},
        "energy":{"voltage":1e39,"current":null,"cumulative_kwh":-1,"power_watts":60}}"#;
    let all = status::parse(body, at("2025-12-17T10:30:36Z")).unwrap();
    let r = &all[0].reading;
    assert_eq!((r.battery_percent, r.signal_percent, r.power_dw, r.current_ma), (Some(85), Some(50), Some(600), None));
    let names: Vec<_> = r.flags.names().collect();
    assert_eq!(
        names,
        [
            "bad_power_state",
            "bad_brightness",
            "bad_temperature",
            "bad_uptime",
            "bad_voltage",
            "bad_energy",
            "bad_error_flags",
            "clock_suspect"
        ]
    );
}

#[test]
fn what_is_no_status_is_refused_with_a_reason() {
    let now = at("2025-12-17T10:30:36Z");
    for bad in [
        "",
        "  ",
        "{",
        "NaN",
        "{\"status\":{\"brightness\":NaN}}",
        "5",
        "\"on\"",
        "{}",
        "[1]",
        "{\"readings\":5}",
        "\u{0}",
    ] {
        assert!(status::parse(bad.as_bytes(), now).is_err(), "{bad:?}");
    }
    let many = format!("[{}]", vec!["{\"status\":\"on\"}"; 2001].join(","));
    assert!(matches!(status::parse(many.as_bytes(), now), Err(super::BadBody::TooMany { .. })));
    assert_eq!(status::parse(b"[]", now), Ok(vec![]));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text in "[\\[{\":,a-z0-9}\\] ]{0,80}") {
        for body in [bytes.as_slice(), text.as_bytes()] {
            let _ = status::parse(body, UtcMillis::default());
            let _ = ack::AckMessage::parse(body);
            let _ = configure::ConfigureRequest::parse(body);
        }
    }
}
