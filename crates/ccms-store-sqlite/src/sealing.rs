//! Days leave the hot log for blocks. What is done to the log itself is in `hot`.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{Day, LogPosition, ReadingRow, SealedDay, Sealing, StoreResult};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed, forget, hot, loose};

pub(crate) struct SealedColumns {
    pub(crate) light_no: i64,
    pub(crate) day: i64,
    pub(crate) revision: i64,
    pub(crate) readings: i64,
    pub(crate) body: Vec<u8>,
}

impl SealedColumns {
    pub(crate) fn record(self) -> StoreResult<SealedDay> {
        let key = format!("({}, {})", self.light_no, self.day);
        let at = Row::new("sealed_readings", &key);
        Ok(SealedDay {
            light_no: LightNo(at.number("light_no", self.light_no)?),
            day: Day(at.number("day", self.day)?),
            revision: at.number("revision", self.revision)?,
            readings: at.number("readings", self.readings)?,
            body: self.body,
        })
    }
}

#[async_trait]
impl Sealing for SqliteStore {
    async fn row_at_or_before(&self, position: LogPosition) -> StoreResult<Option<(LogPosition, UtcMillis)>> {
        hot::row_at_or_before(self, position).await
    }

    async fn earliest_hot_day(&self, from: Day, before: Day, upto: LogPosition) -> StoreResult<Option<Day>> {
        hot::earliest_day(self, (from, before), upto).await
    }

    async fn hot_count(&self, day: Day, upto: LogPosition) -> StoreResult<u64> {
        hot::count(self, day, upto).await
    }

    async fn hot_rows(
        &self,
        day: Day,
        after: Option<&(LogPosition, ReadingRow)>,
        upto: LogPosition,
        limit: u32,
    ) -> StoreResult<Vec<(LogPosition, ReadingRow)>> {
        let after = after.map_or(LogPosition(0), |(position, _)| *position);
        hot::page(self, (day.begins(), day.ends()), (after, upto), limit).await
    }

    async fn forget_hot(
        &self,
        day: Day,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
        except: &[LightNo],
    ) -> StoreResult<(u64, LogPosition)> {
        forget::forget(self, day, (after, upto), limit, except).await
    }

    async fn forget_suspect(&self, before: UtcMillis, upto: LogPosition, limit: u32) -> StoreResult<u64> {
        loose::forget_suspect(self, before, upto, limit).await
    }

    async fn write_sealed(&self, days: &[SealedDay]) -> StoreResult<Vec<bool>> {
        let mut tx = self.begin().await?;
        let mut kept = Vec::with_capacity(days.len());
        for day in days {
            kept.push(write(&mut tx, day).await?);
        }
        tx.commit().await.map_err(failed)?;
        Ok(kept)
    }

    async fn sealed_of_day(&self, day: Day, from: LightNo, to: LightNo) -> StoreResult<Vec<SealedDay>> {
        sqlx::query_as!(
            SealedColumns,
            r#"SELECT light_no AS "light_no!", day AS "day!", revision AS "revision!", readings AS "readings!", body AS "body!"
               FROM sealed_readings WHERE light_no >= ? AND light_no < ? AND day = ? ORDER BY light_no"#,
            from.0,
            to.0,
            day.0
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }

    async fn sealed_of_light(&self, light: LightNo, from: Day, last: Day, limit: u32) -> StoreResult<Vec<SealedDay>> {
        sqlx::query_as!(
            SealedColumns,
            "SELECT * FROM sealed_readings WHERE light_no = ? AND day >= ? AND day <= ? ORDER BY day DESC LIMIT ?",
            light.0,
            from.0,
            last.0,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }
}

/// Whether the block was kept.
pub(crate) async fn write(tx: &mut SqliteConnection, day: &SealedDay) -> StoreResult<bool> {
    let before = i64::from(day.revision) - 1;
    let written = if before == 0 {
        sqlx::query!(
            "INSERT INTO sealed_readings (light_no, day, revision, readings, body) VALUES (?, ?, 1, ?, ?)
                 ON CONFLICT DO NOTHING",
            day.light_no.0,
            day.day.0,
            day.readings,
            day.body
        )
        .execute(&mut *tx)
        .await
    } else {
        sqlx::query!(
            "UPDATE sealed_readings SET revision = ?, readings = ?, body = ?
                 WHERE light_no = ? AND day = ? AND revision = ?",
            day.revision,
            day.readings,
            day.body,
            day.light_no.0,
            day.day.0,
            before
        )
        .execute(&mut *tx)
        .await
    };
    Ok(written.map_err(failed)?.rows_affected() == 1)
}
