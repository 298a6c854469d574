//! The history of one light: every reading, or what quarters of an hour and days came to.
//!
//! A reading stands where its device's clock says, unless that clock cannot be right: then it stands where it arrived, and
//! nothing is left out. Sums and means are worked out from readings with a good clock only; what arrives in one heap after an
//! outage with the year 1970 would otherwise count as one moment.
//!
//! Finding one light's readings walks over those of all lights in that time. So one request looks at a bounded stretch and says
//! where to go on: a page may be short, or empty, and still not be the last.
use ccms_core::ids::{LightId, LightNo};
use ccms_core::limits;
use ccms_core::reading::{PowerState, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;

use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::MayView;

const DAY_MS: i64 = 86_400_000;
const QUARTER_MS: i64 = 900_000;
/// A lamp counts as having stayed as reported for this long at most.
const HOLDS_MS: i64 = 1000 * limits::OFFLINE_AFTER_S as i64;
/// What one request may walk over: lights times days.
const LIGHT_DAYS_MAX: i64 = 7_000;
/// Days that one request of sums may cover.
const SUMMED_DAYS_MAX: i64 = 31;
/// Readings fetched at once.
const FETCHED_ROWS: u32 = 20_000;
/// Time is looked at from here (2020-01-01, the earliest that a clock is believed) ...
const FLOOR: UtcMillis = UtcMillis::from_seconds(limits::CLOCK_FLOOR_S);
/// ... and this far ahead of now, where a clock is believed as well.
const AHEAD_MS: i64 = 1000 * limits::CLOCK_AHEAD_MAX_S + 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    QuarterHour,
    /// Of the city's own days.
    Day,
}

/// The place of a reading among those of its light, newest last. A page goes on behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The device's time, or the time of arrival where that cannot be right.
    pub at: UtcMillis,
    pub reported_at: UtcMillis,
    pub dedupe: i64,
}

/// What is known of a value over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    pub min: f64,
    pub mean: f64,
    pub max: f64,
}

