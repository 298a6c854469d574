//! The catalogue of lights as other systems ask for it: found by place, words or colour, read one by one, corrected, and
//! taken in and given out as a whole.
//!
//! - `standing`  target and what is in effect
//! - `import`    a file of devices and lights: checked row by row, then written as one
//! - `devices`   the controllers and what they drive
//!
//! Lists come from memory. What is known of executed commands is read from the store when a light is first asked for, and
//! kept from then on.
mod devices;
mod import;
mod standing;

use std::collections::BTreeSet;

use ccms_core::command::Command;
use ccms_core::ids::{DeviceNo, LightId, LightNo};
use ccms_core::light::{Cause, Indicator};
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, CurationStep, DeviceRecord, DeviceState, LightRecord, ReadingRow, StoreError, StoreResult};
use serde_json::json;

pub use devices::{DeviceQuery, DeviceView, NewPlace};
pub use import::{ImportError, ImportReport, ImportRow};
pub use standing::{Source, Wanted};

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::live::{LiveLight, State};
use crate::permission::{MayCommission, MayView, Who};
use standing::{Night, standing};

/// Commands of a light looked through for those that were executed.
const COMMANDS_LOOKED_THROUGH: u32 = 50;
/// New lights that are taken into memory at a time.
const LIGHTS_AT_ONCE: u32 = 1_000;
/// Characters of a name, an address and the like.
pub const TEXT_CHARS_MAX: usize = 120;
/// Watts; no street lamp needs more.
pub const WATTAGE_MAX_W: f64 = 10_000.0;

/// A light with everything that is known of it now.
#[derive(Debug, Clone, PartialEq)]
pub struct LightView {
    pub record: LightRecord,
    pub device: Option<DeviceRecord>,
    pub live: LiveView,
}

/// The present state of a light.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveView {
    /// The newest reading in the order of time.
    pub latest: Option<ReadingRow>,
    /// The controller's last contact of any kind.
    pub last_seen: Option<UtcMillis>,
    pub online: bool,
    pub indicator: Indicator,
    pub cause: Option<Cause>,
    pub target: Wanted,
    pub in_effect: Wanted,
}

/// Which lights.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LightQuery {
    /// West, south, east, north in degrees; west of the antimeridian when west is more than east.
    pub bbox: Option<[f64; 4]>,
    /// In id, name, address, zone or device id, without regard to case.
    pub q: String,
    pub indicator: Option<Indicator>,
    /// Behind this number.
    pub after_no: Option<u32>,
    pub limit: usize,
}

impl Ccms {
    /// Lights in the order of their numbers, and the number to go on behind when there are more.
    pub async fn find_lights(
        &self,
        by: MayView<'_>,
        query: &LightQuery,
    ) -> Result<(Vec<LightView>, Option<u32>), ServiceError> {
        let now = self.now();
        let (found, next) = {
            let live = self.live().read();
            let needle = query.q.trim().to_lowercase();
            let mut found: Vec<LightNo> = live
                .lights()
                .filter(|l| query.after_no.is_none_or(|after| l.record.no.0 > after))
                .filter(|l| by.who().sees(&l.record))
                .filter(|l| query.bbox.is_none_or(|bbox| is_inside(l.record.place(), bbox)))
                .filter(|l| needle.is_empty() || has_words(&live, l, &needle))
                .filter(|l| query.indicator.is_none_or(|wanted| live.facts(l).indicator(now) == wanted))
                .map(|l| l.record.no)
                .take(query.limit.saturating_add(1))
                .collect();
            let more = found.len() > query.limit;
            found.truncate(query.limit);
            let next = found.last().filter(|_| more).map(|no| no.0);
            (found, next)
        };
        for no in &found {
            self.recall_executed(*no).await?;
        }
        let live = self.live().read();
        Ok((found.into_iter().filter_map(|no| self.light_view(&live, no, now)).collect(), next))
    }

    pub async fn find_light(&self, by: MayView<'_>, id: &LightId) -> Result<LightView, ServiceError> {
        let no = self.light_no(by, id).ok_or(ServiceError::NotFound)?;
        self.recall_executed(no).await?;
        let live = self.live().read();
        self.light_view(&live, no, self.now()).ok_or(ServiceError::NotFound)
    }

