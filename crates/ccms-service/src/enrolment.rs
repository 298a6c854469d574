//! POST configure: who is let in, and who gets credentials.
//!
//! | the device is | open enrolment | registered enrolment |
//! | --- | --- | --- |
//! | unknown or pending | registered and claimed | noted as pending, 400 |
//! | registered | claimed | claimed inside its claim window, else noted, 400 |
//! | claimed, with proof (a token of its own, expired less than 30 days) | 200, fresh credentials | the same |
//! | claimed, without proof | 200, no credentials, nothing changes | the same |
//! | claimed within 24 h, credentials never used | 200, credentials again | the same |
//! | revoked | 400 | 400 |
//!
//! The last row is for a claim whose answer was lost: the device asks again, and must not be stranded by a lost packet.
//!
//! A city-wide power cut makes every device call this within a minute: for claimed devices it reads memory only.
use ccms_core::ids::{DeviceId, DeviceNo};
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::{ConfigureRequest, ConfigureResponse, DeviceConfig};
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::{Claim, Curated, DeviceRecord, DeviceState, NewDevice, PendingNote, Reported};
use serde_json::json;

use crate::ccms::Ccms;
use crate::refusal::Refusal;
use crate::settings::EnrolmentMode;

/// A claim whose credentials were never used is answered with credentials again for this long.
const UNUSED_CLAIM_S: i64 = 86_400;

/// A device that is let in.
#[derive(Debug)]
pub struct Claimed {
    pub device: DeviceNo,
    /// Only after proof or a first claim.
    pub credentials: Option<Credentials>,
}

#[derive(Debug, Clone)]
pub struct Credentials {
    pub token: String,
    pub expires_at: UtcMillis,
}

impl Ccms {
    /// The documented answer to a configure of `id`, which the path named; `bearer` is the token it came with, if any.
    pub async fn configure(
        &self,
        id: &DeviceId,
        bearer: Option<&str>,
        request: &ConfigureRequest,
    ) -> Result<ConfigureResponse, Refusal> {
        check_identity(id, request)?;
        if request.place_invalid {
            return Err(Refusal::new(ErrorCode::ConfigInvalid, "GPS coordinates invalid or out of service area"));
        }
        let now = self.now();
        let known = self.live().read().device_no(id);
        let claimed = match known {
            Some(no) => self.reconfigure(no, id, bearer, request, now).await?,
            None => self.enrol(id, request, now).await?,
        };
        self.configure_response(claimed, now)
    }

    /// A device that memory knows is claimed or revoked already, or its state is read from the store.
    async fn reconfigure(
        &self,
        no: DeviceNo,
        id: &DeviceId,
        bearer: Option<&str>,
        request: &ConfigureRequest,
        now: UtcMillis,
    ) -> Result<Claimed, Refusal> {
        let known = self.live().read().device(no).map(|d| (d.record.clone(), d.last_contact));
        let Some((device, last_contact)) = known.filter(|(d, _)| d.state == DeviceState::Claimed) else {
            return self.enrol(id, request, now).await;
        };
        let epoch = device.epoch;
        let Some(claims) = bearer.and_then(|t| self.claims_of(t)) else {
            // Using a credential is a contact; without one, the answer to the claim may never have arrived.
            let claimed_ago = device.claimed_at.map_or(i64::MAX, |at| now.since(at));
            if last_contact.is_none() && claimed_ago <= UNUSED_CLAIM_S * 1000 {
                tracing::info!(device = %id, "configure of a claim never used: credentials issued again");
                return Ok(Claimed { device: no, credentials: Some(self.credentials(id, epoch, now)) });
            }
            tracing::info!(device = %id, "configure without proof: answered, nothing issued");
            return Ok(Claimed { device: no, credentials: None });
        };
        if claims.sub != id.as_str() {
            self.audit(
                &format!("device {}", claims.sub),
                "device.mismatch",
                id.as_str(),
                json!({"route": "configure"}),
            )
            .await;
            return Err(Refusal::mismatch("the token belongs to another device"));
        }
        let stale = now.seconds() - claims.exp > limits::SILENCE_LIMIT_S - limits::TOKEN_LIFE_S;
        if claims.ep != epoch || stale {
            tracing::info!(device = %id, "configure with a void token: answered, nothing issued");
            return Ok(Claimed { device: no, credentials: None });
        }
        let fresh = reported_of(request);
        if device.reported != fresh {
            self.store().save_reported(no, &fresh).await?;
        }
        let mut live = self.live().write();
        if let Some(device) = live.device_mut(no) {
            device.record.reported = fresh;
        }
        live.contact(no, now);
        drop(live);
        Ok(Claimed { device: no, credentials: Some(self.credentials(id, epoch, now)) })
    }

