//! One table says who may do what; every route of the REST API and every function of the screen is held against it.
use std::collections::BTreeMap;

use ccms::api::routes::ROUTES;
use ccms_core::ids::{DeviceId, LightId};
use ccms_service::permission::{role_may, scope_may};
use ccms_service::{Permission, Role, Scope};
use ccms_store::{AuditEntry, Curated, NewDevice, NewUser};
use leptos::server_fn::axum::server_fn_paths;
use serde_json::json;

use crate::api_client::Integrator;
use crate::city::{City, eventually};
use crate::database::Engine;

const PASSWORD: &str = "a long enough password";
const DEVICE: &str = "IMEI:351234567890123";

/// Who it is, how it asks, and what it may do.
type Someone = (String, Integrator, Box<dyn Fn(Permission) -> bool>);

/// Everyone there is.
async fn everyone(city: &City) -> Vec<Someone> {
    let mut all: Vec<Someone> = Vec::new();
    all.push(("anonymous".into(), Integrator::anonymous(city), Box::new(|_| false)));
    for role in Role::ALL {
        for zone in [None, Some("south")] {
            let person = signed_in(city, role, zone).await;
            let may = move |p: Permission| role_may(role, p) && (zone.is_none() || !p.is_fleet_wide());
            all.push((format!("{} {zone:?}", role.as_str()), person, Box::new(may)));
        }
    }
    for scope in Scope::ALL {
        for zone in [None, Some("south")].into_iter().filter(|zone| zone.is_none() || scope != Scope::Admin) {
            let key = Integrator::zoned(city, scope, zone).await;
            let may = move |p: Permission| scope_may(scope, p) && (zone.is_none() || !p.is_fleet_wide());
            all.push((format!("key {} {zone:?}", scope.as_str()), key, Box::new(may)));
        }
    }
    all
}

/// A person with a session in a browser on our own pages.
pub async fn signed_in(city: &City, role: Role, zone: Option<&str>) -> Integrator {
    let email = format!("{}-{}@city.example", role.as_str(), zone.unwrap_or("all"));
    let new = NewUser {
        email: email.clone(),
        role,
        zone: zone.map(str::to_owned),
        password_hash: ccms_service::people::hash_password(PASSWORD).expect("a hash"),
        created_at: city.ccms.now(),
    };
    let audit = AuditEntry {
        at: new.created_at,
        actor: "test".into(),
        action: "person.create".into(),
        target: email.clone(),
        detail: serde_json::json!({}),
    };
    city.store.inner().create_user(new, &audit).await.expect("a person");
    let form = format!("email={}&password={}", email.replace('@', "%40"), PASSWORD.replace(' ', "+"));
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "same-origin")];
    let answer = Integrator::anonymous(city).sends("POST", "/ui/people/sign_in", &headers, form.into_bytes()).await;
    let cookie = answer.header("set-cookie").unwrap_or_else(|| panic!("no session: {answer:?}"));
    let cookie = cookie.split(';').next().expect("a cookie").to_owned();
    Integrator::anonymous(city).with_proof(vec![("cookie", cookie), ("sec-fetch-site", "same-origin".into())])
}

/// A light of the north with its controller.
async fn north(city: &City) {
    let new = NewDevice {
        device_id: DeviceId::parse(DEVICE).unwrap(),
        light_id: Some(LightId::parse("SL001").unwrap()),
        curated: Curated { zone: "north".into(), latitude: 28.6, longitude: 77.2, ..Curated::default() },
        claim_until: None,
        created_at: city.ccms.now(),
    };
    city.ccms.register("test", new).await.expect("registered");
}

fn filled(template: &str) -> String {
    let path = template.replace("{light_id}", "SL001").replace("{device_id}", DEVICE);
    format!("/api/v1{}", path.replace("{command_id}", "CMD_none").replace("{alert_id}", "1"))
}

on_both! {
    async fn every_route_follows_the_table(engine) {
        let city = City::registered(engine).await;
        north(&city).await;
        for (name, caller, may) in everyone(&city).await {
            for route in ROUTES {
                let answer = caller.begins(route.method.as_str(), &filled(route.template), &[], Vec::new()).await;
                let (status, what) = (answer.status().as_u16(), format!("{name}: {} {}", route.method, route.template));
                match (caller.proof.is_empty(), may(route.needs)) {
                    (true, _) => {
                        assert_eq!(status, 401, "{what}");
                        assert!(answer.headers().contains_key("www-authenticate"), "{what}");
                    }
                    // SL001 and its controller are of the north: to the south they do not exist.
                    (_, false) if name.contains("south") && ["{light_id}", "{device_id}"].iter().any(|p| route.template.contains(p)) => {
                        assert_eq!(status, 404, "{what}");
                    }
                    (_, false) => assert_eq!(status, 403, "{what}"),
                    (_, true) => assert!(!matches!(status, 401 | 403 | 405) && status < 500, "{what}: {status}"),
                }
            }
        }
    }
}

