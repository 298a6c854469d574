//! Keeping the file whole: checks, a copy while it is in use, a journal folded in.
use std::path::Path;

use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_store::{Count, Day, LogPosition, SealedDay, StoreError, StoreResult, Upkeep};

use crate::sealing::SealedColumns;
use crate::{SqliteStore, failed, links, log};

/// What is wrong is listed up to this many lines; one is enough to act.
const FINDINGS_MAX: i64 = 20;

#[async_trait]
impl Upkeep for SqliteStore {
    async fn settle(&self) -> StoreResult<()> {
        // Not checked when compiled: a pragma's columns have no types.
        let (busy, _, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.writer).await.map_err(failed)?;
        if busy != 0 {
            tracing::warn!("another process reads the database; its journal was not folded in completely");
        }
        Ok(())
    }

    async fn engine_findings(&self) -> StoreResult<Vec<String>> {
        let mut findings = sqlx::query_scalar!(
            r#"SELECT CAST(integrity_check AS TEXT) AS "said!: String" FROM pragma_integrity_check LIMIT ?"#,
            FINDINGS_MAX
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        findings.retain(|said| said != "ok");
        let strays = sqlx::query!(
            r#"SELECT CAST("table" AS TEXT) AS "child!: String", CAST(parent AS TEXT) AS "parent!: String",
                 CAST(coalesce(rowid, 0) AS INTEGER) AS "row!: i64"
               FROM pragma_foreign_key_check LIMIT ?"#,
            FINDINGS_MAX
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        findings.extend(strays.iter().map(|s| format!("row {} of {} names none of {}", s.row, s.child, s.parent)));
        Ok(findings)
    }

    async fn log_findings(&self) -> StoreResult<Vec<String>> {
        links::findings(self).await
    }

    async fn schema_version(&self) -> StoreResult<i64> {
        // Not checked when compiled: the table is made by whoever applies the migrations.
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&self.readers)
            .await
            .map_err(failed)
    }

    async fn counts(&self) -> StoreResult<Vec<Count>> {
        let n = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM users) AS "users!: i64", (SELECT count(*) FROM devices) AS "devices!: i64",
                 (SELECT count(*) FROM lights) AS "lights!: i64",
                 (SELECT coalesce(sum(readings), 0) FROM energy_parameters) + (SELECT count(*) FROM loose_readings) AS "log!: i64",
                 (SELECT count(*) FROM sealed_readings) AS "blocks!: i64",
                 (SELECT coalesce(sum(readings), 0) FROM sealed_readings) AS "in_blocks!: i64",
                 (SELECT count(*) FROM commands) AS "commands!: i64", (SELECT count(*) FROM alerts) AS "alerts!: i64",
                 (SELECT count(*) FROM audit) AS "audit!: i64""#
        )
        .fetch_one(&self.readers)
        .await
        .map_err(failed)?;
        Ok([
            ("users", n.users),
            ("devices", n.devices),
            ("lights", n.lights),
            ("energy_parameters", n.log),
            ("sealed_readings", n.blocks),
            ("readings in blocks", n.in_blocks),
            ("commands", n.commands),
            ("alerts", n.alerts),
            ("audit", n.audit),
        ]
        .map(|(name, count)| (name, count.unsigned_abs()))
        .into())
    }

    async fn unused_bytes(&self) -> StoreResult<u64> {
        let found = sqlx::query_scalar!(
            r#"SELECT f.freelist_count * p.page_size AS "bytes!: i64" FROM pragma_freelist_count f, pragma_page_size p"#
        );
        Ok(found.fetch_one(&self.readers).await.map_err(failed)?.unsigned_abs())
    }

    async fn last_position(&self) -> StoreResult<LogPosition> {
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        log::end(&mut connection).await.map(LogPosition)
    }

    async fn sealed_after(&self, after: (LightNo, Day), limit: u32) -> StoreResult<Vec<SealedDay>> {
        let (light, day) = (after.0.0, after.1.0);
        sqlx::query_as!(
            SealedColumns,
            "SELECT * FROM sealed_readings WHERE (light_no, day) > (?, ?) ORDER BY light_no, day LIMIT ?",
            light,
            day,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }

    async fn copy_into(&self, file: &Path) -> StoreResult<()> {
        let name = file.to_str().ok_or_else(|| StoreError::Unusable(format!("{} is no name", file.display())))?;
        // Not checked when compiled: that would run it.
        sqlx::query("VACUUM INTO ?").bind(name).execute(&self.readers).await.map_err(failed)?;
        let written = tokio::fs::OpenOptions::new().write(true).open(file).await.map_err(StoreError::unavailable)?;
        written.sync_all().await.map_err(StoreError::unavailable)
    }
}
