//! The document's section 10, transcribed line by line, against the real router: what it keeps is `config` and nothing else,
//! what it sends is flat, what it reads is `id` and `type`. What the pseudocode leaves to its surroundings is as sections 2,
//! 3 and 6 have it: a token goes along once there is one, not with acknowledgements; 401 means configure again; a refused
//! configure is repeated after `retry_after_seconds`.
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::CommandId;
use ccms_core::reading::PowerState;
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::city::{City, eventually};
use crate::controller::Controller;

const IMEI: &str = "IMEI:351234567890123";
const MINUTE: i64 = 60;

#[derive(Debug, PartialEq)]
enum State {
    Initializing,
    Ready,
}

struct StreetLightDevice {
    network: Controller,
    /// What survives a loss of power.
    flash: Option<Value>,
    config: Option<Value>,
    status_cache: Vec<Value>,
    state: State,
    last_status_update: i64,
    last_command_check: i64,
    configure_not_before: i64,
    lamp: (bool, u64),
    lamp_told: (bool, u64),
    /// When it configured, and every status that it was answered with.
    configured_at: Vec<i64>,
    answered: Vec<u16>,
}

impl StreetLightDevice {
    fn powers_on(network: Controller, flash: Option<Value>) -> Self {
        Self {
            network,
            config: flash.clone(),
            flash,
            status_cache: Vec::new(),
            state: State::Initializing,
            last_status_update: 0,
            last_command_check: 0,
            configure_not_before: 0,
            lamp: (true, 100),
            lamp_told: (true, 100),
            configured_at: Vec::new(),
            answered: Vec::new(),
        }
    }

    fn time(&self) -> i64 {
        self.network.clock.now().seconds()
    }

    /// One tick of `main_loop`.
    async fn main_loop(&mut self) {
        let current_time = self.time();
        if self.state == State::Initializing && current_time >= self.configure_not_before {
            self.configure_device().await;
            self.state = State::Ready;
        }
        if self.config.is_none() {
            return;
        }
        if current_time - self.last_status_update > 30 || self.lamp != self.lamp_told {
            self.send_status().await;
            self.last_status_update = current_time;
        }
        if current_time - self.last_command_check > 10 {
            for cmd in self.get_commands().await {
                self.execute_command(&cmd).await;
                self.acknowledge_command(&cmd).await;
            }
            self.last_command_check = current_time;
        }
    }

    async fn configure_device(&mut self) {
        let payload = json!({"device_id": IMEI, "latitude": 28.6139, "longitude": 77.2090,
            "status": if self.lamp.0 { "on" } else { "off" }});
        self.configured_at.push(self.time());
        let response = self.http("POST", "configure", Some(payload), true).await;
        if response.status == 200 {
            self.config = Some(response.json()["config"].clone());
            self.flash = self.config.clone();
        } else {
            let seconds = response.json()["retry_after_seconds"].as_i64().unwrap();
            self.configure_not_before = self.time() + seconds;
        }
    }

    async fn send_status(&mut self) {
        let light_id = self.config.as_ref().unwrap()["light_id"].clone();
        let payload = json!({"light_id": light_id, "status": if self.lamp.0 { "on" } else { "off" },
            "brightness": self.lamp.1, "battery": 95, "timestamp": self.time()});
        self.lamp_told = self.lamp;
        let response = self.http("POST", "status", Some(payload.clone()), true).await;
        if response.status == 200 { self.status_cache.clear() } else { self.status_cache.push(payload) }
    }

    async fn get_commands(&mut self) -> Vec<Value> {
        let response = self.http("GET", "commands", None, true).await;
        if response.status == 200 { response.json()["commands"].as_array().unwrap().clone() } else { Vec::new() }
    }

    async fn execute_command(&mut self, cmd: &Value) {
        if cmd["type"] == "power_control" {
            self.lamp.0 = cmd["action"] == "on";
        } else if cmd["type"] == "brightness_control" {
            self.lamp.1 = cmd["brightness_level"].as_u64().unwrap();
        }
        self.acknowledge_command(cmd).await;
    }

    async fn acknowledge_command(&mut self, cmd: &Value) {
        let payload = json!({"command_id": cmd["id"], "status": "executed", "timestamp": self.time()});
        self.http("POST", "command-ack", Some(payload), false).await;
    }