/// What a quarter of an hour or a day came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    pub from: UtcMillis,
    pub to: UtcMillis,
    pub samples: u32,
    /// Part of the time that readings speak for, 0 to 1.
    pub coverage: f64,
    pub on_s: u32,
    /// By how much the meter's counter grew; a counter that falls starts anew.
    pub energy_kwh: Option<f64>,
    pub brightness: Option<Spread>,
    pub temperature_c: Option<Spread>,
    pub voltage: Option<Spread>,
    pub current: Option<Spread>,
    pub power_w: Option<Spread>,
    pub battery_percent: Option<Spread>,
    pub signal_percent: Option<Spread>,
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
        let (start, end) = (from.max(FLOOR), last.min(UtcMillis(self.now().0 + AHEAD_MS)));
        if start >= end {
            return Ok((Vec::new(), None));
        }
        let low = start.max(UtcMillis(end.0 - self.days_at_once() * DAY_MS));
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
            let time = |row: &ReadingRow| if suspect { row.received_at } else { row.reading.reported_at };
            // The oldest moment of a full answer may have more readings than are in it; it is left for the next page, unless
            // it is all there is.
            let oldest = rows.last().map(time).filter(|_| full);
            let one_moment = rows.first().map(time) == oldest;
            let mut page: Vec<ReadingRow> =
                rows.into_iter().filter(|r| is_suspect(r) == suspect && Place::of(r) < s.after).collect();
            let cut = oldest.map(|at| if one_moment { at } else { UtcMillis(at.0 + 1) });
            if let Some(cut) = cut {
                page.retain(|r| time(r) >= cut);
            }
            if cut.is_none() || ask >= FETCHED_ROWS || (page.len() > s.limit && !one_moment) {
                return Ok((page, cut));
            }
            ask = (ask * 4).min(FETCHED_ROWS);
        }
    }

    /// What the stretches of `from <= time < to` came to, newest first, those without a reading left out; and the time before
    /// which to go on.
    pub async fn light_summaries(
        &self,
        by: MayView<'_>,
        id: &LightId,
        (from, to): (UtcMillis, UtcMillis),
        resolution: Resolution,
        limit: usize,
    ) -> Result<(Vec<Summary>, Option<UtcMillis>), ServiceError> {
        let no = self.light_no(by, id).ok_or(ServiceError::NotFound)?;
        let (start, mut end) = (from.max(FLOOR), to.min(UtcMillis(self.now().0 + AHEAD_MS)));
        if start >= end {
            return Ok((Vec::new(), None));
        }
        let wide_ms = match resolution {
            Resolution::QuarterHour => QUARTER_MS,
            Resolution::Day => DAY_MS,
        };
        let reach_ms = self.days_at_once().min(SUMMED_DAYS_MAX) * DAY_MS;
        let far = UtcMillis(end.0 - reach_ms);
        // As much as fills a page; where nothing is, further on.
        loop {
            let low = start.max(UtcMillis(end.0 - reach_ms.min(wide_ms.saturating_mul(limit as i64))));
            let low = self.stretch(low, resolution).0;
            let mut summaries = self.summed(no, (low, end), resolution).await?;
            if summaries.is_empty() && low > start.max(far) {
                end = low;
                continue;
            }
            let more = summaries.len() > limit;
            summaries.truncate(limit);
            let next = match summaries.last() {
                Some(last) if more => Some(last.from),
                _ => Some(low).filter(|low| *low > start),
            };
            return Ok((summaries, next));
        }
    }

    /// The stretches of `low <= time < end` that have a reading, newest first.
    async fn summed(
        &self,
        no: LightNo,
        (low, end): (UtcMillis, UtcMillis),
        resolution: Resolution,
    ) -> Result<Vec<Summary>, ServiceError> {
        let (mut rows, mut high) = (Vec::new(), end);
        // A little more in front: the first counter of a stretch is compared with the last one before it.
        let reach = UtcMillis(low.0 - QUARTER_MS);
        loop {
            let mut fetched = self.past(no, (reach, high), FETCHED_ROWS).await?;
            let time = |row: &ReadingRow| row.reading.reported_at;
            let oldest = fetched.last().map(time).filter(|_| fetched.len() == FETCHED_ROWS as usize);
            // The moment at which an answer ends is asked for again as a whole, unless it is all there is.
            let again = oldest.filter(|at| fetched.first().map(time) != Some(*at));
            fetched.retain(|r| !is_suspect(r) && again.is_none_or(|at| time(r) > at));
            rows.extend(fetched);
            match (again, oldest) {
                (Some(at), _) => high = UtcMillis(at.0 + 1),
                (None, Some(at)) => high = at,
                (None, None) => break,
            }
        }
        rows.reverse();
        let (mut summaries, now) = (Vec::new(), self.now());
        let mut index = rows.partition_point(|r| r.reading.reported_at < low);
        while let Some(first) = rows.get(index) {
            let (begins, ends) = self.stretch(first.reading.reported_at, resolution);
            let count = rows[index..].partition_point(|r| r.reading.reported_at < ends);
            let before = index.checked_sub(1).map(|i| &rows[i]);
            let next = rows.get(index + count).map_or(now, |r| r.reading.reported_at);
            summaries.push(summarise((begins, ends), before, &rows[index..index + count], next));
            index += count;
        }
        summaries.reverse();
        Ok(summaries)
    }

    fn days_at_once(&self) -> i64 {
        (LIGHT_DAYS_MAX / self.live().read().lights().count().max(1) as i64).max(1)
    }

    /// The quarter of an hour or the city's day around an instant.
    fn stretch(&self, at: UtcMillis, resolution: Resolution) -> (UtcMillis, UtcMillis) {
        match resolution {
            Resolution::QuarterHour => {
                let begins = UtcMillis(at.0 - at.0.rem_euclid(QUARTER_MS));
                (begins, UtcMillis(begins.0 + QUARTER_MS))
            }
            Resolution::Day => self.inner().city_time.day_around(at),
        }
    }
}

fn is_suspect(row: &ReadingRow) -> bool {
    row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)
}

