//! Readings of a day as blocks: pure.
use std::collections::{BTreeMap, HashMap};

use ccms_block::BlockError;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow, RolledDay, SealedDay};

/// What lights said on a day that is in a file.
pub(crate) type Archived = HashMap<LightNo, Vec<ReadingRow>>;

/// Blocks that are to be written, with what their days come to, and how many lights could not be packed.
#[derive(Default)]
pub(crate) struct Merged {
    pub blocks: Vec<(SealedDay, RolledDay)>,
    pub failed: u32,
}

/// Blocks of a day with these rows in them, for each light that says something new.
pub(crate) fn merge(day: Day, rows: Vec<ReadingRow>, present: Vec<SealedDay>, mut archived: Archived) -> Merged {
    let mut lights: BTreeMap<LightNo, Vec<ReadingRow>> = BTreeMap::new();
    rows.into_iter().for_each(|row| lights.entry(row.light_no).or_default().push(row));
    let mut present: BTreeMap<LightNo, SealedDay> = present.into_iter().map(|b| (b.light_no, b)).collect();
    let mut merged = Merged::default();
    for (light, rows) in lights {
        let before = present.remove(&light);
        match pack(day, light, rows, before.as_ref(), archived.remove(&light)) {
            // After an interruption nothing is new.
            Ok((block, _)) if before.as_ref().is_some_and(|b| b.body == block.body) => {}
            Ok(packed) => merged.blocks.push(packed),
            Err(error) => {
                tracing::error!(%error, light = light.0, day = day.0, "a light's day was not sealed; it stays in the log");
                merged.failed += 1;
            }
        }
    }
    merged
}

fn pack(
    day: Day,
    light: LightNo,
    mut rows: Vec<ReadingRow>,
    before: Option<&SealedDay>,
    archived: Option<Vec<ReadingRow>>,
) -> Result<(SealedDay, RolledDay), BlockError> {
    if let Some(block) = before {
        // First, so that of two that are alike the one that was there stays.
        rows.splice(0..0, ccms_block::decode(light, &block.body)?);
    }
    put_in_order(&mut rows);
    let body = ccms_block::encode(&rows)?;
    let revision = before.map_or(0, |b| b.revision) + 1;
    let block = SealedDay { light_no: light, day, revision, readings: rows.len() as u32, body };
    if let Some(archived) = archived {
        rows.splice(0..0, archived);
        put_in_order(&mut rows);
    }
    Ok((block, roll_up(light, day, &rows)?))
}

/// What the day of a block came to.
pub(crate) fn rolled(block: &SealedDay) -> Result<RolledDay, BlockError> {
    roll_up(block.light_no, block.day, &ccms_block::decode(block.light_no, &block.body)?)
}

/// Readings of one light's day in their order.
fn roll_up(light: LightNo, day: Day, rows: &[ReadingRow]) -> Result<RolledDay, BlockError> {
    // What is last said holds to the end of its quarter: what comes later is worked out anew with it.
    let quarters = ccms_block::quarters(rows, UtcMillis(i64::MAX));
    let (ledger, measured) = ccms_block::encode_quarters(day, &quarters)?;
    Ok(RolledDay { light_no: light, day, ledger, measured })
}

/// Of readings that are alike the first stays.
fn put_in_order(rows: &mut Vec<ReadingRow>) {
    rows.sort_by_key(|r| (r.reading.reported_at, r.dedupe));
    rows.dedup_by_key(|r| (r.reading.reported_at, r.dedupe));
}
