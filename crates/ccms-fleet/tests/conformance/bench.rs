//! A pole on a bench, in virtual time: the reference device, a lamp, sensors that do as they are told, a radio, and whatever a
//! test breaks of it. What is broken is broken outside of the device: in what leaves it, in what reaches it, in what it measures
//! and in what its flash gives back.
use std::collections::BTreeMap;

use ccms_core::time::UtcMillis;
use ccms_device::{Config, Device, Input, Kind, Now, Outcome, Output, Request, RequestId, Saved, Sensors, Uptime};
use ccms_fleet::conformance::{Heard, Reaction, Referee, Report, Rules, Stimulus};
use ccms_fleet::http::gzip;
use ccms_fleet::identity::device_id;
use serde_json::Value;

/// 2025-12-17T10:30:00Z, as in the device document.
pub const START: UtcMillis = UtcMillis::from_seconds(1_765_967_400);
/// One way.
const LATENCY_MS: u64 = 60;
/// No power for this long.
const CUT_MS: u64 = 5_000;
/// A run that is not over by then hangs.
const LONGEST_MS: u64 = 6 * 3_600_000;

/// What leaves the device, before it is packed and signed.
pub struct Outgoing {
    pub kind: Kind,
    pub bearer: Option<String>,
    /// `Null` where there is no body.
    pub body: Value,
    pub pack: bool,
}

/// What is broken. The default breaks nothing.
pub trait Broken {
    fn measures(&mut self, _sensors: &mut Sensors) {}
    /// How many times it is sent: 0 swallows it.
    fn sends(&mut self, _now_ms: u64, _outgoing: &mut Outgoing) -> usize {
        1
    }
    /// Whether the request goes out once more instead of the device hearing this.
    fn hears(&mut self, _kind: Kind, _outcome: &mut Outcome) -> bool {
        false
    }
    /// Calls of its own, sent after what was just heard.
    fn adds(&mut self) -> Vec<Outgoing> {
        Vec::new()
    }
    fn boots(&mut self, _saved: &mut Saved) {}
}

pub struct Sound;
impl Broken for Sound {}

enum Event {
    Boot,
    Wake { number: u64 },
    Arrive { boot: u32, id: Option<RequestId>, kind: Kind, heard: Heard },
    Hear { boot: u32, id: Option<RequestId>, kind: Kind, outcome: Outcome, heard: Heard },
    Referee,
}

pub struct Bench {
    referee: Referee,
    broken: Box<dyn Broken>,
    config: Config,
    device: Option<Device>,
    saved: Saved,
    sensors: Sensors,
    /// Nobody is there to do anything.
    pub no_hands: bool,
    now_ms: u64,
    /// When the referee is called next.
    planned_ms: Option<u64>,
    booted_ms: u64,
    boot: u32,
    wake_no: u64,
    order: u64,
    events: BTreeMap<(u64, u64), Event>,
    pub lines: Vec<String>,
}

/// Plays the rules against the reference device with something broken.
pub fn examine(rules: Rules, broken: impl Broken + 'static) -> Report {
    let mut bench = Bench::new(rules, broken);
    bench.run();
    bench.report()
}

impl Bench {
    pub fn new(rules: Rules, broken: impl Broken + 'static) -> Self {
        let config = Config::new(device_id(5, 1), 28.6139, 77.2090, 5);
        let mut bench = Self {
            referee: Referee::new(rules),
            broken: Box::new(broken),
            config,
            device: None,
            saved: Saved::default(),
            sensors: Sensors {
                temperature_dc: 315,
                battery_percent: 95,
                signal_percent: 82,
                voltage_dv: 2305,
                current_ma: 260,
                power_dw: 600,
                frequency_chz: 5000,
                energy_wh: 1_245_670,
                ..Sensors::default()
            },
            no_hands: false,
            now_ms: 0,
            planned_ms: None,
            booted_ms: 0,
            boot: 0,
            wake_no: 0,
            order: 0,
            events: BTreeMap::new(),
            lines: Vec::new(),
        };
        bench.at(2_000, Event::Boot);
        bench
    }

    pub fn run(&mut self) {
        while !self.referee.is_over() {
            self.hands();
            if let Some(at) = self.referee.wake_at_ms().filter(|at| self.planned_ms != Some(*at)) {
                self.planned_ms = Some(at);
                self.at(at.max(self.now_ms), Event::Referee);
            }
            let Some(((at, _), event)) = self.events.pop_first() else { break };
            assert!(at < LONGEST_MS, "the run does not end:\n{}", self.tail());
            self.now_ms = at;
            self.happen(event);
            while let Some(line) = self.referee.news() {
                self.lines.push(format!("{:>8.1} {line}", at as f64 / 1000.0));
            }
        }
    }

    pub fn report(&self) -> Report {
        self.referee.report(self.now_ms)
    }

    pub fn tail(&self) -> String {
        self.lines[self.lines.len().saturating_sub(30)..].join("\n")
    }

