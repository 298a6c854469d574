//! The machine: its parts, its inputs and outputs, and the one place that decides what is due. Every private step is in
//! the file of its subject: `configuring`, `telemetry`, `orders`, `lighting`.
use std::collections::VecDeque;

use ccms_core::limits::{POLL_BACKOFF_S, POLL_INTERVAL_LOW_BATTERY_S, POLL_INTERVAL_S, STATUS_INTERVAL_S};

use crate::acks::Acks;
use crate::chance::Chance;
use crate::clock::{Clock, Now, Uptime};
use crate::config::{COMPRESS_ABOVE_BYTES, Config, JITTER_PERCENT, READINGS_PER_BATCH};
use crate::exchange::{Display, Input, Led, Output, Why};
use crate::lamp::Lamp;
use crate::reading::{Ring, Sensors};
use crate::request::{InFlight, Kind, Request, RequestId, Verdict, judge};
use crate::saved::{Change, Saved, Settings};
use crate::state::State;

/// One kind of request: at most one of it is under way.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub in_flight: Option<InFlight>,
    /// Nothing is sent before this.
    pub not_before: Uptime,
    pub no_answers: u32,
    pub server_errors: u32,
}

#[derive(Debug)]
pub struct Device {
    pub(crate) config: Config,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) chance: Chance,
    pub(crate) state: State,
    pub(crate) lamp: Option<Lamp>,
    /// The next moment at which schedule or override change their mind.
    pub(crate) lamp_edge: Option<Uptime>,
    pub(crate) sensors: Option<Sensors>,
    pub(crate) outputs: VecDeque<Output>,
    next_request: u64,

    pub(crate) configure: Lane,
    pub(crate) configure_attempts: u32,
    /// The server refused the token since the last accepted request.
    pub(crate) token_refused: bool,

    pub(crate) status: Lane,
    pub(crate) status_due: Uptime,
    pub(crate) status_interval_s: u32,
    pub(crate) last_sample: Option<(Uptime, Sensors)>,
    pub(crate) readings: Ring,
    pub(crate) next_seq: u32,
    /// The newest reading has not been tried yet.
    pub(crate) live: bool,
    pub(crate) covering: Vec<u32>,
    pub(crate) refusals: u32,
    pub(crate) batch_max: usize,

    pub(crate) poll: Lane,
    pub(crate) backoff_step: usize,

    pub(crate) ack: Lane,
    pub(crate) acks: Acks,
    pub(crate) acking: Option<ccms_core::ids::CommandId>,
}

impl Device {
    /// A device at power-on, with what its flash holds.
    pub fn new(config: Config, saved: Saved, now: Now) -> Self {
        let Saved { settings, readings } = saved;
        Self {
            clock: Clock::new(settings.last_utc, now),
            chance: Chance::new(config.seed),
            state: State::PowerOn,
            lamp: None,
            lamp_edge: None,
            sensors: None,
            outputs: VecDeque::new(),
            next_request: 0,
            configure: Lane::default(),
            configure_attempts: 0,
            token_refused: false,
            status: Lane::default(),
            status_due: now.uptime,
            status_interval_s: STATUS_INTERVAL_S,
            last_sample: None,
            next_seq: settings.seq_reserved,
            live: false,
            covering: Vec::new(),
            refusals: 0,
            batch_max: READINGS_PER_BATCH,
            poll: Lane::default(),
            backoff_step: 0,
            ack: Lane::default(),
            acks: Acks::new(settings.acks.clone(), now.uptime),
            acking: None,
            config,
            settings,
            readings,
        }
    }

    pub fn handle(&mut self, now: Now, input: Input) {
        self.clock.tick(now);
        let at = now.uptime;
        match input {
            Input::Timeout => self.on_timeout(at),
            Input::Sensors(sensors) => self.on_sensors(at, sensors),
            Input::Response(id, outcome) => self.on_response(at, id, judge(outcome)),
        }
        self.drive_lamp(at);
        self.send_what_is_due(at);
    }

