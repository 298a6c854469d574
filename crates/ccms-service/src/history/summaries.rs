//! What quarters of an hour and days of one light came to. Days that are sealed are kept summed up; where the log still has something of
//! a day, that day is worked out from its readings. Stretches are whole: one that begins before `to` reaches to its end.
use std::collections::BTreeSet;

use ccms_block::{COUNTER_KEPT_DAYS, Ledger, Measured, Quarter, Sum, Tally, Value};
use ccms_core::ids::{LightId, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow, RolledDay, StoreError, StoreResult};

use super::{Cut, DAY_MS, FETCHED_ROWS, FLOOR, is_suspect};
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::packing::beside_what_is_gone;
use crate::permission::MayView;

const QUARTER_MS: i64 = 1000 * ccms_block::QUARTER_S as i64;
const MONTH_MS: i64 = 31 * DAY_MS;
/// Days that one request of sums may cover.
const DAYS_MAX: i64 = 400;
/// Readings of a light's day: as many as a block holds, and as many again that are still in the log.
const ROWS_OF_DAY: u32 = 2 * ccms_block::READINGS_MAX as u32;

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
    pub on_s: u64,
    /// By how much the meter's counter grew since it was read before.
    pub energy_kwh: Option<f64>,
    /// How often the counter began anew, or another meter took its place; what was used in between is in no sum.
    pub meter_breaks: u32,
    /// How often the counter went over its last digit, which is counted.
    pub meter_rollovers: u32,
    pub brightness: Option<Spread>,
    pub temperature_c: Option<Spread>,
    pub voltage: Option<Spread>,
    pub current: Option<Spread>,
    pub power_w: Option<Spread>,
    pub battery_percent: Option<Spread>,
    pub signal_percent: Option<Spread>,
}

impl Ccms {
    /// What the stretches that touch `from <= time < to` came to, newest first, those without a reading left out; and the time before
    /// which to go on.
    pub async fn light_summaries(
        &self,
        by: MayView<'_>,
        id: &LightId,
        window: (UtcMillis, UtcMillis),
        cut: Cut,
        limit: usize,
    ) -> Result<(Vec<Summary>, Option<UtcMillis>), ServiceError> {
        let no = self.light_no(by, id).ok_or(ServiceError::NotFound)?;
        let Some((start, end)) = self.believable(window) else { return Ok((Vec::new(), None)) };
        let wide_ms = match cut {
            Cut::QuarterHour => QUARTER_MS,
            Cut::Day => DAY_MS,
            Cut::Month => MONTH_MS,
        };
        let lowest = start.max(UtcMillis(end.0 - DAYS_MAX * DAY_MS));
        let (mut summaries, mut low) = (Vec::new(), end);
        // As much as fills a page; where nothing is, further on.
        for (from, to) in looks((lowest, end), wide_ms.saturating_mul(limit as i64)) {
            low = self.inner().city_time.around(from, cut).0;
            summaries = self.summed(no, (low, to), cut).await?;
            if !summaries.is_empty() {
                break;
            }
        }
        let more = summaries.len() > limit;
        summaries.truncate(limit);
        let next = match summaries.last() {
            Some(last) if more => Some(last.from),
            _ => Some(low).filter(|low| *low > start),
        };
        Ok((summaries, next))
    }

    /// The stretches of `low <= beginning < end` that have a reading, newest first.
    async fn summed(
        &self,
        no: LightNo,
        (low, end): (UtcMillis, UtcMillis),
        cut: Cut,
    ) -> Result<Vec<Summary>, ServiceError> {
        let until = self.inner().city_time.around(UtcMillis(end.0 - 1), cut).1;
        let mut tally = Tally::default();
        let mut summaries: Vec<Building> = Vec::new();
        for quarter in self.quarters(no, (low, until)).await? {
            let begins = quarter.ledger.begins;
            if begins < low {
                tally.skip(&quarter.ledger);
                continue;
            }
            if summaries.last().is_none_or(|s| s.to <= begins) {
                let (from, to) = self.inner().city_time.around(begins, cut);
                summaries.push(Building { from, to, sum: Sum::default(), values: Default::default() });
            }
            if let Some(building) = summaries.last_mut() {
                tally.add(&quarter.ledger, &mut building.sum);
                building.measure(&quarter.measured);
            }
        }
        Ok(summaries.iter().rev().map(Building::summary).collect())
    }

