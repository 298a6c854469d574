//! Alerts. One per device, light and kind is not resolved: the index `alerts_unresolved` holds it, also between processes.
use async_trait::async_trait;
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{AlertQuery, AlertRaise, AlertRecord, AlertState, Alerts, AuditEntry, Severity, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::uploads::take_turns;
use crate::{PostgresStore, audit, failed};

struct AlertColumns {
    no: i64,
    device_no: Option<i64>,
    light_no: Option<i64>,
    kind: String,
    severity: String,
    state: String,
    message: String,
    detail: String,
    opened_at: Instant,
    last_at: Instant,
    count: i64,
    moved_by: Option<String>,
    moved_at: Option<Instant>,
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
            opened_at: self.opened_at.0,
            last_at: self.last_at.0,
            count: row.number("count", self.count)?,
            moved_by: self.moved_by,
            moved_at: self.moved_at.map(|t| t.0),
        })
    }
}

#[async_trait]
impl Alerts for PostgresStore {
    async fn raise_alert(&self, raise: &AlertRaise) -> StoreResult<(AlertRecord, bool)> {
        let mut connection = self.pool.acquire().await.map_err(failed)?;
        raise_on(&mut connection, raise).await
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
        let to = to.as_str();
        let moved = sqlx::query_as!(
            AlertColumns,
            r#"UPDATE alerts SET state = $1, moved_by = $2, moved_at = $3
             WHERE no = $4
               AND (state = 'open' AND $1 IN ('acknowledged', 'resolved') OR state = 'acknowledged' AND $1 = 'resolved')
             RETURNING no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at"#,
            to,
            plain(by),
            Instant(at),
            no,
        )
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
        let Some(moved) = moved else { return Ok(None) };
        audit::insert(&mut tx, audit).await?;
        tx.commit().await.map_err(failed)?;
        moved.record().map(Some)
    }

