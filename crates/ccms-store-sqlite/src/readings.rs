//! The hot log, read: by light, along the chain of its readings, or in order.
//!
//! What reading costs. A light's readings are found one by one, each in a batch of its own: an hour of them is 120 batches. What
//! has no light to begin with walks over the batches in order.
use std::ops::ControlFlow;

use ccms_block::second;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{LogPosition, ReadingRow, StoreResult};

use crate::loose::{self, Placed};
use crate::{SqliteStore, batches, chain, checkpoint, failed, log};

pub(crate) async fn between(
    store: &SqliteStore,
    light: LightNo,
    (from, to): (UtcMillis, UtcMillis),
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    if from >= to || limit == 0 {
        return Ok(Vec::new());
    }
    log::catch_up(store, &store.readers).await?;
    let head = store.log.heads().of(light);
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let mut found: Vec<ReadingRow> =
        loose::between(&mut connection, light, (from, to), limit).await?.into_iter().map(|(_, row)| row).collect();
    let (earliest, limit) = (second(from), limit as usize);
    let mut next_count = limit;
    chain::walk_all(&mut connection, light, head, |linked| {
        if (from..to).contains(&linked.row.reading.reported_at) {
            found.push(linked.row.clone());
        }
        let before = linked.link.newest_before;
        let mut enough = before < earliest;
        if found.len() >= next_count {
            // Enough are newer than whatever is further back: mostly all are. Not counted again with every step.
            enough |= found.iter().filter(|row| second(row.reading.reported_at) > before).count() >= limit;
            next_count = found.len() + limit;
        }
        if enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    found.sort_by_key(|row| std::cmp::Reverse((row.reading.reported_at, row.dedupe)));
    // Sent again after the way to it was lost, it is in the log twice until it is sealed.
    found.dedup_by_key(|row| (row.reading.reported_at, row.dedupe));
    found.truncate(limit);
    Ok(found)
}

/// By time of arrival, of those whose clock is suspect.
pub(crate) async fn suspect(
    store: &SqliteStore,
    light: LightNo,
    arrived: (UtcMillis, UtcMillis),
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let found = loose::suspect(&mut connection, light, arrived, limit).await?;
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

pub(crate) async fn latest(store: &SqliteStore, light: LightNo, limit: u32) -> StoreResult<Vec<ReadingRow>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    log::catch_up(store, &store.readers).await?;
    let head = store.log.heads().of(light);
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let mut found = loose::latest(&mut connection, light, limit).await?;
    let mut left = limit;
    chain::walk_all(&mut connection, light, head, |linked| {
        found.push((LogPosition(linked.link.position), linked.row.clone()));
        left -= 1;
        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .await?;
    drop(connection);
    found.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    found.truncate(limit as usize);
    if found.is_empty() {
        return Ok(checkpoint::latest_of(store, light).await?.into_iter().collect());
    }
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

pub(crate) async fn log_after(store: &SqliteStore, after: LogPosition, limit: u32) -> StoreResult<Vec<Placed>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    // One transaction: what was appended between the two reads would be seen in one table and not in the other.
    let mut tx = store.readers.begin().await.map_err(failed)?;
    let mut found = loose::after(&mut tx, after.0, limit).await?;
    let (mut at, mut packed) = (after.0, Vec::new());
    while packed.len() < limit as usize {
        let batches = batches::after(&mut tx, at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for batch in batches {
            let rows = batch.of(|_| true)?.into_iter().map(|l| (LogPosition(l.link.position), l.row));
            packed.extend(rows.filter(|(position, _)| *position > after));
            if packed.len() >= limit as usize {
                break;
            }
        }
    }
    found.extend(packed);
    found.sort_by_key(|(position, _)| *position);
    found.truncate(limit as usize);
    Ok(found)
}