    /// One light by its number, for who watches changes. `None` when it is not theirs to see.
    pub async fn watched_light(&self, who: Who<'_>, no: LightNo) -> Result<Option<LightView>, ServiceError> {
        if !self.live().read().light(no).is_some_and(|l| who.sees(&l.record)) {
            return Ok(None);
        }
        self.recall_executed(no).await?;
        let live = self.live().read();
        Ok(self.light_view(&live, no, self.now()))
    }

    /// Every light that is theirs to see with the device that drives it, for a file. Reads the database first: what the
    /// command line registered a moment ago is in it too.
    pub async fn export_lights(
        &self,
        by: MayView<'_>,
    ) -> Result<Vec<(LightRecord, Option<DeviceRecord>)>, ServiceError> {
        self.learn_new_lights().await?;
        let live = self.live().read();
        let seen = live.lights().filter(|l| by.who().sees(&l.record));
        Ok(seen.map(|l| (l.record.record(), live.device_of(l).map(|d| d.record.record()))).collect())
    }

    /// Replaces the curated facts of a light with what `change` makes of them. `expected` is asked whether they are still
    /// what the caller knows; no other correction comes in between.
    ///
    /// # Errors
    /// [`ServiceError::Stale`] when `expected` says no.
    pub async fn correct_light(
        &self,
        by: MayCommission<'_>,
        id: &LightId,
        expected: impl FnOnce(&LightRecord) -> bool,
        change: impl FnOnce(&mut Curated),
    ) -> Result<LightView, ServiceError> {
        let view = by.who().may_view()?;
        let _turn = self.inner().curating.lock().await;
        let before = self.find_light(view, id).await?.record;
        if !expected(&before) {
            return Err(ServiceError::Stale);
        }
        let mut curated = before.curated.clone();
        change(&mut curated);
        check_curated(&curated)?;
        if curated != before.curated {
            let detail = json!({"before": described(&before.curated), "after": described(&curated)});
            let audit = self.audit_entry(by.name(), "light.correct", id.as_str(), detail);
            let steps = [CurationStep::Update { light: before.no, curated }];
            self.curate(&steps, &[audit]).await?;
        }
        self.find_light(view, id).await
    }

    /// Writes and lets memory follow.
    pub(crate) async fn curate(
        &self,
        steps: &[CurationStep],
        audit: &[ccms_store::AuditEntry],
    ) -> Result<(), ServiceError> {
        let done = self.store().curate(steps, audit).await.map_err(|error| match error {
            StoreError::Conflict { what } => ServiceError::Conflict { message: format!("There is {what} already.") },
            other => other.into(),
        })?;
        let mut live = self.live().write();
        for (device, light) in done {
            // A claim window is asked of the store when a device knocks, and a device that came in meanwhile is newer here.
            if let Some(light) = light {
                device.into_iter().for_each(|d| live.put_device(d));
                live.put_light(light);
            }
        }
        Ok(())
    }

    /// Takes lights into memory that came into the database beside this server, with the devices that drive them. Costs a look
    /// at an index when there are none, so it is done all the time.
    pub async fn learn_new_lights(&self) -> StoreResult<()> {
        let mut known = self.live().write().known_through();
        loop {
            let lights = self.store().lights_after(known, LIGHTS_AT_ONCE).await?;
            known = lights.last().map_or(known, |l| l.no);
            let mut devices = Vec::new();
            for no in lights.iter().filter_map(|l| l.device_no).collect::<BTreeSet<_>>() {
                devices.extend(self.store().devices_after(DeviceNo(no.0.saturating_sub(1)), None, 1).await?);
            }
            let all = lights.len() < LIGHTS_AT_ONCE as usize;
            let mut live = self.live().write();
            for device in devices {
                // One that memory has without a light was let in beside us; what became of any other is known here first.
                if live.device(device.no).is_none_or(|d| d.lights.is_empty() && d.record.state != DeviceState::Claimed)
                {
                    live.put_device(device);
                }
            }
            for light in lights {
                if live.light(light.no).is_none() {
                    live.put_light(light);
                }
            }
            if all {
                return Ok(());
            }
        }
    }

