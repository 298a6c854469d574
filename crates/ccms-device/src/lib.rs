//! The reference street-light controller as a sans-IO state machine: no IO, no clock, no threads. A shell (a tokio runner,
//! a simulator, a test, firmware) feeds it inputs and does what it asks:
//!
//! ```text
//! Device::new(config, saved, now)              now = { uptime, utc: network time, where there is some }
//! handle(now, Input)          Input  = Timeout | Response(id, Outcome) | Sensors(..) | Technician(..) | Firmware(..) | PowerLost
//! poll() -> Option<Output>    Output = Send(id, Request) | Actuate(Lamp) | Persist(Change) | Show(Display) | State(..)
//!                                    | Delivered(..) | Log(..) | Restart
//! wake_at() -> Option<(Uptime, Why)>
//! ```
//!
//! # Porting it
//!
//! The loop is the same everywhere, in C as in Rust:
//!
//! ```text
//! saved = read flash; device = Device::new(config, saved, now)
//! loop {
//!     while output = device.poll()  { do it, in this order, one after the other }
//!     sleep until device.wake_at(), or an answer, or an interrupt
//!     on an answer:  device.handle(now, Response(id, outcome))
//!     on waking:     device.handle(now, Sensors(measure())); device.handle(now, Timeout)
//!     on a brown-out interrupt: device.handle(now, PowerLost); do the outputs; stop
//! }
//! ```
//!
//! 1. **Order is safety.** Outputs come in an order that is safe under power cuts. `Persist` is done, to the end, before the
//!    output after it: a command's id is in flash before the lamp moves, and a reading leaves flash only after the server said
//!    200. A shell that reorders them acts twice on one command, or loses readings.
//! 2. **Each `Persist` is atomic.** After a cut it happened or it did not: two copies with a checksum and a counter, or a log
//!    with a checksum in each record. What is kept is three things of fixed size: [`Settings`] (about 2 KB, and the commands
//!    that were done), a ring of readings, and a store of alerts. Logs stay in memory.
//! 3. **`uptime` never goes back** in one boot and starts at 0 with the power. It may be any monotonic tick. Without network
//!    time `utc` is `None`; the machine learns the time from the server and keeps it by uptime.
//! 4. **Measure, then `Timeout`.** Sensors that are given late make late alerts; nothing else depends on them.
//! 5. **Requests**: `POST`, `GET` or `PUT` to the server's root plus [`Request::path`]; `Authorization: Bearer` with
//!    [`Request::token`]; if [`Request::compress`], pack with gzip and say `Content-Encoding: gzip`; then put
//!    [`Request::signature`] over *the bytes as they leave* into `X-Device-Signature`. An answer that is cut short, too long,
//!    or comes over a connection that was not the server's is [`Outcome::NoAnswer`]. Answers may come in any order and late:
//!    the machine ignores those it gave up. TLS and the pinned keys are the shell's.
//! 6. **`Restart`**: reset the controller. A shell that cannot may build a new machine from [`Device::saved`].
//! 7. **Jitter is not decoration.** Give every device another [`Config::seed`] (its serial number will do), or a city that lost
//!    its power comes back as one.
//!
//! All stores are bounded, by the names in [`config`] and [`ccms_core::limits`]; the largest single allocation is the body of a
//! sync, about 150 KB with [`config::READINGS_PER_SYNC`] readings.
//!
//! # Why it wakes
//!
//! | [`Why`] | what the machine waited for |
//! | --- | --- |
//! | `PowerOn` | the first `Timeout` |
//! | `ConfigureDue` | the next try, or the daily refresh of schedule and legal time |
//! | `StatusDue` | the moment of a sample: 30 s, 10 s while hot, the server's pace, or a change |
//! | `StatusSend`, `SyncDue` | the end of a wait after a report that failed |
//! | `PollDue` | 10 s, 60 s on a low battery, 2 s while something urgent waits, or the back-off 10, 30, 60, 300 s |
//! | `AckDue`, `AlertDue`, `FirmwareDue` | a rung of the ladder 0, 5, 15, 30 s, then 300 s |
//! | `LogsDue`, `HealthDue` | lines for the technician; a technician's question |
//! | `LampEdge` | sunset, sunrise, or the end of an override |
//! | `RequestTimeout` | an answer, for 5, 10 or 30 s |
//!
//! # Where the document is
//!
//! | device document | module |
//! | --- | --- |
//! | §1 installation and configuration | `configuring` |
//! | §2 status updates, their frequency, offline readings | `telemetry`, [`reading`] |
//! | §3 polling, commands, acknowledgements | `orders`, `outbox`, [`lamp`], `lighting` |
//! | §4 MQTT | absent: the server has no broker yet. The keys of the block are kept in [`Settings`] as they come |
//! | §5 life cycle | [`state`], [`device`], [`maintenance`] |
//! | §6 HTTP errors, retry ladder, queues | [`answer`], `connection`, `outbox` |
//! | §7 storage, order of catching up, compression | [`saved`], `syncing`, [`request`] |
//! | §8 token, signature | `configuring`, `telemetry`, [`signature`] |
//! | §9 alerts | `alerts` |
//! | §11 frequencies and timeouts | `due`, [`request`], [`ccms_core::limits`] |
//! | §12 endpoints: logs, health, firmware | `uploads`, [`firmware`] |
//!
//! The rest: [`exchange`] inputs and outputs, [`clock`] how far the device believes a wall clock, [`config`] identity and the
//! sizes of everything, `logbook` lines for the technician, [`chance`] seeded jitter.
mod alerts;
pub mod answer;
pub mod chance;
pub mod clock;
pub mod config;
mod configuring;
mod connection;
pub mod device;
mod due;
pub mod exchange;
pub mod firmware;
pub mod lamp;
mod lighting;
mod logbook;
pub mod maintenance;
mod orders;
mod outbox;
pub mod reading;
pub mod request;
pub mod saved;
pub mod signature;
pub mod state;
mod syncing;
mod telemetry;
mod uploads;

pub use answer::Outcome;
pub use clock::{Now, Uptime};
pub use config::Config;
pub use device::Device;
pub use exchange::{Delivered, Display, Input, Led, Output, Why};
pub use firmware::Progress;
pub use lamp::Lamp;
pub use maintenance::{Lock, Technician};
pub use reading::{Absent, Quantity, Sample, Sensors};
pub use request::{Kind, Method, Request, RequestId};
pub use saved::{Change, Saved, Settings};
pub use signature::Key;
pub use state::State;
