//! What people decide about controllers: who waits and is let in or turned away, whose credentials are void, which one takes
//! the place of another. Memory follows what is on disk.
use std::sync::atomic::{AtomicU32, Ordering};

use ccms_core::command::CommandEvent;
use ccms_core::ids::{CommandId, DeviceId, LightId};
use ccms_core::time::UtcMillis;
use ccms_core::view::PendingDevice;
use ccms_store::{Curated, DeviceRecord, DeviceState, NewDevice, StoreResult};
use serde_json::json;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::{MayAdminister, MayCommission};

/// Waiting devices in one list.
const WAITING_MAX: u32 = 500;
/// Unknown devices that are noted for a person; more are told the same and not noted. Anybody can name a device.
const STRANGERS_MAX: u32 = 10_000;
/// A device that waits and was not heard of for so long is forgotten; it is noted again when it comes back.
const FORGOTTEN_AFTER_S: i64 = 7 * 86_400;
/// When many wait, one that asked so seldom is forgotten after so long: a real one comes back every five minutes.
const SELDOM: (u32, i64) = (2, 3_600);
/// Devices forgotten in one transaction: others wait for the writer.
const FORGOTTEN_AT_ONCE: u32 = 500;
/// How long a lost controller may be claimed again once a person allowed it.
const RECLAIM_WINDOW_S: i64 = 86_400;

/// How many unknown devices wait.
#[derive(Debug, Default)]
pub(crate) struct Strangers(AtomicU32);

impl Strangers {
    pub fn new(waiting: u32) -> Self {
        Self(AtomicU32::new(waiting))
    }

