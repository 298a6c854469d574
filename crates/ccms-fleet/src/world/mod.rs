//! Virtual time: a small city of reference devices against a server that is an async function. No sockets, no sleeps; a day
//! passes as fast as the server computes. Chance is seeded: the same seed and the same server tell the same story, and
//! [`World::transcript`] proves it.
//!
//! ```ignore
//! let mut world = World::new(Rules { lights: 20, seed: 7, ..Rules::default() });
//! world.run_for_seconds(86_400, &mut async |request| { clock.set(request.at); router_answers(request).await }).await;
//! assert!(world.devices().all(|d| d.is_online()));
//! ```
//! A failure is replayed with the [`Rules`] that it prints.
//!
//! - `network`  what becomes of a request and of its answer on their way
//! - `resident` one device and what was seen of it, `calls` how often it calls
//! - `rules`    what decides a world
//!
//! On top of it, days full of misfortunes and somebody who watches both sides of the wire:
//!
//! - [`story`]      lives a [`plan`], which a seed made, before a [`server`], and ends with what the [`witness`] found
//! - [`understudy`] a small server that plays the contract, [`tape`] what a server answered and can be made to answer again
mod calls;
mod network;
pub mod night;
pub mod plan;
mod resident;
mod rules;
pub mod server;
pub mod story;
pub mod tape;
pub mod understudy;
pub mod witness;

use std::collections::BTreeMap;
use std::ops::Range;

use ccms_core::time::UtcMillis;
use ccms_device::chance::Chance;
use ccms_device::{Device, Input, Now, Outcome, Output, RequestId, Saved, Uptime};

use self::calls::Crowd;

pub use calls::Calls;
pub use resident::{Done, Keeps, Resident};
pub use rules::{Faults, Request, Response, Rules, Sabotage};

/// A controller that restarts on command is back after this.
const RESTART_S: u64 = 3;

#[derive(Debug)]
enum Event {
    Boot {
        device: usize,
    },
    Wake {
        device: usize,
        wake_no: u64,
    },
    Arrive {
        device: usize,
        boot: u32,
        id: RequestId,
        request: Request,
    },
    /// A request that got lost is sent again, by a shell that hurries.
    Again {
        device: usize,
        boot: u32,
        id: RequestId,
        request: Request,
    },
    Answer {
        device: usize,
        boot: u32,
        id: RequestId,
        outcome: Outcome,
    },
    PowerCut {
        device: usize,
    },
}

#[derive(Debug)]
pub struct World {
    rules: Rules,
    chance: Chance,
    now_ms: u64,
    order: u64,
    events: BTreeMap<(u64, u64), Event>,
    residents: Vec<Resident>,
    outages: Vec<Range<i64>>,
    crowd: Crowd,
    transcript: u64,
    lines: Vec<String>,
    requests: u64,
}

impl World {
    pub fn new(rules: Rules) -> Self {
        let mut world = Self {
            chance: Chance::new(rules.seed),
            now_ms: 0,
            order: 0,
            events: BTreeMap::new(),
            residents: (0..rules.lights).map(|i| Resident::new(&rules, i)).collect(),
            outages: Vec::new(),
            crowd: Crowd::default(),
            transcript: 0xcbf2_9ce4_8422_2325,
            lines: Vec::new(),
            requests: 0,
            rules,
        };
        for device in 0..world.residents.len() {
            let start_ms = world.chance.below(world.rules.start_spread_seconds * 1000 + 1);
            world.at(start_ms, Event::Boot { device });
            world.plan_power_cut(device, start_ms);
        }
        world
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The true time.
    pub fn now(&self) -> UtcMillis {
        UtcMillis(self.rules.start.0 + self.now_ms as i64)
    }

    pub fn devices(&self) -> impl Iterator<Item = &Resident> {
        self.residents.iter()
    }

    pub fn device(&self, index: usize) -> &Resident {
        &self.residents[index]
    }

    /// Requests that left a device so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// A hash over everything that happened.
    pub fn transcript(&self) -> u64 {
        self.transcript
    }

    /// The most devices that retried in the same moment.
    pub fn largest_crowd(&self) -> usize {
        self.crowd.largest()
    }

    /// What happened, line by line, when [`Rules::keep_lines`] is set.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines
    }

