//! What every request of the REST API has in common: refusals, methods, bodies, keys for what is asked twice, the description.
use std::collections::BTreeSet;

use ccms::api::routes::ROUTES;
use ccms_service::Scope;
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::city::City;
use crate::database::Engine;

on_both! {
    async fn what_is_not_served_is_told_as_a_problem(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        for path in ["/api/v1/", "/api/v1/nothing", "/api/v1/lights/SL001/nothing", "/api/v1/lights/", "/api/v1/devices/a/b/c/d"] {
            admin.gets(path).await.problem(404);
        }
        for (method, path, allowed) in [
            ("DELETE", "lights/SL001", "GET,HEAD,PATCH"), ("PUT", "lights", "GET,HEAD"), ("GET", "import/lights", "POST"),
            ("TRACE", "commands", "POST"), ("OPTIONS", "lights", "GET,HEAD"),
        ] {
            let answer = admin.sends(method, path, &[], Vec::new()).await;
            answer.problem(405);
            let sorted = |list: &str| list.split(',').map(|m| m.trim().to_owned()).collect::<BTreeSet<_>>();
            assert_eq!(sorted(answer.header("allow").expect("Allow")), sorted(allowed), "{method} {path}");
        }
        admin.gets("lights/%ff").await.problem(400);
        admin.gets("lights/SL%20001").await.problem(404);
        city.store.fails(true);
        let answer = admin.gets("devices").await;
        answer.problem(503);
        assert!(answer.header("retry-after").is_some());
        city.store.fails(false);
        let answer = admin.gets("lights").await;
        assert_eq!((answer.header("cache-control"), answer.header("x-content-type-options")), (Some("no-store"), Some("nosniff")));
        assert!(answer.header("access-control-allow-origin").is_none());
    }
}

on_both! {
    async fn what_is_wrong_with_a_body_is_told_field_by_field(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        admin.posts("devices", &json!({"device_id": "IMEI:1", "light_id": "SL001"})).await.done(201);
        let order = |part: Value| {
            let mut order = json!({"light_ids": ["SL001"], "command_type": "brightness_control", "brightness_level": 40});
            part.as_object().unwrap().iter().for_each(|(name, value)| order[name] = value.clone());
            order
        };
        let night = |part: Value| {
            let mut night = json!({"enabled": true, "sunrise_time": "06:00", "sunset_time": "18:30:00"});
            part.as_object().unwrap().iter().for_each(|(name, value)| night[name] = value.clone());
            json!({"light_ids": ["SL001"], "command_type": "schedule_update", "schedule": night})
        };
        let cases: Vec<(&str, &str, Value, Vec<&str>)> = vec![
            ("POST", "commands", order(json!({"brightness_level": 300})), vec!["brightness_level"]),
            ("POST", "commands", order(json!({"brightness_level": "forty"})), vec!["brightness_level"]),
            ("POST", "commands", order(json!({"brightness_level": 40.5})), vec!["brightness_level"]),
            ("POST", "commands", order(json!({"brightness_level": null})), vec!["brightness_level"]),
            ("POST", "commands", order(json!({"action": "on"})), vec!["action"]),
            ("POST", "commands", order(json!({"action": "dim"})), vec!["action"]),
            ("POST", "commands", order(json!({"light_ids": "SL001"})), vec!["light_ids"]),
            ("POST", "commands", order(json!({"light_ids": []})), vec!["light_ids"]),
            ("POST", "commands", order(json!({"light_ids": ["SL001", 7, "no id"]})), vec!["light_ids[1]", "light_ids[2]"]),
            ("POST", "commands", order(json!({"command_type": "dance"})), vec!["command_type"]),
            ("POST", "commands", order(json!({"priority": 1, "reason": 5})), vec!["priority", "reason"]),
            ("POST", "commands", order(json!({"expires_in_seconds": 1})), vec!["expires_in_seconds"]),
            ("POST", "commands", order(json!({"expires_in_seconds": "soon", "tpyo": 1})), vec!["expires_in_seconds", "tpyo"]),
            ("POST", "commands", json!({}), vec!["light_ids", "command_type"]),
            ("POST", "commands", night(json!({"sunset_time": "25:00", "enabled": 1})), vec!["schedule.enabled", "schedule.sunset_time"]),
            ("POST", "commands", night(json!({"sunrise_time": null, "extra": 1})), vec!["schedule.sunrise_time", "schedule.extra"]),
            ("POST", "devices", json!({"light_id": 7, "latitude": "x", "claim_hours": 0}), vec!["device_id", "light_id", "latitude", "claim_hours"]),
            ("POST", "devices", json!({"device_id": "IMEI:9", "latitude": 95}), vec!["latitude"]),
            ("POST", "devices/IMEI:1/swap", json!({"new_device_id": 7}), vec!["new_device_id"]),
            ("POST", "devices/IMEI:1/swap", json!({}), vec!["new_device_id"]),
            ("PATCH", "lights/SL001", json!({"name": 7, "wattage": "x", "light_id": "SL002"}), vec!["name", "wattage", "light_id"]),
        ];
        let headers = [("content-type", "application/json")];
        for (method, path, body, expected) in cases {
            let problem = admin.sends(method, path, &headers, body.to_string().into_bytes()).await.problem(422);
            let errors = problem["errors"].as_array().unwrap_or_else(|| panic!("{body}: {problem}"));
            let fields: BTreeSet<&str> = errors.iter().map(|e| e["field"].as_str().unwrap()).collect();
            assert_eq!(fields, expected.into_iter().collect(), "{body}: {problem}");
            for word in ["u8", "i64", "expected", "variant", "invalid", "line 1", "missing field", "map", "string"] {
                assert!(!problem.to_string().contains(word), "a parser's word: {problem}");
            }
        }
        for (body, status) in [("", 400), ("{", 400), ("{\"a\":nope}", 400), ("[]", 422), ("7", 422), ("null", 422)] {
            let problem = admin.sends("POST", "commands", &headers, body.into()).await.problem(status);
            assert!(!problem.to_string().contains("expected"), "{problem}");
        }
        let whole = order(json!({"brightness_level": 40.0, "priority": null}));
        assert_eq!(admin.posts("commands", &whole).await.done(201)["items"][0]["brightness_level"], 40);
    }
}

