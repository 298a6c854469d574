//! Lights, devices, commands and alerts as another system reads and changes them.
use ccms_core::reading::PowerState;
use ccms_service::Scope;
use ccms_store::{AuditEntry, Curated, NewDevice};
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::city::{City, eventually};

const DEVICE: &str = "IMEI:351234567890123";

fn place(n: u32) -> Value {
    json!({
        "device_id": format!("IMEI:35123456789{n:04}"), "light_id": format!("SL{n:03}"), "name": format!("Main Road {n}"),
        "latitude": 28.0 + f64::from(n) / 100.0, "longitude": 77.0, "zone": if n.is_multiple_of(2) { "north" } else { "south" },
    })
}

fn ids(list: &Value) -> Vec<String> {
    list["items"].as_array().unwrap().iter().map(|l| l["light_id"].as_str().unwrap().to_owned()).collect()
}

on_both! {
    async fn lights_are_found_by_place_words_and_pages(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        for n in 1..=5 {
            admin.posts("devices", &place(n)).await.done(201);
        }
        let (mut seen, mut path) = (Vec::new(), "lights?limit=2".to_owned());
        loop {
            let page = admin.gets(&path).await.done(200);
            seen.extend(ids(&page));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            path = format!("lights?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ["SL001", "SL002", "SL003", "SL004", "SL005"]);
        for (query, found) in [
            ("bbox=76.9,28.015,77.1,28.035", vec!["SL002", "SL003"]),
            ("bbox=170,-90,-170,90", vec![]),
            ("q=main%20road%204", vec!["SL004"]),
            ("q=sl00&indicator=gray&limit=1", vec!["SL001"]),
            ("indicator=red", vec![]),
        ] {
            assert_eq!(ids(&admin.gets(&format!("lights?{query}")).await.done(200)), found, "{query}");
        }
        for query in [
            "limit=0", "limit=501", "limit=x", "limit=1&limit=2", "cursor=%21", "cursor=abc", "indicator=blue", "bbox=1,2,3",
            "bbox=1,2,3,x", "bbox=0,91,0,92", "bbox=0,5,0,4", "page=1",
        ] {
            let answer = admin.gets(&format!("lights?{query}")).await;
            assert_eq!(answer.status, 400, "{query}");
            answer.problem(400);
        }
    }
}

on_both! {
    async fn a_light_shows_what_is_curated_reported_and_live(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let new = json!({"device_id": DEVICE, "light_id": "SL001", "name": "Main Road", "latitude": 28.6, "longitude": 77.2,
            "wattage": 70, "claim_hours": 1});
        let made = admin.posts("devices", &new).await;
        assert_eq!(made.header("location"), Some("/api/v1/devices/IMEI:351234567890123"));
        assert_eq!(made.done(201)["state"], "registered");
        let before = admin.gets("lights/SL001").await.done(200);
        assert_eq!((before["live"]["indicator"].as_str(), &before["live"]["actual"]), (Some("gray"), &Value::Null));

        let mut device = city.device(DEVICE);
        device.configures().await.ok();
        device.reports(PowerState::On).await.ok();
        let order = json!({"light_ids": ["SL001"], "command_type": "brightness_control", "brightness_level": 40, "reason": "test"});
        let command = admin.posts("commands", &order).await.done(201)["items"][0].clone();
        let light = admin.gets("lights/SL001").await.done(200);
        assert_eq!((light["name"].as_str(), light["wattage"].as_f64()), (Some("Main Road"), Some(70.0)));
        assert_eq!(light["reported"]["device_type"], device.introduction()["device_type"]);
        let live = &light["live"];
        assert_eq!((live["power_state"].as_str(), live["brightness"].as_u64()), (Some("on"), Some(100)));
        assert_eq!((live["online"].as_bool(), live["indicator"].as_str()), (Some(true), Some("green")));
        assert!(live["energy"]["voltage"].as_f64().is_some_and(|v| v > 100.0));
        assert_eq!(live["target"]["source"], "command");
        assert_eq!((live["target"]["brightness"].as_u64(), &live["target"]["command_id"]), (Some(40), &command["command_id"]));
        assert_eq!(live["in_effect"]["source"], "schedule");
        assert_eq!(live["actual"]["brightness"], 100);

        let id = command["command_id"].as_str().unwrap();
        device.polls().await;
        device.acknowledges(id, "executed").await.ok();
        let told = admin.gets(&format!("commands/{id}")).await.done(200);
        assert_eq!((told["state"].as_str(), told["reason"].as_str()), (Some("executed"), Some("test")));
        for step in ["requested_at", "delivered_at", "executed_at", "finished_at", "execution_timestamp"] {
            assert!(told[step].is_string(), "{step} of {told}");
        }
        assert!(told["unverified_at"].is_null(), "{told}");
        let live = admin.gets("lights/SL001").await.done(200)["live"].clone();
        assert_eq!((live["in_effect"]["source"].as_str(), live["in_effect"]["brightness"].as_u64()), (Some("override"), Some(40)));
        assert!(live["in_effect"]["until"].is_string());
        // What was executed is known after a restart as well.
        let (proof, city) = (admin.proof.clone(), city.restarts().await);
        let admin = Integrator::anonymous(&city).with_proof(proof);
        let again = admin.gets("lights/SL001").await.done(200);
        assert_eq!(again["live"]["in_effect"], live["in_effect"]);
        let device = admin.gets(&format!("devices/{DEVICE}")).await.done(200);
        assert_eq!((device["state"].as_str(), device["light_id"].as_str()), (Some("claimed"), Some("SL001")));
        assert!(device["last_seen"].is_string() && device["claimed_at"].is_string());
    }
}

on_both! {
    /// The device's clock is years away, and its first word comes without a token: every step has our own time.
    async fn every_step_of_a_command_has_the_servers_time(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let mut device = city.claimed_device(DEVICE).await;
        let order = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "off"});
        let command = admin.posts("commands", &order).await.done(201)["items"][0].clone();
        let path = format!("commands/{}", command["command_id"].as_str().unwrap());
        let now = || serde_json::to_value(city.clock.now()).unwrap();
        let at_request = now();
        city.waits(10);
        let at_delivery = now();
        device.polls().await;
        city.waits(10);
        let at_ack = now();
        let said = "2019-02-03T04:05:06Z";
        let ack = json!({"command_id": command["command_id"], "status": "executed", "execution_timestamp": said});
        device.without_token().posts("command-ack", &ack).await.ok();
        let told = admin.gets(&path).await.done(200);
        assert_eq!(told["state"], "unverified");
        assert_eq!((&told["requested_at"], &told["delivered_at"], &told["unverified_at"]), (&at_request, &at_delivery, &at_ack));
        assert_eq!((&told["executed_at"], &told["finished_at"]), (&Value::Null, &Value::Null));
        let claimed = told["execution_timestamp"].as_str().unwrap().to_owned();
        assert!(claimed.starts_with("2019-02-03T04:05:06"), "{told}");
        city.waits(10);
        let at_status = now();
        device.reports(PowerState::Off).await.ok();
        eventually("the command is executed", async || admin.gets(&path).await.done(200)["state"] == "executed").await;
        let told = admin.gets(&path).await.done(200);
        assert_eq!((told["state"].as_str(), told["execution_timestamp"].as_str()), (Some("executed"), Some(claimed.as_str())));
        assert_eq!((&told["delivered_at"], &told["unverified_at"]), (&at_delivery, &at_ack));
        assert_eq!((&told["executed_at"], &told["finished_at"]), (&at_status, &at_status));
    }
}

