//! The machine: its parts, what goes in, what comes out. What is due when is in `due`; every private step is in the file of
//! its subject.
use std::collections::VecDeque;

use ccms_core::limits::{ACKS_KEPT, ALERTS_KEPT, POLL_BACKOFF_S, STATUS_INTERVAL_S};
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::AckRequest;
use ccms_core::wire::alert::AlertRequest;

use crate::alerts::Watch;
use crate::answer::{Verdict, judge};
use crate::chance::Chance;
use crate::clock::{Clock, Now, Uptime};
use crate::config::{COMPRESS_ABOVE_BYTES, CONFIGURE_REFRESH_S, Config, JITTER_PERCENT, READINGS_PER_SYNC};
use crate::exchange::{Display, Input, Led, Output};
use crate::firmware::Report;
use crate::lamp::Lamp;
use crate::logbook::{Level, Logbook};
use crate::outbox::Outbox;
use crate::reading::{Ring, Sensors};
use crate::request::{InFlight, Kind, LANES, Lane, Request, RequestId};
use crate::saved::{Change, Saved, Settings};
use crate::signature::Key;
use crate::state::State;

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
    /// What a technician switched by hand, and until when.
    pub(crate) hand: Option<(Lamp, Uptime)>,
    pub(crate) sensors: Option<Sensors>,
    pub(crate) outputs: VecDeque<Output>,
    pub(crate) lanes: [Lane; LANES],
    next_request: u64,

    /// The server took a configure in this boot, and has not refused the token since.
    pub(crate) registered: bool,
    pub(crate) configure_attempts: u32,
    pub(crate) configure_again: Uptime,
    /// An authenticated request was accepted since the last configure.
    pub(crate) accepted: bool,
    /// The server refused the token since the last accepted request.
    pub(crate) token_refused: bool,

    pub(crate) status_due: Uptime,
    pub(crate) status_interval_s: u32,
    pub(crate) last_sample: Option<(Uptime, Sensors)>,
    pub(crate) readings: Ring,
    pub(crate) next_seq: u32,
    /// The newest reading has not been tried yet.
    pub(crate) live: bool,
    /// Samples are written to flash at once: the last report did not get through.
    pub(crate) store_at_once: bool,
    pub(crate) covering: Covering,
    pub(crate) batch_max: usize,
    /// The server is back and has not heard yet what piled up.
    pub(crate) resync: bool,
    /// The server refused what piled up in one piece.
    pub(crate) one_by_one: bool,

    pub(crate) backoff_step: usize,

    pub(crate) acks: Outbox<AckRequest>,
    pub(crate) acking: Vec<u32>,
    pub(crate) alerts: Outbox<AlertRequest>,
    pub(crate) alerting: Vec<u32>,
    /// Alerts from this number on are of this boot.
    pub(crate) alerts_of_boot: u32,
    pub(crate) watch: Watch,

    pub(crate) report: Option<Report>,
    pub(crate) logbook: Logbook,
    pub(crate) logs_due: Uptime,
    pub(crate) logs_end: u64,
    pub(crate) asks_health: bool,
}

/// What the status or sync under way speaks of: all that may be deleted when it is accepted.
#[derive(Debug, Default)]
pub(crate) struct Covering {
    pub readings: Vec<u32>,
    pub acks: Vec<u32>,
    pub alerts: Vec<u32>,
    /// The logbook up to here.
    pub logs_end: Option<u64>,
}

impl Device {
    /// A device at power-on, with what its flash holds.
    pub fn new(config: Config, saved: Saved, now: Now) -> Self {
        let Saved { settings, readings, alerts } = saved.bounded();
        let at = now.uptime;
        let alerts = Outbox::new(ALERTS_KEPT, alerts, at);
        let mut device = Self {
            clock: Clock::new(settings.last_utc, now),
            chance: Chance::new(config.seed),
            state: State::PowerOn,
            lamp: None,
            lamp_edge: None,
            hand: None,
            sensors: None,
            outputs: VecDeque::new(),
            lanes: std::array::from_fn(|_| Lane::default()),
            next_request: 0,
            registered: false,
            configure_attempts: 0,
            configure_again: at,
            accepted: false,
            token_refused: false,
            status_due: at,
            status_interval_s: STATUS_INTERVAL_S,
            last_sample: None,
            next_seq: settings.seq_reserved,
            live: false,
            store_at_once: true,
            covering: Covering::default(),
            batch_max: READINGS_PER_SYNC,
            resync: true,
            one_by_one: false,
            backoff_step: 0,
            acks: Outbox::new(ACKS_KEPT, settings.acks.clone(), at),
            acking: Vec::new(),
            alerts_of_boot: alerts.next_no(),
            alerts,
            alerting: Vec::new(),
            watch: Watch::default(),
            report: None,
            logbook: Logbook::default(),
            logs_due: at,
            logs_end: 0,
            asks_health: false,
            config,
            settings,
            readings,
        };
        // What was stored under a wrong clock is put right before anything goes by it.
        if let Some(step) = device.clock.tick(now) {
            device.clock_stepped(at, step);
        }
        device
    }

