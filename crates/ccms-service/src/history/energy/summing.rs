//! The lights of a part go through their days in step, oldest first, and each leaves what it came to in the sum of its group. What is in
//! memory is one part of the lights, and of these some thousand days at a time, however many lights and days there are.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use ccms_block::{COUNTER_KEPT_DAYS, Ledger, Sum, Tally};
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{DailyPart, Day, LedgerDay, StoreError, StoreResult, part_of};

use super::plan::whole_days;
use super::{Groups, Stretch};
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::history::summaries::ledgers;

/// Lights times days whose ledgers are read in one go.
const LIGHT_DAYS_AT_ONCE: u32 = 20_000;
/// Days that are gone through in one go, and whose sums are in memory together: 20 kB each.
const DAYS_AT_ONCE: i32 = 64;
/// Numbers of lights that are not asked for and still read, rather than ask once more.
const GAP_MAX: u32 = 16;
/// What all lights of a part came to is read for one in so many of them.
const ONE_IN: u64 = 32;
/// Lights times days that a request reads from ledgers where whole days should be kept and are not yet.
const LEDGERS_MAX: u64 = 4_000_000;

/// Whether so many lights are wanted that reading what all came to is less.
pub(super) fn are_many(wanted: usize, there: u32) -> bool {
    wanted as u64 * ONE_IN >= u64::from(there)
}

/// What lights came to, put together.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Total {
    pub heard: u32,
    pub sum: Sum,
}

impl Total {
    fn add(&mut self, light: &Sum) {
        let all = &mut self.sum;
        self.heard += u32::from(light.samples > 0);
        all.covered_s += light.covered_s;
        all.on_s += light.on_s;
        if let Some(wh) = light.energy_wh {
            all.energy_wh = Some(all.energy_wh.unwrap_or(0).saturating_add(wh));
        }
        all.meter_breaks += light.meter_breaks;
        all.meter_rollovers += light.meter_rollovers;
    }
}

/// The sums of groups by stretch, and the lights that are adding to them.
struct Summing {
    /// Newest first.
    stretches: Vec<Stretch>,
    /// By stretch and then by group.
    totals: Vec<Vec<Total>>,
    lights: Vec<Light>,
}

/// A light on its way.
struct Light {
    no: LightNo,
    group: usize,
    tally: Tally,
    /// Place of the stretch it is in, and what it came to there.
    at: usize,
    sum: Sum,
}

impl Ccms {
    /// Sums of the wanted groups, by stretch and then by group.
    pub(super) async fn summed_up(
        &self,
        groups: &Groups,
        wanted: Range<usize>,
        stretches: &[Stretch],
    ) -> Result<Vec<Vec<Total>>, ServiceError> {
        // One at a time: each keeps a processor busy.
        let _turn = self.inner().summing.lock().await;
        let totals = vec![vec![Total::default(); groups.names.len()]; stretches.len()];
        let mut summing = Summing { stretches: stretches.to_vec(), totals, lights: Vec::new() };
        let whole: BTreeSet<Day> = stretches.iter().flat_map(|stretch| whole_days(*stretch)).collect();
        let mut parts: BTreeMap<u32, Vec<(LightNo, usize)>> = BTreeMap::new();
        for &(no, group) in groups.of.iter().filter(|(_, group)| wanted.contains(group)) {
            parts.entry(part_of(no)).or_default().push((no, group));
        }
        let (none, mut from_ledgers) = (BTreeSet::new(), 0);
        for (part, lights) in parts {
            let there = groups.there.get(&part).copied().unwrap_or(0);
            let many = are_many(lights.len(), there);
            summing.begin(&lights);
            let whole = if many { &whole } else { &none };
            summing = self.go_through(summing, (part, there), whole, &mut from_ledgers).await?;
        }
        Ok(summing.totals)
    }

    /// All days of the lights of a part.
    async fn go_through(
        &self,
        mut summing: Summing,
        (part, there): (u32, u32),
        whole: &BTreeSet<Day>,
        from_ledgers: &mut u64,
    ) -> Result<Summing, ServiceError> {
        let Some((first, last)) = summing.days() else { return Ok(summing) };
        let numbers: Vec<LightNo> = summing.lights.iter().map(|light| light.no).collect();
        // Of most lights the last that was before is the day before.
        if !whole.is_empty() {
            let eve = self.store().daily(part, Day(first.0 - 1), Day(first.0 - 1)).await?;
            summing = summing.goes_on(move |s| s.skip_whole(&eve)).await?;
        }
        for lights in runs(summing.that(Tally::is_new), LIGHT_DAYS_AT_ONCE) {
            let before = self.store().ledgers_before(lights, first).await?;
            summing = summing.goes_on(move |s| s.skip(&before)).await?;
        }
        summing = self.look_for_counters(summing, (part, there), first, from_ledgers).await?;
        let mut from = first;
        while from <= last {
            let until = Day(last.0.min(from.0 + DAYS_AT_ONCE - 1));
            let mut known = Vec::new();
            if whole.range(from..=until).next().is_some() {
                known = self.store().daily(part, from, until).await?;
                known.retain(|daily| whole.contains(&daily.day));
            }
            for step in steps((from, until), known) {
                let (from, until) = match step {
                    Step::Whole(daily) => {
                        summing = summing.goes_on(move |s| s.add_whole(&daily)).await?;
                        continue;
                    }
                    Step::Quarters(from, until) => (from, until),
                };
                let days = (until.0 - from.0 + 1).unsigned_abs();
                for lights in runs(numbers.iter().copied(), (LIGHT_DAYS_AT_ONCE / days).max(1)) {
                    spend(from_ledgers, lights, days)?;
                    let within = self.store().ledgers(lights, from, until).await?;
                    summing = summing.goes_on(move |s| s.add(&within)).await?;
                }
            }
            from = Day(until.0 + 1);
        }
        summing.end();
        Ok(summing)
    }

