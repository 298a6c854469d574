//! Alerts: raised by devices and about them, told once, looked at and moved on by people.
use ccms_core::reading::PowerState;
use ccms_core::view::AlertState as Shown;
use ccms_service::{AlertFilter, Role, Who};
use ccms_store::AlertState;
use serde_json::{Value, json};

use crate::city::City;
use crate::controller::example;
use crate::operator::{device_id, light_id};

const DEVICE: &str = "IMEI:351234567890123";
const OTHER: &str = "IMEI:490154203237518";
const OPERATOR: Who<'static> = Who::person("operator@city.example", Role::Operator, None);
const ELSEWHERE: Who<'static> = Who::person("north@city.example", Role::Operator, Some("north"));

on_both! {
    async fn the_same_alert_is_told_once_and_counted(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        device.sends("POST", "alert", &[], example("alert-request.json")).await.ok();
        let before = city.operator().sees_alerts().await;
        assert_eq!(before.len(), 1);
        for (body, repeated) in [
            (json!({"alert_type": "lamp_failure", "severity": "warning", "value": 3, "threshold": 5}), false),
            (json!({"type": "Lamp Failure!", "level": "critical", "description": "No current"}), true),
            (json!({"code": "lamp-failure", "light_id": "SL001", "device_id": DEVICE}), true),
        ] {
            let answer = device.posts("alert", &body).await.ok();
            assert_eq!(answer.get("duplicate").and_then(Value::as_bool).unwrap_or(false), repeated, "{body}");
        }
        let filter = AlertFilter { light_id: Some(light_id("SL001")), limit: 10, ..AlertFilter::default() };
        let (seen, _) = city.ccms.alerts(OPERATOR.may_view().unwrap(), filter).await.unwrap();
        let lamp = seen.iter().find(|a| a.kind == "lamp_failure").unwrap();
        assert_eq!((lamp.count, lamp.severity.as_str(), lamp.state), (3, "critical", Shown::Open), "the worst holds");
        assert_eq!(lamp.device_id.as_ref().map(|id| id.as_str()), Some(DEVICE));
    }

    /// After each start such a clock says the same again; the failure may be a new one all the same.
    async fn an_alarm_without_a_believable_clock_is_never_taken_for_a_repeat(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        for (at, counted) in [("1970-01-01T00:00:12Z", 2), ("2080-01-01T00:00:00Z", 2), ("2025-12-17T10:00:00Z", 1)] {
            let alarm = json!({"type": format!("alarm {}", &at[..4]), "timestamp": at});
            device.posts("alert", &alarm).await.ok();
            device.posts("alert", &alarm).await.ok();
            let newest = city.operator().sees_alerts().await.into_iter().find(|(kind, _)| kind.ends_with(&at[..4]));
            assert_eq!(newest.map(|(_, count)| count), Some(counted), "{at}");
        }
    }

    async fn an_alert_of_another_device_or_too_large_or_of_nothing_is_refused(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let other = city.claimed_device(OTHER).await;
        for body in [json!({"type": "x", "device_id": OTHER}), json!({"type": "x", "light_id": other.light}),
            json!({"type": "x", "light_id": "no light"})]
        {
            device.posts("alert", &body).await.refused(403, "DEVICE_MISMATCH");
        }
        device.posts("alert", &json!({"type": "x", "message": "y".repeat(16 * 1024)})).await.refused(400, "BODY_TOO_LARGE");
        assert!(city.operator().sees_alerts().await.is_empty());
        for body in ["", "{}", "[]", "{\"severity\":\"critical\"}"] {
            device.sends("POST", "alert", &[], body.into()).await.refused(400, "BAD_REQUEST");
        }
        device.without_token().posts("alert", &json!({"type": "x"})).await.refused(401, "UNAUTHORIZED");
    }

    async fn a_device_that_invents_kinds_does_not_fill_the_list(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        for n in 0..60 {
            device.posts("alert", &json!({"type": format!("kind_{n}")})).await.ok();
        }
        let alerts = city.operator().sees_alerts().await;
        assert_eq!(alerts.len(), 51);
        assert!(alerts.contains(&("other".to_owned(), 10)), "{alerts:?}");
        assert_eq!(device.posts("alert", &json!({"type": "kind_7"})).await.ok()["duplicate"], true, "its own still counts");
    }

    async fn a_device_that_cannot_be_understood_is_talked_about_once(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        for route in ["status", "sync", "alert", "logs", "command-ack"] {
            device.sends("POST", route, &[], b"{\"half\": ".into()).await.refused(400, "BAD_REQUEST");
            device.without_token().sends("POST", route, &[], b"{\"half\": ".into()).await.envelope();
        }
        device.sends("PUT", "firmware", &[], b"half".into()).await.refused(400, "BAD_REQUEST");
        assert_eq!(city.operator().sees_alerts().await, [("malformed_messages".to_owned(), 6)]);
        let answer = device.posts("status", &json!([device.reading(PowerState::On, city.clock.now()), 17])).await.ok();
        assert_eq!((&answer["stored"], &answer["quarantined"]), (&json!(1), &json!(1)));
        assert_eq!(city.operator().sees_alerts().await, [("malformed_messages".to_owned(), 7)]);
        let no = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap().no;
        let aside = city.store.inner().quarantined(no, 9).await.unwrap();
        assert_eq!(aside.iter().map(|(_, q)| q.raw.as_str()).collect::<Vec<_>>(), ["17"]);
    }

    async fn an_alert_that_is_sent_again_is_no_new_one(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let said = |minute: u32| json!({"type": "lamp_failure", "message": "No current", "timestamp": format!("2025-12-17T10:{minute:02}:00Z")});
        let counts = async || city.operator().sees_alerts().await;
        let once = device.posts("alert", &said(1)).await.ok();
        assert!(once.get("duplicate").is_none());
        assert_eq!(device.posts("alert", &said(1)).await.ok()["duplicate"], true);
        for _ in 0..2 {
            let piled = json!({"alerts": [said(1), said(2), said(3), "door_open"]});
            assert_eq!(device.posts("sync", &piled).await.ok()["alerts"], 4);
        }
        // What names no time cannot be told from one that happened again.
        assert_eq!(counts().await, [("door_open".to_owned(), 2), ("lamp_failure".to_owned(), 3)]);
        let may = OPERATOR.may_acknowledge().unwrap();
        let (seen, _) = city.ccms.alerts(OPERATOR.may_view().unwrap(), AlertFilter { limit: 9, ..Default::default() }).await.unwrap();
        let lamp = seen.iter().find(|a| a.kind == "lamp_failure").unwrap();
        city.ccms.move_alert(may, lamp.alert_id, AlertState::Resolved).await.unwrap();
        assert_eq!(device.posts("alert", &said(3)).await.ok()["duplicate"], true);
        assert_eq!(counts().await.len(), 1, "what is resolved stays so");
        assert!(device.posts("alert", &said(4)).await.ok().get("duplicate").is_none(), "anew");
        assert_eq!(counts().await.len(), 2);
    }

    async fn people_move_alerts_on_and_a_zone_sees_its_own(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        device.posts("alert", &json!({"type": "lamp_failure"})).await.ok();
        let all = |who: Who<'static>| {
            let ccms = city.ccms.clone();
            async move { ccms.alerts(who.may_view().unwrap(), AlertFilter { limit: 9, ..Default::default() }).await.unwrap().0 }
        };
        let [alert] = all(OPERATOR).await.try_into().unwrap();
        assert!(all(ELSEWHERE).await.is_empty());
        let moves = |who: Who<'static>, to| city.ccms.move_alert(who.may_acknowledge().unwrap(), alert.alert_id, to);
        assert!(moves(ELSEWHERE, AlertState::Acknowledged).await.is_err());
        assert_eq!(moves(OPERATOR, AlertState::Acknowledged).await.unwrap().state, Shown::Acknowledged);
        assert!(moves(OPERATOR, AlertState::Acknowledged).await.is_err() && moves(OPERATOR, AlertState::Open).await.is_err());
        assert_eq!(device.posts("alert", &json!({"type": "lamp_failure"})).await.ok()["duplicate"], true);
        let resolved = moves(OPERATOR, AlertState::Resolved).await.unwrap();
        assert_eq!((resolved.state, resolved.count), (Shown::Resolved, 2));
        assert_eq!(resolved.moved_by.as_deref(), Some("operator@city.example"));
        assert!(device.posts("alert", &json!({"type": "lamp_failure"})).await.ok().get("duplicate").is_none(), "anew");
        let audit = city.operator().sees_audit().await;
        let said = |what: &str| audit.iter().filter(|(action, _)| action == what).count();
        assert_eq!((said("alert.acknowledge"), said("alert.resolve")), (1, 1));
    }
}
