//! The states of the document's life cycle (§5).
//!
//! ```text
//! POWER_ON → INITIALIZING → CONFIGURING ──200 with credentials──▶ READY ⇄ ERROR (critical fault)
//!                               ▲  └ 3 × 5 min, then for ever        │ ▲    │ ▲
//!                               ├──────── 401, 404 ──────────────────┤ └── OFFLINE (no answer 6 ×, or 500 4 ×)
//!                               │                                    │
//!                 MAINTENANCE ◀─┴── a technician takes the lock ─────┘      any ── power lost, restart ──▶ POWER_OFF
//! ```
//! MAINTENANCE is entered from every state after INITIALIZING and left, when the lock is released, to CONFIGURING or READY.
//! POWER_OFF is final: what comes next is another [`Device::new`](crate::Device::new).

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    PowerOn,
    Initializing,
    Configuring,
    Ready,
    Offline,
    Error,
    Maintenance,
    PowerOff,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::PowerOn,
        Self::Initializing,
        Self::Configuring,
        Self::Ready,
        Self::Offline,
        Self::Error,
        Self::Maintenance,
        Self::PowerOff,
    ];

    /// The document's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PowerOn => "POWER_ON",
            Self::Initializing => "INITIALIZING",
            Self::Configuring => "CONFIGURING",
            Self::Ready => "READY",
            Self::Offline => "OFFLINE",
            Self::Error => "ERROR",
            Self::Maintenance => "MAINTENANCE",
            Self::PowerOff => "POWER_OFF",
        }
    }

    /// Registered, and the server answers, as far as the device knows.
    pub const fn is_online(self) -> bool {
        match self {
            Self::Ready | Self::Error | Self::Maintenance => true,
            Self::PowerOn | Self::Initializing | Self::Configuring | Self::Offline | Self::PowerOff => false,
        }
    }
}