    /// No request or answer gets through in `during`.
    pub fn cut_network(&mut self, during: Range<UtcMillis>) {
        self.note_all(&format!("no network for {} s", during.end.since(during.start) / 1000));
        self.outages.push(during.start.0..during.end.0);
    }

    /// The same for one device.
    pub fn cut_off(&mut self, device: usize, during: Range<UtcMillis>) {
        self.note(device, &format!("no network for {} s", during.end.since(during.start) / 1000));
        self.residents[device].outages.push(during.start.0..during.end.0);
    }

    /// From now on nothing more goes wrong by chance.
    pub fn calms(&mut self) {
        self.rules.faults = Faults::default();
    }

    /// From now on the device has network time that is so wrong, or none.
    pub fn set_network_time(&mut self, device: usize, error_ms: Option<i64>) {
        let now = self.now();
        let resident = &mut self.residents[device];
        resident.network_error_ms = error_ms;
        resident.clock_errors.push((now, error_ms.unwrap_or(0)));
        self.note(device, &format!("network time {error_ms:?}"));
    }

    /// A power cut now; the device boots again after `seconds`, with what its flash holds.
    pub fn cut_power(&mut self, device: usize, seconds: u64) {
        let now_ms = self.now_ms;
        let time = self.now();
        let resident = &mut self.residents[device];
        if resident.device.take().is_some() {
            resident.boot += 1;
            resident.calls.answered();
            resident.lamp_history.push((time, None));
            self.at(now_ms + seconds * 1000, Event::Boot { device });
            self.note(device, "power cut");
        }
    }

    /// From its next boot on the device has this flash.
    pub fn set_flash(&mut self, device: usize, flash: Box<dyn Keeps>) {
        self.residents[device].flash = Some(flash);
    }

    /// Empties the flash of a device that has no power, as a technician who swaps it would.
    pub fn wipe_flash(&mut self, device: usize) {
        let resident = &mut self.residents[device];
        resident.saved = Saved::default();
        resident.life += 1;
        self.note(device, "flash lost");
    }

    pub async fn run_for_seconds(&mut self, seconds: u64, server: &mut impl AsyncFnMut(Request) -> Response) {
        let end_ms = self.now_ms + seconds * 1000;
        while let Some(entry) = self.events.first_entry()
            && entry.key().0 <= end_ms
        {
            let ((at_ms, _), event) = entry.remove_entry();
            self.now_ms = at_ms;
            self.happen(event, server).await;
        }
        self.now_ms = end_ms;
    }

    async fn happen(&mut self, event: Event, server: &mut impl AsyncFnMut(Request) -> Response) {
        match event {
            Event::Boot { device } => self.boot(device),
            Event::Wake { device, wake_no } => {
                if self.residents[device].wake_no == wake_no {
                    self.wake(device);
                }
            }
            Event::Arrive { device, boot, id, request } => self.arrive(device, boot, id, request, server).await,
            Event::Again { device, boot, id, request } => {
                if self.residents[device].boot == boot {
                    self.dispatch(device, id, request);
                }
            }
            Event::Answer { device, boot, id, outcome } => {
                if self.residents[device].boot == boot {
                    self.residents[device].calls.answered();
                    self.tell(device, Input::Response(id, outcome));
                    self.settle(device);
                }
            }
            Event::PowerCut { device } => {
                if self.rules.faults.crashes_per_day > 0.0 {
                    let seconds = 1 + self.chance.below(120);
                    self.cut_power(device, seconds);
                    self.plan_power_cut(device, self.now_ms);
                }
            }
        }
    }

