//! An archived day comes back into the database, for as long as somebody wants it there. The file stays.
//!
//! Beside a running server it needs no lock. The day is marked as wanted before anything else, and while it is, no block of it is
//! removed and its file is not replaced, whoever tries. Blocks are merged with what is there and written over the revision
//! that was read; a sealer that came in between has its way, and the light is done again. Interrupted, it is run again.
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{AuditEntry, Day, DynStore, ReadingRow, SealedDay, StoreError};

use super::merge::{by_light, unpack};
use super::shelf::Shelf;
use super::{ArchiveError, join};

/// Lights whose blocks are written in one transaction.
const LIGHTS_AT_ONCE: usize = 16;
/// A sealer comes by once in minutes.
const TRIES: u32 = 10;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Restored {
    pub readings: u64,
    pub lights: u32,
}

/// None when the day has no file.
pub async fn restore(
    store: &DynStore,
    shelf: &Shelf,
    day: Day,
    until: UtcMillis,
    audit: &AuditEntry,
) -> Result<Option<Restored>, ArchiveError> {
    let Some(record) = store.keep_sealed(day, until, audit).await? else { return Ok(None) };
    let footer = shelf.footer(&record).await?;
    let mut done = Restored::default();
    for group in 0..footer.groups().len() {
        let rows = shelf.rows(&record.file, &footer, group, None).await?;
        done.readings += rows.len() as u64;
        let mut lights: Vec<(LightNo, Vec<ReadingRow>)> = by_light(rows).into();
        done.lights += lights.len() as u32;
        while !lights.is_empty() {
            let rest = lights.split_off(lights.len().min(LIGHTS_AT_ONCE));
            write_blocks(store, day, lights).await?;
            lights = rest;
        }
    }
    let whole = done.readings == record.readings && store.mark_restored(day, record.revision).await?;
    if whole { Ok(Some(done)) } else { Err(ArchiveError::file(&record.file, "the day was restored in part only")) }
}

async fn write_blocks(
    store: &DynStore,
    day: Day,
    mut lights: Vec<(LightNo, Vec<ReadingRow>)>,
) -> Result<(), ArchiveError> {
    for _ in 0..TRIES {
        let (Some((first, _)), Some((last, _))) = (lights.first(), lights.last()) else { return Ok(()) };
        let present = store.sealed_of_day(day, *first, LightNo(last.0.saturating_add(1))).await?;
        let given = lights.clone();
        let packed = tokio::task::spawn_blocking(move || pack(day, given, &present)).await??;
        let kept = store.write_sealed(&packed).await?;
        let done = |light: &LightNo| packed.iter().zip(&kept).all(|(b, kept)| b.light_no != *light || *kept);
        lights.retain(|(light, _)| !done(light));
    }
    if lights.is_empty() {
        return Ok(());
    }
    Err(StoreError::unavailable("blocks are changed by somebody else all the time").into())
}

/// Blocks with these readings in them, of lights whose block does not have them all.
fn pack(
    day: Day,
    lights: Vec<(LightNo, Vec<ReadingRow>)>,
    present: &[SealedDay],
) -> Result<Vec<SealedDay>, ArchiveError> {
    let mut blocks = Vec::new();
    for (light, rows) in lights {
        let before = present.iter().find(|b| b.light_no == light);
        let rows = join(rows, before.map_or(Ok(Vec::new()), unpack)?);
        if before.is_some_and(|b| b.readings as usize == rows.len()) {
            continue;
        }
        let body = ccms_block::encode(&rows).map_err(|error| ArchiveError::Block { light, day, error })?;
        let revision = before.map_or(0, |b| b.revision) + 1;
        blocks.push(SealedDay { light_no: light, day, revision, readings: rows.len() as u32, body });
    }
    Ok(blocks)
}