    /// Takes in what happened. Drain [`poll`](Self::poll) afterwards.
    pub fn handle(&mut self, now: Now, input: Input) {
        if self.state == State::PowerOff {
            return;
        }
        let at = now.uptime;
        if let Some(step) = self.clock.tick(now) {
            self.clock_stepped(at, step);
        }
        match input {
            Input::Timeout => self.on_timeout(at),
            Input::Sensors(sensors) => self.on_sensors(at, sensors),
            Input::Response(id, outcome) => self.on_response(at, id, judge(outcome)),
            Input::Technician(what) => self.on_technician(at, what),
            Input::Firmware(progress) => self.on_firmware(at, progress),
            Input::PowerLost => self.power_off(at),
        }
        if self.state != State::PowerOff {
            self.drive_lamp(at);
            self.send_what_is_due(at);
        }
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

    /// The time, if the device knows it well enough to switch a lamp by it.
    pub fn known_time(&self, at: Uptime) -> Option<UtcMillis> {
        self.clock.known(at)
    }

    /// Readings that no 200 has covered.
    pub fn unsent_readings(&self) -> usize {
        self.readings.len()
    }

    /// Acknowledgements that no 200 has covered.
    pub fn unsent_acks(&self) -> usize {
        self.acks.len()
    }

    /// Alerts that no 200 has covered.
    pub fn unsent_alerts(&self) -> usize {
        self.alerts.len()
    }

    /// Everything that flash holds now, for shells that rewrite it whole.
    pub fn saved(&self) -> Saved {
        let mut readings = Ring::default();
        self.readings.iter().filter(|s| s.stored).for_each(|s| drop(readings.push(s.clone())));
        Saved { settings: self.durable_settings(), readings, alerts: self.alerts.all() }
    }

    fn on_timeout(&mut self, at: Uptime) {
        match self.state {
            State::PowerOn => {
                self.enter(State::Initializing);
                self.drive_lamp(at);
                self.begin(at);
            }
            State::Initializing
            | State::Configuring
            | State::Ready
            | State::Offline
            | State::Error
            | State::Maintenance
            | State::PowerOff => {}
        }
        for lane in 0..LANES {
            if let Some(late) = self.lanes[lane].in_flight.take_if(|f| f.deadline <= at) {
                self.on_verdict(at, late.kind, Verdict::NoAnswer);
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
        let ours = self.lanes.iter_mut().find_map(|lane| lane.in_flight.take_if(|f| f.id == id));
        if let Some(answered) = ours {
            self.on_verdict(at, answered.kind, verdict);
        }
    }

    fn on_verdict(&mut self, at: Uptime, kind: Kind, verdict: Verdict) {
        let lane = self.lane_mut(kind);
        if matches!(verdict, Verdict::Done(_)) {
            (lane.no_answers, lane.server_errors, lane.refusals) = (0, 0, 0);
        }
        match kind {
            Kind::Configure => self.on_configured(at, verdict),
            Kind::Status => self.on_status_answer(at, verdict),
            Kind::Sync => self.on_sync_answer(at, verdict),
            Kind::Commands => self.on_poll_answer(at, verdict),
            Kind::CommandAck => self.on_ack_answer(at, verdict),
            Kind::Alert => self.on_alert_answer(at, verdict),
            Kind::Firmware => self.on_firmware_answer(at, verdict),
            Kind::Logs => self.on_logs_answer(at, verdict),
            Kind::Health => self.on_health_answer(at, verdict),
        }
    }

    pub(crate) fn lane(&self, kind: Kind) -> &Lane {
        &self.lanes[kind.lane()]
    }

    pub(crate) fn lane_mut(&mut self, kind: Kind) -> &mut Lane {
        &mut self.lanes[kind.lane()]
    }

    pub(crate) fn send(&mut self, at: Uptime, kind: Kind, body: Vec<u8>) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.lane_mut(kind).in_flight = Some(InFlight { id, kind, deadline: at.plus_s(u64::from(kind.timeout_s())) });
        let request = Request {
            kind,
            path: format!("/api/device/{}/{}", self.config.device_id, kind.as_str()),
            token: self.settings.token.clone(),
            compress: body.len() > COMPRESS_ABOVE_BYTES,
            body,
            timeout_s: kind.timeout_s(),
            key: self.key_for(kind),
        };
        self.outputs.push_back(Output::Send(id, request));
    }

    /// The device's own secret; for a configure the factory's key where there is no other, and every other time when the
    /// first did not help.
    fn key_for(&self, kind: Kind) -> Option<Key> {
        let own = self.settings.device_secret.as_deref().map(Key::of_secret);
        let factory = self.config.factory_key.clone().filter(|_| kind == Kind::Configure);
        if self.configure_attempts % 2 == 1 { factory.or(own) } else { own.or(factory) }
    }

    pub(crate) fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.outputs.push_back(Output::State(state));
        }
    }

    /// Where a device is that the server knows and answers.
    pub(crate) fn home(&self) -> State {
        if self.settings.maintenance.is_some() {
            State::Maintenance
        } else if self.sensors.as_ref().is_some_and(|s| s.critical) {
            State::Error
        } else {
            State::Ready
        }
    }

    pub(crate) fn show(&mut self, led: Led, text: String) {
        self.outputs.push_back(Output::Show(Display { led, text }));
    }

    pub(crate) fn log(&mut self, at: Uptime, level: Level, text: String) {
        self.logbook.push(UtcMillis::from_seconds(self.clock.guess(at).seconds()), level, &text);
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

    /// The last words of a boot: what is only in memory is written, in the order of its worth.
    pub(crate) fn power_off(&mut self, at: Uptime) {
        self.persist(at);
        self.store_readings();
        self.show(Led::Off, String::new());
        self.enter(State::PowerOff);
    }

    /// A wait of the back-off without a connection, stretched by chance.
    pub(crate) fn backoff_ms(&mut self) -> u64 {
        let seconds = POLL_BACKOFF_S[self.backoff_step.min(POLL_BACKOFF_S.len() - 1)];
        self.chance.stretched(u64::from(seconds) * 1000, JITTER_PERCENT)
    }

    pub(crate) fn next_refresh(&mut self, at: Uptime) -> Uptime {
        at.plus_ms(self.chance.stretched(CONFIGURE_REFRESH_S * 1000, JITTER_PERCENT))
    }
}
