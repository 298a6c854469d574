//! The device on a bench: its real flash, a clock that the test moves, and a server that answers as the test says. Whatever it
//! writes is read by the server's own parser.
//!
//! - `bench`        the bench; everything else uses it
//! - `timers`       §2, §3, §11: what is due when
//! - `http_errors`  §6: the table, a test for each row
//! - `configuring`  §1: tries, waits, local message, refresh
//! - `commands`     §3: once per id, expiry, ends of overrides, restart
//! - `catching_up`  §7: the three stores, the order, what is packed
//! - `credentials`  §8: token and signature
//! - `alerts`       §9, and logs and the firmware report
//! - `maintenance`  §5: the lock, the last words of a boot
//! - `night`        a lamp that does not know better burns; how far a clock is believed
//! - `flash`        flash of other firmware, and damaged flash
//! - `any_server`   whatever a server answers and however often the power fails
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod alerts;
mod any_server;
mod bench;
mod catching_up;
mod commands;
mod configuring;
mod credentials;
mod flash;
mod http_errors;
mod maintenance;
mod night;
mod timers;
