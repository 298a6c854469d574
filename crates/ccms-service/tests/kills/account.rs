//! Everything that is told of a small city's past, by the queries that the screen and other systems use, and what it is kept in.
//! Of two accounts of one past nothing may differ but when readings arrived. Readings of a clock that nobody believes are left out: they
//! go thirty days after their arrival, and the chapters are further apart.
use std::collections::BTreeMap;

use ccms_core::ids::LightId;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_core::wire::status;
use ccms_service::history::energy::{EnergyQuery, EnergyUsed, Grouping};
use ccms_service::history::{Cut, Summary};
use ccms_service::{MayView, Role, Who, verify};
use ccms_store::{Day, ReadingRow};

use crate::life::{Chapter, LIGHTS, Life, files};

const VIEWER: Who<'static> = Who::person("viewer@city.example", Role::Viewer, None);
/// Small enough that pages end inside of blocks and files.
const PAGE: usize = 50;

/// A reading by light, time and number.
pub type Key = (String, UtcMillis, i64);

#[derive(Debug, PartialEq)]
pub struct Account {
    /// Each with how often it is told.
    pub readings: BTreeMap<Key, Vec<ReadingRow>>,
    quarters: Vec<Summary>,
    days: Vec<Summary>,
    energy: Vec<EnergyUsed>,
    pub latest: Vec<Option<ReadingRow>>,
}

/// What a chapter's n-th request hands in.
pub fn handed_in(chapter: Chapter, n: usize) -> Vec<Key> {
    let batch = status::parse(&chapter.requests()[n], chapter.begins()).expect("readings");
    let key = |message: status::StatusMessage| {
        let reading = message.reading;
        let light = reading.light_id.as_ref().expect("a light").as_str().to_owned();
        (light, reading.reported_at, reading.dedupe_key())
    };
    batch.messages.into_iter().map(key).filter(|(_, at, _)| is_believed(*at)).collect()
}

fn is_believed(at: UtcMillis) -> bool {
    at.seconds() >= limits::CLOCK_FLOOR_S
}

fn timeless(mut row: ReadingRow) -> ReadingRow {
    row.received_at = UtcMillis(0);
    row
}

impl Account {
    pub async fn by(life: &Life) -> Self {
        let may = || VIEWER.may_view().expect("a viewer may look");
        let window = (Chapter::Reported.begins().plus_seconds(-40 * 86_400), life.clock.now());
        let (readings, latest) = (BTreeMap::new(), latest(life).await);
        let mut account = Self { readings, quarters: vec![], days: vec![], energy: vec![], latest };
        for light in LIGHTS {
            let id = LightId::parse(light).expect("an id");
            let mut after = None;
            loop {
                let page = life.ccms.light_readings(may(), &id, window, after, PAGE).await.expect("readings");
                for row in page.0.into_iter().filter(|row| is_believed(row.reading.reported_at)) {
                    let key = (light.to_owned(), row.reading.reported_at, row.dedupe);
                    account.readings.entry(key).or_default().push(timeless(row));
                }
                after = page.1;
                if after.is_none() {
                    break;
                }
            }
            account.quarters.extend(summaries(life, may(), &id, window, Cut::QuarterHour).await);
            account.days.extend(summaries(life, may(), &id, window, Cut::Day).await);
        }
        for (grouping, cut) in [(Grouping::City, Cut::Day), (Grouping::Light, Cut::Month)] {
            let query = EnergyQuery { grouping, only: None, cut, window, after: None, limit: 500 };
            let page = life.ccms.energy(may(), query).await.expect("sums");
            assert_eq!(page.next, None);
            account.energy.extend(page.used);
        }
        account
    }

    /// Every one of these is told, and nothing is told twice.
    pub fn tells_once(&self, keys: &[Key]) -> Result<(), String> {
        let twice = self.readings.iter().filter(|(_, rows)| rows.len() > 1).map(|(key, _)| key);
        let lost = keys.iter().filter(|key| !self.readings.contains_key(key));
        nothing("told twice", twice).and(nothing("acknowledged and gone", lost))
    }

