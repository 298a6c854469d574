//! The vocabulary of CCMS. Everything here is a value or a pure rule: no IO, no clock, no globals; it compiles to wasm.
//!
//! - [`ids`]      typed identifiers, parsed at the door
//! - [`time`]     instants on the wire and times of day
//! - [`reading`]  one status of one light, in fixed-point integers, with the checks of its fields
//! - [`light`]    the facts about a light and the indicator colour that follows from them
//! - [`command`]  what an operator can ask of a light, and the life of such a command
//! - [`schedule`] when a lamp burns when nobody says otherwise
//! - [`limits`]   every number of the device contract, by name
//! - [`meter`]    what a meter's counter did from one reading to the next
//! - [`wire`]     the JSON of the device HTTP contract
//! - [`snapshot`] the fleet as the map receives it
//! - [`view`]     what the screen is told about one light
pub mod command;
pub mod ids;
pub mod light;
pub mod limits;
pub mod meter;
pub mod reading;
pub mod schedule;
pub mod snapshot;
pub mod time;
pub mod view;
pub mod wire;
