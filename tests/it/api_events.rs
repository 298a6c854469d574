//! The event stream of the REST API: what changes arrives, a broken stream goes on where it was, a zone hears of its own.
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use ccms_core::reading::PowerState;
use ccms_service::Scope;
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::city::City;

const PATIENCE: Duration = Duration::from_secs(10);

/// A stream of server-sent events.
struct Events {
    stream: BodyDataStream,
    text: String,
}

#[derive(Debug)]
struct Event {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Events {
    async fn of(who: &Integrator, headers: &[(&str, &str)]) -> Self {
        let headers: Vec<_> = headers.iter().copied().chain([("accept", "text/event-stream")]).collect();
        let answer = who.begins("GET", "events", &headers, Vec::new()).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { stream: Body::new(answer.into_body()).into_data_stream(), text: String::new() }
    }

    /// The next event but signs of life.
    async fn next(&mut self) -> Event {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_owned());
                let event = Event {
                    name: field("event:").unwrap_or_default(),
                    id: field("id:"),
                    data: serde_json::from_str(&field("data:").unwrap_or_default()).expect("JSON"),
                };
                self.text = rest.to_owned();
                if event.name != "beat" {
                    return event;
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.stream.next()).await.expect("an event in time");
            self.text.push_str(std::str::from_utf8(&chunk.expect("no end").expect("bytes")).expect("text"));
        }
    }
}

on_both! {
    async fn changes_arrive_and_a_broken_stream_goes_on(engine) {
        let city = City::open(engine).await;
        let reader = Integrator::of(&city, Scope::Read).await;
        let mut device = city.claimed_device("IMEI:351234567890123").await;
        city.ccms.publish_changes();
        let mut events = Events::of(&reader, &[]).await;
        device.reports(PowerState::On).await.ok();
        city.ccms.publish_changes();
        let first = events.next().await;
        assert_eq!((first.name.as_str(), first.data["light_id"].as_str()), ("light", Some("SL001")));
        assert_eq!(first.data["live"]["power_state"], "on");
        let id = first.id.expect("a number");
        drop(events);
        city.waits(30);
        device.reports(PowerState::Off).await.ok();
        city.ccms.publish_changes();
        let mut events = Events::of(&reader, &[("last-event-id", &id)]).await;
        assert_eq!(events.next().await.data["live"]["power_state"], "off");
        for unknown in ["0", "x", "99999999999999999999"] {
            let mut lost = Events::of(&reader, &[("last-event-id", unknown)]).await;
            let told = lost.next().await;
            assert_eq!((told.name.as_str(), told.id.is_some()), ("resync", true));
        }
    }
}

on_both! {
    async fn a_zone_hears_of_its_own_lights_and_a_revoked_key_of_none(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let mut north = city.claimed_device("IMEI:351234567890123").await;
        let mut south = city.claimed_device("IMEI:351234567890124").await;
        admin.patches("lights/SL001", &[], &json!({"zone": "north"})).await.done(200);
        city.ccms.publish_changes();
        let listener = Integrator::zoned(&city, Scope::Read, Some("north")).await;
        let mut events = Events::of(&listener, &[]).await;
        south.reports(PowerState::On).await.ok();
        city.ccms.publish_changes();
        north.reports(PowerState::On).await.ok();
        city.ccms.publish_changes();
        assert_eq!(events.next().await.data["light_id"], "SL001");
        ccms_service::api_keys::revoke(city.store.inner(), "test", city.ccms.now(), "read north").await.expect("revoked");
        let end = tokio::time::timeout(PATIENCE, async { while events.stream.next().await.is_some() {} }).await;
        assert!(end.is_ok(), "a revoked key's stream ends");
    }
}

