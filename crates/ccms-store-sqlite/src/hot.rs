//! The log as sealing sees it: by day and range of lights, counted, and removed once it is in blocks. It walks over batches, and
//! looks into those alone that are not of one day or not wholly before the position up to which it was asked.
use ccms_block::Linked;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, LogPosition, ReadingRow, StoreResult};
use sqlx::SqliteConnection;

use crate::batches::{self, Batch};
use crate::loose::{self, LooseColumns};
use crate::{SqliteStore, failed, log};

type Times = (UtcMillis, UtcMillis);

pub(crate) async fn row_at_or_before(
    store: &SqliteStore,
    position: LogPosition,
) -> StoreResult<Option<(LogPosition, UtcMillis)>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let loose = sqlx::query_as!(
        LooseColumns,
        "SELECT * FROM loose_readings WHERE id <= ? ORDER BY id DESC LIMIT 1",
        position.0
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let loose = loose.map(LooseColumns::row).transpose()?.map(|(at, row)| (at, row.received_at));
    let mut batches: Vec<Batch> = batches::at_or_after(&mut connection, position.0).await?.into_iter().collect();
    let mut below = position.0;
    loop {
        for batch in &batches {
            let last = batch.of(|_| true)?.into_iter().rfind(|l| l.link.position <= position.0);
            if let Some(last) = last {
                return Ok(loose.max(Some((LogPosition(last.link.position), last.row.received_at))));
            }
        }
        batches = batches::before(&mut connection, below).await?;
        let Some(last) = batches.last() else { return Ok(loose) };
        below = last.id;
    }
}

pub(crate) async fn oldest_arrival(store: &SqliteStore) -> StoreResult<Option<UtcMillis>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let loose = sqlx::query_as!(
        LooseColumns,
        "SELECT * FROM loose_readings INDEXED BY loose_readings_believed WHERE flags & 4096 = 0 ORDER BY id LIMIT 1"
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let loose = loose.map(LooseColumns::row).transpose()?.map(|(at, row)| (at, row.received_at));
    let first = match batches::after(&mut connection, 0).await?.first() {
        Some(batch) => batch.of(|_| true)?.into_iter().next(),
        None => None,
    };
    let first = first.map(|l| (LogPosition(l.link.position), l.row.received_at));
    Ok([loose, first].into_iter().flatten().min().map(|(_, at)| at))
}