    /// Of lights whose last day before the first has no counter, the days before that which may have one.
    async fn look_for_counters(
        &self,
        mut summing: Summing,
        (part, there): (u32, u32),
        first: Day,
        from_ledgers: &mut u64,
    ) -> Result<Summing, ServiceError> {
        let bare: Vec<LightNo> = summing.that(Tally::lacks_counter).collect();
        if bare.is_empty() {
            return Ok(summing);
        }
        let days = u32::from(COUNTER_KEPT_DAYS);
        let (from, until) = (Day(first.0 - i32::from(COUNTER_KEPT_DAYS)), Day(first.0 - 1));
        summing.lights.iter_mut().filter(|l| l.tally.lacks_counter()).for_each(|l| l.tally = Tally::default());
        if are_many(bare.len(), there) {
            let kept = self.store().daily(part, from, until).await?;
            // A day that is not among them may be in the ledgers alone.
            if kept.len() == days as usize {
                return Ok(summing.goes_on(move |s| s.skip_whole(&kept)).await?);
            }
        }
        for lights in runs(bare.into_iter(), LIGHT_DAYS_AT_ONCE / days) {
            spend(from_ledgers, lights, days)?;
            let before = self.store().ledgers(lights, from, until).await?;
            summing = summing.goes_on(move |s| s.skip(&before)).await?;
        }
        Ok(summing)
    }
}

/// Counts what is read from ledgers.
fn spend(from_ledgers: &mut u64, lights: (LightNo, LightNo), days: u32) -> Result<(), ServiceError> {
    *from_ledgers += u64::from(days) * u64::from(lights.1.0 - lights.0.0);
    if *from_ledgers > LEDGERS_MAX { Err(not_yet()) } else { Ok(()) }
}

fn not_yet() -> ServiceError {
    let message = "What days of all lights came to is still being worked out, and without it this is too much for one request. Ask for less \
                   (resolution=day, or group=ward), or again in a while.";
    ServiceError::Invalid { field: "resolution", message: message.into() }
}

/// Days in their order: what is kept of one as a whole, and stretches in between.
enum Step {
    Whole(DailyPart),
    Quarters(Day, Day),
}

fn steps((from, until): (Day, Day), known: Vec<DailyPart>) -> Vec<Step> {
    let (mut steps, mut next) = (Vec::new(), from);
    for daily in known {
        if next < daily.day {
            steps.push(Step::Quarters(next, Day(daily.day.0 - 1)));
        }
        next = Day(daily.day.0 + 1);
        steps.push(Step::Whole(daily));
    }
    if next <= until {
        steps.push(Step::Quarters(next, until));
    }
    steps
}

impl Summing {
    /// Other lights, from the oldest stretch on.
    fn begin(&mut self, lights: &[(LightNo, usize)]) {
        let at = self.stretches.len().saturating_sub(1);
        let one =
            |&(no, group): &(LightNo, usize)| Light { no, group, tally: Tally::default(), at, sum: Sum::default() };
        self.lights = lights.iter().map(one).collect();
    }

    fn days(&self) -> Option<(Day, Day)> {
        let (newest, oldest) = (self.stretches.first()?, self.stretches.last()?);
        Some((Day::of(oldest.0), Day::of(UtcMillis(newest.1.0 - 1))))
    }

    /// Work that would keep others waiting.
    async fn goes_on(mut self, by: impl FnOnce(&mut Self) -> StoreResult<()> + Send + 'static) -> StoreResult<Self> {
        let working = tokio::task::spawn_blocking(move || by(&mut self).map(|()| self));
        working.await.map_err(StoreError::unavailable)?
    }

    /// The lights of which this is so, by number.
    fn that(&self, is: impl Fn(&Tally) -> bool) -> impl Iterator<Item = LightNo> {
        self.lights.iter().filter(move |light| is(&light.tally)).map(|light| light.no)
    }

    /// What was before, in whichever form, of lights of which it is not known yet; a run of lights has others among it.
    fn skip(&mut self, days: &[LedgerDay]) -> StoreResult<()> {
        let new: BTreeSet<LightNo> = self.that(Tally::is_new).collect();
        let days: Vec<LedgerDay> = days.iter().filter(|day| new.contains(&day.light_no)).cloned().collect();
        self.each(&days, |light, quarter, _, _| light.tally.skip(&quarter))
    }

