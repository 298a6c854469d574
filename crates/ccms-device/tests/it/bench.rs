//! A device on a bench.
use ccms_core::ids::DeviceId;
use ccms_core::reading::PowerState;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_core::wire::ack::AckMessage;
use ccms_core::wire::alert::AlertMessage;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::firmware::FirmwareMessage;
use ccms_core::wire::logs::LogsMessage;
use ccms_core::wire::status;
use ccms_core::wire::sync::SyncMessage;
use ccms_device::{
    Change, Config, Device, Display, Input, Kind, Lamp, Now, Outcome, Output, Request, RequestId, Saved, Sensors,
    State, Technician, Uptime,
};
use serde_json::{Value, json};

/// 2025-12-17T14:00:00Z: half past seven in the evening in Delhi.
pub const EVENING: UtcMillis = UtcMillis::from_seconds(1_765_980_000);
/// Half past nine in the morning there.
pub const MORNING: UtcMillis = UtcMillis::from_seconds(1_765_944_000);
pub const OFFSET_MINUTES: i32 = 330;
pub const SECOND_MS: u64 = 1_000;
pub const MINUTE_MS: u64 = 60_000;
pub const HOUR_MS: u64 = 3_600_000;
pub const DAY_MS: u64 = 86_400_000;
pub const SECRET: &str = "5ec2e7";
/// A request and its answer take this long together.
const ROUND_TRIP_MS: u64 = 40;

/// What the server does with a request.
pub enum Reply {
    Answer(u16, Value),
    /// A body that need not be JSON.
    Raw(u16, &'static str),
    Silence,
    /// The power fails before anything comes back.
    PowerCut,
}

/// A request as the server sees it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub id: RequestId,
    pub at_ms: u64,
    pub utc: UtcMillis,
    pub request: Request,
    pub json: Value,
}

impl Seen {
    pub fn kind(&self) -> Kind {
        self.request.kind
    }

    pub fn count(&self, section: &str) -> usize {
        self.json[section].as_array().map_or(0, Vec::len)
    }
}

pub struct Bench {
    pub device: Device,
    pub config: Config,
    pub saved: Saved,
    pub sensors: Sensors,
    /// Whether the device has network time, and how wrong that is.
    pub network_time: Option<i64>,
    pub start: UtcMillis,
    pub now_ms: u64,
    booted_ms: u64,
    answers: Vec<(u64, RequestId, Outcome)>,
    pub sent: Vec<Seen>,
    pub shown: Vec<Display>,
    pub states: Vec<(u64, State)>,
    pub lamps: Vec<(u64, Lamp)>,
    pub logs: Vec<String>,
    /// Time and number of each reading that a 200 covered.
    pub delivered: Vec<(UtcMillis, u32)>,
    pub restarts: u32,
    changes: usize,
    compared: usize,
    /// The power fails before this output of all is done.
    pub cut_before_output: Option<u64>,
    outputs: u64,
    steps: u64,
    /// `None` without power.
    burning: Option<Lamp>,
    /// Time without light by night, while there was power.
    pub dark_ms: u64,
}

pub fn config() -> Config {
    Config::new(DeviceId::parse("IMEI:351234567890123").unwrap(), 28.6139, 77.2090, 42)
}

pub fn sensors() -> Sensors {
    Sensors { temperature_dc: 300, battery_percent: 90, signal_percent: 70, ..Sensors::default() }
}

pub fn is_night(at: UtcMillis) -> bool {
    let local = TimeOfDay::at(at, OFFSET_MINUTES);
    local >= TimeOfDay::parse("18:30:00").unwrap() || local < TimeOfDay::parse("06:00:00").unwrap()
}

impl Bench {
    /// A new device, without network time. Its lamp burns from the first moment on.
    pub fn new(start: UtcMillis) -> Self {
        Self::with(start, config(), Saved::default(), None)
    }

