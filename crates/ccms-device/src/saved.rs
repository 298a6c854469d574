//! What survives a power cut. The device says what changed; a shell may rewrite the whole [`Saved`] or append the
//! [`Change`]s to a log and replay them with [`Saved::apply`].
use std::collections::VecDeque;

use ccms_core::command::AckStatus;
use ccms_core::ids::CommandId;
use ccms_core::time::UtcMillis;
use ccms_core::wire::ack::AckRequest;
use ccms_core::wire::configure::DeviceConfig;
use serde::{Deserialize, Serialize};

use crate::lamp::Manual;
use crate::reading::{Ring, Sample};

/// Small and precious: credentials, settings, what was done and is not yet acknowledged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Settings {
    pub token: Option<String>,
    pub light_id: Option<String>,
    pub config: Option<DeviceConfig>,
    pub manual: Manual,
    pub acks: Vec<AckRequest>,
    /// The last commands that were acted upon, oldest first.
    pub remembered: VecDeque<Remembered>,
    /// Sequence numbers below this may have been used.
    pub seq_reserved: u32,
    /// The time of the last write: the floor of the clock after a restart.
    pub last_utc: UtcMillis,
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
    pub settings: Settings,
    /// Readings that no 200 has covered yet, oldest first.
    pub readings: Ring,
}

/// One write to flash. Each is atomic: after a power cut it happened or it did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Settings(Box<Settings>),
    ReadingStored(Box<Sample>),
    /// The readings with these sequence numbers are the server's now.
    ReadingsGone(Vec<u32>),
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
        }
    }
}
