//! The conformance kit: the reference device passes, each broken one fails where it is broken, and the report says so.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod bench;
mod broken;
mod reference;
mod report;
mod socket;
