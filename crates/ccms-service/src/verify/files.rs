//! Days that are in files against what they came to: file and blocks are read together, as whoever sums them does, light by light and
//! some at a time, worked out once more and compared. So is whether anything was summed up of lights that said nothing.
use std::collections::{BTreeMap, BTreeSet};

use ccms_archive::Wanted;
use ccms_block::Quarter;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{ArchivedDay, Day, DynStore, ReadingRow, StoreResult};

use super::rollups::{LOOKS, compare, is_belated};
use super::{Named, Report};
use crate::archiving::merge::{Merged, unpack};
use crate::archiving::shelf::Shelf;
use crate::archiving::verify::{Verified, look_at_strays};
use crate::archiving::{ArchiveError, date, join};

/// Readings worked out in one go, or one light's: about as many as a group of a file has.
const READINGS_AT_ONCE: usize = 65_536;
/// Numbers of lights of which it is asked at once what was summed up.
const LIGHTS_AT_ONCE: u32 = 2_000;

/// Without a shelf it is only said how many there are.
pub async fn look_through(
    store: &DynStore,
    shelf: Option<&Shelf>,
    report: &mut Report,
    named: &mut Named,
) -> StoreResult<()> {
    let days = store.archived_days(Day(i32::MIN), Day(i32::MAX), u32::MAX).await;
    let Some(days) = report.reads("the list of archived days", days)?.filter(|days| !days.is_empty()) else {
        return Ok(());
    };
    let Some(shelf) = shelf else {
        report.looked_at.push(format!("the list of {} archived days, without their files", days.len()));
        return Ok(());
    };
    let (mut count, mut readings) = (0, 0);
    let lights = report.reads("a light", store.lights().await)?.unwrap_or_default();
    let highest = lights.iter().map(|l| l.no.0).max().unwrap_or(0);
    for mut record in days.into_iter().rev() {
        let day = record.day;
        let is_deleted = named.deleted.contains(&date(day));
        let mut looked = of_day(store, shelf, &record, highest).await;
        // A running server may replace a file, and deletes what is too old.
        if looked.is_err() {
            match store.archived_days(day, day, 1).await?.pop() {
                Some(now) if now != record => {
                    record = now;
                    looked = of_day(store, shelf, &record, highest).await;
                }
                Some(_) => {}
                None => continue,
            }
        }
        match looked {
            Ok(found) => {
                (count, readings) = (count + 1, readings + found.readings);
                named.lights.extend(found.named.lights);
                named.devices.extend(found.named.devices);
                // One that was deleted and made anew has what came late, and its sums have more.
                found.wrong.into_iter().filter(|_| !is_deleted).for_each(|wrong| report.finds(wrong));
            }
            Err(ArchiveError::Store(error)) => {
                report.reads(&format!("the archived day {}", date(day)), Err::<(), _>(error))?;
            }
            Err(error) => report.finds(format!("the archived day {}: {error}", date(day))),
        }
    }
    report.looked_at.push(format!("{count} archived days with {readings} readings, and what they came to"));
    Ok(())
}

/// Files that no record names.
pub async fn strays(store: &DynStore, shelf: &Shelf, now: UtcMillis, report: &mut Report) -> StoreResult<()> {
    let mut strays = Verified::default();
    match look_at_strays(store, shelf, now, &mut strays).await {
        Ok(()) => strays.findings.into_iter().for_each(|finding| report.finds(finding)),
        Err(ArchiveError::Store(error)) => {
            return report.reads("the list of archived days", Err::<(), _>(error)).map(drop);
        }
        Err(error) => report.finds(format!("the archive: {error}")),
    }
    Ok(())
}

