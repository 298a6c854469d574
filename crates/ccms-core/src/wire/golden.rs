//! The document's own JSON examples, word for word, read and written by the types of this module. Those of the additions
//! (sync, alert, logs, firmware, health, lights) are in [`additions`](super::additions).
use serde_json::{Value, json};

use super::{ack, commands, configure, envelope, mqtt, status};
use crate::command::{AckStatus, CommandKind};
use crate::ids::CommandId;
use crate::reading::{PowerState, ReadingFlags};
use crate::time::UtcMillis;

pub(super) fn example(name: &str) -> Vec<u8> {
    let path = format!("{}/contract/{name}.json", std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests"));
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

pub(super) fn value(name: &str) -> Value {
    serde_json::from_slice(&example(name)).unwrap()
}

/// True when every documented field is there with the documented value; additions are allowed.
pub(super) fn contains(actual: &Value, documented: &Value) -> bool {
    match (actual, documented) {
        (Value::Object(a), Value::Object(d)) => d.iter().all(|(k, v)| a.get(k).is_some_and(|x| contains(x, v))),
        (Value::Array(a), Value::Array(d)) => a.len() == d.len() && a.iter().zip(d).all(|(x, y)| contains(x, y)),
        (Value::Number(a), Value::Number(d)) => a.as_f64() == d.as_f64(),
        (a, d) => a == d,
    }
}

pub(super) fn at(text: &str) -> UtcMillis {
    UtcMillis::parse_lenient(text).unwrap()
}

#[test]
fn configure_request() {
    let r = configure::ConfigureRequest::parse(&example("configure-request"), at("2025-12-17T10:30:01Z")).unwrap();
    assert_eq!(r.place(), Some((28.6139, 77.2090)));
    let [m] = r.statuses.messages.as_slice() else { panic!("it says that the lamp is off") };
    assert_eq!((m.reading.power_state, m.reading.signal_percent), (Some(PowerState::Off), Some(85)));
    assert_eq!((m.reading.reported_at, m.reading.flags.0), (at("2025-12-17T10:30:00Z"), 0));
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
    let batch = status::parse(&example("status-request"), now).unwrap();
    assert!(!batch.is_list && batch.quarantined.is_empty());
    let all = batch.messages;
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
fn the_pseudocodes_requests() {
    let now = at("2025-12-17T10:30:48Z");
    for name in ["pseudocode-status", "mqtt-status"] {
        let all = status::parse(&example(name), now).unwrap().messages;
        let r = &all[0].reading;
        let said = (r.power_state, r.brightness_percent, r.battery_percent, r.flags.0);
        assert_eq!(said, (Some(PowerState::On), Some(85), Some(95), 0), "{name}");
        assert_eq!((all[0].light_id.as_deref(), r.reported_at.seconds()), (Some("SL001"), 1_765_967_446), "{name}");
    }
    let r = configure::ConfigureRequest::parse(&example("pseudocode-configure"), now).unwrap();
    assert_eq!((r.place(), r.timestamp), (Some((28.6139, 77.2090)), None));
    assert_eq!(r.statuses.messages[0].reading.power_state, Some(PowerState::On));
    let m = ack::AckMessage::parse(&example("pseudocode-ack")).unwrap();
    assert_eq!((m.status, m.executed_at), (AckStatus::Executed, Some(UtcMillis(1_765_967_447_500))));
    // What it reads of a command: `id`, `type`, `action`, `brightness_level`.
    let m: commands::CommandMessage =
        serde_json::from_value(json!({"id": "CMD_1", "type": "brightness_control", "brightness_level": 75.0})).unwrap();
    assert_eq!((m.command_id.as_str(), m.kind()), ("CMD_1", Some(CommandKind::Brightness(75))));
}

#[test]
fn mqtt_settings_and_command() {
    let c: mqtt::MqttConfig = serde_json::from_slice(&example("mqtt-config")).unwrap();
    assert_eq!(serde_json::to_value(&c).unwrap(), value("mqtt-config"));
    let m: commands::CommandMessage = serde_json::from_slice(&example("mqtt-command")).unwrap();
    assert_eq!(m.kind(), Some(CommandKind::Power(PowerState::On)));
    assert_eq!((m.command_id.as_str(), m.requested_at), ("CMD_001", at("2025-12-17T10:30:40Z")));
    // In `config`, beside the documented keys, and gone again when MQTT is off.
    let mut r: configure::ConfigureResponse = serde_json::from_slice(&example("configure-response")).unwrap();
    r.config.mqtt = Some(c);
    let written = serde_json::to_value(&r).unwrap();
    assert!(contains(&written, &value("configure-response")));
    assert!(contains(&written["config"], &value("mqtt-config")));
    assert_eq!(serde_json::from_value::<configure::ConfigureResponse>(written).unwrap(), r);
}

#[test]
fn an_unknown_command_does_not_hide_the_others() {
    let mut body = value("commands-pending");
    let mut strange = body["commands"][0].clone();
    strange["command_type"] = json!("make_coffee");
    body["commands"].as_array_mut().unwrap().insert(0, strange);
    body["commands"].as_array_mut().unwrap().push(json!(7));
    let r: commands::CommandsResponse = serde_json::from_value(body).unwrap();
    assert_eq!(serde_json::to_value(&r).unwrap(), value("commands-pending"));
    let reset: commands::CommandMessage =
        serde_json::from_value(json!({"command_id": "CMD_9", "command_type": "device_reset"})).unwrap();
    assert_eq!(reset.kind(), Some(CommandKind::Reset));
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
    let all = status::parse(body, at("2025-12-17T10:30:36Z")).unwrap().messages;
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
        "{\"status\":{\"brightness\":NaNs}}",
        "5",
        "\"on\"",
        "{}",
        "{\"readings\":5}",
        "{\"status\":\"on\",\"status\":\"off\"}",
        "\u{0}",
    ] {
        assert!(status::parse(bad.as_bytes(), now).is_err(), "{bad:?}");
    }
    let many = format!("[{}]", vec!["{\"status\":\"on\"}"; 2001].join(","));
    assert!(matches!(status::parse(many.as_bytes(), now), Err(super::BadBody::TooMany { .. })));
    let nothing = status::parse(b"[]", now).unwrap();
    assert!(nothing.is_list && nothing.messages.is_empty() && nothing.quarantined.is_empty());
}
