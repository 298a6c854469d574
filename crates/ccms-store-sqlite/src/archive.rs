//! Days whose readings are in files.
use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{Archive, ArchivedDay, AuditEntry, Day, SealedDay, SealedMark, StoreResult};
use sqlx::SqliteConnection;

use crate::sealing::SealedColumns;
use crate::{SqliteStore, audit, failed};

struct ArchivedColumns {
    day: i64,
    revision: i64,
    file: String,
    readings: i64,
    lights: i64,
    bytes: i64,
    sha256: Vec<u8>,
    footer_bytes: i64,
    footer_crc: i64,
    archived_at: i64,
    kept_until: Option<i64>,
    restored: i64,
}

impl ArchivedColumns {
    fn record(self) -> StoreResult<ArchivedDay> {
        let at = Row::new("archived_days", &self.day);
        Ok(ArchivedDay {
            day: Day(at.number("day", self.day)?),
            revision: at.number("revision", self.revision)?,
            readings: at.number("readings", self.readings)?,
            lights: at.number("lights", self.lights)?,
            bytes: at.number("bytes", self.bytes)?,
            sha256: at.bytes("sha256", &self.sha256)?,
            footer_bytes: at.number("footer_bytes", self.footer_bytes)?,
            footer_crc: at.number("footer_crc", self.footer_crc)?,
            archived_at: UtcMillis(self.archived_at),
            kept_until: self.kept_until.map(UtcMillis),
            restored: self.restored != 0,
            file: self.file,
        })
    }
}

#[async_trait]
impl Archive for SqliteStore {
    async fn earliest_sealed_day(&self, from: Day, before: Day) -> StoreResult<Option<Day>> {
        let day = sqlx::query_scalar!(
            "SELECT day FROM sealed_readings INDEXED BY sealed_readings_of_day
             WHERE day >= ? AND day < ? ORDER BY day LIMIT 1",
            from.0,
            before.0
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        day.map(|day| Row::new("sealed_readings", &day).number("day", day).map(Day)).transpose()
    }

    async fn sealed_page(&self, day: Day, from: LightNo, limit: u32) -> StoreResult<Vec<SealedDay>> {
        sqlx::query_as!(
            SealedColumns,
            r#"SELECT light_no AS "light_no!", day AS "day!", revision AS "revision!", readings AS "readings!", body AS "body!"
               FROM sealed_readings INDEXED BY sealed_readings_of_day
               WHERE day = ? AND light_no >= ? ORDER BY light_no LIMIT ?"#,
            day.0,
            from.0,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }

    async fn archived_days(&self, from: Day, last: Day, limit: u32) -> StoreResult<Vec<ArchivedDay>> {
        sqlx::query_as!(
            ArchivedColumns,
            "SELECT * FROM archived_days WHERE day >= ? AND day <= ? ORDER BY day DESC LIMIT ?",
            from.0,
            last.0,
            limit
        )
        .fetch_all(&self.readers)
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
        let mut gone = 0;
        for block in blocks {
            let removed = sqlx::query!(
                "DELETE FROM sealed_readings
                 WHERE light_no = ?1 AND day = ?2 AND revision = ?3 AND readings = ?4 AND coalesce(substr(body, 1, length(?5)), x'') = ?5
                   AND EXISTS (SELECT 1 FROM archived_days a WHERE a.day = ?2 AND a.revision = ?6 AND a.kept_until IS NULL)",
                block.light_no.0,
                day.0,
                block.revision,
                block.readings,
                block.begins,
                revision
            )
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
            gone += removed.rows_affected();
        }
        tx.commit().await.map_err(failed)?;
        Ok(gone)
    }

    async fn keep_sealed(&self, day: Day, until: UtcMillis, audit: &AuditEntry) -> StoreResult<Option<ArchivedDay>> {
        let mut tx = self.begin().await?;
        let kept = sqlx::query_as!(
            ArchivedColumns,
            r#"UPDATE archived_days SET kept_until = ?, restored = 0 WHERE day = ?
               RETURNING day AS "day!", revision AS "revision!", file AS "file!", readings AS "readings!", lights AS "lights!",
                 bytes AS "bytes!", sha256 AS "sha256!", footer_bytes AS "footer_bytes!", footer_crc AS "footer_crc!",
                 archived_at AS "archived_at!", kept_until, restored AS "restored!""#,
            until.0,
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
            "UPDATE archived_days SET restored = 1 WHERE day = ? AND revision = ? AND kept_until IS NOT NULL",
            day.0,
            revision
        )
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(marked.rows_affected() == 1)
    }

    async fn end_keeping(&self, day: Day, now: UtcMillis) -> StoreResult<bool> {
        let ended = sqlx::query!(
            "UPDATE archived_days SET kept_until = NULL, restored = 0 WHERE day = ? AND kept_until <= ?",
            day.0,
            now.0
        )
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(ended.rows_affected() == 1)
    }

    async fn forget_archived(&self, day: Day, revision: u32, audit: &AuditEntry) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let gone = sqlx::query!(
            "DELETE FROM archived_days WHERE day = ? AND revision = ? AND kept_until IS NULL",
            day.0,
            revision
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
async fn record(connection: &mut SqliteConnection, day: &ArchivedDay, before: Option<u32>) -> StoreResult<bool> {
    let (readings, bytes, sha256) = (day.readings as i64, day.bytes as i64, &day.sha256[..]);
    let written = match before {
        None => {
            sqlx::query!(
                "INSERT INTO archived_days
                       (day, revision, file, readings, lights, bytes, sha256, footer_bytes, footer_crc, archived_at)
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                day.day.0,
                day.revision,
                day.file,
                readings,
                day.lights,
                bytes,
                sha256,
                day.footer_bytes,
                day.footer_crc,
                day.archived_at.0
            )
            .execute(connection)
            .await
        }
        Some(before) => {
            sqlx::query!(
                "UPDATE archived_days SET revision = ?, file = ?, readings = ?, lights = ?, bytes = ?, sha256 = ?,
                       footer_bytes = ?, footer_crc = ?, archived_at = ?
                     WHERE day = ? AND revision = ? AND kept_until IS NULL",
                day.revision,
                day.file,
                readings,
                day.lights,
                bytes,
                sha256,
                day.footer_bytes,
                day.footer_crc,
                day.archived_at.0,
                day.day.0,
                before
            )
            .execute(connection)
            .await
        }
    };
    Ok(written.map_err(failed)?.rows_affected() == 1)
}
