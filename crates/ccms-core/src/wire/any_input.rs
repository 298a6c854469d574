//! Whatever comes: no reader panics, no good item is lost because of a bad neighbour, and what we write we read.
use proptest::prelude::*;
use serde_json::{Value, json};

use super::ack::{AckMessage, AckRequest, AckResult};
use super::alert::AlertMessage;
use super::configure::ConfigureRequest;
use super::firmware::FirmwareMessage;
use super::logs::LogsMessage;
use super::status::{self, EnergyPart, StatusPart, StatusRequest};
use super::sync::{SyncMessage, SyncRequest};
use crate::command::AckStatus;
use crate::ids::CommandId;
use crate::limits::{DEVICE_TEXT_CHARS_MAX, ERROR_FLAGS_MAX, QUARANTINED_BYTES_MAX};
use crate::reading::PowerState;
use crate::time::UtcMillis;

const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_436);

/// Every reader, and what holds of anything that any of them lets in.
fn read_by_all(body: &[u8]) {
    let _ = (FirmwareMessage::parse(body), AckMessage::parse(body));
    if let Ok(alert) = AlertMessage::parse(body) {
        assert!(!alert.kind.is_empty());
    }
    if let Ok(logs) = LogsMessage::parse(body) {
        assert!(!logs.to_text().contains('\u{0}'));
    }
    let configure = ConfigureRequest::parse(body, NOW).map(|c| {
        assert!(c.name.as_deref().unwrap_or_default().chars().count() <= DEVICE_TEXT_CHARS_MAX);
        c.statuses
    });
    let sync = SyncMessage::parse(body, NOW).map(|s| (s.statuses, s.quarantined));
    let batches = [status::parse(body, NOW).map(|b| (b.messages, b.quarantined)), sync]
        .into_iter()
        .chain([configure.map(|b| (b.messages, b.quarantined))]);
    for (messages, quarantined) in batches.flatten() {
        assert!(quarantined.iter().all(|q| q.raw.len() <= QUARANTINED_BYTES_MAX));
        for m in messages {
            let r = m.reading;
            assert!((UtcMillis::MIN..=UtcMillis::MAX).contains(&r.reported_at));
            assert!(r.brightness_percent.is_none_or(|p| p <= 100) && r.signal_percent.is_none_or(|p| p <= 100));
            assert!(r.error_flags.len() <= ERROR_FLAGS_MAX && r.energy_wh.is_none_or(|e| e >= 0));
        }
    }
}

/// JSON that has the contract's names in it, with anything behind them.
fn near_the_contract() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "device_id",
        "light_id",
        "timestamp",
        "seq",
        "status",
        "energy",
        "readings",
        "lights",
        "acks",
        "alerts",
        "logs",
        "power_state",
        "brightness",
        "battery",
        "error_flags",
        "voltage",
        "cumulative_kwh",
        "command_id",
        "id",
        "result",
        "alert_type",
        "message",
        "value",
        "progress",
        "latitude",
        "name",
        "gsm_signal_strength",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        (0..=120_i64).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        prop::sample::select(vec!["on", "off", "executed", "SL001", "2025-12-17T10:30:35Z", "-82", "1e39"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().map(|(n, v)| (n.to_owned(), v)).collect())),
        ]
    })
}

