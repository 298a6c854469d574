//! The server: process, configuration, listener, routes. No business rule lives here.
//!
//! - [`cli`]        the command line
//! - [`config`]     file, then environment, then flags
//! - [`boot`]       open the database, read the keys, start the service
//! - [`listener`]   accept connections, bound them, stop gracefully
//! - [`tls`]        the certificate, and its replacement while running
//! - `connections`  who is connected, and who goes first when there are too many
//! - [`backup`]     what a backup is made of
//! - `server_lock`  one server at a time on an embedded database
//! - `disk`         how full the database's disk is
//! - `descriptors`  how many connections the system allows
//! - [`door`]       what every request passes: whose word about addresses counts
//! - [`log`]        what happens, in lines
//! - [`metrics`]    what happens, in numbers
//! - [`lingering`]  what HTTP itself refuses, in the contract's envelope
//! - [`router`]     which path goes where, and [`site`] what of it never gets there
//! - [`api`]        the REST API for other systems, its description and its documentation
//! - [`device_api`] the device contract over HTTP
//! - [`live`]       the fleet snapshot and the event stream of the screen
//! - [`basemap`]    the city's own GeoJSON as a map
//! - [`session`]    web sessions over the store
//! - [`origin`]     refuses writes that come from another site
pub mod api;
pub mod backup;
pub mod basemap;
pub mod boot;
pub mod cli;
pub mod config;
mod connections;
mod descriptors;
pub mod device_api;
mod disk;
pub mod door;
mod lingering;
pub mod listener;
pub mod live;
pub mod log;
pub mod metrics;
pub mod origin;
pub mod router;
mod server_lock;
pub mod session;
pub mod site;
pub mod tls;