    pub fn with(start: UtcMillis, config: Config, saved: Saved, network_time: Option<i64>) -> Self {
        let utc = network_time.map(|wrong_s| start.plus_seconds(wrong_s));
        Self {
            device: Device::new(config.clone(), saved.clone(), Now { uptime: Uptime(0), utc }),
            config,
            saved,
            sensors: sensors(),
            network_time,
            start,
            now_ms: 0,
            booted_ms: 0,
            answers: Vec::new(),
            sent: Vec::new(),
            shown: Vec::new(),
            states: Vec::new(),
            lamps: Vec::new(),
            logs: Vec::new(),
            delivered: Vec::new(),
            restarts: 0,
            changes: 0,
            compared: 0,
            cut_before_output: None,
            outputs: 0,
            steps: 0,
            burning: None,
            dark_ms: 0,
        }
    }

    /// One that is configured and has reported once.
    pub fn ready(start: UtcMillis) -> Self {
        let mut bench = Self::new(start);
        bench.run_ms(15 * SECOND_MS, &mut good);
        assert_eq!(bench.device.state(), State::Ready);
        bench.forget();
        bench
    }

    /// Forgets what was seen so far.
    pub fn forget(&mut self) {
        (self.sent, self.shown, self.states) = (Vec::new(), Vec::new(), Vec::new());
        (self.lamps, self.logs, self.delivered) = (Vec::new(), Vec::new(), Vec::new());
    }

    pub fn utc(&self) -> UtcMillis {
        UtcMillis(self.start.0 + self.now_ms as i64)
    }

    pub fn uptime(&self) -> Uptime {
        Uptime(self.now_ms - self.booted_ms)
    }

    pub fn now(&self) -> Now {
        Now { uptime: self.uptime(), utc: self.network_time.map(|wrong_s| self.utc().plus_seconds(wrong_s)) }
    }

    pub fn run_ms(&mut self, ms: u64, server: &mut impl FnMut(&Seen) -> Reply) {
        let end_ms = self.now_ms + ms;
        while self.step(end_ms, server) {}
    }

    /// One wake-up or answer; false when none comes before `end_ms`.
    pub fn step(&mut self, end_ms: u64, server: &mut impl FnMut(&Seen) -> Reply) -> bool {
        self.drain(server);
        self.steps += 1;
        assert!(self.steps < 2_000_000, "it spins at {} ms in {:?}", self.now_ms, self.device.wake_at());
        let wake_ms = self.device.wake_at().map(|(at, _)| (self.booted_ms + at.0).max(self.now_ms));
        assert!(wake_ms.is_some() || self.device.state() == State::PowerOff, "it never wants to be woken");
        let answer = (0..self.answers.len()).min_by_key(|i| self.answers[*i].0);
        let answer_ms = answer.map(|i| self.answers[i].0);
        let Some(next_ms) = [wake_ms, answer_ms].into_iter().flatten().min().filter(|next| *next <= end_ms) else {
            self.passes_to(end_ms);
            return false;
        };
        self.passes_to(next_ms);
        match answer.filter(|_| answer_ms == Some(next_ms)) {
            Some(i) => {
                let (_, id, outcome) = self.answers.swap_remove(i);
                self.device.handle(self.now(), Input::Response(id, outcome));
            }
            None => {
                self.device.handle(self.now(), Input::Sensors(self.sensors.clone()));
                self.device.handle(self.now(), Input::Timeout);
            }
        }
        true
    }

    fn passes_to(&mut self, ms: u64) {
        if self.burning.is_some_and(|l| l.power == PowerState::Off) && is_night(self.utc()) {
            self.dark_ms += ms.saturating_sub(self.now_ms);
        }
        // A power cut may last beyond the end of a run.
        self.now_ms = self.now_ms.max(ms);
    }

    pub fn handle(&mut self, input: Input) {
        self.device.handle(self.now(), input);
    }

    /// Outputs so far.
    pub fn outputs(&self) -> u64 {
        self.outputs
    }

    pub fn technician(&mut self, what: Technician) {
        self.handle(Input::Technician(what));
    }

