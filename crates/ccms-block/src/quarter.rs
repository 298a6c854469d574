//! What a quarter of an hour of one light came to.
//!
//! A quarter is made of its own readings alone, so that a late one changes no other. What reaches over its end (a lamp that stays as
//! it last said, a counter that was read before and is read after) is added where quarters are put together: [`Sum`].
use ccms_core::limits;
use ccms_core::meter::{self, Count, Meter};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};

use crate::Daily;

/// Length of a quarter.
pub const QUARTER_S: u32 = 900;
pub(crate) const QUARTER_MS: i64 = 1000 * QUARTER_S as i64;
/// A lamp counts as having stayed as reported for this long at most.
const HOLDS_S: u32 = limits::OFFLINE_AFTER_S;
/// Days for which a counter is remembered that was not read although its light was heard of. Where nothing was heard at all it is remembered
/// for ever: the last day before is then the one that has it. So whoever begins in the middle knows what to read of what was before.
pub const COUNTER_KEPT_DAYS: u16 = 7;
const HOLDS_MS: i64 = 1000 * HOLDS_S as i64;

/// Time and energy of a quarter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ledger {
    pub begins: UtcMillis,
    pub samples: u32,
    /// The first and the last reading, seconds behind the beginning.
    pub first_s: u32,
    pub last_s: u32,
    /// Seconds that its own readings speak for, and seconds with the lamp on.
    pub covered_s: u32,
    pub on_s: u32,
    /// Whether the lamp was on at its last reading.
    pub last_on: bool,
    pub meter: Option<Meter>,
}

/// A value over a quarter, in the units of [`Reading`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    pub count: u32,
    pub min: i64,
    /// Rounded.
    pub mean: i64,
    pub max: i64,
}

/// What was measured in a quarter; none where no reading had the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured(pub [Option<Spread>; Value::ALL.len()]);

/// The values that are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    BrightnessPercent,
    TemperatureDc,
    BatteryPercent,
    SignalPercent,
    VoltageDv,
    CurrentMa,
    PowerDw,
}

impl Value {
    pub const ALL: [Self; 7] = [
        Self::BrightnessPercent,
        Self::TemperatureDc,
        Self::BatteryPercent,
        Self::SignalPercent,
        Self::VoltageDv,
        Self::CurrentMa,
        Self::PowerDw,
    ];

    fn of(self, r: &Reading) -> Option<i64> {
        match self {
            Self::BrightnessPercent => r.brightness_percent.map(i64::from),
            Self::TemperatureDc => r.temperature_dc.map(i64::from),
            Self::BatteryPercent => r.battery_percent.map(i64::from),
            Self::SignalPercent => r.signal_percent.map(i64::from),
            Self::VoltageDv => r.voltage_dv.map(i64::from),
            Self::CurrentMa => r.current_ma.map(i64::from),
            Self::PowerDw => r.power_dw.map(i64::from),
        }
    }
}

