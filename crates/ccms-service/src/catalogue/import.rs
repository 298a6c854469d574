//! A file of devices and lights, taken in as a whole or not at all: lights, controllers, claim windows and audit entries are one
//! transaction. Every row is checked before anything is written, and everything that is wrong with it is named.
//!
//! What a row means: a `light_id` that is known is corrected; one that is not is made, driven by the row's device if it names
//! one. A row with a `device_id` alone speaks of the one light of that device, or registers it with the next free light. A
//! light never changes its controller here: that is what swapping is for. A controller may stand in several rows when it drives
//! several lights and each row names its own; because it may as well be a slip, the report warns of it.
use std::collections::HashMap;

use ccms_core::ids::{DeviceId, LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, CurationStep, DeviceState, NewDevice};
use serde_json::json;

use super::flaws_of;
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
    /// Cells that could not be read. They are `None` above; what the others say is checked all the same.
    pub bad_cells: Vec<ImportError>,
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
    /// What may be taken, and may be a slip.
    pub warnings: Vec<ImportError>,
}

/// What a row comes to.
struct Step {
    change: CurationStep,
    /// A registered device that the row names, whose claim window the import may open.
    waits: Option<DeviceId>,
}

impl Ccms {
    /// Checks every row against the catalogue and, unless it is a rehearsal or a row is bad, writes them in one transaction.
    /// `errors` are those of rows that could not be read at all. `claim_hours` opens the claim window of every device of the
    /// file that is not claimed yet.
    pub async fn import_lights(
        &self,
        by: MayCommission<'_>,
        rows: &[ImportRow],
        errors: Vec<ImportError>,
        dry_run: bool,
        claim_hours: Option<u32>,
    ) -> Result<ImportReport, ServiceError> {
        let _turn = self.inner().curating.lock().await;
        self.learn_new_lights().await?;
        let now = self.now();
        let claim_until = claim_hours.map(|hours| now.plus_seconds(i64::from(hours) * 3600));
        let mut report = ImportReport { errors, ..ImportReport::default() };
        let mut steps = Vec::with_capacity(rows.len());
        {
            let live = self.live().read();
            let (lights, devices) = (HashMap::new(), HashMap::new());
            let mut plan = Plan { live: &live, now, claim_until, lights, devices, warnings: Vec::new() };
            for row in rows {
                match plan.step(row) {
                    Ok(step) => steps.push(step),
                    Err(flaws) => report.errors.extend(flaws),
                }
            }
            report.warnings = plan.warnings;
        }
        report.errors.sort_by_key(|e| e.row);
        report.updated = steps.iter().filter(|s| matches!(s.change, CurationStep::Update { .. })).count() as u32;
        report.created = steps.len() as u32 - report.updated;
        if dry_run || !report.errors.is_empty() || steps.is_empty() {
            return Ok(report);
        }
        // Names that the file gives come before those that we give, so that none of ours takes one of its.
        steps.sort_by_key(|s| s.is_named_by_us());
        let detail = json!({"created": report.created, "updated": report.updated, "claim_hours": claim_hours});
        let mut audit = vec![self.audit_entry(by.name(), "lights.import", "lights", detail)];
        let (mut changes, waiting): (Vec<_>, Vec<_>) = steps.into_iter().map(|s| (s.change, s.waits)).unzip();
        if let Some(until) = claim_until {
            for device_id in waiting.into_iter().flatten() {
                let detail = json!({"until": until});
                audit.push(self.audit_entry(by.name(), "device.approve", device_id.as_str(), detail));
                changes.push(CurationStep::OpenClaimWindow { device_id, until });
            }
        }
        self.curate(&changes, &audit).await?;
        Ok(report)
    }
}

impl Step {
    fn is_named_by_us(&self) -> bool {
        match &self.change {
            CurationStep::Register(new) => new.light_id.is_none(),
            CurationStep::AddLight { light_id, .. } => light_id.is_none(),
            CurationStep::Update { .. } | CurationStep::OpenClaimWindow { .. } => false,
        }
    }
}

struct Plan<'a> {
    live: &'a State,
    now: UtcMillis,
    claim_until: Option<UtcMillis>,
    /// Named by the file so far, and in which row first.
    lights: HashMap<LightId, u32>,
    /// Named by the file so far: in which row first, and whether every row that did so also named a light.
    devices: HashMap<DeviceId, (u32, bool)>,
    warnings: Vec<ImportError>,
}

