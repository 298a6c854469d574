//! Whether the readings of the log hang together: each says where the one before it of its light is, and the newest time there was
//! until then ([`crate::append`] decides by it what is new). One walk over all batches.
use std::collections::HashMap;

use ccms_block::second_of;
use ccms_core::ids::LightNo;
use ccms_store::{StoreError, StoreResult};

use crate::heads::Head;
use crate::{SqliteStore, batches, failed};

/// What is wrong is listed up to this many lines; one is enough to act.
const FINDINGS_MAX: usize = 20;

pub(crate) async fn findings(store: &SqliteStore) -> StoreResult<Vec<String>> {
    let mut tx = store.readers.begin().await.map_err(failed)?;
    let (mut known, mut at, mut wrong): (HashMap<LightNo, Head>, _, _) = (HashMap::new(), 0, Vec::new());
    loop {
        let batches = batches::after(&mut tx, at).await?;
        let Some(last) = batches.last() else { return Ok(wrong) };
        at = last.id;
        for batch in &batches {
            let found = match batch.all_of(|_| true) {
                Ok(found) => found,
                // Who reads the log is told; what was in it is behind every reading that follows.
                Err(StoreError::BadRow { .. }) => {
                    known.clear();
                    continue;
                }
                Err(error) => return Err(error),
            };
            for linked in found {
                let (link, light) = (linked.link, linked.row.light_no);
                let before = known.get(&light).copied();
                let last = before.map_or(0, |head| head.position);
                let newest = before.map_or(0, |head| head.newest);
                // What it names may be gone, when all of its batch is; what is there must not be passed over.
                if link.previous < last || link.previous >= link.position {
                    wrong.push(format!(
                        "position {} of light number {} follows {}, not {last}",
                        link.position, light.0, link.previous
                    ));
                } else if link.newest_before < newest {
                    wrong.push(format!(
                        "position {} of light number {} knows of nothing newer than second {}, but {newest} was there",
                        link.position, light.0, link.newest_before
                    ));
                }
                if wrong.len() >= FINDINGS_MAX {
                    return Ok(wrong);
                }
                let newest = newest.max(link.newest_before).max(second_of(&linked.row));
                known.insert(light, Head { position: link.position, newest });
            }
        }
    }
}
