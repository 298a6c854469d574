//! A server that plays the contract's part in memory, so that devices can be watched without a real one: it claims on first
//! contact, keeps each reading once, and hands out each command until it is acknowledged or over. It never restarts.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use ccms_core::command::CommandKind;
use ccms_core::ids::CommandId;
use ccms_core::limits::COMMAND_LIFE_S;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_core::wire::status::{self, StatusMessage};
use ccms_core::wire::sync::SyncMessage;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

use super::rules::{Request, Response, SUNRISE, SUNSET, UTC_OFFSET_MINUTES};
use super::server::{Deed, Held, HeldCommand, Holdings, Server};

/// Whom it knows a device of the world as.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    light: String,
}

#[derive(Debug, Default)]
pub struct Understudy {
    known: BTreeMap<usize, Known>,
    /// Distinct (device, time, number), and how often each came.
    pub readings: BTreeMap<(usize, UtcMillis, u32), u32>,
    pub commands: BTreeMap<usize, Vec<Value>>,
    pub acks: BTreeMap<(usize, String), Vec<String>>,
    /// Who said what when.
    pub order: Vec<(usize, &'static str, UtcMillis)>,
    /// The largest body that came packed, as it came and unpacked.
    pub largest_packed: (usize, usize),
    pub power: BTreeMap<usize, PowerState>,
    pub refuses_acks: bool,
    /// Hands out commands whose time is over, as no server should.
    pub keeps_expired: bool,
    /// Counts a reading as often as it came, as no server should.
    pub counts_repeats: bool,
    /// Shows the reading that came last, whenever it was taken, as no server should.
    pub shows_last: bool,
    /// Of each device the reading that came last.
    last: BTreeMap<usize, (UtcMillis, u32)>,
    /// Devices whose credentials were given and not used yet: they are given again.
    unused: BTreeSet<usize>,
    ordered: u64,
}

impl Understudy {
    pub fn answer(&mut self, r: &Request) -> Response {
        let at = r.at.to_string();
        let route = r.path.rsplit('/').next().unwrap_or_default();
        let authorised = self.is_authorised(r);
        let Some(plain) = self.unpacked(r) else { return refused(400) };
        let body = match route {
            "configure" => self.configures(r, authorised),
            _ if !authorised => return refused(401),
            _ if !self.is_own(r) => return refused(403),
            "status" => {
                let Ok(batch) = status::parse(&plain, r.at) else { return refused(400) };
                self.order.push((r.device, "status", r.at));
                let duplicate = self.stores(r.device, batch.messages);
                json!({"status": "success", "message": "", "next_update_seconds": 30, "server_timestamp": at,
                       "duplicate": duplicate})
            }
            "sync" => {
                let Ok(sync) = SyncMessage::parse(&plain, r.at) else { return refused(400) };
                self.syncs(r, sync)
            }
            "commands" => json!({"status": "ok", "server_timestamp": at, "commands": self.hands_out(r)}),
            "command-ack" if self.refuses_acks => return refused(500),
            "command-ack" => {
                self.order.push((r.device, "ack", r.at));
                let Ok(ack) = serde_json::from_slice::<Value>(&plain) else { return refused(400) };
                let text = |name: &str| ack[name].as_str().unwrap_or_default();
                self.hears(r.device, text("command_id"), text("status"));
                json!({"status": "success", "message": "", "server_timestamp": at})
            }
            "alert" | "logs" | "firmware" | "health" => {
                json!({"status": "success", "message": "", "server_timestamp": at})
            }
            _ => return refused(400),
        };
        Response { status: 200, body: body.to_string().into_bytes() }
    }

    fn is_authorised(&mut self, r: &Request) -> bool {
        let token = format!("Bearer t{}", r.device);
        let is = r.headers.iter().any(|(name, value)| *name == "authorization" && *value == token);
        if is {
            self.unused.remove(&r.device);
        }
        is
    }

    /// Whether a device speaks on its own path.
    fn is_own(&self, r: &Request) -> bool {
        self.known.get(&r.device).is_some_and(|known| known.id == path_id(r))
    }

    fn configures(&mut self, r: &Request, authorised: bool) -> Value {
        self.order.push((r.device, "configure", r.at));
        let known = self.known.contains_key(&r.device);
        let named = || Known { id: path_id(r).to_owned(), light: format!("SL{:03}", r.device + 1) };
        let light = self.known.entry(r.device).or_insert_with(named).light.clone();
        let mut body = json!({"status": "success", "message": "", "light_id": light,
            "server_timestamp": r.at.to_string(),
            "config": {"schedule_enabled": true, "sunrise_time": SUNRISE.to_string(),
                       "sunset_time": SUNSET.to_string(), "brightness_level": 100, "auto_dimming": true,
                       "utc_offset_minutes": UTC_OFFSET_MINUTES}});
        if !known {
            self.unused.insert(r.device);
        }
        if authorised || self.unused.contains(&r.device) {
            body["device_token"] = json!(format!("t{}", r.device));
        }
        body
    }

    fn syncs(&mut self, r: &Request, sync: SyncMessage) -> Value {
        let readings = sync.statuses.len().saturating_sub(1);
        let sections = [("ack", sync.acks.len()), ("alert", sync.alerts.len()), ("status", 1), ("readings", readings)];
        let there = sections.into_iter().filter(|(_, count)| *count > 0);
        self.order.extend(there.map(|(section, _)| (r.device, section, r.at)));
        for ack in &sync.acks {
            if let Some(id) = &ack.command_id {
                self.hears(r.device, id.as_str(), ack.status.as_str());
            }
        }
        let duplicate = self.stores(r.device, sync.statuses);
        json!({"status": "success", "message": "", "stored": 0, "duplicate": duplicate, "quarantined": 0,
               "acks": sync.acks.len(), "alerts": sync.alerts.len(), "logs": sync.logs.lines.len(),
               "next_update_seconds": 30, "next_poll_seconds": 10, "server_timestamp": r.at.to_string()})
    }

