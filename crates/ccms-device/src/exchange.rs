//! What goes into the machine and what comes out of it.
use ccms_core::time::UtcMillis;

use crate::lamp::Lamp;
use crate::reading::Sensors;
use crate::request::{Outcome, Request, RequestId};
use crate::saved::Change;
use crate::state::State;

#[derive(Debug, Clone)]
pub enum Input {
    /// Time has passed. Give fresh [`Input::Sensors`] first.
    Timeout,
    Response(RequestId, Outcome),
    Sensors(Sensors),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    Send(RequestId, Request),
    Actuate(Lamp),
    /// Write this before doing what comes after it.
    Persist(Change),
    Show(Display),
    State(State),
    /// A 200 covered these readings: they are on the server's disk.
    Delivered(Delivered),
    /// A line for the technician's log.
    Log(String),
}

/// What the device shows on the spot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    pub led: Led,
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Led {
    Green,
    Yellow,
    Red,
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
    StatusDue,
    StatusSend,
    PollDue,
    AckDue,
    LampEdge,
    RequestTimeout,
}
