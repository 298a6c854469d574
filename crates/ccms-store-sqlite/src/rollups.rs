//! What quarters of an hour came to, a light's day in a row.
use std::collections::BTreeSet;

use async_trait::async_trait;
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{DailyPart, Day, DayPart, LedgerDay, ReadingRow, RolledDay, Rollups, SealedDay, StoreResult, part_of};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed, hot, moment, sealing};

struct LedgerColumns {
    light_no: i64,
    day: i64,
    body: Vec<u8>,
}

impl LedgerColumns {
    fn record(self) -> StoreResult<LedgerDay> {
        let (light_no, day) = key("rollup_ledgers", self.light_no, self.day)?;
        Ok(LedgerDay { light_no, day, body: self.body })
    }
}

fn key(table: &'static str, light_no: i64, day: i64) -> StoreResult<(LightNo, Day)> {
    let key = format!("({light_no}, {day})");
    let at = Row::new(table, &key);
    Ok((LightNo(at.number("light_no", light_no)?), Day(at.number("day", day)?)))
}

fn part_key(day: i64, part: i64) -> StoreResult<(Day, u32)> {
    let key = format!("({day}, {part})");
    let at = Row::new("rollup_days", &key);
    Ok((Day(at.number("day", day)?), at.number("part", part)?))
}

/// What these days came to is to be worked out anew.
async fn open(tx: &mut SqliteConnection, days: impl Iterator<Item = &RolledDay>) -> StoreResult<()> {
    let parts: BTreeSet<(Day, u32)> = days.map(|day| (day.day, part_of(day.light_no))).collect();
    for (day, part) in parts {
        sqlx::query!(
            "INSERT INTO rollup_days (day, part, revision) VALUES (?, ?, 1)
             ON CONFLICT (day, part) DO UPDATE SET revision = revision + 1, body = NULL",
            day.0,
            part
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

async fn write(tx: &mut SqliteConnection, day: &RolledDay) -> StoreResult<()> {
    sqlx::query!(
        "INSERT INTO rollup_ledgers (light_no, day, body) VALUES (?, ?, ?)
             ON CONFLICT (light_no, day) DO UPDATE SET body = excluded.body",
        day.light_no.0,
        day.day.0,
        day.ledger
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    sqlx::query!(
        "INSERT INTO rollup_measures (light_no, day, body) VALUES (?, ?, ?)
             ON CONFLICT (light_no, day) DO UPDATE SET body = excluded.body",
        day.light_no.0,
        day.day.0,
        day.measured
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    sqlx::query!("DELETE FROM unrolled_days WHERE light_no = ? AND day = ?", day.light_no.0, day.day.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    Ok(())
}

#[async_trait]
impl Rollups for SqliteStore {
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
        sqlx::query!("SELECT light_no, day FROM unrolled_days ORDER BY light_no, day LIMIT ?", limit)
            .fetch_all(&self.readers)
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
             WHERE l.light_no = ? AND l.day >= ? AND l.day <= ? ORDER BY l.day DESC LIMIT ?",
            light.0,
            from.0,
            last.0,
            limit
        )
        .fetch_all(&self.readers)
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
            r#"SELECT r.light_no, r.day, r.body FROM lights l CROSS JOIN rollup_ledgers r ON r.light_no = l.no
               WHERE l.no >= ? AND l.no < ? AND r.day >= ? AND r.day <= ? ORDER BY l.no, r.day"#,
            first.0,
            end.0,
            from.0,
            last.0
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LedgerColumns::record)
        .collect()
    }

    async fn ledgers_before(&self, (first, end): (LightNo, LightNo), day: Day) -> StoreResult<Vec<LedgerDay>> {
        sqlx::query_as!(
            LedgerColumns,
            "SELECT r.light_no, r.day, r.body FROM lights l CROSS JOIN rollup_ledgers r ON r.light_no = l.no
             WHERE l.no >= ? AND l.no < ?
               AND r.day = (SELECT max(day) FROM rollup_ledgers WHERE light_no = l.no AND day < ?)
             ORDER BY l.no",
            first.0,
            end.0,
            day.0
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(LedgerColumns::record)
        .collect()
    }

    async fn open_parts(&self, before: Day, limit: u32) -> StoreResult<Vec<DayPart>> {
        sqlx::query!(
            "SELECT day, part, revision FROM rollup_days WHERE body IS NULL AND day < ? ORDER BY day DESC, part DESC LIMIT ?",
            before.0,
            limit
        )
        .fetch_all(&self.readers)
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
        let mut tx = self.begin().await?;
        let done = sqlx::query!(
            "UPDATE rollup_days SET body = ? WHERE day = ? AND part = ? AND revision = ?",
            body,
            part.day.0,
            part.part,
            part.revision
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        tx.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }

    async fn daily(&self, part: u32, from: Day, last: Day) -> StoreResult<Vec<DailyPart>> {
        sqlx::query!(
            r#"SELECT day, part, body AS "body!" FROM rollup_days
               WHERE part = ? AND day >= ? AND day <= ? AND body IS NOT NULL ORDER BY day"#,
            part,
            from.0,
            last.0
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| Ok(DailyPart { day: part_key(r.day, r.part)?.0, body: r.body }))
        .collect()
    }

    async fn daily_known(&self, from: Day, last: Day) -> StoreResult<Vec<(Day, u32)>> {
        sqlx::query!(
            "SELECT day, part FROM rollup_days WHERE day >= ? AND day <= ? AND body IS NOT NULL ORDER BY day, part",
            from.0,
            last.0
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| part_key(r.day, r.part))
        .collect()
    }

    async fn newest_hot(&self, lights: &[LightNo], from: UtcMillis, to: UtcMillis) -> StoreResult<Vec<ReadingRow>> {
        moment::newest(self, lights, (from, to)).await
    }

    async fn oldest_hot_arrival(&self, except: &[LightNo]) -> StoreResult<Option<UtcMillis>> {
        hot::oldest_arrival(self, except).await
    }

    async fn bare_rollups(&self, after: (LightNo, Day), limit: u32) -> StoreResult<Vec<(LightNo, Day)>> {
        sqlx::query!(
            "SELECT light_no, day FROM rollup_ledgers AS r
             WHERE (light_no, day) > (?, ?)
               AND NOT EXISTS (SELECT 1 FROM archived_days a WHERE a.day = r.day)
               AND NOT EXISTS (SELECT 1 FROM sealed_readings s WHERE s.light_no = r.light_no AND s.day = r.day)
             ORDER BY light_no, day LIMIT ?",
            after.0.0,
            after.1.0,
            limit
        )
        .fetch_all(&self.readers)
        .await
        .map_err(failed)?
        .into_iter()
        .map(|r| key("rollup_ledgers", r.light_no, r.day))
        .collect()
    }
}
