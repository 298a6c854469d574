//! A story: some devices, some days, everything that may go wrong, before a server that is real or not; and a witness who sees
//! both sides. The same seed before the same server tells the same story, line by line.
use ccms_core::time::UtcMillis;
use serde_json::json;

use super::plan::{Act, CALM_S, DAY_S, plan};
use super::rules::{Faults, Request, Response, Rules, Sabotage};
use super::server::{Deed, Server};
use super::witness::{Breach, Witness};
use super::{Resident, World};

/// The misfortunes of the network and of the mains while a story is not calm.
const FAULTS: Faults = Faults {
    lost_request: 0.02,
    lost_response: 0.03,
    server_error: 0.005,
    crashes_per_day: 2.0,
    repeated_request: 0.01,
    repeated_response: 0.01,
    late_response: 0.01,
};
/// The whole city is without power for a little longer in one street than in the next.
const POWER_BACK_SPREAD_S: u64 = 20;

/// What decides a story.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub seed: u64,
    pub lights: usize,
    pub seconds: u64,
    pub keep_lines: bool,
    pub sabotage: Option<Sabotage>,
    /// Nothing goes wrong by chance or by plan but this, for a story about one thing.
    pub only: Option<Vec<(u64, Act)>>,
}

impl Script {
    pub fn days(seed: u64, lights: usize, days: u64) -> Self {
        Self { seed, lights, seconds: days * DAY_S, keep_lines: false, sabotage: None, only: None }
    }

    fn rules(&self) -> Rules {
        let faults = if self.only.is_some() { Faults::default() } else { FAULTS };
        let (keep_lines, sabotage) = (self.keep_lines, self.sabotage);
        Rules { lights: self.lights, seed: self.seed, faults, keep_lines, sabotage, ..Rules::default() }
    }
}

/// How a story ended.
#[derive(Debug)]
pub struct Ending {
    pub breaches: Vec<Breach>,
    /// A hash over all that happened, and it line by line if that was asked for.
    pub transcript: u64,
    pub lines: Vec<String>,
    pub requests: u64,
    pub readings: usize,
    pub commands_done: usize,
    pub flashes_lost: u32,
}

/// Lives the story to its end.
pub async fn live(script: &Script, server: &mut impl Server) -> Ending {
    let acts = script.only.clone().unwrap_or_else(|| plan(script.seed, script.lights, script.seconds));
    let mut story = Story { world: World::new(script.rules()), witness: Witness::default(), second: 0 };
    for (at_s, act) in acts {
        story.passes_to(at_s, server).await;
        story.acts(act, server).await;
    }
    story.passes_to(script.seconds, server).await;
    let Story { world, mut witness, .. } = story;
    witness.looks(&world, &server.shows(world.now()).await);
    let holdings = server.holds(world.now()).await;
    let calm_from = world.now().plus_seconds(-(CALM_S.min(script.seconds) as i64));
    let breaches = witness.judges(&world, &holdings, calm_from);
    let of_all = |count: fn(&Resident) -> usize| world.devices().map(count).sum();
    Ending {
        breaches,
        transcript: world.transcript(),
        requests: world.requests(),
        readings: of_all(|d| d.delivered.len()),
        commands_done: of_all(|d| d.done.len()),
        flashes_lost: world.devices().map(Resident::life).sum(),
        lines: world.into_lines(),
    }
}

struct Story {
    world: World,
    witness: Witness,
    second: u64,
}

impl Story {
    async fn passes_to(&mut self, at_s: u64, server: &mut impl Server) {
        let (witness, seconds) = (&mut self.witness, at_s.saturating_sub(self.second));
        let mut carries = async |request: Request| -> Response {
            let told = witness.sees(&request);
            let response = server.answers(request).await;
            witness.hears(told, &response);
            response
        };
        self.world.run_for_seconds(seconds, &mut carries).await;
        self.second = self.second.max(at_s);
    }

    async fn acts(&mut self, act: Act, server: &mut impl Server) {
        let now = self.world.now();
        let world = &mut self.world;
        let until = |seconds: u64| now.plus_seconds(seconds as i64);
        match act {
            Act::Server(deed) => {
                world.note_all(&format!("{deed:?}"));
                let id = server.does(now, &deed).await;
                if let (Some(id), Deed::Order { device, kind }) = (id, deed) {
                    self.witness.ordered(id, device, kind);
                }
            }
            Act::Partition { device: Some(device), seconds } => world.cut_off(device, now..until(seconds)),
            Act::Partition { device: None, seconds } => world.cut_network(now..until(seconds)),
            Act::CityPowerCut { seconds } => {
                for device in 0..world.rules().lights {
                    world.cut_power(device, seconds + device as u64 * 7 % POWER_BACK_SPREAD_S);
                }
            }
            Act::LoseFlash { device, seconds } => {
                world.cut_power(device, seconds);
                world.wipe_flash(device);
            }
            Act::NetworkTime { device, error_ms } => world.set_network_time(device, Some(error_ms)),
            Act::Trespass { from, to } => self.trespasses(now, from, to, server).await,
            Act::Look => self.witness.looks(world, &server.shows(now).await),
            Act::Calm => world.calms(),
        }
    }

    /// Asks for the commands of another, and reports in its name.
    async fn trespasses(&mut self, at: UtcMillis, from: usize, to: usize, server: &mut impl Server) {
        let Some(token) = self.world.device(from).saved().settings.token.clone() else { return };
        let other = self.world.device(to);
        let id = other.config().device_id.to_string();
        let light = other.saved().settings.light_id.clone().unwrap_or_default();
        let report = json!({"device_id": id, "light_id": light, "timestamp": at.to_string(), "seq": 4_000_000_000_u32,
            "status": {"power_state": "off", "brightness": 0}});
        for (method, route, body) in
            [("GET", "commands", Vec::new()), ("POST", "status", report.to_string().into_bytes())]
        {
            let headers =
                vec![("authorization", format!("Bearer {token}")), ("content-type", "application/json".to_owned())];
            let path = format!("/api/device/{id}/{route}");
            let request = Request { device: from, life: 0, at, method, path, headers, body };
            let status = server.answers(request).await.status;
            self.witness.trespassed(from, to, route, status);
            self.world.note_all(&format!("{from} trespasses on {to}: {method} {route} {status}"));
        }
    }
}
