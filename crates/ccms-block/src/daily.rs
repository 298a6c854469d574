//! What a day (of UTC) of one light came to, and how it hangs together with the days around it: as much as [`Tally`] needs to put it
//! together with others in the place of ninety-six quarters. Many lights' days are one body, so that a month of a city is read in
//! pieces of thousands of days.
use ccms_core::ids::LightNo;
use ccms_core::meter::Meter;
use ccms_core::time::UtcMillis;
use ccms_store::Day;

use crate::frame::{put_number, take_number};
use crate::quarter::{Ledger, QUARTER_MS, Sum, Tally, elapsed_ms};
use crate::rollup::{VERSION, put_at_first, put_device, take_whose};
use crate::{BlockError, frame, series};

/// Lights of one body.
const LIGHTS_MAX: usize = 1 << 16;
const QUARTERS: i64 = 96;

/// The lamp was on at its last reading; the counter was read; it was read more than once.
const ENDED_ON: i64 = 1;
const METERED: i64 = 2;
const GREW: i64 = 4;

/// A light's day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Daily {
    /// Of its quarters alone.
    pub sum: Sum,
    pub(crate) first: Edge,
    pub(crate) last: Edge,
    pub(crate) last_on: bool,
    pub(crate) counter: Option<Counter>,
}

/// A reading at one end of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edge {
    /// Of its quarter.
    pub begins: UtcMillis,
    /// Behind that.
    pub second: u32,
}

/// The quarters in which the counter was read first and last, and what became of it. What it grew and how often it began anew is in the
/// sum of the day as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counter {
    pub first: UtcMillis,
    pub last: UtcMillis,
    pub meter: Meter,
}

impl Daily {
    /// None of a day without quarters.
    pub fn of(quarters: &[Ledger]) -> Option<Self> {
        let (first, last) = (quarters.first()?, quarters.last()?);
        let (mut tally, mut sum) = (Tally::default(), Sum::default());
        quarters.iter().for_each(|quarter| tally.add(quarter, &mut sum));
        let metered =
            quarters.iter().filter_map(|q| Some(Counter { first: q.begins, last: q.begins, meter: q.meter? }));
        let counter = metered.reduce(|mut day, quarter| {
            day.meter.join(&quarter.meter, elapsed_ms(day.last, quarter.first));
            Counter { last: quarter.last, ..day }
        });
        Some(Self {
            sum,
            first: Edge { begins: first.begins, second: first.first_s },
            last: Edge { begins: last.begins, second: last.last_s },
            last_on: last.last_on,
            counter,
        })
    }
}

/// Packs what a day of these lights came to, in the order of their numbers.
///
/// # Errors
/// Another order, another day, or too many.
pub fn encode_daily(day: Day, lights: &[(LightNo, Daily)]) -> Result<Vec<u8>, BlockError> {
    if lights.len() > LIGHTS_MAX {
        return Err(BlockError::TooLarge(lights.len()));
    }
    let slot = |at: UtcMillis| (at.0 - day.begins().0).div_euclid(QUARTER_MS);
    let inside = |d: &Daily| {
        let counter = d.counter.map_or([d.first.begins; 2], |c| [c.first, c.last]);
        [d.first.begins, d.last.begins, counter[0], counter[1]].iter().all(|at| (0..QUARTERS).contains(&slot(*at)))
    };
    if !lights.iter().all(|(_, d)| inside(d)) || lights.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err(BlockError::OutOfOrder);
    }
    let mut body = Vec::with_capacity(24 * lights.len());
    put_number(&mut body, lights.len());
    let mut all = |of: &dyn Fn(&(LightNo, Daily)) -> i64| series::put(&mut body, lights.iter().map(of));
    all(&|(no, _)| no.0.into());
    all(&|(_, d)| d.sum.samples.into());
    all(&|(_, d)| d.sum.covered_s as i64);
    all(&|(_, d)| d.sum.on_s as i64);
    all(&|(_, d)| slot(d.first.begins));
    all(&|(_, d)| d.first.second.into());
    all(&|(_, d)| slot(d.last.begins));
    all(&|(_, d)| d.last.second.into());
    all(&|(_, d)| {
        let metered = if d.counter.is_some() { METERED } else { 0 };
        let grew = if d.sum.energy_wh.is_some() { GREW } else { 0 };
        metered | grew | if d.last_on { ENDED_ON } else { 0 }
    });
    let metered: Vec<(LightNo, Counter)> = lights.iter().filter_map(|(no, d)| Some((*no, d.counter?))).collect();
    let mut all = |of: &dyn Fn(&(LightNo, Counter)) -> i64| series::put(&mut body, metered.iter().map(of));
    let span = |m: &Meter| m.last.wh.wrapping_sub(m.first.wh);
    all(&|(_, c)| slot(c.first));
    all(&|(_, c)| slot(c.last));
    all(&|(_, c)| c.meter.first.wh);
    all(&|(_, c)| span(&c.meter));
    all(&|(_, c)| c.meter.grown_wh.unwrap_or(0).wrapping_sub(span(&c.meter)));
    all(&|(_, c)| c.meter.breaks.into());
    all(&|(_, c)| c.meter.rollovers.into());
    all(&|(_, c)| put_at_first(&c.meter));
    // Mostly a controller has the number of its light.
    all(&|(no, c)| put_device(c.meter.first) - i64::from(no.0));
    all(&|(_, c)| put_device(c.meter.last) - put_device(c.meter.first));
    Ok(frame::wrap_as(VERSION, &body))
}