on_both! {
    async fn another_zone_has_no_such_light_and_no_such_device(engine) {
        let city = City::registered(engine).await;
        north(&city).await;
        let (south, north) =
            (Integrator::zoned(&city, Scope::Command, Some("south")).await, Integrator::zoned(&city, Scope::Command, Some("north")).await);
        let order = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on"});
        let command = north.posts("commands", &order).await.done(201)["items"][0].clone();
        let id = command["command_id"].as_str().unwrap();
        for path in ["lights/SL001", "lights/SL001/readings", &format!("devices/{DEVICE}"), &format!("commands/{id}")] {
            north.gets(path).await.done(200);
            south.gets(path).await.problem(404);
        }
        south.posts("commands", &order).await.problem(404);
        // Nor does a right that they lack tell that it is there; of what they see it tells.
        let told = |answer: crate::answer::Answer| answer.problem(404)["detail"].as_str().unwrap().to_owned();
        for (light, device) in [("SL001", DEVICE), ("SL404", "IMEI:404"), ("no%20id", "no%20id")] {
            let (light, device) = (format!("lights/{light}"), format!("devices/{device}"));
            let patched = south.patches(&light, &[], &json!({"name": "x"})).await;
            assert_eq!(told(patched), told(south.gets(&light).await));
            for step in ["approve", "reject", "revoke", "swap", "allow-reclaim"] {
                let asked = south.posts(&format!("{device}/{step}"), &json!({})).await;
                assert_eq!(told(asked), told(south.gets(&device).await), "{step}");
            }
        }
        north.patches("lights/SL001", &[], &json!({"name": "x"})).await.problem(403);
        north.posts(&format!("devices/{DEVICE}/revoke"), &json!({})).await.problem(403);
        south.sends("POST", &format!("commands/{id}/cancel"), &[], Vec::new()).await.problem(404);
        for (path, of_north) in [("lights", 1), ("devices", 1)] {
            assert_eq!(north.gets(path).await.done(200)["items"].as_array().unwrap().len(), of_north);
            assert_eq!(south.gets(path).await.done(200)["items"].as_array().unwrap().len(), 0, "{path}");
        }
        let csv = |answer: crate::answer::Answer| String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(csv(north.gets("export/lights.csv").await).contains("SL001"));
        assert!(!csv(south.gets("export/lights.csv").await).contains("SL001"));
    }
}

/// What each function of the screen needs; `None`: what anybody may do. One that is not here fails the test.
const FUNCTIONS: [(&str, &str, Option<Permission>); 10] = [
    ("/ui/people/sign_in", "email=a%40b.example&password=wrong+wrong+wrong", None),
    ("/ui/people/sign_out", "", None),
    ("/ui/people/sign_out_everywhere", "", None),
    ("/ui/frame/look", "", Some(Permission::View)),
    ("/ui/lights/find", "q=x", Some(Permission::View)),
    ("/ui/lights/page", "q=", Some(Permission::View)),
    ("/ui/light/show", "light=SL001", Some(Permission::View)),
    ("/ui/light/command", "light=SL001&ask=on", Some(Permission::Command)),
    ("/ui/devices/waiting", "", Some(Permission::Commission)),
    ("/ui/devices/approve", "device=IMEI%3A1", Some(Permission::Commission)),
];

/// Functions of the screen know no engine: what they call is tested on both.
#[tokio::test]
async fn every_function_of_the_screen_follows_the_table() {
    let city = City::registered(Engine::Sqlite).await;
    north(&city).await;
    let known: BTreeMap<&str, _> = FUNCTIONS.iter().map(|(path, form, needs)| (*path, (*form, *needs))).collect();
    let registered: Vec<&str> = server_fn_paths().map(|(path, _)| path).collect();
    assert!(!registered.is_empty());
    for path in &registered {
        assert!(known.contains_key(path), "{path} is not in the table of functions");
    }
    assert_eq!(registered.len(), FUNCTIONS.len(), "a function of the table is gone");
    for (name, caller, may) in everyone(&city).await {
        if name.starts_with("key") {
            continue;
        }
        for (path, form, needs) in FUNCTIONS {
            // To sign out would end the caller, and leaves nobody behind who could be refused.
            let Some(needs) = needs else { continue };
            let headers = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
            let answer = caller.sends("POST", path, &headers, form.as_bytes().to_vec()).await;
            let what = format!("{name}: {path} answered {}: {:?}", answer.status, answer.body);
            match (caller.proof.is_empty(), may(needs)) {
                (true, _) => assert_eq!(answer.status, 401, "{what}"),
                (_, false) => assert_eq!(answer.status, 403, "{what}"),
                (_, true) => assert!(!matches!(answer.status, 401 | 403) && answer.status < 500, "{what}"),
            }
        }
    }
}

