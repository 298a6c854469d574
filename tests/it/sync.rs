//! What piled up while a device was offline, in one request: every section once, in order, whatever the clocks said, and
//! nobody else's.
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::limits::READINGS_PER_REQUEST_MAX;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, CurationStep};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::city::City;
use crate::controller::{Controller, example};
use crate::operator::{device_id, light_id};
use crate::status::gzip;

const DEVICE: &str = "IMEI:351234567890123";
const OTHER: &str = "IMEI:490154203237518";
const GZIP: [(&str, &str); 1] = [("content-encoding", "gzip")];

/// Three hours of readings, the newest first, under every clock a controller may have.
fn three_hours(device: &Controller, with_uptime: bool) -> Vec<Value> {
    let now = device.clock.now();
    (0..360)
        .map(|i| {
            let at = now.plus_seconds(-30 * (i + 1));
            let mut body = device.reading(if i % 2 == 0 { PowerState::On } else { PowerState::Off }, at);
            body["timestamp"] = match i % 5 {
                0 => json!(at.to_string()),
                1 => json!(at.plus_seconds(19_800).to_string().replace('Z', "+05:30")),
                2 => json!(at.to_string().replace('Z', "")),
                3 => json!(UtcMillis::from_seconds(11_000 - 30 * i).to_string()),
                _ => json!(UtcMillis::from_seconds(3_471_292_800 - 30 * i).to_string()),
            };
            body["status"]["uptime_seconds"] = if with_uptime { json!(864_000 - 30 * i) } else { json!(null) };
            body["energy"]["cumulative_kwh"] = json!(1245.67 - i as f64 / 100.0);
            body
        })
        .collect()
}

/// The same in another order, the same one every time.
fn shuffled(readings: &[Value], step: usize) -> Vec<Value> {
    (0..readings.len()).map(|i| readings[(i * step + 17) % readings.len()].clone()).collect()
}

/// A device with the lights SL001 to SL003.
async fn feeder(city: City) -> (City, Controller) {
    let device = city.claimed_device(DEVICE).await;
    let steps: Vec<CurationStep> = ["SL002", "SL003"]
        .map(|light| CurationStep::AddLight {
            light_id: Some(light_id(light)),
            device_id: Some(device_id(DEVICE)),
            curated: Curated::default(),
            created_at: city.clock.now(),
        })
        .into();
    city.store.inner().curate(&steps, &[]).await.unwrap();
    let city = city.restarts().await;
    let device = city.meets(&device);
    (city, device)
}

