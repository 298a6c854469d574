//! What a store remembers of its log, and how it comes to know it: from what was saved, and from the log behind that.
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use ccms_core::ids::LightNo;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use ccms_store::StoreResult;
use sqlx::{SqliteConnection, SqlitePool};

use crate::heads::{Heads, SavedPage};
use crate::{SqliteStore, batches, failed};

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Held while something is appended. Untrue while memory may not have all that is on disk: nothing is read yet, or an
    /// append was given up and nobody knows whether it came through.
    pub turn: tokio::sync::Mutex<bool>,
    heads: RwLock<Heads>,
    /// Whether what was saved is loaded.
    loaded: tokio::sync::OnceCell<()>,
}

impl Log {
    pub fn heads(&self) -> RwLockReadGuard<'_, Heads> {
        self.heads.read().unwrap_or_else(|e| e.into_inner())
    }

    pub fn heads_mut(&self) -> RwLockWriteGuard<'_, Heads> {
        self.heads.write().unwrap_or_else(|e| e.into_inner())
    }
}

/// Pages of heads on their way to disk. Whoever gives up in between leaves them to be saved.
pub(crate) struct Saving<'a> {
    log: &'a Log,
    pub pages: Vec<SavedPage>,
    /// Up to where the heads on disk are complete once these are there.
    pub complete: i64,
}

impl Log {
    /// What changed at or before `upto`.
    pub fn save(&self, upto: i64) -> Saving<'_> {
        let (pages, complete) = self.heads_mut().take_unsaved(upto);
        Saving { log: self, pages, complete }
    }
}

impl Saving<'_> {
    /// They are on disk, with the checkpoint of this position.
    pub fn done(mut self, upto: i64) {
        self.pages.clear();
        self.log.heads_mut().saved = upto;
    }
}

impl Drop for Saving<'_> {
    fn drop(&mut self) {
        if !self.pages.is_empty() {
            self.log.heads_mut().still_unsaved(&self.pages);
        }
    }
}

/// The last position that was given, as the database knows it.
pub(crate) async fn end(connection: &mut SqliteConnection) -> StoreResult<i64> {
    sqlx::query_scalar!(
        r#"SELECT max(coalesce((SELECT max(id) FROM energy_parameters), 0), coalesce((SELECT max(id) FROM loose_readings), 0),
             (SELECT position FROM log_end)) AS "end!: i64""#
    )
    .fetch_one(connection)
    .await
    .map_err(failed)
}

/// Brings memory up to what is on disk, read by a connection of these.
pub(crate) async fn catch_up(store: &SqliteStore, readers: &SqlitePool) -> StoreResult<()> {
    store.log.loaded.get_or_try_init(|| load(store, readers)).await?;
    let mut tx = readers.begin().await.map_err(failed)?;
    let end = end(&mut tx).await?;
    let mut at = store.log.heads().end;
    if at >= end {
        return Ok(());
    }
    let odd = odd_after(&mut tx, at).await?;
    loop {
        let batches = batches::after(&mut tx, at).await?;
        let Some(last) = batches.last() else { break };
        at = last.id;
        for batch in &batches {
            let found = batch.all_of(|_| true)?;
            let mut heads = store.log.heads_mut();
            for linked in found {
                heads.learn(linked.row.light_no, linked.link, &linked.row);
            }
        }
    }
    let mut heads = store.log.heads_mut();
    odd.into_iter().for_each(|(light, at)| heads.odd(light, at));
    heads.end = heads.end.max(end);
    Ok(())
}

async fn load(store: &SqliteStore, readers: &SqlitePool) -> StoreResult<()> {
    let mut tx = readers.begin().await.map_err(failed)?;
    let at = sqlx::query_scalar!("SELECT heads_at FROM log_end").fetch_one(&mut *tx).await.map_err(failed)?;
    let saved = sqlx::query_scalar!("SELECT log_position FROM checkpoint").fetch_one(&mut *tx).await.map_err(failed)?;
    let pages = sqlx::query!("SELECT page, body FROM log_heads").fetch_all(&mut *tx).await.map_err(failed)?;
    let old = has_old(&mut tx).await?;
    let odd = all_odd(&mut tx).await?;
    let mut heads = store.log.heads_mut();
    for page in pages {
        heads.load_page(u32::try_from(page.page).unwrap_or(u32::MAX), &page.body);
    }
    (heads.end, heads.saved, heads.old) = (at, saved, old);
    odd.into_iter().for_each(|(light, at)| heads.odd(light, at));
    Ok(())
}

