//! Appending to the log: one statement and one flush for a batch, whatever its size.
//!
//! Whether a reading is there already is mostly known from memory alone: it is newer than everything its light ever said, or fills
//! a gap that is known ([`Past::lacks`]). For the others their light's readings are walked back to that time. What is sealed and
//! gone is not known again; sealing itself keeps such a reading once.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::ControlFlow;

use ccms_block::{Link, encode_batch, second_of};
use ccms_core::ids::LightNo;
use ccms_core::reading::ReadingFlags;
use ccms_core::time::UtcMillis;
use ccms_store::{Appended, LogPosition, ReadingRow, StoreError, StoreResult};

use crate::columns::Bound;
use crate::heads::{Head, Heads, is_ever_believed};
use crate::recent::Past;
use crate::{SqliteStore, chain, failed, log, loose};

/// Another process that appends may be met so often.
const ATTEMPTS: u32 = 5;

/// What tells readings apart.
type Key = (LightNo, UtcMillis, i64);

fn key(row: &ReadingRow) -> Key {
    (row.light_no, row.reading.reported_at, row.dedupe)
}

fn is_suspect(row: &ReadingRow) -> bool {
    row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)
}

pub(crate) async fn append(store: &SqliteStore, rows: &[ReadingRow]) -> StoreResult<Appended> {
    // One at a time, and to the end or not at all: whoever finds this untrue reads the log again.
    let mut certain = store.log.turn.lock().await;
    for _ in 0..ATTEMPTS {
        if !std::mem::replace(&mut *certain, false) {
            log::catch_up(store, &store.intake).await?;
        }
        let doubtful = Doubtful::among(rows, &store.log.heads());
        let known = if doubtful.is_none() { HashSet::new() } else { doubtful.look_up(store).await? };
        let (draft, before, upto) = {
            let heads = store.log.heads();
            let draft = Draft::of(rows, &heads, &known);
            let upto = LogPosition(draft.end.max(heads.saved));
            (draft, LogPosition(heads.end), upto)
        };
        if draft.is_empty() {
            *certain = true;
            return Ok(Appended { stored: draft.stored, before, upto });
        }
        if write(store, &draft, before).await? {
            let stored = draft.publish(&mut store.log.heads_mut());
            *certain = true;
            return Ok(Appended { stored, before, upto });
        }
    }
    Err(StoreError::Unavailable("another process appends to this file".into()))
}

/// False when the log has gone on without us.
async fn write(store: &SqliteStore, draft: &Draft<'_>, before: LogPosition) -> StoreResult<bool> {
    let Some(batch) = draft.batch()? else { return write_loose(store, draft, None, before).await };
    if !draft.loose.is_empty() {
        return write_loose(store, draft, Some(batch), before).await;
    }
    // By itself a statement is a transaction: nothing is begun, and nothing committed in a second step.
    Ok(insert(batch, before).execute(&store.writer).await.map_err(failed)?.rows_affected() == 1)
}

async fn write_loose(
    store: &SqliteStore,
    draft: &Draft<'_>,
    batch: Option<NewBatch>,
    before: LogPosition,
) -> StoreResult<bool> {
    let mut tx = store.begin().await?;
    if log::end(&mut tx).await? > before.0 {
        return Ok(false);
    }
    if let Some(batch) = batch
        && insert(batch, before).execute(&mut *tx).await.map_err(failed)?.rows_affected() != 1
    {
        return Ok(false);
    }
    for (position, row) in &draft.loose {
        loose::insert(&mut tx, *position, row).await?;
    }
    tx.commit().await.map_err(failed)?;
    Ok(true)
}

struct NewBatch {
    id: i64,
    readings: i64,
    first_at: i64,
    span_ms: i64,
    body: Vec<u8>,
}

/// Not checked when compiled, because it is run by itself and within a transaction; the contract runs both.
fn insert(batch: NewBatch, before: LogPosition) -> Bound<'static> {
    sqlx::query(
        "INSERT INTO energy_parameters (id, readings, first_at, span_ms, body) SELECT ?1, ?2, ?3, ?4, ?5
         WHERE NOT EXISTS (SELECT 1 FROM energy_parameters WHERE id > ?6)
           AND NOT EXISTS (SELECT 1 FROM loose_readings WHERE id > ?6)",
    )
    .bind(batch.id)
    .bind(batch.readings)
    .bind(batch.first_at)
    .bind(batch.span_ms)
    .bind(batch.body)
    .bind(before.0)
}

/// Readings of which memory alone does not know whether they are there already.
#[derive(Default)]
struct Doubtful<'a> {
    /// The earliest second of each light to which its past is looked through.
    walks: BTreeMap<LightNo, (u32, Head)>,
    loose: Vec<&'a ReadingRow>,
}

impl<'a> Doubtful<'a> {
    fn among(rows: &'a [ReadingRow], heads: &Heads) -> Self {
        let mut doubtful = Self::default();
        for row in rows {
            let at = row.reading.reported_at;
            if heads.old || is_suspect(row) || heads.may_be_odd(row.light_no, at) {
                doubtful.loose.push(row);
            }
            // No chain has a time that is never believed, and none has to be walked for it.
            if is_suspect(row) && !is_ever_believed(at) {
                continue;
            }
            let past = heads.past(row.light_no);
            if !past.lacks(row) {
                let (head, second) = (past.head, second_of(row));
                let (earliest, _) = doubtful.walks.entry(row.light_no).or_insert((second, head));
                *earliest = second.min(*earliest);
            }
        }
        doubtful
    }