prop_compose! {
    fn status_request()(
        seq in proptest::option::of(any::<u32>()),
        at in 1_600_000_000_i64..1_765_967_436,
        on: bool,
        brightness in 0..=100_u8,
        battery in 0..=100_u8,
        signal in 0..=100_u8,
        celsius in -1000..=2500_i32,
        uptime: u32,
        volts in 0..=10_000_u32,
        wh in 0..1_000_000_000_i64,
        error_flags in prop::collection::vec("[a-z_]{1,20}", 0..4),
    ) -> StatusRequest {
        StatusRequest {
            device_id: "IMEI:351234567890123".into(),
            light_id: "SL001".into(),
            timestamp: UtcMillis::from_seconds(at),
            seq,
            status: StatusPart {
                power_state: if on { PowerState::On } else { PowerState::Off },
                brightness,
                temperature_celsius: Some(f64::from(celsius) / 10.0),
                battery_percentage: Some(battery),
                gsm_signal_strength: Some(signal),
                uptime_seconds: uptime,
                error_flags,
            },
            energy: EnergyPart {
                voltage: Some(f64::from(volts) / 10.0),
                current: Some(0.26),
                power_watts: Some(60.0),
                frequency: Some(50.0),
                cumulative_kwh: Some(wh as f64 / 1000.0),
            },
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text in "[\\[{\":,a-z0-9}\\] ]{0,80}", unicode in ".{0,60}") {
        for body in [bytes.as_slice(), text.as_bytes(), unicode.as_bytes()] {
            read_by_all(body);
        }
        let _ = UtcMillis::parse_lenient(&unicode);
    }

    #[test]
    fn a_float_of_c_costs_its_field_and_nothing_else(
        field in prop::sample::select(vec!["voltage", "current", "power_watts", "cumulative_kwh", "brightness", "battery_percentage"]),
        word in prop::sample::select(vec!["nan", "-nan", "NaN", "inf", "-inf", "Infinity", "-Infinity", "1.#QNAN", "nan(ind)"]),
        volts in 0..400_u32,
    ) {
        // A name is said once: the good one goes where the bad one would.
        let status = |bad: &str| {
            let mut body = json!({"timestamp": "2025-12-17T10:30:00Z", "power_state": "on", "voltage": volts, "brightness": 40,
                "message": "nan, [inf] and \\\" nan"});
            body[field] = json!("@");
            body.to_string().replace("\"@\"", bad)
        };
        let (sent, meant) = (status(word), status("\"no number\""));
        let read = status::parse(sent.as_bytes(), NOW).unwrap();
        prop_assert_eq!(&read.messages, &status::parse(meant.as_bytes(), NOW).unwrap().messages);
        prop_assert!(read.messages[0].reading.flags != Default::default(), "{}", sent);
        prop_assert_eq!(read.messages[0].reading.power_state, Some(PowerState::On));
        for body in [format!("[{sent},{sent}]"), format!("{{\"readings\":[{sent}]}}")] {
            prop_assert!(status::parse(body.as_bytes(), NOW).unwrap().messages.iter().all(|m| *m == read.messages[0]));
            prop_assert_eq!(&SyncMessage::parse(body.as_bytes(), NOW).unwrap().statuses[0], &read.messages[0]);
            prop_assert!(status::parse(&body.as_bytes()[..body.len() - 1], NOW).is_err(), "what is broken stays so");
        }
        let configure = ConfigureRequest::parse(format!("{{\"name\":\"x\",\"latitude\":{word},\"longitude\":7.5}}").as_bytes(), NOW);
        prop_assert_eq!(configure.unwrap().name, Some("x".to_owned()));
        let alert = AlertMessage::parse(format!("{{\"type\":\"hot\",\"value\":{word}}}").as_bytes()).unwrap();
        prop_assert_eq!(alert.value, None);
    }

    #[test]
    fn words_of_c_anywhere_are_survived(text in "(\\{|\\}|\\[|\\]|,|:|\"|\\\\|nan|-inf|\"readings\"|\"voltage\"|1\\.#IND| ){0,30}") {
        read_by_all(text.as_bytes());
    }

    #[test]
    fn anything_near_the_contract_is_survived(value in near_the_contract()) {
        read_by_all(value.to_string().as_bytes());
    }

    #[test]
    fn numbers_that_are_times_or_not(number: f64, text in "[-+]?[0-9]{1,6}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:?[0-9]{2})?") {
        for at in [UtcMillis::from_epoch_number(number), UtcMillis::parse_lenient(&text)].into_iter().flatten() {
            prop_assert_eq!(UtcMillis::parse_lenient(&at.to_string()).map(UtcMillis::seconds), Some(at.seconds()));
        }
    }

    #[test]
    fn a_status_is_read_as_it_was_written(request in status_request()) {
        let body = serde_json::to_vec(&request).unwrap();
        let batch = status::parse(&body, NOW).unwrap();
        prop_assert!(!batch.is_list);
        let r = &batch.messages[0].reading;
        prop_assert_eq!(r.flags.0, 0);
        prop_assert_eq!((r.reported_at, r.seq, r.power_state), (request.timestamp, request.seq, Some(request.status.power_state)));
        prop_assert_eq!(f64::from(r.temperature_dc.unwrap()), (request.status.temperature_celsius.unwrap() * 10.0).round());
        prop_assert_eq!(f64::from(r.voltage_dv.unwrap()), (request.energy.voltage.unwrap() * 10.0).round());
        prop_assert_eq!(r.energy_wh.unwrap() as f64, (request.energy.cumulative_kwh.unwrap() * 1000.0).round());
        prop_assert_eq!(r.error_flags.len(), request.status.error_flags.len());
        prop_assert_eq!(serde_json::from_slice::<StatusRequest>(&body).unwrap(), request);
    }

    /// Each good item is read the same, whatever stands beside it.
    #[test]
    fn a_bad_neighbour_costs_nobody(
        good in prop::collection::vec(status_request(), 1..6),
        bad in prop::collection::vec(prop_oneof![
            Just(json!(null)), Just(json!(7)), Just(json!("x")), Just(json!([])), Just(json!({})), Just(json!({"a": 1}))
        ], 0..6),
        order in any::<u64>(),
    ) {
        let alone: Vec<_> = good.iter()
            .map(|g| status::parse(&serde_json::to_vec(g).unwrap(), NOW).unwrap().messages.remove(0))
            .collect();
        let (mut mixed, mut bad_left) = (Vec::new(), bad.clone());
        for (at, g) in good.iter().enumerate() {
            while order >> (at % 60) & 1 == 1 && let Some(b) = bad_left.pop() {
                mixed.push(b);
                if order >> (bad_left.len() % 60) & 1 == 0 { break; }
            }
            mixed.push(serde_json::to_value(g).unwrap());
        }
        mixed.extend(bad_left);
        let batch = status::parse(json!(mixed).to_string().as_bytes(), NOW).unwrap();
        prop_assert_eq!((&batch.messages, batch.quarantined.len()), (&alone, bad.len()));
        let sync = SyncMessage::parse(json!({"acks": bad, "readings": mixed}).to_string().as_bytes(), NOW).unwrap();
        prop_assert_eq!((&sync.statuses, sync.quarantined.len()), (&alone, 2 * bad.len()));
    }

    /// One field spoilt: every other one is read as if it were not.
    #[test]
    fn a_bad_field_costs_itself(
        request in status_request(),
        field in prop::sample::select(vec![
            "/timestamp", "/seq", "/status/power_state", "/status/brightness", "/status/temperature_celsius",
            "/status/battery_percentage", "/status/gsm_signal_strength", "/status/uptime_seconds", "/status/error_flags",
            "/energy/voltage", "/energy/current", "/energy/power_watts", "/energy/frequency", "/energy/cumulative_kwh",
        ]),
        value in near_the_contract(),
    ) {
        let mut body = serde_json::to_value(&request).unwrap();
        let good = status::parse(body.to_string().as_bytes(), NOW).unwrap().messages.remove(0).reading;
        let Some(place) = body.pointer_mut(field) else { return Ok(()) };
        *place = value;
        let mut r = status::parse(body.to_string().as_bytes(), NOW).unwrap().messages.remove(0).reading;
        match field {
            "/timestamp" => r.reported_at = good.reported_at,
            "/seq" => r.seq = good.seq,
            // "error" instead of a state says so in the flags.
            "/status/power_state" => {
                r.power_state = good.power_state;
                r.error_flags = good.error_flags.clone();
            }
            "/status/brightness" => r.brightness_percent = good.brightness_percent,
            "/status/temperature_celsius" => r.temperature_dc = good.temperature_dc,
            "/status/battery_percentage" => r.battery_percent = good.battery_percent,
            "/status/gsm_signal_strength" => r.signal_percent = good.signal_percent,
            "/status/uptime_seconds" => r.uptime_s = good.uptime_s,
            "/status/error_flags" => r.error_flags = good.error_flags.clone(),
            "/energy/voltage" => r.voltage_dv = good.voltage_dv,
            "/energy/current" => r.current_ma = good.current_ma,
            "/energy/power_watts" => r.power_dw = good.power_dw,
            "/energy/frequency" => r.frequency_chz = good.frequency_chz,
            _ => r.energy_wh = good.energy_wh,
        }
        r.flags = good.flags;
        prop_assert_eq!(r, good);
    }

    #[test]
    fn a_sync_is_read_as_it_was_written(
        readings in prop::collection::vec(status_request(), 0..8),
        status in proptest::option::of(status_request()),
        acked in prop::collection::vec(any::<u128>(), 0..4),
    ) {
        let ack = |n: &u128| AckRequest {
            device_id: "IMEI:351234567890123".into(),
            command_id: CommandId::from_random(*n),
            status: AckStatus::Executed,
            execution_timestamp: NOW,
            result: Some(AckResult { new_state: Some(PowerState::On), actual_brightness: Some(40), message: None }),
        };
        let request = SyncRequest {
            device_id: "IMEI:351234567890123".into(),
            acks: acked.iter().map(ack).collect(),
            alerts: Vec::new(),
            status,
            readings,
            logs: Vec::new(),
        };
        let body = serde_json::to_vec(&request).unwrap();
        prop_assert_eq!(&serde_json::from_slice::<SyncRequest>(&body).unwrap(), &request);
        let sections = request.acks.len() + request.readings.len() + usize::from(request.status.is_some());
        let Ok(message) = SyncMessage::parse(&body, NOW) else {
            prop_assert_eq!(sections, 0);
            return Ok(());
        };
        prop_assert!(message.quarantined.is_empty());
        prop_assert_eq!(message.acks.len() + message.statuses.len(), sections);
        let ids: Vec<_> = message.acks.into_iter().filter_map(|a| a.command_id).collect();
        prop_assert_eq!(ids, acked.into_iter().map(CommandId::from_random).collect::<Vec<_>>());
    }
}