    pub fn drain(&mut self, server: &mut impl FnMut(&Seen) -> Reply) {
        while let Some(output) = self.device.poll() {
            if self.cut_before_output == Some(self.outputs) {
                self.cut_before_output = None;
                return self.cut_power(3 * SECOND_MS);
            }
            self.outputs += 1;
            match output {
                Output::Actuate(lamp) => {
                    self.burning = Some(lamp);
                    self.lamps.push((self.now_ms, lamp));
                }
                Output::Persist(change) => {
                    // What flash holds must survive being written as text.
                    let text = serde_json::to_string(&change).unwrap();
                    self.saved.apply(serde_json::from_str::<Change>(&text).unwrap());
                    self.changes += 1;
                }
                Output::Send(id, request) => {
                    let seen = self.sees(id, request);
                    self.sent.push(seen.clone());
                    let outcome = match server(&seen) {
                        Reply::Answer(status, body) => Outcome::Answer { status, body: body.to_string().into_bytes() },
                        Reply::Raw(status, body) => Outcome::Answer { status, body: body.into() },
                        Reply::Silence => continue,
                        Reply::PowerCut => return self.cut_power(3 * SECOND_MS),
                    };
                    self.answers.push((self.now_ms + ROUND_TRIP_MS, id, outcome));
                }
                Output::Show(display) => self.shown.push(display),
                Output::State(state) => self.states.push((self.now_ms, state)),
                Output::Delivered(delivered) => self.delivered.extend(delivered.readings),
                Output::Log(line) => self.logs.push(line),
                Output::Restart => {
                    self.restarts += 1;
                    return self.cut_power(3 * SECOND_MS);
                }
            }
        }
        // Shells may write down either: they say the same. A full ring is compared now and then only, for the test's own time.
        let is_cheap = self.saved.readings.len() < 20 || self.steps.is_multiple_of(1_000);
        if self.device.state() != State::PowerOff && self.changes != self.compared && is_cheap {
            self.compared = self.changes;
            let text = serde_json::to_string(&self.device.saved()).unwrap();
            let (mut whole, mut by_change) = (serde_json::from_str::<Saved>(&text).unwrap(), self.saved.clone());
            // The floor of the clock is written with the next change.
            (whole.settings.last_utc, by_change.settings.last_utc) = (UtcMillis(0), UtcMillis(0));
            assert_eq!(whole, by_change);
        }
    }

    /// The server reads what the device wrote.
    fn sees(&self, id: RequestId, request: Request) -> Seen {
        let (body, now) = (request.body.as_slice(), self.utc());
        let path = format!("/api/device/IMEI:351234567890123/{}", request.kind.as_str());
        assert_eq!(request.path, path);
        let own = |id: &Option<String>| assert_eq!(id.as_deref(), Some("IMEI:351234567890123"));
        match request.kind {
            Kind::Configure => own(&ConfigureRequest::parse(body, now).unwrap().device_id),
            Kind::Status => {
                let batch = status::parse(body, now).unwrap();
                assert_eq!((batch.messages.len(), batch.quarantined.len()), (1, 0));
                assert_eq!(batch.messages[0].reading.flags.names().filter(|n| !n.starts_with("clock")).count(), 0);
                own(&batch.messages[0].device_id);
            }
            Kind::Sync => {
                let sync = SyncMessage::parse(body, now).unwrap();
                assert!(sync.quarantined.is_empty());
                own(&sync.device_id);
            }
            Kind::CommandAck => own(&AckMessage::parse(body).unwrap().device_id),
            Kind::Alert => own(&AlertMessage::parse(body).unwrap().device_id),
            Kind::Logs => own(&LogsMessage::parse(body).unwrap().device_id),
            Kind::Firmware => own(&FirmwareMessage::parse(body).unwrap().device_id),
            Kind::Commands | Kind::Health => assert!(body.is_empty()),
        }
        let json = if body.is_empty() { Value::Null } else { serde_json::from_slice(body).unwrap() };
        Seen { id, at_ms: self.now_ms, utc: self.utc(), request, json }
    }

