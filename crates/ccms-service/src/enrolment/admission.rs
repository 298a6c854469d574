//! A device without credentials: who waits, who claims.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::{Claim, Curated, DeviceRecord, DeviceState, NewDevice, PendingNote, Reported};
use serde_json::json;

use super::answer::reported_of;
use super::{Claimed, claimed_at};
use crate::ccms::Ccms;
use crate::proof::{Evidence, Signed};
use crate::refusal::Refusal;
use crate::settings::EnrolmentMode;

impl Ccms {
    /// A device that has no credentials yet.
    pub(super) async fn enrol(
        &self,
        id: &DeviceId,
        evidence: &Evidence<'_>,
        request: &ConfigureRequest,
        now: UtcMillis,
    ) -> Result<Claimed, Refusal> {
        let _one_at_a_time = self.enrolment_lane(id).lock().await;
        let open = self.settings().enrolment == EnrolmentMode::Open;
        let device = match self.store().device(id).await? {
            Some(d) if d.state == DeviceState::Claimed => {
                // Memory did not know: the claim reached the disk, its answer nobody. From here on it does.
                let (no, lights) = (d.no, self.store().lights_of_device(d.no).await?);
                let mut live = self.live().write();
                live.put_device(d);
                lights.into_iter().for_each(|light| live.put_light(light));
                return Ok(Claimed::without(no));
            }
            Some(d) if d.state == DeviceState::Revoked => {
                return self.refuse_pending(id, request, now, "was revoked").await;
            }
            Some(d) if d.state == DeviceState::Registered => {
                let first = d.token_used_gen == 0;
                let welcome = first && (open || self.signed(id, d.epoch, evidence) == Signed::ByFactory);
                if !welcome && d.claim_until.is_none_or(|until| until <= now) {
                    return self.refuse_pending(id, request, now, "is registered").await;
                }
                d
            }
            _ if open => self.register_from_report(id, request, now).await?,
            Some(_) => return self.refuse_pending(id, request, now, "is unknown").await,
            None if self.inner().strangers.take() => return self.refuse_pending(id, request, now, "is unknown").await,
            None => {
                tracing::warn!(device = %id, "too many unknown devices wait already; this one is not noted");
                return Err(pending("is unknown"));
            }
        };
        self.claim(device, request, now).await
    }

    async fn register_from_report(
        &self,
        id: &DeviceId,
        request: &ConfigureRequest,
        now: UtcMillis,
    ) -> Result<DeviceRecord, Refusal> {
        let (latitude, longitude) = request.place().unwrap_or((0.0, 0.0));
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let new = NewDevice {
            device_id: id.clone(),
            light_id: None,
            curated: Curated {
                name: text(&request.name),
                address: text(&request.address),
                city: text(&request.city),
                latitude,
                longitude,
                ..Curated::default()
            },
            claim_until: None,
            created_at: now,
        };
        let audit = self.audit_entry("system", "device.register", id.as_str(), json!({"enrolment": "open"}));
        let (device, _) = self.store().register_device(new, &audit).await?;
        Ok(device)
    }

    async fn claim(
        &self,
        device: DeviceRecord,
        request: &ConfigureRequest,
        now: UtcMillis,
    ) -> Result<Claimed, Refusal> {
        let reported = reported_of(request, &device.reported);
        let at = claimed_at(&device, now);
        let claim = Claim { device: device.no, at, reported: reported.clone() };
        let particulars = json!({"epoch": device.epoch, "gps_fix": request.place().is_some()});
        let audit = self.audit_entry(&format!("device {}", device.id), "device.claim", device.id.as_str(), particulars);
        if !self.store().claim_device(&claim, &audit).await? {
            return Ok(Claimed::without(device.no));
        }
        let lights = self.store().lights_of_device(device.no).await?;
        let (no, epoch) = (device.no, device.epoch);
        {
            let mut live = self.live().write();
            live.put_device(DeviceRecord {
                state: DeviceState::Claimed,
                claimed_at: Some(at),
                claim_until: None,
                attempts: 0,
                first_attempt_at: None,
                last_attempt_at: None,
                reported,
                ..device
            });
            lights.into_iter().for_each(|light| live.put_light(light));
        }
        Ok(Claimed { device: no, credentials: self.credentials(no, epoch, now) })
    }

    async fn refuse_pending(
        &self,
        id: &DeviceId,
        request: &ConfigureRequest,
        now: UtcMillis,
        why: &str,
    ) -> Result<Claimed, Refusal> {
        let reported = reported_of(request, &Reported::default());
        self.inner().knocks.write(PendingNote { device_id: id.clone(), at: now, reported }).await?;
        Err(pending(why))
    }
}

fn pending(why: &str) -> Refusal {
    Refusal::new(ErrorCode::PendingApproval, format!("This device {why}; an operator has to approve it"))
}