    async fn http(&mut self, method: &str, route: &str, payload: Option<Value>, with_token: bool) -> Answer {
        let token = self.config.as_ref().and_then(|c| c["device_token"].as_str());
        self.network.token = token.filter(|_| with_token).map(str::to_owned);
        let body = payload.map(|p| p.to_string().into_bytes()).unwrap_or_default();
        let answer = self.network.sends(method, route, &[], body).await;
        self.answered.push(answer.status);
        if answer.status == 401 {
            self.state = State::Initializing;
        }
        answer
    }

    /// The most configures within any quarter of an hour from `since` on.
    fn configures_in_15_min(&self, since: i64) -> usize {
        let times: Vec<i64> = self.configured_at.iter().copied().filter(|at| *at >= since).collect();
        times
            .iter()
            .map(|from| times.iter().filter(|at| (0..15 * MINUTE).contains(&(**at - from))).count())
            .max()
            .unwrap_or(0)
    }
}

/// So many virtual seconds, one tick each.
async fn lives(city: &City, device: &mut StreetLightDevice, seconds: i64) {
    for _ in 0..seconds {
        city.waits(1);
        device.main_loop().await;
        if device.time() % 10 == 0 {
            city.ccms.sweep().await;
        }
    }
}

/// A person's command is done within a poll, and known to be done within a status.
async fn obeys(city: &City, device: &mut StreetLightDevice, kind: CommandKind, lamp: (bool, u64)) {
    let id: CommandId = city.operator().commands("SL001", kind).await;
    lives(city, device, 45).await;
    assert_eq!(device.lamp, lamp);
    eventually("the command is executed", || async {
        city.operator().sees_command(&id).await == CommandState::Executed
    })
    .await;
    let actual = city.operator().sees("SL001").await.actual.expect("a status");
    assert_eq!(actual.power_state == Some(PowerState::On), lamp.0);
}

on_both! {
    async fn the_pseudocode_lives_ten_minutes_with_a_401_and_a_lost_flash(engine) {
        let city = City::registered(engine).await;
        city.operator().registers(IMEI, "SL001").await;
        city.operator().approves(IMEI).await;
        let mut device = StreetLightDevice::powers_on(city.device(IMEI), None);
        lives(&city, &mut device, MINUTE).await;
        obeys(&city, &mut device, CommandKind::Power(PowerState::Off), (false, 100)).await;
        obeys(&city, &mut device, CommandKind::Brightness(40), (false, 40)).await;
        obeys(&city, &mut device, CommandKind::Power(PowerState::On), (true, 40)).await;
        assert_eq!(device.configured_at.len(), 1);
        assert!(device.answered.iter().all(|status| *status == 200), "{:?}", device.answered);

        // It stood without power for eight days: its token is over, and good enough to get another.
        city.waits(8 * 86_400);
        let flash = device.flash.clone();
        let mut device = StreetLightDevice::powers_on(city.device(IMEI), flash);
        device.state = State::Ready;
        device.last_status_update = device.time();
        lives(&city, &mut device, MINUTE).await;
        assert_eq!(device.answered.iter().filter(|status| **status == 401).count(), 1, "{:?}", device.answered);
        assert_eq!(device.configured_at.len(), 1);
        obeys(&city, &mut device, CommandKind::Power(PowerState::Off), (false, 100)).await;
        assert!(device.status_cache.is_empty());

        // Its flash is gone. Whoever knows an IMEI could say that, so it takes a person; until then it asks, and not in a loop.
        city.waits(15 * MINUTE);
        let mut device = StreetLightDevice::powers_on(city.device(IMEI), None);
        let lost_at = device.time();
        lives(&city, &mut device, 10 * MINUTE).await;
        assert!(device.configures_in_15_min(lost_at) <= 4, "{:?}", device.configured_at);
        assert!(device.flash.as_ref().is_none_or(|config| config.get("device_token").is_none()));
        assert!(device.answered.iter().all(|status| [200, 400, 401].contains(status)), "{:?}", device.answered);
        let alerts = city.operator().sees_alerts().await;
        assert!(alerts.iter().any(|(kind, _)| kind == "reclaim_required"), "{alerts:?}");
        city.operator().allows_reclaim(IMEI).await;
        lives(&city, &mut device, 60 * MINUTE).await;
        assert!(device.configures_in_15_min(lost_at) <= 4, "{:?}", device.configured_at);
        obeys(&city, &mut device, CommandKind::Power(PowerState::Off), (false, 100)).await;
        obeys(&city, &mut device, CommandKind::Power(PowerState::On), (true, 100)).await;
        assert!(device.answered.iter().all(|status| *status < 500), "{:?}", device.answered);
    }
}