    fn hands(&mut self) {
        while let Some(stimulus) = self.referee.ask() {
            if !self.no_hands {
                match stimulus {
                    Stimulus::PowerCycle => {
                        self.device = None;
                        self.boot += 1;
                        self.at(self.now_ms + CUT_MS, Event::Boot);
                    }
                    Stimulus::Hot => self.sensors.temperature_dc = 712,
                    Stimulus::Cool => self.sensors.temperature_dc = 315,
                    Stimulus::BatteryLow => self.sensors.battery_percent = 8,
                    Stimulus::BatteryFull => self.sensors.battery_percent = 95,
                }
                self.wake_soon();
            }
            self.referee.done(self.now_ms, !self.no_hands);
        }
    }

    /// Sensors are looked at once a second.
    fn wake_soon(&mut self) {
        if self.device.is_some() {
            self.wake_no += 1;
            self.at(self.now_ms + 1_000, Event::Wake { number: self.wake_no });
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Referee => self.referee.tick(self.now_ms),
            Event::Boot => {
                self.booted_ms = self.now_ms;
                self.broken.boots(&mut self.saved);
                let now = Now { uptime: Uptime(0), utc: None };
                self.device = Some(Device::new(self.config.clone(), self.saved.clone(), now));
                self.wake();
            }
            Event::Wake { number } if number == self.wake_no => self.wake(),
            Event::Wake { .. } => {}
            Event::Arrive { boot, id, kind, heard } => self.arrive(boot, id, kind, heard),
            Event::Hear { boot, id, kind, mut outcome, heard } => {
                if boot != self.boot {
                    return;
                }
                if self.broken.hears(kind, &mut outcome) {
                    self.at(self.now_ms + LATENCY_MS, Event::Arrive { boot, id, kind, heard });
                } else if let Some(id) = id {
                    self.tell(Input::Response(id, outcome));
                }
                for outgoing in self.broken.adds() {
                    self.launch(None, outgoing, None);
                }
                self.settle();
            }
        }
    }

    fn arrive(&mut self, boot: u32, id: Option<RequestId>, kind: Kind, heard: Heard) {
        let reaction = self.referee.hear(self.now_ms, &heard);
        let (after_ms, times, outcome) = match reaction {
            Reaction::Silence => return,
            Reaction::HangUp => (0, 1, Outcome::NoAnswer),
            Reaction::Answer { status, body, after_ms, twice } => {
                (after_ms, if twice { 2 } else { 1 }, Outcome::Answer { status, body })
            }
        };
        for time in 0..times {
            let at = self.now_ms + after_ms + LATENCY_MS + time * 5;
            self.at(at, Event::Hear { boot, id, kind, outcome: outcome.clone(), heard: heard.clone() });
        }
    }

    fn wake(&mut self) {
        let mut sensors = self.sensors.clone();
        sensors.energy_wh += (self.now_ms / 60_000) as i64;
        self.broken.measures(&mut sensors);
        self.tell(Input::Sensors(sensors));
        self.tell(Input::Timeout);
        self.settle();
    }

    fn tell(&mut self, input: Input) {
        if let Some(device) = &mut self.device {
            device.handle(Now { uptime: Uptime(self.now_ms - self.booted_ms), utc: None }, input);
        }
    }

    fn settle(&mut self) {
        while let Some(output) = self.device.as_mut().and_then(Device::poll) {
            match output {
                Output::Send(id, request) => self.send(id, &request),
                Output::Persist(change) => self.saved.apply(change),
                Output::Log(line) => {
                    self.lines.push(format!("{:>8.1}       device: {line}", self.now_ms as f64 / 1000.0))
                }
                Output::Actuate(_) | Output::Show(_) | Output::State(_) | Output::Delivered(_) | Output::Restart => {}
            }
        }
        if let Some((at, _)) = self.device.as_ref().and_then(Device::wake_at) {
            self.wake_no += 1;
            self.at((self.booted_ms + at.0).max(self.now_ms), Event::Wake { number: self.wake_no });
        }
    }

    fn send(&mut self, id: RequestId, request: &Request) {
        let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let (kind, bearer, pack) = (request.kind, request.token.clone(), request.compress);
        self.launch(Some(id), Outgoing { kind, bearer, body, pack }, Some(request));
    }

    fn launch(&mut self, id: Option<RequestId>, mut outgoing: Outgoing, request: Option<&Request>) {
        let times = self.broken.sends(self.now_ms, &mut outgoing);
        let has_body = !outgoing.body.is_null();
        let plain = if has_body { outgoing.body.to_string().into_bytes() } else { Vec::new() };
        let body = if outgoing.pack { gzip(&plain).expect("memory is always there") } else { plain };
        let heard = Heard {
            method: outgoing.kind.method().as_str().to_owned(),
            path: format!("/api/device/{}/{}", self.config.device_id, outgoing.kind.as_str()),
            bearer: outgoing.bearer,
            content_type: has_body.then(|| "application/json".to_owned()),
            packed: outgoing.pack,
            signature: request.and_then(|r| r.signature(&body)),
            secure: true,
            body,
        };
        for time in 0..times as u64 {
            let (boot, kind, heard) = (self.boot, outgoing.kind, heard.clone());
            self.at(self.now_ms + LATENCY_MS + time, Event::Arrive { boot, id, kind, heard });
        }
    }

    fn at(&mut self, ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((ms, self.order), event);
    }
}