impl Measured {
    pub fn get(&self, value: Value) -> Option<Spread> {
        self.0[value as usize]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarter {
    pub ledger: Ledger,
    pub measured: Measured,
}

/// The beginning of the quarter around an instant.
pub fn quarter_of(at: UtcMillis) -> UtcMillis {
    UtcMillis(at.0 - at.0.rem_euclid(QUARTER_MS))
}

/// The quarters that readings of one light come to, in their order. Readings have to be in the order of their time; those with a clock
/// that cannot be right are left out. What holds on does so no longer than until `now`.
pub fn quarters(rows: &[ReadingRow], now: UtcMillis) -> Vec<Quarter> {
    let believed: Vec<&ReadingRow> =
        rows.iter().filter(|r| !r.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)).collect();
    let begins = |row: &&ReadingRow| quarter_of(row.reading.reported_at);
    believed.chunk_by(|a, b| begins(a) == begins(b)).map(|rows| quarter(begins(&rows[0]), rows, now)).collect()
}

fn quarter(begins: UtcMillis, rows: &[&ReadingRow], now: UtcMillis) -> Quarter {
    let at = |row: &ReadingRow| row.reading.reported_at.0 - begins.0;
    let is_on = |row: &ReadingRow| row.reading.power_state == Some(PowerState::On);
    let end = QUARTER_MS.min(now.0.saturating_sub(begins.0));
    let (mut covered_ms, mut on_ms) = (0, 0);
    for (i, row) in rows.iter().enumerate() {
        let until = rows.get(i + 1).map_or(end, |next| at(next));
        let held = ((at(row) + HOLDS_MS).min(until) - at(row)).max(0);
        covered_ms += held;
        on_ms += if is_on(row) { held } else { 0 };
    }
    let counters = rows.iter().filter_map(|r| {
        let count = Count { wh: r.reading.energy_wh?, device: Some(r.device_no) };
        Some((r.reading.reported_at, count))
    });
    let last = rows[rows.len() - 1];
    let ledger = Ledger {
        begins,
        samples: rows.len() as u32,
        first_s: (at(rows[0]) / 1000) as u32,
        last_s: (at(last) / 1000) as u32,
        covered_s: (covered_ms / 1000) as u32,
        on_s: (on_ms / 1000) as u32,
        last_on: is_on(last),
        meter: meter::meter(counters),
    };
    let spread = |value: Value| spread(rows.iter().filter_map(|r| value.of(&r.reading)));
    Quarter { ledger, measured: Measured(Value::ALL.map(spread)) }
}

fn spread(values: impl Iterator<Item = i64>) -> Option<Spread> {
    let (mut count, mut sum, mut min, mut max) = (0, 0_i64, i64::MAX, i64::MIN);
    for value in values {
        (count, sum, min, max) = (count + 1, sum + value, min.min(value), max.max(value));
    }
    let half = i64::from(count / 2);
    let mean = || (sum + if sum < 0 { -half } else { half }) / i64::from(count);
    (count > 0).then(|| Spread { count, min, mean: mean(), max })
}

/// What quarters of one light come to, put together in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    pub samples: u32,
    pub covered_s: u64,
    pub on_s: u64,
    /// By how much the counter grew since the last time it was read before; none when it never was.
    pub energy_wh: Option<i64>,
    /// How often the counter began anew, or another meter took its place.
    pub meter_breaks: u32,
    pub meter_rollovers: u32,
}

/// Puts quarters of one light together, over any stretches of time; where a whole day is wanted, its [`Daily`] stands for them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// The quarter before, whichever stretch it belongs to.
    before: Option<Before>,
    /// In which quarter the counter was read last, and what it said.
    counter: Option<(UtcMillis, Count)>,
    /// Whether a day came since then that has readings, and no counter in any.
    is_bare: bool,
}

/// What reaches over the end of a quarter.
#[derive(Debug, Clone, Copy)]
struct Before {
    ends: UtcMillis,
    holds_s: u32,
    is_on: bool,
}

impl Tally {
    /// Whether nothing came yet.
    pub fn is_new(&self) -> bool {
        self.before.is_none()
    }

    /// Whether something came and the counter was in none of it.
    pub fn lacks_counter(&self) -> bool {
        self.before.is_some() && self.counter.is_none()
    }

    /// Goes on to the next quarter without counting it: it is in front of what is asked for.
    pub fn skip(&mut self, quarter: &Ledger) {
        self.add(quarter, &mut Sum::default());
    }

    /// Adds the next quarter, and what reaches into it from before.
    pub fn add(&mut self, quarter: &Ledger, sum: &mut Sum) {
        self.arrive_at(quarter.begins);
        self.reach_over((quarter.begins, quarter.first_s), sum);
        self.end_at((quarter.begins, quarter.last_s), quarter.last_on);
        sum.samples += quarter.samples;
        sum.covered_s += u64::from(quarter.covered_s);
        sum.on_s += u64::from(quarter.on_s);
        if let Some(meter) = &quarter.meter {
            self.count((quarter.begins, quarter.begins), meter, sum);
        }
    }

