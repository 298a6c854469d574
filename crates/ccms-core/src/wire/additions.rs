//! Examples of what the document names without showing it, and of the shapes that its brief asks for; the same files are
//! the examples of the API's description and the seeds of the fuzzers.
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::alert::{AlertMessage, AlertRequest, AlertResponse, AlertSeverity};
use super::configure::ConfigureRequest;
use super::firmware::{FirmwareMessage, FirmwareRequest, FirmwareResponse};
use super::golden::{at, example, value};
use super::health::HealthResponse;
use super::logs::{LogsMessage, LogsRequest, LogsResponse};
use super::status::{self, StatusMessage};
use super::sync::{SyncMessage, SyncResponse};
use super::{BadBody, ack};
use crate::command::AckStatus;
use crate::limits::{
    ALERT_KIND_CHARS_MAX, LOG_LINES_MAX, QUARANTINED_BYTES_MAX, READINGS_PER_REQUEST_MAX, SYNC_ITEMS_MAX,
};
use crate::reading::PowerState;
use crate::time::UtcMillis;

const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_436);

fn written_as_read<T: Serialize + DeserializeOwned>(name: &str) {
    let it: T = serde_json::from_slice(&example(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(serde_json::to_value(&it).unwrap(), value(name), "{name}");
}

#[test]
fn what_we_write_is_what_the_examples_show() {
    written_as_read::<AlertRequest>("alert-request");
    written_as_read::<AlertResponse>("alert-response");
    written_as_read::<LogsRequest>("logs-request");
    written_as_read::<LogsResponse>("logs-response");
    written_as_read::<FirmwareRequest>("firmware-request");
    written_as_read::<FirmwareResponse>("firmware-response");
    written_as_read::<FirmwareResponse>("firmware-none");
    written_as_read::<HealthResponse>("health-response");
    written_as_read::<SyncResponse>("sync-response");
    assert_eq!(serde_json::to_value(FirmwareResponse::recorded(NOW)).unwrap(), value("firmware-response"));
    assert_eq!(serde_json::to_value(FirmwareResponse::no_update(NOW)).unwrap(), value("firmware-none"));
}

fn says(m: &StatusMessage) -> (Option<&str>, Option<PowerState>, i64) {
    (m.light_id.as_deref(), m.reading.power_state, m.reading.reported_at.seconds() - NOW.seconds())
}

#[test]
fn all_lights_of_a_device_in_one_body() {
    let lights = example("lights-request");
    let by_status = status::parse(&lights, NOW).unwrap();
    assert!(by_status.is_list && by_status.quarantined.is_empty());
    let all = &by_status.messages;
    let (on, off) = (Some(PowerState::On), Some(PowerState::Off));
    let said: Vec<_> = all.iter().map(says).collect();
    assert_eq!(said, [(Some("SL001"), on, -1), (Some("SL002"), off, -5), (Some("SL003"), on, -1)]);
    for m in all {
        assert_eq!(m.device_id.as_deref(), Some("IMEI:351234567890123"), "said once for all");
        assert_eq!(m.reading.battery_percent, Some(95), "said once for all");
    }
    let meters: Vec<_> = all.iter().map(|m| m.reading.energy_wh).collect();
    assert_eq!(meters, [Some(1_245_670), None, None], "one meter counts once");
    assert_eq!(all[2].reading.error_flags, ["lamp_failure".into()]);
    // The brief sends the same to configure.
    let by_configure = ConfigureRequest::parse(&lights, NOW).unwrap();
    assert_eq!(by_configure.statuses, by_status);
    assert_eq!(by_configure.device_id.as_deref(), Some("IMEI:351234567890123"));
    let bare = ConfigureRequest::parse(br#"[{"light_id":"SL001","status":"on"},7]"#, NOW).unwrap().statuses;
    assert_eq!((bare.messages.len(), bare.quarantined.len()), (1, 1));
}

#[test]
fn lights_by_name_and_lights_that_say_nothing() {
    let body =
        json!({"status": "on", "timestamp": 1_765_967_430, "lights": ["SL001", {"light_id": "SL002"}, {}, 7, null]});
    let batch = status::parse(body.to_string().as_bytes(), NOW).unwrap();
    let said: Vec<_> = batch.messages.iter().map(says).collect();
    assert_eq!(said, [(Some("SL001"), Some(PowerState::On), -6), (Some("SL002"), Some(PowerState::On), -6)]);
    assert_eq!(batch.quarantined.iter().map(|q| q.raw.as_str()).collect::<Vec<_>>(), ["{}", "7", "null"]);
    // A status of another light beside the list is one of its own; the panel's own is part of the list.
    let body = json!({"light_id": "SL009", "status": "off", "lights": [{"light_id": "SL001", "status": "on"}]});
    assert_eq!(status::parse(body.to_string().as_bytes(), NOW).unwrap().messages.len(), 2);
    let body = json!({"light_id": "SL001", "status": "off", "lights": [{"light_id": "SL001", "status": "on"}]});
    assert_eq!(status::parse(body.to_string().as_bytes(), NOW).unwrap().messages.len(), 1);
}

#[test]
fn what_cannot_be_a_reading_does_not_cost_the_others() {
    let body = json!({"device_id": "D1", "readings": [{"status": "on"}, 7, "on", null, [], {"speed": 3}, {"battery": 5},
        {"x": "\u{915}".repeat(3000)}]});
    let batch = status::parse(body.to_string().as_bytes(), NOW).unwrap();
    assert_eq!((batch.messages.len(), batch.quarantined.len(), batch.is_list), (2, 6, true));
    assert!(batch.messages.iter().all(|m| m.device_id.as_deref() == Some("D1")));
    let long = &batch.quarantined[5].raw;
    assert!(
        long.starts_with("{\"x\":\"\u{915}")
            && (QUARANTINED_BYTES_MAX - 3..=QUARANTINED_BYTES_MAX).contains(&long.len())
    );
    assert_eq!(batch.quarantined[0].raw, "7");
    // Of several lists in one body, too, no more than the limit.
    let lights = vec![json!("SL001"); READINGS_PER_REQUEST_MAX - 1];
    let fits = json!([{"status": "on", "lights": lights}, {"status": "on"}]);
    assert_eq!(status::parse(fits.to_string().as_bytes(), NOW).unwrap().messages.len(), READINGS_PER_REQUEST_MAX);
    let too_many = json!([{"status": "on", "lights": lights}, {"status": "on"}, 7]);
    assert!(matches!(status::parse(too_many.to_string().as_bytes(), NOW), Err(BadBody::TooMany { .. })));
}

#[test]
fn states_of_the_brief_and_of_plain_firmware() {
    let state = |text: &str| {
        let body = format!("{{\"status\":{text}}}");
        let m = status::parse(body.as_bytes(), NOW).unwrap().messages.remove(0).reading;
        (m.power_state, m.error_flags.len(), m.flags.names().any(|n| n == "bad_power_state"))
    };
    for on in ["\"on\"", "\"ON\"", "true", "1", "1.0", "{\"power_state\":\" on \"}"] {
        assert_eq!(state(on), (Some(PowerState::On), 0, false), "{on}");
    }
    for off in ["\"off\"", "false", "0"] {
        assert_eq!(state(off), (Some(PowerState::Off), 0, false), "{off}");
    }
    assert_eq!(state("\"ERROR\""), (None, 1, false), "a fault of the controller, shown red");
    assert_eq!(state("\"dim\""), (None, 0, true));
    let by_id =
        status::parse(br#"{"light_id":"SL001","timestamp":"2025-12-17T10:30:35Z","status_id":"on"}"#, NOW).unwrap();
    assert_eq!(by_id.messages[0].reading.power_state, Some(PowerState::On));
}

#[test]
fn places_and_identities_in_a_configure() {
    let parsed = |body: serde_json::Value| ConfigureRequest::parse(body.to_string().as_bytes(), NOW).unwrap();
    for no_fix in [
        json!({}),
        json!({"latitude": 0, "longitude": 0.0}),
        json!({"latitude": "", "longitude": "NaN"}),
        json!({"latitude": null, "longitude": 77.2}),
        json!({"latitude": 1e-5, "longitude": -1e-4}),
    ] {
        let r = parsed(no_fix.clone());
        assert_eq!((r.place(), r.place_invalid), (None, false), "{no_fix}");
    }
    assert!(parsed(json!({"latitude": 90.1, "longitude": 77.2})).place_invalid);
    assert_eq!(parsed(json!({"latitude": "28.6", "longitude": 77})).place(), Some((28.6, 77.0)));
    let r = parsed(
        json!({"gsm_imei": 351_234_567_890_123_i64, "name": "a\u{0}\u{202e}b", "device_id": "", "status": "ready",
        "address": "x".repeat(5000), "battery_backup_hours": -1, "firmware_version": {"major": 2}, "timestamp": "soon"}),
    );
    assert_eq!((r.gsm_imei.as_deref(), r.name.as_deref()), (Some("351234567890123"), Some("ab")));
    assert_eq!((r.device_id, r.battery_backup_hours, r.firmware_version, r.timestamp), (None, None, None, None));
    assert_eq!((r.address.map(|a| a.len()), r.status.as_deref()), (Some(120), Some("ready")));
    assert!(r.statuses.messages.is_empty(), "\"ready\" is no state of a lamp");
}

#[test]
fn a_sync_in_sections() {
    let s = SyncMessage::parse(&example("sync-request"), NOW).unwrap();
    assert_eq!((s.acks.len(), s.alerts.len(), s.statuses.len(), s.logs.lines.len()), (2, 1, 3, 2));
    assert!(s.quarantined.is_empty());
    assert_eq!(s.acks[1].status, AckStatus::Rejected);
    assert_eq!((s.alerts[0].kind.as_str(), s.alerts[0].value), ("battery_low", Some(8.0)));
    let batteries: Vec<_> = s.statuses.iter().map(|m| m.reading.battery_percent).collect();
    assert_eq!(batteries, [Some(9), Some(12), Some(11)], "the present first");
    assert_eq!(s.logs.to_text(), "2025-12-17T10:29:30Z warning no network\nnetwork is back\n");
}

#[test]
fn a_sync_keeps_what_is_good_of_every_section() {
    let reading = json!({"status": "on", "timestamp": 1_765_967_400});
    let body = json!({
        "acks": [7, {"command_id": "CMD_1", "status": "done"}, {"command_id": "CMD_1", "status": "Executed"}],
        "alerts": {"description": "no lamp"},
        "status": [reading, null],
        "readings": [reading, "x", {}],
        "logs": "one\n\ntwo"
    });
    let s = SyncMessage::parse(body.to_string().as_bytes(), NOW).unwrap();
    assert_eq!((s.acks.len(), s.alerts.len(), s.statuses.len(), s.logs.lines.len()), (1, 1, 2, 2));
    let raw: Vec<_> = s.quarantined.iter().map(|q| q.raw.as_str()).collect();
    assert_eq!(raw.len(), 5, "{raw:?}");
    assert_eq!(s.alerts[0].kind, AlertMessage::UNNAMED);
    for (body, readings) in [
        (json!([reading, reading]), 2),
        (json!({"readings": reading}), 1),
        (json!({"readings": []}), 0),
        (json!({"status": {"power_state": "on"}, "light_id": "SL001"}), 1),
        (json!({"timestamp": 1_765_967_400, "status": reading}), 1),
        (json!({"timestamp": 1_765_967_400, "status": {"power_state": "on"}, "energy": {"voltage": 230}}), 1),
        (json!({"status": {"timestamp": 5, "lights": ["SL001", "SL002"]}}), 2),
        (json!({"lights": [{"light_id": "SL001", "status": "on"}]}), 1),
        (json!({"brightness": 5}), 1),
    ] {
        let s = SyncMessage::parse(body.to_string().as_bytes(), NOW).unwrap_or_else(|e| panic!("{body}: {e}"));
        assert_eq!((s.statuses.len(), s.quarantined.len()), (readings, 0), "{body}");
    }
    for none in ["{}", "{\"device_id\":\"D1\"}", "5", "", "{"] {
        assert!(SyncMessage::parse(none.as_bytes(), NOW).is_err(), "{none}");
    }
    let many = json!({"acks": vec![7; SYNC_ITEMS_MAX + 1]});
    let refused = SyncMessage::parse(many.to_string().as_bytes(), NOW).unwrap_err();
    assert_eq!(refused.to_string(), "at most 500 acks are accepted in one request");
}

#[test]
fn alerts_however_they_are_spelt() {
    let a = AlertMessage::parse(&example("alert-request")).unwrap();
    assert_eq!(
        (a.kind.as_str(), a.severity, a.value, a.threshold),
        ("overheating", AlertSeverity::Critical, Some(71.5), Some(65.0))
    );
    assert_eq!((a.light.is_some(), a.at), (true, Some(at("2025-12-17T10:30:35Z"))));
    let parsed = |body: serde_json::Value| AlertMessage::parse(body.to_string().as_bytes());
    let a = parsed(
        json!({"code": "Battery-LOW!", "level": "Warn", "description": "\u{7}low", "value": "NaN", "light_id": "a b"}),
    )
    .unwrap();
    assert_eq!(
        (a.kind.as_str(), a.severity, a.message.as_deref()),
        ("battery_low", AlertSeverity::Warning, Some("low"))
    );
    assert_eq!((a.value, a.light_id.as_deref(), a.light, a.at), (None, Some("a b"), None, None));
    assert_eq!(parsed(json!({"type": "x".repeat(900)})).unwrap().kind.len(), ALERT_KIND_CHARS_MAX);
    let shouted = parsed(json!({"alert_type": "!!", "message": "help"})).unwrap();
    assert_eq!((shouted.kind.as_str(), shouted.severity), (AlertMessage::UNNAMED, AlertSeverity::Critical));
    for bad in [json!({}), json!([]), json!({"severity": "high"}), json!({"alert_type": {}, "message": ""})] {
        assert!(parsed(bad.clone()).is_err(), "{bad}");
    }
}

#[test]
fn logs_in_every_shape() {
    let parsed = |body: serde_json::Value| LogsMessage::parse(body.to_string().as_bytes());
    for (body, text) in [
        (value("logs-request"), "2025-12-17T10:29:30Z warning no network\nnetwork is back\n"),
        (json!(["a", {"msg": "b", "severity": "E"}, 7, {"code": 3}]), "a\nE b\n7\n{\"code\":3}\n"),
        (json!({"logs": "a\nb\u{1b}[0m"}), "a\nb[0m\n"),
        (json!({"logs": {"message": "a"}}), "a\n"),
        (json!({"message": "a", "time": 0}), "1970-01-01T00:00:00Z a\n"),
        (json!({"logs": []}), ""),
    ] {
        assert_eq!(parsed(body.clone()).unwrap().to_text(), text, "{body}");
    }
    assert!(parsed(json!({"lines": 5})).is_err());
    let many: Vec<String> = (0..LOG_LINES_MAX + 5).map(|n| n.to_string()).collect();
    let kept = parsed(json!(many)).unwrap();
    assert_eq!((kept.lines.len(), kept.dropped, kept.lines[0].message.as_str()), (LOG_LINES_MAX, 5, "5"));
}

#[test]
fn firmware_reports() {
    let r = FirmwareMessage::parse(&example("firmware-request")).unwrap();
    assert_eq!(
        (r.version.as_deref(), r.state.as_deref(), r.progress_percent),
        (Some("v2.1.0"), Some("downloading"), Some(45))
    );
    let r = FirmwareMessage::parse(br#"{"version":2.1,"status":"failed","progress":145,"error":"checksum"}"#).unwrap();
    assert_eq!((r.version.as_deref(), r.progress_percent, r.message.as_deref()), (Some("2.1"), None, Some("checksum")));
    assert!(FirmwareMessage::parse(b"{\"progress\":\"half\"}").is_err());
    assert!(FirmwareMessage::parse(b"[]").is_err());
}

#[test]
fn acks_in_any_case_and_with_any_identity() {
    let m =
        ack::AckMessage::parse(br#"{"device_id":"","command_id":7,"status":"FAILED","message":"relay \u0000stuck"}"#)
            .unwrap();
    assert_eq!((m.device_id, m.status, m.detail.as_deref()), (None, AckStatus::Failed, Some("relay stuck")));
    assert_eq!(m.command_id.map(|c| c.to_string()).as_deref(), Some("7"));
    assert!(ack::AckMessage::parse(br#"{"command_id":"a b","status":"failed"}"#).unwrap().command_id.is_none());
}
