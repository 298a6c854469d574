//! What devices hand in beside readings. Each device keeps a bounded number of log texts and of unreadable messages.
use async_trait::async_trait;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{DeviceLog, FirmwareReport, Quarantined, ReadingRow, StoreResult, Uploads};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{PostgresStore, failed, readings};

#[async_trait]
impl Uploads for PostgresStore {
    async fn save_device_log(&self, device: DeviceNo, at: UtcMillis, text: &str, keep: u32) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        let no = i64::from(device.0);
        take_turns(&mut tx, device).await?;
        sqlx::query!("INSERT INTO device_logs (device_no, at, text) VALUES ($1, $2, $3)", no, Instant(at), plain(text))
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        sqlx::query!(
            "DELETE FROM device_logs WHERE device_no = $1
               AND no <= (SELECT no FROM device_logs WHERE device_no = $1 ORDER BY no DESC OFFSET $2 LIMIT 1)",
            no,
            i64::from(keep)
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn device_logs(&self, device: DeviceNo, limit: u32) -> StoreResult<Vec<DeviceLog>> {
        let found = sqlx::query!(
            "SELECT at, text FROM device_logs WHERE device_no = $1 ORDER BY no DESC LIMIT $2",
            i64::from(device.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        Ok(found.into_iter().map(|log| DeviceLog { at: log.at.0, text: log.text }).collect())
    }

    async fn save_quarantined(
        &self,
        device: DeviceNo,
        at: UtcMillis,
        items: &[Quarantined],
        keep: u32,
    ) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        let no = i64::from(device.0);
        let reason: Vec<String> = items.iter().map(|item| plain(&item.reason)).collect();
        let raw: Vec<String> = items.iter().map(|item| plain(&item.raw)).collect();
        take_turns(&mut tx, device).await?;
        sqlx::query!(
            "INSERT INTO quarantine (device_no, at, reason, raw)
             SELECT $1, $2, reason, raw
             FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS item (reason, raw, place) ORDER BY place",
            no,
            Instant(at),
            &reason,
            &raw
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        sqlx::query!(
            "DELETE FROM quarantine WHERE device_no = $1
               AND no <= (SELECT no FROM quarantine WHERE device_no = $1 ORDER BY no DESC OFFSET $2 LIMIT 1)",
            no,
            i64::from(keep)
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)
    }

    async fn quarantined(&self, device: DeviceNo, limit: u32) -> StoreResult<Vec<(UtcMillis, Quarantined)>> {
        let found = sqlx::query!(
            "SELECT at, reason, raw FROM quarantine WHERE device_no = $1 ORDER BY no DESC LIMIT $2",
            i64::from(device.0),
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        Ok(found.into_iter().map(|q| (q.at.0, Quarantined { reason: q.reason, raw: q.raw })).collect())
    }

    async fn save_firmware_report(&self, report: &FirmwareReport) -> StoreResult<()> {
        sqlx::query!(
            "INSERT INTO firmware_reports (device_no, at, version, state, progress_percent, message)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (device_no) DO UPDATE SET at = excluded.at, version = excluded.version, state = excluded.state,
                 progress_percent = excluded.progress_percent, message = excluded.message",
            i64::from(report.device.0),
            Instant(report.at),
            report.version.as_deref().map(plain),
            report.state.as_deref().map(plain),
            report.progress_percent.map(i16::from),
            report.message.as_deref().map(plain),
        )
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(())
    }

    async fn firmware_report(&self, device: DeviceNo) -> StoreResult<Option<FirmwareReport>> {
        let found = sqlx::query!(
            "SELECT at, version, state, progress_percent, message FROM firmware_reports WHERE device_no = $1",
            i64::from(device.0)
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        found
            .map(|r| {
                let row = Row::new("firmware_reports", &device.0);
                Ok(FirmwareReport {
                    device,
                    at: r.at.0,
                    version: r.version,
                    state: r.state,
                    progress_percent: row.number_opt("progress_percent", r.progress_percent)?,
                    message: r.message,
                })
            })
            .transpose()
    }

    async fn suspect_readings(
        &self,
        light: LightNo,
        from: UtcMillis,
        to: UtcMillis,
        limit: u32,
    ) -> StoreResult<Vec<ReadingRow>> {
        readings::suspect(self, light, from, to, limit).await
    }
}

/// Two uploads of one device take turns, or both would leave the other's row uncounted and remove the same old ones.
pub(crate) async fn take_turns(connection: &mut PgConnection, device: DeviceNo) -> StoreResult<()> {
    sqlx::query!("SELECT no FROM devices WHERE no = $1 FOR NO KEY UPDATE", i64::from(device.0))
        .fetch_optional(connection)
        .await
        .map_err(failed)?;
    Ok(())
}
