//! Several server processes on one database: who runs the background jobs, and how each learns what another one changed.
//! An engine that serves one process only ([`crate::Store::is_shared`] is false) gives the lease to whoever asks and has
//! nothing to tell.
use async_trait::async_trait;
use ccms_core::command::Command;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use tokio::sync::mpsc;

use crate::{DeviceRecord, LightRecord, StoreResult};

#[async_trait]
pub trait Sharing {
    /// Takes the one lease, or keeps it, for so many milliseconds by the database's clock. True when it is this handle's
    /// until then: of all handles on a database at most one hears true. It is free when its time is over.
    async fn hold_lease(&self, for_ms: u32) -> StoreResult<bool>;
    /// Gives the lease back before its time, if it is this handle's.
    async fn leave_lease(&self) -> StoreResult<()>;

    /// What is changed in the database from here on. [`Notice::Everything`] comes first, and again whenever something may
    /// have been missed. Changes of commands and alerts by this very handle are left out: who made them knows. Those of
    /// devices and lights are not, because several tasks write them and the last notice brings what the last one wrote.
    async fn notices(&self) -> StoreResult<Notices>;
    /// Tells the other processes when devices were last heard of. Kept nowhere. It is also how this handle notices that it
    /// hears nothing any more, so it is called again and again, with nothing to tell if need be.
    async fn tell_contacts(&self, heard: &[(DeviceNo, UtcMillis)]) -> StoreResult<()>;

    /// These devices, by number; one that is not there is left out.
    async fn devices_of(&self, numbers: &[DeviceNo]) -> StoreResult<Vec<DeviceRecord>>;
    /// These lights, by number; one that is not there is left out.
    async fn lights_of(&self, numbers: &[LightNo]) -> StoreResult<Vec<LightRecord>>;
    /// Commands of these devices whose state is live, oldest first.
    async fn live_commands_of(&self, devices: &[DeviceNo]) -> StoreResult<Vec<Command>>;
}

/// Where notices arrive.
pub type Notices = mpsc::Receiver<Notice>;

/// What another process changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Something, or more than a notice can name.
    Everything,
    /// Commands of these devices; `None`: of any.
    Commands(Option<Vec<DeviceNo>>),
    /// `None`: any.
    Devices(Option<Vec<DeviceNo>>),
    Lights(Option<Vec<LightNo>>),
    /// More than a notice can name are left out: alerts are asked of the store, a notice only tells those who watch.
    Alerts(Vec<i64>),
    /// When devices were last heard of.
    Contacts(Vec<(DeviceNo, UtcMillis)>),
}
