//! The latest state of every light as of a log position: what a start reads instead of the whole log.
use ccms_core::ids::LightNo;
use ccms_store::{CheckpointRow, LogPosition, ReadingRow, StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::heads::SavedPage;
use crate::{SqliteStore, failed, states};

pub(crate) async fn write(store: &SqliteStore, upto: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    states::write(&mut tx, rows).await?;
    let moved = sqlx::query!("UPDATE checkpoint SET log_position = ?1 WHERE log_position <= ?1", upto.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    if moved.rows_affected() == 0 {
        return Err(StoreError::unavailable("the checkpoint is another's or further on"));
    }
    // Only what the position includes: while a checkpoint is written in pieces it stands still, and so do these.
    let saving = store.log.save(upto.0);
    write_heads(&mut tx, &saving.pages, saving.complete).await?;
    tx.commit().await.map_err(failed)?;
    saving.done(upto.0);
    Ok(())
}

/// Where the last readings of lights are, for the next start.
async fn write_heads(tx: &mut SqliteConnection, pages: &[SavedPage], complete: i64) -> StoreResult<()> {
    if pages.is_empty() {
        return Ok(());
    }
    for (page, body) in pages {
        sqlx::query!("INSERT OR REPLACE INTO log_heads (page, body) VALUES (?, ?)", page, body)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    sqlx::query!("UPDATE log_end SET heads_at = max(heads_at, ?)", complete).execute(&mut *tx).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn position(store: &SqliteStore) -> StoreResult<LogPosition> {
    let upto =
        sqlx::query_scalar!("SELECT log_position FROM checkpoint").fetch_one(&store.readers).await.map_err(failed)?;
    Ok(LogPosition(upto))
}

pub(crate) async fn read(store: &SqliteStore) -> StoreResult<(LogPosition, Vec<CheckpointRow>)> {
    // One transaction, or a checkpoint written between the two reads would give rows of another position.
    let mut tx = store.readers.begin().await.map_err(failed)?;
    let upto = sqlx::query_scalar!("SELECT log_position FROM checkpoint").fetch_one(&mut *tx).await.map_err(failed)?;
    let rows = states::all(&mut tx).await?;
    Ok((LogPosition(upto), rows))
}

pub(crate) async fn latest_of(store: &SqliteStore, light: LightNo) -> StoreResult<Option<ReadingRow>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    Ok(states::of(&mut connection, light).await?.and_then(|row| row.latest))
}
