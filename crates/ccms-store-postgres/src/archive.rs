//! Days whose readings are in files. Who removes blocks of a day holds its record, so that nobody restores it meanwhile.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{Archive, ArchivedDay, AuditEntry, Day, SealedDay, SealedMark, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::sealing::SealedColumns;
use crate::{PostgresStore, audit, failed};

struct ArchivedColumns {
    day: i32,
    revision: i64,
    file: String,
    readings: i64,
    lights: i64,
    bytes: i64,
    sha256: Vec<u8>,
    footer_bytes: i64,
    footer_crc: i64,
    archived_at: Instant,
    kept_until: Option<Instant>,
    restored: bool,
}

impl ArchivedColumns {
    fn record(self) -> StoreResult<ArchivedDay> {
        let at = Row::new("archived_days", &self.day);
        Ok(ArchivedDay {
            day: Day(self.day),
            revision: at.number("revision", self.revision)?,
            readings: at.number("readings", self.readings)?,
            lights: at.number("lights", self.lights)?,
            bytes: at.number("bytes", self.bytes)?,
            sha256: at.bytes("sha256", &self.sha256)?,
            footer_bytes: at.number("footer_bytes", self.footer_bytes)?,
            footer_crc: at.number("footer_crc", self.footer_crc)?,
            archived_at: self.archived_at.0,
            kept_until: self.kept_until.map(|at| at.0),
            restored: self.restored,
            file: self.file,
        })
    }
}