impl Place {
    fn of(row: &ReadingRow) -> Self {
        let (at, reported_at) = (row.reading.ordering_time(row.received_at), row.reading.reported_at);
        Self { at, reported_at, dedupe: row.dedupe }
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

fn summarise(
    (from, to): (UtcMillis, UtcMillis),
    before: Option<&ReadingRow>,
    rows: &[ReadingRow],
    next: UtcMillis,
) -> Summary {
    let (mut covered_ms, mut on_ms, mut energy_wh) = (0, 0, None::<i64>);
    let mut counter = before.and_then(|r| r.reading.energy_wh);
    if let Some(row) = before {
        // What was said before the stretch began still holds at its beginning.
        let until = rows.first().map_or(next, |r| r.reading.reported_at);
        let said = row.reading.reported_at;
        let held = (said.0 + HOLDS_MS).min(until.0).min(to.0) - from.0;
        covered_ms += held.max(0);
        on_ms += if row.reading.power_state == Some(PowerState::On) { held.max(0) } else { 0 };
    }
    for (i, row) in rows.iter().enumerate() {
        let at = row.reading.reported_at;
        let until = rows.get(i + 1).map_or(next, |r| r.reading.reported_at);
        let held = ((at.0 + HOLDS_MS).min(until.0).min(to.0) - at.0).max(0);
        covered_ms += held;
        on_ms += if row.reading.power_state == Some(PowerState::On) { held } else { 0 };
        if let Some(now) = row.reading.energy_wh {
            if let Some(last) = counter {
                energy_wh = Some(energy_wh.unwrap_or(0) + (now - last).max(0));
            }
            counter = Some(now);
        }
    }
    let spread = |value: fn(&ReadingRow) -> Option<f64>| spread(rows.iter().filter_map(value));
    Summary {
        from,
        to,
        samples: rows.len() as u32,
        coverage: (covered_ms as f64 / to.since(from).max(1) as f64).clamp(0.0, 1.0),
        on_s: (on_ms / 1000) as u32,
        energy_kwh: energy_wh.map(|wh| wh as f64 / 1000.0),
        brightness: spread(|r| r.reading.brightness_percent.map(f64::from)),
        temperature_c: spread(|r| r.reading.temperature_dc.map(|v| f64::from(v) / 10.0)),
        voltage: spread(|r| r.reading.voltage_dv.map(|v| f64::from(v) / 10.0)),
        current: spread(|r| r.reading.current_ma.map(|v| f64::from(v) / 1000.0)),
        power_w: spread(|r| r.reading.power_dw.map(|v| f64::from(v) / 10.0)),
        battery_percent: spread(|r| r.reading.battery_percent.map(f64::from)),
        signal_percent: spread(|r| r.reading.signal_percent.map(f64::from)),
    }
}

fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let (mut n, mut sum, mut min, mut max) = (0u32, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for value in values {
        (n, sum, min, max) = (n + 1, sum + value, min.min(value), max.max(value));
    }
    (n > 0).then(|| Spread { min, mean: sum / f64::from(n), max })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ccms_core::ids::{DeviceNo, LightNo};
    use ccms_core::reading::Reading;

    fn row(at_s: i64, power: PowerState, energy_wh: i64) -> ReadingRow {
        let reported_at = UtcMillis::from_seconds(at_s);
        let reading = Reading {
            reported_at,
            power_state: Some(power),
            energy_wh: Some(energy_wh),
            brightness_percent: Some(if power == PowerState::On { 80 } else { 0 }),
            ..Reading::default()
        };
        ReadingRow { light_no: LightNo(1), device_no: DeviceNo(1), received_at: reported_at, dedupe: at_s, reading }
    }

    #[test]
    fn a_quarter_of_an_hour_is_summed_up() {
        let quarter = (UtcMillis(0), UtcMillis(QUARTER_MS));
        let rows = [row(30, PowerState::On, 110), row(90, PowerState::Off, 130), row(600, PowerState::Off, 5)];
        let s = summarise(quarter, Some(&row(-30, PowerState::On, 100)), &rows, UtcMillis(QUARTER_MS));
        assert_eq!((s.samples, s.on_s), (3, 30 + 60));
        assert_eq!(s.energy_kwh, Some(0.03), "a counter that falls starts anew");
        assert_eq!(s.coverage, (30.0 + 60.0 + 120.0 + 120.0) / 900.0);
        assert_eq!(s.brightness, Some(Spread { min: 0.0, mean: 80.0 / 3.0, max: 80.0 }));
        assert_eq!(s.temperature_c, None);
    }

    #[test]
    fn one_reading_alone_says_nothing_of_energy() {
        let s = summarise((UtcMillis(0), UtcMillis(QUARTER_MS)), None, &[row(1, PowerState::On, 9)], UtcMillis(2_000));
        assert_eq!((s.energy_kwh, s.on_s, s.samples), (None, 1, 1));
    }
}