on_both! {
    async fn three_hours_posted_five_times_at_once_are_stored_once_whatever_the_clocks(engine) {
        for with_uptime in [true, false] {
            let city = City::open(engine).await;
            let device = city.claimed_device(DEVICE).await;
            let readings = three_hours(&device, with_uptime);
            let posts = [7, 11, 13, 77, 359].map(|step| {
                let (device, body) = (device.clone(), json!({"device_id": DEVICE, "readings": shuffled(&readings, step)}));
                async move { device.sends("POST", "sync", &GZIP, gzip(body.to_string().as_bytes())).await.ok() }
            });
            let answers = join_all(posts).await;
            let sum = |field: &str| answers.iter().map(|a| a[field].as_u64().expect("a count")).sum::<u64>();
            assert_eq!((sum("stored"), sum("duplicate"), sum("quarantined")), (360, 4 * 360, 0));
            assert_eq!(city.log().await.len(), 360);
            let newest = city.clock.now().plus_seconds(-30);
            for city in [city.restarts().await] {
                let shown = city.operator().sees("SL001").await.actual.expect("a reading");
                assert_eq!((shown.reported_at, shown.power_state), (newest, Some(PowerState::On)));
                assert_eq!(city.operator().sees_mark("SL001").state.power(), Some(PowerState::On));
            }
        }
    }

    async fn what_is_late_does_not_hide_what_was_said_before_it_came(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let backlog = three_hours(&device, true);
        // The present first, by a clock that is right again; then the past, from before that.
        let now = city.clock.now();
        let mut present = device.reading(PowerState::Off, now);
        present["status"]["uptime_seconds"] = json!(864_030);
        device.posts("status", &present).await.ok();
        city.waits(2);
        assert_eq!(device.posts("sync", &json!({"readings": backlog})).await.ok()["stored"], 360);
        let shown = city.operator().sees("SL001").await.actual.expect("a reading");
        assert_eq!((shown.reported_at, shown.power_state), (now, Some(PowerState::Off)));
        city.waits(30);
        device.reports(PowerState::On).await.ok();
        assert_eq!(city.operator().sees("SL001").await.actual.unwrap().power_state, Some(PowerState::On));
    }

    async fn the_documents_sections_are_taken_and_an_unreadable_item_costs_nobody_else(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let id = city.operator().commands("SL001", CommandKind::Power(PowerState::On)).await;
        device.polls().await;
        let now = city.clock.now();
        let past = |s: i64| device.reading(PowerState::Off, now.plus_seconds(-s));
        let body = json!({
            "acks": [
                {"command_id": id.as_str(), "status": "executed", "execution_timestamp": now.to_string()},
                {"command_id": "CMD_unheard_of", "status": "executed"},
                {"command_id": id.as_str(), "status": "failed"},
                {"status": "executed"},
                17,
            ],
            "alerts": [{"alert_type": "battery_low", "severity": "critical"}, "overheating", [], {"level": "x"}],
            "status": device.reading(PowerState::On, now),
            "readings": [past(30), null, past(60), "on", {"nothing": "of ours"}, past(30)],
            "logs": ["booted", {"level": "warn", "message": "no carrier"}],
        });
        let answer = device.posts("sync", &body).await.ok();
        let count = |field: &str| answer[field].as_u64().expect("an integer at the top");
        assert_eq!((count("stored"), count("duplicate"), count("quarantined")), (3, 1, 7));
        assert_eq!((count("acks"), count("alerts"), count("logs")), (2, 2, 2));
        assert_eq!((count("next_update_seconds"), count("next_poll_seconds")), (30, 10));
        assert_eq!(answer["server_timestamp"], now.to_string());
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Executed, "once, and the first word holds");
        let mut alerts = city.operator().sees_alerts().await;
        alerts.sort();
        let alert = |kind: &str| (kind.to_owned(), 1);
        assert_eq!(alerts, [alert("battery_low"), alert("malformed_messages"), alert("overheating")]);
        let no = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap().no;
        assert_eq!(city.store.inner().quarantined(no, 100).await.unwrap().len(), 7);
        assert_eq!(city.store.inner().device_logs(no, 100).await.unwrap()[0].text, "booted\nwarn no carrier\n");
        // The answer was lost: everything again.
        let again = device.posts("sync", &body).await.ok();
        assert_eq!((&again["stored"], &again["duplicate"], &again["acks"]), (&json!(0), &json!(4), &json!(2)));
        assert_eq!(again["logs"], 0, "one upload of logs a minute");
        assert_eq!(city.log().await.len(), 3);
    }

    async fn the_example_and_every_loose_shape_is_a_sync(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        device.sends("POST", "sync", &[], example("sync-request.json")).await.ok();
        let reading = |s: i64| device.reading(PowerState::On, city.clock.now().plus_seconds(s));
        for (body, stored) in [
            (json!([reading(1), reading(2)]), 2),
            (json!({"readings": [reading(3)]}), 1),
            (json!({"status": reading(4)}), 1),
            (json!({"status": [reading(5), reading(6)]}), 2),
            (reading(7), 1),
            (json!({"readings": []}), 0),
            (json!({"acks": []}), 0),
        ] {
            assert_eq!(device.posts("sync", &body).await.ok()["stored"], stored, "{body}");
        }
        for body in ["", "{", "17", "null", "{}", "{\"a\":1}"] {
            device.sends("POST", "sync", &[], body.into()).await.refused(400, "BAD_REQUEST");
        }
    }

    async fn two_thousand_readings_are_taken_and_one_more_is_not(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let many = |n: usize| {
            let reading = |i| json!({"status": "on", "timestamp": city.clock.now().seconds() - i as i64});
            let body = json!({"readings": (0..n).map(reading).collect::<Vec<_>>()});
            gzip(body.to_string().as_bytes())
        };
        device.sends("POST", "sync", &GZIP, many(READINGS_PER_REQUEST_MAX + 1)).await.refused(400, "BAD_REQUEST");
        assert!(city.log().await.is_empty());
        let answer = device.sends("POST", "sync", &GZIP, many(READINGS_PER_REQUEST_MAX)).await.ok();
        assert_eq!(answer["stored"], READINGS_PER_REQUEST_MAX);
    }

    async fn what_names_another_device_refuses_the_whole_before_anything_is_kept(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let other = city.claimed_device(OTHER).await;
        let id = city.operator().commands("SL001", CommandKind::Power(PowerState::On)).await;
        device.polls().await;
        let whole = json!({
            "acks": [{"command_id": id.as_str(), "status": "executed"}],
            "alerts": [{"alert_type": "battery_low"}],
            "status": device.reading(PowerState::On, city.clock.now()),
            "readings": [device.reading(PowerState::On, city.clock.now().plus_seconds(-30))],
            "logs": ["booted"],
        });
        for (pointer, value) in [
            ("/device_id", json!(OTHER)),
            ("/acks/0/device_id", json!(OTHER)),
            ("/alerts/0/device_id", json!(OTHER)),
            ("/alerts/0/light_id", json!(other.light)),
            ("/status/device_id", json!(OTHER)),
            ("/status/light_id", json!(other.light)),
            ("/readings/0/device_id", json!(OTHER)),
            ("/readings/0/light_id", json!("SL999")),
        ] {
            let mut body = whole.clone();
            let (at, field) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(at).unwrap()[field] = value;
            device.posts("sync", &body).await.refused(403, "DEVICE_MISMATCH");
        }
        assert!(city.log().await.is_empty() && city.operator().sees_alerts().await.is_empty());
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Delivered);
        device.posts("sync", &whole).await.ok();
    }

    async fn lights_of_one_device_may_say_the_same_at_the_same_time(engine) {
        let (city, device) = feeder(City::open(engine).await).await;
        let at = city.clock.now();
        let of = |light: &str| {
            let mut one = device.reading(PowerState::On, at);
            one["light_id"] = json!(light);
            one
        };
        let three = json!({"readings": [of("SL001"), of("SL002"), of("SL003"), of("SL002")]});
        let answer = device.posts("sync", &three).await.ok();
        assert_eq!((&answer["stored"], &answer["duplicate"]), (&json!(3), &json!(1)));
        let answer = device.posts("status", &three).await.ok();
        assert_eq!((&answer["stored"], &answer["duplicate"]), (&json!(0), &json!(4)));
        let flat = json!({"timestamp": at.plus_seconds(30).to_string(), "lights": [
            {"light_id": "SL001", "status": "on"}, {"light_id": "SL002", "status": "off"}, {"light_id": "SL003", "status": "on"}]});
        assert_eq!(device.posts("status", &flat).await.ok()["stored"], 3);
        let power = async |light: &str| city.operator().sees(light).await.actual.unwrap().power_state;
        assert_eq!((power("SL001").await, power("SL002").await), (Some(PowerState::On), Some(PowerState::Off)));
        // Each light has its own commands.
        let off = CommandKind::Power(PowerState::Off);
        let ids = [city.operator().commands("SL001", off).await, city.operator().commands("SL003", off).await];
        let mut given = device.polls().await;
        given.sort();
        let mut wanted = ids.map(|id| id.to_string());
        wanted.sort();
        assert_eq!(given, wanted);
    }

    async fn a_sync_brings_a_fresh_token_and_takes_an_old_one(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let body = |device: &Controller| json!({"readings": [device.reading(PowerState::On, device.clock.now())]});
        assert!(device.posts("sync", &body(&device)).await.ok().get("device_token").is_none());
        city.waits(8 * 86_400);
        device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        let answer = device.posts("sync", &body(&device)).await.ok();
        device.token = answer["device_token"].as_str().map(str::to_owned);
        device.asks_for_commands().await.ok();
    }
}
