//! A cheap HTTP/1.1 client: one kept-alive connection per device, one request at a time on each, nothing parsed that is not
//! needed. It must cost little, for it shares the machine with what it measures.
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ccms_core::time::UtcMillis;
use ccms_service::metrics::Stopwatch;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cpu::Spent;
use crate::load::{Answer, Load, Tally, Work};
use crate::servers;

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
    /// To be sent next, where it is made beforehand.
    prepared: Option<Vec<u8>>,
}

impl Driver {
    /// Devices numbered from `first` on.
    pub async fn connect(server: SocketAddr, first: u32, connections: usize) -> anyhow::Result<Self> {
        let mut devices = Vec::with_capacity(connections);
        for n in (first..).take(connections) {
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
                prepared: None,
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
            ensure!(device.exchange(&request).await?.status == 200, "a device was not let in");
            let answer: serde_json::Value = serde_json::from_slice(device.body())?;
            device.token = answer["device_token"].as_str().context("no token came")?.to_owned();
        }
        Ok(())
    }

    pub async fn statuses(&mut self, length: Duration) -> anyhow::Result<Load> {
        self.statuses_at(Work { length, every: Duration::ZERO }).await
    }

    pub async fn statuses_at(&mut self, work: Work) -> anyhow::Result<Load> {
        self.run(work, |device| {
            device.seq += 1;
            let body = status(&device.id, device.seq, servers::clock().now());
            Some(device.post("status", &body))
        })
        .await
    }

    /// Every device says one thing, which it measured so long ago.
    pub async fn status_of(&mut self, ago: Duration) -> anyhow::Result<()> {
        let then = servers::clock().now().0 - ago.as_millis() as i64;
        for device in &mut self.0 {
            device.seq += 1;
            let request = device.post("status", &status(&device.id, device.seq, UtcMillis(then)));
            ensure!(device.exchange(&request).await?.status == 200, "a status was not taken");
        }
        Ok(())
    }

    pub async fn polls(&mut self, length: Duration) -> anyhow::Result<Load> {
        self.polls_at(Work { length, every: Duration::ZERO }).await
    }

    pub async fn polls_at(&mut self, work: Work) -> anyhow::Result<Load> {
        self.run(work, |device| {
            let Device { id, token, .. } = device;
            let head = format!("GET /api/device/{id}/commands HTTP/1.1\r\nhost: bench\r\n");
            Some(format!("{head}authorization: Bearer {token}\r\n\r\n").into_bytes())
        })
        .await
    }

    /// Every device sends once what it measured every 30 s until now; also the size of a packed body.
    pub async fn sync_once(&mut self, readings: usize) -> anyhow::Result<(Load, usize)> {
        let now = servers::clock().now();
        let mut size = 0;
        for device in &mut self.0 {
            let request = device.sync(readings, now)?;
            size = request.len();
            device.prepared = Some(request);
        }
        let work = Work { length: Duration::from_secs(600), every: Duration::ZERO };
        Ok((self.run(work, |device| device.prepared.take()).await?, size))
    }

    /// Device and number of every status that a 200 covered.
    pub fn acknowledged(&self) -> impl Iterator<Item = (u32, i64)> {
        self.0.iter().flat_map(|d| d.acknowledged.iter().map(|seq| (number(&d.id), i64::from(*seq))))
    }

    /// All devices at once, until the time is over or `next` has nothing more, and no longer than the connection lives.
    async fn run(&mut self, work: Work, next: fn(&mut Device) -> Option<Vec<u8>>) -> anyhow::Result<Load> {
        let Work { length, every } = work;
        let tally = Arc::new(Mutex::new(Tally::new()?));
        let (before, started) = (Spent::now()?, servers::clock().now());
        let mut running = JoinSet::new();
        let all = self.0.len() as u32;
        for (n, mut device) in (0..).zip(self.0.drain(..)) {
            let tally = tally.clone();
            running.spawn(async move {
                // Those that have a rhythm do not begin it together.
                tokio::time::sleep(every * n / all.max(1)).await;
                while servers::clock().now().since(started) < length.as_millis() as i64 {
                    let (last, watch) = (device.seq, Stopwatch::start());
                    let Some(request) = next(&mut device) else { break };
                    let answer = device.exchange(&request).await;
                    let took = watch.elapsed();
                    if device.seq > last && answer.as_ref().is_ok_and(|a| a.status == 200) {
                        device.acknowledged.push(device.seq);
                    }
                    let goes_on = tally.lock().unwrap_or_else(PoisonError::into_inner).note(answer, took);
                    if !goes_on {
                        break;
                    }
                    if took < every {
                        tokio::time::sleep(every - took).await;
                    }
                }
                device
            });
        }
        while let Some(done) = running.join_next().await {
            self.0.push(done?);
        }
        let spent_us = Spent::now()?.since_us(&before);
        let seconds = servers::clock().now().since(started) as f64 / 1000.0;
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tally.load(seconds, spent_us))
    }
}

/// The device document's own status, with a message number.
pub fn status(id: &str, seq: u32, now: UtcMillis) -> String {
    format!(
        r#"{{"device_id":"{id}","timestamp":"{now}","seq":{seq},"status":{{"power_state":"on","brightness":85,"temperature_celsius":42.5,"battery_percentage":95,"gsm_signal_strength":82,"uptime_seconds":86400,"error_flags":[]}},"energy":{{"voltage":230.5,"current":0.45,"power_watts":103.7,"frequency":50.0,"cumulative_kwh":1245.6}}}}"#
    )
}

impl Device {
    fn post(&self, verb: &str, body: &str) -> Vec<u8> {
        let mut request = self.head(verb, body.len(), "").into_bytes();
        request.extend_from_slice(body.as_bytes());
        request
    }

    fn head(&self, verb: &str, length: usize, more: &str) -> String {
        let Self { id, token, .. } = self;
        format!(
            "POST /api/device/{id}/{verb} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n{more}\
             authorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
        )
    }

    fn sync(&self, readings: usize, now: UtcMillis) -> anyhow::Result<Vec<u8>> {
        let readings: Vec<_> = (1..=readings as i64)
            .rev()
            .map(|back| {
                let at = UtcMillis(now.0 - back * 30_000);
                serde_json::json!({
                    "status": "on", "brightness": 85, "battery": 95, "temperature": 40.0 + (back % 40) as f64 / 10.0,
                    "voltage": 228.0 + (back % 23) as f64 / 10.0, "current": 0.45, "power": 103.7,
                    "cumulative_kwh": 1245.6 - back as f64 / 1000.0, "timestamp": at.to_string(),
                })
            })
            .collect();
        let body = serde_json::json!({ "device_id": self.id, "readings": readings }).to_string();
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(body.as_bytes())?;
        let packed = packed.finish()?;
        let mut request = self.head("sync", packed.len(), "content-encoding: gzip\r\n").into_bytes();
        request.extend_from_slice(&packed);
        Ok(request)
    }

    /// Sends a request and reads the whole answer.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        self.socket.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.socket.read_buf(&mut self.answer).await? == 0 {
                bail!("the server closed the connection");
            }
            let Some(head) = head_length(&self.answer) else { continue };
            let text = std::str::from_utf8(&self.answer[..head])?;
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
            let length: usize = field("content-length: ").context("an answer without length")?.trim().parse()?;
            if self.answer.len() >= head + length {
                let status = text.get(9..12).and_then(|s| s.parse().ok()).context("no status")?;
                return Ok(Answer { status, retry_after: status != 200 && field("retry-after: ").is_some() });
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
