//! What a day (of UTC) of one light came to, and how it hangs together with the days around it: as much as [`Tally`] needs to put it
//! together with others in the place of ninety-six quarters. Many lights' days are one body, so that a month of a city is read in
//! pieces of thousands of days.
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::Day;

use crate::frame::{put_number, take_number};
use crate::quarter::{Ledger, QUARTER_MS, Sum, Tally};
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

/// The quarters in which the counter was read first and last, and what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counter {
    pub first: UtcMillis,
    pub first_wh: i64,
    pub last: UtcMillis,
    pub last_wh: i64,
}

impl Daily {
    /// None of a day without quarters.
    pub fn of(quarters: &[Ledger]) -> Option<Self> {
        let (first, last) = (quarters.first()?, quarters.last()?);
        let (mut tally, mut sum) = (Tally::default(), Sum::default());
        quarters.iter().for_each(|quarter| tally.add(quarter, &mut sum));
        let mut metered = quarters.iter().filter_map(|q| Some((q.begins, q.meter?)));
        let counter = metered.next().map(|start| {
            let end = metered.next_back().unwrap_or(start);
            Counter { first: start.0, first_wh: start.1.first_wh, last: end.0, last_wh: end.1.last_wh }
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
    let metered: Vec<(Counter, &Sum)> = lights.iter().filter_map(|(_, d)| Some((d.counter?, &d.sum))).collect();
    let mut all = |of: &dyn Fn(&(Counter, &Sum)) -> i64| series::put(&mut body, metered.iter().map(of));
    all(&|(c, _)| slot(c.first));
    all(&|(c, _)| slot(c.last));
    all(&|(c, _)| c.first_wh);
    all(&|(c, _)| c.last_wh.wrapping_sub(c.first_wh));
    all(&|(c, sum)| sum.energy_wh.unwrap_or(0).wrapping_sub(c.last_wh.wrapping_sub(c.first_wh)));
    all(&|(_, sum)| sum.meter_breaks.into());
    all(&|(_, sum)| sum.meter_rollovers.into());
    Ok(frame::wrap(&body))
}

/// What a day of some lights came to.
///
/// # Errors
/// The body is damaged or of a later version.
pub fn decode_daily(day: Day, body: &[u8]) -> Result<Vec<(LightNo, Daily)>, BlockError> {
    let body = &mut frame::unwrap(body)?;
    let count = take_number(body)?;
    if count > LIGHTS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let [no, samples, covered_s, on_s] = columns(body, count)?;
    let [first, first_s, last, last_s, what] = columns(body, count)?;
    let metered = what.iter().filter(|w| *w & METERED != 0).count();
    let [read_first, read_last, first_wh, span, extra, breaks, rollovers] = columns(body, metered)?;
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
            let last_wh = first_wh[m].wrapping_add(span[m]);
            counter =
                Some(Counter { first: at(read_first[m])?, first_wh: first_wh[m], last: at(read_last[m])?, last_wh });
            sum.energy_wh = (what[i] & GREW != 0).then(|| span[m].wrapping_add(extra[m]));
            (sum.meter_breaks, sum.meter_rollovers) = (fit(breaks[m])?, fit(rollovers[m])?);
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
