//! Days leave the hot log for blocks. A day's rows are found through the index that is led by time.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{Day, LogPosition, ReadingRow, SealedDay, Sealing, StoreResult};
use sqlx::PgConnection;

use crate::columns::LogColumns;
use crate::instant::Instant;
use crate::{PostgresStore, failed};

pub(crate) struct SealedColumns {
    pub(crate) light_no: i64,
    pub(crate) day: i32,
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
            day: Day(self.day),
            revision: at.number("revision", self.revision)?,
            readings: at.number("readings", self.readings)?,
            body: self.body,
        })
    }
}

#[async_trait]
impl Sealing for PostgresStore {
    async fn row_at_or_before(&self, position: LogPosition) -> StoreResult<Option<(LogPosition, UtcMillis)>> {
        let row = sqlx::query!(
            r#"SELECT id, received_at AS "received_at: Instant" FROM energy_parameters
               WHERE id <= $1 ORDER BY id DESC LIMIT 1"#,
            position.0
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        Ok(row.map(|r| (LogPosition(r.id), r.received_at.0)))
    }

    async fn earliest_hot_day(&self, from: Day, before: Day, upto: LogPosition) -> StoreResult<Option<Day>> {
        let first = sqlx::query_scalar!(
            r#"SELECT reported_at AS "first: Instant" FROM energy_parameters
               WHERE reported_at >= $1 AND reported_at < $2 AND id <= $3 AND (flags & 4096) = 0
               ORDER BY reported_at LIMIT 1"#,
            Instant(from.begins()),
            Instant(before.begins()),
            upto.0
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        Ok(first.map(|at| Day::of(at.0)))
    }

    async fn hot_count(&self, day: Day, upto: LogPosition) -> StoreResult<u64> {
        let count = sqlx::query_scalar!(
            r#"SELECT count(*) AS "count!" FROM energy_parameters
               WHERE reported_at >= $1 AND reported_at < $2 AND id <= $3 AND (flags & 4096) = 0"#,
            Instant(day.begins()),
            Instant(day.ends()),
            upto.0
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        Ok(count.unsigned_abs())
    }

    async fn hot_rows(
        &self,
        day: Day,
        after: Option<&(LogPosition, ReadingRow)>,
        upto: LogPosition,
        limit: u32,
    ) -> StoreResult<Vec<(LogPosition, ReadingRow)>> {
        // Along the index, from one key to the next: whatever else is in the log costs nothing.
        let (from, light, dedupe) = after.map_or((day.begins(), i64::MIN, i64::MIN), |(_, row)| {
            (row.reading.reported_at, i64::from(row.light_no.0), row.dedupe)
        });
        sqlx::query_as!(
            LogColumns,
            "SELECT id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma, power_dw,
               voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
               signal_percent, error_flags::text
             FROM energy_parameters
             WHERE (reported_at, light_no, dedupe) > ($1, $2, $3) AND reported_at < $4 AND id <= $5
               AND (flags & 4096) = 0
             ORDER BY reported_at, light_no, dedupe LIMIT $6",
            Instant(from),
            light,
            dedupe,
            Instant(day.ends()),
            upto.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LogColumns::row)
        .collect()
    }

    async fn forget_hot(
        &self,
        day: Day,
        after: LogPosition,
        upto: LogPosition,
        limit: u32,
        except: &[LightNo],
    ) -> StoreResult<(u64, LogPosition)> {
        let except: Vec<i64> = except.iter().map(|light| i64::from(light.0)).collect();
        let gone = sqlx::query!(
            "DELETE FROM energy_parameters WHERE id IN (
               SELECT id FROM energy_parameters
               WHERE reported_at >= $1 AND reported_at < $2 AND id <= $3 AND (flags & 4096) = 0 AND light_no <> ALL ($5)
               ORDER BY reported_at LIMIT $4)",
            Instant(day.begins()),
            Instant(day.ends()),
            upto.0,
            i64::from(limit),
            &except
        )
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok((gone.rows_affected(), after))
    }

    async fn forget_suspect(&self, before: UtcMillis, upto: LogPosition, limit: u32) -> StoreResult<u64> {
        let gone = sqlx::query!(
            "DELETE FROM energy_parameters WHERE id IN (
               SELECT id FROM energy_parameters WHERE (flags & 4096) != 0 AND received_at < $1 AND id <= $2
               ORDER BY received_at LIMIT $3)",
            Instant(before),
            upto.0,
            i64::from(limit)
        )
        .execute(&self.pool)
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
            "SELECT light_no, day, revision, readings, body FROM sealed_readings
             WHERE light_no >= $1 AND light_no < $2 AND day = $3 ORDER BY light_no",
            i64::from(from.0),
            i64::from(to.0),
            day.0
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }

    async fn sealed_of_light(&self, light: LightNo, from: Day, last: Day, limit: u32) -> StoreResult<Vec<SealedDay>> {
        sqlx::query_as!(
            SealedColumns,
            "SELECT light_no, day, revision, readings, body FROM sealed_readings
             WHERE light_no = $1 AND day >= $2 AND day <= $3 ORDER BY day DESC LIMIT $4",
            i64::from(light.0),
            from.0,
            last.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }
}

/// Whether the block was kept.
pub(crate) async fn write(tx: &mut PgConnection, day: &SealedDay) -> StoreResult<bool> {
    let before = i64::from(day.revision) - 1;
    let written = if before == 0 {
        sqlx::query!(
            "INSERT INTO sealed_readings (light_no, day, revision, readings, body) VALUES ($1, $2, 1, $3, $4)
                 ON CONFLICT DO NOTHING",
            i64::from(day.light_no.0),
            day.day.0,
            i64::from(day.readings),
            &day.body
        )
        .execute(&mut *tx)
        .await
    } else {
        sqlx::query!(
            "UPDATE sealed_readings SET revision = $1 + 1, readings = $2, body = $3
                 WHERE light_no = $4 AND day = $5 AND revision = $1",
            before,
            i64::from(day.readings),
            &day.body,
            i64::from(day.light_no.0),
            day.day.0
        )
        .execute(&mut *tx)
        .await
    };
    Ok(written.map_err(failed)?.rows_affected() == 1)
}
