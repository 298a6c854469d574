//! Readings of a day as blocks: pure.
use std::collections::HashSet;

use ccms_block::{BlockError, Quarter, READINGS_MAX, decode_ledger, decode_measured};
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow, RolledDay, SealedDay};

/// What a light's rows of a day join.
#[derive(Default)]
pub(crate) struct Known {
    pub block: Option<SealedDay>,
    /// What the day's file has of it.
    pub archived: Vec<ReadingRow>,
    /// What the day came to, where its file may have been deleted.
    pub rolled: Option<RolledDay>,
}

/// Blocks that are to be written, with what their days come to.
#[derive(Default)]
pub(crate) struct Merged {
    pub blocks: Vec<(SealedDay, RolledDay)>,
    /// Lights that could not be packed.
    pub failed: Vec<LightNo>,
    /// Readings beyond what a light's day holds, which are let go.
    pub over: Vec<(LightNo, u64)>,
}

/// Blocks of a day with these rows in them, for each light that says something new.
pub(crate) fn merge(day: Day, lights: Vec<(LightNo, Vec<ReadingRow>, Known)>) -> Merged {
    let mut merged = Merged::default();
    for (light, rows, known) in lights {
        match pack(day, light, rows, &known) {
            Ok((packed, over)) => {
                if over > 0 {
                    merged.over.push((light, over));
                }
                // After an interruption nothing is new.
                merged
                    .blocks
                    .extend(packed.filter(|(block, _)| known.block.as_ref().is_none_or(|b| b.body != block.body)));
            }
            Err(error) => {
                tracing::error!(%error, light = light.0, day = day.0, "a light's day was not sealed; it stays in the log");
                merged.failed.push(light);
            }
        }
    }
    merged
}

/// None where nothing is left to keep; and how many readings are too many.
fn pack(
    day: Day,
    light: LightNo,
    mut rows: Vec<ReadingRow>,
    known: &Known,
) -> Result<(Option<(SealedDay, RolledDay)>, u64), BlockError> {
    let before = match &known.block {
        Some(block) => ccms_block::decode(light, &block.body)?,
        None => Vec::new(),
    };
    let over = let_go(&mut rows, &before, &known.archived);
    // First, so that of two that are alike the one that was there stays.
    rows.splice(0..0, before.iter().cloned());
    put_in_order(&mut rows);
    if rows.is_empty() {
        return Ok((None, over));
    }
    let body = ccms_block::encode(&rows)?;
    let revision = known.block.as_ref().map_or(0, |b| b.revision) + 1;
    let block = SealedDay { light_no: light, day, revision, readings: rows.len() as u32, body };
    rows.splice(0..0, known.archived.iter().cloned());
    put_in_order(&mut rows);
    let rolled = match &known.rolled {
        Some(kept) => {
            let mut settled = [&known.archived[..], &before].concat();
            put_in_order(&mut settled);
            encode(light, day, &beside_what_is_gone(kept, &work_out(&settled), work_out(&rows))?)?
        }
        None => roll_up(light, day, &rows)?,
    };
    Ok((Some((block, rolled)), over))
}

/// Takes out what is more than a light's day holds, of that what arrived last; answers how many. What is kept already stays.
fn let_go(rows: &mut Vec<ReadingRow>, before: &[ReadingRow], archived: &[ReadingRow]) -> u64 {
    if rows.len() + before.len() + archived.len() <= READINGS_MAX {
        return 0;
    }
    let mut known: HashSet<_> = before.iter().chain(archived).map(key).collect();
    rows.sort_by_key(|row| row.received_at);
    let mut over = 0;
    rows.retain(|row| {
        let fits = known.contains(&key(row)) || known.len() < READINGS_MAX;
        if fits {
            known.insert(key(row));
        }
        over += u64::from(!fits);
        fits
    });
    over
}

/// What a day came to, with quarters that its readings do not account for: they are of readings that were deleted, and stay as they
/// are. What came late fills those of which nothing was known.
pub(crate) fn beside_what_is_gone(
    kept: &RolledDay,
    before: &[Quarter],
    mut now: Vec<Quarter>,
) -> Result<Vec<Quarter>, BlockError> {
    let time = decode_ledger(kept.day, &kept.ledger)?;
    let measured = decode_measured(&time, &kept.measured)?;
    let kept = time.into_iter().zip(measured).map(|(ledger, measured)| Quarter { ledger, measured });
    let gone: Vec<Quarter> = kept.filter(|quarter| !before.contains(quarter)).collect();
    now.retain(|quarter| gone.iter().all(|other| other.ledger.begins != quarter.ledger.begins));
    now.extend(gone);
    now.sort_by_key(|quarter| quarter.ledger.begins);
    Ok(now)
}

/// What the day of a block came to, with what its file has.
pub(crate) fn rolled(block: &SealedDay, archived: Vec<ReadingRow>) -> Result<RolledDay, BlockError> {
    let mut rows = archived;
    rows.extend(ccms_block::decode(block.light_no, &block.body)?);
    put_in_order(&mut rows);
    roll_up(block.light_no, block.day, &rows)
}

