//! Every reading of a light. One request looks at a bounded stretch and says where to go on: a page may be short, or empty, and still
//! not be the last.
use ccms_core::ids::{LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

use super::{DAY_MS, FETCHED_ROWS, is_suspect, stands_at};
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::MayView;

/// Days that one request looks at.
const DAYS_AT_ONCE: i64 = 31;

/// The place of a reading among those of its light, newest last. A page goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The device's time, or the time of arrival where that cannot be right.
    pub at: UtcMillis,
    pub reported_at: UtcMillis,
    pub dedupe: i64,
}

impl Ccms {
    /// Readings of `from <= time < to`, newest first, and where to go on.
    pub async fn light_readings(
        &self,
        by: MayView<'_>,
        id: &LightId,
        (from, to): (UtcMillis, UtcMillis),
        after: Option<Place>,
        limit: usize,
    ) -> Result<(Vec<ReadingRow>, Option<Place>), ServiceError> {
        let light = self.light_no(by, id).ok_or(ServiceError::NotFound)?;
        // The moment of the cursor still belongs to the page: several readings may share it.
        let last = after.map_or(to, |place| to.min(UtcMillis(place.at.0.saturating_add(1))));
        let Some((start, end)) = self.believable((from, last)) else { return Ok((Vec::new(), None)) };
        let low = start.max(UtcMillis(end.0 - DAYS_AT_ONCE * DAY_MS));
        let wanted = Stretch { light, low, end, after: after.unwrap_or(Place::before(end)), limit };
        let (mut page, cut) = self.newest(wanted, false).await?;
        let (arrived, cut_arrived) = self.newest(wanted, true).await?;
        page.extend(arrived);
        // Beyond the point where either of the two ends early, the other cannot be put in order.
        let cut = cut.max(cut_arrived);
        page.retain(|row| cut.is_none_or(|cut| Place::of(row).at >= cut));
        page.sort_by_key(|row| std::cmp::Reverse(Place::of(row)));
        let more = page.len() > limit;
        page.truncate(limit);
        let next = match (page.last(), cut) {
            (Some(last), _) if more => Some(Place::of(last)),
            (_, Some(cut)) => Some(Place::before(cut)),
            _ => (low > start).then(|| Place::before(low)),
        };
        Ok((page, next))
    }

    /// The newest readings of a stretch whose clock is good, or those whose clock is not: more than `limit` of them where there
    /// are, and else the moment before which there may be more that were not looked at.
    async fn newest(&self, s: Stretch, suspect: bool) -> Result<(Vec<ReadingRow>, Option<UtcMillis>), ServiceError> {
        let mut ask = s.limit as u32 + 2;
        loop {
            let rows = if suspect {
                self.store().suspect_readings(s.light, s.low, s.end, ask).await?
            } else {
                self.past(s.light, (s.low, s.end), ask).await?
            };
            let full = rows.len() == ask as usize;
            // The oldest moment of a full answer may have more readings than are in it; it is left for the next page, unless
            // it is all there is.
            let oldest = rows.last().map(stands_at).filter(|_| full);
            let one_moment = rows.first().map(stands_at) == oldest;
            let mut page: Vec<ReadingRow> =
                rows.into_iter().filter(|r| is_suspect(r) == suspect && Place::of(r) < s.after).collect();
            let cut = oldest.map(|at| if one_moment { at } else { UtcMillis(at.0 + 1) });
            if let Some(cut) = cut {
                page.retain(|r| stands_at(r) >= cut);
            }
            if cut.is_none() || ask >= FETCHED_ROWS || (page.len() > s.limit && !one_moment) {
                return Ok((page, cut));
            }
            ask = (ask * 4).min(FETCHED_ROWS);
        }
    }
}

impl Place {
    fn of(row: &ReadingRow) -> Self {
        Self { at: stands_at(row), reported_at: row.reading.reported_at, dedupe: row.dedupe }
    }

    /// Before everything of this moment, so that a page goes on with what is older than it.
    fn before(at: UtcMillis) -> Self {
        Self { at, reported_at: UtcMillis(i64::MIN), dedupe: i64::MIN }
    }
}

/// A page's worth of one light's time.
#[derive(Clone, Copy)]
struct Stretch {
    light: LightNo,
    low: UtcMillis,
    end: UtcMillis,
    after: Place,
    limit: usize,
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::{Reading, ReadingFlags};

    use super::*;

    /// Fetched, cut and placed by one time.
    #[test]
    fn a_reading_is_placed_where_it_stands() {
        let at = |flag: Option<ReadingFlags>| {
            let mut reading = Reading { reported_at: UtcMillis(5_000), ..Reading::default() };
            flag.into_iter().for_each(|flag| reading.flags.set(flag));
            let row = ReadingRow {
                light_no: LightNo(1),
                device_no: DeviceNo(1),
                received_at: UtcMillis(7_000),
                dedupe: 3,
                reading,
            };
            assert_eq!(Place::of(&row).at, stands_at(&row));
            Place::of(&row).at.0
        };
        assert_eq!((at(None), at(Some(ReadingFlags::CLOCK_MISSING))), (5_000, 5_000));
        assert_eq!(at(Some(ReadingFlags::CLOCK_SUSPECT)), 7_000);
    }
}
