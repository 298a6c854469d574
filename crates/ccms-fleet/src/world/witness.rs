//! Who sees both sides of the wire: what devices sent and were told, what their lamps did, and what the server holds. In the end
//! it says which invariants of the contract were broken; each is named where it is checked.
//!
//! | | what must hold | how it is seen |
//! | --- | --- | --- |
//! | I1 | a 200 means on disk | readings and acknowledgements that a 200 covered are among what the server holds |
//! | I2 | one effect per device and command | no device notes a command as done twice; it tells one story of it |
//! | I3 | an expired command is never delivered | the end of every command that is handed out |
//! | I4 | a device sees and writes only its own | whose the command is; who sent a reading; trespassers are turned away |
//! | I5 | unknown or offline at night means ON | every minute of every lamp, against the night and what was ordered |
//! | I6 | no hand-over strands a device | after the calm at the end every device is online and reports |
//! | I7 | the audit chain verifies | the chain, walked from its beginning |
//! | I8 | every retry is bounded and jittered | calls per minute, calls without an answer, retries in one moment |
//! | I9 | late or repeated data neither rewinds what is shown nor counts twice | what is shown after each hour; each reading once |
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::io::Read;

use ccms_core::command::{AckStatus, CommandKind};
use ccms_core::ids::CommandId;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_device::lamp::is_dark;
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::World;
use super::night::{DARK_ORDER_S, dark_minutes};
use super::resident::Resident;
use super::rules::{Request, Response};
use super::server::{Held, Holdings};

/// After the calm a device has reported within this.
const REPORTS_WITHIN_S: i64 = 300;
/// Devices that retry in one moment: so many by chance, and a share of all.
const CROWD_MIN: usize = 4;
const CROWD_SHARE: usize = 4;
/// Of each invariant no more than so many breaches are told.
const TOLD_MAX: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    I9,
}

/// An invariant that did not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    pub of: Invariant,
    pub what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.of, self.what)
    }
}

/// When a reading was taken among all of its device: by lives of its flash, then by number.
type Order = (u32, u32);
/// That, and how it is dated.
type Dated = (Order, UtcMillis);

#[derive(Debug, Default)]
pub struct Witness {
    /// Of each device: what it sent, by time and number. What it says of itself when it configures has no number.
    sent: BTreeMap<(usize, UtcMillis, Option<u32>), Order>,
    /// Of each device the last number that it sent.
    latest: HashMap<usize, Order>,
    /// Whose command it is, and whether it makes the street dark.
    ordered: HashMap<CommandId, (usize, bool)>,
    /// What a device said of a command, in one life of its flash.
    told: BTreeMap<(usize, u32, CommandId), BTreeSet<String>>,
    /// Acknowledgements that a 200 covered.
    heard: BTreeSet<(usize, CommandId)>,
    /// What was shown of each device when somebody looked last.
    shown: HashMap<usize, Dated>,
    /// Of each device the newest reading that a 200 covered, heard by it or not.
    accepted: HashMap<usize, Dated>,
    /// Readings that were accepted and not shown, with what was shown: broken is I9 when they are held, else I1.
    unseen: Vec<(usize, Dated, Dated)>,
    breaches: Vec<Breach>,
}

/// What was said in a request, until its answer is known.
pub struct Told {
    device: usize,
    at: UtcMillis,
    acks: Vec<CommandId>,
    newest: Option<Dated>,
    asks_for_commands: bool,
}

#[derive(Deserialize)]
struct Stamp {
    timestamp: UtcMillis,
    seq: u32,
}

#[derive(Deserialize)]
struct OfItself {
    timestamp: UtcMillis,
}

#[derive(Deserialize)]
struct Ack {
    command_id: CommandId,
    status: String,
    execution_timestamp: String,
}

#[derive(Deserialize)]
struct Sync {
    #[serde(default)]
    acks: Vec<Ack>,
    status: Option<Stamp>,
    #[serde(default)]
    readings: Vec<Stamp>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    ignored: bool,
    #[serde(default)]
    commands: Vec<HandedOut>,
}

#[derive(Deserialize)]
struct HandedOut {
    command_id: CommandId,
    expires_at: Option<UtcMillis>,
}

