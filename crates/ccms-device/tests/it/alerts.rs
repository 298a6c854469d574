//! §9: what is told to `alert`, and how often; and the other things for people's sake, logs and the firmware report.
use ccms_core::reading::PowerState;
use ccms_device::{Input, Kind, Progress, Technician};
use serde_json::{Value, json};

use crate::bench::*;

fn told(b: &Bench) -> Vec<(String, String)> {
    let text = |s: &Value, name: &str| s[name].as_str().unwrap().to_owned();
    b.of(Kind::Alert).into_iter().map(|s| (text(&s.json, "alert_type"), text(&s.json, "severity"))).collect()
}

fn worsen(b: &mut Bench, kind: &str) {
    match kind {
        "battery_low" => b.sensors.battery_percent = 9,
        "overheating" => b.sensors.temperature_dc = 651,
        "poor_signal" => b.sensors.signal_percent = 9,
        "device_fault" => b.sensors.critical = true,
        flag => b.sensors.error_flags = vec![flag.into()],
    }
}

#[test]
fn each_threshold_of_the_document_is_told_once() {
    for (kind, severity, value) in [
        ("battery_low", "critical", json!(9.0)),
        ("overheating", "critical", json!(65.1)),
        ("poor_signal", "warning", json!(9.0)),
        ("lamp_failure", "warning", Value::Null),
        ("device_fault", "critical", Value::Null),
    ] {
        let mut b = Bench::ready(EVENING);
        (b.sensors.battery_percent, b.sensors.temperature_dc, b.sensors.signal_percent) = (10, 650, 10);
        b.run_ms(10 * MINUTE_MS, &mut good);
        assert!(told(&b).is_empty(), "{kind} at its very threshold");
        b.sensors = sensors();
        worsen(&mut b, kind);
        b.run_ms(HOUR_MS, &mut good);
        assert_eq!(told(&b), [(kind.to_owned(), severity.to_owned())]);
        let alert = &b.of(Kind::Alert)[0].json;
        assert_eq!((&alert["light_id"], &alert["value"]), (&json!("SL001"), &value));
        assert_eq!(b.device.unsent_alerts(), 0);
        // Over, and again.
        b.sensors = sensors();
        b.run_ms(10 * MINUTE_MS, &mut good);
        worsen(&mut b, kind);
        b.run_ms(10 * MINUTE_MS, &mut good);
        assert_eq!(told(&b).len(), 2, "{kind}");
    }
}

#[test]
fn what_flaps_around_a_threshold_is_told_once_and_in_any_case_every_five_minutes_at_most() {
    let mut b = Bench::ready(EVENING);
    for n in 0..120 {
        b.sensors.battery_percent = 9 + n % 3;
        b.run_ms(30 * SECOND_MS, &mut good);
    }
    assert_eq!(told(&b).len(), 1, "not well back in between");
    let mut b = Bench::ready(EVENING);
    for n in 0..120 {
        b.sensors.battery_percent = if n % 2 == 0 { 9 } else { 50 };
        b.run_ms(30 * SECOND_MS, &mut good);
    }
    assert!((10..=12).contains(&told(&b).len()), "{} in an hour", told(&b).len());
    // However many things a broken sensor invents.
    let mut b = Bench::ready(EVENING);
    for n in 0..500 {
        b.sensors.error_flags = vec![format!("ghost_{n}")];
        b.handle(Input::Sensors(b.sensors.clone()));
    }
    assert!(b.device.unsent_alerts() <= 20, "{}", b.device.unsent_alerts());
}

#[test]
fn an_alert_climbs_the_ladder_and_survives_a_power_cut() {
    let mut b = Bench::ready(EVENING);
    b.sensors.temperature_dc = 700;
    b.run_ms(2 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Alert => Reply::Silence,
        _ => good(seen),
    });
    // After 5, 15 and 30 s, and the timeout of each.
    assert_eq!(b.of(Kind::Alert).len(), 4, "{:?}", b.gaps_s(Kind::Alert));
    b.cut_power(SECOND_MS);
    b.forget();
    b.sensors = sensors();
    b.run_ms(MINUTE_MS, &mut good);
    let sync = b.of(Kind::Sync)[0];
    assert_eq!((sync.count("alerts"), &sync.json["alerts"][0]["alert_type"]), (1, &json!("overheating")));
    assert_eq!(b.saved.alerts.len(), 0);
}

