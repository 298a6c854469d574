//! Blocks against what their days came to: worked out once more and compared. Of a day that is in a file as well, only that there are
//! sums can be said from here; `files` says the rest.
use std::collections::HashMap;

use ccms_block::Quarter;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, DynStore, RolledDay, SealedDay, StoreResult};

/// A running server may seal a day anew between two looks at it.
pub const LOOKS: u32 = 3;

/// Days that are in files, as far as they were asked for.
#[derive(Default)]
pub struct Archived(HashMap<Day, bool>);

/// What is wrong with the sums of this block's day, if anything is.
pub async fn finding(store: &DynStore, block: &SealedDay, archived: &mut Archived) -> StoreResult<Option<String>> {
    let (light, day) = (block.light_no, block.day);
    let in_file = match archived.0.get(&day) {
        Some(known) => *known,
        None => {
            let known = !store.archived_days(day, day, 1).await?.is_empty();
            archived.0.insert(day, known);
            known
        }
    };
    let (mut block, mut last) = (block.clone(), None);
    for _ in 0..LOOKS {
        let rolled = store.rollups_of_light(light, day, day, 1).await?.pop();
        last = match rolled {
            None if is_belated(store, light, day).await? => None,
            None => Some("its quarters of an hour were not summed up".to_owned()),
            Some(_) if in_file => None,
            // A block that cannot be read was found before.
            Some(rolled) => worked_out(&block).and_then(|quarters| compare(&quarters, &rolled)),
        };
        let now = store.sealed_of_light(light, day, day, 1).await?.pop();
        match now {
            Some(now) if last.is_some() && now.revision != block.revision => block = now,
            None => return Ok(None),
            _ => break,
        }
    }
    Ok(last)
}

pub async fn is_belated(store: &DynStore, light: LightNo, day: Day) -> StoreResult<bool> {
    Ok(store.unrolled_days(u32::MAX).await?.contains(&(light, day)))
}

fn worked_out(block: &SealedDay) -> Option<Vec<Quarter>> {
    let rows = ccms_block::decode(block.light_no, &block.body).ok()?;
    Some(ccms_block::quarters(&rows, UtcMillis(i64::MAX)))
}

/// What is wrong with sums that should be these.
pub fn compare(worked_out: &[Quarter], kept: &RolledDay) -> Option<String> {
    let read = ccms_block::decode_ledger(kept.day, &kept.ledger)
        .and_then(|time| ccms_block::decode_measured(&time, &kept.measured).map(|values| (time, values)));
    match read {
        Err(error) => Some(format!("its sums: {error}")),
        Ok((time, values)) => {
            let same = time.len() == worked_out.len()
                && worked_out
                    .iter()
                    .zip(time.iter().zip(&values))
                    .all(|(q, (l, m))| l.is_kept_of(&q.ledger) && q.measured == *m);
            (!same).then(|| "its sums are not those of its readings".to_owned())
        }
    }
}
