//! A file of devices and lights, taken in as a whole or not at all. Every row is checked before anything is written, and every
//! bad one is named.
//!
//! What a row means: a `light_id` that is known is corrected; one that is not is made, driven by the row's device if it names
//! one. A row with a `device_id` alone speaks of the one light of that device, or registers it with the next free light. A
//! light never changes its controller here: that is what swapping is for.
use std::collections::{HashMap, HashSet};

use ccms_core::ids::{DeviceId, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, CurationStep, DeviceState, NewDevice};
use serde_json::json;

use super::check_curated;
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::live::State;
use crate::permission::MayCommission;

/// One row, each cell parsed. `None`: the file does not say, so what is known stays.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportRow {
    /// As a spreadsheet counts: the header is row 1.
    pub row: u32,
    pub device_id: Option<DeviceId>,
    pub light_id: Option<LightId>,
    pub name: Option<String>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub address: Option<String>,
    pub city: Option<String>,
    pub zone: Option<String>,
    pub ward: Option<String>,
    pub feeder: Option<String>,
    pub pole: Option<String>,
    /// An empty cell takes away what is known.
    pub wattage: Option<Option<f64>>,
}

/// Why a row cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportError {
    pub row: u32,
    /// The column's name; empty when it is the row as a whole.
    pub column: String,
    pub message: String,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    pub created: u32,
    pub updated: u32,
    pub errors: Vec<ImportError>,
}

/// What a row comes to.
struct Step {
    change: CurationStep,
    /// A registered device that the row names, whose claim window the import may open.
    waits: Option<DeviceId>,
}

impl Ccms {
    /// Checks every row against the catalogue and, unless it is a rehearsal or a row is bad, writes them in one transaction.
    /// `errors` are those that reading the file met already. `claim_hours` opens the claim window of every device of the file
    /// that is not claimed yet.
    pub async fn import_lights(
        &self,
        by: MayCommission<'_>,
        rows: &[ImportRow],
        mut errors: Vec<ImportError>,
        dry_run: bool,
        claim_hours: Option<u32>,
    ) -> Result<ImportReport, ServiceError> {
        let _turn = self.inner().curating.lock().await;
        self.learn_new_lights().await?;
        let now = self.now();
        let claim_until = claim_hours.map(|hours| now.plus_seconds(i64::from(hours) * 3600));
        let mut steps = Vec::with_capacity(rows.len());
        {
            let live = self.live().read();
            let mut plan = Plan { live: &live, now, claim_until, lights: HashSet::new(), devices: HashMap::new() };
            for row in rows {
                match plan.step(row) {
                    Ok(step) => steps.push(step),
                    Err((column, message)) => errors.push(ImportError { row: row.row, column: column.into(), message }),
                }
            }
        }
        errors.sort_by_key(|e| e.row);
        let updated = steps.iter().filter(|s| matches!(s.change, CurationStep::Update { .. })).count() as u32;
        let report = ImportReport { created: steps.len() as u32 - updated, updated, errors };
        if dry_run || !report.errors.is_empty() || steps.is_empty() {
            return Ok(report);
        }
        let (changes, waiting): (Vec<_>, Vec<_>) = steps.into_iter().map(|s| (s.change, s.waits)).unzip();
        let detail = json!({"created": report.created, "updated": report.updated, "claim_hours": claim_hours});
        let audit = self.audit_entry(by.name(), "lights.import", "lights", detail);
        self.curate(&changes, &[audit]).await?;
        if let Some(until) = claim_until {
            for device in waiting.into_iter().flatten() {
                let audit = self.audit_entry(by.name(), "device.approve", device.as_str(), json!({"until": until}));
                self.store().open_claim_window(&device, until, &audit).await?;
            }
        }
        Ok(report)
    }
}

struct Plan<'a> {
    live: &'a State,
    now: UtcMillis,
    claim_until: Option<UtcMillis>,
    /// Named by the file so far.
    lights: HashSet<LightId>,
    /// Named by the file so far: whether the row that did so also named a light.
    devices: HashMap<DeviceId, bool>,
}