on_both! {
    async fn every_step_of_a_command_and_an_alert_is_told(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let device = city.claimed_device("IMEI:351234567890123").await;
        let foreign = city.claimed_device("IMEI:351234567890124").await;
        admin.patches("lights/SL001", &[], &json!({"zone": "north"})).await.done(200);
        city.ccms.publish_changes();
        let mut everywhere = Events::of(&admin, &[]).await;
        let mut north = Events::of(&Integrator::zoned(&city, Scope::Read, Some("north")).await, &[]).await;
        let on = json!({"light_ids": ["SL001"], "command_type": "power_control", "action": "on"});
        let first = admin.posts("commands", &on).await.done(201)["items"][0]["command_id"].as_str().unwrap().to_owned();
        let second = admin.posts("commands", &on).await.done(201)["items"][0]["command_id"].as_str().unwrap().to_owned();
        city.ccms.publish_changes();
        let polled = device.polls().await;
        assert_eq!(polled.len(), 1, "{polled:?}");
        let executed = json!({"command_id": second, "status": "executed", "execution_timestamp": city.clock.now()});
        device.posts("command-ack", &executed).await.ok();
        foreign.posts("alert", &json!({"type": "door_open"})).await.ok();
        for _ in 0..2 {
            device.posts("alert", &json!({"type": "lamp_failure"})).await.ok();
        }
        let alerts = admin.gets("alerts?light_id=SL001").await.done(200);
        let alert = alerts["items"][0]["alert_id"].as_i64().unwrap();
        admin.posts(&format!("alerts/{alert}/acknowledge"), &json!({})).await.done(200);
        admin.posts(&format!("alerts/{alert}/resolve"), &json!({})).await.done(200);
        city.ccms.publish_changes();

        let commands = [(&first, "queued"), (&first, "superseded"), (&second, "queued"), (&second, "delivered"), (&second, "executed")];
        let steps = ["opened", "repeated", "acknowledged", "resolved"];
        for (events, foreign_alerts) in [(&mut everywhere, 1), (&mut north, 0)] {
            let (mut told, mut alerted, mut others) = (Vec::new(), Vec::new(), 0);
            while alerted.len() < steps.len() {
                let Event { name, data, .. } = events.next().await;
                match (name.as_str(), data["light_id"].as_str()) {
                    ("command", Some("SL001")) => told.push(data),
                    ("alert", Some("SL001")) => alerted.push(data),
                    ("alert", Some("SL002")) => others += 1,
                    ("light", _) => {}
                    other => panic!("{other:?}: {data}"),
                }
            }
            let said: Vec<_> = told.iter().map(|c| (c["command_id"].as_str().unwrap(), c["state"].as_str().unwrap())).collect();
            assert_eq!(said, commands.map(|(id, state)| (id.as_str(), state)));
            assert!(told[0]["requested_at"].is_string() && told[0]["finished_at"].is_null() && told[1]["finished_at"].is_string());
            assert!(told[3]["delivered_at"].is_string() && told[4]["executed_at"].is_string() && told[4]["finished_at"].is_string());
            assert_eq!(told[4], admin.gets(&format!("commands/{second}")).await.done(200), "as the route itself tells it");
            assert_eq!(alerted.iter().map(|a| a["change"].as_str().unwrap()).collect::<Vec<_>>(), steps);
            assert_eq!((&alerted[1]["count"], &alerted[3]["state"], &alerted[3]["alert_id"]), (&json!(2), &json!("resolved"), &json!(alert)));
            assert_eq!(others, foreign_alerts, "a zone hears of its own");
        }
    }
}

on_both! {
    async fn a_stream_is_for_everybody_who_takes_one(engine) {
        let city = City::open(engine).await;
        let reader = Integrator::of(&city, Scope::Read).await;
        for accept in ["application/json", "text/html, image/*", "text/event-stream;q=0"] {
            reader.sends("GET", "events", &[("accept", accept)], Vec::new()).await.problem(406);
        }
        for accept in ["*/*", "application/json, text/*;q=0.1", "TEXT/Event-Stream"] {
            let answer = reader.begins("GET", "events", &[("accept", accept)], Vec::new()).await;
            assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"text/event-stream".parse().unwrap()));
        }
        for bad in ["for_seconds=0", "for_seconds=x", "for_seconds=86401", "since=1"] {
            reader.sends("GET", &format!("events?{bad}"), &[], Vec::new()).await.problem(400);
        }
        let short = reader.sends("GET", "events?for_seconds=1", &[], Vec::new()).await;
        assert!(short.status == 200 && short.body.starts_with(b"event: beat"), "{:?}", short.body);
    }
}

on_both! {
    async fn streams_are_bounded(engine) {
        let city = City::open(engine).await;
        let reader = Integrator::of(&city, Scope::Read).await;
        let mut open = Vec::new();
        for _ in 0..64 {
            open.push(Events::of(&reader, &[]).await);
        }
        let full = reader.sends("GET", "events", &[], Vec::new()).await;
        full.problem(503);
        drop(open.pop());
        Events::of(&reader, &[]).await;
    }
}
