//! Letting devices in: who waits, and what a person's approval does.
use ccms_core::ids::{DeviceId, LightId};
use ccms_core::view::PendingDevice;
use ccms_store::{DeviceState, NewDevice};
use serde_json::json;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::people::MayCommand;

/// Waiting devices in one list.
const WAITING_MAX: u32 = 500;

impl Ccms {
    /// Devices that asked to be let in and wait for a person.
    pub async fn waiting_devices(&self, _: MayCommand<'_>) -> Result<Vec<PendingDevice>, ServiceError> {
        let waiting = self.store().waiting_devices(WAITING_MAX).await?;
        Ok(waiting
            .into_iter()
            .map(|d| PendingDevice {
                first_seen: d.first_attempt_at.unwrap_or(d.created_at),
                last_seen: d.last_attempt_at.unwrap_or(d.created_at),
                attempts: d.attempts,
                reported_name: d.reported.name.unwrap_or_default(),
                latitude: d.reported.latitude,
                longitude: d.reported.longitude,
                registered: d.state == DeviceState::Registered,
                device_id: d.id,
            })
            .collect())
    }

    /// Lets a waiting device claim its place within the claim window; an unknown one is registered where it says it stands.
    pub async fn approve_device(&self, by: MayCommand<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        let email = by.person().email.as_str();
        let device = self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        if device.state == DeviceState::Pending {
            let reported = device.reported;
            let new = NewDevice {
                device_id: id.clone(),
                light_id: None,
                name: reported.name.unwrap_or_default(),
                address: reported.address.unwrap_or_default(),
                city: reported.city.unwrap_or_default(),
                latitude: reported.latitude.unwrap_or(0.0),
                longitude: reported.longitude.unwrap_or(0.0),
                claim_until: None,
                created_at: self.now(),
            };
            self.register(email, new).await?;
        }
        let until = self.now().plus_seconds(self.settings().claim_window_s);
        let audit = self.audit_entry(email, "device.approve", id.as_str(), json!({"until": until}));
        if self.store().open_claim_window(id, until, &audit).await? {
            Ok(())
        } else {
            Err(ServiceError::Invalid { field: "device_id", message: "This device is claimed already.".into() })
        }
    }

    /// Registers a device with its light; `actor` is recorded as who did it.
    pub async fn register(&self, actor: &str, new: NewDevice) -> Result<LightId, ServiceError> {
        let audit = self.audit_entry(actor, "device.register", new.device_id.as_str(), json!({}));
        let (_, light) = self.store().register_device(new, &audit).await?;
        Ok(light.id)
    }
}
