//! Keeping the database whole. Copies and checksums of pages are the server's own business; see the handbook for `pg_dump`.
use std::path::Path;

use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_store::{Count, Day, LogPosition, SealedDay, StoreError, StoreResult, Upkeep};

use crate::sealing::SealedColumns;
use crate::{PostgresStore, failed};

#[async_trait]
impl Upkeep for PostgresStore {
    async fn settle(&self) -> StoreResult<()> {
        Ok(())
    }

    async fn engine_findings(&self) -> StoreResult<Vec<String>> {
        let mut findings = sqlx::query_scalar!(
            r#"SELECT format('index %s is not valid', indexrelid::regclass) AS "said!" FROM pg_index WHERE NOT indisvalid
               UNION ALL
               SELECT format('constraint %s of %s was never checked', conname, conrelid::regclass) FROM pg_constraint
               WHERE NOT convalidated"#
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let damaged = sqlx::query_scalar!(
            r#"SELECT coalesce(checksum_failures, 0) AS "failures!" FROM pg_stat_database
               WHERE datname = current_database()"#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        if damaged > 0 {
            findings.push(format!("PostgreSQL read {damaged} pages whose checksum was wrong"));
        }
        Ok(findings)
    }

    /// Its rows are one by one.
    async fn log_findings(&self) -> StoreResult<Vec<String>> {
        Ok(Vec::new())
    }

    async fn schema_version(&self) -> StoreResult<i64> {
        // Not checked when compiled: the table is made by whoever applies the migrations.
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations")
            .fetch_one(&self.pool)
            .await
            .map_err(failed)
    }

    async fn counts(&self) -> StoreResult<Vec<Count>> {
        let n = sqlx::query!(
            r#"SELECT (SELECT count(*) FROM users) AS "users!", (SELECT count(*) FROM devices) AS "devices!",
                 (SELECT count(*) FROM lights) AS "lights!", (SELECT count(*) FROM energy_parameters) AS "log!",
                 (SELECT count(*) FROM sealed_readings) AS "blocks!",
                 (SELECT coalesce(sum(readings), 0)::bigint FROM sealed_readings) AS "in_blocks!",
                 (SELECT count(*) FROM commands) AS "commands!", (SELECT count(*) FROM alerts) AS "alerts!",
                 (SELECT count(*) FROM audit) AS "audit!""#
        )
        .fetch_one(&self.pool)
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
        Ok(0)
    }

    async fn last_position(&self) -> StoreResult<LogPosition> {
        let last = sqlx::query_scalar!(
            r#"SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('energy_parameters', 'id')::regclass), 0)
                 AS "last!""#
        )
        .fetch_one(&self.pool)
        .await
        .map_err(failed)?;
        Ok(LogPosition(last))
    }

    async fn sealed_after(&self, after: (LightNo, Day), limit: u32) -> StoreResult<Vec<SealedDay>> {
        sqlx::query_as!(
            SealedColumns,
            "SELECT light_no, day, revision, readings, body FROM sealed_readings
             WHERE (light_no, day) > ($1, $2) ORDER BY light_no, day LIMIT $3",
            i64::from(after.0.0),
            after.1.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(SealedColumns::record)
        .collect()
    }

    async fn copy_into(&self, _file: &Path) -> StoreResult<()> {
        Err(StoreError::Unusable("a PostgreSQL database is copied with pg_dump".into()))
    }
}