on_both! {
    async fn devices_are_read_page_by_page(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let north = Integrator::zoned(&city, Scope::Read, Some("north")).await;
        for n in 1..=7 {
            admin.posts("devices", &place(n)).await.done(201);
        }
        let all = |who: &Integrator, query: &'static str| {
            let who = who.clone();
            async move {
                let (mut seen, mut pages, mut path) = (Vec::new(), 0, format!("devices?{query}"));
                loop {
                    let page = who.gets(&path).await.done(200);
                    let items = page["items"].as_array().unwrap();
                    seen.extend(items.iter().map(|d| d["light_id"].as_str().unwrap_or("none").to_owned()));
                    pages += 1;
                    let Some(cursor) = page["next_cursor"].as_str() else { return (seen.join(" "), pages) };
                    path = format!("devices?{query}&cursor={cursor}");
                }
            }
        };
        admin.posts("devices/IMEI:351234567890003/revoke", &json!({})).await.done(200);
        assert_eq!(all(&admin, "limit=3").await, ("SL001 SL002 SL003 SL004 SL005 SL006 SL007".into(), 3));
        assert_eq!(all(&admin, "limit=7").await.1, 1, "the last page says so");
        assert_eq!(all(&admin, "limit=2&state=registered").await, ("SL001 SL002 SL004 SL005 SL006 SL007".into(), 3));
        assert_eq!(all(&admin, "limit=1&q=sl00").await.0, "SL001 SL002 SL003 SL004 SL005 SL006 SL007");
        assert_eq!(all(&north, "limit=2").await.0, "SL002 SL004 SL006");
        assert_eq!(all(&north, "q=sl003").await.0, "");
    }
}

