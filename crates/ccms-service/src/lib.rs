//! Every use case of CCMS, once. The device API, the screen and later MQTT and the REST API call the same methods of one
//! handle, [`Ccms`]; nothing else touches the store or the live state.
//!
//! - [`clock`]     the only place that reads the time, and [`chance`] the only one that asks for randomness
//! - [`settings`]  what a city can set
//! - [`keys`]      the master key and the device tokens derived from it
//! - [`people`]    who signs in, and the proofs of what they may do
//! - [`request`]   the request that is being served, for the log
//! - [`refusal`]   what a device is told when it is not served, and [`error`] what a person is told
//! - `enrolment`   POST configure: pending, claim, re-configure; `proof` is what a device can show, `breaker` ends loops,
//!   `silence` takes credentials from devices that nobody hears of
//! - [`api_keys`]  keys with which other systems act for the city
//! - [`catalogue`] lights and devices as other systems read, correct, import and export them
//! - [`history`]   what was: of one light, of the city, and of everything at a moment
//! - `approval`    what people decide about controllers: approve, reject, revoke, swap, allow a reclaim
//! - `identity`    who a device's token speaks for
//! - `telemetry`   POST status: check, hand to intake, answer; `sync`: everything that piled up, in one request
//! - `uploads`     logs, firmware reports, unreadable messages, and the device's question how it is
//! - `alerts`      what wants a person's eye: raised, listed, moved on
//! - `intake`      the bounded queue and its one writer: an answer comes after the commit
//! - `live`        the latest state of everything in memory, and the feed of its changes
//! - [`metrics`]   what is counted for whoever watches the server run
//! - `governor`    who is served how often, and what is turned away first
//! - [`verify`]    looking through everything that is kept
//! - `broken`      the end of a database that cannot be trusted any more
//! - `disk`        what is refused when the disk is nearly full
//! - `past`        readings in log and blocks as one answer; `sealing` moves days from one to the other, `packing` is how
//! - `suspect`   readings of clocks that cannot be right, and their end
//! - [`archiving`] days that are long over leave the database for files
//! - `commands`    queue, look up, cancel; `delivery` hands them out to polls, `waiting` is who is held until there is one,
//!   and `acks` takes what devices say became of them
//! - `queries`     what the screen asks
//! - `sun`         when the city's lamps turn
//! - `together`    several processes on one database: each follows the others, one runs the background jobs
//! - `told`        steps of commands and alerts, for other systems that watch
//! - `ahead`       reading a long table while what was read is put into memory, for a start
//! - `tasks`       what runs in the background: sweep, expiry, feed, checkpoint
mod acks;
mod ahead;
mod alerts;
pub mod api_keys;
mod approval;
pub mod archiving;
mod attempts;
mod breaker;
mod broken;
pub mod catalogue;
mod ccms;
pub mod chance;
mod checkpoint;
pub mod clock;
mod commands;
mod crowd;
mod delivery;
mod disk;
mod enrolment;
pub mod error;
mod governor;
pub mod history;
mod identity;
mod intake;
pub mod keys;
mod live;
pub mod metrics;
mod packing;
mod past;
pub mod people;
pub mod permission;
mod proof;
mod queries;
pub mod refusal;
pub mod request;
mod sealing;
pub mod settings;
mod silence;
mod start;
mod sun;
mod suspect;
mod sync;
mod tasks;
mod telemetry;
mod together;
mod told;
mod uploads;
pub mod verify;
mod waiting;

pub use alerts::{ALERTS_PAGE_MAX, AlertFilter};
pub use ccms::Ccms;
pub use ccms_store::Role;
pub use commands::{COMMAND_LIFE_MAX_S, COMMAND_LIGHTS_MAX, KeepAnswer, Order, RESET_EVERY_S};
pub use enrolment::Claimed;
pub use error::ServiceError;
pub use governor::{Caller, Traffic};
pub use identity::{Credentials, DeviceIdentity, TokenUse};
pub use live::feed::{Change, ChangeReceiver, Feed, Missed};
pub use people::Person;
pub use permission::{MayAcknowledge, MayAdminister, MayCommand, MayCommission, MayView, Permission, Scope, Who};
pub use proof::Evidence;
pub use refusal::Refusal;
pub use sealing::{SealError, Sealed};
pub use silence::Absences;
pub use telemetry::StatusReceipt;
pub use together::Membership;
pub use told::{AlertStep, Told};