/// Readings of one light's day in their order.
pub(crate) fn roll_up(light: LightNo, day: Day, rows: &[ReadingRow]) -> Result<RolledDay, BlockError> {
    encode(light, day, &work_out(rows))
}

fn work_out(rows: &[ReadingRow]) -> Vec<Quarter> {
    // What is last said holds to the end of its quarter: what comes later is worked out anew with it.
    ccms_block::quarters(rows, UtcMillis(i64::MAX))
}

fn encode(light: LightNo, day: Day, quarters: &[Quarter]) -> Result<RolledDay, BlockError> {
    let (ledger, measured) = ccms_block::encode_quarters(day, quarters)?;
    Ok(RolledDay { light_no: light, day, ledger, measured })
}

fn key(row: &ReadingRow) -> (UtcMillis, i64) {
    (row.reading.reported_at, row.dedupe)
}

/// Of readings that are alike the first stays.
fn put_in_order(rows: &mut Vec<ReadingRow>) {
    rows.sort_by_key(key);
    rows.dedup_by_key(|row| key(row));
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::Reading;

    use super::*;

    const DAY: Day = Day(20_439);
    const LIGHT: LightNo = LightNo(7);

    fn said(second: i64) -> ReadingRow {
        let at = DAY.begins().plus_seconds(second);
        let reading = Reading { reported_at: at, seq: Some(1), energy_wh: Some(1_000 + second), ..Reading::default() };
        ReadingRow { light_no: LIGHT, device_no: DeviceNo(1), received_at: at, dedupe: reading.dedupe_key(), reading }
    }

    fn merged(rows: Vec<ReadingRow>, known: Known) -> Merged {
        merge(DAY, vec![(LIGHT, rows, known)])
    }

    fn samples(rolled: &RolledDay) -> Vec<u32> {
        decode_ledger(rolled.day, &rolled.ledger).unwrap().iter().map(|quarter| quarter.samples).collect()
    }

    #[test]
    fn a_day_that_overflows_keeps_what_came_first() {
        let rows: Vec<_> = (0..READINGS_MAX as i64 - 20_000).map(said).collect();
        let first = merged(rows, Known::default()).blocks.remove(0);
        // In the order of arrival, which is not that of their times.
        let late = |n: i64| ReadingRow { received_at: DAY.ends().plus_seconds(n), ..said(86_399 - n) };
        let known = || Known {
            block: Some(first.0.clone()),
            archived: (80_000..82_000).map(said).collect(),
            ..Known::default()
        };
        let mut rows: Vec<_> = (0..4_399).map(late).collect();
        rows.extend((80_000..82_000).map(said));
        let second = merged(rows.clone(), known());
        assert_eq!((second.over.len(), second.failed.len(), second.blocks[0].0.readings), (0, 0, 86_399));
        let mut twins = rows.clone();
        twins.extend((0..20_000).map(|n| ReadingRow {
            dedupe: 2,
            received_at: DAY.ends().plus_seconds(9_000 + n),
            ..said(n)
        }));
        let third = merged(twins, known());
        let over = 86_399 + 20_000 - READINGS_MAX as u64;
        assert_eq!((third.over.clone(), third.failed.len()), (vec![(LIGHT, over)], 0));
        let kept = ccms_block::decode(LIGHT, &third.blocks[0].0.body).unwrap();
        assert_eq!(kept.len(), READINGS_MAX);
        assert!(
            kept.iter().filter(|r| r.dedupe == 2).all(|r| r.reading.reported_at < DAY.begins().plus_seconds(20_000))
        );
    }

    #[test]
    fn what_a_deleted_day_came_to_stays_and_is_filled_up() {
        // Three quarters of an hour, whose readings are gone.
        let whole = roll_up(LIGHT, DAY, &(0..45).map(|minute| said(60 * minute)).collect::<Vec<_>>()).unwrap();
        assert_eq!(samples(&whole), [15, 15, 15]);
        let late = vec![said(61), said(3_600)];
        let known = Known { rolled: Some(whole.clone()), ..Known::default() };
        let (block, rolled) = merged(late, known).blocks.remove(0);
        assert_eq!((block.readings, samples(&rolled)), (2, vec![15, 15, 15, 1]));
        // Later still, when what came late before is in a block.
        let known = Known { block: Some(block), rolled: Some(rolled), ..Known::default() };
        let (block, rolled) = merged(vec![said(62), said(3_601), said(7_200)], known).blocks.remove(0);
        assert_eq!((block.readings, samples(&rolled)), (5, vec![15, 15, 15, 2, 1]));
        // A day whose readings are all there is summed up anew.
        let rows: Vec<_> = (0..45).map(|minute| said(60 * minute)).collect();
        let (block, rolled) = merged(rows, Known::default()).blocks.remove(0);
        let known = Known { block: Some(block), rolled: Some(rolled), ..Known::default() };
        assert_eq!(samples(&merged(vec![said(61), said(2_699)], known).blocks[0].1), [16, 15, 16]);
    }
}
