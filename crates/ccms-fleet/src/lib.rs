//! The IO shell around the reference device, and simulated cities of such devices.
//!
//! - [`world`]    virtual time: N devices against any `async fn(Request) -> Response`, with seeded faults; for tests
//! - [`run`]      a city of devices against a live server; [`solo`] one device with a flash file
//! - [`runner`]   the loop that both share: one device, its lamp, its requests
//! - [`http`]     requests over the network
//! - [`city`]     where lamps stand and what they are called
//! - [`identity`] IMEI numbers
//! - [`simlamp`]  the physics of a lamp; [`sickness`] what may be wrong with it
//! - [`flash`]    the flash of one device; [`statelog`] the flash of a whole city in one file
//! - [`appender`] a thread that appends lines; [`ledger`] what the server acknowledged
//! - [`stats`]    counters, latencies, the progress line and the summary
//! - [`clock`]    the only file that reads real clocks
pub mod appender;
pub mod city;
pub mod clock;
pub mod flash;
pub mod http;
pub mod identity;
pub mod ledger;
pub mod run;
pub mod runner;
pub mod sickness;
pub mod simlamp;
pub mod solo;
pub mod statelog;
pub mod stats;
pub mod world;
