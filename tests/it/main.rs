//! The whole system from outside: the real router, the real stores, real devices, and once the real processes. Tests speak
//! in verbs; what the verbs do is here:
//!
//! - [`city`]       a server in this process on one engine: restart it, crash it, let time pass
//! - [`controller`] a device on the wire: configures, reports, polls, acknowledges
//! - [`operator`]   a person: commands, approves, looks
//! - [`api_client`] another system on the REST API
//! - [`answer`]     what came back, and the checks of the documented envelope
//! - [`database`]   a fresh database per test, on both engines (`on_both!`)
//! - [`process`]    the server's binary, when it takes a process to see it
//! - [`server`]     the same on a database that outlives it, to be killed
//! - [`shelf`]      a folder of archived days that fails on demand
//! - [`watched`]    a store that counts, fails or holds back on demand
//!
//! and these are the tests: [`api_events`], [`api_import`], [`api_lights`], [`api_readings`], [`api_requests`],
//! [`api_rights`], [`architecture`], [`contract`], [`enrolment`], [`reclaim`],
//! [`credentials`], [`rotation`], [`tokens`], [`commands`], [`status`],
//! [`sync`], [`alerts`], [`logs`], [`firmware`], [`limits`], [`strangers`], [`matrix`], [`pseudocode`],
//! [`durability`], [`sealing`], [`suspect`], [`energy`], [`archive`], [`sharing`], [`bad_input`], [`sockets`], [`tls`], [`metrics`], [`people`],
//! [`rights`], [`snapshot`], [`night`] and [`stories`] (virtual time), [`ledger`], [`load`], [`disk_faults`], [`upkeep`]
//! (killed processes).
#![allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]

#[macro_use]
mod database;

mod answer;
mod api_client;
mod city;
mod controller;
mod operator;
mod process;
mod server;
mod shelf;
mod watched;

mod alerts;
mod api_events;
mod api_import;
mod api_lights;
mod api_readings;
mod api_requests;
mod api_rights;
mod architecture;
mod archive;
mod archive_at_odds;
mod archive_readers;
mod bad_input;
mod commands;
mod contract;
mod credentials;
mod disk_faults;
mod durability;
mod energy;
mod enrolment;
mod firmware;
mod ledger;
mod limits;
mod load;
mod logs;
mod matrix;
mod metrics;
mod night;
mod people;
mod pseudocode;
mod reclaim;
mod rights;
mod rotation;
mod sealing;
mod sharing;
mod snapshot;
mod sockets;
mod status;
mod stories;
mod strangers;
mod suspect;
mod sync;
mod tls;
mod tokens;
mod two_processes;
mod upkeep;