on_both! {
    async fn no_answer_lets_a_browser_guess_its_type(engine) {
        let city = City::open(engine).await;
        let anybody = Integrator::anonymous(&city);
        for (method, path) in [
            ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/api/openapi.json"), ("GET", "/docs"), ("GET", "/docs/"),
            ("GET", "/docs/swagger-ui.css"), ("GET", "/docs/none"), ("GET", "/api/v1/lights"), ("GET", "/api/v1/none"),
            ("POST", "/api/device/IMEI:1/status"), ("GET", "/device/none"), ("GET", "/sign-in"), ("GET", "/none"),
            ("POST", "/ui/people/sign_in"), ("GET", "/live"), ("BREW", "/healthz"),
        ] {
            let answer = anybody.sends(method, path, &[], Vec::new()).await;
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{method} {path}: {answer:?}");
        }
    }
}

on_both! {
    async fn what_is_asked_twice_is_done_once(engine) {
        let city = City::registered(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let send = |key: &'static str, body: Value| {
            let admin = admin.clone();
            async move {
                let headers = [("content-type", "application/json"), ("idempotency-key", key)];
                admin.sends("POST", "devices", &headers, body.to_string().into_bytes()).await
            }
        };
        let one = json!({"device_id": "IMEI:1", "light_id": "SL001"});
        let first = send("a", one.clone()).await;
        let again = send("a", one.clone()).await;
        assert_eq!((first.done(201), first.header("location")), (again.done(201), again.header("location")));
        assert_eq!((first.header("idempotency-replayed"), again.header("idempotency-replayed")), (None, Some("true")));
        send("a", json!({"device_id": "IMEI:2"})).await.problem(422);
        send("b", one.clone()).await.problem(409);
        // A refusal is an answer too, and stays one.
        send("b", one.clone()).await.problem(409);
        let twins = futures_util::future::join_all((0..8).map(|_| send("twins", json!({"device_id": "IMEI:3"})))).await;
        let bodies: BTreeSet<String> = twins.iter().map(|t| t.done(201).to_string()).collect();
        assert_eq!(bodies.len(), 1);
        let other = Integrator::zoned(&city, Scope::Command, None).await;
        let order = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on"}).to_string();
        let headers = [("content-type", "application/json"), ("idempotency-key", "a")];
        other.sends("POST", "commands", &headers, order.clone().into_bytes()).await.done(201);
        // A fault of ours is not kept: the same request is to be sent again.
        city.store.fails(true);
        let headers = [("content-type", "application/json"), ("idempotency-key", "c")];
        admin.sends("POST", "commands", &headers, order.clone().into_bytes()).await.problem(503);
        city.store.fails(false);
        admin.sends("POST", "commands", &headers, order.into_bytes()).await.done(201);
        // After a day the key is free.
        city.waits(86_401);
        send("a", json!({"device_id": "IMEI:4"})).await.done(201);
        let long = "k".repeat(256);
        for bad in ["", long.as_str()] {
            admin.sends("POST", "devices", &[("idempotency-key", bad)], Vec::new()).await.problem(400);
        }
    }
}