    /// Makes sure that memory knows which commands of this light were executed last.
    async fn recall_executed(&self, no: LightNo) -> Result<(), ServiceError> {
        if self.live().read().light(no).is_none_or(|l| l.executed().is_some()) {
            return Ok(());
        }
        // From here on what is executed is noted, so nothing is missed while the store is asked.
        self.live().write().note_executed(no, Vec::new());
        match self.store().commands_of_light(no, COMMANDS_LOOKED_THROUGH).await {
            Ok(commands) => self.live().write().note_executed(no, commands),
            Err(error) => {
                self.live().write().forget_executed(no);
                return Err(error.into());
            }
        }
        Ok(())
    }

    fn light_view(&self, live: &State, no: LightNo, now: UtcMillis) -> Option<LightView> {
        let light = live.light(no)?;
        let (facts, device) = (live.facts(light), live.device_of(light));
        let (latitude, longitude) = light.record.place();
        let night = Night {
            schedule: self.schedule_at(latitude, longitude, now),
            utc_offset_minutes: self.inner().city_time.utc_offset_minutes(now),
            brightness_percent: self.settings().brightness_percent,
        };
        let alive = device.into_iter().flat_map(|d| &d.commands).map(|c| &c.command).filter(|c| c.light_no == no);
        let commands: Vec<Command> = alive.chain(light.executed().unwrap_or_default()).cloned().collect();
        let (target, in_effect) = standing(&commands, night, now);
        Some(LightView {
            record: light.record.record(),
            device: device.map(|d| d.record.record()),
            live: LiveView {
                latest: light.latest(),
                last_seen: device.and_then(|d| d.last_contact()),
                online: facts.is_online(now),
                indicator: facts.indicator(now),
                cause: facts.cause(now),
                target,
                in_effect,
            },
        })
    }
}

/// Whether a light can be what is said of it.
pub(crate) fn check_curated(curated: &Curated) -> Result<(), ServiceError> {
    match flaws_of(curated).into_iter().next() {
        Some((field, message)) => Err(ServiceError::Invalid { field, message }),
        None => Ok(()),
    }
}

/// Everything that a light cannot be, by the names that the outside knows.
fn flaws_of(curated: &Curated) -> Vec<(&'static str, String)> {
    let mut flaws = Vec::new();
    for (field, text) in texts(curated) {
        if text.chars().count() > TEXT_CHARS_MAX {
            flaws.push((field, format!("At most {TEXT_CHARS_MAX} characters.")));
        }
        if text.chars().any(char::is_control) {
            flaws.push((field, "No line breaks and no control characters.".into()));
        }
    }
    if !(-90.0..=90.0).contains(&curated.latitude) {
        flaws.push(("latitude", "A latitude is -90 to 90 degrees.".into()));
    }
    if !(-180.0..=180.0).contains(&curated.longitude) {
        flaws.push(("longitude", "A longitude is -180 to 180 degrees.".into()));
    }
    if curated.wattage_w.is_some_and(|w| !(0.0..=WATTAGE_MAX_W).contains(&w)) {
        flaws.push(("wattage", format!("A wattage is 0 to {WATTAGE_MAX_W} W.")));
    }
    flaws
}

/// The texts of a light by the names that the outside knows them under.
fn texts(c: &Curated) -> [(&'static str, &str); 7] {
    [
        ("name", &c.name),
        ("address", &c.address),
        ("city", &c.city),
        ("zone", &c.zone),
        ("ward", &c.ward),
        ("feeder", &c.feeder),
        ("pole", &c.pole),
    ]
}

fn described(c: &Curated) -> serde_json::Value {
    let mut all = json!({"latitude": c.latitude, "longitude": c.longitude, "wattage": c.wattage_w});
    texts(c).into_iter().for_each(|(name, text)| all[name] = text.into());
    all
}

fn is_inside((lat, lon): (f64, f64), [west, south, east, north]: [f64; 4]) -> bool {
    let between = if west <= east { (west..=east).contains(&lon) } else { lon >= west || lon <= east };
    between && (south..=north).contains(&lat) && (lat, lon) != (0.0, 0.0)
}

fn has_words(live: &State, light: &LiveLight, needle: &str) -> bool {
    let has = |text: String| text.to_lowercase().contains(needle);
    let record = &light.record;
    has(record.id_text())
        || has(record.name())
        || has(record.address())
        || has(record.zone())
        || live.device_of(light).is_some_and(|d| has(d.record.id_text()))
}
