//! The reference street-light controller as a sans-IO state machine: no IO, no clock, no threads. A shell (a tokio runner,
//! a simulator, a test, firmware) feeds it inputs and does what it asks:
//!
//! ```text
//! Device::new(config, saved, now)
//! handle(now, Input)          Input  = Timeout | Response(id, Outcome) | Sensors(..)
//! poll() -> Option<Output>    Output = Send(id, Request) | Actuate(Lamp) | Persist(Change) | Show(Display) | Delivered(..) | …
//! wake_at() -> Option<(Uptime, Why)>
//! ```
//! The whole duty of a shell: drain [`Device::poll`], sleep until [`Device::wake_at`] or the next answer, measure the
//! sensors, `handle` them, then `handle(Timeout)`. Outputs come in an order that is safe under power cuts: what must
//! survive is persisted before the effect it protects is asked for.
//!
//! - [`device`]    the machine: its parts, `handle`, `poll`, `wake_at`
//! - [`exchange`]  inputs and outputs
//! - [`state`]     the document's states (POWER_ON … ERROR) and the moves between them
//! - `configuring`, `telemetry`, `orders`, `lighting`   registering, reporting, obeying, driving the lamp
//! - [`request`]   what is sent and how an answer is judged: the document's table of HTTP errors
//! - [`lamp`]      schedule, overrides, edges: what the lamp should do now
//! - [`reading`]   sensors, samples and the ring of unsent samples
//! - [`acks`]      unsent acknowledgements and the retry ladder
//! - [`clock`]     uptime, and how far the device believes a wall clock
//! - [`saved`]     what survives a power cut
//! - [`config`]    identity, and the sizes of everything
//! - [`chance`]    seeded jitter
pub mod acks;
pub mod chance;
pub mod clock;
pub mod config;
mod configuring;
pub mod device;
pub mod exchange;
pub mod lamp;
mod lighting;
mod orders;
pub mod reading;
pub mod request;
pub mod saved;
pub mod state;
mod telemetry;

pub use clock::{Now, Uptime};
pub use config::Config;
pub use device::Device;
pub use exchange::{Delivered, Display, Input, Led, Output, Why};
pub use lamp::Lamp;
pub use reading::{Sample, Sensors};
pub use request::{Kind, Method, Outcome, Request, RequestId};
pub use saved::{Change, Saved, Settings};
pub use state::State;