    fn plan_power_cut(&mut self, device: usize, from_ms: u64) {
        if self.rules.faults.crashes_per_day > 0.0 {
            let mean_ms = 86_400_000.0 / self.rules.faults.crashes_per_day;
            let wait_ms = (2.0 * mean_ms * self.chance.unit()) as u64 + 1;
            self.at(from_ms + wait_ms, Event::PowerCut { device });
        }
    }

    fn boot(&mut self, device: usize) {
        let now = Now { uptime: Uptime(0), utc: self.network_time(device) };
        let (booted_ms, true_time) = (self.now_ms, self.now());
        let resident = &mut self.residents[device];
        if resident.device.is_none() {
            resident.booted_ms = booted_ms;
            resident.loads(true_time);
            resident.device = Some(Device::new(resident.config.clone(), resident.saved.clone(), now));
            self.note(device, "power on");
            self.wake(device);
        }
    }

    fn wake(&mut self, device: usize) {
        let (now_ms, utc) = (self.now_ms, self.now());
        let resident = &mut self.residents[device];
        if resident.device.is_some() {
            let sensors = resident.lamp.measure(now_ms, utc);
            self.tell(device, Input::Sensors(sensors));
            self.tell(device, Input::Timeout);
            self.settle(device);
        }
    }

    fn tell(&mut self, device: usize, input: Input) {
        let utc = self.network_time(device);
        let now_ms = self.now_ms;
        let resident = &mut self.residents[device];
        if let Some(machine) = &mut resident.device {
            machine.handle(Now { uptime: Uptime(now_ms - resident.booted_ms), utc }, input);
        }
    }

    /// Does what the device asks for, and plans its next wake-up.
    fn settle(&mut self, device: usize) {
        let (now_ms, now) = (self.now_ms, self.now());
        while let Some(output) = self.residents[device].device.as_mut().and_then(Device::poll) {
            let resident = &mut self.residents[device];
            match output {
                Output::Send(id, request) => self.launch(device, id, request),
                Output::Actuate(lamp) => {
                    resident.lamp.actuate(now_ms, lamp);
                    resident.lamp_history.push((now, Some(lamp)));
                    self.note(device, &format!("lamp {} {}", lamp.power.as_str(), lamp.brightness_percent));
                }
                Output::Persist(change) => {
                    if !resident.persist(now, change, self.rules.sabotage) {
                        self.cut_power(device, RESTART_S);
                    }
                }
                Output::Show(display) => self.note(device, &display.text),
                Output::State(state) => {
                    resident.states.push((now, state));
                    self.note(device, state.as_str());
                }
                Output::Delivered(delivered) => resident.delivered.extend(delivered.readings),
                Output::Log(line) => self.note(device, &line),
                Output::Restart => self.cut_power(device, RESTART_S),
            }
        }
        let resident = &mut self.residents[device];
        resident.wake_no += 1;
        let wake_no = resident.wake_no;
        if let Some((at, _why)) = resident.device.as_ref().and_then(Device::wake_at) {
            let mut at_ms = (resident.booted_ms + at.0).max(now_ms);
            if self.rules.sabotage == Some(Sabotage::WakesOnTheMinute) && at_ms > now_ms {
                at_ms = at_ms.next_multiple_of(60_000);
            }
            self.at(at_ms, Event::Wake { device, wake_no });
        }
    }

    fn network_time(&self, device: usize) -> Option<UtcMillis> {
        self.residents[device].network_error_ms.map(|error_ms| UtcMillis(self.now().0 + error_ms))
    }

    fn at(&mut self, at_ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((at_ms, self.order), event);
    }

    fn note(&mut self, device: usize, what: &str) {
        self.write(format!("{:>10} {device:>4} {what}", self.now_ms));
    }

    /// What concerns no single device.
    pub(crate) fn note_all(&mut self, what: &str) {
        self.write(format!("{:>10}    - {what}", self.now_ms));
    }

    fn write(&mut self, line: String) {
        for byte in line.bytes() {
            self.transcript = (self.transcript ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.rules.keep_lines {
            self.lines.push(line);
        }
    }
}
