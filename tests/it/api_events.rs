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