    fn skip_whole(&mut self, days: &[DailyPart]) -> StoreResult<()> {
        let new: BTreeSet<LightNo> = self.that(Tally::is_new).collect();
        for daily in days {
            for (no, day) in daily_of(daily)?.into_iter().filter(|(no, _)| new.contains(no)) {
                if let Ok(at) = self.lights.binary_search_by_key(&no, |light| light.no) {
                    self.lights[at].tally.add_day(&day, &mut Sum::default());
                }
            }
        }
        Ok(())
    }

    /// Quarters of an hour, of each light in their order.
    fn add(&mut self, days: &[LedgerDay]) -> StoreResult<()> {
        self.each(days, |light, quarter, stretches, totals| {
            let stretch = light.move_to(quarter.begins, stretches, totals);
            if (stretch.0..stretch.1).contains(&quarter.begins) {
                light.tally.add(&quarter, &mut light.sum);
            } else {
                light.tally.skip(&quarter);
            }
        })
    }

    fn each(
        &mut self,
        days: &[LedgerDay],
        mut act: impl FnMut(&mut Light, Ledger, &[Stretch], &mut [Vec<Total>]),
    ) -> StoreResult<()> {
        for day in days {
            let Ok(at) = self.lights.binary_search_by_key(&day.light_no, |light| light.no) else { continue };
            for quarter in ledgers(day.light_no, day.day, &day.body)? {
                act(&mut self.lights[at], quarter, &self.stretches, &mut self.totals);
            }
        }
        Ok(())
    }

    /// A day that is in one stretch from its beginning to its end.
    fn add_whole(&mut self, daily: &DailyPart) -> StoreResult<()> {
        for (no, day) in daily_of(daily)? {
            let Ok(at) = self.lights.binary_search_by_key(&no, |light| light.no) else { continue };
            let light = &mut self.lights[at];
            light.move_to(daily.day.begins(), &self.stretches, &mut self.totals);
            light.tally.add_day(&day, &mut light.sum);
        }
        Ok(())
    }

    fn end(&mut self) {
        for light in self.lights.drain(..) {
            self.totals[light.at][light.group].add(&light.sum);
        }
    }
}

impl Light {
    /// The stretch that a moment is in; what ended before it is added up.
    fn move_to(&mut self, at: UtcMillis, stretches: &[Stretch], totals: &mut [Vec<Total>]) -> Stretch {
        while self.at > 0 && at >= stretches[self.at].1 {
            totals[self.at][self.group].add(&std::mem::take(&mut self.sum));
            self.at -= 1;
        }
        stretches[self.at]
    }
}

/// What is kept of a day of the lights of a part.
pub(crate) fn daily_of(daily: &DailyPart) -> StoreResult<Vec<(LightNo, ccms_block::Daily)>> {
    ccms_block::decode_daily(daily.day, &daily.body).map_err(|error| StoreError::BadRow {
        table: "rollup_days",
        column: "body",
        row: format!("day {}", daily.day.0),
        reason: error.to_string(),
    })
}

/// Half-open ranges of numbers with all of these in them, each with at most `most` numbers.
pub(crate) fn runs(numbers: impl Iterator<Item = LightNo>, most: u32) -> Vec<(LightNo, LightNo)> {
    let mut runs: Vec<(LightNo, LightNo)> = Vec::new();
    for no in numbers {
        match runs.last_mut() {
            Some((first, end)) if no.0 - end.0 <= GAP_MAX && no.0 - first.0 < most => end.0 = no.0 + 1,
            _ => runs.push((no, LightNo(no.0 + 1))),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_runs() {
        let runs_of = |numbers: &[u32], most| {
            runs(numbers.iter().map(|n| LightNo(*n)), most).into_iter().map(|(a, b)| (a.0, b.0)).collect::<Vec<_>>()
        };
        assert_eq!(runs_of(&[1, 2, 3, 20, 40, 41], 100), [(1, 21), (40, 42)]);
        assert_eq!(runs_of(&[1, 2, 3, 4, 5], 2), [(1, 3), (3, 5), (5, 6)]);
        assert_eq!(runs_of(&[], 2), []);
    }

    #[test]
    fn whole_days_take_the_place_of_their_quarters() {
        let steps = |known: &[i32]| {
            let known = known.iter().map(|day| DailyPart { day: Day(*day), body: Vec::new() }).collect();
            let said = |step: Step| match step {
                Step::Whole(daily) => (daily.day.0, 0),
                Step::Quarters(from, until) => (from.0, 1 + until.0 - from.0),
            };
            steps((Day(3), Day(9)), known).into_iter().map(said).collect::<Vec<_>>()
        };
        assert_eq!(steps(&[]), [(3, 7)]);
        assert_eq!(steps(&[4, 5, 8]), [(3, 1), (4, 0), (5, 0), (6, 2), (8, 0), (9, 1)]);
        assert_eq!(steps(&[3, 9]), [(3, 0), (4, 5), (9, 0)]);
    }
}
