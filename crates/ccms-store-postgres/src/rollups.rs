//! What quarters of an hour came to, a light's day in a row.
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{DailyPart, Day, DayPart, LedgerDay, ReadingRow, RolledDay, Rollups, SealedDay, StoreResult, part_of};
use sqlx::PgConnection;

use crate::columns::LogColumns;
use crate::instant::Instant;
use crate::{PostgresStore, failed, sealing};

struct LedgerColumns {
    light_no: i64,
    day: i32,
    body: Vec<u8>,
}

impl LedgerColumns {
    fn record(self) -> StoreResult<LedgerDay> {
        let (light_no, day) = key("rollup_ledgers", self.light_no, self.day)?;
        Ok(LedgerDay { light_no, day, body: self.body })
    }
}

fn key(table: &'static str, light_no: i64, day: i32) -> StoreResult<(LightNo, Day)> {
    let key = format!("({light_no}, {day})");
    let at = Row::new(table, &key);
    Ok((LightNo(at.number("light_no", light_no)?), Day(day)))
}

fn part_key(day: i32, part: i32) -> StoreResult<(Day, u32)> {
    let key = format!("({day}, {part})");
    Ok((Day(day), Row::new("rollup_days", &key).number("part", i64::from(part))?))
}

/// What these days came to is to be worked out anew.
async fn open(tx: &mut PgConnection, days: impl Iterator<Item = &RolledDay>) -> StoreResult<()> {
    let parts: BTreeSet<(Day, u32)> = days.map(|day| (day.day, part_of(day.light_no))).collect();
    for (day, part) in parts {
        sqlx::query!(
            "INSERT INTO rollup_days (day, part, revision) VALUES ($1, $2, 1)
             ON CONFLICT (day, part) DO UPDATE SET revision = rollup_days.revision + 1, body = NULL",
            day.0,
            part.cast_signed()
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

async fn write(tx: &mut PgConnection, day: &RolledDay) -> StoreResult<()> {
    sqlx::query!(
        "INSERT INTO rollup_ledgers (light_no, day, body) VALUES ($1, $2, $3)
             ON CONFLICT (light_no, day) DO UPDATE SET body = excluded.body",
        i64::from(day.light_no.0),
        day.day.0,
        &day.ledger
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO rollup_measures (light_no, day, body) VALUES ($1, $2, $3)
             ON CONFLICT (light_no, day) DO UPDATE SET body = excluded.body",
        i64::from(day.light_no.0),
        day.day.0,
        &day.measured
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    sqlx::query!("DELETE FROM unrolled_days WHERE light_no = $1 AND day = $2", i64::from(day.light_no.0), day.day.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    Ok(())
}

#[async_trait]
impl Rollups for PostgresStore {
    async fn seal(&self, days: &[(SealedDay, RolledDay)]) -> StoreResult<Vec<bool>> {
        let mut tx = self.begin().await?;
        let mut kept = Vec::with_capacity(days.len());
        for (block, rolled) in days {
            let new = sealing::write(&mut tx, block).await?;
            if new {
                write(&mut tx, rolled).await?;
            }
            kept.push(new);
        }
        open(&mut tx, days.iter().zip(&kept).filter(|(_, new)| **new).map(|((_, rolled), _)| rolled)).await?;
        tx.commit().await.map_err(failed)?;
        Ok(kept)
    }

    async fn write_rollups(&self, days: &[RolledDay]) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        for day in days {
            write(&mut tx, day).await?;
        }
        open(&mut tx, days.iter()).await?;
        tx.commit().await.map_err(failed)
    }

    async fn unrolled_days(&self, limit: u32) -> StoreResult<Vec<(LightNo, Day)>> {
        sqlx::query!("SELECT light_no, day FROM unrolled_days ORDER BY light_no, day LIMIT $1", i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(failed)?
            .into_iter()
            .map(|r| key("unrolled_days", r.light_no, r.day))
            .collect()
    }

    async fn rollups_of_light(&self, light: LightNo, from: Day, last: Day, limit: u32) -> StoreResult<Vec<RolledDay>> {
        sqlx::query!(
            "SELECT l.light_no, l.day, l.body AS ledger, m.body AS measured
             FROM rollup_ledgers l JOIN rollup_measures m ON m.light_no = l.light_no AND m.day = l.day
             WHERE l.light_no = $1 AND l.day >= $2 AND l.day <= $3 ORDER BY l.day DESC LIMIT $4",
            i64::from(light.0),
            from.0,
            last.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| {
            let (light_no, day) = key("rollup_ledgers", r.light_no, r.day)?;
            Ok(RolledDay { light_no, day, ledger: r.ledger, measured: r.measured })
        })
        .collect()
    }

    async fn ledgers(&self, (first, end): (LightNo, LightNo), from: Day, last: Day) -> StoreResult<Vec<LedgerDay>> {
        // Light by light: a few days of each are asked for, and years of each are there.
        sqlx::query_as!(
            LedgerColumns,
            r#"SELECT r.light_no, r.day, r.body FROM lights l JOIN rollup_ledgers r ON r.light_no = l.no
               WHERE l.no >= $1 AND l.no < $2 AND r.day >= $3 AND r.day <= $4 ORDER BY l.no, r.day"#,
            i64::from(first.0),
            i64::from(end.0),
            from.0,
            last.0
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LedgerColumns::record)
        .collect()
    }

    async fn ledgers_before(&self, (first, end): (LightNo, LightNo), day: Day) -> StoreResult<Vec<LedgerDay>> {
        sqlx::query_as!(
            LedgerColumns,
            "SELECT r.light_no, r.day, r.body FROM lights l JOIN rollup_ledgers r ON r.light_no = l.no
             WHERE l.no >= $1 AND l.no < $2
               AND r.day = (SELECT max(day) FROM rollup_ledgers WHERE light_no = l.no AND day < $3)
             ORDER BY l.no",
            i64::from(first.0),
            i64::from(end.0),
            day.0
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LedgerColumns::record)
        .collect()
    }

    async fn open_parts(&self, before: Day, limit: u32) -> StoreResult<Vec<DayPart>> {
        sqlx::query!(
            "SELECT day, part, revision FROM rollup_days WHERE body IS NULL AND day < $1 ORDER BY day DESC, part DESC LIMIT $2",
            before.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| {
            let (day, part) = part_key(r.day, r.part)?;
            Ok(DayPart { day, part, revision: r.revision })
        })
        .collect()
    }

    async fn write_daily(&self, part: &DayPart, body: &[u8]) -> StoreResult<bool> {
        let done = sqlx::query!(
            "UPDATE rollup_days SET body = $1 WHERE day = $2 AND part = $3 AND revision = $4",
            body,
            part.day.0,
            part.part.cast_signed(),
            part.revision
        )
        .execute(&self.pool)
        .await
        .map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }

    async fn daily(&self, part: u32, from: Day, last: Day) -> StoreResult<Vec<DailyPart>> {
        let rows = sqlx::query!(
            r#"SELECT day, body AS "body!" FROM rollup_days
               WHERE part = $1 AND day >= $2 AND day <= $3 AND body IS NOT NULL ORDER BY day"#,
            part.cast_signed(),
            from.0,
            last.0
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        Ok(rows.into_iter().map(|r| DailyPart { day: Day(r.day), body: r.body }).collect())
    }

    async fn daily_known(&self, from: Day, last: Day) -> StoreResult<Vec<(Day, u32)>> {
        sqlx::query!(
            "SELECT day, part FROM rollup_days WHERE day >= $1 AND day <= $2 AND body IS NOT NULL ORDER BY day, part",
            from.0,
            last.0
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| part_key(r.day, r.part))
        .collect()
    }

    async fn newest_hot(&self, lights: &[LightNo], from: UtcMillis, to: UtcMillis) -> StoreResult<Vec<ReadingRow>> {
        let lights: Vec<i64> = lights.iter().map(|no| no.0.into()).collect();
        let mut found = sqlx::query_as!(
            LogColumns,
            "SELECT DISTINCT ON (light_no) id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma,
               power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
               signal_percent, error_flags::text
             FROM energy_parameters
             WHERE reported_at >= $1 AND reported_at < $2 AND light_no = ANY($3) AND (flags & 4096) = 0
             ORDER BY light_no, reported_at DESC, dedupe DESC",
            Instant(from),
            Instant(to),
            &lights
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?;
        let suspect = sqlx::query_as!(
            LogColumns,
            "SELECT DISTINCT ON (light_no) id, light_no, device_no, reported_at, received_at, dedupe, energy_wh, uptime_s, current_ma,
               power_dw, voltage_dv, frequency_chz, flags, temperature_dc, power_state, brightness_percent, battery_percent,
               signal_percent, error_flags::text
             FROM energy_parameters
             WHERE light_no = ANY($3) AND received_at >= $1 AND received_at < $2 AND (flags & 4096) != 0
             ORDER BY light_no, received_at DESC, uptime_s DESC NULLS LAST, reported_at DESC, id DESC",
            Instant(from),
            Instant(to),
            &lights
        );
        found.extend(suspect.fetch_all(&self.pool).await.map_err(failed)?);
        found.into_iter().map(|c| Ok(c.row()?.1)).collect()
    }

    async fn oldest_hot_arrival(&self, except: &[LightNo]) -> StoreResult<Option<UtcMillis>> {
        if !except.is_empty() {
            let except: Vec<i64> = except.iter().map(|light| i64::from(light.0)).collect();
            let oldest = sqlx::query_scalar!(
                r#"SELECT received_at AS "at: Instant" FROM energy_parameters
               WHERE (flags & 4096) = 0 AND light_no <> ALL ($1) ORDER BY id LIMIT 1"#,
                &except
            )
            .fetch_optional(&self.pool)
            .await
            .map_err(failed)?;
            return Ok(oldest.map(|at| at.0));
        }
        // What is before the last answer is gone or suspect, and nothing comes there any more.
        let known = self.oldest_hot.load(Ordering::Relaxed);
        let oldest = sqlx::query!(
            r#"SELECT id, received_at AS "at: Instant" FROM energy_parameters
               WHERE id >= $1 AND (flags & 4096) = 0 ORDER BY id LIMIT 1"#,
            known
        )
        .fetch_optional(&self.pool)
        .await
        .map_err(failed)?;
        let Some(oldest) = oldest else { return Ok(None) };
        self.oldest_hot.fetch_max(oldest.id, Ordering::Relaxed);
        Ok(Some(oldest.at.0))
    }

    async fn bare_rollups(&self, after: (LightNo, Day), limit: u32) -> StoreResult<Vec<(LightNo, Day)>> {
        sqlx::query!(
            "SELECT light_no, day FROM rollup_ledgers r
             WHERE (light_no, day) > ($1, $2)
               AND NOT EXISTS (SELECT 1 FROM archived_days a WHERE a.day = r.day)
               AND NOT EXISTS (SELECT 1 FROM sealed_readings s WHERE s.light_no = r.light_no AND s.day = r.day)
             ORDER BY light_no, day LIMIT $3",
            i64::from(after.0.0),
            after.1.0,
            i64::from(limit)
        )
        .fetch_all(&self.pool)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| key("rollup_ledgers", r.light_no, r.day))
        .collect()
    }
}
