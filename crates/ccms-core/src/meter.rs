//! A meter's counter, and what became of it from one reading to the next. Counters are not always what they should be: meters
//! are exchanged, lose their memory, or begin anew behind their last digit. Whatever happened is said, and nothing is counted
//! as used that no lamp could have used.
use crate::ids::DeviceNo;
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

/// What a counter said, and whose it is; of what was kept before that was noted nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub wh: i64,
    pub device: Option<DeviceNo>,
}

impl Count {
    fn is_anothers(self, than: Self) -> bool {
        self.device.zip(than.device).is_some_and(|(mine, theirs)| mine != theirs)
    }
}

/// A counter over a stretch of time. Each controller counts for itself: behind another one the counter began anew, whatever it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meter {
    pub first: Count,
    /// The last reading that stands, and the device that said the last one of all.
    pub last: Count,
    /// By how much it grew in all; none while there is but one reading.
    pub grown_wh: Option<i64>,
    /// By how much of that before it began anew for the first time.
    pub grown_at_first_wh: i64,
    /// How often it began anew.
    pub breaks: u32,
    pub rollovers: u32,
}

impl Meter {
    pub const fn of(first: Count) -> Self {
        Self { first, last: first, grown_wh: None, grown_at_first_wh: 0, breaks: 0, rollovers: 0 }
    }

    /// Goes on to another reading.
    pub fn read(&mut self, now: Count, elapsed_ms: i64) {
        let step = if now.is_anothers(self.last) { Step::BeganAnew } else { step(self.last.wh, now.wh, elapsed_ms) };
        let (stands_wh, grown_wh) = match step {
            Step::Wobbled => (self.last.wh, 0),
            Step::Grew(grown_wh) => (now.wh, grown_wh),
            Step::RolledOver(grown_wh) => {
                self.rollovers += 1;
                (now.wh, grown_wh)
            }
            Step::BeganAnew => {
                self.breaks += 1;
                (now.wh, 0)
            }
        };
        self.grow(grown_wh, grown_wh);
        self.last = Count { wh: stands_wh, device: now.device };
    }

    /// Goes on to a stretch that follows `elapsed_ms` later.
    pub fn join(&mut self, next: &Self, elapsed_ms: i64) {
        self.read(next.first, elapsed_ms);
        // Behind a wobble the way back up to where the counter had been is nothing that was used.
        let back_wh = self.last.wh.saturating_sub(next.first.wh).max(0);
        let done_wh = back_wh.min(next.grown_at_first_wh.max(0));
        self.grow(next.grown_wh.unwrap_or(0).saturating_sub(done_wh), next.grown_at_first_wh - done_wh);
        let stands_wh = if done_wh < back_wh && next.breaks == 0 { self.last.wh } else { next.last.wh };
        self.last = Count { wh: stands_wh, device: next.last.device };
        self.breaks += next.breaks;
        self.rollovers += next.rollovers;
    }

    fn grow(&mut self, by_wh: i64, of_it_at_first_wh: i64) {
        self.grown_wh = Some(self.grown_wh.unwrap_or(0).saturating_add(by_wh));
        if self.breaks == 0 {
            self.grown_at_first_wh = self.grown_at_first_wh.saturating_add(of_it_at_first_wh);
        }
    }
}

