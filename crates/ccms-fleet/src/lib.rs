//! The IO shell around the reference device, and simulated cities of such devices.
//!
//! - [`world`]    virtual time: N devices against any `async fn(Request) -> Response`, with seeded faults; for tests
//! - [`rehearse`] stories in virtual time: many seeds, or one again
//! - [`run`]      a city of devices against a live server; [`solo`] one device with a flash file
//! - [`load`]     requests at a rate, or as many as come back, and how long they took
//! - [`runner`]   the loop that both share: one device, its lamp, its requests
//! - [`http`]     requests over the network; [`mod@line`] those of one device of many, on a connection of its own
//! - [`city`]     where lamps stand, what they are called, which cable they hang on
//! - [`conformance`] the server's part, played to examine any device
//! - [`identity`] IMEI numbers
//! - [`pole`]     what a runner measures and switches: simulated, or a directory of files ([`directory`])
//! - [`trust`]    which server a device believes: pinned keys, an authority
//! - [`physics`]  what a lamp is made of and what surrounds it, as functions of time, place and a seed
//! - [`simlamp`]  one lamp put together of that; [`sickness`] what may be wrong with it, and how often
//! - [`flash`]    the flash of one device; [`statelog`] the flash of a whole city in one file
//! - [`appender`] a thread that appends lines; [`ledger`] what the server acknowledged
//! - [`stats`]    counters, latencies and the summary; [`progress`] what a run says while it runs
//! - [`machine`]  file descriptors, memory, source addresses
//! - [`clock`]    the only file that reads real clocks
pub mod appender;
pub mod city;
pub mod clock;
pub mod conformance;
pub mod directory;
pub mod flash;
pub mod http;
pub mod identity;
pub mod ledger;
pub mod line;
pub mod load;
pub mod machine;
pub mod physics;
pub mod pole;
pub mod progress;
pub mod rehearse;
pub mod run;
pub mod runner;
pub mod sickness;
pub mod simlamp;
pub mod solo;
pub mod statelog;
pub mod stats;
pub mod trust;
pub mod world;