    async fn alert(&self, no: i64) -> StoreResult<Option<AlertRecord>> {
        sqlx::query_as!(
            AlertColumns,
            r#"SELECT no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at
             FROM alerts WHERE no = $1"#,
            no
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?
        .map(AlertColumns::record)
        .transpose()
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
        let newest = sqlx::query_scalar!("SELECT max(no) FROM alerts").fetch_one(&self.pool).await.map_err(failed)?;
        let before = query.before_no.unwrap_or(i64::MAX).min(newest.unwrap_or(0).saturating_add(1));
        let from = before.saturating_sub(i64::from(reach));
        let found = sqlx::query_as!(
            AlertColumns,
            r#"SELECT no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at
             FROM alerts
             WHERE no < $1 AND no >= $2 AND ($3::bigint IS NULL OR device_no = $3)
               AND ($4::bigint IS NULL OR light_no = $4) AND ($5::text IS NULL OR state = $5)
               AND (EXISTS (SELECT FROM lights WHERE lights.no = alerts.light_no AND zone = $6)
                 OR light_no IS NULL AND EXISTS (
                   SELECT FROM lights WHERE lights.device_no = alerts.device_no AND zone = $6))
             ORDER BY no DESC LIMIT $7"#,
            before,
            from,
            query.device_no.map(|d| i64::from(d.0)),
            query.light_no.map(|l| i64::from(l.0)),
            query.state.map(AlertState::as_str),
            plain(zone),
            i64::from(query.limit),
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let found: Vec<AlertRecord> = found.into_iter().map(AlertColumns::record).collect::<StoreResult<_>>()?;
        Ok(ccms_store::zone_page(found, query.limit, from))
    }
}

async fn raise_on(connection: &mut PgConnection, raise: &AlertRaise) -> StoreResult<(AlertRecord, bool)> {
    // Again only when somebody opened the same one, and somebody resolved it, between the two statements.
    loop {
        if let Some(counted) = count(connection, raise).await? {
            return Ok((counted.record()?, false));
        }
        if let Some(opened) = open(connection, raise).await? {
            return Ok((opened.record()?, true));
        }
    }
}

/// False when the device said it before. What one device says takes turns, so that two of them never wait for each other's
/// oldest rows.
async fn remember(connection: &mut PgConnection, device: DeviceNo, said: i64, keep: u32) -> StoreResult<bool> {
    take_turns(connection, device).await?;
    let no = i64::from(device.0);
    let noted = sqlx::query!(
        "INSERT INTO alert_messages (device_no, said) SELECT $1, $2
         WHERE NOT EXISTS (SELECT FROM alert_messages WHERE device_no = $1 AND said = $2)",
        no,
        said
    )
    .execute(&mut *connection)
    .await
    .map_err(failed)?;
    if noted.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query!(
        "DELETE FROM alert_messages WHERE device_no = $1
           AND no <= (SELECT no FROM alert_messages WHERE device_no = $1 ORDER BY no DESC OFFSET $2 LIMIT 1)",
        no,
        i64::from(keep)
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    Ok(true)
}

/// One statement per way to the rows, each with its index: with one for all, the plan the server keeps could walk the
/// whole table for a light that never had an alert.
async fn newest(store: &PostgresStore, query: &AlertQuery) -> StoreResult<Vec<AlertColumns>> {
    let (device_no, light_no) = (query.device_no.map(|d| i64::from(d.0)), query.light_no.map(|l| i64::from(l.0)));
    let (state, before) = (query.state.map(AlertState::as_str), query.before_no.unwrap_or(i64::MAX));
    let limit = i64::from(query.limit);
    let found = if let Some(light_no) = light_no {
        sqlx::query_as!(
            AlertColumns,
            r#"SELECT no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at
             FROM alerts
             WHERE light_no = $1 AND no < $2 AND ($3::bigint IS NULL OR device_no = $3)
               AND ($4::text IS NULL OR state = $4)
             ORDER BY no DESC LIMIT $5"#,
            light_no,
            before,
            device_no,
            state,
            limit,
        )
        .fetch_all(&store.pool)
        .await
    } else if let Some(device_no) = device_no {
        sqlx::query_as!(
            AlertColumns,
            r#"SELECT no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at
             FROM alerts WHERE device_no = $1 AND no < $2 AND ($3::text IS NULL OR state = $3)
             ORDER BY no DESC LIMIT $4"#,
            device_no,
            before,
            state,
            limit,
        )
        .fetch_all(&store.pool)
        .await
    } else if let Some(state) = state {
        sqlx::query_as!(
            AlertColumns,
            r#"SELECT no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at
             FROM alerts WHERE state = $1 AND no < $2 ORDER BY no DESC LIMIT $3"#,
            state,
            before,
            limit,
        )
        .fetch_all(&store.pool)
        .await
    } else {
        sqlx::query_as!(
            AlertColumns,
            r#"SELECT no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
               last_at, count, moved_by, moved_at
             FROM alerts WHERE no < $1 ORDER BY no DESC LIMIT $2"#,
            before,
            limit,
        )
        .fetch_all(&store.pool)
        .await
    };
    found.map_err(failed)
}

/// One more occurrence of the alert that is there. First, because an insert that meets a row uses up a number.
async fn count(connection: &mut PgConnection, raise: &AlertRaise) -> StoreResult<Option<AlertColumns>> {
    let severity = raise.severity.as_str();
    sqlx::query_as!(
        AlertColumns,
        r#"UPDATE alerts SET message = $1, detail = $2::text::json, last_at = $3,
             severity = CASE WHEN 'critical' IN (severity, $4) THEN 'critical'
                             WHEN 'warning' IN (severity, $4) THEN 'warning' ELSE 'info' END,
             count = least(count + 1, 4294967295)
         WHERE kind = $5 AND coalesce(device_no, 0) = coalesce($6::bigint, 0)
           AND coalesce(light_no, 0) = coalesce($7::bigint, 0) AND state <> 'resolved'
         RETURNING no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
           last_at, count, moved_by, moved_at"#,
        plain(&raise.message),
        raise.detail.to_string(),
        Instant(raise.at),
        severity,
        plain(&raise.kind),
        raise.device_no.map(|d| i64::from(d.0)),
        raise.light_no.map(|l| i64::from(l.0)),
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)
}

/// `None` when another call was first.
async fn open(connection: &mut PgConnection, raise: &AlertRaise) -> StoreResult<Option<AlertColumns>> {
    let severity = raise.severity.as_str();
    sqlx::query_as!(
        AlertColumns,
        r#"INSERT INTO alerts (device_no, light_no, kind, severity, state, message, detail, opened_at, last_at)
         VALUES ($1, $2, $3, $4, 'open', $5, $6::text::json, $7, $7)
         ON CONFLICT (kind, coalesce(device_no, 0), coalesce(light_no, 0)) WHERE state <> 'resolved' DO NOTHING
         RETURNING no, device_no, light_no, kind, severity, state, message, detail::text AS "detail!", opened_at,
           last_at, count, moved_by, moved_at"#,
        raise.device_no.map(|d| i64::from(d.0)),
        raise.light_no.map(|l| i64::from(l.0)),
        plain(&raise.kind),
        severity,
        plain(&raise.message),
        raise.detail.to_string(),
        Instant(raise.at),
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)
}