    /// Without power for so long; flash survives, the lamp's history ends.
    pub fn cut_power(&mut self, ms: u64) {
        self.burning = None;
        self.now_ms += ms;
        self.booted_ms = self.now_ms;
        self.answers.clear();
        self.device = Device::new(self.config.clone(), self.saved.clone(), self.now());
    }

    /// The network is gone for so long.
    pub fn unreachable_ms(&mut self, ms: u64) {
        self.run_ms(ms, &mut |_| Reply::Silence);
    }

    /// Time passes and nobody wakes the device: a controller that was suspended.
    pub fn sleeps_ms(&mut self, ms: u64) {
        self.now_ms += ms;
    }

    pub fn times_of(&self, kind: Kind) -> Vec<u64> {
        self.sent.iter().filter(|s| s.kind() == kind).map(|s| s.at_ms).collect()
    }

    /// Seconds between one request of a kind and the next.
    pub fn gaps_s(&self, kind: Kind) -> Vec<u64> {
        self.times_of(kind).windows(2).map(|w| (w[1] - w[0]) / SECOND_MS).collect()
    }

    pub fn kinds(&self) -> Vec<Kind> {
        self.sent.iter().map(Seen::kind).collect()
    }

    pub fn of(&self, kind: Kind) -> Vec<&Seen> {
        self.sent.iter().filter(|s| s.kind() == kind).collect()
    }

    pub fn lamp(&self) -> (PowerState, u8) {
        let lamp = self.device.lamp().unwrap();
        (lamp.power, lamp.brightness_percent)
    }
}

/// A server in good health with nothing to say.
pub fn good(seen: &Seen) -> Reply {
    Reply::Answer(200, good_body(seen))
}

pub fn good_body(seen: &Seen) -> Value {
    let at = seen.utc.to_string();
    match seen.kind() {
        Kind::Configure => json!({"status": "success", "message": "", "light_id": "SL001", "server_timestamp": at,
            "device_token": "t1", "token_expires_at": seen.utc.plus_seconds(7 * 86_400).to_string(),
            "device_secret": SECRET,
            "config": {"schedule_enabled": true, "sunrise_time": "06:00:00", "sunset_time": "18:30:00",
                       "brightness_level": 100, "auto_dimming": true, "utc_offset_minutes": OFFSET_MINUTES}}),
        Kind::Status => json!({"status": "success", "message": "", "next_update_seconds": 30, "server_timestamp": at}),
        Kind::Sync => {
            json!({"status": "success", "message": "", "stored": seen.count("readings") + 1, "duplicate": 0,
            "quarantined": 0, "acks": seen.count("acks"), "alerts": seen.count("alerts"), "logs": seen.count("logs"),
            "next_update_seconds": 30, "next_poll_seconds": 10, "server_timestamp": at})
        }
        Kind::Commands => json!({"status": "ok", "commands": [], "server_timestamp": at}),
        Kind::Firmware => json!({"status": "success", "message": "", "update": null, "server_timestamp": at}),
        Kind::CommandAck | Kind::Alert | Kind::Logs | Kind::Health => {
            json!({"status": "success", "message": "", "server_timestamp": at})
        }
    }
}

/// The same, but with these commands for every poll.
pub fn with_commands(seen: &Seen, commands: &[Value]) -> Reply {
    let mut body = good_body(seen);
    if seen.kind() == Kind::Commands {
        body["commands"] = json!(commands);
    }
    Reply::Answer(200, body)
}

pub fn error(status: u16, retry_after_s: u32) -> Reply {
    let body = json!({"status": "error", "code": "CODE", "message": "no", "retry_after_seconds": retry_after_s});
    Reply::Answer(status, body)
}

pub fn order(id: &str, at: UtcMillis, what: Value) -> Value {
    let mut command = json!({"command_id": id, "priority": "normal", "requested_at": at.to_string(),
        "expires_at": at.plus_seconds(900).to_string()});
    for (name, value) in what.as_object().unwrap() {
        command[name] = value.clone();
    }
    command
}
