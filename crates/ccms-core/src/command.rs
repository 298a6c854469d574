//! What an operator can ask of a light, and the life of such a request.
//!
//! ```text
//! queued ──poll──▶ delivered ──ack──▶ executed | failed | rejected
//!    │                 │  └──ack without a token──▶ unverified ──status agrees──▶ executed
//!    └───────┬─────────┘
//!            ├── a newer one of the same type ──▶ superseded
//!            ├── its time is over ──▶ expired          └── the operator ──▶ cancelled
//! ```
//! At most one command per (light, type) is alive: a newer one supersedes the older. An expired one is never handed out.
use serde::{Deserialize, Serialize};

use crate::ids::{CommandId, DeviceNo, LightNo};
use crate::limits;
use crate::reading::{PowerState, Reading};
use crate::schedule::Schedule;
use crate::time::UtcMillis;

/// The document's `command_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandType {
    PowerControl,
    BrightnessControl,
    ScheduleUpdate,
    /// Addition: the document names a remote reset and shows none.
    DeviceReset,
}

impl CommandType {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PowerControl => "power_control",
            Self::BrightnessControl => "brightness_control",
            Self::ScheduleUpdate => "schedule_update",
            Self::DeviceReset => "device_reset",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    Power(PowerState),
    /// 0 to 100 %.
    Brightness(u8),
    Schedule(Schedule),
    /// Restart the controller. It has no parameter; stored as the text `"reset"`.
    Reset,
}

impl CommandKind {
    pub const fn command_type(&self) -> CommandType {
        match self {
            Self::Power(_) => CommandType::PowerControl,
            Self::Brightness(_) => CommandType::BrightnessControl,
            Self::Schedule(_) => CommandType::ScheduleUpdate,
            Self::Reset => CommandType::DeviceReset,
        }
    }

    /// How long such a command stays worth executing, in seconds.
    pub const fn default_life_s(&self) -> i64 {
        match self {
            Self::Power(_) | Self::Brightness(_) | Self::Reset => limits::COMMAND_LIFE_S,
            Self::Schedule(_) => limits::SCHEDULE_COMMAND_LIFE_S,
        }
    }

    /// Whether a status shows that this was done.
    pub fn agrees_with(&self, reading: &Reading) -> bool {
        match self {
            Self::Power(state) => reading.power_state == Some(*state),
            Self::Brightness(percent) => reading.brightness_percent == Some(*percent),
            // A status shows neither a schedule nor whether the controller was restarted because of us.
            Self::Schedule(_) | Self::Reset => false,
        }
    }
}

/// Order among types, and how soon the device should poll again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    High,
    Normal,
    Low,
}

impl Priority {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::High, Self::Normal, Self::Low].into_iter().find(|p| p.as_str() == text)
    }
}

/// Where a command is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CommandState {
    Queued,
    Delivered,
    /// Acknowledged without a token: believed when an authenticated status agrees.
    Unverified,
    Executed,
    Failed,
    Rejected,
    Expired,
    Superseded,
    Cancelled,
}

impl CommandState {
    pub const ALL: [Self; 9] = [
        Self::Queued,
        Self::Delivered,
        Self::Unverified,
        Self::Executed,
        Self::Failed,
        Self::Rejected,
        Self::Expired,
        Self::Superseded,
        Self::Cancelled,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delivered => "delivered",
            Self::Unverified => "unverified",
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == text)
    }

    /// Still able to change.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Queued | Self::Delivered | Self::Unverified)
    }

    /// Still to be handed to the device.
    pub const fn is_pending(self) -> bool {
        matches!(self, Self::Queued | Self::Delivered)
    }
}

/// What a device says became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AckStatus {
    Executed,
    Failed,
    Rejected,
    Expired,
}

impl AckStatus {
    pub const fn as_str(self) -> &'static str {
        self.state().as_str()
    }

    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Executed, Self::Failed, Self::Rejected, Self::Expired];
        all.into_iter().find(|s| s.as_str().eq_ignore_ascii_case(text))
    }

    pub const fn state(self) -> CommandState {
        match self {
            Self::Executed => CommandState::Executed,
            Self::Failed => CommandState::Failed,
            Self::Rejected => CommandState::Rejected,
            Self::Expired => CommandState::Expired,
        }
    }
}

/// A step in a command's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEvent {
    Delivered,
    /// `verified`: the acknowledgement carried the device's token.
    Acknowledged {
        status: AckStatus,
        verified: bool,
    },
    /// An authenticated status shows the asked-for state.
    Confirmed,
    Superseded,
    Expired,
    Cancelled,
}

