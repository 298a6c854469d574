//! The log as sealing sees it: by day, counted, paged through ([`crate::forget`] removes what is in blocks). It walks over batches,
//! and looks into those alone that are not of one day or not wholly before the position up to which it was asked.
//!
//! A batch that is damaged holds up the days that it is of, and no others: where a moment or a day is looked for it counts with
//! what its row says, and who reads or counts its readings is told.
use ccms_block::Linked;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{Day, LogPosition, StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::batches::{self, Batch};
use crate::loose::{self, LooseColumns, Placed};
use crate::{SqliteStore, failed};

pub(crate) type Times = (UtcMillis, UtcMillis);

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
            // One that is damaged is passed.
            let readable = readable(batch.of(|_| true))?.unwrap_or_default();
            let last = readable.into_iter().rfind(|l| l.link.position <= position.0);
            if let Some(last) = last {
                return Ok(loose.max(Some((LogPosition(last.link.position), last.row.received_at))));
            }
        }
        batches = batches::before(&mut connection, below).await?;
        let Some(last) = batches.last() else { return Ok(loose) };
        below = last.id;
    }
}

pub(crate) async fn oldest_arrival(store: &SqliteStore, except: &[LightNo]) -> StoreResult<Option<UtcMillis>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let loose = if except.is_empty() {
        sqlx::query_as!(
            LooseColumns,
            "SELECT * FROM loose_readings INDEXED BY loose_readings_believed WHERE flags & 4096 = 0 ORDER BY id LIMIT 1"
        )
        .fetch_optional(&mut *connection)
        .await
    } else {
        let lights = lights_json(except);
        sqlx::query_as!(
            LooseColumns,
            "SELECT * FROM loose_readings
         WHERE flags & 4096 = 0 AND light_no NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT 1",
            lights
        )
        .fetch_optional(&mut *connection)
        .await
    };
    let loose = loose.map_err(failed)?;
    let loose = loose.map(LooseColumns::row).transpose()?.map(|(at, row)| (at, row.received_at));
    let (mut first, mut at) = (None, 0);
    while first.is_none() {
        let batches = batches::after(&mut connection, at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for batch in &batches {
            first = batch.of(|light| !except.contains(&light))?.into_iter().next();
            if first.is_some() {
                break;
            }
        }
    }
    let first = first.map(|l| (LogPosition(l.link.position), l.row.received_at));
    Ok([loose, first].into_iter().flatten().min().map(|(_, at)| at))
}

/// For `NOT IN (SELECT value FROM json_each(?))`.
pub(crate) fn lights_json(lights: &[LightNo]) -> String {
    let numbers: Vec<String> = lights.iter().map(|light| light.0.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

/// None of what is damaged.
fn readable<T>(read: StoreResult<T>) -> StoreResult<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::BadRow { .. }) => Ok(None),
        Err(error) => Err(error),
    }
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
    while let Some(batch) = partial.next(&mut connection).await? {
        let first = match readable(partial.of(&batch))? {
            Some(found) => found.into_iter().map(|l| l.row.reading.reported_at.0).min(),
            None => Some(batch.first_at.max(times.0.0)),
        };
        earliest = first.into_iter().chain(earliest).min();
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
    while let Some(batch) = partial.next(&mut connection).await? {
        count += partial.of(&batch)?.len() as u64;
    }
    Ok(count)
}

/// Readings of `from <= time < to` at `after < position <= upto`, at most `limit`, by position.
pub(crate) async fn page(
    store: &SqliteStore,
    (from, to): Times,
    (after, upto): (LogPosition, LogPosition),
    limit: u32,
) -> StoreResult<Vec<Placed>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    let mut found = loose::old_after(&mut connection, (from, to), (after, upto), limit).await?;
    let (mut count, mut at, mut wanted) = (0, after.0, true);
    while at < upto.0 && wanted {
        let batches = batches::of_time(&mut connection, (from, to), at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for batch in batches {
            let rows = batch.of(|_| true)?.into_iter().filter(within((from, to), upto));
            let before = found.len();
            found.extend(rows.filter(|l| l.link.position > after.0).map(|l| (LogPosition(l.link.position), l.row)));
            count += found.len() - before;
            // What is in memory of a page is one batch more than that.
            if count >= limit as usize {
                wanted = false;
                break;
            }
        }
    }
    found.sort_by_key(|(position, _)| *position);
    found.truncate(limit as usize);
    Ok(found)
}

pub(crate) fn within((from, to): Times, upto: LogPosition) -> impl Fn(&Linked) -> bool {
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

    /// The next such batch. Batches of one time and wholly before the position are passed.
    async fn next(&mut self, connection: &mut SqliteConnection) -> StoreResult<Option<Batch>> {
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
        self.at = batch.as_ref().map_or(self.upto.0, |batch| batch.id);
        Ok(batch)
    }

    fn of(&self, batch: &Batch) -> StoreResult<Vec<Linked>> {
        let mut found = batch.of(|_| true)?;
        found.retain(|l| within(self.times, self.upto)(l));
        Ok(found)
    }
}
