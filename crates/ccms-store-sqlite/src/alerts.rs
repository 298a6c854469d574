//! What is wrong. The index `alerts_unresolved` holds that at most one per device, light and kind is not resolved.
use async_trait::async_trait;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{AlertQuery, AlertRaise, AlertRecord, AlertState, Alerts, AuditEntry, Severity, StoreResult};
use sqlx::SqliteConnection;

use crate::{SqliteStore, audit, failed};

struct AlertColumns {
    no: i64,
    device_no: Option<i64>,
    light_no: Option<i64>,
    kind: String,
    severity: String,
    state: String,
    message: String,
    detail: String,
    opened_at: i64,
    last_at: i64,
    count: i64,
    moved_by: Option<String>,
    moved_at: Option<i64>,
}

impl AlertColumns {
    fn record(self) -> StoreResult<AlertRecord> {
        let row = Row::new("alerts", &self.no);
        Ok(AlertRecord {
            no: self.no,
            device_no: row.number_opt("device_no", self.device_no)?.map(DeviceNo),
            light_no: row.number_opt("light_no", self.light_no)?.map(LightNo),
            kind: self.kind,
            severity: row.text("severity", &self.severity, Severity::parse)?,
            state: row.text("state", &self.state, AlertState::parse)?,
            message: self.message,
            detail: row.json("detail", &self.detail)?,
            opened_at: UtcMillis(self.opened_at),
            last_at: UtcMillis(self.last_at),
            count: row.number("count", self.count)?,
            moved_by: self.moved_by,
            moved_at: self.moved_at.map(UtcMillis),
        })
    }
}

#[async_trait]
impl Alerts for SqliteStore {
    async fn raise_alert(&self, raise: &AlertRaise) -> StoreResult<(AlertRecord, bool)> {
        let mut tx = self.begin().await?;
        let raised = raise_on(&mut tx, raise).await?;
        tx.commit().await.map_err(failed)?;
        Ok(raised)
    }

    async fn raise_alert_once(
        &self,
        raise: &AlertRaise,
        said: i64,
        keep: u32,
    ) -> StoreResult<Option<(AlertRecord, bool)>> {
        let mut tx = self.begin().await?;
        if let Some(device) = raise.device_no
            && !remember(&mut tx, device, said, keep).await?
        {
            return Ok(None);
        }
        let raised = raise_on(&mut tx, raise).await?;
        tx.commit().await.map_err(failed)?;
        Ok(Some(raised))
    }

    async fn move_alert(
        &self,
        no: i64,
        to: AlertState,
        by: &str,
        at: UtcMillis,
        audit: &AuditEntry,
    ) -> StoreResult<Option<AlertRecord>> {
        let mut tx = self.begin().await?;
        let Some(alert) = alert_on(&mut tx, no).await?.filter(|a| is_before(a.state, to)) else { return Ok(None) };
        let state = to.as_str();
        sqlx::query!("UPDATE alerts SET state = ?, moved_by = ?, moved_at = ? WHERE no = ?", state, by, at.0, no)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        Ok(Some(AlertRecord { state: to, moved_by: Some(by.to_owned()), moved_at: Some(at), ..alert }))
    }

    async fn alert(&self, no: i64) -> StoreResult<Option<AlertRecord>> {
        let mut connection = self.readers.acquire().await.map_err(failed)?;
        alert_on(&mut connection, no).await
    }

    async fn alerts(&self, query: &AlertQuery) -> StoreResult<Vec<AlertRecord>> {
        newest(self, query).await?.into_iter().map(AlertColumns::record).collect()
    }

