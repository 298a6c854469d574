//! What the city used: sums of ledgers over lights, by group and by stretch of the city's own time. Readings are never looked at, so that a
//! month of a city takes a fraction of a second; what is not sealed yet is missing, and the answer says from when on.
use std::collections::BTreeMap;

use ccms_block::{Ledger, Sum, Tally};
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, LedgerDay, StoreError, StoreResult};

use super::Cut;
use super::summaries::{coverage, ledgers};
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::MayView;

/// Lights times days that one request may sum; a light's day takes about three microseconds.
const LIGHT_DAYS_MAX: u64 = 1_000_000;
/// Lights times days that are read in one go.
const LIGHT_DAYS_AT_ONCE: u32 = 20_000;
/// Numbers of lights that are not asked for and still read, rather than ask once more.
const GAP_MAX: u32 = 16;
/// Stretches of one request.
const STRETCHES_MAX: usize = 1_000;

/// How lights are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grouping {
    City,
    Zone,
    Ward,
    Feeder,
    Light,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub struct EnergyQuery<'a> {
    pub grouping: Grouping,
    /// Of the groups only this one.
    pub only: Option<&'a str>,
    pub cut: Cut,
    /// Stretches that touch `from <= time < to`.
    pub window: (UtcMillis, UtcMillis),
    /// Groups of the newest stretch that were on the page before.
    pub skip: usize,
    pub limit: usize,
}

/// What a group of lights used over a stretch.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyUsed {
    pub from: UtcMillis,
    pub to: UtcMillis,
    /// The zone, ward, feeder or light; empty for the city and for lights without one.
    pub name: String,
    /// Lights of the group, and those of them with a reading.
    pub lights: u32,
    pub heard: u32,
    /// None where no counter was read.
    pub energy_kwh: Option<f64>,
    pub on_s: u64,
    /// Part of the time of all lights that readings speak for, 0 to 1.
    pub coverage: f64,
    pub meter_breaks: u32,
    pub meter_rollovers: u32,
}

/// A page, newest stretch first and in it by name.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyPage {
    pub used: Vec<EnergyUsed>,
    /// Where to go on: `to` of the window, and what to skip.
    pub next: Option<(UtcMillis, usize)>,
    /// Sums are whole up to here. What is newer is summed within two hours.
    pub complete_until: UtcMillis,
}

/// Groups by name, and whose lights are in them.
struct Groups {
    names: Vec<(String, u32)>,
    of: BTreeMap<LightNo, usize>,
}

impl Ccms {
    /// What groups of lights used.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when the sum is over too many lights and days for one request.
    pub async fn energy(&self, by: MayView<'_>, query: EnergyQuery<'_>) -> Result<EnergyPage, ServiceError> {
        let groups = self.groups(by, query);
        // Before the ledgers: what is sealed in between is more than is promised, never less.
        let complete_until = self.store().oldest_hot_arrival().await?.unwrap_or(self.now()).min(self.now());
        let mut page = EnergyPage { used: Vec::new(), next: None, complete_until };
        let Some((start, end)) = self.believable(query.window) else { return Ok(page) };
        if groups.names.is_empty() {
            return Ok(page);
        }
        let wanted = query.limit.saturating_add(query.skip).div_ceil(groups.names.len()).min(STRETCHES_MAX);
        let (stretches, more) = self.stretches((start, end), query.cut, wanted, groups.of.len())?;
        let sums = self.summed_up(&groups, &stretches).await?;
        for (at, &(from, to)) in stretches.iter().enumerate() {
            let skip = if at == 0 { query.skip } else { 0 };
            for (group, (name, lights)) in groups.names.iter().enumerate().skip(skip) {
                if page.used.len() == query.limit {
                    // A moment inside the stretch stands for it.
                    page.next = Some((UtcMillis(from.0 + 1), group));
                    return Ok(page);
                }
                page.used.push(used((from, to), name, *lights, &sums[at][group]));
            }
        }
        page.next = stretches.last().filter(|_| more).map(|last| (last.0, 0));
        Ok(page)
    }

    fn groups(&self, by: MayView<'_>, query: EnergyQuery<'_>) -> Groups {
        let live = self.live().read();
        let mut members: BTreeMap<String, Vec<LightNo>> = BTreeMap::new();
        for light in live.lights().filter(|l| by.who().sees(&l.record)) {
            let name = match query.grouping {
                Grouping::City => String::new(),
                Grouping::Zone => light.record.zone(),
                Grouping::Ward => light.record.ward(),
                Grouping::Feeder => light.record.feeder(),
                Grouping::Light => light.record.id_text(),
            };
            if query.only.is_none_or(|only| only == name) {
                members.entry(name).or_default().push(light.record.no);
            }
        }
        let of = members.values().enumerate().flat_map(|(g, lights)| lights.iter().map(move |no| (*no, g))).collect();
        Groups { names: members.into_iter().map(|(name, lights)| (name, lights.len() as u32)).collect(), of }
    }

