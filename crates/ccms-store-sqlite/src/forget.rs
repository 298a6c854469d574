//! What is in blocks leaves the log. A batch all of whose readings are gone goes; of others the rest stays where it is.
use std::collections::BTreeSet;

use ccms_block::Linked;
use ccms_core::ids::LightNo;
use ccms_store::{Day, LogPosition, StoreResult};

use crate::batches::{self, Batch};
use crate::hot::{Times, lights_json, within};
use crate::{SqliteStore, failed, log};

/// As [`ccms_store::Sealing::forget_hot`] says.
pub(crate) async fn forget(
    store: &SqliteStore,
    day: Day,
    (after, upto): (LogPosition, LogPosition),
    limit: u32,
    except: &[LightNo],
) -> StoreResult<(u64, LogPosition)> {
    let gone = forget_old(store, day, upto, limit, except).await?;
    if gone > 0 {
        return Ok((gone, after));
    }
    let except: BTreeSet<LightNo> = except.iter().copied().collect();
    let times = (day.begins(), day.ends());
    let (mut changed, mut at, mut left) = (Vec::new(), after.0, limit as usize);
    // Where nothing is left to do.
    let mut done = after;
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    while at < upto.0 && left > 0 {
        let batches = batches::of_time(&mut connection, times, at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for mut batch in batches {
            let id = batch.id;
            let taken = take_out(&mut batch, times, upto, left, &except)?;
            if taken > 0 {
                changed.push(batch);
            }
            left -= taken;
            if left == 0 {
                break;
            }
            done = LogPosition(id);
        }
    }
    drop(connection);
    if left == limit as usize {
        return Ok((0, done));
    }
    write(store, &changed).await?;
    Ok((u64::from(limit) - left as u64, done))
}

/// Marks at most `limit` readings of a batch as gone, the oldest first; answers how many.
fn take_out(
    batch: &mut Batch,
    times: Times,
    upto: LogPosition,
    limit: usize,
    except: &BTreeSet<LightNo>,
) -> StoreResult<usize> {
    let is_whole =
        except.is_empty() && batch.id <= upto.0 && batch.first_at >= times.0.0 && batch.last_at() < times.1.0;
    if is_whole && batch.readings.unsigned_abs() as usize <= limit {
        let all = batch.readings.unsigned_abs() as usize;
        batch.readings = 0;
        return Ok(all);
    }
    let here = batch.of(|_| true)?;
    let mut going: Vec<&Linked> =
        here.iter().filter(|l| within(times, upto)(l) && !except.contains(&l.row.light_no)).collect();
    if going.is_empty() {
        return Ok(0);
    }
    going.sort_by_key(|l| l.row.reading.reported_at);
    going.truncate(limit);
    let indices: Vec<usize> = going.iter().map(|l| l.index).collect();
    let base_at = batch.base_at.unwrap_or(batch.first_at);
    batch.remove(indices.iter().copied());
    let stay = || here.iter().filter(|l| !indices.contains(&l.index)).map(|l| l.row.reading.reported_at.0);
    if let (Some(first), Some(last)) = (stay().min(), stay().max()) {
        (batch.base_at, batch.first_at, batch.span_ms) = (Some(base_at), first, last.saturating_sub(first));
    }
    Ok(indices.len())
}

async fn write(store: &SqliteStore, changed: &[Batch]) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    for batch in changed {
        let written = if batch.readings == 0 {
            // Its position is never given again.
            sqlx::query!("UPDATE log_end SET position = max(position, ?)", batch.id)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
            sqlx::query!("DELETE FROM energy_parameters WHERE id = ?", batch.id).execute(&mut *tx).await
        } else {
            sqlx::query!(
                "UPDATE energy_parameters SET readings = ?, first_at = ?, span_ms = ?, gone = ?, base_at = ? WHERE id = ?",
                batch.readings,
                batch.first_at,
                batch.span_ms,
                batch.gone,
                batch.base_at,
                batch.id
            )
            .execute(&mut *tx)
            .await
        };
        written.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)
}

async fn forget_old(
    store: &SqliteStore,
    day: Day,
    upto: LogPosition,
    limit: u32,
    except: &[LightNo],
) -> StoreResult<u64> {
    // Memory may not know of them yet; then they are looked for.
    if *store.log.turn.lock().await && !store.log.heads().old {
        return Ok(0);
    }
    let (from, to, lights) = (day.begins().0, day.ends().0, lights_json(except));
    let mut tx = store.begin().await?;
    let gone = sqlx::query!(
        "DELETE FROM loose_readings WHERE id IN (
           SELECT id FROM loose_readings INDEXED BY loose_readings_once
           WHERE reported_at >= ? AND reported_at < ? AND id <= ? AND flags & 4096 = 0
             AND light_no NOT IN (SELECT value FROM json_each(?))
           ORDER BY reported_at LIMIT ?)",
        from,
        to,
        upto.0,
        lights,
        limit
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "UPDATE log_end SET position = max(position, coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'loose_readings'), 0))"
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    let old = log::has_old(&mut tx).await?;
    tx.commit().await.map_err(failed)?;
    store.log.heads_mut().old = old;
    Ok(gone.rows_affected())
}
