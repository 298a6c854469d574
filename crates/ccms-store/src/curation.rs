//! What people say of lights: name, place, wiring. Apart from what devices report of themselves.
use async_trait::async_trait;
use ccms_core::ids::{DeviceId, LightId, LightNo};
use ccms_core::time::UtcMillis;

use crate::{AuditEntry, DeviceRecord, LightRecord, NewDevice, StoreResult};

#[async_trait]
pub trait Curation {
    /// Applies every step in one transaction, with `audit`. Answers, per step, the device and the light that the step
    /// named, as they are then. A step that cannot be taken undoes all.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] when an id is taken, a light to update is gone, or a device to assign is unknown
    /// (also when it is pending: one that only asked to be let in has no light).
    async fn curate(&self, steps: &[CurationStep], audit: &[AuditEntry]) -> StoreResult<Vec<CurationDone>>;
}

#[derive(Debug, Clone, PartialEq)]
pub enum CurationStep {
    /// A new controller with its light, as [`crate::Store::register_device`].
    Register(NewDevice),
    /// A light without a controller, or one more light of a known one.
    AddLight { light_id: Option<LightId>, device_id: Option<DeviceId>, curated: Curated, created_at: UtcMillis },
    /// Replaces the curated facts.
    Update { light: LightNo, curated: Curated },
    /// Opens the claim window of a device, as [`crate::Store::open_claim_window`]. One that is not registered (it was claimed
    /// meanwhile) stays as it is.
    OpenClaimWindow { device_id: DeviceId, until: UtcMillis },
}

/// What a step left behind: the device, and the light.
pub type CurationDone = (Option<DeviceRecord>, Option<LightRecord>);

/// The facts of one light that people keep.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curated {
    pub name: String,
    pub address: String,
    pub city: String,
    pub zone: String,
    pub ward: String,
    pub feeder: String,
    pub pole: String,
    /// Rated power of the lamp, in watts.
    pub wattage_w: Option<f64>,
    /// Degrees, WGS 84. `0, 0` means that nobody said where it stands.
    pub latitude: f64,
    pub longitude: f64,
}

impl Curated {
    /// Degrees × 10⁷, as the map carries them.
    pub fn place_e7(&self) -> (i32, i32) {
        let e7 = |degrees: f64| (degrees * 1e7).round() as i32;
        (e7(self.latitude), e7(self.longitude))
    }
}
