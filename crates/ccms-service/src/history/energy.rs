//! What the city used: sums over lights, by group and by stretch of the city's own time. Readings are never looked at, so that a month of a
//! city takes a fraction of a second; what is not sealed yet is missing, and the answer says from when on.
//!
//! - `plan`    which stretches and which groups fit into one answer
//! - `summing` lights go through their days in step: what whole days came to is kept for a thousand lights at a time (`daily`), the rest
//!   is in the ledgers of their quarters of an hour
use std::collections::BTreeMap;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::part_of;

use self::plan::{Asked, Plan};
use self::summing::Total;
use super::Cut;
use super::summaries::coverage;
use crate::ccms::Ccms;
use crate::error::ServiceError;
use crate::permission::MayView;

mod plan;
mod summing;

pub(crate) use summing::{daily_of, runs};

type Stretch = (UtcMillis, UtcMillis);

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
    /// Of the newest stretch only groups behind this name: the last one of the page before.
    pub after: Option<&'a str>,
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
    /// Where to go on: `to` of the window, and behind which name.
    pub next: Option<(UtcMillis, Option<String>)>,
    /// Sums are whole up to here. What is newer is summed within two hours.
    pub complete_until: UtcMillis,
}

/// Groups by name, and whose lights are in them.
struct Groups {
    names: Vec<(String, u32)>,
    /// Lights by number, with the place of their group.
    of: Vec<(LightNo, usize)>,
    /// Lights there are, wanted or not, by part.
    there: BTreeMap<u32, u32>,
}

impl Groups {
    /// Whether so many of the lights are wanted that what whole days of all came to is less to read.
    fn are_many(&self) -> bool {
        let there: u32 = self.there.values().sum();
        summing::are_many(self.of.len(), there)
    }
}

impl Ccms {
    /// What groups of lights used.
    ///
    /// # Errors
    /// [`ServiceError::Invalid`] when one group of one stretch is too much for one request.
    pub async fn energy(&self, by: MayView<'_>, query: EnergyQuery<'_>) -> Result<EnergyPage, ServiceError> {
        let groups = self.groups(by, query);
        // Before the ledgers: what is sealed in between is more than is promised, never less.
        let complete_until =
            self.store().oldest_hot_arrival(&self.held_up()).await?.unwrap_or(self.now()).min(self.now());
        let mut page = EnergyPage { used: Vec::new(), next: None, complete_until };
        let Some(window) = self.believable(query.window) else { return Ok(page) };
        if groups.names.is_empty() {
            return Ok(page);
        }
        let around = |inside| self.inner().city_time.around(inside, query.cut);
        let asked = Asked {
            groups: &groups.names.iter().map(|(_, lights)| *lights).collect::<Vec<_>>(),
            many: groups.are_many(),
            skip: query.after.map_or(0, |after| groups.names.partition_point(|(name, _)| name.as_str() <= after)),
            limit: query.limit,
            newest: around(UtcMillis(window.1.0 - 1)),
            start: window.0,
        };
        let Plan { stretches, groups: of_newest, more } = asked.plan(|(from, _)| around(UtcMillis(from.0 - 1)))?;
        let wanted = if stretches.len() == 1 { of_newest.clone() } else { 0..groups.names.len() };
        // A moment inside a stretch stands for it, and a name for those up to it.
        let within = |stretch: Stretch, next: usize| {
            let name = next.checked_sub(1).map(|last| groups.names[last].0.clone());
            (UtcMillis(stretch.0.0 + 1), name)
        };
        let sums = self.summed_up(&groups, wanted, &stretches).await?;
        for (at, &(from, to)) in stretches.iter().enumerate() {
            let range = if at == 0 { of_newest.clone() } else { 0..groups.names.len() };
            for group in range {
                if page.used.len() == query.limit {
                    page.next = Some(within((from, to), group));
                    return Ok(page);
                }
                let (name, lights) = &groups.names[group];
                page.used.push(used((from, to), name, *lights, &sums[at][group]));
            }
        }
        page.next = match stretches.first() {
            Some(newest) if of_newest.end < groups.names.len() => Some(within(*newest, of_newest.end)),
            _ => stretches.last().filter(|_| more).map(|last| (last.0, None)),
        };
        Ok(page)
    }

    fn groups(&self, by: MayView<'_>, query: EnergyQuery<'_>) -> Groups {
        let live = self.live().read();
        let mut members: BTreeMap<String, Vec<LightNo>> = BTreeMap::new();
        let mut there: BTreeMap<u32, u32> = BTreeMap::new();
        for light in live.lights() {
            *there.entry(part_of(light.record.no)).or_default() += 1;
            if !by.who().sees(&light.record) {
                continue;
            }
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
        let of_group =
            |(group, lights): (usize, &Vec<LightNo>)| lights.iter().map(move |no| (*no, group)).collect::<Vec<_>>();
        let mut of: Vec<_> = members.values().enumerate().flat_map(of_group).collect();
        of.sort_unstable();
        let names = members.into_iter().map(|(name, lights)| (name, lights.len() as u32)).collect();
        Groups { names, of, there }
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
