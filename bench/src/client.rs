//! A cheap HTTP/1.1 client: one kept-alive connection per device, one request at a time on each, nothing parsed that is not
//! needed. It must cost little, for it shares the machine with what it measures.
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ccms_core::time::UtcMillis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cpu::Spent;
use crate::servers;

/// Requests that were answered in a time, and what they cost the servers.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub ok: u64,
    pub refused: u64,
    /// Connections that ended before the time was over.
    pub cut: u64,
    seconds: f64,
    spent_us: f64,
}

impl Load {
    pub fn cpu_us(&self) -> f64 {
        self.spent_us / self.ok.max(1) as f64
    }

    pub fn per_second(&self) -> f64 {
        self.ok as f64 / self.seconds
    }
}

/// Stands in for a token before there is one, and for servers that do not look.
const PLACEHOLDER: &str = "none";

/// The number of a device that is named by [`Driver::connect`].
pub fn number(id: &str) -> u32 {
    id.strip_prefix(NAMED).and_then(|n| n.parse().ok()).unwrap_or(u32::MAX)
}
const NAMED: &str = "IMEI:3500000";

/// All connections to one server.
pub struct Driver(Vec<Device>);

struct Device {
    id: String,
    token: String,
    socket: TcpStream,
    answer: Vec<u8>,
    /// The number of the last status that was sent, and those that a 200 covered.
    seq: u32,
    acknowledged: Vec<u32>,
}

impl Driver {
    pub async fn connect(server: SocketAddr, connections: usize) -> anyhow::Result<Self> {
        let mut devices = Vec::with_capacity(connections);
        for n in 0..connections {
            let socket = TcpStream::connect(server).await.context("connecting")?;
            socket.set_nodelay(true)?;
            let id = format!("{NAMED}{n:08}");
            devices.push(Device {
                id,
                token: PLACEHOLDER.into(),
                socket,
                answer: Vec::new(),
                seq: 0,
                acknowledged: Vec::new(),
            });
        }
        Ok(Self(devices))
    }

    /// Every device comes back, to a server that may be another process, with the token that it has.
    pub async fn reconnect(&mut self, server: SocketAddr) -> anyhow::Result<()> {
        for device in &mut self.0 {
            device.socket = TcpStream::connect(server).await.context("connecting again")?;
            device.socket.set_nodelay(true)?;
        }
        Ok(())
    }

    /// Every device configures and keeps its token.
    pub async fn enrol(&mut self) -> anyhow::Result<()> {
        for device in &mut self.0 {
            let body = format!(
                r#"{{"device_id":"{}","name":"Bench","latitude":28.6139,"longitude":77.2090,"firmware_version":"1.0.0"}}"#,
                device.id
            );
            let request = device.post("configure", &body);
            ensure!(device.exchange(&request).await? == 200, "a device was not let in");
            let answer: serde_json::Value = serde_json::from_slice(device.body())?;
            device.token = answer["device_token"].as_str().context("no token came")?.to_owned();
        }
        Ok(())
    }

    pub async fn statuses(&mut self, length: Duration) -> anyhow::Result<Load> {
        self.run(length, |device| {
            device.seq += 1;
            let body = status(&device.id, device.seq, servers::clock().now());
            device.post("status", &body)
        })
        .await
    }

    pub async fn polls(&mut self, length: Duration) -> anyhow::Result<Load> {
        self.run(length, |device| {
            let Device { id, token, .. } = device;
            format!("GET /api/device/{id}/commands HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n")
        })
        .await
    }

    /// Device and number of every status that a 200 covered.
    pub fn acknowledged(&self) -> impl Iterator<Item = (u32, i64)> {
        self.0.iter().flat_map(|d| d.acknowledged.iter().map(|seq| (number(&d.id), i64::from(*seq))))
    }

    /// All devices at once, each as fast as it is answered, and no longer than its connection lives.
    async fn run(&mut self, length: Duration, next: fn(&mut Device) -> String) -> anyhow::Result<Load> {
        let (before, started) = (Spent::now()?, servers::clock().now());
        let mut running = JoinSet::new();
        for mut device in self.0.drain(..) {
            running.spawn(async move {
                let (mut ok, mut refused, mut cut) = (0_u64, 0_u64, 0_u64);
                while servers::clock().now().since(started) < length.as_millis() as i64 {
                    let (last, request) = (device.seq, next(&mut device));
                    let Ok(status) = device.exchange(&request).await else {
                        cut += 1;
                        break;
                    };
                    if status == 200 {
                        ok += 1;
                        if device.seq > last {
                            device.acknowledged.push(device.seq);
                        }
                    } else {
                        refused += 1;
                    }
                }
                (device, ok, refused, cut)
            });
        }
        let (mut ok, mut refused, mut cut) = (0, 0, 0);
        while let Some(done) = running.join_next().await {
            let (device, accepted, rest, lost) = done?;
            self.0.push(device);
            ok += accepted;
            refused += rest;
            cut += lost;
        }
        let spent_us = Spent::now()?.since_us(&before);
        Ok(Load { ok, refused, cut, seconds: servers::clock().now().since(started) as f64 / 1000.0, spent_us })
    }
}

/// The device document's own status, with a message number.
pub fn status(id: &str, seq: u32, now: UtcMillis) -> String {
    format!(
        r#"{{"device_id":"{id}","timestamp":"{now}","seq":{seq},"status":{{"power_state":"on","brightness":85,"temperature_celsius":42.5,"battery_percentage":95,"gsm_signal_strength":82,"uptime_seconds":86400,"error_flags":[]}},"energy":{{"voltage":230.5,"current":0.45,"power_watts":103.7,"frequency":50.0,"cumulative_kwh":1245.6}}}}"#
    )
}

impl Device {
    fn post(&self, verb: &str, body: &str) -> String {
        let Self { id, token, .. } = self;
        let length = body.len();
        format!(
            "POST /api/device/{id}/{verb} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
             authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n{body}"
        )
    }

    /// Sends a request and reads the whole answer; its status.
    async fn exchange(&mut self, request: &str) -> anyhow::Result<u16> {
        self.socket.write_all(request.as_bytes()).await?;
        self.answer.clear();
        loop {
            if self.socket.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            let Some(head) = head_length(&self.answer) else { continue };
            let text = std::str::from_utf8(&self.answer[..head])?;
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.context("an answer without length")?.trim().parse()?;
            if self.answer.len() >= head + length {
                return text.get(9..12).and_then(|s| s.parse().ok()).context("no status");
            }
        }
    }

    fn body(&self) -> &[u8] {
        &self.answer[head_length(&self.answer).unwrap_or(0)..]
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|w| w == b"\r\n\r\n").map(|at| at + 4)
}