on_both! {
    async fn what_is_registered_beside_a_running_server_is_seen_soon(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let beside = async |device: &str, light: &str| {
            let new = NewDevice {
                device_id: device.parse().unwrap(),
                light_id: Some(light.parse().unwrap()),
                curated: Curated::default(),
                claim_until: None,
                created_at: city.clock.now(),
            };
            let entry = AuditEntry {
                at: city.clock.now(),
                actor: "command line".into(),
                action: "device.register".into(),
                target: device.into(),
                detail: json!({}),
            };
            city.store.inner().register_device(new, &entry).await.unwrap();
        };
        beside("IMEI:1", "SL001").await;
        // The server registers one itself before it looked again.
        admin.posts("devices", &json!({"device_id": "IMEI:2", "light_id": "SL002"})).await.done(201);
        beside("IMEI:3", "SL003").await;
        let listed = admin.gets("devices?q=sl00&state=registered").await.done(200);
        assert_eq!(ids(&listed), ["SL001", "SL002", "SL003"], "at once");
        city.ccms.learn_new_lights().await.unwrap();
        assert_eq!(ids(&admin.gets("lights").await.done(200)), ["SL001", "SL002", "SL003"]);
        assert_eq!(admin.gets("lights/SL003").await.done(200)["device_id"], "IMEI:3");
        let order = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on"});
        admin.posts("commands", &order).await.done(201);
        let calls = city.store.calls();
        city.ccms.learn_new_lights().await.unwrap();
        assert!(city.store.calls() - calls <= 2, "one look when there is nothing new");
    }
}