/// Days that came to something, and whose readings are nowhere although nobody deleted them.
pub async fn lost(store: &DynStore, report: &mut Report, deleted: &BTreeSet<String>) -> StoreResult<()> {
    let (mut after, mut lights) = ((LightNo(0), Day(i32::MIN)), BTreeMap::<Day, u32>::new());
    loop {
        let page = store.bare_rollups(after, LIGHTS_AT_ONCE).await;
        let Some(page) = report.reads("what days came to", page)? else { break };
        let Some(last) = page.last() else { break };
        after = *last;
        for (_, day) in page.into_iter().filter(|(_, day)| !deleted.contains(&date(*day))) {
            *lights.entry(day).or_default() += 1;
        }
    }
    for (day, lights) in lights {
        report.finds(format!(
            "what {lights} lights said on {} is lost: there are sums, and neither a block nor a file",
            date(day)
        ));
    }
    Ok(())
}

#[derive(Default)]
struct Found {
    readings: u64,
    named: Named,
    wrong: Vec<String>,
}

async fn of_day(store: &DynStore, shelf: &Shelf, record: &ArchivedDay, highest: u32) -> Result<Found, ArchiveError> {
    let day = record.day;
    let mut merged = Merged::open(store.clone(), shelf, day, Some(record)).await?;
    let (mut found, mut suspects, mut ended) = (Found::default(), BTreeSet::new(), false);
    while !ended {
        let (mut lights, mut readings) = (Vec::new(), 0);
        while readings < READINGS_AT_ONCE && !ended {
            match merged.next_light().await? {
                Some(rows) => {
                    readings += rows.len();
                    found.named.devices.extend(rows.iter().map(|r| r.device_no.0));
                    lights.push(rows);
                }
                None => ended = true,
            }
        }
        found.readings += readings as u64;
        let working = tokio::task::spawn_blocking(move || {
            lights.iter().filter_map(|rows| Some((rows.first()?.light_no, work_out(rows)))).collect::<Vec<_>>()
        });
        for (light, quarters) in working.await? {
            found.named.lights.insert(light.0);
            let kept = store.rollups_of_light(light, day, day, 1).await?.pop();
            if kept.is_none_or(|kept| compare(&quarters, &kept).is_some()) {
                suspects.insert(light);
            }
        }
    }
    for from in (0..=highest).step_by(LIGHTS_AT_ONCE as usize) {
        let lights = (LightNo(from), LightNo(from.saturating_add(LIGHTS_AT_ONCE)));
        let summed = store.ledgers(lights, day, day).await?.into_iter().map(|ledger| ledger.light_no);
        suspects.extend(summed.filter(|light| !found.named.lights.contains(&light.0)));
    }
    for light in suspects {
        if let Some(why) = look_again(store, shelf, light, day).await? {
            found.wrong.push(format!("the archived day {} of light number {}: {why}", date(day), light.0));
        }
    }
    Ok(found)
}

fn work_out(rows: &[ReadingRow]) -> Vec<Quarter> {
    ccms_block::quarters(rows, UtcMillis(i64::MAX))
}

/// At one light: a running server may have sealed or archived something between one look and the other.
async fn look_again(store: &DynStore, shelf: &Shelf, light: LightNo, day: Day) -> Result<Option<String>, ArchiveError> {
    let mut last = None;
    for _ in 0..LOOKS {
        let Some(record) = store.archived_days(day, day, 1).await?.pop() else { return Ok(None) };
        let before = store.rollups_of_light(light, day, day, 1).await?;
        let block = store.sealed_of_light(light, day, day, 1).await?.pop();
        let rows = shelf.wanted(&record, Wanted::of(light).into()).await?;
        let rows = join(rows, block.as_ref().map_or(Ok(Vec::new()), unpack)?);
        let mut kept = store.rollups_of_light(light, day, day, 1).await?;
        let moved = kept != before || store.archived_days(day, day, 1).await?.pop() != Some(record);
        last = match kept.pop() {
            None if rows.is_empty() || is_belated(store, light, day).await? => None,
            None => Some("its quarters of an hour were not summed up".to_owned()),
            Some(_) if rows.is_empty() => Some("there are sums, and no readings".to_owned()),
            Some(kept) => compare(&work_out(&rows), &kept),
        };
        if last.is_none() || !moved {
            break;
        }
    }
    Ok(last)
}