/// What a day of some lights came to.
///
/// # Errors
/// The body is damaged or of a later version.
pub fn decode_daily(day: Day, body: &[u8]) -> Result<Vec<(LightNo, Daily)>, BlockError> {
    let (version, mut body) = frame::unwrap_upto(VERSION, body)?;
    let body = &mut body;
    let count = take_number(body)?;
    if count > LIGHTS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let [no, samples, covered_s, on_s] = columns(body, count)?;
    let [first, first_s, last, last_s, what] = columns(body, count)?;
    let metered = what.iter().filter(|w| *w & METERED != 0).count();
    let [read_first, read_last, first_wh, span, extra, breaks, rollovers] = columns(body, metered)?;
    let lights_of = (0..count).filter(|i| what[*i] & METERED != 0).map(|i| no[i]);
    let whose = take_whose(version, body, metered)?.of_lights(lights_of);
    if !body.is_empty() {
        return Err(BlockError::Damaged("something follows its end"));
    }
    let at = |slot: i64| {
        let inside = (0..QUARTERS).contains(&slot);
        if inside { Ok(UtcMillis(day.begins().0 + slot * QUARTER_MS)) } else { Err(OUT_OF_RANGE) }
    };
    let mut meters = 0..;
    let mut lights = Vec::with_capacity(count);
    for i in 0..count {
        let mut sum = Sum {
            samples: fit(samples[i])?,
            covered_s: fit(covered_s[i])?,
            on_s: fit(on_s[i])?,
            energy_wh: None,
            meter_breaks: 0,
            meter_rollovers: 0,
        };
        let mut counter = None;
        if what[i] & METERED != 0 {
            let m = meters.next().unwrap_or_default();
            let wh = (first_wh[m], first_wh[m].wrapping_add(span[m]));
            let grown_wh = (what[i] & GREW != 0).then(|| span[m].wrapping_add(extra[m]));
            let meter = whose.meter(m, wh, grown_wh, (breaks[m], rollovers[m]))?;
            counter = Some(Counter { first: at(read_first[m])?, last: at(read_last[m])?, meter });
            sum.energy_wh = meter.grown_wh;
            (sum.meter_breaks, sum.meter_rollovers) = (meter.breaks, meter.rollovers);
        }
        let daily = Daily {
            sum,
            first: Edge { begins: at(first[i])?, second: fit(first_s[i])? },
            last: Edge { begins: at(last[i])?, second: fit(last_s[i])? },
            last_on: what[i] & ENDED_ON != 0,
            counter,
        };
        lights.push((LightNo(fit(no[i])?), daily));
    }
    Ok(lights)
}

const OUT_OF_RANGE: BlockError = BlockError::Damaged("a value is out of range");

fn fit<T: TryFrom<i64>>(value: i64) -> Result<T, BlockError> {
    T::try_from(value).map_err(|_| OUT_OF_RANGE)
}

fn columns<const N: usize>(body: &mut &[u8], count: usize) -> Result<[Vec<i64>; N], BlockError> {
    let mut columns = [const { Vec::new() }; N];
    for column in &mut columns {
        *column = series::take(body, count)?;
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use ccms_core::meter::Count;

    use super::*;

    /// As it was written before a counter had a device.
    #[test]
    #[allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]
    fn days_of_the_first_version_are_read() {
        let mut body = Vec::new();
        put_number(&mut body, 1);
        let what = METERED | GREW;
        [17, 3, 120, 60, 5, 1, 8, 7, what].iter().for_each(|number| series::put(&mut body, [*number]));
        [5_i64, 8, 1_000, 20, 5, 1, 0].iter().for_each(|number| series::put(&mut body, [*number]));
        let lights = decode_daily(Day(1), &frame::wrap(&body)).unwrap();
        let (no, daily) = lights[0];
        let meter = daily.counter.unwrap().meter;
        assert_eq!((no, daily.sum.energy_wh, daily.sum.meter_breaks), (LightNo(17), Some(25), 1));
        assert_eq!((meter.first, meter.last), (Count { wh: 1_000, device: None }, Count { wh: 1_020, device: None }));
        assert_eq!(decode_daily(Day(1), &encode_daily(Day(1), &lights).unwrap()).unwrap(), lights);
    }
}
