//! Statuses over the wire: every shape, told once, in any order, by any clock.
use std::io::Write;

use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::city::City;

const DEVICE: &str = "IMEI:351234567890123";

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

on_both! {
    async fn the_same_status_again_is_counted_and_stored_once(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let at = city.clock.now();
        device.reports_at(PowerState::On, at).await.ok();
        city.waits(5);
        device.reports_at(PowerState::On, at).await.ok();
        let body = json!([device.reading(PowerState::On, at), device.reading(PowerState::Off, at)]);
        let answer = device.posts("status", &body).await.ok();
        assert_eq!((&answer["stored"], &answer["duplicate"], &answer["quarantined"]), (&json!(1), &json!(1), &json!(0)));
        assert_eq!(city.log().await.len(), 2, "same time, other content: two readings");

        let numbered = |seq: u32| {
            let mut one = device.reading(PowerState::On, at.plus_seconds(9));
            one["seq"] = json!(seq);
            one
        };
        let answer = device.posts("status", &json!({"readings": [numbered(1), numbered(2), numbered(1)]})).await.ok();
        assert_eq!((&answer["stored"], &answer["duplicate"]), (&json!(2), &json!(1)));
        let city = city.crashes().await;
        let device = city.meets(&device);
        let answer = device.posts("status", &json!({"readings": [numbered(2)]})).await.ok();
        assert_eq!((&answer["stored"], &answer["duplicate"]), (&json!(0), &json!(1)), "known after a crash too");
        assert_eq!(city.log().await.len(), 4);
    }

    /// I9.
    async fn late_data_never_rewinds_what_is_shown(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let now = city.clock.now();
        device.reports_at(PowerState::On, now).await.ok();
        device.reports_at(PowerState::Off, now.plus_seconds(-3600)).await.ok();
        let shown = |city: &City| {
            let operator = city.operator();
            async move { (operator.sees("SL001").await.actual.unwrap().reported_at, operator.sees_mark("SL001").state.power()) }
        };
        assert_eq!(shown(&city).await, (now, Some(PowerState::On)));
        assert_eq!(city.log().await.len(), 2, "it is kept all the same");
        let city = city.restarts().await;
        assert_eq!(shown(&city).await, (now, Some(PowerState::On)));
        let city = city.crashes().await;
        assert_eq!(shown(&city).await, (now, Some(PowerState::On)));
        city.meets(&device).reports_at(PowerState::Off, now.plus_seconds(-1)).await.ok();
        assert_eq!(shown(&city).await, (now, Some(PowerState::On)));
    }

    /// A controller without a clock is heard, and what it says now counts as now.
    async fn a_clock_of_1970_or_2080_or_none_is_accepted(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.reports(PowerState::On).await.ok();
        city.waits(30);
        device.reports_at(PowerState::Off, UtcMillis::from_seconds(12)).await.ok();
        let seen = city.operator().sees("SL001").await.actual.unwrap();
        assert_eq!((seen.power_state, seen.reported_at), (Some(PowerState::Off), UtcMillis::from_seconds(12)));
        assert_eq!((seen.received_at, seen.flags), (city.clock.now(), vec!["clock_suspect".to_owned()]));
        city.waits(30);
        device.reports_at(PowerState::On, UtcMillis::from_seconds(3_471_292_800)).await.ok();
        city.waits(30);
        device.reports(PowerState::Off).await.ok();
        let seen = city.operator().sees("SL001").await.actual.unwrap();
        assert_eq!((seen.power_state, seen.flags.len()), (Some(PowerState::Off), 0), "2080 does not hide what follows");
        city.waits(30);
        for timestamp in [json!(null), json!("yesterday"), json!({}), json!(true)] {
            let mut body = device.reading(PowerState::On, city.clock.now());
            body["timestamp"] = timestamp;
            city.waits(1);
            device.posts("status", &body).await.ok();
            let seen = city.operator().sees("SL001").await.actual.unwrap();
            assert_eq!((seen.reported_at, seen.flags), (city.clock.now(), vec!["clock_missing".to_owned()]));
        }
    }

    async fn every_shape_is_read(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let at = |s: i64| city.clock.now().plus_seconds(s);
        let flat = |s: i64| json!({"light_id": "SL001", "status": "on", "brightness": 85, "battery": 95, "timestamp": at(s).to_string()});
        let nested = |s: i64| device.reading(PowerState::On, at(s));
        let shapes: [(Value, Option<u64>); 7] = [
            (nested(1), None),
            (flat(2), None),
            (json!([nested(3), flat(4)]), Some(2)),
            (json!({"readings": [flat(5), nested(6)]}), Some(2)),
            (json!([flat(7)]), Some(1)),
            (json!({"readings": []}), Some(0)),
            (json!([]), Some(0)),
        ];
        for (shape, stored) in shapes {
            let answer = device.posts("status", &shape).await.ok();
            assert_eq!(answer["stored"].as_u64(), stored, "{shape}");
        }
        let spaced = format!(" {{ \"readings\" : [{}] }}", flat(8));
        assert_eq!(device.sends("POST", "status", &[], spaced.into_bytes()).await.ok()["stored"], 1);
        let log = city.log().await;
        assert_eq!(log.len(), 8);
        assert!(log.iter().all(|row| row.reading.brightness_percent.is_some() && row.reading.flags.0 == 0));
    }

    async fn a_packed_body_is_unpacked_on_every_route(engine) {
        let city = City::open(engine).await;
        let mut device = city.device(DEVICE);
        let packed = [("content-encoding", "gzip")];
        let introduction = gzip(device.introduction().to_string().as_bytes());
        let configured = device.sends("POST", "configure", &packed, introduction).await.ok();
        device.token = configured["device_token"].as_str().map(str::to_owned);
        device.light = "SL001".into();
        let many: Vec<Value> = (0..360).map(|i| device.reading(PowerState::On, city.clock.now().plus_seconds(-30 * i))).collect();
        let plain = json!({"readings": many}).to_string().into_bytes();
        let body = gzip(&plain);
        assert!(body.len() * 10 < plain.len());
        assert_eq!(device.sends("POST", "status", &packed, body.clone()).await.ok()["stored"], 360);
        // Names of codings know no case.
        assert_eq!(device.sends("POST", "status", &[("content-encoding", "GZip")], body).await.ok()["duplicate"], 360);
        let ack = gzip(json!({"command_id": "CMD_1", "status": "executed"}).to_string().as_bytes());
        assert_eq!(device.sends("POST", "command-ack", &packed, ack).await.ok()["ignored"], true);
    }

    /// One bad sensor costs its own field.
    async fn a_part_that_cannot_be_true_is_flagged_and_the_rest_kept(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let bad: [(&str, &str, Value, &str); 11] = [
            ("status", "power_state", json!("dim"), "bad_power_state"),
            ("status", "brightness", json!(101), "bad_brightness"),
            ("status", "temperature_celsius", json!("hot"), "bad_temperature"),
            ("status", "battery_percentage", json!(-1), "bad_battery"),
            ("status", "gsm_signal_strength", json!([85]), "bad_signal"),
            ("status", "uptime_seconds", json!(1e39), "bad_uptime"),
            ("status", "error_flags", json!("none"), "bad_error_flags"),
            ("energy", "voltage", json!("NaN"), "bad_voltage"),
            ("energy", "current", json!(-0.1), "bad_current"),
            ("energy", "power_watts", json!({"w": 60}), "bad_power"),
            ("energy", "cumulative_kwh", json!(-1245.67), "bad_energy"),
        ];
        for (part, field, value, flag) in bad {
            city.waits(1);
            let mut body = device.reading(PowerState::On, city.clock.now());
            body[part][field] = value;
            device.posts("status", &body).await.ok();
            let seen = city.operator().sees("SL001").await.actual.unwrap();
            assert_eq!(seen.flags, [flag], "{field}");
            assert_eq!(seen.frequency_hz, Some(50.0), "the rest of the reading is kept");
        }
        // What printf of a float that was never measured writes is no JSON.
        for word in ["nan", "-nan", "NaN", "inf", "-Infinity"] {
            city.waits(1);
            let mut body = device.reading(PowerState::On, city.clock.now());
            body["energy"]["voltage"] = json!("@");
            let body = body.to_string().replace("\"@\"", word).into_bytes();
            device.sends("POST", "status", &[], body).await.ok();
            let seen = city.operator().sees("SL001").await.actual.unwrap();
            assert_eq!((seen.flags, seen.frequency_hz), (vec!["bad_voltage".into()], Some(50.0)), "{word}");
        }
        city.waits(1);
        let mut body = device.reading(PowerState::On, city.clock.now());
        body["status"]["brightness"] = json!(85.0);
        body["status"]["gsm_signal_strength"] = json!(-82);
        body["unheard_of"] = json!({"deep": [1, {"x": null}]});
        body["energy"]["reactive"] = json!("?");
        device.posts("status", &body).await.ok();
        let seen = city.operator().sees("SL001").await.actual.unwrap();
        assert_eq!((seen.brightness_percent, seen.signal_percent, seen.flags.len()), (Some(85), Some(50), 0));
    }

    async fn the_server_paces_by_battery_and_heat(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        for (battery, celsius, update, poll) in [(95, 42.5, 30, 10), (19, 42.5, 60, 60), (20, 60.1, 10, 10), (95, 60.0, 30, 10)] {
            city.waits(1);
            let mut body = device.reading(PowerState::On, city.clock.now());
            body["status"]["battery_percentage"] = json!(battery);
            body["status"]["temperature_celsius"] = json!(celsius);
            let answer = device.posts("status", &body).await.ok();
            assert_eq!((&answer["next_update_seconds"], &answer["next_poll_seconds"]), (&json!(update), &json!(poll)));
        }
    }

    /// The rule that lets 100,000 devices poll every ten seconds.
    async fn an_empty_poll_asks_the_database_nothing(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.reports(PowerState::On).await.ok();
        // The service's own tasks may call the store meanwhile; a broken one shows that no poll needs it.
        city.store.fails(true);
        for _ in 0..50 {
            city.waits(10);
            assert!(device.polls().await.is_empty());
        }
        city.store.fails(false);
        eventually_quiet(&city).await;
        let calls = city.store.calls();
        for _ in 0..50 {
            assert!(device.polls().await.is_empty());
        }
        assert_eq!(city.store.calls(), calls);
    }
}

/// Lets what the start set off be over: the removal of old sessions, the first checkpoint.
async fn eventually_quiet(city: &City) {
    let mut before = u64::MAX;
    crate::city::eventually("the store is left alone", || {
        let calls = city.store.calls();
        let quiet = std::mem::replace(&mut before, calls) == calls;
        async move { quiet }
    })
    .await;
}
