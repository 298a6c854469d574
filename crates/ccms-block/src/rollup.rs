//! The quarters of one light's day (of UTC) as two bodies: the ledger, which sums over a city read by the ten thousand, and what was
//! measured, which is asked for one light at a time.
use std::io::{Read, Write};

use ccms_core::ids::DeviceNo;
use ccms_core::meter::{Count, Meter};
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

/// Of a ledger, and of whole days. The first did not say whose counter was read, nor how much it grew before it began anew.
pub(crate) const VERSION: u8 = 2;
/// Stands for a device that nobody knows.
const NOBODY: i64 = 0;

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
    all(&|m| m.first.wh);
    all(&|m| m.last.wh.wrapping_sub(m.first.wh));
    all(&|m| m.grown_wh.unwrap_or(0).wrapping_sub(m.last.wh.wrapping_sub(m.first.wh)));
    all(&|m| m.breaks.into());
    all(&|m| m.rollovers.into());
    all(&put_at_first);
    all(&|m| put_device(m.first));
    all(&|m| put_device(m.last) - put_device(m.first));

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
    Ok((frame::wrap_as(VERSION, &ledger), frame::wrap(&packed)))
}

/// Time and energy of the quarters of a day.
///
/// # Errors
/// The body is damaged or of a later version.
pub fn decode_ledger(day: Day, ledger: &[u8]) -> Result<Vec<Ledger>, BlockError> {
    let (version, mut body) = frame::unwrap_upto(VERSION, ledger)?;
    let body = &mut body;
    let count = take_number(body)?;
    if count > QUARTERS_MAX {
        return Err(BlockError::TooLarge(count));
    }
    let slots = series::take(body, count)?;
    let [samples, first_s, last_s, covered_s, on_s, what] = columns(body, count)?;
    let metered = what.iter().filter(|w| *w & METERED != 0).count();
    let [first_wh, spans, extra, breaks, rollovers] = columns(body, metered)?;
    let whose = take_whose(version, body, metered)?;
    if !body.is_empty() {
        return Err(BlockError::Damaged("something follows its end"));
    }
    let mut meters = 0..;
    let mut quarters = Vec::with_capacity(count);
    for i in 0..count {
        let meter = if what[i] & METERED != 0 {
            let m = meters.next().unwrap_or_default();
            let grown_wh = (what[i] & GREW != 0).then(|| spans[m].wrapping_add(extra[m]));
            Some(whose.meter(
                m,
                (first_wh[m], first_wh[m].wrapping_add(spans[m])),
                grown_wh,
                (breaks[m], rollovers[m]),
            )?)
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

/// How much of it a counter grew before it began anew, where that is not all.
pub(crate) fn put_at_first(meter: &Meter) -> i64 {
    if meter.breaks > 0 { meter.grown_at_first_wh } else { 0 }
}

pub(crate) fn put_device(count: Count) -> i64 {
    count.device.map_or(NOBODY, |device| device.0.into())
}

/// What the first version did not say of counters.
pub(crate) struct Whose(Option<[Vec<i64>; 3]>);

pub(crate) fn take_whose(version: u8, body: &mut &[u8], metered: usize) -> Result<Whose, BlockError> {
    Ok(Whose(if version < VERSION { None } else { Some(columns(body, metered)?) }))
}

impl Whose {
    /// Where devices are kept as differences from the numbers of their lights.
    pub fn of_lights(mut self, lights: impl Iterator<Item = i64>) -> Self {
        if let Some([_, first, _]) = &mut self.0 {
            first.iter_mut().zip(lights).for_each(|(device, light)| *device = device.wrapping_add(light));
        }
        self
    }

    pub fn meter(
        &self,
        m: usize,
        (first_wh, last_wh): (i64, i64),
        grown_wh: Option<i64>,
        (breaks, rollovers): (i64, i64),
    ) -> Result<Meter, BlockError> {
        let [at_first_wh, first, last] = match &self.0 {
            Some([at_first, first, more]) => [at_first[m], first[m], first[m].wrapping_add(more[m])],
            None => [grown_wh.unwrap_or(0), NOBODY, NOBODY],
        };
        let device = |no: i64| if no == NOBODY { Ok(None) } else { Ok(Some(DeviceNo(fit(no)?))) };
        let breaks = fit(breaks)?;
        Ok(Meter {
            first: Count { wh: first_wh, device: device(first)? },
            last: Count { wh: last_wh, device: device(last)? },
            grown_wh,
            grown_at_first_wh: if breaks > 0 { at_first_wh } else { grown_wh.unwrap_or(0) },
            breaks,
            rollovers: fit(rollovers)?,
        })
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = Day(20_439);

    /// As it was written before a counter had a device.
    #[test]
    #[allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]
    fn a_ledger_of_the_first_version_is_read() {
        let mut body = Vec::new();
        put_number(&mut body, 2);
        let columns: [[i64; 2]; 7] =
            [[5, 8], [3, 1], [0, 7], [60, 7], [120, 100], [120, 0], [METERED | GREW | ENDED_ON, 0]];
        columns.iter().for_each(|column| series::put(&mut body, column.iter().copied()));
        [8_000_000_i64, 20, 5, 1, 0].iter().for_each(|number| series::put(&mut body, [*number]));
        let quarters = decode_ledger(DAY, &frame::wrap(&body)).unwrap();
        let count = |wh| Count { wh, device: None };
        let meter = Meter {
            first: count(8_000_000),
            last: count(8_000_020),
            grown_wh: Some(25),
            grown_at_first_wh: 25,
            breaks: 1,
            rollovers: 0,
        };
        assert_eq!((quarters.len(), quarters[0].meter, quarters[1].meter), (2, Some(meter), None));
        assert_eq!((quarters[0].samples, quarters[0].last_on, quarters[1].first_s), (3, true, 7));
        // Written anew it stays what it is, and nobody takes it for wrong.
        let again: Vec<Quarter> =
            quarters.iter().map(|ledger| Quarter { ledger: *ledger, measured: Measured::default() }).collect();
        let (written, _) = encode_quarters(DAY, &again).unwrap();
        assert_eq!(decode_ledger(DAY, &written).unwrap(), quarters);
        let of = |first: u32, last: u32, breaks: u32| {
            let [first, last] = [first, last].map(|no| Some(DeviceNo(no)));
            let meter = Meter {
                first: Count { device: first, ..meter.first },
                last: Count { device: last, ..meter.last },
                grown_at_first_wh: 3,
                breaks,
                ..meter
            };
            Ledger { meter: Some(meter), ..quarters[0] }
        };
        assert!(quarters[0].is_kept_of(&of(7, 7, 1)) && quarters[0].is_kept_of(&of(7, 8, 2)));
        assert!(!quarters[0].is_kept_of(&of(7, 7, 2)) && !quarters[0].is_kept_of(&quarters[1]));
        assert!(!of(7, 7, 1).is_kept_of(&of(8, 8, 1)), "it is known whose it is");
        assert_eq!(decode_ledger(DAY, &frame::wrap_as(3, &body)), Err(BlockError::Version(3)));
    }
}