pub(crate) async fn earliest_day(
    store: &SqliteStore,
    (from, before): (Day, Day),
    upto: LogPosition,
) -> StoreResult<Option<Day>> {
    let times = (from.begins(), before.begins());
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let old = sqlx::query_scalar!(
        "SELECT reported_at FROM loose_readings INDEXED BY loose_readings_once
         WHERE reported_at >= ? AND reported_at < ? AND id <= ? AND flags & 4096 = 0 ORDER BY reported_at LIMIT 1",
        times.0.0,
        times.1.0,
        upto.0
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?;
    let whole = sqlx::query_scalar!(
        r#"SELECT min(first_at) AS "first: i64" FROM energy_parameters WHERE id <= ? AND first_at >= ? AND first_at < ?"#,
        upto.0,
        times.0.0,
        times.1.0
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let mut earliest = old.into_iter().chain(whole).min();
    let mut partial = Partial::new(times, upto);
    while let Some(found) = partial.next(&mut connection).await? {
        earliest = found.into_iter().map(|l| l.row.reading.reported_at.0).chain(earliest).min();
    }
    Ok(earliest.map(|at| Day::of(UtcMillis(at))))
}

pub(crate) async fn count(store: &SqliteStore, day: Day, upto: LogPosition) -> StoreResult<u64> {
    let (from, to) = (day.begins(), day.ends());
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let known = sqlx::query_scalar!(
        r#"SELECT (SELECT count(*) FROM loose_readings INDEXED BY loose_readings_once
                   WHERE reported_at >= ?1 AND reported_at < ?2 AND id <= ?3 AND flags & 4096 = 0)
                + (SELECT coalesce(sum(readings), 0) FROM energy_parameters
                   WHERE id <= ?3 AND first_at >= ?1 AND first_at + span_ms < ?2) AS "known!: i64""#,
        from.0,
        to.0,
        upto.0
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed)?;
    let mut count = known.unsigned_abs();
    let mut partial = Partial::new((from, to), upto);
    while let Some(found) = partial.next(&mut connection).await? {
        count += found.len() as u64;
    }
    Ok(count)
}

/// Readings of `first <= light < end` and `from <= time < to`, at most `limit`, in no order.
pub(crate) async fn rows(
    store: &SqliteStore,
    lights: (LightNo, LightNo),
    (from, to): Times,
    upto: LogPosition,
    limit: u32,
) -> StoreResult<Vec<ReadingRow>> {
    let limit = limit as usize;
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let mut found = loose::old(&mut connection, lights, (from, to), upto, limit as u32).await?;
    let mut at = 0;
    while at < upto.0 && found.len() < limit {
        let batches = batches::of_time(&mut connection, (from, to), at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for batch in batches {
            let rows = batch.of(|light| (lights.0..lights.1).contains(&light))?;
            found.extend(rows.into_iter().filter(within((from, to), upto)).map(|l| l.row));
        }
    }
    found.truncate(limit);
    Ok(found)
}

pub(crate) async fn forget(store: &SqliteStore, day: Day, upto: LogPosition, limit: u32) -> StoreResult<u64> {
    let gone = forget_old(store, day, upto, limit).await?;
    if gone > 0 {
        return Ok(gone);
    }
    let times = (day.begins(), day.ends());
    let (mut changed, mut at, mut left) = (Vec::new(), 0, limit as usize);
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    while at < upto.0 && left > 0 {
        let batches = batches::of_time(&mut connection, times, at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for mut batch in batches {
            left -= take_out(&mut batch, times, upto, left)?;
            changed.push(batch);
            if left == 0 {
                break;
            }
        }
    }
    drop(connection);
    if left == limit as usize {
        return Ok(0);
    }
    write(store, &changed).await?;
    Ok(u64::from(limit) - left as u64)
}

/// Marks at most `limit` readings of a batch as gone, the oldest first; answers how many.
fn take_out(batch: &mut Batch, times: Times, upto: LogPosition, limit: usize) -> StoreResult<usize> {
    let is_whole = batch.id <= upto.0 && batch.first_at >= times.0.0 && batch.last_at() < times.1.0;
    if is_whole && batch.readings.unsigned_abs() as usize <= limit {
        let all = batch.readings.unsigned_abs() as usize;
        batch.readings = 0;
        return Ok(all);
    }
    let here = batch.of(|_| true)?;
    let mut going: Vec<&Linked> = here.iter().filter(|l| within(times, upto)(l)).collect();
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

async fn forget_old(store: &SqliteStore, day: Day, upto: LogPosition, limit: u32) -> StoreResult<u64> {
    // Memory may not know of them yet; then they are looked for.
    if *store.log.turn.lock().await && !store.log.heads().old {
        return Ok(0);
    }
    let (from, to) = (day.begins().0, day.ends().0);
    let mut tx = store.begin().await?;
    let gone = sqlx::query!(
        "DELETE FROM loose_readings WHERE id IN (
           SELECT id FROM loose_readings INDEXED BY loose_readings_once
           WHERE reported_at >= ? AND reported_at < ? AND id <= ? AND flags & 4096 = 0
           ORDER BY reported_at LIMIT ?)",
        from,
        to,
        upto.0,
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

fn within((from, to): Times, upto: LogPosition) -> impl Fn(&Linked) -> bool {
    move |linked| linked.link.position <= upto.0 && (from..to).contains(&linked.row.reading.reported_at)
}

/// The readings asked for in batches that have others, too.
struct Partial {
    times: Times,
    upto: LogPosition,
    at: i64,
}

impl Partial {
    fn new(times: Times, upto: LogPosition) -> Self {
        Self { times, upto, at: 0 }
    }

    /// Those of the next such batch. Batches of one time and wholly before the position are passed.
    async fn next(&mut self, connection: &mut SqliteConnection) -> StoreResult<Option<Vec<Linked>>> {
        if self.at >= self.upto.0 {
            return Ok(None);
        }
        let (from, to) = self.times;
        let batch = sqlx::query_as!(
            Batch,
            "SELECT * FROM energy_parameters WHERE id > ?1 AND first_at < ?3 AND first_at + span_ms >= ?2
               AND (id > ?4 OR first_at < ?2 OR first_at + span_ms >= ?3) ORDER BY id LIMIT 1",
            self.at,
            from.0,
            to.0,
            self.upto.0
        )
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
        let Some(batch) = batch else { return Ok(None) };
        self.at = batch.id;
        let mut found = batch.of(|_| true)?;
        found.retain(|l| within(self.times, self.upto)(l));
        Ok(Some(found))
    }
}