    /// What to do next; `None` when everything is said.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn state(&self) -> State {
        self.state
    }

    /// What the lamp was last told.
    pub fn lamp(&self) -> Option<Lamp> {
        self.lamp
    }

    pub fn light_id(&self) -> Option<&str> {
        self.settings.light_id.as_deref()
    }

    /// Credentials, schedule, overrides and what was done.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Readings that no 200 has covered.
    pub fn unsent_readings(&self) -> usize {
        self.readings.len()
    }

    /// Acknowledgements that no 200 has covered.
    pub fn unsent_acks(&self) -> usize {
        self.settings.acks.len()
    }

    /// Everything that flash holds now, for shells that rewrite it whole.
    pub fn saved(&self) -> Saved {
        let mut readings = Ring::default();
        self.readings.iter().filter(|s| s.stored).for_each(|s| readings.push(s.clone()));
        Saved { settings: self.durable_settings(), readings }
    }

    /// When to come back with [`Input::Timeout`] if nothing else happens before, and why.
    pub fn wake_at(&self) -> Option<(Uptime, Why)> {
        let mut next: Option<(Uptime, Why)> = None;
        let mut at_the_latest = |at: Uptime, why: Why| {
            if next.is_none_or(|(earliest, _)| at < earliest) {
                next = Some((at, why));
            }
        };
        for lane in [&self.configure, &self.status, &self.poll, &self.ack] {
            if let Some(f) = &lane.in_flight {
                at_the_latest(f.deadline, Why::RequestTimeout);
            }
        }
        match self.state {
            State::PowerOn | State::Initializing => at_the_latest(Uptime(0), Why::PowerOn),
            State::Configuring => {
                if self.configure.in_flight.is_none() {
                    at_the_latest(self.configure.not_before, Why::ConfigureDue);
                }
            }
            State::Ready | State::Error => {
                if self.ack.in_flight.is_none()
                    && let Some(due) = self.acks.next_due()
                {
                    at_the_latest(due.max(self.ack.not_before), Why::AckDue);
                }
                if self.status.in_flight.is_none() && !self.readings.is_empty() && !self.acks_go_first() {
                    at_the_latest(self.status.not_before, Why::StatusSend);
                }
            }
            State::Offline => {}
        }
        if matches!(self.state, State::Ready | State::Error | State::Offline) && self.poll.in_flight.is_none() {
            at_the_latest(self.poll.not_before, Why::PollDue);
        }
        if self.state != State::PowerOn {
            at_the_latest(self.status_due, Why::StatusDue);
            if let Some(edge) = self.lamp_edge {
                at_the_latest(edge, Why::LampEdge);
            }
        }
        next
    }

    fn on_timeout(&mut self, at: Uptime) {
        match self.state {
            State::PowerOn => {
                self.enter(State::Initializing);
                self.drive_lamp(at);
                self.configure.not_before = at;
                self.enter(State::Configuring);
            }
            State::Initializing | State::Configuring | State::Ready | State::Offline | State::Error => {}
        }
        for kind in Kind::ALL {
            if let Some(f) = self.lane(kind).in_flight.take_if(|f| f.deadline <= at) {
                let _late = f.id;
                self.on_verdict(at, kind, Verdict::NoAnswer);
            }
        }
        // First the lamp, then the sample: a status tells of the lamp as it is.
        self.drive_lamp(at);
        if self.status_due <= at {
            self.take_sample(at);
        }
    }

    fn on_response(&mut self, at: Uptime, id: RequestId, verdict: Verdict) {
        // An answer to a request that was given up is too late: the request was repeated under another id.
        let ours = |lane: &Lane| lane.in_flight.as_ref().is_some_and(|f| f.id == id);
        let Some(kind) = Kind::ALL.into_iter().find(|k| ours(self.lane(*k))) else { return };
        self.lane(kind).in_flight = None;
        self.on_verdict(at, kind, verdict);
    }

    fn on_verdict(&mut self, at: Uptime, kind: Kind, verdict: Verdict) {
        if matches!(verdict, Verdict::Done(_)) {
            let lane = self.lane(kind);
            (lane.no_answers, lane.server_errors) = (0, 0);
        }
        match kind {
            Kind::Configure => self.on_configured(at, verdict),
            Kind::Status => self.on_status_answer(at, verdict),
            Kind::Commands => self.on_poll_answer(at, verdict),
            Kind::CommandAck => self.on_ack_answer(at, verdict),
        }
    }

    fn send_what_is_due(&mut self, at: Uptime) {
        match self.state {
            State::PowerOn | State::Initializing => {}
            State::Configuring => self.configure_if_due(at),
            State::Ready | State::Error => {
                self.ack_if_due(at);
                self.report_if_due(at);
                self.poll_if_due(at);
            }
            State::Offline => self.poll_if_due(at),
        }
    }

    pub(crate) fn lane(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Configure => &mut self.configure,
            Kind::Status => &mut self.status,
            Kind::Commands => &mut self.poll,
            Kind::CommandAck => &mut self.ack,
        }
    }

    pub(crate) fn send(&mut self, at: Uptime, kind: Kind, body: Vec<u8>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.lane(kind).in_flight = Some(InFlight { id, deadline: at.plus_s(u64::from(kind.timeout_s())) });
        let request = Request {
            kind,
            path: format!("/api/device/{}/{}", self.config.device_id, kind.as_str()),
            token: self.settings.token.clone(),
            compress: body.len() > COMPRESS_ABOVE_BYTES,
            body,
            timeout_s: kind.timeout_s(),
        };
        self.outputs.push_back(Output::Send(id, request));
    }

    pub(crate) fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.outputs.push_back(Output::State(state));
        }
    }

    pub(crate) fn show(&mut self, led: Led, text: String) {
        self.outputs.push_back(Output::Show(Display { led, text }));
    }

    pub(crate) fn log(&mut self, text: String) {
        self.outputs.push_back(Output::Log(text));
    }

    fn durable_settings(&self) -> Settings {
        Settings { manual: self.settings.manual.durable(), ..self.settings.clone() }
    }

    /// Writes the settings to flash.
    pub(crate) fn persist(&mut self, at: Uptime) {
        self.settings.last_utc = self.clock.guess(at);
        let settings = Box::new(self.durable_settings());
        self.outputs.push_back(Output::Persist(Change::Settings(settings)));
    }

    /// A wait of the back-off for polls, stretched by chance.
    pub(crate) fn backoff_ms(&mut self) -> u64 {
        let seconds = POLL_BACKOFF_S[self.backoff_step.min(POLL_BACKOFF_S.len() - 1)];
        self.chance.stretched(u64::from(seconds) * 1000, JITTER_PERCENT)
    }

    pub(crate) fn poll_interval_s(&self) -> u32 {
        match &self.sensors {
            Some(s) if s.battery_is_low() => POLL_INTERVAL_LOW_BATTERY_S,
            _ => POLL_INTERVAL_S,
        }
    }
}