impl Witness {
    /// A request on its way to the server.
    pub fn sees(&mut self, request: &Request) -> Told {
        let (device, life) = (request.device, request.life);
        let route = request.path.rsplit('/').next().unwrap_or_default();
        let (mut acks, mut newest) = (Vec::new(), None);
        match route {
            "status" => {
                if let Ok(stamp) = serde_json::from_slice::<Stamp>(&request.body) {
                    newest = Some(self.sends(device, life, &stamp));
                }
            }
            "sync" => {
                if let Some(sync) = unpacked(request).and_then(|plain| serde_json::from_slice::<Sync>(&plain).ok()) {
                    let stamps = sync.status.iter().chain(&sync.readings);
                    newest = stamps.map(|stamp| self.sends(device, life, stamp)).max();
                    acks = sync.acks;
                }
            }
            "configure" => {
                if let Ok(of_itself) = serde_json::from_slice::<OfItself>(&request.body) {
                    let order = self.latest.get(&device).copied().unwrap_or((life, 0));
                    self.sent.insert((device, of_itself.timestamp, None), order);
                }
            }
            "command-ack" => acks.extend(serde_json::from_slice::<Ack>(&request.body).ok()),
            _ => {}
        }
        for ack in &acks {
            let story = format!("{} at {}", ack.status, ack.execution_timestamp);
            self.told.entry((device, life, ack.command_id.clone())).or_default().insert(story);
        }
        let acks = acks.into_iter().map(|ack| ack.command_id).collect();
        Told { device, at: request.at, acks, newest, asks_for_commands: route == "commands" }
    }

    fn sends(&mut self, device: usize, life: u32, stamp: &Stamp) -> Dated {
        let order = (life, stamp.seq);
        self.sent.insert((device, stamp.timestamp, Some(stamp.seq)), order);
        let latest = self.latest.entry(device).or_default();
        *latest = order.max(*latest);
        (order, stamp.timestamp)
    }

    /// The server's answer to it, whether or not the device ever hears it.
    pub fn hears(&mut self, told: Told, response: &Response) {
        if response.status != 200 {
            return;
        }
        if let Some(newest) = told.newest {
            let accepted = self.accepted.entry(told.device).or_default();
            *accepted = newest.max(*accepted);
        }
        if told.acks.is_empty() && !told.asks_for_commands {
            return;
        }
        let Ok(answer) = serde_json::from_slice::<Answer>(&response.body) else { return };
        if !answer.ignored {
            self.heard.extend(told.acks.into_iter().map(|id| (told.device, id)));
        }
        for command in answer.commands {
            let (device, id) = (told.device, &command.command_id);
            if command.expires_at.is_some_and(|end| told.at >= end) {
                let end = command.expires_at.unwrap_or_default();
                self.finds(Invariant::I3, format!("device {device} was handed {id} at {}, which ended {end}", told.at));
            }
            if self.ordered.get(id).is_none_or(|(of, _)| *of != device) {
                self.finds(Invariant::I4, format!("device {device} was handed {id}, which is not its own"));
            }
        }
    }

    /// Somebody ordered this of a device.
    pub fn ordered(&mut self, id: CommandId, device: usize, kind: CommandKind) {
        let is_dark = match kind {
            CommandKind::Power(power) => power == PowerState::Off,
            CommandKind::Brightness(percent) => is_dark(percent),
            CommandKind::Schedule(_) | CommandKind::Reset => false,
        };
        self.ordered.insert(id, (device, is_dark));
    }

    /// One device spoke on the path of another.
    pub fn trespassed(&mut self, from: usize, to: usize, route: &str, status: u16) {
        if status == 200 {
            self.finds(Invariant::I4, format!("device {from} was let in on {route} of device {to}"));
        }
    }

    /// Looks at what is shown: a reading of the device's own, and never an older one than before.
    pub fn looks(&mut self, world: &World, shown: &[Held]) {
        for (device, resident) in world.devices().enumerate() {
            let before = self.shown.get(&device).copied();
            let Some(held) = shown.iter().find(|held| held.device == device) else {
                if let Some(before) = before {
                    self.finds(
                        Invariant::I9,
                        format!("of device {device} nothing is shown any more, after {before:?}"),
                    );
                }
                continue;
            };
            let Some(order) = self.order_of(held) else {
                self.finds(Invariant::I4, format!("device {device} is shown at {}, which it never reported", held.at));
                continue;
            };
            let now = (order, held.at);
            self.shown.insert(device, now);
            if had_wrong_time(resident) {
                continue;
            }
            if let Some(accepted) = self.accepted.get(&device).filter(|accepted| is_older(now, **accepted)) {
                self.unseen.push((device, *accepted, now));
            }
            if before.is_some_and(|before| is_older(now, before)) {
                self.finds(Invariant::I9, format!("device {device} is shown as of {now:?}, after {before:?}"));
            }
        }
    }

    /// Of a reading whose number is not told, the last of its second.
    fn order_of(&self, held: &Held) -> Option<Order> {
        let (first, last) = held.seq.map_or((None, Some(u32::MAX)), |seq| (Some(seq), Some(seq)));
        let same = (held.device, held.at, first)..=(held.device, held.at, last);
        self.sent.range(same).map(|(_, order)| *order).max()
    }