type Refused = (&'static str, String);

impl Plan<'_> {
    fn step(&mut self, row: &ImportRow) -> Result<Step, Refused> {
        let refused = |column, message: String| Err((column, message));
        if row.device_id.is_none() && row.light_id.is_none() {
            return refused("light_id", "The row names neither a device_id nor a light_id.".into());
        }
        if let Some(light) = &row.light_id
            && !self.lights.insert(light.clone())
        {
            return refused("light_id", format!("{light} is in the file twice."));
        }
        let mut seen_before = false;
        if let Some(device) = &row.device_id {
            let names_light = row.light_id.is_some();
            let before = self.devices.insert(device.clone(), names_light);
            if before.is_some_and(|named_light| !named_light || !names_light) {
                return refused("device_id", format!("{device} is in the file twice; name the light_id of each row."));
            }
            seen_before = before.is_some();
        }
        match self.known_light(row)? {
            Some(no) => self.correct(row, no),
            None => self.make(row, seen_before),
        }
    }

    /// The light that the row speaks of, if there is one.
    fn known_light(&self, row: &ImportRow) -> Result<Option<LightNo>, Refused> {
        if let Some(id) = &row.light_id {
            return Ok(self.live.light_no(id));
        }
        let device = row.device_id.as_ref().and_then(|id| self.live.device_no(id)).and_then(|no| self.live.device(no));
        match device.map(|d| d.lights.as_slice()) {
            None | Some([]) => Ok(None),
            Some([one]) => Ok(Some(*one)),
            Some(many) => Err(("light_id", format!("This device drives {} lights; name one.", many.len()))),
        }
    }

    fn correct(&self, row: &ImportRow, no: LightNo) -> Result<Step, Refused> {
        let light = self.live.light(no).ok_or_else(|| ("light_id", "This light is gone.".to_owned()))?;
        let device = self.live.device_of(light).map(|d| &d.record);
        if let Some(named) = &row.device_id
            && device.is_none_or(|d| d.id != *named)
        {
            let driver = device.map_or("no controller".to_owned(), |d| d.id.to_string());
            let message = format!("{} is driven by {driver}. To change that, swap the device.", light.record.id);
            return Err(("device_id", message));
        }
        let mut curated = light.record.curated.clone();
        row.apply(&mut curated)?;
        let waits = device.filter(|d| d.state == DeviceState::Registered).map(|d| d.id.clone());
        Ok(Step { change: CurationStep::Update { light: no, curated }, waits })
    }

    fn make(&self, row: &ImportRow, device_is_in_the_file: bool) -> Result<Step, Refused> {
        let mut curated = Curated::default();
        row.apply(&mut curated)?;
        let device = row.device_id.as_ref().and_then(|id| self.live.device_no(id)).and_then(|no| self.live.device(no));
        let drives = device.is_some_and(|d| !d.lights.is_empty());
        let state = device.map(|d| d.record.state);
        if drives && state == Some(DeviceState::Revoked) {
            return Err(("device_id", "This device is revoked.".into()));
        }
        let created_at = self.now;
        let change = match &row.device_id {
            Some(device_id) if !drives && !device_is_in_the_file => CurationStep::Register(NewDevice {
                device_id: device_id.clone(),
                light_id: row.light_id.clone(),
                curated,
                claim_until: self.claim_until,
                created_at,
            }),
            device_id => CurationStep::AddLight {
                light_id: row.light_id.clone(),
                device_id: device_id.clone(),
                curated,
                created_at,
            },
        };
        let waits = row.device_id.clone().filter(|_| drives && state == Some(DeviceState::Registered));
        Ok(Step { change, waits })
    }
}

impl ImportRow {
    fn apply(&self, to: &mut Curated) -> Result<(), Refused> {
        let set = |field: &mut String, cell: &Option<String>| {
            if let Some(text) = cell {
                field.clone_from(text);
            }
        };
        set(&mut to.name, &self.name);
        set(&mut to.address, &self.address);
        set(&mut to.city, &self.city);
        set(&mut to.zone, &self.zone);
        set(&mut to.ward, &self.ward);
        set(&mut to.feeder, &self.feeder);
        set(&mut to.pole, &self.pole);
        match (self.latitude, self.longitude) {
            (Some(latitude), Some(longitude)) => (to.latitude, to.longitude) = (latitude, longitude),
            (Some(_), None) => return Err(("longitude", "There is a latitude and no longitude.".into())),
            (None, Some(_)) => return Err(("latitude", "There is a longitude and no latitude.".into())),
            (None, None) => {}
        }
        if let Some(wattage) = self.wattage {
            to.wattage_w = wattage;
        }
        match check_curated(to) {
            Err(ServiceError::Invalid { field, message }) => Err((field, message)),
            _ => Ok(()),
        }
    }
}