    /// Adds the next day, and what reaches into it from before.
    pub fn add_day(&mut self, day: &Daily, sum: &mut Sum) {
        self.arrive_at(day.first.begins);
        self.reach_over((day.first.begins, day.first.second), sum);
        self.end_at((day.last.begins, day.last.second), day.last_on);
        sum.samples += day.sum.samples;
        sum.covered_s += day.sum.covered_s;
        sum.on_s += day.sum.on_s;
        if let Some(counter) = &day.counter {
            self.count((counter.first, counter.last), &counter.meter, sum);
        }
    }

    fn arrive_at(&mut self, begins: UtcMillis) {
        let (Some(before), Some((counted, _))) = (self.before, self.counter) else { return };
        let last = Day::of(UtcMillis(before.ends.0 - QUARTER_MS));
        self.is_bare |= last != Day::of(counted) && last != Day::of(begins);
    }

    /// A lamp stays as it last said, until its next reading.
    fn reach_over(&self, (begins, first_s): (UtcMillis, u32), sum: &mut Sum) {
        if let Some(before) = self.before.filter(|before| before.ends == begins) {
            let held = before.holds_s.min(first_s);
            sum.covered_s += u64::from(held);
            sum.on_s += u64::from(if before.is_on { held } else { 0 });
        }
    }

    fn end_at(&mut self, (begins, last_s): (UtcMillis, u32), is_on: bool) {
        let ends = UtcMillis(begins.0 + QUARTER_MS);
        self.before = Some(Before { ends, holds_s: (last_s + HOLDS_S).saturating_sub(QUARTER_S), is_on });
    }

    /// From the counter as it was read before through one that was read from the first of these quarters to the last.
    fn count(&mut self, (first, last): (UtcMillis, UtcMillis), meter: &Meter, sum: &mut Sum) {
        let days_since = |began| Day::of(first).0 - Day::of(began).0;
        let known = self.counter.filter(|(began, _)| !self.is_bare || days_since(*began) <= COUNTER_KEPT_DAYS.into());
        let joined = match known {
            Some((began, before)) => {
                let mut joined = Meter::of(before);
                joined.join(meter, elapsed_ms(began, first));
                joined
            }
            None => *meter,
        };
        if let Some(wh) = joined.grown_wh {
            sum.energy_wh = Some(sum.energy_wh.unwrap_or(0).saturating_add(wh));
        }
        sum.meter_breaks += joined.breaks;
        sum.meter_rollovers += joined.rollovers;
        (self.counter, self.is_bare) = (Some((last, joined.last)), false);
    }
}

/// From a reading in one quarter to one in another, at most.
pub(crate) fn elapsed_ms(from: UtcMillis, to: UtcMillis) -> i64 {
    to.0 + QUARTER_MS - from.0
}

impl Ledger {
    pub fn ends(&self) -> UtcMillis {
        UtcMillis(self.begins.0 + QUARTER_MS)
    }

    /// Whether this, as it was kept, is what its readings came to. Before it was noted whose counter was read, another controller's was
    /// taken for the same.
    pub fn is_kept_of(&self, worked_out: &Self) -> bool {
        let (Some(kept), Some(mut meter)) = (self.meter, worked_out.meter) else { return self == worked_out };
        if kept.first.device.is_some() {
            return self == worked_out;
        }
        let is_one_device = meter.first.device == meter.last.device;
        (meter.first.device, meter.last.device) = (None, None);
        meter.grown_at_first_wh = kept.grown_at_first_wh;
        if !is_one_device {
            meter = Meter { first: meter.first, ..kept };
        }
        *self == Self { meter: Some(meter), ..*worked_out }
    }
}