#[test]
fn logs_go_at_once_after_a_failure_then_hourly_and_never_more_than_once_a_minute() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(2 * HOUR_MS, &mut good);
    assert!(b.of(Kind::Logs).is_empty(), "nothing to tell");
    b.sensors.critical = true;
    b.sensors.error_flags = vec!["relay_fault".into()];
    b.run_ms(20 * SECOND_MS, &mut good);
    assert_eq!(b.of(Kind::Logs).len(), 1);
    let lines = b.of(Kind::Logs)[0].json["logs"].as_array().unwrap();
    assert!(lines.iter().any(|l| l["message"] == "critical failure: relay_fault" && l["level"] == "error"));
    for n in 0..120 {
        b.sensors.critical = n % 2 == 0;
        b.run_ms(10 * SECOND_MS, &mut good);
    }
    assert!(b.gaps_s(Kind::Logs).iter().all(|gap| *gap >= 60), "{:?}", b.gaps_s(Kind::Logs));
    assert!(b.of(Kind::Logs).len() >= 3);
}

#[test]
fn the_firmware_is_reported_once_after_each_change_and_an_installation_as_it_goes() {
    let mut b = Bench::new(MORNING);
    b.run_ms(MINUTE_MS, &mut good);
    b.cut_power(SECOND_MS);
    b.run_ms(MINUTE_MS, &mut good);
    let reports = b.of(Kind::Firmware);
    assert_eq!(reports.len(), 1, "told once");
    assert_eq!((&reports[0].json["state"], &reports[0].json["progress"]), (&json!("running"), &json!(100)));
    assert_eq!(reports[0].request.kind.method().as_str(), "PUT");
    b.config.firmware_version = "v9.9".into();
    b.cut_power(SECOND_MS);
    b.forget();
    // Refused connections climb the ladder.
    b.run_ms(30 * SECOND_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Firmware => error(500, 0),
        _ => good(seen),
    });
    assert_eq!(b.of(Kind::Firmware).len(), 3);
    b.run_ms(2 * MINUTE_MS, &mut good);
    assert_eq!(b.of(Kind::Firmware)[3].json["firmware_version"], "v9.9");
    b.forget();
    for percent in [10, 60] {
        let progress = Progress { state: "downloading".into(), percent: Some(percent), message: None };
        b.handle(Input::Firmware(progress));
    }
    b.run_ms(MINUTE_MS, &mut |seen: &Seen| {
        let mut body = good_body(seen);
        if seen.kind() == Kind::Firmware {
            body["update"] = json!({"version": "v10"});
        }
        Reply::Answer(200, body)
    });
    let told: Vec<&Value> = b.of(Kind::Firmware).into_iter().map(|s| &s.json["progress"]).collect();
    assert_eq!(told, [&json!(10), &json!(60)]);
    assert!(b.logs.iter().any(|l| l.contains("an update is offered")));
}

#[test]
fn a_technician_asks_how_the_server_sees_the_device() {
    let mut b = Bench::ready(EVENING);
    b.technician(Technician::AskHealth);
    b.run_ms(MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Health => Reply::Answer(
            200,
            json!({"status": "ok", "indicator": "green", "last_status_at": "2025-12-17T10:30:35Z", "pending_commands": 2}),
        ),
        _ => good(seen),
    });
    assert_eq!(b.of(Kind::Health).len(), 1);
    let words = "The server sees green; last status 2025-12-17T10:30:35Z; 2 commands wait";
    assert_eq!(b.shown.last().unwrap().text, words);
    assert_eq!(b.lamp().0, PowerState::On);
}
