//! The ladder of scenarios, from the first call to an outage. Each file is one part of the device document; each judge says what
//! it saw in figures, because a manufacturer has to find the mistake by it.
mod clock;
mod commands;
mod errors;
mod joining;
mod once;
mod outage;
mod power;
mod retries;
mod rhythm;
mod sensors;
mod throughout;
mod token;
mod turned_away;

use super::script::{Script, Step, need};

/// In the order in which they are played.
pub const ALL: &[Script] = &[
    joining::SCRIPT,
    rhythm::SCRIPT,
    commands::SCHEDULE,
    commands::POWER,
    commands::SEVERAL,
    commands::URGENT,
    once::SCRIPT,
    once::EXPIRY,
    retries::LADDER,
    retries::SERVER_ERROR,
    retries::LOST_ANSWER,
    retries::LATE,
    errors::BAD_REQUEST,
    errors::UNAUTHORIZED,
    errors::NOT_FOUND,
    token::SCRIPT,
    clock::SCRIPT,
    sensors::HEAT,
    sensors::BATTERY,
    power::SCRIPT,
    outage::SCRIPT,
    outage::POWER_CUT,
    turned_away::SCRIPT,
    throughout::SCRIPT,
];

/// Longest wait of the documented back-off, jitter and a request on top of it.
const BACK_S: u32 = 400;
/// A device that polls every ten seconds has called by then.
const POLL_S: u32 = 20;
/// A device that reports every thirty seconds has reported by then.
const REPORT_S: u32 = 45;
/// What "immediately" may take: a request that is under way, its answer, and a sensor's settling.
const AT_ONCE_MS: u64 = 5_000;

/// The device polls and reports.
const SETTLED: Step = need("a poll and a status of the device", |_| BACK_S, |s| s.is_settled());
