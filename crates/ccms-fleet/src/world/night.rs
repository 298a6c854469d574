//! When it is night in the world, and how dark its lamps were.
use ccms_core::reading::PowerState;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_device::lamp::is_dark;

use super::resident::Resident;
use super::rules::{SUNRISE, SUNSET, UTC_OFFSET_MINUTES};

/// An order that makes the night dark and names no end of its own ends after an hour; a minute for clocks.
pub const DARK_ORDER_S: i64 = 3_660;
const MINUTE_S: i64 = 60;

pub fn is_night(at: UtcMillis) -> bool {
    let local = TimeOfDay::at(at, UTC_OFFSET_MINUTES);
    local >= SUNSET || local < SUNRISE
}

/// The minutes of the night in which there was power and no light from their beginning to their end, outside of the stretches
/// in which it was `allowed`. A controller that was told a wrong time goes by that.
pub fn dark_minutes(resident: &Resident, end: UtcMillis, allowed: &[(UtcMillis, UtcMillis)]) -> Vec<UtcMillis> {
    let history = &resident.lamp_history;
    let ends = history.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let mut dark = Vec::new();
    for ((from, lamp), to) in history.iter().zip(ends) {
        if lamp.is_none_or(|lamp| lamp.power == PowerState::On && !is_dark(lamp.brightness_percent)) {
            continue;
        }
        // A clock that is told by answers may be late by as much as an answer takes.
        let mut minute = from.plus_seconds(MINUTE_S);
        while minute.plus_seconds(MINUTE_S) <= to {
            let (ends, believed) =
                (minute.plus_seconds(MINUTE_S), |t: UtcMillis| UtcMillis(t.0 + resident.clock_error_ms(t)));
            let is_allowed = allowed.iter().any(|(a, b)| *a <= minute && ends <= *b);
            if is_night(believed(minute)) && is_night(believed(ends)) && !is_allowed {
                dark.push(minute);
            }
            minute = ends;
        }
    }
    dark
}
