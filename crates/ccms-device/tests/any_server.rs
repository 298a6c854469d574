//! Whatever a server answers and however often the power fails: the device keeps its promises.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::BTreeMap;

use ccms_core::ids::DeviceId;
use ccms_core::reading::PowerState;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_device::{Change, Config, Device, Input, Kind, Lamp, Now, Outcome, Output, RequestId, Saved, Sensors, Uptime};
use proptest::prelude::*;
use serde_json::json;

/// 2025-12-17T14:00:00Z, in the night of a place three hours east of Greenwich.
const START: UtcMillis = UtcMillis::from_seconds(1_765_980_000);
const OFFSET_MINUTES: i32 = 330;
const HOUR_MS: u64 = 3_600_000;

#[derive(Debug, Clone, Copy)]
enum Mood {
    Good,
    Orders(u8),
    Garbage,
    Status(u16),
    Silent,
    PowerCut,
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Good),
        2 => (0_u8..6).prop_map(Mood::Orders),
        1 => Just(Mood::Garbage),
        3 => prop::sample::select(vec![400, 401, 403, 404, 418, 500, 503, 302]).prop_map(Mood::Status),
        3 => Just(Mood::Silent),
        1 => Just(Mood::PowerCut),
    ]
}

/// A device on a bench: its flash, a clock, and a tally of what it did.
struct Bench {
    device: Device,
    saved: Saved,
    booted_ms: u64,
    now_ms: u64,
    network_time: bool,
    sends: u64,
    in_flight: BTreeMap<RequestId, Kind>,
    lamp: Option<Lamp>,
    /// For each command, the statuses it was acknowledged with.
    acked: BTreeMap<String, Vec<String>>,
    dark_at_night: bool,
    steps: u64,
}

fn config() -> Config {
    Config::new(DeviceId::parse("IMEI:351234567890123").unwrap(), 28.6139, 77.2090, 42)
}

fn sensors() -> Sensors {
    Sensors { temperature_dc: 300, battery_percent: 90, signal_percent: 70, ..Sensors::default() }
}

impl Bench {
    fn new(network_time: bool) -> Self {
        let utc = network_time.then_some(START);
        Self {
            device: Device::new(config(), Saved::default(), Now { uptime: Uptime(0), utc }),
            saved: Saved::default(),
            booted_ms: 0,
            now_ms: 0,
            network_time,
            sends: 0,
            in_flight: BTreeMap::new(),
            lamp: None,
            acked: BTreeMap::new(),
            dark_at_night: false,
            steps: 0,
        }
    }

    fn utc(&self) -> UtcMillis {
        UtcMillis(START.0 + self.now_ms as i64)
    }

    fn now(&self) -> Now {
        Now { uptime: Uptime(self.now_ms - self.booted_ms), utc: self.network_time.then(|| self.utc()) }
    }

    /// One wake-up, and the answers that `moods` hold for what was sent then.
    fn step(&mut self, moods: &mut impl Iterator<Item = Mood>) {
        self.steps += 1;
        let (at, _why) = self.device.wake_at().expect("a device always wants to be woken");
        let next_ms = self.now_ms.max(self.booted_ms + at.0);
        let night = |t: UtcMillis| {
            let local = TimeOfDay::at(t, OFFSET_MINUTES);
            local >= TimeOfDay::parse("18:30:00").unwrap() || local < TimeOfDay::parse("06:00:00").unwrap()
        };
        if next_ms > self.now_ms && self.lamp.is_some_and(|l| l.power == PowerState::Off) && night(self.utc()) {
            self.dark_at_night = true;
        }
        self.now_ms = next_ms;
        self.device.handle(self.now(), Input::Sensors(sensors()));
        self.device.handle(self.now(), Input::Timeout);
        self.drain(moods);
    }

    fn drain(&mut self, moods: &mut impl Iterator<Item = Mood>) {
        while let Some(output) = self.device.poll() {
            match output {
                Output::Actuate(lamp) => self.lamp = Some(lamp),
                Output::Persist(change) => {
                    // What flash holds must survive being written as text.
                    let text = serde_json::to_string(&change).unwrap();
                    self.saved.apply(serde_json::from_str::<Change>(&text).unwrap());
                }
                Output::Send(id, request) => {
                    self.sends += 1;
                    self.in_flight.retain(|_, kind| *kind != request.kind);
                    self.in_flight.insert(id, request.kind);
                    match moods.next().unwrap_or(Mood::Silent) {
                        Mood::Silent => {}
                        Mood::PowerCut => return self.cut_power(),
                        mood => {
                            let outcome = self.answer(mood, request.kind, &request.body);
                            self.now_ms += 40;
                            self.device.handle(self.now(), Input::Response(id, outcome));
                        }
                    }
                }
                Output::Show(_) | Output::State(_) | Output::Delivered(_) | Output::Log(_) => {}
            }
        }
        assert_eq!(self.device.settings().remembered, self.saved.settings.remembered);
    }

    fn cut_power(&mut self) {
        self.now_ms += 3_000;
        self.booted_ms = self.now_ms;
        self.lamp = None;
        self.in_flight.clear();
        self.device = Device::new(config(), self.saved.clone(), self.now());
    }

