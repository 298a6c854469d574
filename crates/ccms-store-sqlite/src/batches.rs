//! The table `energy_parameters`: batches, found by position and read. Nothing here knows what is looked for in them.
use ccms_block::{Linked, decode_batch};
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::{StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::failed;

/// Batches read in one go.
const AT_ONCE: i64 = 64;

pub(crate) struct Batch {
    pub id: i64,
    pub readings: i64,
    pub first_at: i64,
    pub span_ms: i64,
    pub gone: Option<Vec<u8>>,
    pub base_at: Option<i64>,
    pub body: Vec<u8>,
}

impl Batch {
    /// Readings that are still in it, of the lights that are `wanted`.
    pub fn of(&self, wanted: impl Fn(LightNo) -> bool) -> StoreResult<Vec<Linked>> {
        let mut found = self.all_of(wanted)?;
        found.retain(|linked| !self.is_gone(linked.index));
        Ok(found)
    }

    /// Also those that are sealed and counted no longer: what was before them is found through them.
    pub fn all_of(&self, wanted: impl Fn(LightNo) -> bool) -> StoreResult<Vec<Linked>> {
        let base = UtcMillis(self.base_at.unwrap_or(self.first_at));
        decode_batch((self.id, base), &self.body, wanted).map_err(|error| StoreError::BadRow {
            table: "energy_parameters",
            column: "body",
            row: self.id.to_string(),
            reason: error.to_string(),
        })
    }

    pub fn is_gone(&self, index: usize) -> bool {
        self.gone.as_ref().is_some_and(|bits| bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 == 1))
    }

    /// Marks readings as gone. Which bits there are grows with the highest that is.
    pub fn remove(&mut self, indices: impl IntoIterator<Item = usize>) {
        let bits = self.gone.get_or_insert_default();
        for index in indices {
            if bits.len() <= index / 8 {
                bits.resize(index / 8 + 1, 0);
            }
            bits[index / 8] |= 1 << (index % 8);
            self.readings -= 1;
        }
    }

    pub fn last_at(&self) -> i64 {
        self.first_at.saturating_add(self.span_ms)
    }
}

/// The batch that a position is in, if it is there: otherwise the first behind it.
pub(crate) async fn at_or_after(connection: &mut SqliteConnection, position: i64) -> StoreResult<Option<Batch>> {
    sqlx::query_as!(Batch, "SELECT * FROM energy_parameters WHERE id >= ? ORDER BY id LIMIT 1", position)
        .fetch_optional(connection)
        .await
        .map_err(failed)
}

/// Batches that are whole before a position, the latest first.
pub(crate) async fn before(connection: &mut SqliteConnection, position: i64) -> StoreResult<Vec<Batch>> {
    sqlx::query_as!(Batch, "SELECT * FROM energy_parameters WHERE id < ? ORDER BY id DESC LIMIT ?", position, AT_ONCE)
        .fetch_all(connection)
        .await
        .map_err(failed)
}

/// Batches behind a position, in order.
pub(crate) async fn after(connection: &mut SqliteConnection, position: i64) -> StoreResult<Vec<Batch>> {
    sqlx::query_as!(Batch, "SELECT * FROM energy_parameters WHERE id > ? ORDER BY id LIMIT ?", position, AT_ONCE)
        .fetch_all(connection)
        .await
        .map_err(failed)
}

/// Batches behind a position that may have readings of `from <= time < to`, in order. An empty answer is the end.
pub(crate) async fn of_time(
    connection: &mut SqliteConnection,
    (from, to): (UtcMillis, UtcMillis),
    position: i64,
) -> StoreResult<Vec<Batch>> {
    sqlx::query_as!(
        Batch,
        "SELECT * FROM energy_parameters WHERE id > ? AND first_at < ? AND first_at + span_ms >= ? ORDER BY id LIMIT ?",
        position,
        to.0,
        from.0,
        AT_ONCE
    )
    .fetch_all(connection)
    .await
    .map_err(failed)
}