    /// The newest stretches, at most `wanted`, newest first, and whether there are more.
    fn stretches(
        &self,
        (start, end): (UtcMillis, UtcMillis),
        cut: Cut,
        wanted: usize,
        lights: usize,
    ) -> Result<(Vec<(UtcMillis, UtcMillis)>, bool), ServiceError> {
        let mut stretches: Vec<(UtcMillis, UtcMillis)> = Vec::new();
        let mut inside = UtcMillis(end.0 - 1);
        loop {
            let stretch = self.inner().city_time.around(inside, cut);
            let newest = stretches.first().unwrap_or(&stretch).1;
            let days = newest.since(stretch.0).unsigned_abs() / 86_400_000 + 2;
            if days * lights as u64 > LIGHT_DAYS_MAX {
                if stretches.is_empty() {
                    let message =
                        format!("{lights} lights are too many for this at once; ask for days, or for one ward.");
                    return Err(ServiceError::Invalid { field: "resolution", message });
                }
                return Ok((stretches, true));
            }
            stretches.push(stretch);
            if stretch.0 <= start {
                return Ok((stretches, false));
            }
            if stretches.len() == wanted {
                return Ok((stretches, true));
            }
            inside = UtcMillis(stretch.0.0 - 1);
        }
    }

    /// By stretch and then by group.
    async fn summed_up(&self, groups: &Groups, stretches: &[(UtcMillis, UtcMillis)]) -> StoreResult<Vec<Vec<Total>>> {
        // One at a time: each keeps a processor busy.
        let _turn = self.inner().summing.lock().await;
        let mut totals = vec![vec![Total::default(); groups.names.len()]; stretches.len()];
        let (Some(newest), Some(oldest)) = (stretches.first(), stretches.last()) else { return Ok(totals) };
        let (first, last) = (Day::of(oldest.0), Day::of(UtcMillis(newest.1.0 - 1)));
        let days = (last.0 - first.0 + 1).unsigned_abs();
        for lights in runs(groups.of.keys().copied(), (LIGHT_DAYS_AT_ONCE / days).max(1)) {
            let before = self.store().ledgers_before(lights, first).await?;
            let within = self.store().ledgers(lights, first, last).await?;
            let stretches = stretches.to_vec();
            let unpacking = tokio::task::spawn_blocking(move || sums_of(before, within, &stretches));
            for (light, at, sum) in unpacking.await.map_err(StoreError::unavailable)?? {
                if let Some(group) = groups.of.get(&light) {
                    totals[at][*group].add(&sum);
                }
            }
        }
        Ok(totals)
    }
}

/// Half-open ranges of numbers with all of these in them, each with at most `most` numbers.
pub(super) fn runs(numbers: impl Iterator<Item = LightNo>, most: u32) -> Vec<(LightNo, LightNo)> {
    let mut runs: Vec<(LightNo, LightNo)> = Vec::new();
    for no in numbers {
        match runs.last_mut() {
            Some((first, end)) if no.0 - end.0 <= GAP_MAX && no.0 - first.0 < most => end.0 = no.0 + 1,
            _ => runs.push((no, LightNo(no.0 + 1))),
        }
    }
    runs
}

/// What each light came to in each stretch. Both lists are by light, and the second by day in it.
fn sums_of(
    before: Vec<LedgerDay>,
    within: Vec<LedgerDay>,
    stretches: &[(UtcMillis, UtcMillis)],
) -> StoreResult<Vec<(LightNo, usize, Sum)>> {
    let mut before = before.into_iter().peekable();
    let mut sums = Vec::new();
    for days in within.chunk_by(|a, b| a.light_no == b.light_no) {
        let light = days[0].light_no;
        let mut tally = Tally::default();
        while let Some(day) = before.next_if(|day| day.light_no <= light) {
            if day.light_no == light {
                read(&day)?.iter().for_each(|quarter| tally.skip(quarter));
            }
        }
        // From the oldest stretch on, as the days are.
        let (mut at, mut sum) = (stretches.len() - 1, Sum::default());
        for day in days {
            for quarter in read(day)? {
                while at > 0 && quarter.begins >= stretches[at].1 {
                    sums.push((light, at, std::mem::take(&mut sum)));
                    at -= 1;
                }
                if (stretches[at].0..stretches[at].1).contains(&quarter.begins) {
                    tally.add(&quarter, &mut sum);
                } else {
                    tally.skip(&quarter);
                }
            }
        }
        sums.push((light, at, sum));
    }
    Ok(sums)
}

fn read(day: &LedgerDay) -> StoreResult<Vec<Ledger>> {
    ledgers(day.light_no, day.day, &day.body)
}

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    heard: u32,
    sum: Sum,
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

fn used((from, to): (UtcMillis, UtcMillis), name: &str, lights: u32, total: &Total) -> EnergyUsed {
    EnergyUsed {
        from,
        to,
        name: name.to_owned(),
        lights,
        heard: total.heard,
        energy_kwh: total.sum.energy_wh.map(|wh| wh as f64 / 1000.0),
        on_s: total.sum.on_s,
        coverage: coverage(total.sum.covered_s / u64::from(lights.max(1)), (from, to)),
        meter_breaks: total.sum.meter_breaks,
        meter_rollovers: total.sum.meter_rollovers,
    }
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
}
