//! A meter's counter, and what became of it from one reading to the next. Counters are not always what they should be: meters
//! are exchanged, lose their memory, or begin anew behind their last digit. Whatever happened is said, and nothing is counted
//! as used that no lamp could have used.
use crate::time::UtcMillis;

/// More than any lamp takes; the device contract refuses readings above it.
pub const POWER_W_MAX: i64 = 100_000;
/// Counted beyond what the time allows: a counter that is read in whole kilowatt-hours grows in steps.
const SLACK_WH: i64 = 2_000;
/// A counter that falls by less than this, and not by half, was read from a rounded display.
const WOBBLE_WH_MAX: i64 = 200;
/// Counters that begin anew behind their last digit: 9,999.9 kWh and so on, and 32 bits of watt-hours.
const ENDS_WH: [i64; 6] = [10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000, 1 << 32, 1 << 31];

/// What happened between two readings of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It grew by so many watt-hours.
    Grew(i64),
    /// It went over its last digit and grew by so many watt-hours in all.
    RolledOver(i64),
    /// It fell a little; the earlier reading stands.
    Wobbled,
    /// It began anew, or another meter took its place. What was used in between nobody knows.
    BeganAnew,
}

/// The step from `last_wh` to `now_wh`, read `elapsed_ms` later.
pub fn step(last_wh: i64, now_wh: i64, elapsed_ms: i64) -> Step {
    let most_wh = SLACK_WH.saturating_add(POWER_W_MAX.saturating_mul(elapsed_ms.max(0) / 1000) / 3600);
    let grown = now_wh.saturating_sub(last_wh);
    if grown >= 0 {
        return if grown <= most_wh { Step::Grew(grown) } else { Step::BeganAnew };
    }
    if -grown <= WOBBLE_WH_MAX && now_wh > last_wh / 2 {
        return Step::Wobbled;
    }
    // The smallest end that the counter had not passed yet.
    let end = ENDS_WH.into_iter().filter(|end| *end > last_wh && end - last_wh + now_wh <= most_wh).min();
    end.map_or(Step::BeganAnew, |end| Step::RolledOver(end - last_wh + now_wh))
}

/// A counter over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    pub first_wh: i64,
    /// The last reading that stands.
    pub last_wh: i64,
    /// By how much it grew in all; none while there is but one reading.
    pub grown_wh: Option<i64>,
    /// How often it began anew.
    pub breaks: u32,
    pub rollovers: u32,
}

impl Meter {
    pub const fn of(first_wh: i64) -> Self {
        Self { first_wh, last_wh: first_wh, grown_wh: None, breaks: 0, rollovers: 0 }
    }

    /// Goes on to another reading.
    pub fn read(&mut self, now_wh: i64, elapsed_ms: i64) {
        let grown = match step(self.last_wh, now_wh, elapsed_ms) {
            Step::Wobbled => return self.grow(0),
            Step::Grew(wh) => wh,
            Step::RolledOver(wh) => {
                self.rollovers += 1;
                wh
            }
            Step::BeganAnew => {
                self.breaks += 1;
                0
            }
        };
        self.grow(grown);
        self.last_wh = now_wh;
    }

    /// Goes on to a stretch that follows `elapsed_ms` later.
    pub fn join(&mut self, next: &Self, elapsed_ms: i64) {
        self.read(next.first_wh, elapsed_ms);
        self.grow(next.grown_wh.unwrap_or(0));
        self.last_wh = next.last_wh;
        self.breaks += next.breaks;
        self.rollovers += next.rollovers;
    }

    fn grow(&mut self, by_wh: i64) {
        self.grown_wh = Some(self.grown_wh.unwrap_or(0).saturating_add(by_wh));
    }
}

/// Readings of a counter in the order of their time.
pub fn meter(readings: impl IntoIterator<Item = (UtcMillis, i64)>) -> Option<Meter> {
    let mut readings = readings.into_iter();
    let (mut at, first_wh) = readings.next()?;
    let mut meter = Meter::of(first_wh);
    for (next_at, wh) in readings {
        meter.read(wh, next_at.since(at));
        at = next_at;
    }
    Some(meter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HALF_MINUTE: i64 = 30_000;

    #[test]
    fn a_counter_grows_falls_and_begins_anew() {
        assert_eq!(step(100, 100, HALF_MINUTE), Step::Grew(0));
        assert_eq!(step(100, 103, HALF_MINUTE), Step::Grew(3));
        assert_eq!(step(1_245_600, 1_245_500, HALF_MINUTE), Step::Wobbled, "a display of tenths of a kilowatt-hour");
        assert_eq!(step(1_245_600, 0, HALF_MINUTE), Step::BeganAnew);
        assert_eq!(step(130, 5, HALF_MINUTE), Step::BeganAnew);
        assert_eq!(step(1_245_600, 8_000_000, HALF_MINUTE), Step::BeganAnew, "another meter with more on it");
        assert_eq!(step(1_000, 801_000, 8 * 3_600_000), Step::Grew(800_000), "a night of 100 kW after a silence");
        assert_eq!(step(9_999_990, 15, HALF_MINUTE), Step::RolledOver(25));
        assert_eq!(step(99_999_900, 100, HALF_MINUTE), Step::RolledOver(200));
        assert_eq!(step((1 << 32) - 1, 0, HALF_MINUTE), Step::RolledOver(1));
        assert_eq!(step(9_500_000, 15, HALF_MINUTE), Step::BeganAnew, "500 kWh short of its last digit");
    }

    #[test]
    fn a_wobble_costs_nothing_and_adds_nothing() {
        let at = |n: i64| UtcMillis(n * HALF_MINUTE);
        let m = meter([(at(0), 1_000_000), (at(1), 999_900), (at(2), 1_000_000), (at(3), 1_000_100)]).unwrap();
        assert_eq!((m.grown_wh, m.breaks, m.last_wh), (Some(100), 0, 1_000_100));
    }

    proptest! {
        /// Cutting a meter's life into stretches changes nothing but for wobbles at the cuts, of which there are none here.
        #[test]
        fn stretches_join(grown in prop::collection::vec(0_i64..700, 2..60), cut in 1_usize..59, start in 0_i64..1 << 40) {
            let mut wh = start;
            let readings: Vec<(UtcMillis, i64)> = grown.iter().enumerate().map(|(n, by)| {
                wh += by;
                (UtcMillis(n as i64 * HALF_MINUTE), wh)
            }).collect();
            let whole = meter(readings.iter().copied()).unwrap();
            prop_assert_eq!(whole.grown_wh, Some(wh - readings[0].1));
            let (early, late) = readings.split_at(cut.min(readings.len() - 1));
            let mut joined = meter(early.iter().copied()).unwrap();
            joined.join(&meter(late.iter().copied()).unwrap(), HALF_MINUTE);
            prop_assert_eq!(joined, whole);
        }

        /// Never negative, and never more than the time allows.
        #[test]
        fn nothing_is_counted_that_cannot_be(last in 0_i64..1 << 40, now in 0_i64..1 << 40, elapsed_s in 0_i64..1 << 30) {
            match step(last, now, elapsed_s * 1000) {
                Step::Grew(wh) | Step::RolledOver(wh) => {
                    prop_assert!((0..=SLACK_WH + POWER_W_MAX * elapsed_s / 3600).contains(&wh));
                }
                Step::Wobbled => prop_assert!(last - now <= WOBBLE_WH_MAX),
                Step::BeganAnew => {}
            }
        }
    }
}
