//! The loop around one device: drain its outputs, sleep until it wants to be woken or an answer comes, measure, go on.
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ccms_core::time::UtcMillis;
use ccms_device::{Change, Delivered, Device, Display, Input, Kind, Now, Outcome, Output, RequestId, State, Uptime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::http::Http;
use crate::line::Line;
use crate::pole::Pole;
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
/// A pole without mains and battery is looked at this often.
const DARK_MS: u64 = 2_000;

pub struct Runner<D, P = SimLamp> {
    pub device: Device,
    pub lamp: P,
    pub desk: D,
    pub shared: Arc<Shared>,
    /// The device's own connection; without one it shares those of the process.
    pub line: Option<Arc<Line>>,
    booted_ms: u64,
    noted_ms: u64,
    online: bool,
    ever_online: bool,
    requests: JoinSet<(RequestId, Outcome)>,
}

impl<D: Desk, P: Pole> Runner<D, P> {
    /// `boot` makes the device, told the time at which it is powered.
    pub fn new(shared: Arc<Shared>, lamp: P, desk: D, boot: impl FnOnce(Now) -> Device) -> Self {
        let booted_ms = shared.clock.steady_ms();
        let utc = shared.network_time.then(|| shared.clock.utc());
        let device = boot(Now { uptime: Uptime(0), utc });
        Self {
            device,
            lamp,
            desk,
            shared,
            line: None,
            booted_ms,
            noted_ms: booted_ms,
            online: false,
            ever_online: false,
            requests: JoinSet::new(),
        }
    }

    /// Runs until `stop` turns true.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            self.drain();
            let wake = self.device.wake_at().map(|(at, _)| self.booted_ms + at.0);
            let wake_ms = wake.unwrap_or_else(|| self.shared.clock.steady_ms() + IDLE_MS);
            let look_ms = self.lamp.look_every_ms().map(|ms| self.shared.clock.steady_ms() + ms);
            let wake_ms = look_ms.map_or(wake_ms, |look| wake_ms.min(look));
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
            if !self.lamp.has_power() && !self.boots_again(&mut stop).await {
                break;
            }
        }
        self.desk.meter(self.lamp.meter_uj());
    }

    /// Neither mains nor battery: the controller is gone until there is mains, and boots with what its flash holds. False when
    /// the run ends before.
    async fn boots_again(&mut self, stop: &mut watch::Receiver<bool>) -> bool {
        self.drain();
        self.requests.abort_all();
        self.count_online(false);
        while !self.lamp.has_power() {
            tokio::select! {
                _ = stop.wait_for(|s| *s) => return false,
                () = tokio::time::sleep(Duration::from_millis(DARK_MS)) => {}
            }
            self.lamp.measure(self.shared.clock.steady_ms(), self.shared.clock.utc());
        }
        self.shared.stats.reboots.fetch_add(1, Relaxed);
        self.restart();
        true
    }

    fn now(&self) -> Now {
        let steady_ms = self.shared.clock.steady_ms();
        let utc = || UtcMillis(self.shared.clock.utc().0 + self.lamp.clock_error_ms(steady_ms));
        let utc = self.shared.network_time.then(utc);
        Now { uptime: Uptime(steady_ms.saturating_sub(self.booted_ms)), utc }
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
        // Without a network nothing is sent and nothing comes; the device minds its timeout itself.
        if !self.lamp.is_connected(shared.clock.steady_ms()) {
            shared.stats.unsent.fetch_add(1, Relaxed);
            return;
        }
        shared.stats.sent(kind);
        let line = self.line.clone();
        self.requests.spawn(async move {
            let began = shared.clock.elapsed();
            let outcome = match line {
                Some(line) => line.send(request).await,
                None => shared.http.send(request).await,
            };
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