    /// Room for one more, if there is any.
    pub fn take(&self) -> bool {
        let more = |n: u32| (n < STRANGERS_MAX).then_some(n + 1);
        self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Whether so many wait that those who asked once or twice make room first.
    fn are_many(&self) -> bool {
        self.0.load(Ordering::Relaxed) > STRANGERS_MAX / 2
    }

    fn are(&self, waiting: u64) {
        self.0.store(u32::try_from(waiting).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    fn give(&self) {
        let _ = self.0.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    }
}

impl Ccms {
    /// Devices that asked to be let in and wait for a person.
    pub async fn waiting_devices(&self, _: MayCommission<'_>) -> Result<Vec<PendingDevice>, ServiceError> {
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

    /// Makes room for strangers that are really there.
    pub async fn forget_strangers(&self) {
        let now = self.now();
        let mut over = vec![(u32::MAX, FORGOTTEN_AFTER_S)];
        over.extend(self.inner().strangers.are_many().then_some(SELDOM));
        for (attempts, after_s) in over {
            let before = now.plus_seconds(-after_s);
            loop {
                match self.store().forget_pending(before, attempts, FORGOTTEN_AT_ONCE).await {
                    Ok((gone, left)) => {
                        // Counted again rather than counted down: others may have decided beside this server.
                        self.inner().strangers.are(left);
                        if gone < u64::from(FORGOTTEN_AT_ONCE) {
                            break;
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%error, "devices that waited in vain were not forgotten");
                        break;
                    }
                }
            }
        }
    }

    /// Lets a device claim its place within the claim window. An unknown one is registered where it says it stands, as is
    /// a revoked one whose light went to another; a revoked one that still has its light gets it back.
    pub async fn approve_device(&self, by: MayCommission<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        let now = self.now();
        let until = now.plus_seconds(self.settings().claim_window_s);
        let audit = self.audit_entry(by.name(), "device.approve", id.as_str(), json!({"until": until}));
        let device = self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        let contact = self.live().read().device(device.no).and_then(|d| d.last_contact());
        let heard = contact.max(device.claimed_at).unwrap_or(device.created_at);
        match device.state {
            DeviceState::Claimed if self.is_silent(device.state, heard, now) => {
                self.release_one(&device).await?;
            }
            DeviceState::Claimed => return Err(invalid("This device is claimed already.")),
            DeviceState::Revoked => {
                let _one_at_a_time = self.enrolment_lane(id).lock().await;
                if let Some(released) = self.store().release_device(id, Some(until), &audit).await? {
                    self.live().write().put_device(released);
                    return Ok(());
                }
                self.register(by.name(), as_reported(device, now)).await?;
            }
            DeviceState::Pending => {
                self.register(by.name(), as_reported(device, now)).await?;
                self.inner().strangers.give();
            }
            DeviceState::Registered => {}
        }
        let _one_at_a_time = self.enrolment_lane(id).lock().await;
        if !self.store().open_claim_window(id, until, &audit).await? {
            return Err(invalid("This device was claimed meanwhile."));
        }
        self.follow(id).await?;
        Ok(())
    }

    /// Turns a device away that waits to be let in. It may be approved later all the same.
    pub async fn reject_device(&self, by: MayCommission<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        let device = self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        match device.state {
            DeviceState::Pending => self.inner().strangers.give(),
            DeviceState::Registered => {}
            DeviceState::Claimed => return Err(invalid("This device is in service. Revoke it instead.")),
            DeviceState::Revoked => return Err(invalid("This device was turned away already.")),
        }
        self.void(by.name(), "device.reject", id).await
    }

    /// Voids a device's credentials at once, whatever it is.
    pub async fn revoke_device(&self, by: MayAdminister<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        self.void(by.name(), "device.revoke", id).await
    }

    async fn void(&self, actor: &str, action: &str, id: &DeviceId) -> Result<(), ServiceError> {
        let now = self.now();
        let _one_at_a_time = self.enrolment_lane(id).lock().await;
        let audit = self.audit_entry(actor, action, id.as_str(), json!({}));
        let Some((device, cancelled)) = self.store().revoke_device(id, now, &audit).await? else {
            return Err(invalid("This device is revoked already."));
        };
        self.drop_commands(&cancelled, now);
        self.live().write().put_device(device);
        Ok(())
    }

    /// Lets a device that lost its credentials have fresh ones without proof, once, within a day.
    pub async fn allow_reclaim(&self, by: MayCommission<'_>, id: &DeviceId) -> Result<(), ServiceError> {
        let until = self.now().plus_seconds(RECLAIM_WINDOW_S);
        let audit = self.audit_entry(by.name(), "device.allow_reclaim", id.as_str(), json!({"until": until}));
        let device = self.store().device(id).await?.ok_or(ServiceError::NotFound)?;
        let _one_at_a_time = self.enrolment_lane(id).lock().await;
        if !self.store().open_reclaim_window(id, until, &audit).await? {
            return Err(invalid("Only a device in service can lose its credentials. Approve this one instead."));
        }
        self.inner().breaker.mended(device.no);
        self.follow(id).await?;
        Ok(())
    }

    /// Puts another controller in the place of one: lights and history stay, credentials go. The new one may claim its
    /// place within the claim window.
    pub async fn swap_device(&self, by: MayCommission<'_>, old: &DeviceId, new: &DeviceId) -> Result<(), ServiceError> {
        if old == new {
            return Err(invalid("A controller cannot be swapped for itself."));
        }
        let now = self.now();
        let until = now.plus_seconds(self.settings().claim_window_s);
        // Neither of them enrols meanwhile.
        let _lanes = self.enrolment_lanes(old, new).await;
        let _turn = self.inner().curating.lock().await;
        let known = self.store().device(new).await?.map(|d| d.state);
        let audit = self.audit_entry(by.name(), "device.swap", old.as_str(), json!({"new": new, "until": until}));
        if self.store().device(old).await?.is_none() {
            return Err(ServiceError::NotFound);
        }
        let Some(swapped) = self.store().swap_device(old, new, now, until, &audit).await? else {
            return Err(invalid("This device drives no light that another could take over."));
        };
        if known == Some(DeviceState::Pending) {
            self.inner().strangers.give();
        }
        self.drop_commands(&swapped.cancelled, now);
        let mut live = self.live().write();
        live.put_device(swapped.old);
        live.put_device(swapped.new);
        swapped.lights.into_iter().for_each(|light| live.put_light(light));
        Ok(())
    }

    /// Registers a device with its light; `actor` is recorded as who did it.
    pub async fn register(&self, actor: &str, new: NewDevice) -> Result<LightId, ServiceError> {
        let _turn = self.inner().curating.lock().await;
        let audit = self.audit_entry(actor, "device.register", new.device_id.as_str(), json!({}));
        let (device, light) = self.store().register_device(new, &audit).await?;
        let id = light.id.clone();
        let mut live = self.live().write();
        live.put_device(device);
        live.put_light(light);
        Ok(id)
    }

    /// Takes into memory what the store has of a device.
    async fn follow(&self, id: &DeviceId) -> StoreResult<()> {
        if let Some(record) = self.store().device(id).await? {
            self.live().write().put_device(record);
        }
        Ok(())
    }

    /// Commands that were cancelled on disk leave memory.
    fn drop_commands(&self, cancelled: &[CommandId], now: UtcMillis) {
        let mut live = self.live().write();
        cancelled.iter().for_each(|id| live.command_changed(id, CommandEvent::Cancelled, now));
    }
}

fn invalid(message: &str) -> ServiceError {
    ServiceError::Invalid { field: "device_id", message: message.into() }
}

/// A device at the place that it reports.
fn as_reported(device: DeviceRecord, now: UtcMillis) -> NewDevice {
    let reported = device.reported;
    NewDevice {
        device_id: device.id,
        light_id: None,
        curated: Curated {
            name: reported.name.unwrap_or_default(),
            address: reported.address.unwrap_or_default(),
            city: reported.city.unwrap_or_default(),
            latitude: reported.latitude.unwrap_or(0.0),
            longitude: reported.longitude.unwrap_or(0.0),
            ..Curated::default()
        },
        claim_until: None,
        created_at: now,
    }
}
