//! Files that no record names come into the database: after an older backup of it was put back, they are all there is of their days.
//!
//! A file is read from the first byte to the last before it counts, and takes the place of an older one only. Its footer says what a
//! record says. What its lights' days came to is worked out before it is recorded, so that whoever interrupts it runs it again, and once
//! more behind that: from then on everybody reads the file, and a sealer that came in between did not know of it.
use std::collections::BTreeMap;

use ccms_archive::Footer;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{ArchivedDay, AuditEntry, Day, DynStore, ReadingRow, SealedDay, StoreError};
use serde_json::json;

use super::merge::{by_light, unpack};
use super::shelf::Shelf;
use super::strays::{Name, Stray, own_name, strays};
use super::verify::check;
use super::{ArchiveError, date, join};
use crate::packing::roll_up;

/// Lights whose days are summed up in one transaction.
const LIGHTS_AT_ONCE: usize = 64;
/// A sealer comes by once in minutes.
const TRIES: u32 = 10;

#[derive(Debug, Default)]
pub struct Adopted {
    pub days: Vec<ArchivedDay>,
    /// Files that were left where they are, and why.
    pub left: Vec<String>,
}

/// Takes in the newest whole file of each day that has none, or an older one; of one day or of all.
pub async fn adopt(
    store: &DynStore,
    shelf: &Shelf,
    day: Option<Day>,
    actor: &str,
    now: UtcMillis,
) -> Result<Adopted, ArchiveError> {
    let files = shelf.files().await?;
    let records = store.archived_days(Day(i32::MIN), Day(i32::MAX), u32::MAX).await?;
    let mut of_day: BTreeMap<Day, Vec<(u32, UtcMillis, String)>> = BTreeMap::new();
    for (file, stray) in strays(&files, &records, Day(i32::MIN), now) {
        let Some(name) = Name::of(&file).filter(|name| day.is_none_or(|day| day == name.day)) else { continue };
        if matches!(stray, Stray::Unclaimed | Stray::Young) && super::shelf::staged_for(&file).is_none() {
            of_day.entry(name.day).or_default().push((name.revision, name.made_at, file));
        }
    }
    let records: BTreeMap<Day, ArchivedDay> = records.into_iter().map(|record| (record.day, record)).collect();
    let mut done = Adopted::default();
    for (day, mut candidates) in of_day {
        candidates.sort();
        let recorded = records.get(&day);
        let newer = |(revision, made_at, _): &(u32, UtcMillis, String)| {
            recorded.is_none_or(|r| (*revision, *made_at) > (r.revision, r.archived_at))
        };
        while let Some((revision, made_at, file)) = candidates.pop().filter(newer) {
            match take_in(store, shelf, &file, Name { day, revision, made_at }, recorded, (actor, now)).await {
                Ok(record) => {
                    done.days.push(record);
                    break;
                }
                Err(ArchiveError::Store(error)) => return Err(error.into()),
                Err(error) => done.left.push(error.to_string()),
            }
        }
    }
    Ok(done)
}

async fn take_in(
    store: &DynStore,
    shelf: &Shelf,
    file: &str,
    name: Name,
    before: Option<&ArchivedDay>,
    (actor, now): (&str, UtcMillis),
) -> Result<ArchivedDay, ArchiveError> {
    let mut record = described(shelf, file, name).await?;
    check(shelf, &record).await?;
    record.file = own_name(file);
    if record.file != file {
        shelf.rename(file, &record.file).await?;
    }
    sum_up_all(store, shelf, &record).await?;
    let audit = AuditEntry {
        at: now,
        actor: actor.to_owned(),
        action: "archive.adopt".into(),
        target: date(record.day),
        detail: json!({"file": record.file, "readings": record.readings, "instead_of": before.map(|b| &b.file)}),
    };
    if !store.adopt_archived(&record, before.map(|b| b.revision), &audit).await? {
        return Err(ArchiveError::file(&record.file, "its day was changed meanwhile, or is being restored"));
    }
    sum_up_all(store, shelf, &record).await?;
    Ok(record)
}

async fn sum_up_all(store: &DynStore, shelf: &Shelf, record: &ArchivedDay) -> Result<(), ArchiveError> {
    let footer = shelf.footer(record).await?;
    for group in 0..footer.groups().len() {
        let mut lights: Vec<(LightNo, Vec<ReadingRow>)> =
            by_light(shelf.rows(&record.file, &footer, group, None).await?).into();
        while !lights.is_empty() {
            let rest = lights.split_off(lights.len().min(LIGHTS_AT_ONCE));
            sum_up(store, record.day, lights).await?;
            lights = rest;
        }
    }
    Ok(())
}

/// The record of a file, from what it says of itself.
async fn described(shelf: &Shelf, file: &str, name: Name) -> Result<ArchivedDay, ArchiveError> {
    let (bytes, sha256) = shelf.sum(file).await?;
    let tail = shelf.range(file, bytes.saturating_sub(Footer::END_BYTES)..bytes).await?;
    let footer_bytes = Footer::length(&tail).filter(|length| u64::from(*length) <= bytes);
    let footer_bytes = footer_bytes.ok_or_else(|| ArchiveError::file(file, "it does not end as a whole file does"))?;
    let end = shelf.range(file, bytes - u64::from(footer_bytes)..bytes).await?;
    let footer_crc = Footer::checksum(&end);
    let footer = Footer::parse(&end, footer_crc).map_err(ArchiveError::damaged(file))?;
    Ok(ArchivedDay {
        day: name.day,
        revision: name.revision,
        file: file.to_owned(),
        readings: footer.readings,
        lights: footer.lights,
        bytes,
        sha256,
        footer_bytes,
        footer_crc,
        archived_at: name.made_at,
        kept_until: None,
        restored: false,
    })
}

/// What these lights' days came to. A sealer that comes in between knows of the file already, and has the last word.
async fn sum_up(store: &DynStore, day: Day, lights: Vec<(LightNo, Vec<ReadingRow>)>) -> Result<(), ArchiveError> {
    let (Some((first, _)), Some((last, _))) = (lights.first(), lights.last()) else { return Ok(()) };
    let range = (*first, LightNo(last.0.saturating_add(1)));
    let mut present = store.sealed_of_day(day, range.0, range.1).await?;
    for _ in 0..TRIES {
        let (given, blocks) = (lights.clone(), present.clone());
        let summed = tokio::task::spawn_blocking(move || {
            let of = |light: LightNo, rows: Vec<ReadingRow>| {
                let block = blocks.iter().find(|b| b.light_no == light).map_or(Ok(Vec::new()), unpack)?;
                roll_up(light, day, &join(rows, block)).map_err(|error| ArchiveError::Block { light, day, error })
            };
            given.into_iter().map(|(light, rows)| of(light, rows)).collect::<Result<Vec<_>, _>>()
        });
        store.write_rollups(&summed.await??).await?;
        let now = store.sealed_of_day(day, range.0, range.1).await?;
        // Those that went are in the file.
        let is_new = |block: &SealedDay| !present.contains(block);
        if !now.iter().any(is_new) {
            return Ok(());
        }
        present = now;
    }
    Err(StoreError::unavailable("blocks are changed by somebody else all the time").into())
}
