//! Log texts, unreadable messages and firmware reports. Of each, a device's newest stay.
use async_trait::async_trait;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{DeviceLog, FirmwareReport, Quarantined, ReadingRow, StoreResult, Uploads};

use crate::{SqliteStore, failed, readings};

#[async_trait]
impl Uploads for SqliteStore {
    async fn save_device_log(&self, device: DeviceNo, at: UtcMillis, text: &str, keep: u32) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query!("INSERT INTO device_logs (device_no, at, text) VALUES (?, ?, ?)", device.0, at.0, text)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        sqlx::query!(
            "DELETE FROM device_logs WHERE device_no = ?1 AND no <=
                 (SELECT no FROM device_logs WHERE device_no = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)",
            device.0,
            keep,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn device_logs(&self, device: DeviceNo, limit: u32) -> StoreResult<Vec<DeviceLog>> {
        let found = sqlx::query!(
            "SELECT at, text FROM device_logs WHERE device_no = ? ORDER BY no DESC LIMIT ?",
            device.0,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        Ok(found.into_iter().map(|l| DeviceLog { at: UtcMillis(l.at), text: l.text }).collect())
    }

    async fn save_quarantined(
        &self,
        device: DeviceNo,
        at: UtcMillis,
        items: &[Quarantined],
        keep: u32,
    ) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        // What would be removed at once need not be written: a batch may hold more than is kept.
        for item in &items[items.len().saturating_sub(keep as usize)..] {
            sqlx::query!(
                "INSERT INTO quarantine (device_no, at, reason, raw) VALUES (?, ?, ?, ?)",
                device.0,
                at.0,
                item.reason,
                item.raw
            )
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        }
        sqlx::query!(
            "DELETE FROM quarantine WHERE device_no = ?1 AND no <=
                 (SELECT no FROM quarantine WHERE device_no = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)",
            device.0,
            keep,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn quarantined(&self, device: DeviceNo, limit: u32) -> StoreResult<Vec<(UtcMillis, Quarantined)>> {
        let found = sqlx::query!(
            "SELECT at, reason, raw FROM quarantine WHERE device_no = ? ORDER BY no DESC LIMIT ?",
            device.0,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        Ok(found.into_iter().map(|q| (UtcMillis(q.at), Quarantined { reason: q.reason, raw: q.raw })).collect())
    }

    async fn save_firmware_report(&self, report: &FirmwareReport) -> StoreResult<()> {
        sqlx::query!(
            "INSERT OR REPLACE INTO firmware_reports (device_no, at, version, state, progress_percent, message)
             VALUES (?, ?, ?, ?, ?, ?)",
            report.device.0,
            report.at.0,
            report.version,
            report.state,
            report.progress_percent,
            report.message,
        )
        .execute(&self.writer)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn firmware_report(&self, device: DeviceNo) -> StoreResult<Option<FirmwareReport>> {
        let found = sqlx::query!(
            "SELECT at, version, state, progress_percent, message FROM firmware_reports WHERE device_no = ?",
            device.0
        )
        .fetch_optional(&self.readers)
        .await
        .map_err(failed)?;
        let Some(r) = found else { return Ok(None) };
        let row = Row::new("firmware_reports", &device.0);
        Ok(Some(FirmwareReport {
            device,
            at: UtcMillis(r.at),
            version: r.version,
            state: r.state,
            progress_percent: row.number_opt("progress_percent", r.progress_percent)?,
            message: r.message,
        }))
    }

    async fn suspect_readings(
        &self,
        light: LightNo,
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        readings::suspect(self, light, (from, to), limit).await
    }
}
