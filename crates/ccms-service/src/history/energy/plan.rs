//! What fits into one answer. The measure is the day of a light: of those that are read from ledgers each counts as one, of those that are
//! kept for many lights at a time a fraction. Pure.
use std::ops::Range;

use ccms_core::time::UtcMillis;
use ccms_store::Day;

use super::Stretch;
use crate::error::ServiceError;

/// Days of lights that one request may sum; one from a ledger takes three to five microseconds.
const LIGHT_DAYS_MAX: u64 = 1_000_000;
/// So many whole days of a light, kept with those of other lights, take as long as one from a ledger.
const DAILY_IN_ONE: u64 = 16;
/// Stretches of one request.
const STRETCHES_MAX: usize = 1_000;

/// What one answer is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Newest first.
    pub stretches: Vec<Stretch>,
    /// Groups of the newest stretch; of the others all.
    pub groups: Range<usize>,
    /// There are older stretches.
    pub more: bool,
}

/// One group is too much.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch {
    lights: u64,
    days: u64,
}

/// What is to be summed.
pub(super) struct Asked<'a> {
    /// Lights of each group.
    pub groups: &'a [u32],
    /// Whether they are so many of all that whole days are read as they are kept.
    pub many: bool,
    pub skip: usize,
    pub limit: usize,
    /// The newest stretch, and where the oldest may begin.
    pub newest: Stretch,
    pub start: UtcMillis,
}

impl Asked<'_> {
    /// As much as fills a page and can be summed in one go, newest first: some groups of the newest stretch, or all of several.
    pub fn plan(&self, before: impl Fn(Stretch) -> Stretch) -> Result<Plan, TooMuch> {
        let (skip, count) = (self.skip.min(self.groups.len()), self.groups.len());
        let mut plan = Plan { stretches: vec![self.newest], groups: skip..skip, more: self.newest.0 > self.start };
        let cost = self.cost(&plan.stretches);
        let mut lights = 0;
        for of_group in self.groups.iter().skip(skip).take(self.limit) {
            lights += u64::from(*of_group);
            if lights * cost > LIGHT_DAYS_MAX * DAILY_IN_ONE {
                break;
            }
            plan.groups.end += 1;
        }
        if plan.groups.is_empty() && skip < count && self.limit > 0 {
            return Err(TooMuch { lights, days: days_of(&plan.stretches) });
        }
        // There may be room for older stretches, of which all groups are summed.
        let wanted = self.limit.saturating_add(skip).div_ceil(count.max(1)).min(STRETCHES_MAX);
        let lights: u64 = self.groups.iter().map(|lights| u64::from(*lights)).sum();
        while plan.groups.end == count && plan.more && plan.stretches.len() < wanted {
            let oldest = plan.stretches[plan.stretches.len() - 1];
            plan.stretches.push(before(oldest));
            if lights * self.cost(&plan.stretches) > LIGHT_DAYS_MAX * DAILY_IN_ONE {
                plan.stretches.pop();
                break;
            }
            plan.more = plan.stretches.last().is_some_and(|oldest| oldest.0 > self.start);
        }
        Ok(plan)
    }

    /// Days of one light, in fractions.
    fn cost(&self, stretches: &[Stretch]) -> u64 {
        let whole = if self.many { stretches.iter().map(|s| whole_days(*s).count() as u64).sum() } else { 0 };
        (days_of(stretches) - whole) * DAILY_IN_ONE + whole
    }
}

/// Days of UTC that are read, and one for what was before.
fn days_of(stretches: &[Stretch]) -> u64 {
    let (Some(newest), Some(oldest)) = (stretches.first(), stretches.last()) else { return 0 };
    u64::from((Day::of(UtcMillis(newest.1.0 - 1)).0 - Day::of(oldest.0).0 + 2).unsigned_abs())
}

/// Days of UTC that are in a stretch from their beginning to their end.
pub(super) fn whole_days((from, to): Stretch) -> impl Iterator<Item = Day> {
    let (first, end) = (Day::of(UtcMillis(from.0 + 86_399_999)), Day::of(to));
    (first.0..end.0).map(Day)
}

impl From<TooMuch> for ServiceError {
    fn from(TooMuch { lights, days }: TooMuch) -> Self {
        let message = format!(
            "{lights} lights over {days} days are more than one request sums: {LIGHT_DAYS_MAX} days of a light, of which a whole day that is \
             asked for of most lights counts a {DAILY_IN_ONE}th. Ask for shorter stretches, as with resolution=day, or for smaller groups, as \
             with group=ward."
        );
        Self::Invalid { field: "resolution", message }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn at(hour: i64) -> UtcMillis {
        UtcMillis(hour * HOUR)
    }

    /// Months of 30 days, of a city that is six hours ahead.
    fn month(n: i64) -> Stretch {
        (at(720 * n - 6), at(720 * (n + 1) - 6))
    }

    fn asked(groups: &[u32], many: bool, skip: usize, limit: usize) -> Result<Plan, TooMuch> {
        let asked = Asked { groups, many, skip, limit, newest: month(9), start: month(0).0 };
        asked.plan(|(from, _)| (UtcMillis(from.0 - 720 * HOUR), from))
    }

    #[test]
    fn whole_days_are_those_of_utc() {
        let whole = |from, to| whole_days((at(from), at(to))).map(|day| day.0).collect::<Vec<_>>();
        assert_eq!(whole(0, 48), [0, 1]);
        assert_eq!(whole(-6, 66), [0, 1]);
        assert_eq!((whole(1, 47), whole(1, 24), whole(1, 25)), (vec![], vec![], vec![]));
    }

    #[test]
    fn a_month_of_a_large_city_fits_where_days_are_kept() {
        let plan = asked(&[100_000], true, 0, 1).unwrap();
        assert_eq!((plan.stretches, plan.groups, plan.more), (vec![month(9)], 0..1, true));
        assert_eq!(asked(&[100_000], false, 0, 1), Err(TooMuch { lights: 100_000, days: 32 }));
        assert_eq!(asked(&[250_000], true, 0, 1), Err(TooMuch { lights: 250_000, days: 32 }));
        // A year of 10,000 lights, and as much of more as fits.
        assert_eq!(asked(&[10_000], true, 0, 100).unwrap().stretches.len(), 10);
        assert_eq!(asked(&[40_000], true, 0, 100).unwrap().stretches.len(), 8);
    }

    #[test]
    fn a_page_has_the_groups_that_fit() {
        let wards = [30_000; 20];
        let page = |skip, limit| {
            let plan = asked(&wards, true, skip, limit).unwrap();
            (plan.stretches.len(), plan.groups, plan.more)
        };
        assert_eq!((page(0, 500), page(6, 500), page(18, 500)), ((1, 0..6, true), (1, 6..12, true), (1, 18..20, true)));
        assert_eq!((page(0, 2), page(19, 500), page(20, 500)), ((1, 0..2, true), (1, 19..20, true), (1, 20..20, true)));
        // One light each: only those of the page are summed.
        let lights = vec![1; 100_000];
        assert_eq!(asked(&lights, true, 99_900, 500).unwrap().groups, 99_900..100_000);
        assert_eq!(asked(&[1; 3], true, 2, 7).unwrap().stretches, [month(9), month(8), month(7)]);
    }
}