    /// What is told of each light now is no older than its newest word among these.
    pub fn shows(&self, keys: &[Key]) -> Result<(), String> {
        for (light, latest) in LIGHTS.iter().zip(&self.latest) {
            let newest = keys.iter().filter(|(of, ..)| of == light).map(|(_, at, _)| *at).max();
            let shown = latest.as_ref().map(|row| row.reading.reported_at);
            if shown < newest {
                return Err(format!("{light} is shown as of {shown:?}, and said something at {newest:?}"));
            }
        }
        Ok(())
    }

    pub fn is(&self, other: &Self) -> Result<(), String> {
        let only = |here: &Self, there: &Self| {
            Vec::from_iter(
                here.readings.iter().filter(|(k, v)| there.readings.get(k) != Some(v)).map(|(k, _)| k.clone()),
            )
        };
        nothing("other or more than it should be", only(self, other).iter())?;
        nothing("missing", only(other, self).iter())?;
        same("quarters", &self.quarters, &other.quarters)?;
        same("days", &self.days, &other.days)?;
        same("energy", &self.energy, &other.energy)?;
        same("what is shown", &self.latest, &other.latest)
    }
}

/// The newest reading of each light, as the map has it.
pub async fn latest(life: &Life) -> Vec<Option<ReadingRow>> {
    let mut latest = Vec::new();
    for light in LIGHTS {
        let id = LightId::parse(light).expect("an id");
        let view = life.ccms.find_light(VIEWER.may_view().expect("a viewer may look"), &id).await.expect("a light");
        latest.push(view.live.latest.map(timeless));
    }
    latest
}

async fn summaries(
    life: &Life,
    by: MayView<'_>,
    id: &LightId,
    (from, mut to): (UtcMillis, UtcMillis),
    cut: Cut,
) -> Vec<Summary> {
    let mut all = Vec::new();
    loop {
        let (page, next) = life.ccms.light_summaries(by, id, (from, to), cut, 200).await.expect("sums");
        all.extend(page);
        match next {
            Some(next) => to = next,
            None => return all,
        }
    }
}

/// What it is kept in: days by file, and rows by table.
pub type Kept = (Vec<(Day, u64, u32)>, Vec<ccms_store::Count>);

/// That everything which is kept is whole, and that nothing is kept which nobody refers to.
pub async fn kept_whole(life: &Life) -> Result<Kept, String> {
    let now = life.clock.now();
    let report = verify::look_through(&life.store, Some((&life.shelf, now))).await.map_err(|e| e.to_string())?;
    nothing("found by verify", report.findings.iter())?;
    let verified = ccms_service::archiving::verify::verify(&life.store, &life.shelf, None, now).await;
    let verified = verified.map_err(|e| e.to_string())?;
    nothing("found by archive verify", verified.findings.iter())?;
    let days = life.store.archived_days(Day(i32::MIN), Day(i32::MAX), u32::MAX).await.map_err(|e| e.to_string())?;
    let days = days.into_iter().map(|d| (d.day, d.readings, d.lights)).collect();
    let of_readings = |(table, _): &ccms_store::Count| !matches!(*table, "audit" | "alerts");
    Ok((days, report.counts.into_iter().filter(of_readings).collect()))
}

/// That the folder holds the files of the record and no other.
pub async fn holds_no_stray(life: &Life, folder: &std::path::Path) -> Result<(), String> {
    let days = life.store.archived_days(Day(i32::MIN), Day(i32::MAX), u32::MAX).await.map_err(|e| e.to_string())?;
    let mut known: Vec<String> = days.into_iter().map(|d| d.file).collect();
    known.sort();
    same("files", &files(folder), &known)
}

fn nothing<T: std::fmt::Debug>(what: &str, found: impl Iterator<Item = T>) -> Result<(), String> {
    let found = Vec::from_iter(found);
    if found.is_empty() { Ok(()) } else { Err(format!("{what}: {found:?}")) }
}

pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, here: &T, there: &T) -> Result<(), String> {
    if here == there { Ok(()) } else { Err(format!("{what}: {here:?} instead of {there:?}")) }
}
