//! The records a store keeps, one type per table's row, already parsed.
use ccms_core::ids::{DeviceId, DeviceNo, LightId, LightNo, UserId};
use ccms_core::reading::Reading;
use ccms_core::time::UtcMillis;

use crate::Curated;

/// What a person is; what each may do is the service's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Viewer,
    Operator,
    /// Works at the poles: lets controllers in, swaps them, corrects places, tries lamps.
    Technician,
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Technician, Self::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Technician => "technician",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// As [`Role::parse`], with the names in the error.
    pub fn parse_named(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| format!("a role is one of {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewUser {
    pub email: String,
    pub role: Role,
    /// Sees and commands only the lights of this zone.
    pub zone: Option<String>,
    /// PHC string of argon2id.
    pub password_hash: String,
    pub created_at: UtcMillis,
}

#[derive(Debug, Clone, PartialEq)]
pub struct UserRecord {
    pub id: UserId,
    pub email: String,
    pub role: Role,
    pub zone: Option<String>,
    pub password_hash: String,
    pub created_at: UtcMillis,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    pub id: String,
    /// Who is signed in, so that a person's sessions can be ended together.
    pub user_id: Option<UserId>,
    /// JSON, opaque to the store.
    pub data: String,
    pub expires_at: UtcMillis,
}

/// Where a device is in its enrolment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Unknown to the city; it asked to be let in. Has no light.
    Pending,
    /// Known, not yet claimed by a controller.
    Registered,
    /// A controller holds its credentials.
    Claimed,
    /// Its credentials are void.
    Revoked,
}

impl DeviceState {
    pub const ALL: [Self; 4] = [Self::Pending, Self::Registered, Self::Claimed, Self::Revoked];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Registered => "registered",
            Self::Claimed => "claimed",
            Self::Revoked => "revoked",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }
}

/// A controller.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceRecord {
    pub no: DeviceNo,
    pub id: DeviceId,
    pub state: DeviceState,
    /// Grows with every revocation; a token of another epoch is void.
    pub epoch: u32,
    /// The highest generation of token that was presented; an older one is superseded.
    pub token_used_gen: i64,
    /// A configure without proof gets fresh credentials until here.
    pub reclaim_until: Option<UtcMillis>,
    pub created_at: UtcMillis,
    /// First contact claims until here.
    pub claim_until: Option<UtcMillis>,
    pub claimed_at: Option<UtcMillis>,
    /// Unanswered requests to be let in, and when the first and the last came.
    pub attempts: u32,
    pub first_attempt_at: Option<UtcMillis>,
    pub last_attempt_at: Option<UtcMillis>,
    pub reported: Reported,
}

/// What a device says of itself, apart from what people curated; cleaned and capped before it comes here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reported {
    pub device_type: Option<String>,
    pub name: Option<String>,
    pub city: Option<String>,
    pub address: Option<String>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub gsm_imei: Option<String>,
    pub communication_type: Option<String>,
    pub firmware_version: Option<String>,
    pub battery_backup_hours: Option<f64>,
}

/// A light with its curated facts.
#[derive(Debug, Clone, PartialEq)]
pub struct LightRecord {
    pub no: LightNo,
    pub id: LightId,
    /// The controller that drives it now.
    pub device_no: Option<DeviceNo>,
    pub curated: Curated,
    pub created_at: UtcMillis,
}

#[derive(Debug, Clone, PartialEq)]
pub struct NewDevice {
    pub device_id: DeviceId,
    pub light_id: Option<LightId>,
    pub curated: Curated,
    pub claim_until: Option<UtcMillis>,
    pub created_at: UtcMillis,
}

/// An unknown device, or a registered one without an open window, asked to be let in.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingNote {
    pub device_id: DeviceId,
    pub at: UtcMillis,
    pub reported: Reported,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub device: DeviceNo,
    pub at: UtcMillis,
    pub reported: Reported,
}

/// One row of `energy_parameters`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingRow {
    pub light_no: LightNo,
    pub device_no: DeviceNo,
    pub received_at: UtcMillis,
    /// [`Reading::dedupe_key`], kept because it is part of the key. `reading.seq` is not stored beside it: from zero on the
    /// key *is* the message number.
    pub dedupe: i64,
    /// `light_id` inside is `None`: the number says it.
    pub reading: Reading,
}

/// The latest state of one light: its last reading in the order of time, and its device's last contact.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckpointRow {
    pub light_no: LightNo,
    pub last_contact: UtcMillis,
    pub promised_interval_s: u32,
    /// `None` when it only ever made contact without a status.
    pub latest: Option<ReadingRow>,
}

/// Who did what to which thing.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub at: UtcMillis,
    /// An e-mail address, `device IMEI:…`, or `system`.
    pub actor: String,
    /// `command.create`, `device.claim`, `sign_in`, …
    pub action: String,
    /// The light, device or person it was done to.
    pub target: String,
    /// JSON object with the particulars.
    pub detail: serde_json::Value,
}
