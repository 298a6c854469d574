//! What a reading costs on disk: in the hot log, in a block once its day is over, and in bytes written on the way there. The readings
//! are those of the simulator's lamps over a day, in the order in which they would arrive.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_device::Lamp;
use ccms_device::chance::Chance;
use ccms_fleet::simlamp::SimLamp;
use ccms_service::Ccms;
use ccms_service::clock::Clock;
use ccms_service::keys::MasterKey;
use ccms_service::settings::EnrolmentMode;
use ccms_store::{AuditEntry, Curated, DynStore, LogPosition, NewDevice, ReadingRow, Store, StoreResult};
use ccms_store_sqlite::SqliteStore;

use crate::cpu::Spent;
use crate::report::{Bar, part, row};

/// 2025-12-17T00:00:00Z.
pub const MIDNIGHT: UtcMillis = UtcMillis(1_765_929_600_000);
pub const STEP_S: u64 = 30;
const BATCH: usize = 1_000;
const UNPACKED_TIMES: u32 = 50;

/// What a day of some lights came to.
struct Cost {
    readings: u64,
    hot_bytes: f64,
    append_us: f64,
    sealed_bytes: f64,
    seal_us: f64,
    /// Unpacking one light's day.
    day_us: f64,
}

/// Runs where the servers run, so that its work is counted.
pub async fn measure(smoke: bool) -> anyhow::Result<()> {
    part(&format!("a day of readings of the simulator's lamps on disk, SQLite, {BATCH} in a batch; of each reading"));
    for lights in if smoke { [2, 4] } else { [50, 1_000] } {
        let cost = day_of(lights, if smoke { 2 } else { 24 }).await?;
        let row = |what: &str, figure, unit, bar| row(&format!("{lights} lights: {what}"), figure, unit, bar);
        row("readings", cost.readings as f64, "", Bar::None);
        row("in the hot log with its index", cost.hot_bytes, "bytes", Bar::AtMost(75.0));
        row("appending it", cost.append_us, "CPU us", Bar::None);
        row("sealed", cost.sealed_bytes, "bytes", Bar::AtMost(6.0));
        row("sealing it", cost.seal_us, "CPU us", Bar::None);
        row("unpacking a light's day", cost.day_us, "CPU us", Bar::None);
    }
    part(&format!("bytes sent to storage until readings are in the log, SQLite, {BATCH} in a batch; of each reading"));
    let mut written = Vec::new();
    for (lights, steps) in if smoke { [(2, 40), (8, 10)] } else { [(1_000, 3_000), (100_000, 30)] } {
        let folder = tempfile::tempdir()?;
        let log = Log::write(folder.path(), lights, steps).await?;
        log.store.close().await;
        let what = format!("{lights} lights, {} readings", log.readings);
        row(&what, log.written_bytes, "bytes", Bar::AtMost(250.0));
        row(&format!("{what}: appending it"), log.append_us, "CPU us", Bar::None);
        written.push(log.written_bytes);
    }
    if let [few, many] = written[..] {
        row("more for many lights than for few", 100.0 * (many / few - 1.0), "%", Bar::AtMost(10.0));
    }
    Ok(())
}

/// A log that was written, reading by reading as lamps would.
struct Log {
    store: SqliteStore,
    readings: u64,
    upto: LogPosition,
    written_bytes: f64,
    append_us: f64,
}

impl Log {
    async fn write(folder: &Path, lights: u32, steps: u64) -> anyhow::Result<Self> {
        let store = open(folder).await?;
        for n in 1..=lights {
            register(&store, n).await?;
        }
        store.close().await;
        let store = open(folder).await?;
        let (mut street, mut readings, mut upto) = (Street::new(lights), 0, LogPosition::default());
        let (wrote, worked) = (written()?, Spent::now()?);
        let (mut waiting, mut simulated_us) = (Vec::new(), 0.0);
        for step in 0..steps {
            let before = Spent::now()?;
            let rows = street.reports(step);
            simulated_us += Spent::now()?.since_us(&before);
            waiting.extend(rows);
            while waiting.len() >= BATCH {
                upto = store.append_readings(&waiting[..BATCH]).await?.upto;
                waiting.drain(..BATCH);
                readings += BATCH as u64;
            }
        }
        readings += waiting.len() as u64;
        upto = upto.max(store.append_readings(&waiting).await?.upto);
        let append_us = (Spent::now()?.since_us(&worked) - simulated_us) / readings as f64;
        let written_bytes = (written()? - wrote) as f64 / readings as f64;
        Ok(Self { store, readings, upto, written_bytes, append_us })
    }
}

async fn open(folder: &Path) -> StoreResult<SqliteStore> {
    SqliteStore::open(&format!("sqlite://{}", file(folder).display())).await
}

fn file(folder: &Path) -> PathBuf {
    folder.join("ccms.db")
}

