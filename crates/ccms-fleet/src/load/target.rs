//! What is asked: the same address over and over, or what a controller says.
use std::sync::Arc;

use anyhow::Context;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_core::wire::status::{EnergyPart, StatusPart, StatusRequest};
use ccms_device::{Delivered, Key, Settings};

use crate::identity::device_id;
use crate::ledger::Ledger;
use crate::physics::noise;

const AGENT: &str = concat!("ccms-load/", env!("CARGO_PKG_VERSION"));

pub(super) enum Target {
    Get(Arc<[u8]>),
    Controller(Box<Controller>),
}

impl Target {
    /// The `n`th request as it goes over the wire.
    pub fn request(&mut self, n: u64, now: UtcMillis) -> Arc<[u8]> {
        match self {
            Self::Get(bytes) => Arc::clone(bytes),
            Self::Controller(controller) => controller.request(n, now),
        }
    }

    pub fn answered(&mut self, status: Option<u16>) {
        if let Self::Controller(controller) = self {
            controller.answered(status);
        }
    }
}

pub(super) fn get(host: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {AGENT}\r\n\r\n").into_bytes()
}

/// One that is the server's already. It reports a lamp that burns, and polls in between.
pub(super) struct Controller {
    poll: Arc<[u8]>,
    /// Up to the length of the body.
    status_head: String,
    key: Option<Key>,
    status: StatusRequest,
    seq: u32,
    polls: u32,
    noise: u64,
    /// The status under way.
    asked: Option<(UtcMillis, u32)>,
    ledger: Option<Ledger>,
}

impl Controller {
    pub fn new(
        host: &str,
        seed: u64,
        index: usize,
        settings: &Settings,
        polls: u32,
        ledger: Option<Ledger>,
    ) -> anyhow::Result<Self> {
        let id = device_id(seed, index).to_string();
        let token = settings.token.as_ref().context("no token")?;
        let light_id = settings.light_id.clone().context("no light")?;
        let head = |method: &str, route: &str| {
            format!(
                "{method} /api/device/{id}/{route} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {AGENT}\r\nauthorization: Bearer {token}\r\n"
            )
        };
        let status = StatusPart {
            power_state: PowerState::On,
            brightness: 100,
            temperature_celsius: Some(41.2),
            battery_percentage: Some(90),
            gsm_signal_strength: Some(72),
            uptime_seconds: 0,
            error_flags: Vec::new(),
        };
        let energy = EnergyPart {
            voltage: Some(230.0),
            current: Some(0.26),
            power_watts: Some(60.0),
            frequency: Some(50.0),
            cumulative_kwh: Some(1_245.67),
        };
        Ok(Self {
            poll: (head("GET", "commands") + "\r\n").into_bytes().into(),
            status_head: head("POST", "status") + "content-type: application/json\r\n",
            key: settings.device_secret.as_deref().map(Key::of_secret),
            status: StatusRequest {
                device_id: id,
                light_id,
                timestamp: UtcMillis::default(),
                seq: None,
                status,
                energy,
            },
            seq: settings.seq_reserved,
            polls,
            noise: noise::hash(seed, index as i64),
            asked: None,
            ledger,
        })
    }

    fn request(&mut self, n: u64, now: UtcMillis) -> Arc<[u8]> {
        // Not all controllers report at the same moment of their rhythm.
        let place = n.wrapping_add(self.noise) % (u64::from(self.polls) + 1);
        if place != 0 {
            return Arc::clone(&self.poll);
        }
        let wobble = |of: i64| noise::unit(noise::hash(self.noise, of), n as i64);
        let at = UtcMillis::from_seconds(now.seconds());
        (self.status.timestamp, self.status.seq) = (at, Some(self.seq));
        self.status.energy.voltage = Some((2_250.0 + wobble(1) * 100.0).round() / 10.0);
        self.status.energy.power_watts = Some((590.0 + wobble(2) * 20.0).round() / 10.0);
        self.asked = Some((at, self.seq));
        self.seq = self.seq.wrapping_add(1);
        // Strings and finite numbers always become JSON; an empty body would only cost a 400.
        let body = serde_json::to_string(&self.status).unwrap_or_default();
        let signature = self.key.as_ref().map(|key| format!("x-device-signature: {}\r\n", key.sign(body.as_bytes())));
        let (head, signature) = (&self.status_head, signature.unwrap_or_default());
        format!("{head}{signature}content-length: {}\r\n\r\n{body}", body.len()).into_bytes().into()
    }

    fn answered(&mut self, status: Option<u16>) {
        if let (Some(reading), Some(200), Some(ledger)) = (self.asked.take(), status, &self.ledger) {
            let light_id = self.status.light_id.clone();
            ledger.note(&Delivered { light_id, readings: vec![reading], duplicate: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_reports_once_for_so_many_polls_and_never_with_the_same_number() {
        let settings = Settings {
            token: Some("t".into()),
            light_id: Some("SL001".into()),
            device_secret: Some("5ec2e7".into()),
            seq_reserved: 7,
            ..Settings::default()
        };
        let mut controller = Controller::new("h:1", 1, 2, &settings, 3, None).unwrap();
        let mut bodies = Vec::new();
        for n in 0..40 {
            let bytes = controller.request(n, UtcMillis::from_seconds(1_765_980_000));
            let text = std::str::from_utf8(&bytes).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains("authorization: Bearer t"));
            if head.starts_with("POST") {
                assert!(
                    head.contains("x-device-signature: ") && head.contains(&format!("content-length: {}", body.len()))
                );
                bodies.push(serde_json::from_str::<StatusRequest>(body).unwrap());
            }
        }
        let numbers: Vec<_> = bodies.iter().filter_map(|b| b.seq).collect();
        assert_eq!(numbers, (7..17).collect::<Vec<_>>());
    }
}
