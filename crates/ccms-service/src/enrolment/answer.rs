//! What a configure says, and what it is answered.
use ccms_core::ids::DeviceId;
use ccms_core::time::UtcMillis;
use ccms_core::wire::configure::{ConfigureRequest, ConfigureResponse, DeviceConfig};
use ccms_core::wire::envelope::ErrorCode;
use ccms_store::Reported;

use super::Claimed;
use crate::ccms::Ccms;
use crate::refusal::Refusal;

impl Ccms {
    pub(super) fn configure_response(&self, claimed: Claimed, now: UtcMillis) -> Result<ConfigureResponse, Refusal> {
        let live = self.live().read();
        let device = live.device(claimed.device);
        let light = device.and_then(|d| d.lights.first()).and_then(|no| live.light(*no));
        let Some((device, light)) = device.zip(light) else {
            return Err(Refusal::new(
                ErrorCode::PendingApproval,
                "This device drives no light yet; an operator has to assign one",
            ));
        };
        let (latitude, longitude) = light.record.place();
        let schedule = self.schedule_at(latitude, longitude, now);
        let light_id = light.record.id_text();
        let token = claimed.credentials.as_ref().map(|c| c.token.clone());
        let secret = token.is_some().then(|| self.keys().device_secret(&device.record.id(), device.record.epoch));
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
            device_secret: secret,
        })
    }
}

/// The body may repeat who the device is, but not claim to be another.
pub(super) fn check_identity(id: &DeviceId, request: &ConfigureRequest) -> Result<(), Refusal> {
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

/// What a device says of itself; a list of statuses says nothing of the device, and what was known stays.
pub(super) fn reported_of(r: &ConfigureRequest, known: &Reported) -> Reported {
    let fresh = Reported {
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
    };
    if fresh == Reported::default() { known.clone() } else { fresh }
}
