//! `ccms-fleet conformance`: the server's part of the device contract, played against any device on the network to prove it.
//! For whoever makes controllers, and for whoever buys them: the report goes with a tender.
//!
//! The middle is pure: a [`Referee`] is told what a device sent and when, and says what to answer, how late, or not at all. It
//! reads no clock and opens no socket, so the tests play an hour of it against the reference device in milliseconds.
//!
//! ```text
//! referee.hear(now_ms, heard) -> Reaction     a call of the device, and what it gets
//! referee.tick(now_ms)                        nothing happened until wake_at_ms()
//! referee.ask() -> Option<Stimulus>           something that only hands can do: referee.done(now_ms, stimulus, whether)
//! referee.is_over(), referee.report(now_ms)
//! ```
//!
//! - [`scripts`] the ladder of scenarios, as data: do this to the device, wait for that, judge; [`script`] the words for it
//! - [`mod@check`] one thing to prove, its section and decision; [`sections`] their titles and words, for the report
//! - [`referee`] plays the scripts; [`scene`] what a judge may look at
//! - [`part`]    the server's part: tokens, commands, answers; [`orders`] its commands; [`fault`] how it misbehaves
//! - [`call`]    one call of the device, read; [`seen`] what its body says; [`form`] whether its fields are as documented
//! - [`report`]  the outcome; [`markdown`] and [`terminal`] two ways to read it
//! - [`options`] the command line; [`listen`] the sockets; [`hands`] the operator, or a command that stands in for one
pub mod call;
pub mod check;
pub mod fault;
pub mod form;
pub mod hands;
pub mod listen;
pub mod markdown;
pub mod options;
pub mod orders;
pub mod part;
pub mod referee;
pub mod report;
pub mod scene;
pub mod script;
pub mod scripts;
pub mod sections;
pub mod seen;
pub mod terminal;

pub use call::{Heard, Reaction};
pub use options::{ConformanceOptions, run};
pub use referee::Referee;
pub use report::Report;
pub use script::{Rules, Stimulus};