impl CommandState {
    /// The state after `event`, or `None` where the event changes nothing: a repeated acknowledgement has no second effect,
    /// and what is over stays over.
    pub const fn after(self, event: CommandEvent) -> Option<Self> {
        use CommandEvent as E;
        match (self, event) {
            (Self::Queued, E::Delivered) => Some(Self::Delivered),
            // A poll's answer may overtake its own record, so an acknowledgement may find the command still queued.
            (Self::Queued | Self::Delivered | Self::Unverified, E::Acknowledged { status, verified: true }) => {
                Some(status.state())
            }
            (Self::Delivered, E::Acknowledged { verified: false, .. }) => Some(Self::Unverified),
            (Self::Unverified, E::Confirmed) => Some(Self::Executed),
            (Self::Queued | Self::Delivered | Self::Unverified, E::Superseded) => Some(Self::Superseded),
            (Self::Queued | Self::Delivered | Self::Unverified, E::Expired) => Some(Self::Expired),
            (Self::Queued | Self::Delivered | Self::Unverified, E::Cancelled) => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// A command as the server holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    pub id: CommandId,
    pub light_no: LightNo,
    pub device_no: DeviceNo,
    pub kind: CommandKind,
    pub priority: Priority,
    pub state: CommandState,
    /// The e-mail address of who asked, or the name of the rule that did.
    pub requested_by: String,
    /// Why, in the asker's words.
    pub reason: Option<String>,
    pub requested_at: UtcMillis,
    pub expires_at: UtcMillis,
    /// First hand-over to the device.
    pub delivered_at: Option<UtcMillis>,
    /// An acknowledgement without proof came, by our clock.
    pub unverified_at: Option<UtcMillis>,
    /// When the state became final, by our clock.
    pub finished_at: Option<UtcMillis>,
    /// The device's own time of execution, whatever its clock says.
    pub executed_at: Option<UtcMillis>,
    /// What the device said of the result, or why it is over; cleaned.
    pub detail: Option<String>,
}

impl Command {
    pub fn is_expired(&self, now: UtcMillis) -> bool {
        now >= self.expires_at
    }

    /// Order of execution: priority first, then age.
    pub fn execution_order(&self) -> (Priority, UtcMillis) {
        (self.priority, self.requested_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeOfDay;

    const EVENTS: [CommandEvent; 7] = [
        CommandEvent::Delivered,
        CommandEvent::Acknowledged { status: AckStatus::Executed, verified: true },
        CommandEvent::Acknowledged { status: AckStatus::Failed, verified: false },
        CommandEvent::Confirmed,
        CommandEvent::Superseded,
        CommandEvent::Expired,
        CommandEvent::Cancelled,
    ];

    #[test]
    fn what_is_over_stays_over() {
        for state in CommandState::ALL.into_iter().filter(|s| !s.is_live()) {
            for event in EVENTS {
                assert_eq!(state.after(event), None, "{state:?} {event:?}");
            }
        }
    }

    #[test]
    fn every_live_command_can_end() {
        for state in CommandState::ALL.into_iter().filter(|s| s.is_live()) {
            assert_eq!(state.after(CommandEvent::Expired), Some(CommandState::Expired));
            assert_eq!(state.after(EVENTS[1]), Some(CommandState::Executed));
        }
    }

    #[test]
    fn an_unverified_ack_needs_delivery_and_an_agreeing_status() {
        let ack = CommandEvent::Acknowledged { status: AckStatus::Executed, verified: false };
        assert_eq!(CommandState::Queued.after(ack), None);
        assert_eq!(CommandState::Delivered.after(ack), Some(CommandState::Unverified));
        assert_eq!(CommandState::Unverified.after(CommandEvent::Confirmed), Some(CommandState::Executed));
        let on = CommandKind::Power(PowerState::On);
        assert!(on.agrees_with(&Reading { power_state: Some(PowerState::On), ..Reading::default() }));
        assert!(!on.agrees_with(&Reading::default()));
    }

    /// Stores keep a kind as this text.
    #[test]
    fn kinds_are_written_as_they_always_were() {
        let night = Schedule { enabled: true, sunrise_time: TimeOfDay::default(), sunset_time: TimeOfDay::default() };
        for (kind, text) in [
            (CommandKind::Power(PowerState::Off), r#"{"power":"off"}"#),
            (CommandKind::Brightness(40), r#"{"brightness":40}"#),
            (
                CommandKind::Schedule(night),
                r#"{"schedule":{"enabled":true,"sunrise_time":"00:00:00","sunset_time":"00:00:00"}}"#,
            ),
            (CommandKind::Reset, r#""reset""#),
        ] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), text);
            assert_eq!(serde_json::from_str::<CommandKind>(text).unwrap(), kind);
            let named = serde_json::to_value(kind.command_type()).unwrap();
            assert_eq!(named, kind.command_type().as_str(), "both ways of naming a type agree");
        }
        assert_eq!(CommandKind::Reset.default_life_s(), 900);
    }

    #[test]
    fn names_round_trip() {
        for s in CommandState::ALL {
            assert_eq!(CommandState::parse(s.as_str()), Some(s));
        }
        assert_eq!(AckStatus::parse("executed"), Some(AckStatus::Executed));
        assert_eq!(AckStatus::parse("Executed"), Some(AckStatus::Executed));
        assert_eq!(AckStatus::parse("done"), None);
        assert_eq!(Priority::parse("low"), Some(Priority::Low));
    }
}
