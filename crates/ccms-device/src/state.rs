//! The states of the document's life cycle.
//!
//! ```text
//! POWER_ON → INITIALIZING → CONFIGURING ──200 with credentials──▶ READY ⇄ ERROR (critical fault)
//!                               ▲  └ 3 × 5 min, then for ever          │ ▲
//!                               └──────── 401, 404 ──────────────── OFFLINE (no answer 6 ×, or 500 4 ×)
//! ```
//! MAINTENANCE and POWER_OFF come with the technician's tools.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    PowerOn,
    Initializing,
    Configuring,
    Ready,
    Offline,
    Error,
}

impl State {
    /// The document's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PowerOn => "POWER_ON",
            Self::Initializing => "INITIALIZING",
            Self::Configuring => "CONFIGURING",
            Self::Ready => "READY",
            Self::Offline => "OFFLINE",
            Self::Error => "ERROR",
        }
    }

    /// Registered, and the server answers.
    pub const fn is_online(self) -> bool {
        match self {
            Self::Ready | Self::Error => true,
            Self::PowerOn | Self::Initializing | Self::Configuring | Self::Offline => false,
        }
    }
}