    fn answer(&mut self, mood: Mood, kind: Kind, body: &[u8]) -> Outcome {
        let status = match mood {
            Mood::Status(status) => return Outcome::Answer { status, body: b"{}".to_vec() },
            Mood::Garbage => return Outcome::Answer { status: 200, body: b"<html>".to_vec() },
            Mood::Good | Mood::Orders(_) | Mood::Silent | Mood::PowerCut => 200,
        };
        let at = self.utc().to_string();
        let body = match kind {
            Kind::Configure => json!({"status": "success", "message": "", "light_id": "SL001", "server_timestamp": at,
                "device_token": "t", "config": {"schedule_enabled": true, "sunrise_time": "06:00:00",
                "sunset_time": "18:30:00", "brightness_level": 100, "auto_dimming": true,
                "utc_offset_minutes": OFFSET_MINUTES}}),
            Kind::Status => {
                json!({"status": "success", "message": "", "next_update_seconds": 30, "server_timestamp": at})
            }
            Kind::Commands => {
                let commands = match mood {
                    // The same few ids again and again: redelivery.
                    Mood::Orders(n) => vec![
                        json!({"command_id": format!("CMD_{n}"), "command_type": "brightness_control", "priority": "high",
                            "brightness_level": 10 + n, "requested_at": at, "expires_at": self.utc().plus_seconds(900).to_string()}),
                        json!({"command_id": format!("CMD_X{n}"), "command_type": "dance", "priority": "high"}),
                        json!({"no": "id"}),
                    ],
                    _ => Vec::new(),
                };
                json!({"status": "ok", "commands": commands, "server_timestamp": at})
            }
            Kind::CommandAck => {
                let ack: serde_json::Value = serde_json::from_slice(body).unwrap();
                let (id, said) = (ack["command_id"].as_str().unwrap(), ack["status"].as_str().unwrap());
                self.acked.entry(id.to_owned()).or_default().push(format!("{said} {}", ack["execution_timestamp"]));
                json!({"status": "success", "message": "", "server_timestamp": at})
            }
        };
        Outcome::Answer { status, body: body.to_string().into_bytes() }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_under_any_answers(moods in prop::collection::vec(mood(), 0..400), network_time in any::<bool>()) {
        let mut bench = Bench::new(network_time);
        let mut moods = moods.into_iter();
        while bench.now_ms < 4 * HOUR_MS {
            bench.step(&mut moods);
            prop_assert!(bench.steps < 20_000, "it spins");
        }
        // Every retry is bounded: polls each 10 s and statuses each 30 s are the most, and moods run out into silence.
        prop_assert!(bench.sends < 4 * 480 + 400, "{} requests in four hours", bench.sends);
        prop_assert!(!bench.dark_at_night);
        // One effect per id: every acknowledgement of a command tells of the same execution.
        for (id, said) in &bench.acked {
            prop_assert!(said.iter().all(|s| s == &said[0]), "{}: {:?}", id, said);
        }
        prop_assert!(bench.device.saved().settings.acks.len() <= 100);
        prop_assert!(bench.device.unsent_readings() <= 1_080);
    }

    #[test]
    fn unreachable_from_any_hour_on_it_follows_the_night_it_knows(start_hour in 0_u64..24, cut_after in 2_usize..60) {
        let mut bench = Bench::new(true);
        bench.now_ms = start_hour * HOUR_MS;
        bench.booted_ms = bench.now_ms;
        bench.device = Device::new(config(), Saved::default(), bench.now());
        let end = bench.now_ms + 30 * HOUR_MS;
        let mut moods = std::iter::repeat_n(Mood::Good, cut_after);
        let mut was_off = false;
        while bench.now_ms < end {
            bench.step(&mut moods);
            was_off |= bench.lamp.is_some_and(|l| l.power == PowerState::Off);
        }
        prop_assert!(!bench.dark_at_night);
        prop_assert!(was_off, "a day lies in every 30 hours");
    }
}

#[test]
fn the_local_message_and_the_waits_of_a_failing_configure() {
    let mut bench = Bench::new(false);
    let (mut sent_at_ms, mut shown) = (Vec::new(), Vec::new());
    while sent_at_ms.len() < 12 {
        let (at, _) = bench.device.wake_at().unwrap();
        bench.now_ms = bench.now_ms.max(at.0);
        bench.device.handle(bench.now(), Input::Timeout);
        while let Some(output) = bench.device.poll() {
            match output {
                Output::Send(id, request) => {
                    assert_eq!((request.kind, request.timeout_s), (Kind::Configure, 10));
                    sent_at_ms.push(bench.now_ms);
                    let body = br#"{"status":"error","code":"CONFIG_INVALID","message":"GPS coordinates invalid","retry_after_seconds":300}"#;
                    bench
                        .device
                        .handle(bench.now(), Input::Response(id, Outcome::Answer { status: 400, body: body.to_vec() }));
                }
                Output::Show(display) => shown.push(display.text),
                _ => {}
            }
        }
    }
    assert!(shown[0].starts_with("Configuration Failed: GPS coordinates invalid. Retrying in "), "{}", shown[0]);
    let waits_s: Vec<u64> = sent_at_ms.windows(2).map(|w| (w[1] - w[0]) / 1000).collect();
    assert!(waits_s[..2].iter().all(|w| (300..=360).contains(w)), "{waits_s:?}");
    assert!(waits_s.iter().all(|w| (300..=3600).contains(w)), "{waits_s:?}");
    assert!(waits_s[2..].iter().any(|w| *w > 600), "jitter spreads them: {waits_s:?}");
}