type Refused = (&'static str, String);

impl Plan<'_> {
    /// Everything that is wrong with a row, or what it comes to.
    fn step(&mut self, row: &ImportRow) -> Result<Step, Vec<ImportError>> {
        let flaw = |(column, message): Refused| ImportError { row: row.row, column: column.to_owned(), message };
        let mut flaws = row.bad_cells.clone();
        let (seen_before, twice) = self.note(row);
        flaws.extend(twice.into_iter().map(flaw));
        // Of whom a row speaks is known only when both ids could be read and are its own.
        let known = match flaws.iter().any(|e| matches!(e.column.as_str(), "device_id" | "light_id")) {
            true => None,
            false => self.known_light(row).map_err(|refused| flaws.push(flaw(refused))).ok(),
        };
        let made = match known {
            Some(Some(no)) => self.correct(row, no),
            Some(None) => self.make(row, seen_before),
            None => Ok((Curated::default(), None)),
        };
        let (mut curated, step) = made.unwrap_or_else(|refused| {
            flaws.push(flaw(refused));
            (Curated::default(), None)
        });
        flaws.extend(row.apply(&mut curated).into_iter().map(flaw));
        match step {
            Some(step) if flaws.is_empty() => Ok(step.with(curated)),
            _ => Err(flaws),
        }
    }

    /// Remembers whom a row names. Answers whether an earlier one named its device, and what may not be named again.
    fn note(&mut self, row: &ImportRow) -> (bool, Vec<Refused>) {
        let (mut twice, mut seen_before) = (Vec::new(), false);
        let unread = |column: &str| row.bad_cells.iter().any(|e| e.column == column);
        if row.device_id.is_none() && row.light_id.is_none() && !unread("device_id") && !unread("light_id") {
            twice.push(("light_id", "The row names neither a device_id nor a light_id.".to_owned()));
        }
        if let Some(light) = &row.light_id {
            match self.lights.get(light) {
                Some(first) => twice.push(("light_id", format!("{light} is in row {first} already."))),
                None => drop(self.lights.insert(light.clone(), row.row)),
            }
        }
        if let Some(device) = &row.device_id {
            let named = row.light_id.is_some() || unread("light_id");
            match self.devices.get_mut(device) {
                None => drop(self.devices.insert(device.clone(), (row.row, named))),
                Some((first, all_named)) => {
                    seen_before = true;
                    if *all_named && named {
                        let message = format!("{device} is in row {first} already, and drives several lights then.");
                        self.warnings.push(ImportError { row: row.row, column: "device_id".into(), message });
                    } else {
                        *all_named = false;
                        let message = format!(
                            "{device} is in row {first} already; if it drives several lights, name the light_id of each row."
                        );
                        twice.push(("device_id", message));
                    }
                }
            }
        }
        (seen_before, twice)
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

    fn correct(&self, row: &ImportRow, no: LightNo) -> Result<(Curated, Option<Step>), Refused> {
        let light = self.live.light(no).ok_or_else(|| ("light_id", "This light is gone.".to_owned()))?;
        let device = self.live.device_of(light).map(|d| &d.record);
        if let Some(named) = &row.device_id
            && device.is_none_or(|d| !d.has_id(named.as_str()))
        {
            let driver = device.map_or("no controller".to_owned(), |d| d.id_text());
            let message = format!("{} is driven by {driver}. To change that, swap the device.", light.record.id_text());
            return Err(("device_id", message));
        }
        let waits = device.filter(|d| may_wait(d.state)).map(|d| d.id());
        let change = CurationStep::Update { light: no, curated: Curated::default() };
        Ok((light.record.curated(), Some(Step { change, waits })))
    }

    fn make(&self, row: &ImportRow, device_is_in_the_file: bool) -> Result<(Curated, Option<Step>), Refused> {
        let device = row.device_id.as_ref().and_then(|id| self.live.device_no(id)).and_then(|no| self.live.device(no));
        let drives = device.is_some_and(|d| !d.lights.is_empty());
        let state = device.map(|d| d.record.state);
        if drives && state == Some(DeviceState::Revoked) {
            return Err(("device_id", "This device is revoked.".into()));
        }
        let (curated, light_id, created_at) = (Curated::default(), row.light_id.clone(), self.now);
        let change = match row.device_id.clone() {
            Some(device_id) if !drives && !device_is_in_the_file => {
                let claim_until = self.claim_until;
                CurationStep::Register(NewDevice { device_id, light_id, curated, claim_until, created_at })
            }
            device_id => CurationStep::AddLight { light_id, device_id, curated, created_at },
        };
        let waits = row.device_id.clone().filter(|_| drives && state.is_some_and(may_wait));
        Ok((Curated::default(), Some(Step { change, waits })))
    }
}

/// What memory knows as pending may have been registered beside this server; the store looks again.
fn may_wait(state: DeviceState) -> bool {
    matches!(state, DeviceState::Registered | DeviceState::Pending)
}

impl Step {
    fn with(mut self, facts: Curated) -> Self {
        match &mut self.change {
            CurationStep::Register(NewDevice { curated, .. })
            | CurationStep::AddLight { curated, .. }
            | CurationStep::Update { curated, .. } => *curated = facts,
            CurationStep::OpenClaimWindow { .. } => {}
        }
        self
    }
}

impl ImportRow {
    /// Puts what the row says into the facts. Answers what cannot be.
    fn apply(&self, to: &mut Curated) -> Vec<Refused> {
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
        to.latitude = self.latitude.unwrap_or(to.latitude);
        to.longitude = self.longitude.unwrap_or(to.longitude);
        to.wattage_w = self.wattage.unwrap_or(to.wattage_w);
        let mut flaws = flaws_of(to);
        let unread = |column: &str| self.bad_cells.iter().any(|e| e.column == column);
        match (self.latitude, self.longitude) {
            (Some(_), None) if !unread("longitude") => {
                flaws.push(("longitude", "There is a latitude and no longitude.".into()));
            }
            (None, Some(_)) if !unread("latitude") => {
                flaws.push(("latitude", "There is a longitude and no latitude.".into()));
            }
            _ => {}
        }
        flaws
    }
}