    fn is_none(&self) -> bool {
        self.walks.is_empty() && self.loose.is_empty()
    }

    /// The keys of what is there, among others of their lights.
    async fn look_up(&self, store: &SqliteStore) -> StoreResult<HashSet<Key>> {
        let mut known = HashSet::new();
        let mut connection = store.intake.acquire().await.map_err(failed)?;
        for (light, (earliest, head)) in &self.walks {
            // Where the way is lost nothing more is known: to search the whole log would hold up everybody.
            chain::walk(&mut connection, *light, *head, |linked| {
                known.insert(key(&linked.row));
                if linked.link.newest_before < *earliest { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .await?;
        }
        for row in &self.loose {
            if loose::has(&mut connection, row).await? {
                known.insert(key(row));
            }
        }
        Ok(known)
    }
}

/// What is going to be written.
struct Draft<'a> {
    stored: Vec<bool>,
    packed: Vec<&'a ReadingRow>,
    links: Vec<Link>,
    loose: Vec<(i64, &'a ReadingRow)>,
    heads: HashMap<LightNo, Past>,
    end: i64,
}

impl<'a> Draft<'a> {
    fn of(rows: &'a [ReadingRow], heads: &Heads, known: &HashSet<Key>) -> Self {
        let mut draft = Self {
            stored: Vec::with_capacity(rows.len()),
            packed: Vec::with_capacity(rows.len()),
            links: Vec::with_capacity(rows.len()),
            loose: Vec::new(),
            heads: HashMap::with_capacity(rows.len()),
            end: heads.end,
        };
        // Of this batch; only made when a light brings something that is not newer than what it brought before.
        let mut inside: Option<HashSet<Key>> = None;
        for row in rows {
            let mut past = draft.heads.get(&row.light_no).copied().unwrap_or_else(|| heads.past(row.light_no));
            let mut new = !known.contains(&key(row));
            if is_suspect(row) || !past.lacks(row) || !draft.loose.is_empty() {
                let so_far = || draft.packed.iter().copied().chain(draft.loose.iter().map(|(_, row)| *row));
                new &= !inside.get_or_insert_with(|| so_far().map(key).collect()).contains(&key(row));
            }
            draft.stored.push(new);
            if !new {
                continue;
            }
            if let Some(inside) = &mut inside {
                inside.insert(key(row));
            }
            draft.end += 1;
            if is_suspect(row) {
                draft.loose.push((draft.end, row));
            } else {
                draft.links.push(past.add(draft.end, row));
                draft.heads.insert(row.light_no, past);
                draft.packed.push(row);
            }
        }
        draft
    }

    fn is_empty(&self) -> bool {
        self.packed.is_empty() && self.loose.is_empty()
    }

    fn batch(&self) -> StoreResult<Option<NewBatch>> {
        let times = || self.packed.iter().map(|r| r.reading.reported_at);
        let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(None) };
        let body = encode_batch(first, &self.packed, &self.links).map_err(StoreError::unavailable)?;
        Ok(Some(NewBatch {
            id: self.links.last().map_or(self.end, |l| l.position),
            readings: self.packed.len() as i64,
            first_at: first.0,
            span_ms: last.0.saturating_sub(first.0),
            body,
        }))
    }

    /// It is on disk: memory says so too. Answers what was stored.
    fn publish(self, heads: &mut Heads) -> Vec<bool> {
        for (light, past) in self.heads {
            heads.set(light, past.head);
            heads.recent.set(light, past);
        }
        for (_, row) in &self.loose {
            heads.odd(row.light_no, row.reading.reported_at);
        }
        heads.end = self.end;
        self.stored
    }
}

#[cfg(test)]
mod tests {
    use ccms_core::ids::DeviceNo;
    use ccms_core::reading::Reading;

    use super::*;

    const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);

    fn row(reported_at: UtcMillis) -> ReadingRow {
        let mut reading = Reading { reported_at, ..Reading::default() };
        reading.judge_clock(NOW);
        ReadingRow { light_no: LightNo(1), device_no: DeviceNo(1), received_at: NOW, dedupe: 1, reading }
    }

    #[test]
    fn a_clock_that_is_never_believed_costs_no_walk_and_nothing_afterwards() {
        let mut heads = Heads::default();
        heads.set(LightNo(1), Head { position: 1, newest: second_of(&row(NOW)) });
        let of_1970 = [row(UtcMillis(5_000))];
        let doubtful = Doubtful::among(&of_1970, &heads);
        assert_eq!((doubtful.walks.len(), doubtful.loose.len()), (0, 1));
        Draft::of(&of_1970, &heads, &HashSet::new()).publish(&mut heads);
        assert!(Doubtful::among(&[row(NOW.plus_seconds(30))], &heads).is_none());
        assert_eq!(Doubtful::among(&[row(NOW)], &heads).walks.len(), 1, "a repeat is looked for as ever");
        // From the future: of the good ones only such as may be the same are looked for.
        Draft::of(&[row(NOW.plus_seconds(2 * 86_400))], &heads, &HashSet::new()).publish(&mut heads);
        assert!(Doubtful::among(&[row(NOW.plus_seconds(60))], &heads).is_none());
        let mut again = row(NOW.plus_seconds(2 * 86_400));
        again.reading.flags = ReadingFlags::default();
        assert_eq!(Doubtful::among(&[again], &heads).loose.len(), 1);
    }
}