    /// Quarters of `low <= time < until` in their order, and as much before them as they hang together with.
    async fn quarters(&self, no: LightNo, (low, until): (UtcMillis, UtcMillis)) -> Result<Vec<Quarter>, ServiceError> {
        let quarters = self.quarters_since(no, Day(Day::of(low).0 - 1), until).await?;
        let before = || quarters.iter().map(|q| &q.ledger).take_while(|l| l.begins < low);
        let Some(last) = before().last().map(|l| Day::of(l.begins)) else { return Ok(quarters) };
        if before().any(|l| Day::of(l.begins) == last && l.meter.is_some()) {
            return Ok(quarters);
        }
        self.quarters_since(no, Day(Day::of(low).0 - i32::from(COUNTER_KEPT_DAYS)), until).await
    }

    /// Quarters from a day on, and those of the last day before it, if there is one.
    async fn quarters_since(&self, no: LightNo, first: Day, until: UtcMillis) -> Result<Vec<Quarter>, ServiceError> {
        let last = Day::of(UtcMillis(until.0 - 1));
        let hot = self.store().readings(no, FLOOR, last.ends(), FETCHED_ROWS).await?;
        let full = hot.len() == FETCHED_ROWS as usize;
        let oldest = hot.last().filter(|_| full).map(|row| Day::of(row.reading.reported_at));
        let believed = hot.iter().filter(|row| !is_suspect(row));
        let mut days: Vec<Day> = believed.map(|row| Day::of(row.reading.reported_at)).collect();
        days.dedup();
        days.truncate(1 + days.partition_point(|day| *day >= first));
        // A full answer says nothing of what is older.
        days.extend(oldest.into_iter().flat_map(|oldest| (first.0..oldest.0).rev().map(Day)));

        let span = (last.0 - first.0 + 1).unsigned_abs();
        let mut rolled = self.store().rollups_of_light(no, first, last, span).await?;
        rolled.extend(self.store().rollups_of_light(no, Day(i32::MIN), Day(first.0 - 1), 1).await?);
        let (kept, rolled): (Vec<_>, Vec<_>) = rolled.into_iter().partition(|r| days.contains(&r.day));
        let mut quarters = unroll(rolled).await?;
        for day in days {
            let kept = kept.iter().find(|kept| kept.day == day);
            quarters.extend(self.quarters_of(no, day, &hot, kept).await?);
        }
        quarters.sort_by_key(|q| q.ledger.begins);
        quarters.retain(|q| q.ledger.begins < until);
        Ok(quarters)
    }
}

/// Stretches from the newest to the oldest, the first one so long and each further one twice as long as the one before: whoever finds nothing
/// in years has looked a dozen times.
fn looks((start, end): (UtcMillis, UtcMillis), first_ms: i64) -> impl Iterator<Item = (UtcMillis, UtcMillis)> {
    let (mut to, mut long_ms) = (end, first_ms.max(1));
    std::iter::from_fn(move || {
        let look = (start.max(UtcMillis(to.0.saturating_sub(long_ms))), to);
        (to, long_ms) = (look.0, long_ms.saturating_mul(2));
        (look.0 < look.1).then_some(look)
    })
}

impl Ccms {
    /// What a day came to of which the log still has something. Where its readings were deleted, that is beside what is kept of it.
    async fn quarters_of(
        &self,
        no: LightNo,
        day: Day,
        hot: &[ReadingRow],
        kept: Option<&RolledDay>,
    ) -> Result<Vec<Quarter>, ServiceError> {
        let mut rows = self.past(no, (day.begins(), day.ends()), ROWS_OF_DAY).await?;
        rows.reverse();
        let kept = match kept {
            Some(kept) if self.may_be_deleted(day, self.archived(day).await?.as_ref()) => kept,
            _ => return Ok(work_out(rows, self.now()).await?),
        };
        // Of a reading that came again what is settled is the one that came first.
        let arrival = |row: &ReadingRow| (row.reading.reported_at, row.dedupe, row.received_at);
        let hot: BTreeSet<_> = hot.iter().map(arrival).collect();
        let settled = rows.iter().filter(|row| !hot.contains(&arrival(row))).cloned().collect();
        let settled = work_out(settled, UtcMillis(i64::MAX)).await?;
        let now = work_out(rows, self.now()).await?;
        let whole = beside_what_is_gone(kept, &settled, now);
        Ok(whole.map_err(|error| damaged("rollup_ledgers", no, day, error))?)
    }
}