    async fn alerts_of_zone(
        &self,
        zone: &str,
        query: &AlertQuery,
        reach: u32,
    ) -> StoreResult<(Vec<AlertRecord>, Option<i64>)> {
        let newest =
            sqlx::query_scalar!("SELECT max(no) FROM alerts").fetch_one(&self.readers).await.map_err(failed)?;
        let before = query.before_no.unwrap_or(i64::MAX).min(newest.unwrap_or(0).saturating_add(1));
        let from = before.saturating_sub(i64::from(reach));
        let (device_no, light_no) = (query.device_no.map(|d| d.0), query.light_no.map(|l| l.0));
        let state = query.state.map(AlertState::as_str);
        let found = sqlx::query_as!(
            AlertColumns,
            "SELECT * FROM alerts
             WHERE no < ?1 AND no >= ?2 AND (?3 IS NULL OR device_no = ?3) AND (?4 IS NULL OR light_no = ?4)
               AND (?5 IS NULL OR state = ?5)
               AND (EXISTS (SELECT 1 FROM lights WHERE lights.no = alerts.light_no AND zone = ?6)
                 OR (light_no IS NULL
                   AND EXISTS (SELECT 1 FROM lights WHERE lights.device_no = alerts.device_no AND zone = ?6)))
             ORDER BY no DESC LIMIT ?7",
            before,
            from,
            device_no,
            light_no,
            state,
            zone,
            query.limit,
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?;
        let found: Vec<AlertRecord> = found.into_iter().map(AlertColumns::record).collect::<StoreResult<_>>()?;
        Ok(ccms_store::zone_page(found, query.limit, from))
    }
}

/// What stands first here, the way to the rows: each has its index, and the statement is chosen by what was asked.
async fn newest(store: &SqliteStore, query: &AlertQuery) -> StoreResult<Vec<AlertColumns>> {
    let (device_no, light_no) = (query.device_no.map(|d| d.0), query.light_no.map(|l| l.0));
    let (state, before) = (query.state.map(AlertState::as_str), query.before_no.unwrap_or(i64::MAX));
    let found = if let Some(light_no) = light_no {
        sqlx::query_as!(
            AlertColumns,
            "SELECT * FROM alerts
             WHERE light_no = ?1 AND no < ?2 AND (?3 IS NULL OR device_no = ?3) AND (?4 IS NULL OR state = ?4)
             ORDER BY no DESC LIMIT ?5",
            light_no,
            before,
            device_no,
            state,
            query.limit,
        )
        .fetch_all(&store.readers)
        .await
    } else if let Some(device_no) = device_no {
        sqlx::query_as!(
            AlertColumns,
            "SELECT * FROM alerts WHERE device_no = ?1 AND no < ?2 AND (?3 IS NULL OR state = ?3)
             ORDER BY no DESC LIMIT ?4",
            device_no,
            before,
            state,
            query.limit,
        )
        .fetch_all(&store.readers)
        .await
    } else if let Some(state) = state {
        sqlx::query_as!(
            AlertColumns,
            "SELECT * FROM alerts WHERE state = ? AND no < ? ORDER BY no DESC LIMIT ?",
            state,
            before,
            query.limit,
        )
        .fetch_all(&store.readers)
        .await
    } else {
        sqlx::query_as!(
            AlertColumns,
            "SELECT * FROM alerts WHERE no < ? ORDER BY no DESC LIMIT ?",
            before,
            query.limit,
        )
        .fetch_all(&store.readers)
        .await
    };
    found.map_err(failed)
}

async fn alert_on(connection: &mut SqliteConnection, no: i64) -> StoreResult<Option<AlertRecord>> {
    sqlx::query_as!(AlertColumns, "SELECT * FROM alerts WHERE no = ?", no)
        .fetch_optional(connection)
        .await
        .map_err(failed)?
        .map(AlertColumns::record)
        .transpose()
}

async fn raise_on(connection: &mut SqliteConnection, raise: &AlertRaise) -> StoreResult<(AlertRecord, bool)> {
    let (device_no, light_no) = (raise.device_no.map(|d| d.0), raise.light_no.map(|l| l.0));
    let open = sqlx::query_as!(
        AlertColumns,
        r#"SELECT no AS "no!", device_no, light_no, kind, severity, state, message, detail, opened_at, last_at,
             count, moved_by, moved_at
         FROM alerts
         WHERE state <> 'resolved' AND kind = ?1 AND ifnull(device_no, 0) = ifnull(?2, 0)
           AND ifnull(light_no, 0) = ifnull(?3, 0)"#,
        raise.kind,
        device_no,
        light_no,
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(failed)?
    .map(AlertColumns::record)
    .transpose()?;
    let (alert, opened) = match open {
        Some(before) => (again(connection, before, raise).await?, false),
        None => (open_new(connection, raise).await?, true),
    };
    Ok((alert, opened))
}

/// False when the device said it before.
async fn remember(connection: &mut SqliteConnection, device: DeviceNo, said: i64, keep: u32) -> StoreResult<bool> {
    let noted = sqlx::query!(
        "INSERT INTO alert_messages (device_no, said) VALUES (?, ?) ON CONFLICT DO NOTHING",
        device.0,
        said
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if noted.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "DELETE FROM alert_messages WHERE device_no = ?1
           AND no <= (SELECT no FROM alert_messages WHERE device_no = ?1 ORDER BY no DESC LIMIT 1 OFFSET ?2)",
        device.0,
        keep
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(true)
}

async fn open_new(connection: &mut SqliteConnection, raise: &AlertRaise) -> StoreResult<AlertRecord> {
    let (device_no, light_no) = (raise.device_no.map(|d| d.0), raise.light_no.map(|l| l.0));
    let (severity, state, detail) = (raise.severity.as_str(), AlertState::Open.as_str(), raise.detail.to_string());
    let inserted = sqlx::query!(
        "INSERT INTO alerts (device_no, light_no, kind, severity, state, message, detail, opened_at, last_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
        device_no,
        light_no,
        raise.kind,
        severity,
        state,
        raise.message,
        detail,
        raise.at.0,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    let AlertRaise { device_no, light_no, kind, severity, message, detail, at } = raise.clone();
    Ok(AlertRecord {
        no: inserted.last_insert_rowid(),
        device_no,
        light_no,
        kind,
        severity,
        state: AlertState::Open,
        message,
        detail,
        opened_at: at,
        last_at: at,
        count: 1,
        moved_by: None,
        moved_at: None,
    })
}

async fn again(connection: &mut SqliteConnection, before: AlertRecord, raise: &AlertRaise) -> StoreResult<AlertRecord> {
    let alert = AlertRecord {
        severity: before.severity.max(raise.severity),
        message: raise.message.clone(),
        detail: raise.detail.clone(),
        last_at: raise.at,
        count: before.count.saturating_add(1),
        ..before
    };
    let (severity, detail) = (alert.severity.as_str(), alert.detail.to_string());
    sqlx::query!(
        "UPDATE alerts SET severity = ?, message = ?, detail = ?, last_at = ?, count = ? WHERE no = ?",
        severity,
        alert.message,
        detail,
        alert.last_at.0,
        alert.count,
        alert.no,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(alert)
}

const fn is_before(from: AlertState, to: AlertState) -> bool {
    use AlertState::{Acknowledged, Open, Resolved};
    matches!((from, to), (Open, Acknowledged | Resolved) | (Acknowledged, Resolved))
}