/// Whether loose readings of an earlier release are left.
pub(crate) async fn has_old(connection: &mut SqliteConnection) -> StoreResult<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM loose_readings INDEXED BY loose_readings_believed WHERE flags & 4096 = 0) AS "found!: bool""#
    );
    found.fetch_one(connection).await.map_err(failed)
}

/// As the index has it.
const _: () = assert!(limits::CLOCK_FLOOR_S == 1_577_836_800);

/// Readings whose clock was suspect and may be believed when they are sent again: of each light the times of the first and the
/// last, found by two steps in the index for each light, however many there are.
async fn all_odd(connection: &mut SqliteConnection) -> StoreResult<Vec<Odd>> {
    let ends = sqlx::query!(
        r#"WITH RECURSIVE odd (light_no) AS (
             SELECT (SELECT light_no FROM loose_readings INDEXED BY loose_readings_ahead
                     WHERE flags & 4096 <> 0 AND reported_at >= 1577836800000 ORDER BY light_no LIMIT 1)
             UNION ALL
             SELECT (SELECT l.light_no FROM loose_readings l INDEXED BY loose_readings_ahead
                     WHERE l.flags & 4096 <> 0 AND l.reported_at >= 1577836800000 AND l.light_no > odd.light_no
                     ORDER BY l.light_no LIMIT 1)
             FROM odd WHERE odd.light_no IS NOT NULL)
           SELECT light_no AS "light_no!: i64",
             (SELECT l.reported_at FROM loose_readings l INDEXED BY loose_readings_ahead
              WHERE l.flags & 4096 <> 0 AND l.reported_at >= 1577836800000 AND l.light_no = odd.light_no
              ORDER BY l.reported_at LIMIT 1) AS "first!: i64",
             (SELECT l.reported_at FROM loose_readings l INDEXED BY loose_readings_ahead
              WHERE l.flags & 4096 <> 0 AND l.reported_at >= 1577836800000 AND l.light_no = odd.light_no
              ORDER BY l.reported_at DESC LIMIT 1) AS "last!: i64"
           FROM odd WHERE light_no IS NOT NULL"#
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    Ok(ends.into_iter().flat_map(|e| [(e.light_no, e.first), (e.light_no, e.last)]).filter_map(odd).collect())
}

async fn odd_after(connection: &mut SqliteConnection, position: i64) -> StoreResult<Vec<Odd>> {
    let found = sqlx::query!(
        "SELECT light_no, reported_at FROM loose_readings
         WHERE id > ? AND flags & 4096 <> 0 AND reported_at >= 1577836800000",
        position
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    Ok(found.into_iter().map(|f| (f.light_no, f.reported_at)).filter_map(odd).collect())
}

/// A light, and a time that it said.
type Odd = (LightNo, UtcMillis);

fn odd((light_no, at): (i64, i64)) -> Option<Odd> {
    Some((LightNo(u32::try_from(light_no).ok()?), UtcMillis(at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heads::Head;

    #[test]
    fn what_did_not_reach_the_disk_is_saved_the_next_time() {
        let log = Log::default();
        log.heads_mut().set(LightNo(1), Head { position: 3, newest: 1 });
        log.heads_mut().end = 3;
        let given_up = log.save(9);
        assert_eq!((given_up.pages.len(), given_up.complete), (1, 3));
        drop(given_up);
        let saving = log.save(9);
        assert_eq!(saving.pages.len(), 1);
        saving.done(9);
        assert_eq!(log.save(9).pages.len(), 0);
        assert_eq!(log.heads().saved, 9);
    }
}