    /// A device that has no credentials yet.
    async fn enrol(&self, id: &DeviceId, request: &ConfigureRequest, now: UtcMillis) -> Result<Claimed, Refusal> {
        let _one_at_a_time = self.enrolment_lane(id).lock().await;
        let open = self.settings().enrolment == EnrolmentMode::Open;
        let device = match self.store().device(id).await? {
            Some(d) if d.state == DeviceState::Claimed => return Ok(Claimed { device: d.no, credentials: None }),
            Some(d) if d.state == DeviceState::Revoked => {
                return self.refuse_pending(id, request, now, "was revoked").await;
            }
            Some(d) if d.state == DeviceState::Registered => {
                if !open && d.claim_until.is_none_or(|until| until <= now) {
                    return self.refuse_pending(id, request, now, "is registered").await;
                }
                d
            }
            _ if open => self.register_from_report(id, request, now).await?,
            _ => return self.refuse_pending(id, request, now, "is unknown").await,
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
        let reported = reported_of(request);
        let claim = Claim { device: device.no, at: now, reported: reported.clone() };
        let audit = self.audit_entry(
            &format!("device {}", device.id),
            "device.claim",
            device.id.as_str(),
            json!({"epoch": device.epoch}),
        );
        if !self.store().claim_device(&claim, &audit).await? {
            return Ok(Claimed { device: device.no, credentials: None });
        }
        let lights = self.store().lights_of_device(device.no).await?;
        let credentials = self.credentials(&device.id, device.epoch, now);
        let no = device.no;
        let mut live = self.live().write();
        live.put_device(DeviceRecord { state: DeviceState::Claimed, claimed_at: Some(now), reported, ..device });
        lights.into_iter().for_each(|light| live.put_light(light));
        Ok(Claimed { device: no, credentials: Some(credentials) })
    }

    async fn refuse_pending(
        &self,
        id: &DeviceId,
        request: &ConfigureRequest,
        now: UtcMillis,
        why: &str,
    ) -> Result<Claimed, Refusal> {
        self.store()
            .note_pending(&PendingNote { device_id: id.clone(), at: now, reported: reported_of(request) })
            .await?;
        Err(Refusal::new(ErrorCode::PendingApproval, format!("This device {why}; an operator has to approve it")))
    }

    pub(crate) fn credentials(&self, id: &DeviceId, epoch: u32, now: UtcMillis) -> Credentials {
        let (token, expires_at) = self.keys().issue(id, epoch, now.0, now);
        Credentials { token, expires_at }
    }

    fn configure_response(&self, claimed: Claimed, now: UtcMillis) -> Result<ConfigureResponse, Refusal> {
        let live = self.live().read();
        let light = live.device(claimed.device).and_then(|d| d.lights.first()).and_then(|no| live.light(*no));
        let Some(light) = light else {
            return Err(Refusal::new(
                ErrorCode::PendingApproval,
                "This device drives no light yet; an operator has to assign one",
            ));
        };
        let schedule = self.schedule_at(light.record.curated.latitude, light.record.curated.longitude, now);
        let light_id = light.record.id.to_string();
        let token = claimed.credentials.as_ref().map(|c| c.token.clone());
        Ok(ConfigureResponse {
            status: "success".into(),
            message: ConfigureResponse::MESSAGE.into(),
            light_id: light_id.clone(),
            config: DeviceConfig {
                schedule_enabled: schedule.enabled,
                sunrise_time: schedule.sunrise_time,
                sunset_time: schedule.sunset_time,
                brightness_level: self.settings().brightness_percent,
                auto_dimming: true,
                timezone: Some(self.settings().city.timezone.clone()),
                utc_offset_minutes: Some(self.inner().city_time.utc_offset_minutes(now)),
                light_id: Some(light_id),
                device_token: token.clone(),
                mqtt: None,
            },
            server_timestamp: now,
            device_token: token,
            token_expires_at: claimed.credentials.map(|c| c.expires_at),
            device_secret: None,
        })
    }
}

/// The body may repeat who the device is, but not claim to be another.
fn check_identity(id: &DeviceId, request: &ConfigureRequest) -> Result<(), Refusal> {
    if request.device_id.as_deref().is_some_and(|body| body != id.as_str()) {
        return Err(Refusal::mismatch("device_id in the body differs from the path"));
    }
    match (id.imei(), request.gsm_imei.as_deref()) {
        (Some(path), Some(body)) if path != body => {
            Err(Refusal::mismatch("gsm_imei in the body differs from the path"))
        }
        _ => Ok(()),
    }
}

fn reported_of(r: &ConfigureRequest) -> Reported {
    Reported {
        device_type: r.device_type.clone(),
        name: r.name.clone(),
        city: r.city.clone(),
        address: r.address.clone(),
        latitude: r.latitude,
        longitude: r.longitude,
        gsm_imei: r.gsm_imei.clone(),
        communication_type: r.communication_type.clone(),
        firmware_version: r.firmware_version.clone(),
        battery_backup_hours: r.battery_backup_hours,
    }
}