on_both! {
    async fn commands_are_given_once_wherever_the_server_dies(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device("IMEI:351234567890123").await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let order = json!({"light_ids": [device.light], "command_type": "power_control", "action": "on"}).to_string();
        let given = async || {
            let audit = city.store.inner().audit(1_000).await.unwrap();
            audit.into_iter().filter(|entry| entry.action == "command.create").count()
        };
        let (mut failed, mut done) = (0, 0);
        for calls in 0..12 {
            let key = format!("key-{calls}");
            let send = async || {
                let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
                admin.sends("POST", "commands", &headers, order.clone().into_bytes()).await
            };
            let before = given().await;
            // At some of these points the deed is done and the note behind it cannot be written.
            city.store.fails_after(calls);
            let first = send().await;
            city.store.fails(false);
            let again = send().await.done(201);
            if first.status == 201 {
                assert_eq!(first.json(), again, "{calls}");
                done += 1;
            } else {
                first.problem(503);
                failed += 1;
            }
            assert_eq!(given().await, before + 1, "given once, whatever came of {calls} calls");
            let id = again["items"][0]["command_id"].as_str().unwrap();
            assert_eq!(admin.gets(&format!("commands/{id}")).await.done(200)["state"], "queued", "nothing superseded it");
        }
        assert!(failed > 0 && done > 0, "{failed} {done}");
    }
}

/// The description and its page know no engine.
#[tokio::test]
async fn the_description_names_every_route_and_the_page_asks_nobody_else() {
    let city = City::open(Engine::Sqlite).await;
    let anybody = Integrator::anonymous(&city);
    let document = anybody.gets("/api/openapi.json").await.done(200);
    assert_eq!(document["openapi"], "3.1.0");
    for route in ROUTES {
        let method = route.method.as_str().to_lowercase();
        let operation = &document["paths"][format!("/api/v1{}", route.template)][&method];
        assert!(operation["responses"].is_object(), "{method} {}", route.template);
    }
    for route in &ccms::device_api::ROUTES {
        let method = route.method.as_str().to_lowercase();
        let path = format!("/api/device/{{device_id}}/{}", route.name);
        assert!(document["paths"][&path][&method]["responses"].is_object(), "{method} {path}");
    }
    let page = anybody.gets("/docs/").await;
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    let html = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(!html.contains("://"), "it asks another host: {html}");
    let inline = html.split("<script").skip(1).any(|script| !script.split('>').next().unwrap().contains("src="));
    assert!(!inline, "its policy forbids scripts inside the page: {html}");
    let files = html.split(['"', '\'']).filter_map(|part| part.strip_prefix("./"));
    for file in files.filter(|f| f.ends_with(".js") || f.ends_with(".css") || f.ends_with(".png")) {
        assert_eq!(anybody.gets(&format!("/docs/{file}")).await.status, 200, "{file}");
    }
    let start = anybody.gets("/docs/swagger-initializer.js").await;
    let start = String::from_utf8(start.body.to_vec()).unwrap();
    assert!(start.contains("/api/openapi.json") && !start.contains("://"), "{start}");
    anybody.gets("/docs/nothing.js").await.problem(404);
}