on_both! {
    async fn a_correction_is_refused_when_another_came_in_between(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        admin.posts("devices", &place(1)).await.done(201);
        let first = admin.gets("lights/SL001").await;
        let tag = first.header("etag").expect("an entity tag").to_owned();
        let unchanged = admin.sends("GET", "lights/SL001", &[("if-none-match", &tag)], Vec::new()).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        let changed = admin.patches("lights/SL001", &[("if-match", &tag)], &json!({"name": "Mill Lane", "wattage": 55.5})).await;
        let new_tag = changed.header("etag").expect("an entity tag").to_owned();
        assert_ne!(tag, new_tag);
        let light = changed.done(200);
        assert_eq!((light["name"].as_str(), light["zone"].as_str(), light["wattage"].as_f64()), (Some("Mill Lane"), Some("south"), Some(55.5)));
        admin.patches("lights/SL001", &[("if-match", &tag)], &json!({"name": "Too late"})).await.problem(412);
        admin.patches("lights/SL001", &[("if-match", "*")], &json!({"wattage": null})).await.done(200);
        assert_eq!(admin.gets("lights/SL001").await.done(200)["wattage"], Value::Null);
        for (body, field) in [
            (json!({"latitude": 91}), "latitude"), (json!({"longitude": -181}), "longitude"), (json!({"wattage": -1}), "wattage"),
            (json!({"name": "x".repeat(121)}), "name"), (json!({"pole": "a\nb"}), "pole"),
        ] {
            let problem = admin.patches("lights/SL001", &[], &body).await.problem(422);
            assert_eq!(problem["errors"][0]["field"], field);
        }
        admin.patches("lights/SL001", &[], &json!({"nmae": "x"})).await.problem(422);
        for list in [json!([1]), json!([null, null]), json!([])] {
            admin.patches("lights/SL001", &[], &list).await.problem(422);
        }
        admin.sends("PATCH", "lights/SL001", &[("content-type", "application/json")], b"{".to_vec()).await.problem(400);
        admin.sends("PATCH", "lights/SL001", &[("content-type", "text/plain")], b"{}".to_vec()).await.problem(415);
        admin.sends("PATCH", "lights/SL001", &[], vec![b' '; 300_000]).await.problem(413);
        admin.patches("lights/SL999", &[], &json!({})).await.problem(404);
    }
}

on_both! {
    async fn commands_are_checked_cancelled_and_all_or_none(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        admin.posts("devices", &place(1)).await.done(201);
        admin.posts("devices", &place(2)).await.done(201);
        let on = |lights: &[&str]| json!({"light_ids": lights, "command_type": "power_control", "action": "on"});
        let both = admin.posts("commands", &on(&["SL002", "SL001"])).await.done(201);
        assert_eq!(ids(&both), ["SL002", "SL001"]);
        admin.posts("commands", &on(&["SL001", "SL999"])).await.problem(404);
        let id = both["items"][1]["command_id"].as_str().unwrap();
        let state = |c: &Value| c["state"].as_str().unwrap().to_owned();
        assert_eq!(state(&admin.gets(&format!("commands/{id}")).await.done(200)), "queued", "a command for none changes nothing");
        let cancel = || admin.sends("POST", "commands/X/cancel", &[], Vec::new());
        cancel().await.problem(404);
        let cancel = || async { admin.sends("POST", &format!("commands/{id}/cancel"), &[], Vec::new()).await };
        assert_eq!(state(&cancel().await.done(200)), "cancelled");
        cancel().await.problem(409);
        let night = json!({"enabled": true, "sunrise_time": "06:00:00", "sunset_time": "18:00:00"});
        admin.posts("commands", &json!({"light_ids": ["SL001"], "command_type": "schedule_update", "schedule": night})).await.done(201);
        for body in [
            json!({}), on(&[]), json!({"light_ids": ["SL001"], "command_type": "dance"}),
            json!({"light_ids": ["SL001"], "command_type": "power_control"}),
            json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "maybe"}),
            json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on", "brightness_level": 5}),
            json!({"light_ids": ["SL001"], "command_type": "brightness_control", "brightness_level": 101}),
            json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on", "expires_in_seconds": 0}),
            json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on", "expires_in_seconds": 99_999_999}),
            json!({"light_ids": ["SL001"], "command_type": "schedule_update", "schedule": [true, "06:00:00", "18:00:00"]}),
            json!({"light_ids": "SL001", "command_type": "power_control", "action": "on"}),
        ] {
            admin.posts("commands", &body).await.problem(422);
        }
    }
}