async fn day_of(lights: u32, hours: u64) -> anyhow::Result<Cost> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let log = Log::write(folder, lights, hours * 3_600 / STEP_S).await?;
    let (readings, append_us) = (log.readings, log.append_us);
    log.store.write_checkpoint(log.upto, &[]).await?;
    log.store.close().await;
    let with = size(&file(folder))?;
    let other = tempfile::tempdir()?;
    let empty = Log::write(other.path(), lights, 0).await?;
    empty.store.close().await;
    let hot_bytes = (with - size(&file(other.path()))?) as f64 / readings as f64;

    let store: DynStore = Arc::new(open(folder).await?);
    let settings = ccms_service::settings::Settings {
        enrolment: EnrolmentMode::Open,
        ..ccms::config::Config::default().settings()
    };
    let clock = Clock::manual(MIDNIGHT.plus_seconds(2 * 86_400));
    let ccms = Ccms::start(settings, clock, store.clone(), &MasterKey::random()).await?;
    ccms.checkpoint().await;
    let worked = Spent::now()?;
    let sealed = ccms.seal().await.context("sealing")?;
    anyhow::ensure!(sealed.readings == readings, "{} of {readings} readings were sealed", sealed.readings);
    let seal_us = Spent::now()?.since_us(&worked) / readings as f64;
    let block = store.sealed_of_light(LightNo(1), ccms_store::Day(0), ccms_store::Day(i32::MAX), 1).await?;
    let block = block.first().context("a block")?;
    let worked = Spent::now()?;
    for _ in 0..UNPACKED_TIMES {
        anyhow::ensure!(ccms_block::decode(block.light_no, &block.body)?.len() == block.readings as usize);
    }
    let day_us = Spent::now()?.since_us(&worked) / f64::from(UNPACKED_TIMES);
    ccms.stop().await;
    Ok(Cost { readings, hot_bytes, append_us, sealed_bytes: sealed.bytes as f64 / readings as f64, seal_us, day_us })
}

pub async fn register(store: &SqliteStore, n: u32) -> anyhow::Result<()> {
    let device_id = ccms_core::ids::DeviceId::parse(&format!("BENCH-{n}")).context("an id")?;
    let new =
        NewDevice { device_id, light_id: None, curated: Curated::default(), claim_until: None, created_at: MIDNIGHT };
    let audit = AuditEntry {
        at: MIDNIGHT,
        actor: "bench".into(),
        action: "device.register".into(),
        target: n.to_string(),
        detail: serde_json::json!({}),
    };
    store.register_device(new, &audit).await?;
    Ok(())
}

/// Lamps that burn at night, each with its own second of the half minute.
pub struct Street {
    lamps: Vec<SimLamp>,
    chance: Chance,
}

impl Street {
    pub fn new(lights: u32) -> Self {
        let lamp = |n: u32| {
            let mut lamp = SimLamp::new(u64::from(n), 60.17 + f64::from(n) * 1e-4, 24.94, true, None);
            lamp.actuate(0, lamp_at(0));
            lamp
        };
        Self { lamps: (1..=lights).map(lamp).collect(), chance: Chance::new(7) }
    }

    pub fn reports(&mut self, step: u64) -> Vec<ReadingRow> {
        let mut rows = Vec::with_capacity(self.lamps.len());
        let all = self.lamps.len() as u64;
        for (n, lamp) in self.lamps.iter_mut().enumerate() {
            let second = step * STEP_S + n as u64 * STEP_S / all;
            let reported_at = UtcMillis(MIDNIGHT.0 + second as i64 * 1000);
            let wanted = lamp_at(second);
            if wanted != lamp_at(second.saturating_sub(STEP_S)) {
                lamp.actuate(second * 1000, wanted);
            }
            let s = lamp.measure(second * 1000, reported_at);
            let reading = Reading {
                reported_at,
                power_state: Some(wanted.power),
                brightness_percent: Some(wanted.brightness_percent),
                temperature_dc: Some(s.temperature_dc),
                battery_percent: Some(s.battery_percent),
                signal_percent: Some(s.signal_percent),
                uptime_s: Some(40_000 + second as u32),
                voltage_dv: Some(s.voltage_dv),
                current_ma: Some(s.current_ma),
                power_dw: Some(s.power_dw),
                frequency_chz: Some(s.frequency_chz),
                energy_wh: Some(s.energy_wh),
                error_flags: s.error_flags.into_iter().map(Into::into).collect(),
                ..Reading::default()
            };
            let delay_ms = 120 + self.chance.below(400) as i64;
            rows.push(ReadingRow {
                light_no: LightNo(n as u32 + 1),
                device_no: DeviceNo(n as u32 + 1),
                received_at: UtcMillis(reported_at.0 + delay_ms),
                dedupe: reading.dedupe_key(),
                reading,
            });
        }
        rows
    }
}

/// On from half past five in the afternoon to six in the morning, dimmed from eleven on.
fn lamp_at(second: u64) -> Lamp {
    match second % 86_400 / 60 {
        360..=1_049 => Lamp { power: PowerState::Off, brightness_percent: 0 },
        0..=359 | 1_380.. => Lamp { power: PowerState::On, brightness_percent: 60 },
        _ => Lamp { power: PowerState::On, brightness_percent: 100 },
    }
}

fn size(file: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::metadata(file)?.len())
}

/// Bytes that this process has sent to storage, by the kernel's account; 0 where there is none.
fn written() -> anyhow::Result<u64> {
    let Ok(account) = std::fs::read_to_string("/proc/self/io") else { return Ok(0) };
    let line = account.lines().find_map(|l| l.strip_prefix("write_bytes: ")).context("write_bytes")?;
    Ok(line.trim().parse()?)
}
