//! A controller becomes the server's, or proves that it is: by the machine that real controllers run, and with what is kept of it.
use std::time::Duration;

use anyhow::{Context, bail};
use ccms_device::{Change, Config, Device, Input, Kind, Now, Output, Saved, Sensors, Settings, Uptime};

use crate::clock::Clock;
use crate::identity::{device_id, device_seed};
use crate::line::Line;
use crate::statelog::Notebook;

/// Around the middle of Delhi.
const PLACE: (f64, f64) = (28.6139, 77.2090);
const STEP_DEGREES: f64 = 0.0003;
/// A server that is busy with many asks for patience; not for longer than this.
const TRIES_MAX: u32 = 20;
const AGAIN: Duration = Duration::from_secs(1);

/// Answers its settings: who it is, and from which number on its statuses are new. So many `numbers` are reserved for it.
pub(super) async fn enrol(
    line: &Line,
    seed: u64,
    index: usize,
    saved: Saved,
    numbers: u32,
    clock: Clock,
    notes: &Notebook,
) -> anyhow::Result<Settings> {
    let id = device_id(seed, index);
    let mut saved = saved;
    for _ in 0..TRIES_MAX {
        if let Some(settings) = configures(line, seed, index, &mut saved, clock).await? {
            let first = settings.seq_reserved;
            let reserved = Settings { seq_reserved: first.saturating_add(numbers), ..settings.clone() };
            notes.change(id.as_str(), Change::Settings(Box::new(reserved)));
            return Ok(Settings { seq_reserved: first, ..settings });
        }
        tokio::time::sleep(AGAIN).await;
    }
    bail!("{id} is not let in: claimed by somebody else, or enrolment is closed")
}

/// One boot up to the answer to its first configure.
async fn configures(
    line: &Line,
    seed: u64,
    index: usize,
    saved: &mut Saved,
    clock: Clock,
) -> anyhow::Result<Option<Settings>> {
    let (latitude, longitude) =
        (PLACE.0 + (index / 300) as f64 * STEP_DEGREES, PLACE.1 + (index % 300) as f64 * STEP_DEGREES);
    let mut config = Config::new(device_id(seed, index), latitude, longitude, device_seed(seed, index));
    config.name = format!("Load {}", index + 1);
    let now = || Now { uptime: Uptime(clock.steady_ms()), utc: Some(clock.utc()) };
    let mut device = Device::new(config, saved.clone(), now());
    device.handle(now(), Input::Sensors(Sensors { battery_percent: 90, signal_percent: 70, ..Sensors::default() }));
    device.handle(now(), Input::Timeout);
    let mut asked = None;
    while let Some(output) = device.poll() {
        match output {
            Output::Send(id, request) if request.kind == Kind::Configure => asked = Some((id, request)),
            Output::Persist(change) => saved.apply(change),
            _ => {}
        }
    }
    let (id, request) = asked.context("a machine that does not configure")?;
    let outcome = line.send(request).await;
    device.handle(now(), Input::Response(id, outcome));
    while let Some(output) = device.poll() {
        if let Output::Persist(change) = output {
            saved.apply(change);
        }
    }
    Ok(device.state().is_online().then(|| saved.settings.clone()))
}
