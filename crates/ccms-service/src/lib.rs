//! Every use case of CCMS, once. The device API, the screen and later MQTT and the REST API call the same methods of one
//! handle, [`Ccms`]; nothing else touches the store or the live state.
//!
//! - [`clock`]     the only place that reads the time, and [`chance`] the only one that asks for randomness
//! - [`settings`]  what a city can set
//! - [`keys`]      the master key and the device tokens derived from it
//! - [`people`]    who signs in, and the proofs of what they may do
//! - [`refusal`]   what a device is told when it is not served, and [`error`] what a person is told
//! - `enrolment`   POST configure: pending, claim, re-configure
//! - [`api_keys`]  keys with which other systems act for the city
//! - [`catalogue`] lights and devices as other systems read, correct, import and export them
//! - [`history`]   readings of one light, and what quarters of an hour and days came to
//! - `approval`    who waits to be let in, and letting them in
//! - `identity`    who a device's token speaks for
//! - `telemetry`   POST status: check, hand to intake, answer
//! - `intake`      the bounded queue and its one writer: an answer comes after the commit
//! - `live`        the latest state of everything in memory, and the feed of its changes
//! - [`metrics`]   what is counted for whoever watches the server run
//! - `governor`    who is served how often, and what is turned away first
//! - `commands`    queue, look up, cancel; `delivery` hands them out to polls, `waiting` is who is held until there is one,
//!   and `acks` takes what devices say became of them
//! - `queries`     what the screen asks
//! - `sun`         when the city's lamps turn
//! - `tasks`       what runs in the background: sweep, expiry, feed, checkpoint
mod acks;
pub mod api_keys;
mod approval;
pub mod catalogue;
mod ccms;
pub mod chance;
pub mod clock;
mod commands;
mod delivery;
mod enrolment;
pub mod error;
mod governor;
pub mod history;
mod identity;
mod intake;
pub mod keys;
mod live;
pub mod metrics;
pub mod people;
pub mod permission;
mod queries;
pub mod refusal;
pub mod settings;
mod start;
mod sun;
mod tasks;
mod telemetry;
mod waiting;

pub use ccms::Ccms;
pub use ccms_store::Role;
pub use enrolment::{Claimed, Credentials};
pub use error::ServiceError;
pub use governor::{Caller, Traffic};
pub use identity::{DeviceIdentity, TokenUse};
pub use live::feed::{Change, ChangeReceiver, Feed, Missed};
pub use people::Person;
pub use permission::{MayAcknowledge, MayAdminister, MayCommand, MayCommission, MayView, Permission, Scope, Who};
pub use refusal::Refusal;
pub use telemetry::StatusReceipt;
