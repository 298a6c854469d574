//! What survives a power cut. The device says what changed; a shell may rewrite the whole [`Saved`] or append the
//! [`Change`]s to a log and replay them with [`Saved::apply`].
//!
//! Flash outlives firmware, so it is read leniently: what is missing has its default, what is unknown is passed over, and
//! what is damaged or of another shape costs itself only. A schedule that cannot be read must never cost the token, or the
//! device would stand before the server as a stranger.
use std::collections::VecDeque;

use ccms_core::command::AckStatus;
use ccms_core::ids::CommandId;
use ccms_core::limits::{ACKS_KEPT, ALERTS_KEPT, COMMAND_IDS_REMEMBERED};
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::AckRequest;
use ccms_core::wire::alert::AlertRequest;
use ccms_core::wire::configure::DeviceConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::lamp::Manual;
use crate::maintenance::Lock;
use crate::reading::{Ring, Sample};

/// Small and precious: credentials, settings, what was done and is not yet acknowledged. One write holds all of it, so that
/// a command's id, its effect and its acknowledgement are there together or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Settings {
    #[serde(deserialize_with = "lenient")]
    pub token: Option<String>,
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<UtcMillis>,
    /// The key of `X-Device-Signature`, as it was delivered.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub device_secret: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub light_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub config: Option<DeviceConfig>,
    #[serde(deserialize_with = "lenient")]
    pub manual: Manual,
    /// At most [`ACKS_KEPT`].
    #[serde(deserialize_with = "lenient_items")]
    pub acks: Vec<AckRequest>,
    /// The last [`COMMAND_IDS_REMEMBERED`] commands that were acted upon, oldest first.
    #[serde(deserialize_with = "lenient_items")]
    pub remembered: VecDeque<Remembered>,
    /// Sequence numbers below this may have been used.
    #[serde(deserialize_with = "lenient")]
    pub seq_reserved: u32,
    /// The time of the last write: the floor of the clock after a restart.
    #[serde(deserialize_with = "lenient")]
    pub last_utc: UtcMillis,
    /// The firmware version that the server was told of.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub firmware_reported: Option<String>,
    /// A technician has the lock.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Lock>,
    /// The last restart on command.
    #[serde(deserialize_with = "lenient", skip_serializing_if = "Option::is_none")]
    pub last_reset: Option<UtcMillis>,
}

/// A command that was acted upon, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    pub id: CommandId,
    pub status: AckStatus,
    pub at: UtcMillis,
}

/// The flash of one device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Saved {
    #[serde(deserialize_with = "lenient")]
    pub settings: Settings,
    /// Readings that no 200 has covered yet, oldest first.
    #[serde(deserialize_with = "lenient_ring")]
    pub readings: Ring,
    /// Alerts that no 200 has covered yet, at most [`ALERTS_KEPT`], oldest first.
    #[serde(deserialize_with = "lenient_items", skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<AlertRequest>,
}

/// One write to flash. Each is atomic: after a power cut it happened or it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Settings(Box<Settings>),
    ReadingStored(Box<Sample>),
    /// The readings with these sequence numbers are the server's now.
    ReadingsGone(Vec<u32>),
    /// These readings were dated by a clock that did not know the time, and it is that much later.
    ReadingsShifted {
        seqs: Vec<u32>,
        seconds: i64,
    },
    /// The whole store of alerts.
    Alerts(Vec<AlertRequest>),
}

impl Saved {
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Settings(settings) => self.settings = *settings,
            Change::ReadingStored(sample) => {
                self.readings.push(*sample);
            }
            Change::ReadingsGone(seqs) => {
                self.readings.remove(&seqs);
            }
            Change::ReadingsShifted { seqs, seconds } => self.readings.shift(&seqs, seconds),
            Change::Alerts(alerts) => self.alerts = alerts,
        }
    }

    /// What was written by a firmware with larger stores is cut to ours, the newest kept.
    pub(crate) fn bounded(mut self) -> Self {
        let over = |len: usize, most: usize| len.saturating_sub(most);
        let settings = &mut self.settings;
        settings.acks.drain(..over(settings.acks.len(), ACKS_KEPT));
        settings.remembered.drain(..over(settings.remembered.len(), COMMAND_IDS_REMEMBERED));
        self.alerts.drain(..over(self.alerts.len(), ALERTS_KEPT));
        self
    }
}

/// What cannot be read is as if it were not there.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(d: D) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(d)?).unwrap_or_default())
}

/// The same, item by item.
fn lenient_items<'de, D, T, C>(d: D) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
    C: FromIterator<T>,
{
    let items = match Value::deserialize(d)? {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    Ok(items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect())
}

fn lenient_ring<'de, D: Deserializer<'de>>(d: D) -> Result<Ring, D::Error> {
    let mut ring = Ring::default();
    lenient_items::<D, Sample, Vec<Sample>>(d)?.into_iter().for_each(|sample| drop(ring.push(sample)));
    Ok(ring)
}