    /// All that was broken. `calm_from`: since when nothing went wrong any more.
    pub fn judges(mut self, world: &World, holdings: &Holdings, calm_from: UtcMillis) -> Vec<Breach> {
        self.holdings(world, holdings);
        for (device, resident) in world.devices().enumerate() {
            self.done(device, resident);
            self.lamp(device, resident, world.now());
            if let Some(excess) = resident.calls().excess() {
                self.finds(Invariant::I8, format!("device {device}: {excess}"));
            }
            let recent = world.now().plus_seconds(-REPORTS_WITHIN_S).max(calm_from);
            let reports = resident.delivered.last().is_some_and(|(at, _)| *at >= recent);
            if !(resident.is_online() && reports) {
                let state = resident.states.last().map_or("nothing", |(_, state)| state.as_str());
                let last = resident.delivered.last().map(|(at, _)| at.to_string());
                self.finds(Invariant::I6, format!("device {device} is stranded in {state}; it last reported {last:?}"));
            }
        }
        let stories: Vec<_> = self.told.iter().filter(|(_, told)| told.len() > 1).map(|t| format!("{t:?}")).collect();
        stories.into_iter().for_each(|story| self.finds(Invariant::I2, format!("two stories of one command: {story}")));
        let crowd = world.largest_crowd();
        if crowd > CROWD_MIN.max(world.rules().lights / CROWD_SHARE) {
            self.finds(Invariant::I8, format!("{crowd} devices retried in the same moment"));
        }
        self.breaches.sort_by_key(|b| b.of);
        self.breaches
    }

    fn holdings(&mut self, world: &World, holdings: &Holdings) {
        let mut held: HashSet<(usize, UtcMillis, Option<u32>)> = HashSet::new();
        for reading in &holdings.readings {
            let Held { device, at, seq } = *reading;
            if !self.sent.contains_key(&(device, at, seq)) {
                self.finds(Invariant::I4, format!("a reading ({seq:?}, {at}) that device {device} never sent"));
            } else if !held.insert((device, at, seq)) {
                self.finds(Invariant::I9, format!("reading {seq:?} of device {device} at {at} counts twice"));
            }
        }
        for (device, resident) in world.devices().enumerate() {
            for (at, seq) in resident.delivered.iter().filter(|(at, seq)| !held.contains(&(device, *at, Some(*seq)))) {
                let what =
                    format!("device {device} was told that reading {seq} at {at} is stored, and it is not there");
                self.finds(Invariant::I1, what);
            }
        }
        let live: HashSet<&str> = holdings.commands.iter().filter(|c| c.is_live).map(|c| c.id.as_str()).collect();
        let unheard: Vec<_> = self.heard.iter().filter(|(_, id)| live.contains(id.as_str())).cloned().collect();
        for (device, id) in unheard {
            self.finds(Invariant::I1, format!("device {device} was told that its word on {id} is kept, and it is not"));
        }
        for (device, (newest, at), shown) in std::mem::take(&mut self.unseen) {
            if held.contains(&(device, at, Some(newest.1))) {
                let what = format!("device {device} was shown as of {shown:?} when {newest:?} at {at} was held");
                self.finds(Invariant::I9, what);
            }
        }
        if let Some(Err(why)) = &holdings.audit {
            self.finds(Invariant::I7, why.clone());
        }
    }

    fn done(&mut self, device: usize, resident: &Resident) {
        let mut done = HashSet::new();
        for one in &resident.done {
            if !done.insert((one.life, &one.id)) {
                self.finds(Invariant::I2, format!("device {device} did {} again at {}", one.id, one.at));
            }
        }
    }

    fn lamp(&mut self, device: usize, resident: &Resident, end: UtcMillis) {
        // What was ordered may make the night dark for its time.
        let is_dark = |id: &CommandId| self.ordered.get(id).is_some_and(|(_, is_dark)| *is_dark);
        let executed = resident.done.iter().filter(|d| d.status == AckStatus::Executed && is_dark(&d.id));
        let allowed: Vec<_> = executed.map(|d| (d.at, d.at.plus_seconds(DARK_ORDER_S))).collect();
        let dark = dark_minutes(resident, end, &allowed);
        if let Some(first) = dark.first() {
            self.finds(
                Invariant::I5,
                format!("device {device} was dark for {} min of the night, first {first}", dark.len()),
            );
        }
    }

    fn finds(&mut self, of: Invariant, what: String) {
        if self.breaches.iter().filter(|b| b.of == of).count() < TOLD_MAX {
            self.breaches.push(Breach { of, what });
        }
    }
}

/// Taken before the other, and dated so. A clock that answers set is right to a few seconds, and may be put back by as many.
fn is_older(a: Dated, b: Dated) -> bool {
    a.0 < b.0 && a.1 < b.1
}

/// Of what was dated by a clock that jumped nobody can say what is newest.
fn had_wrong_time(resident: &Resident) -> bool {
    resident.clock_errors.iter().any(|(_, ms)| *ms != 0)
}

fn unpacked(request: &Request) -> Option<Vec<u8>> {
    if !request.headers.iter().any(|(name, _)| *name == "content-encoding") {
        return Some(request.body.clone());
    }
    let mut plain = Vec::new();
    GzDecoder::new(request.body.as_slice()).read_to_end(&mut plain).ok()?;
    Some(plain)
}
