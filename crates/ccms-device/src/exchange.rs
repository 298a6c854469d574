//! What goes into the machine and what comes out of it.
use ccms_core::time::UtcMillis;

use crate::answer::Outcome;
use crate::firmware::Progress;
use crate::lamp::Lamp;
use crate::maintenance::Technician;
use crate::reading::Sensors;
use crate::request::{Request, RequestId};
use crate::saved::Change;
use crate::state::State;

#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed. Give fresh [`Input::Sensors`] first.
    Timeout,
    /// What came of a request, each once. An answer to a request that was given up is ignored.
    Response(RequestId, Outcome),
    Sensors(Sensors),
    /// Somebody at the pole.
    Technician(Technician),
    /// How far an installation of firmware is; the shell installs, the device reports.
    Firmware(Progress),
    /// The supply is gone and what is left in the capacitors is good for a few writes. Drain [`poll`](crate::Device::poll)
    /// and stop; without this input a power cut costs the readings since the last write, at most one while online.
    PowerLost,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Send(RequestId, Request),
    /// Set relay and dimmer.
    Actuate(Lamp),
    /// Write this, whole, before doing what comes after it.
    Persist(Change),
    Show(Display),
    State(State),
    /// A 200 covered these readings: they are on the server's disk.
    Delivered(Delivered),
    /// A line for the technician's log. The device keeps the last ones itself and hands them in.
    Log(String),
    /// Restart the controller, when everything before this is written. The machine is in POWER_OFF and stays there: go on
    /// with a new one, made from flash. The relay stays as it is meanwhile.
    Restart,
}

/// What the device shows on the spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    pub led: Led,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Led {
    /// In order.
    Green,
    /// No connection, or a technician has the lock.
    Yellow,
    /// Not configured, or a critical failure.
    Red,
    Off,
}

/// Readings that a 200 covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    pub light_id: String,
    /// Time and sequence number, as sent.
    pub readings: Vec<(UtcMillis, u32)>,
    /// How many of them the server says it already had.
    pub duplicate: u32,
}

/// Why the device wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    PowerOn,
    ConfigureDue,
    /// A sample is to be taken.
    StatusDue,
    StatusSend,
    SyncDue,
    PollDue,
    AckDue,
    AlertDue,
    FirmwareDue,
    LogsDue,
    HealthDue,
    LampEdge,
    RequestTimeout,
}
