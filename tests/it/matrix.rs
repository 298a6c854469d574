//! A device sees and writes only its own: device A on every route of the table, with its own token, in every way of meaning
//! device B. Nothing of it may reach B, and what concerns B is refused with 403.
use axum::http::Method;
use ccms::device_api::{DeviceRoute, MOUNTS, Proof, ROUTES};
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::reading::PowerState;
use ccms_store::AlertQuery;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::city::City;
use crate::controller::Controller;
use crate::operator::device_id;

const A: &str = "IMEI:351234567890123";
const B: &str = "IMEI:490154203237518";

/// What a device would send there. A route that is new has to be added.
fn body(device: &Controller, route: &DeviceRoute) -> Option<Value> {
    let reading = device.reading(PowerState::Off, device.clock.now());
    let ack = json!({"device_id": device.id, "command_id": "CMD_1", "status": "executed"});
    Some(match (route.method.as_str(), route.name) {
        ("GET", "commands" | "health" | "firmware") => return None,
        ("POST", "configure") => device.introduction(),
        ("POST", "status") => reading,
        ("POST", "sync") => json!({"device_id": device.id, "readings": [reading], "acks": [ack],
            "alerts": [{"alert_type": "overheating", "light_id": device.light}], "logs": ["booted"]}),
        ("POST", "command-ack") => ack,
        ("POST", "alert") => json!({"device_id": device.id, "light_id": device.light, "alert_type": "overheating"}),
        ("POST", "logs") => json!({"device_id": device.id, "logs": ["booted"]}),
        ("PUT", "firmware") => json!({"device_id": device.id, "firmware_version": "v6.6.6"}),
        other => panic!("{other:?} is not in this matrix"),
    })
}

/// The paths in a body under which a light can be named.
fn lights_named(route: &DeviceRoute) -> &'static [&'static str] {
    match route.name {
        "status" | "alert" => &["/light_id"],
        "sync" => &["/readings/0/light_id", "/alerts/0/light_id"],
        _ => &[],
    }
}

async fn sends(device: &Controller, path: &str, route: &DeviceRoute, body: Option<&Value>) -> Answer {
    let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
    device.sends_to(route.method.as_str(), path, &[], bytes).await
}