on_both! {
    async fn a_key_is_made_listed_and_revoked_beside_a_running_server(engine) {
        let city = City::open(engine).await;
        let ccms = async |arguments: &[&str]| {
            let out = city.command_line(&[&["api-key"], arguments].concat()).await;
            (out.status.success(), String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
        };
        let (made, key, _) = ccms(&["create", "--name", "billing", "--scopes", "read,command"]).await;
        let key = key.trim();
        assert!(made && key.starts_with("ccms_") && key.len() == 45, "{key}");
        let (again, _, why) = ccms(&["create", "--name", "billing", "--scopes", "read"]).await;
        assert!(!again && why.contains("already"), "{why}");
        let (nonsense, _, why) = ccms(&["create", "--name", "x", "--scopes", "everything"]).await;
        assert!(!nonsense && why.contains("read, command or admin"), "{why}");
        let (zoned, _, why) = ccms(&["create", "--name", "y", "--scopes", "read,admin", "--zone", "north"]).await;
        assert!(!zoned && why.contains("whole city"), "{why}");
        let billing = Integrator::anonymous(&city).with_key(key);
        billing.gets("lights").await.done(200);
        let (_, listed, _) = ccms(&["list"]).await;
        assert!(listed.contains("billing") && listed.contains("read,command") && !listed.contains(key), "{listed}");
        let (revoked, _, why) = ccms(&["revoke", "--name", "billing"]).await;
        assert!(revoked, "{why}");
        assert!(!ccms(&["revoke", "--name", "billing"]).await.0, "it is revoked already");
        eventually("the running server refuses it", || async { billing.gets("lights").await.status == 401 }).await;
        let (_, listed, _) = ccms(&["list"]).await;
        assert!(listed.contains("revoked 2"), "{listed}");
        let audit: Vec<String> = city.operator().sees_audit().await.into_iter().map(|(action, _)| action).collect();
        assert!(audit.contains(&"api_key.create".to_owned()) && audit.contains(&"api_key.revoke".to_owned()), "{audit:?}");
    }
}

on_both! {
    async fn only_keys_that_are_keys_open_the_api(engine) {
        let city = City::open(engine).await;
        let mut device = city.device(DEVICE);
        device.configures().await.ok();
        let good = Integrator::of(&city, Scope::Read).await;
        let own = good.proof[0].1.clone();
        for value in [
            String::new(), "Bearer".into(), "Bearer ".into(), "Basic YTpi".into(), own.replace("Bearer ", ""),
            own.to_uppercase(), format!("{own}a"), own[..own.len() - 1].to_owned(), format!("Bearer {}", "ccms_".repeat(9)),
            format!("Bearer {}", device.token.clone().unwrap()), format!("Bearer {}", "x".repeat(20_000)),
        ] {
            let caller = good.with_proof(vec![("authorization", value.clone())]);
            caller.gets("lights").await.problem(401);
        }
        let scheme = good.with_proof(vec![("authorization", own.replace("Bearer", "bearer"))]);
        scheme.gets("lights").await.done(200);
        // And the other way round: a key is no device's token.
        let mut impostor = device.clone();
        impostor.token = Some(own.replace("Bearer ", ""));
        impostor.asks_for_commands().await.refused(401, "UNAUTHORIZED");
    }
}

on_both! {
    async fn a_cookie_alone_writes_only_from_our_own_pages(engine) {
        let city = City::registered(engine).await;
        north(&city).await;
        let person = signed_in(&city, Role::Admin, None).await;
        let cookie = person.proof[0].1.clone();
        let order = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on"});
        for foreign in [
            vec![("cookie", cookie.clone()), ("sec-fetch-site", "cross-site".to_owned())],
            vec![("cookie", cookie.clone()), ("origin", "https://evil.example".to_owned()), ("host", "city.example".to_owned())],
            vec![("cookie", cookie.clone())],
        ] {
            let foreign = person.with_proof(foreign);
            foreign.posts("commands", &order).await.problem(403);
            foreign.gets("lights").await.done(200);
        }
        person.posts("commands", &order).await.done(201);
        // A key that comes with the cookie decides alone.
        person.with_proof(vec![("cookie", cookie), ("authorization", "Bearer nonsense".into())]).gets("lights").await.problem(401);
    }
}