async fn unroll(days: Vec<RolledDay>) -> StoreResult<Vec<Quarter>> {
    let unrolling = tokio::task::spawn_blocking(move || {
        let mut quarters = Vec::new();
        for day in days {
            let ledgers = ledgers(day.light_no, day.day, &day.ledger)?;
            let measured = ccms_block::decode_measured(&ledgers, &day.measured)
                .map_err(|e| damaged("rollup_measures", day.light_no, day.day, e))?;
            quarters.extend(ledgers.into_iter().zip(measured).map(|(ledger, measured)| Quarter { ledger, measured }));
        }
        Ok(quarters)
    });
    unrolling.await.map_err(StoreError::unavailable)?
}

/// The quarters of a day's ledger.
pub(super) fn ledgers(light: LightNo, day: Day, body: &[u8]) -> StoreResult<Vec<Ledger>> {
    ccms_block::decode_ledger(day, body).map_err(|e| damaged("rollup_ledgers", light, day, e))
}

fn damaged(table: &'static str, light: LightNo, day: Day, error: ccms_block::BlockError) -> StoreError {
    StoreError::BadRow {
        table,
        column: "body",
        row: format!("light {}, day {}", light.0, day.0),
        reason: error.to_string(),
    }
}

async fn work_out(rows: Vec<ReadingRow>, now: UtcMillis) -> StoreResult<Vec<Quarter>> {
    let working = tokio::task::spawn_blocking(move || ccms_block::quarters(&rows, now));
    working.await.map_err(StoreError::unavailable)
}

/// A stretch while its quarters are added.
struct Building {
    from: UtcMillis,
    to: UtcMillis,
    sum: Sum,
    /// Of each value: readings, minimum, sum, maximum.
    values: [(u32, i64, i64, i64); Value::ALL.len()],
}

impl Building {
    fn measure(&mut self, measured: &Measured) {
        for (all, new) in self.values.iter_mut().zip(&measured.0) {
            let Some(new) = new else { continue };
            let first = all.0 == 0;
            all.1 = if first { new.min } else { all.1.min(new.min) };
            all.3 = if first { new.max } else { all.3.max(new.max) };
            all.2 = all.2.saturating_add(new.mean.saturating_mul(i64::from(new.count)));
            all.0 += new.count;
        }
    }

    fn summary(&self) -> Summary {
        let spread = |value: Value, unit: f64| {
            let (count, min, sum, max) = self.values[value as usize];
            let mean = || sum as f64 / f64::from(count) / unit;
            (count > 0).then(|| Spread { min: min as f64 / unit, mean: mean(), max: max as f64 / unit })
        };
        Summary {
            from: self.from,
            to: self.to,
            samples: self.sum.samples,
            coverage: coverage(self.sum.covered_s, (self.from, self.to)),
            on_s: self.sum.on_s,
            energy_kwh: self.sum.energy_wh.map(|wh| wh as f64 / 1000.0),
            meter_breaks: self.sum.meter_breaks,
            meter_rollovers: self.sum.meter_rollovers,
            brightness: spread(Value::BrightnessPercent, 1.0),
            temperature_c: spread(Value::TemperatureDc, 10.0),
            voltage: spread(Value::VoltageDv, 10.0),
            current: spread(Value::CurrentMa, 1000.0),
            power_w: spread(Value::PowerDw, 10.0),
            battery_percent: spread(Value::BatteryPercent, 1.0),
            signal_percent: spread(Value::SignalPercent, 1.0),
        }
    }
}

/// Part of a stretch that seconds speak for.
pub(super) fn coverage(covered_s: u64, (from, to): (UtcMillis, UtcMillis)) -> f64 {
    let seconds = to.since(from).max(1000) as f64 / 1000.0;
    (covered_s as f64 / seconds).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_light_is_given_up_soon() {
        let (start, end) = (UtcMillis(1_000), UtcMillis(1_000 + DAYS_MAX * DAY_MS));
        let all: Vec<_> = looks((start, end), QUARTER_MS).collect();
        assert_eq!(all.len(), 16, "of 38,400 quarters of an hour");
        assert_eq!((all[0].1, all[15].0), (end, start));
        assert!(all.windows(2).all(|pair| pair[0].0 == pair[1].1), "without a hole");
        assert_eq!(looks((start, end), i64::MAX).collect::<Vec<_>>(), [(start, end)]);
        assert_eq!(looks((start, start), QUARTER_MS).count(), 0);
    }
}
