//! Two years of a city: what a light's day and a city's month take when everything is there that a city keeps. The readings are those of
//! some of the simulator's lamps, moved from day to day and from light to light, each with a counter of its own.
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ccms_block::Quarter;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_device::chance::Chance;
use ccms_service::clock::Clock;
use ccms_service::history::Cut;
use ccms_service::history::energy::{EnergyQuery, Grouping};
use ccms_service::keys::MasterKey;
use ccms_service::metrics::Stopwatch;
use ccms_service::{Ccms, Who};
use ccms_store::{Day, DynStore, ReadingRow, Role, RolledDay, Rollups, SealedDay};
use ccms_store_sqlite::SqliteStore;

use crate::report::{Bar, part, row};
use crate::storage::{MIDNIGHT, STEP_S, Street, register};

/// Lamps whose day is simulated.
const LAMPS: u32 = 16;
/// Days written in one transaction.
const WRITTEN_AT_ONCE: usize = 1_000;
const DAY_MS: i64 = 86_400_000;
/// So much does a light use in a day, about.
const DAILY_WH: i64 = 700;

struct Size {
    lights: u32,
    days: i32,
    /// Of these, the last ones have their readings.
    raw_days: i32,
    asked: usize,
}

pub async fn measure(smoke: bool) -> anyhow::Result<()> {
    let size = if smoke {
        Size { lights: 6, days: 40, raw_days: 2, asked: 5 }
    } else {
        Size { lights: 2_500, days: 731, raw_days: 14, asked: 500 }
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ccms.db");
    let store = Arc::new(SqliteStore::open(&format!("sqlite://{}", file.display())).await?);
    let started = watch();
    for n in 1..=size.lights {
        register(&store, n).await?;
    }
    let readings = fill(&store, &size).await?;
    let took = started.elapsed();
    let bytes = std::fs::metadata(&file)?.len();
    part(&format!(
        "{} lights, {} days in quarters of an hour, {readings} readings in blocks, SQLite",
        size.lights, size.days
    ));
    row("on disk", bytes as f64 / 1e9, "GB", Bar::None);
    row("written in", took.as_secs_f64(), "s", Bar::None);
    row("readings", readings as f64, "", Bar::None);

    let end = UtcMillis(MIDNIGHT.0 + i64::from(size.days) * DAY_MS);
    let dynamic: DynStore = store;
    let settings = ccms::config::Config::default().settings();
    let ccms = Ccms::start(settings, Clock::manual(end), dynamic, &MasterKey::random()).await?;
    let who = Who::person("bench", Role::Admin, None);
    let may = who.may_view().map_err(|e| anyhow::anyhow!("{e}"))?;
    let mut chance = Chance::new(11);

    let (mut raw, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..size.asked {
        let id = ccms_core::ids::LightId::numbered(1 + chance.below(u64::from(size.lights)) as u32);
        let day = |back: i64| (UtcMillis(end.0 - (back + 1) * DAY_MS), UtcMillis(end.0 - back * DAY_MS));
        let window = day(chance.below(size.raw_days as u64) as i64);
        let started = watch();
        let (rows, _) = ccms.light_readings(may, &id, window, None, 5_000).await.map_err(refused)?;
        raw.push(started.elapsed());
        anyhow::ensure!(rows.len() as u64 == 86_400 / STEP_S, "{} readings", rows.len());
        let window = day(chance.below(size.days as u64) as i64);
        let started = watch();
        let (quarters, _) = ccms.light_summaries(may, &id, window, Cut::QuarterHour, 100).await.map_err(refused)?;
        sums.push(started.elapsed());
        anyhow::ensure!(quarters.len() == 96, "{} quarters", quarters.len());
    }
    print("a light's day, every reading", raw, 5.0);
    print("a light's day in quarters of an hour", sums, 5.0);

    let started = watch();
    let parts = ccms.work_out_days().await?;
    row("whole days worked out", parts as f64, "parts", Bar::None);
    row("worked out in", started.elapsed().as_secs_f64(), "s", Bar::None);
    for (what, cut, grouping) in [
        ("a month of the city, one sum", Cut::Month, Grouping::City),
        ("a month of the city by day", Cut::Day, Grouping::City),
        ("a month of every light", Cut::Month, Grouping::Light),
    ] {
        let mut took = Vec::new();
        for back in 0..(size.asked as i64 / 25).max(1) {
            let to = UtcMillis(end.0 - back * 20 * DAY_MS);
            let window = (UtcMillis(to.0 - 28 * DAY_MS), to);
            let query = EnergyQuery { grouping, only: None, cut, window, after: None, limit: 10_000 };
            let started = watch();
            let page = ccms.energy(may, query).await.map_err(refused)?;
            took.push(started.elapsed());
            anyhow::ensure!(page.used.iter().any(|u| u.energy_kwh.is_some_and(|kwh| kwh > 0.0)), "no energy");
        }
        print(what, took, 1_000.0);
    }
    ccms.stop().await;
    Ok(())
}

fn watch() -> Stopwatch {
    Stopwatch::start()
}

fn refused(error: ccms_service::ServiceError) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

fn print(what: &str, mut took: Vec<Duration>, bar_ms: f64) {
    took.sort_unstable();
    let at = |part: f64| took[((took.len() - 1) as f64 * part).round() as usize].as_secs_f64() * 1000.0;
    row(&format!("{what}: half of the answers after"), at(0.5), "ms", Bar::None);
    row(&format!("{what}: 99 of 100 after"), at(0.99), "ms", Bar::AtMost(bar_ms));
}

/// Writes what the city keeps; how many readings that is.
async fn fill(store: &Arc<SqliteStore>, size: &Size) -> anyhow::Result<u64> {
    let mut street = Street::new(LAMPS);
    let mut lamps = vec![Vec::new(); LAMPS as usize];
    for step in 0..86_400 / STEP_S {
        for row in street.reports(step) {
            lamps[row.light_no.0 as usize - 1].push(row);
        }
    }
    let quarters: Vec<Vec<Quarter>> =
        lamps.iter().map(|rows| ccms_block::quarters(rows, UtcMillis(i64::MAX))).collect();
    let (lamps, quarters) = (Arc::new(lamps), Arc::new(quarters));
    let mut readings = 0;
    let mut writing: Option<tokio::task::JoinHandle<anyhow::Result<()>>> = None;
    for day in 0..size.days {
        let with_readings = day >= size.days - size.raw_days;
        let halves = [1..=size.lights / 2, size.lights / 2 + 1..=size.lights];
        let working = halves.map(|lights| {
            let (lamps, quarters) = (lamps.clone(), quarters.clone());
            tokio::task::spawn_blocking(move || -> anyhow::Result<Vec<(Option<SealedDay>, RolledDay)>> {
                let moved = |n: u32| {
                    let lamp = (n % LAMPS) as usize;
                    let rolled = roll(n, day, &quarters[lamp])?;
                    Ok((if with_readings { Some(seal(n, day, &lamps[lamp])?) } else { None }, rolled))
                };
                lights.map(moved).collect()
            })
        });
        let mut days = Vec::with_capacity(size.lights as usize);
        for half in working {
            days.extend(half.await??);
        }
        readings += days.iter().filter_map(|(block, _)| block.as_ref()).map(|b| u64::from(b.readings)).sum::<u64>();
        if let Some(before) = writing.take() {
            before.await??;
        }
        let store = store.clone();
        writing = Some(tokio::spawn(async move { write(&store, days).await }));
    }
    if let Some(last) = writing {
        last.await??;
    }
    Ok(readings)
}

async fn write(store: &SqliteStore, days: Vec<(Option<SealedDay>, RolledDay)>) -> anyhow::Result<()> {
    let (mut blocks, mut alone) = (Vec::new(), Vec::new());
    for (block, rolled) in days {
        match block {
            Some(block) => blocks.push((block, rolled)),
            None => alone.push(rolled),
        }
    }
    for days in blocks.chunks(WRITTEN_AT_ONCE) {
        anyhow::ensure!(!store.seal(days).await?.contains(&false), "a block was not kept");
    }
    for days in alone.chunks(WRITTEN_AT_ONCE) {
        store.write_rollups(days).await?;
    }
    Ok(())
}

/// What the counter of a light had counted before a day.
fn counted(light: u32, day: i32) -> i64 {
    i64::from(light) * 1_000 + i64::from(day) * DAILY_WH
}

fn roll(light: u32, day: i32, quarters: &[Quarter]) -> anyhow::Result<RolledDay> {
    let day_of = Day(Day::of(MIDNIGHT).0 + day);
    let mut quarters = quarters.to_vec();
    for quarter in &mut quarters {
        let ledger = &mut quarter.ledger;
        ledger.begins = UtcMillis(ledger.begins.0 + i64::from(day) * DAY_MS);
        if let Some(meter) = &mut ledger.meter {
            meter.first.wh += counted(light, day);
            meter.last.wh += counted(light, day);
        }
    }
    let (ledger, measured) = ccms_block::encode_quarters(day_of, &quarters)?;
    Ok(RolledDay { light_no: LightNo(light), day: day_of, ledger, measured })
}

fn seal(light: u32, day: i32, rows: &[ReadingRow]) -> anyhow::Result<SealedDay> {
    let later_ms = i64::from(day) * DAY_MS;
    let mut rows = rows.to_vec();
    for row in &mut rows {
        row.light_no = LightNo(light);
        row.received_at = UtcMillis(row.received_at.0 + later_ms);
        row.reading.reported_at = UtcMillis(row.reading.reported_at.0 + later_ms);
        row.reading.energy_wh = row.reading.energy_wh.map(|wh| wh + counted(light, day));
        row.dedupe = row.reading.dedupe_key();
    }
    let body = ccms_block::encode(&rows).context("a block")?;
    let day = Day(Day::of(MIDNIGHT).0 + day);
    Ok(SealedDay { light_no: LightNo(light), day, revision: 1, readings: rows.len() as u32, body })
}