on_both! {
    async fn a_device_means_itself_on_every_route_or_is_refused(engine) {
        let city = City::open(engine).await;
        let (a, mut b) = (city.claimed_device(A).await, city.claimed_device(B).await);
        b.reports(PowerState::On).await.ok();
        let ordered = city.operator().commands(&b.light, CommandKind::Power(PowerState::On)).await;
        assert_eq!(b.polls().await, [ordered.as_str()]);
        let before = kept_of(&city, B).await;
        for mount in MOUNTS {
            for route in &ROUTES {
                let own = body(&a, route);
                let what = format!("{} {mount}/…/{}", route.method, route.name);
                // B's path, plain, encoded, and encoded in part; and its own in the wrong case, which is another's.
                for id in [B.to_owned(), B.replace(':', "%3A"), B.replace(':', "%3a").replace('4', "%34"), A.to_lowercase()] {
                    for body in [own.clone(), body(&b, route)] {
                        let answer = sends(&a, &format!("{mount}/{id}/{}", route.name), route, body.as_ref()).await;
                        assert_eq!(answer.status, 403, "{what} for {id}: {answer:?}");
                        answer.refused(403, "DEVICE_MISMATCH");
                    }
                }
                let Some(own) = own else { continue };
                let own_path = format!("{mount}/{A}/{}", route.name);
                let mut named = own.clone();
                named["device_id"] = json!(B);
                sends(&a, &own_path, route, Some(&named)).await.refused(403, "DEVICE_MISMATCH");
                for pointer in lights_named(route) {
                    let mut named = own.clone();
                    *named.pointer_mut(pointer).expect("a place for a light") = json!(b.light);
                    sends(&a, &own_path, route, Some(&named)).await.refused(403, "DEVICE_MISMATCH");
                }
            }
        }
        // An id that is B's: heard without effect, in either place, with and without a token.
        let ack = json!({"command_id": ordered.as_str(), "status": "failed"});
        assert_eq!(a.posts("command-ack", &ack).await.ok()["ignored"], true);
        assert_eq!(a.without_token().posts("command-ack", &ack).await.ok()["ignored"], true);
        assert_eq!(a.posts("sync", &json!({"acks": [ack]})).await.ok()["acks"], 0);
        assert_eq!(city.operator().sees_command(&ordered).await, CommandState::Delivered);
        assert_eq!(kept_of(&city, B).await, before, "nothing is stored for B");
        assert_eq!(city.operator().sees(&b.light).await.actual.unwrap().power_state, Some(PowerState::On));
        // Encoding its own id is nothing special.
        for route in &ROUTES {
            let path = format!("/api/device/{}/{}", A.replace(':', "%3A"), route.name);
            let mut own = body(&a, route);
            // Logs are taken once a minute, wherever they come.
            own.as_mut().filter(|_| route.name == "sync").map(|b| b.as_object_mut().unwrap().remove("logs"));
            sends(&a, &path, route, own.as_ref()).await.ok();
        }
    }

    async fn what_needs_a_token_is_closed_without_one_and_to_a_foreign_one(engine) {
        let city = City::open(engine).await;
        let a = city.claimed_device(A).await;
        a.asks_for_commands().await.ok();
        for route in &ROUTES {
            let body = body(&a, route).map(|b| b.to_string().into_bytes()).unwrap_or_default();
            let method = route.method.as_str();
            let without = a.without_token().sends(method, route.name, &[], body.clone()).await;
            let bad = a.sends(method, route.name, &[("authorization", "Bearer x.y.z")], body).await;
            if route.proof == Proof::Weighed {
                // A claimed device without proof: the documented answer, and nothing to open anything with.
                for answer in [without, bad] {
                    assert!(answer.ok().get("device_token").is_none());
                }
                continue;
            }
            bad.refused(401, "UNAUTHORIZED");
            match route.proof {
                Proof::TokenOrNone => assert_eq!(without.ok()["ignored"], true),
                _ => drop(without.refused(401, "UNAUTHORIZED")),
            }
        }
        assert!(city.log().await.is_empty());
    }

    async fn every_other_method_is_refused_in_the_envelope(engine) {
        let city = City::open(engine).await;
        let a = city.claimed_device(A).await;
        for mount in MOUNTS {
            for route in &ROUTES {
                let taken = |m: &Method| ROUTES.iter().any(|r| r.name == route.name && r.method == *m);
                for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "HEAD", "PROPFIND"] {
                    if taken(&Method::from_bytes(method.as_bytes()).unwrap()) {
                        continue;
                    }
                    let answer = a.sends_to(method, &format!("{mount}/{A}/{}", route.name), &[], b"{}".to_vec()).await;
                    assert_eq!(answer.status, 400, "{method} {mount} {}", route.name);
                    // An answer to HEAD has no body, whatever is in it.
                    if method != "HEAD" {
                        answer.refused(400, "METHOD_NOT_ALLOWED");
                    }
                }
            }
        }
    }
}

/// Everything that the database has of a device, beside what is its own doing here.
async fn kept_of(city: &City, id: &str) -> Value {
    let store = city.store.inner();
    let device = store.device(&device_id(id)).await.unwrap().expect("a device");
    let no = device.no;
    let lights: Vec<_> = store.lights_of_device(no).await.unwrap().into_iter().map(|l| l.no).collect();
    let rows = city.log().await.into_iter().filter(|r| r.device_no == no || lights.contains(&r.light_no)).count();
    let alerts = AlertQuery { device_no: Some(no), limit: 100, ..AlertQuery::default() };
    json!({
        "device": format!("{device:?}"),
        "readings": rows,
        "alerts": store.alerts(&alerts).await.unwrap().len(),
        "logs": store.device_logs(no, 100).await.unwrap().len(),
        "quarantined": store.quarantined(no, 100).await.unwrap().len(),
        "firmware": store.firmware_report(no).await.unwrap().is_some(),
    })
}
