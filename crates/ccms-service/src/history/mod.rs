//! What was: of one light, of the city, and of everything at a moment.
//!
//! A reading stands where its device's clock says, unless that clock cannot be right: then it stands where it arrived, and
//! nothing is left out. Sums and means are worked out from readings with a good clock only; what arrives in one heap after an
//! outage with the year 1970 would otherwise count as one moment.
//!
//! - `raw`        every reading of a light, newest first
//! - `summaries`  what quarters of an hour, days and months of a light came to
//! - [`energy`]   what the city used, by light, feeder, ward or zone, and by quarter of an hour, day or month
//! - [`daily`]    what whole days of all lights came to, worked out once they are over
//! - [`moment`]   what every light said at a moment
//!
//! Behind them is one rule: what is in the log is read before what is sealed, so that a reading that moves in between is in both
//! rather than in neither.
use ccms_core::limits;
use ccms_core::reading::ReadingFlags;
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

use crate::ccms::Ccms;

pub mod daily;
pub mod energy;
pub mod moment;
mod raw;
mod summaries;

pub use raw::Place;
pub use summaries::{Spread, Summary};

/// How time is cut into stretches: days and months are the city's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    QuarterHour,
    Day,
    Month,
}

const DAY_MS: i64 = 86_400_000;
/// Readings fetched at once.
const FETCHED_ROWS: u32 = 20_000;
/// Time is looked at from here (2020-01-01, the earliest that a clock is believed) ...
const FLOOR: UtcMillis = UtcMillis::from_seconds(limits::CLOCK_FLOOR_S);
/// ... and this far ahead of now, where a clock is believed as well.
const AHEAD_MS: i64 = 1000 * limits::CLOCK_AHEAD_MAX_S + 1;

fn is_suspect(row: &ReadingRow) -> bool {
    row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)
}

/// Where a reading stands in time.
fn stands_at(row: &ReadingRow) -> UtcMillis {
    if is_suspect(row) { row.received_at } else { row.reading.reported_at }
}

impl Ccms {
    /// The part of `from <= time < to` in which there may be anything; none when it is empty.
    fn believable(&self, (from, to): (UtcMillis, UtcMillis)) -> Option<(UtcMillis, UtcMillis)> {
        let (start, end) = (from.max(FLOOR), to.min(UtcMillis(self.now().0 + AHEAD_MS)));
        (start < end).then_some((start, end))
    }
}
