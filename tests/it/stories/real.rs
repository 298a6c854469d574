//! A real server as a story sees it: the router, the service and SQLite of a [`City`], whose clock is the story's.
use std::collections::BTreeMap;

use axum::body::Body;
use axum::http;
use ccms_core::ids::{CommandId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_fleet::world::server::{Deed, Held, HeldCommand, Holdings, Server};
use ccms_fleet::world::{Request, Response};
use ccms_service::verify::audit_chain;
use tower::ServiceExt;

use crate::answer::Answer;
use crate::city::City;
use crate::database::Database;

/// The server's own look at what is over: in virtual time this often, beside its look by real time.
const SWEEP_EVERY_S: i64 = 60;
/// What is old is sealed after so many looks.
const LOOKS_PER_SEALING: u64 = 24;

pub struct RealServer {
    /// `None` only while it starts again.
    city: Option<City>,
    /// The ids and the lights of devices that configured.
    ids: BTreeMap<usize, String>,
    lights: BTreeMap<usize, String>,
    swept: UtcMillis,
    looks: u64,
    /// After a crash it does not look at what was reported lately.
    pub forgets: bool,
    /// Somebody changes an entry of the audit log.
    pub rewrites_audit: bool,
}

impl RealServer {
    /// A city in which first contact claims.
    pub async fn opens(start: UtcMillis) -> Self {
        let city = City::on(Database::in_memory(), start).await;
        let (ids, lights) = (BTreeMap::new(), BTreeMap::new());
        Self { city: Some(city), ids, lights, swept: start, looks: 0, forgets: false, rewrites_audit: false }
    }

    pub fn city(&self) -> &City {
        self.city.as_ref().expect("it runs")
    }

    async fn passes_to(&mut self, at: UtcMillis) {
        let clock = &self.city().clock;
        clock.advance_ms(at.since(clock.now()));
        if at.since(self.swept) >= SWEEP_EVERY_S * 1000 {
            self.swept = at;
            self.city().ccms.sweep().await;
        }
    }

    async fn device_nos(&self) -> BTreeMap<DeviceNo, usize> {
        let devices = self.city().store.inner().devices().await.expect("devices");
        let index = |id: &str| self.ids.iter().find(|(_, known)| known.as_str() == id).map(|(index, _)| *index);
        devices.iter().filter_map(|d| Some((d.no, index(d.id.as_str())?))).collect()
    }
}

impl Server for RealServer {
    async fn answers(&mut self, request: Request) -> Response {
        self.passes_to(request.at).await;
        let device = request.device;
        let mut builder = http::Request::builder().method(request.method).uri(&request.path);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let configures = request.path.strip_suffix("/configure").and_then(|path| path.strip_prefix("/api/device/"));
        let asked = builder.body(Body::from(request.body)).expect("a request");
        let router = self.city().router.clone();
        let answer = Answer::of(router.oneshot(asked).await.expect("never fails")).await;
        if let (200, Some(id)) = (answer.status, configures) {
            self.ids.insert(device, id.to_owned());
            self.lights.insert(device, answer.json()["light_id"].as_str().expect("a light").to_owned());
        } else if answer.status != 200 {
            answer.envelope();
        }
        Response { status: answer.status, body: answer.body.to_vec() }
    }

    async fn does(&mut self, at: UtcMillis, deed: &Deed) -> Option<CommandId> {
        self.passes_to(at).await;
        match deed {
            Deed::Order { device, kind } => {
                let light = self.lights.get(device)?;
                return self.city().operator().tries_to_command(light, *kind).await;
            }
            Deed::Restart => self.city = Some(self.city.take()?.restarts().await),
            Deed::Crash if self.forgets => self.city = Some(self.city.take()?.crashes_and_forgets().await),
            Deed::Crash => self.city = Some(self.city.take()?.crashes().await),
            Deed::RotateKeys => self.city().rotates_keys(),
            Deed::AllowReclaim { device } => {
                // Not when it never came to be claimed.
                let id = self.ids.get(device)?;
                self.city().operator().tries_to_allow_reclaim(id).await;
            }
        }
        None
    }

    async fn shows(&mut self, at: UtcMillis) -> Vec<Held> {
        self.passes_to(at).await;
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS_PER_SEALING) {
            self.city().ccms.seal().await.expect("what is old is sealed");
        }
        let mut shown = Vec::new();
        for (device, light) in &self.lights {
            if let Some(actual) = self.city().operator().sees(light).await.actual {
                shown.push(Held { device: *device, at: actual.reported_at, seq: None });
            }
        }
        shown
    }

    async fn holds(&mut self, at: UtcMillis) -> Holdings {
        self.passes_to(at).await;
        if self.rewrites_audit {
            let sql = "UPDATE audit SET actor = 'nobody' WHERE no = (SELECT max(no) / 2 FROM audit)";
            self.city().is_edited(sql).await;
        }
        let (store, devices) = (self.city().store.inner(), self.device_nos().await);
        let held = |row: ccms_store::ReadingRow| {
            let device = devices.get(&row.device_no).copied().unwrap_or(usize::MAX);
            Held { device, at: row.reading.reported_at, seq: row.reading.seq }
        };
        let readings = self.city().stored().await.into_iter().map(held).collect();
        let mut commands = Vec::new();
        for light in store.lights().await.expect("lights") {
            for command in store.commands_of_light(light.no, u32::MAX).await.expect("commands") {
                let (id, is_live) = (command.id.to_string(), command.state.is_live());
                commands.push(HeldCommand { id, is_live });
            }
        }
        let walked = audit_chain(store, |_| {}).await.expect("the audit log");
        let audit = walked.map(|(count, _)| count).map_err(|no| format!("entry {no} does not follow"));
        Holdings { readings, commands, audit: Some(audit) }
    }
}
