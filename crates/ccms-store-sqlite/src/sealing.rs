//! Days leave the hot log for blocks. A day's rows are found through the index that is led by time.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{Day, LogPosition, ReadingRow, SealedDay, Sealing, StoreResult};
use sqlx::SqliteConnection;

use crate::readings::LogColumns;
use crate::{SqliteStore, failed};

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
        let row = sqlx::query!(
            "SELECT id, reported_at + delay_ms AS received_at FROM energy_parameters
             WHERE id <= ? ORDER BY id DESC LIMIT 1",
            position.0
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        Ok(row.map(|r| (LogPosition(r.id), UtcMillis(r.received_at))))
    }

    async fn earliest_hot_day(&self, from: Day, before: Day, upto: LogPosition) -> StoreResult<Option<Day>> {
        let (from, before) = (from.begins().0, before.begins().0);
        let first = sqlx::query_scalar!(
            "SELECT reported_at FROM energy_parameters INDEXED BY energy_parameters_once
             WHERE reported_at >= ? AND reported_at < ? AND id <= ? AND flags & 4096 = 0 ORDER BY reported_at LIMIT 1",
            from,
            before,
            upto.0
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        Ok(first.map(|at| Day::of(UtcMillis(at))))
    }

    async fn hot_count(&self, day: Day, upto: LogPosition) -> StoreResult<u64> {
        let (from, to) = (day.begins().0, day.ends().0);
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!: i64" FROM energy_parameters INDEXED BY energy_parameters_once
               WHERE reported_at >= ? AND reported_at < ? AND id <= ? AND flags & 4096 = 0"#,
            from,
            to,
            upto.0
        )
        .fetch_one(&self.readers)
        .await
        .map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    async fn hot_rows(
        &self,
        day: Day,
        from: LightNo,
        to: LightNo,
        upto: LogPosition,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        let (begins, ends) = (day.begins().0, day.ends().0);
        sqlx::query_as!(
            LogColumns,
            "SELECT * FROM energy_parameters INDEXED BY energy_parameters_once
             WHERE reported_at >= ? AND reported_at < ? AND light_no >= ? AND light_no < ? AND id <= ? AND flags & 4096 = 0
             LIMIT ?",
            begins,
            ends,
            from.0,
            to.0,
            upto.0,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|c| Ok(c.row()?.1))
        .collect()
    }

    async fn forget_hot(&self, day: Day, upto: LogPosition, limit: u32) -> StoreResult<u64> {
        let (from, to) = (day.begins().0, day.ends().0);
        let gone = sqlx::query!(
            "DELETE FROM energy_parameters WHERE id IN (
               SELECT id FROM energy_parameters INDEXED BY energy_parameters_once
               WHERE reported_at >= ? AND reported_at < ? AND id <= ? AND flags & 4096 = 0
               ORDER BY reported_at LIMIT ?)",
            from,
            to,
            upto.0,
            limit
        )
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(gone.rows_affected())
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
