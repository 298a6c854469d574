//! The controllers of the city and the lights that each drives. The database is asked, page by page, because the command line
//! registers devices beside a running server, and those that nobody let in yet are nowhere else; what they drive and who was
//! seen when comes from memory.
use ccms_core::ids::{DeviceId, DeviceNo, LightId};
use ccms_core::time::UtcMillis;
use ccms_store::{
    Curated, CurationStep, DeviceRecord, DeviceState, FirmwareReport, LightRecord, NewDevice, StoreResult,
};
use serde_json::json;

use super::check_curated;
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::{MayCommission, MayView};

/// Devices that are read at a time.
const STEP: usize = 500;
/// Devices that are looked through for one page.
const REACH: usize = 10_000;

/// A controller with what it drives.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceView {
    pub record: DeviceRecord,
    /// In the order of their numbers.
    pub light_ids: Vec<LightId>,
    /// Its last contact with its credentials; of one that asks to be let in, its last request.
    pub last_seen: Option<UtcMillis>,
    pub firmware: Option<FirmwareReport>,
}

/// Which devices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DeviceQuery {
    pub state: Option<DeviceState>,
    /// In the device's id, its lights' ids or its reported name, without regard to case.
    pub q: String,
    pub after_no: Option<u32>,
    pub limit: usize,
}

/// A new controller and the light that it is to drive.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPlace {
    pub device_id: DeviceId,
    pub light_id: Option<LightId>,
    pub curated: Curated,
    /// Opens the claim window for this long at once.
    pub claim_hours: Option<u32>,
}

impl Ccms {
    /// Devices in the order of their numbers, and the number to go on behind when there may be more. Looks through a bounded
    /// number of them, so that a page may be short, even empty, and yet not the last.
    pub async fn find_devices(
        &self,
        by: MayView<'_>,
        query: &DeviceQuery,
    ) -> Result<(Vec<DeviceView>, Option<u32>), ServiceError> {
        let needle = query.q.trim().to_lowercase();
        let everything = needle.is_empty() && by.who().zone().is_none();
        // When every one is wanted, one more than the page shows whether there is another page.
        let step = if everything { query.limit.saturating_add(1).min(STEP) } else { STEP };
        let (mut found, mut after, mut looked) = (Vec::new(), query.after_no.unwrap_or(0), 0);
        while found.len() <= query.limit && looked < REACH {
            let page = self.store().devices_after(DeviceNo(after), query.state, step as u32).await?;
            let last = page.len() < step;
            looked += page.len();
            for device in page {
                after = device.no.0;
                let lights = self.driven_by(&device).await?;
                if by.who().zone().is_some() && !lights.iter().any(|l| by.who().sees(l)) {
                    continue;
                }
                let view = self.device_view(lights.iter().filter(|l| by.who().sees(*l)), device);
                if needle.is_empty() || view.has_words(&needle) {
                    found.push(view);
                }
            }
            if last {
                after = 0;
                break;
            }
        }
        let next = if found.len() > query.limit {
            found.truncate(query.limit);
            found.last().map(|d| d.record.no.0)
        } else {
            Some(after).filter(|after| *after > 0)
        };
        for view in &mut found {
            view.firmware = self.store().firmware_report(view.record.no).await?;
        }
        Ok((found, next))
    }

    /// The lights that a device drives. Memory knows, unless the device was let in beside this server a moment ago.
    async fn driven_by(&self, device: &DeviceRecord) -> StoreResult<Vec<LightRecord>> {
        let known: Vec<LightRecord> = {
            let live = self.live().read();
            let lights = live.device(device.no).map(|d| d.lights.as_slice()).unwrap_or_default();
            lights.iter().filter_map(|no| live.light(*no)).map(|l| l.record.record()).collect()
        };
        let drives = matches!(device.state, DeviceState::Registered | DeviceState::Claimed);
        if known.is_empty() && drives { self.store().lights_of_device(device.no).await } else { Ok(known) }
    }

    pub async fn find_device(&self, by: MayView<'_>, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        let device = self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        let lights = self.store().lights_of_device(device.no).await?;
        let seen = lights.iter().filter(|l| by.who().sees(*l));
        let mut view = self.device_view(seen, device);
        view.firmware = self.store().firmware_report(view.record.no).await?;
        if by.who().zone().is_some() && view.light_ids.is_empty() { Err(ServiceError::NotFound) } else { Ok(view) }
    }

    /// Registers a device with its light.
    pub async fn place_device(&self, by: MayCommission<'_>, new: NewPlace) -> Result<DeviceView, ServiceError> {
        check_curated(&new.curated)?;
        let view = by.who().may_view()?;
        let _turn = self.inner().curating.lock().await;
        let now = self.now();
        let id = new.device_id.clone();
        let audit =
            self.audit_entry(by.name(), "device.register", id.as_str(), json!({"claim_hours": new.claim_hours}));
        let step = CurationStep::Register(NewDevice {
            device_id: new.device_id,
            light_id: new.light_id,
            curated: new.curated,
            claim_until: new.claim_hours.map(|hours| now.plus_seconds(i64::from(hours) * 3600)),
            created_at: now,
        });
        self.curate(&[step], &[audit]).await?;
        self.find_device(view, &id).await
    }

    fn device_view<'a>(&self, lights: impl Iterator<Item = &'a LightRecord>, record: DeviceRecord) -> DeviceView {
        let light_ids = lights.map(|l| l.id.clone()).collect();
        let contact = self.live().read().device(record.no).and_then(|d| d.last_contact());
        let last_seen = contact.max(record.last_attempt_at);
        DeviceView { record, light_ids, last_seen, firmware: None }
    }
}

impl DeviceView {
    fn has_words(&self, needle: &str) -> bool {
        let has = |text: &str| text.to_lowercase().contains(needle);
        has(self.record.id.as_str())
            || self.light_ids.iter().any(|l| has(l.as_str()))
            || self.record.reported.name.as_deref().is_some_and(has)
    }
}
