//! The quarters of one light's day (of UTC) as two bodies: the ledger, which sums over a city read by the ten thousand, and what was
//! measured, which is asked for one light at a time.
use std::io::{Read, Write};

use ccms_core::meter::Meter;
use ccms_core::time::UtcMillis;
use ccms_store::Day;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use crate::frame::{put_number, take_number};
use crate::quarter::{Ledger, Measured, QUARTER_MS, Quarter, Spread, Value};
use crate::{BlockError, frame, series};

/// Quarters of a day.
const QUARTERS_MAX: usize = 96;
/// A body that claims more is damaged: every number at its longest.
const MEASURED_BYTES_MAX: u64 = (QUARTERS_MAX * Value::ALL.len() * 4 * 10) as u64;

/// Of a ledger's quarter: there is a counter, it was read more than once, the lamp was on at the end.
const METERED: i64 = 1;
const GREW: i64 = 2;
const ENDED_ON: i64 = 4;

/// Packs the quarters of a day: ledger and measured values.
///
/// # Errors
/// A quarter is of another day, or they are not in the order of time.
pub fn encode_quarters(day: Day, quarters: &[Quarter]) -> Result<(Vec<u8>, Vec<u8>), BlockError> {
    let slot = |q: &Quarter| (q.ledger.begins.0 - day.begins().0).div_euclid(QUARTER_MS);
    let inside = quarters.iter().all(|q| (0..QUARTERS_MAX as i64).contains(&slot(q)));
    if !inside || quarters.windows(2).any(|pair| slot(&pair[0]) >= slot(&pair[1])) {
        return Err(BlockError::OutOfOrder);
    }
    let mut ledger = Vec::with_capacity(512);
    put_number(&mut ledger, quarters.len());
    let mut all = |of: &dyn Fn(&Quarter) -> i64| series::put(&mut ledger, quarters.iter().map(of));
    all(&slot);
    all(&|q| q.ledger.samples.into());
    all(&|q| q.ledger.first_s.into());
    all(&|q| q.ledger.last_s.into());
    all(&|q| q.ledger.covered_s.into());
    all(&|q| q.ledger.on_s.into());
    all(&|q| {
        let metered = q.ledger.meter.map_or(0, |m| METERED | if m.grown_wh.is_some() { GREW } else { 0 });
        metered | if q.ledger.last_on { ENDED_ON } else { 0 }
    });
    let meters: Vec<Meter> = quarters.iter().filter_map(|q| q.ledger.meter).collect();
    let mut all = |of: &dyn Fn(&Meter) -> i64| series::put(&mut ledger, meters.iter().map(of));
    all(&|m| m.first_wh);
    all(&|m| m.last_wh.wrapping_sub(m.first_wh));
    all(&|m| m.grown_wh.unwrap_or(0).wrapping_sub(m.last_wh.wrapping_sub(m.first_wh)));
    all(&|m| m.breaks.into());
    all(&|m| m.rollovers.into());

    let mut measured = Vec::with_capacity(1024);
    for value in Value::ALL {
        let of = |q: &Quarter| q.measured.get(value);
        let counts = quarters.iter().map(|q| of(q).map_or(0, |s| i64::from(s.count)) - i64::from(q.ledger.samples));
        series::put(&mut measured, counts);
        let spreads: Vec<Spread> = quarters.iter().filter_map(of).collect();
        series::put(&mut measured, spreads.iter().map(|s| s.mean));
        series::put(&mut measured, spreads.iter().map(|s| s.mean.wrapping_sub(s.min)));
        series::put(&mut measured, spreads.iter().map(|s| s.max.wrapping_sub(s.mean)));
    }
    let mut packed = DeflateEncoder::new(Vec::with_capacity(measured.len()), Compression::default());
    packed.write_all(&measured).map_err(|e| BlockError::Codec(e.to_string()))?;
    let packed = packed.finish().map_err(|e| BlockError::Codec(e.to_string()))?;
    Ok((frame::wrap(&ledger), frame::wrap(&packed)))
}

