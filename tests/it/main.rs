//! The whole system from outside: the real router, the real stores, real devices, and once the real processes. Tests speak
//! in verbs; what the verbs do is here:
//!
//! - [`city`]       a server in this process on one engine: restart it, crash it, let time pass
//! - [`controller`] a device on the wire: configures, reports, polls, acknowledges
//! - [`operator`]   a person: commands, approves, looks
//! - [`answer`]     what came back, and the checks of the documented envelope
//! - [`database`]   a fresh database per test, on both engines (`on_both!`)
//! - [`watched`]    a store that counts, fails or holds back on demand
//!
//! and these are the tests: [`architecture`], [`contract`], [`enrolment`], [`tokens`], [`commands`], [`status`],
//! [`durability`], [`bad_input`], [`sockets`], [`night`] (virtual time), [`ledger`] (killed processes).
#![allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]

#[macro_use]
mod database;

mod answer;
mod city;
mod controller;
mod operator;
mod watched;

mod architecture;
mod bad_input;
mod commands;
mod contract;
mod durability;
mod enrolment;
mod ledger;
mod night;
mod sockets;
mod status;
mod tokens;