#[async_trait]
impl Archive for PostgresStore {
    async fn earliest_sealed_day(&self, from: Day, before: Day) -> StoreResult<Option<Day>> {
        let day = sqlx::query_scalar!(
            "SELECT day FROM sealed_readings WHERE day >= $1 AND day < $2 ORDER BY day LIMIT 1",
            from.0,
            before.0
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        Ok(day.map(Day))
    }

    async fn sealed_page(&self, day: Day, from: LightNo, limit: u32) -> StoreResult<Vec<SealedDay>> {
        sqlx::query_as!(
            SealedColumns,
            "SELECT light_no, day, revision, readings, body FROM sealed_readings
             WHERE day = $1 AND light_no >= $2 ORDER BY light_no LIMIT $3",
            day.0,
            i64::from(from.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }

    async fn archived_days(&self, from: Day, last: Day, limit: u32) -> StoreResult<Vec<ArchivedDay>> {
        sqlx::query_as!(
            ArchivedColumns,
            r#"SELECT day, revision, file, readings, lights, bytes, sha256, footer_bytes, footer_crc,
                 archived_at AS "archived_at: Instant", kept_until AS "kept_until: Instant", restored
               FROM archived_days WHERE day >= $1 AND day <= $2 ORDER BY day DESC LIMIT $3"#,
            from.0,
            last.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(ArchivedColumns::record)
        .collect()
    }

    async fn record_archived(&self, day: &ArchivedDay) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let done = record(&mut tx, day, day.revision.checked_sub(1).filter(|before| *before > 0)).await?;
        tx.commit().await.map_err(failed)?;
        Ok(done)
    }

    async fn adopt_archived(&self, day: &ArchivedDay, before: Option<u32>, audit: &AuditEntry) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let done = record(&mut tx, day, before).await?;
        if done {
            audit::insert(&mut tx, audit).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(done)
    }

    async fn forget_sealed(&self, day: Day, revision: u32, blocks: &[SealedMark]) -> StoreResult<u64> {
        let mut tx = self.begin().await?;
        let recorded = sqlx::query_scalar!(
            r#"SELECT 1 AS "one!" FROM archived_days
               WHERE day = $1 AND revision = $2 AND kept_until IS NULL FOR SHARE"#,
            day.0,
            i64::from(revision)
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        if recorded.is_none() {
            return Ok(0);
        }
        let lights: Vec<i64> = blocks.iter().map(|b| i64::from(b.light_no.0)).collect();
        let revisions: Vec<i64> = blocks.iter().map(|b| i64::from(b.revision)).collect();
        let readings: Vec<i64> = blocks.iter().map(|b| i64::from(b.readings)).collect();
        let begins: Vec<Vec<u8>> = blocks.iter().map(|b| b.begins.clone()).collect();
        let gone = sqlx::query!(
            "DELETE FROM sealed_readings s
             USING UNNEST($2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BYTEA[]) AS b (light_no, revision, readings, begins)
             WHERE s.day = $1 AND s.light_no = b.light_no AND s.revision = b.revision AND s.readings = b.readings
               AND substr(s.body, 1, length(b.begins)) = b.begins",
            day.0,
            &lights,
            &revisions,
            &readings,
            &begins
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?
        .rows_affected();
        tx.commit().await.map_err(failed)?;
        Ok(gone)
    }

    async fn keep_sealed(&self, day: Day, until: UtcMillis, audit: &AuditEntry) -> StoreResult<Option<ArchivedDay>> {
        let mut tx = self.begin().await?;
        let kept = sqlx::query_as!(
            ArchivedColumns,
            r#"UPDATE archived_days SET kept_until = $1, restored = FALSE WHERE day = $2
               RETURNING day, revision, file, readings, lights, bytes, sha256, footer_bytes, footer_crc,
                 archived_at AS "archived_at: Instant", kept_until AS "kept_until: Instant", restored"#,
            Instant(until),
            day.0
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        if kept.is_some() {
            audit::insert(&mut tx, audit).await?;
        }
        tx.commit().await.map_err(failed)?;
        kept.map(ArchivedColumns::record).transpose()
    }

    async fn mark_restored(&self, day: Day, revision: u32) -> StoreResult<bool> {
        let marked = sqlx::query!(
            "UPDATE archived_days SET restored = TRUE WHERE day = $1 AND revision = $2 AND kept_until IS NOT NULL",
            day.0,
            i64::from(revision)
        )
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(marked.rows_affected() == 1)
    }

    async fn end_keeping(&self, day: Day, now: UtcMillis) -> StoreResult<bool> {
        let ended = sqlx::query!(
            "UPDATE archived_days SET kept_until = NULL, restored = FALSE WHERE day = $1 AND kept_until <= $2",
            day.0,
            Instant(now)
        )
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(ended.rows_affected() == 1)
    }

    async fn forget_archived(&self, day: Day, revision: u32, audit: &AuditEntry) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query!(
            "DELETE FROM archived_days WHERE day = $1 AND revision = $2 AND kept_until IS NULL",
            day.0,
            i64::from(revision)
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?
        .rows_affected();
        if gone == 1 {
            audit::insert(&mut tx, audit).await?;
        }
        tx.commit().await.map_err(failed)?;
        Ok(gone == 1)
    }
}

/// Records a file in the place of the record of revision `before`, or of none. False when something else is recorded, or the day's
/// blocks are wanted.
async fn record(connection: &mut PgConnection, day: &ArchivedDay, before: Option<u32>) -> StoreResult<bool> {
    let written = match before {
        None => {
            sqlx::query!(
                "INSERT INTO archived_days
                       (day, revision, file, readings, lights, bytes, sha256, footer_bytes, footer_crc, archived_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
                day.day.0,
                i64::from(day.revision),
                day.file,
                day.readings as i64,
                i64::from(day.lights),
                day.bytes as i64,
                &day.sha256[..],
                i64::from(day.footer_bytes),
                i64::from(day.footer_crc),
                Instant(day.archived_at)
            )
            .execute(connection)
            .await
        }
        Some(before) => {
            sqlx::query!(
                "UPDATE archived_days SET revision = $1, file = $2, readings = $3, lights = $4, bytes = $5,
                       sha256 = $6, footer_bytes = $7, footer_crc = $8, archived_at = $9
                     WHERE day = $10 AND revision = $11 AND kept_until IS NULL",
                i64::from(day.revision),
                day.file,
                day.readings as i64,
                i64::from(day.lights),
                day.bytes as i64,
                &day.sha256[..],
                i64::from(day.footer_bytes),
                i64::from(day.footer_crc),
                Instant(day.archived_at),
                day.day.0,
                i64::from(before)
            )
            .execute(connection)
            .await
        }
    };
    Ok(written.map_err(failed)?.rows_affected() == 1)
}
