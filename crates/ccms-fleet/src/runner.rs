//! The loop around one device: drain its outputs, sleep until it wants to be woken or an answer comes, measure, go on.
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ccms_device::{Change, Delivered, Device, Display, Input, Kind, Now, Outcome, Output, RequestId, State, Uptime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::http::Http;
use crate::sickness::Sickness;
use crate::simlamp::SimLamp;
use crate::stats::Stats;

/// What the devices of a process share.
#[derive(Debug)]
pub struct Shared {
    pub clock: Clock,
    pub http: Http,
    pub stats: Stats,
    /// Whether devices have network time; without it they learn the time from the server.
    pub network_time: bool,
}

/// What a shell does with the words of its device.
pub trait Desk {
    fn persist(&mut self, device: &Device, change: Change);
    fn delivered(&mut self, delivered: &Delivered);
    fn entered(&mut self, _state: State) {}
    fn show(&mut self, _display: &Display) {}
    fn log(&mut self, _line: &str) {}
    fn lamp(&mut self, _lamp: ccms_device::Lamp) {}
    fn meter(&mut self, _meter_uj: u64) {}
}

/// The meter is written down this often, and at the end.
const METER_NOTE_MS: u64 = 300_000;
/// A device always wants to be woken; should one not, it is looked at this often.
const IDLE_MS: u64 = 1_000;

pub struct Runner<D> {
    pub device: Device,
    pub lamp: SimLamp,
    pub desk: D,
    pub shared: Arc<Shared>,
    booted_ms: u64,
    noted_ms: u64,
    online: bool,
    ever_online: bool,
    requests: JoinSet<(RequestId, Outcome)>,
}

impl<D: Desk> Runner<D> {
    /// `boot` makes the device, told the time at which it is powered.
    pub fn new(shared: Arc<Shared>, lamp: SimLamp, desk: D, boot: impl FnOnce(Now) -> Device) -> Self {
        let booted_ms = shared.clock.steady_ms();
        let utc = shared.network_time.then(|| shared.clock.utc());
        let device = boot(Now { uptime: Uptime(0), utc });
        Self {
            device,
            lamp,
            desk,
            shared,
            booted_ms,
            noted_ms: booted_ms,
            online: false,
            ever_online: false,
            requests: JoinSet::new(),
        }
    }

    /// Runs until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let silent_at = match self.lamp.sickness() {
            Some(Sickness::Silent { after_s }) => Some(Uptime(after_s * 1000)),
            _ => None,
        };
        loop {
            self.drain();
            let wake = self.device.wake_at().map(|(at, _)| at);
            let next = [wake, silent_at].into_iter().flatten().min();
            let wake_ms = next.map_or_else(|| self.shared.clock.steady_ms() + IDLE_MS, |at| self.booted_ms + at.0);
            let until = Instant::from_std(self.shared.clock.instant_at_ms(wake_ms));
            tokio::select! {
                _ = stop.wait_for(|s| *s) => break,
                Some(done) = self.requests.join_next(), if !self.requests.is_empty() => {
                    if let Ok((id, outcome)) = done {
                        let now = self.now();
                        self.device.handle(now, Input::Response(id, outcome));
                    }
                }
                () = sleep_until(until) => self.wake(),
            }
            if silent_at.is_some_and(|at| self.now().uptime >= at) {
                self.count_online(false);
                let _ = stop.wait_for(|s| *s).await;
                break;
            }
        }
        self.desk.meter(self.lamp.meter_uj());
    }

    fn now(&self) -> Now {
        let utc = self.shared.network_time.then(|| self.shared.clock.utc());
        Now { uptime: Uptime(self.shared.clock.steady_ms().saturating_sub(self.booted_ms)), utc }
    }

    fn wake(&mut self) {
        let steady_ms = self.shared.clock.steady_ms();
        let sensors = self.lamp.measure(steady_ms, self.shared.clock.utc());
        if steady_ms - self.noted_ms >= METER_NOTE_MS {
            self.noted_ms = steady_ms;
            self.desk.meter(self.lamp.meter_uj());
        }
        let now = self.now();
        self.device.handle(now, Input::Sensors(sensors));
        self.device.handle(now, Input::Timeout);
    }

    fn drain(&mut self) {
        while let Some(output) = self.device.poll() {
            match output {
                Output::Send(id, request) => self.send(id, request),
                Output::Actuate(lamp) => {
                    self.lamp.actuate(self.shared.clock.steady_ms(), lamp);
                    self.desk.lamp(lamp);
                }
                Output::Persist(change) => self.desk.persist(&self.device, change),
                Output::Show(display) => self.desk.show(&display),
                Output::State(state) => {
                    self.count_online(state.is_online());
                    self.desk.entered(state);
                }
                Output::Delivered(delivered) => {
                    let stats = &self.shared.stats;
                    stats.readings.fetch_add(delivered.readings.len() as u64, Relaxed);
                    stats.duplicates.fetch_add(u64::from(delivered.duplicate), Relaxed);
                    self.desk.delivered(&delivered);
                }
                Output::Log(line) => self.desk.log(&line),
                Output::Restart => self.restart(),
            }
        }
    }

    /// What a controller does when its processor is reset: requests are forgotten, flash and relay are as they were.
    fn restart(&mut self) {
        self.requests = JoinSet::new();
        self.booted_ms = self.shared.clock.steady_ms();
        self.device = Device::new(self.device.config().clone(), self.device.saved(), self.now());
    }

    fn send(&mut self, id: RequestId, request: ccms_device::Request) {
        let (shared, kind): (_, Kind) = (Arc::clone(&self.shared), request.kind);
        shared.stats.sent(kind);
        self.requests.spawn(async move {
            let began = shared.clock.elapsed();
            let outcome = shared.http.send(request).await;
            shared.stats.answered(kind, &outcome, shared.clock.elapsed().saturating_sub(began));
            (id, outcome)
        });
    }

    fn count_online(&mut self, online: bool) {
        let stats = &self.shared.stats;
        if online != self.online {
            self.online = online;
            if online {
                stats.online.fetch_add(1, Relaxed);
            } else {
                stats.online.fetch_sub(1, Relaxed);
            }
        }
        if online && !self.ever_online {
            self.ever_online = true;
            stats.ever_online.fetch_add(1, Relaxed);
        }
    }
}