    fn hands_out(&mut self, r: &Request) -> Vec<Value> {
        let keeps_expired = self.keeps_expired;
        let commands = self.commands.entry(r.device).or_default();
        let ends = |c: &Value| c["expires_at"].as_str().and_then(UtcMillis::parse_lenient);
        commands.retain(|c| keeps_expired || ends(c).is_none_or(|end| r.at < end));
        commands.clone()
    }

    fn unpacked(&mut self, r: &Request) -> Option<Vec<u8>> {
        if !r.headers.iter().any(|(name, value)| *name == "content-encoding" && value == "gzip") {
            return Some(r.body.clone());
        }
        let mut plain = Vec::new();
        GzDecoder::new(r.body.as_slice()).read_to_end(&mut plain).ok()?;
        self.largest_packed = self.largest_packed.max((r.body.len(), plain.len()));
        Some(plain)
    }

    /// How many of them were there already.
    fn stores(&mut self, device: usize, messages: Vec<StatusMessage>) -> u32 {
        let mut duplicate = 0;
        for m in messages {
            if let Some(power) = m.reading.power_state {
                self.power.insert(device, power);
            }
            let (at, seq) = (m.reading.reported_at, m.reading.seq.unwrap_or(0));
            self.last.insert(device, (at, seq));
            let times = self.readings.entry((device, at, seq)).or_default();
            *times += 1;
            duplicate += u32::from(*times > 1);
        }
        duplicate
    }

    fn hears(&mut self, device: usize, id: &str, status: &str) {
        self.commands.entry(device).or_default().retain(|c| c["command_id"] != id);
        self.acks.entry((device, id.to_owned())).or_default().push(status.to_owned());
    }

    /// Queues a command as it goes over the wire.
    pub fn orders(&mut self, device: usize, id: &str, at: UtcMillis, what: Value) {
        let mut command = json!({"command_id": id, "priority": "high", "requested_at": at.to_string(),
                                 "expires_at": at.plus_seconds(COMMAND_LIFE_S).to_string()});
        for (name, value) in what.as_object().into_iter().flatten() {
            command[name] = value.clone();
        }
        self.commands.entry(device).or_default().push(command);
    }
}

fn refused(status: u16) -> Response {
    let body = json!({"status": "error", "code": "REFUSED", "message": "no", "retry_after_seconds": 30});
    Response { status, body: body.to_string().into_bytes() }
}

fn path_id(r: &Request) -> &str {
    r.path.rsplit('/').nth(1).unwrap_or_default()
}

impl Server for Understudy {
    async fn answers(&mut self, request: Request) -> Response {
        self.answer(&request)
    }

    async fn does(&mut self, at: UtcMillis, deed: &Deed) -> Option<CommandId> {
        match deed {
            Deed::Order { device, kind } => {
                let what = match kind {
                    CommandKind::Power(power) => json!({"command_type": "power_control", "action": power.as_str()}),
                    CommandKind::Brightness(percent) => {
                        json!({"command_type": "brightness_control", "brightness_level": percent})
                    }
                    CommandKind::Reset => json!({"command_type": "device_reset"}),
                    CommandKind::Schedule(_) => return None,
                };
                self.ordered += 1;
                let id = CommandId::parse(&format!("CMD_{:08}", self.ordered)).ok()?;
                // At most one live command of a type.
                let commands = self.commands.entry(*device).or_default();
                commands.retain(|c| c["command_type"] != what["command_type"]);
                self.orders(*device, id.as_str(), at, what);
                Some(id)
            }
            Deed::AllowReclaim { device } => {
                self.unused.insert(*device);
                None
            }
            Deed::Restart | Deed::Crash | Deed::RotateKeys => None,
        }
    }

    async fn shows(&mut self, _at: UtcMillis) -> Vec<Held> {
        let newest = |device: &usize| {
            let all = (*device, UtcMillis(i64::MIN), 0)..=(*device, UtcMillis(i64::MAX), u32::MAX);
            self.readings.range(all).next_back().map(|((device, at, seq), _)| (*device, *at, *seq))
        };
        let held = |(device, at, seq)| Held { device, at, seq: Some(seq) };
        if self.shows_last {
            return self.last.iter().map(|(device, (at, seq))| held((*device, *at, *seq))).collect();
        }
        self.known.keys().filter_map(newest).map(held).collect()
    }

    async fn holds(&mut self, _at: UtcMillis) -> Holdings {
        let held = |(device, at, seq): &(usize, UtcMillis, u32)| Held { device: *device, at: *at, seq: Some(*seq) };
        let often = |times: &u32| if self.counts_repeats { *times as usize } else { 1 };
        let live = self.commands.values().flatten().filter_map(|c| c["command_id"].as_str());
        Holdings {
            readings: self
                .readings
                .iter()
                .flat_map(|(key, times)| std::iter::repeat_n(held(key), often(times)))
                .collect(),
            commands: live.map(|id| HeldCommand { id: id.to_owned(), is_live: true }).collect(),
            audit: None,
        }
    }
}
