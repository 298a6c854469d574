//! What a lamp is made of and what surrounds it, each as plain functions of time, place and a seed: no clock, no IO, and
//! nothing that depends on how often it is asked. [`crate::simlamp`] puts the parts together.
//!
//! - [`noise`]     chance as a function: smooth in time and over the map
//! - [`incidents`] things that happen now and then and last a while
//! - [`climate`]   the air by latitude, season and hour
//! - [`mains`]     the grid of a city and the feeders of its streets: voltage by load, brown-outs, outages
//! - [`luminaire`] LED and discharge lamps: power against brightness and voltage, warm-up, ageing
//! - [`housing`]   the temperature of the case
//! - [`battery`]   what keeps the controller alive without mains
//! - [`radio`]     the mobile network: masts, shadows, fronts that move over the map
//! - [`meter`]     the counter, up to its last digit and over it
//! - [`surroundings`] what all lamps of a city share of this
pub mod battery;
pub mod climate;
pub mod housing;
pub mod incidents;
pub mod luminaire;
pub mod mains;
pub mod meter;
pub mod noise;
pub mod radio;
pub mod surroundings;

pub use battery::Battery;
pub use climate::Climate;
pub use housing::Housing;
pub use incidents::Incidents;
pub use luminaire::{Light, Luminaire};
pub use mains::{Feeder, Grid};
pub use meter::Meter;
pub use radio::Radio;
pub use surroundings::Surroundings;