/// Readings of a counter in the order of their time.
pub fn meter(readings: impl IntoIterator<Item = (UtcMillis, Count)>) -> Option<Meter> {
    let mut readings = readings.into_iter();
    let (mut at, first) = readings.next()?;
    let mut meter = Meter::of(first);
    for (next_at, count) in readings {
        meter.read(count, next_at.since(at));
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

    /// Readings half a minute apart, each of a device.
    fn read(counts: &[(u32, i64)]) -> Meter {
        let one = |(n, (device, wh)): (usize, &(u32, i64))| {
            (UtcMillis(n as i64 * HALF_MINUTE), Count { wh: *wh, device: Some(DeviceNo(*device)) })
        };
        meter(counts.iter().enumerate().map(one)).unwrap()
    }

    /// The same, cut in two at every place.
    fn joined(counts: &[(u32, i64)]) -> Vec<Meter> {
        let cut = |at: usize| {
            let mut joined = read(&counts[..at]);
            joined.join(&read(&counts[at..]), HALF_MINUTE);
            joined
        };
        (1..counts.len()).map(cut).collect()
    }

    #[test]
    fn a_wobble_costs_nothing_and_adds_nothing() {
        let counts = [1_000_000, 999_900, 1_000_000, 1_000_100].map(|wh| (1, wh));
        let whole = read(&counts);
        assert_eq!((whole.grown_wh, whole.breaks, whole.last.wh), (Some(100), 0, 1_000_100));
        assert_eq!(joined(&counts), [whole; 3], "wherever it is cut");
        let mut days = Meter::of(Count { wh: 1_245_600, device: None });
        for n in 0..96 {
            days.join(&Meter::of(Count { wh: 1_245_600 - 100 * (n % 2), device: None }), 30 * HALF_MINUTE);
        }
        assert_eq!((days.grown_wh, days.last.wh), (Some(0), 1_245_600), "a display that cannot decide uses nothing");
    }

    #[test]
    fn a_meter_that_wobbles_and_then_begins_anew_is_joined_as_it_was() {
        let counts = [1_000_000, 999_900, 999_950, 0, 40, 80].map(|wh| (1, wh));
        assert_eq!(joined(&counts), [read(&counts); 5]);
        let counts = [9_999_990, 9_999_900, 9_999_995, 15, 20].map(|wh| (1, wh));
        assert_eq!((read(&counts).grown_wh, read(&counts).rollovers), (Some(30), 1));
        assert_eq!(joined(&counts), [read(&counts); 4]);
    }

    #[test]
    fn another_controller_counts_for_itself() {
        let less = [(1, 8_000_000), (1, 8_000_010), (2, 0), (2, 15)];
        let more = [(1, 1_000_000), (1, 1_000_010), (2, 1_000_400), (2, 1_000_415)];
        for counts in [less, more] {
            let whole = read(&counts);
            assert_eq!((whole.grown_wh, whole.breaks, whole.rollovers), (Some(25), 1, 0));
            assert_eq!(joined(&counts), [whole; 3]);
        }
        let silent_for_years = |device| {
            let mut meter = Meter::of(Count { wh: 8_000_000, device: Some(DeviceNo(1)) });
            meter.read(Count { wh: 0, device }, 1 << 40);
            (meter.grown_wh, meter.breaks, meter.rollovers)
        };
        assert_eq!(silent_for_years(Some(DeviceNo(2))), (Some(0), 1, 0));
        assert_eq!(silent_for_years(Some(DeviceNo(1))), (Some(2_000_000), 0, 1));
        assert_eq!(silent_for_years(None), (Some(2_000_000), 0, 1), "nobody knows whose it is");
    }

    proptest! {
        /// Cutting a meter's life into stretches changes nothing: not where its display wobbles, nor where it begins anew or another
        /// takes its place.
        #[test]
        fn stretches_join(
            steps in prop::collection::vec((0_i64..700, 0_i64..=100, 0_u8..20), 2..60),
            cuts in prop::collection::vec(1_usize..59, 1..4),
            start in 100_000_i64..1 << 40,
        ) {
            let (mut wh, mut device, mut used) = (start, 1, 0);
            let counts: Vec<(u32, i64)> = steps.iter().enumerate().map(|(n, (by, wobble, what))| {
                match what {
                    0 => wh -= 1_000,
                    1 => { device += 1; wh += 300; }
                    _ => { wh += by; used += if n > 0 { *by } else { 0 }; }
                }
                (device, wh - if n > 0 && *what > 1 && steps[n - 1].2 > 1 { *wobble } else { 0 })
            }).collect();
            let whole = read(&counts);
            let grown = whole.grown_wh.unwrap();
            prop_assert!((used - 100 * (1 + i64::from(whole.breaks))..=used).contains(&grown));
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(counts.len() - 1)).collect();
            cuts.extend([0, counts.len()]);
            cuts.sort_unstable();
            cuts.dedup();
            let mut pieces = cuts.windows(2).map(|w| read(&counts[w[0]..w[1]]));
            let mut joined = pieces.next().unwrap();
            pieces.for_each(|next| joined.join(&next, HALF_MINUTE));
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