on_both! {
    async fn devices_are_let_in_turned_away_revoked_and_swapped(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let mut device = city.device(DEVICE);
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        let states = |list: &Value| -> Vec<String> {
            list["items"].as_array().unwrap().iter().map(|d| d["state"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(states(&admin.gets("devices?state=pending").await.done(200)), ["pending"]);
        let act = |what: &str| {
            let path = format!("devices/{DEVICE}/{what}");
            let admin = admin.clone();
            async move { admin.sends("POST", &path, &[], Vec::new()).await }
        };
        assert_eq!(act("reject").await.done(200)["state"], "revoked");
        act("reject").await.problem(409);
        assert_eq!(act("approve").await.done(200)["state"], "registered");
        device.configures().await.ok();
        act("approve").await.problem(409);
        assert!(act("allow-reclaim").await.done(200)["reclaim_until"].is_string());
        let new = "IMEI:351234567890999";
        let swap = format!("devices/{DEVICE}/swap");
        admin.posts(&swap, &json!({"new_device_id": DEVICE})).await.problem(409);
        let taker = admin.posts(&swap, &json!({"new_device_id": new})).await.done(200);
        assert_eq!((taker["device_id"].as_str(), taker["light_id"].as_str()), (Some(new), Some("SL001")));
        device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        assert_eq!(admin.gets(&format!("devices/{DEVICE}")).await.done(200)["state"], "revoked");
        assert_eq!(admin.gets("lights/SL001").await.done(200)["device_id"], new);
        let found = admin.gets("devices?q=0999&state=registered").await.done(200);
        assert_eq!(states(&found), ["registered"]);
        admin.gets("devices?state=lost").await.problem(400);
        admin.gets("devices/nobody").await.problem(404);
        admin.posts("devices", &json!({"device_id": new})).await.problem(409);
        admin.posts("devices", &json!({"device_id": "IMEI:1", "light_id": "SL001"})).await.problem(409);
        admin.posts("devices", &json!({"device_id": "a b"})).await.problem(422);
        admin.sends("POST", &format!("devices/{new}/revoke"), &[], Vec::new()).await.done(200);
    }
}

on_both! {
    async fn alerts_are_listed_acknowledged_and_resolved(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Command).await;
        let device = city.claimed_device(DEVICE).await;
        for kind in ["overheating", "lamp_failure", "door_open"] {
            device.posts("alert", &json!({"alert_type": kind, "severity": "critical"})).await.ok();
        }
        let list = admin.gets(&format!("alerts?device_id={DEVICE}&state=open&limit=2")).await.done(200);
        let kinds = |list: &Value| -> Vec<String> {
            list["items"].as_array().unwrap().iter().map(|a| a["kind"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(kinds(&list), ["door_open", "lamp_failure"]);
        let cursor = list["next_cursor"].as_str().expect("more");
        assert_eq!(kinds(&admin.gets(&format!("alerts?cursor={cursor}")).await.done(200)), ["overheating"]);
        let id = list["items"][0]["alert_id"].as_i64().unwrap();
        let step = |what: &'static str| {
            let admin = admin.clone();
            async move { admin.sends("POST", &format!("alerts/{id}/{what}"), &[], Vec::new()).await }
        };
        assert_eq!(step("acknowledge").await.done(200)["state"], "acknowledged");
        step("acknowledge").await.problem(409);
        assert_eq!(step("resolve").await.done(200)["state"], "resolved");
        admin.sends("POST", "alerts/99999/resolve", &[], Vec::new()).await.problem(404);
        admin.sends("POST", "alerts/x/resolve", &[], Vec::new()).await.problem(404);
        // An alert of a device with one light is that light's too.
        assert_eq!(kinds(&admin.gets("alerts?state=resolved&light_id=SL001").await.done(200)), ["door_open"]);
        assert_eq!(kinds(&admin.gets("alerts?light_id=SL404").await.done(200)), Vec::<String>::new());
        admin.gets("alerts?state=closed").await.problem(400);
    }
}