/// Time and energy of the quarters of a day.
///
/// # Errors
/// The body is damaged or of a later version.
pub fn decode_ledger(day: Day, ledger: &[u8]) -> Result<Vec<Ledger>, BlockError> {
    let body = &mut frame::unwrap(ledger)?;
    let count = take_number(body)?;
    if count > QUARTERS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let slots = series::take(body, count)?;
    let [samples, first_s, last_s, covered_s, on_s, what] = columns(body, count)?;
    let metered = what.iter().filter(|w| *w & METERED != 0).count();
    let [first_wh, spans, extra, breaks, rollovers] = columns(body, metered)?;
    if !body.is_empty() {
        return Err(BlockError::Damaged("something follows its end"));
    }
    let mut meters = 0..;
    let mut quarters = Vec::with_capacity(count);
    for i in 0..count {
        let meter = if what[i] & METERED != 0 {
            let m = meters.next().unwrap_or_default();
            Some(Meter {
                first_wh: first_wh[m],
                last_wh: first_wh[m].wrapping_add(spans[m]),
                grown_wh: (what[i] & GREW != 0).then(|| spans[m].wrapping_add(extra[m])),
                breaks: fit(breaks[m])?,
                rollovers: fit(rollovers[m])?,
            })
        } else {
            None
        };
        if !(0..QUARTERS_MAX as i64).contains(&slots[i]) {
            return Err(OUT_OF_RANGE);
        }
        quarters.push(Ledger {
            begins: UtcMillis(day.begins().0 + slots[i] * QUARTER_MS),
            samples: fit(samples[i])?,
            first_s: fit(first_s[i])?,
            last_s: fit(last_s[i])?,
            covered_s: fit(covered_s[i])?,
            on_s: fit(on_s[i])?,
            last_on: what[i] & ENDED_ON != 0,
            meter,
        });
    }
    Ok(quarters)
}

/// What was measured in the quarters of this ledger.
///
/// # Errors
/// The body is damaged, of a later version, or does not belong to this ledger.
pub fn decode_measured(ledger: &[Ledger], measured: &[u8]) -> Result<Vec<Measured>, BlockError> {
    let mut body = Vec::with_capacity(1024);
    let read = DeflateDecoder::new(frame::unwrap(measured)?).take(MEASURED_BYTES_MAX).read_to_end(&mut body);
    read.map_err(|_| BlockError::Damaged("it cannot be unpacked"))?;
    let body = &mut body.as_slice();
    let mut quarters = vec![Measured::default(); ledger.len()];
    for value in Value::ALL {
        let counts = series::take(body, ledger.len())?;
        let there = |i: usize| counts[i].wrapping_add(ledger[i].samples.into());
        let known = (0..ledger.len()).filter(|i| there(*i) != 0).count();
        let [means, below, above] = columns(body, known)?;
        let mut next = 0..;
        for (i, quarter) in quarters.iter_mut().enumerate().filter(|(i, _)| there(*i) != 0) {
            let k = next.next().unwrap_or_default();
            let (min, max) = (means[k].wrapping_sub(below[k]), means[k].wrapping_add(above[k]));
            quarter.0[value as usize] = Some(Spread { count: fit(there(i))?, min, mean: means[k], max });
        }
    }
    if body.is_empty() { Ok(quarters) } else { Err(BlockError::Damaged("something follows its end")) }
}

const OUT_OF_RANGE: BlockError = BlockError::Damaged("a value is out of range");

fn fit(value: i64) -> Result<u32, BlockError> {
    value.try_into().map_err(|_| OUT_OF_RANGE)
}

fn columns<const N: usize>(body: &mut &[u8], count: usize) -> Result<[Vec<i64>; N], BlockError> {
    let mut columns = [const { Vec::new() }; N];
    for column in &mut columns {
        *column = series::take(body, count)?;
    }
    Ok(columns)
}
