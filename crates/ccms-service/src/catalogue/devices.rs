//! The controllers of the city and the lights that each drives. The database is asked, because the command line registers
//! devices beside a running server; who was seen when comes from memory.
use ccms_core::ids::{DeviceId, DeviceNo, LightId};
use ccms_core::time::UtcMillis;
use ccms_store::{Curated, CurationStep, DeviceRecord, DeviceState, FirmwareReport, LightRecord, NewDevice};
use serde_json::json;

use super::check_curated;
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::{MayCommission, MayView};

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
    /// Devices in the order of their numbers, and the number to go on behind when there are more.
    pub async fn find_devices(
        &self,
        by: MayView<'_>,
        query: &DeviceQuery,
    ) -> Result<(Vec<DeviceView>, Option<u32>), ServiceError> {
        let (devices, lights) = (self.store().devices().await?, self.store().lights().await?);
        let needle = query.q.trim().to_lowercase();
        let driven = Driven::new(&lights);
        let mut found: Vec<DeviceView> = devices
            .into_iter()
            .filter(|d| query.after_no.is_none_or(|after| d.no.0 > after))
            .filter(|d| query.state.is_none_or(|state| d.state == state))
            .filter(|d| by.who().zone().is_none() || driven.of(d.no).any(|l| by.who().sees(l)))
            .map(|d| self.device_view(driven.of(d.no).filter(|l| by.who().sees(l)), d))
            .filter(|d| needle.is_empty() || d.has_words(&needle))
            .take(query.limit.saturating_add(1))
            .collect();
        let more = found.len() > query.limit;
        found.truncate(query.limit);
        for view in &mut found {
            view.firmware = self.store().firmware_report(view.record.no).await?;
        }
        let next = found.last().filter(|_| more).map(|d| d.record.no.0);
        Ok((found, next))
    }

    pub async fn find_device(&self, by: MayView<'_>, id: &DeviceId) -> Result<DeviceView, ServiceError> {
        let device = self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        let lights = self.store().lights_of_device(device.no).await?;
        let seen = lights.iter().filter(|l| by.who().sees(l));
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
        let contact = self.live().read().device(record.no).and_then(|d| d.last_contact);
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

/// Lights by the device that drives them.
struct Driven<'a>(Vec<(u32, &'a LightRecord)>);

impl<'a> Driven<'a> {
    fn new(lights: &'a [LightRecord]) -> Self {
        let mut by_device: Vec<_> = lights.iter().filter_map(|l| Some((l.device_no?.0, l))).collect();
        by_device.sort_by_key(|(device, light)| (*device, light.no));
        Self(by_device)
    }

    fn of(&self, device: DeviceNo) -> impl Iterator<Item = &'a LightRecord> {
        let no = device.0;
        let from = self.0.partition_point(|(device, _)| *device < no);
        self.0[from..].iter().take_while(move |(device, _)| *device == no).map(|(_, light)| *light)
    }
}
