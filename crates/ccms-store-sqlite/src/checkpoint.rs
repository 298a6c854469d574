//! The latest state of every light as of a log position: what a start reads instead of the whole log.
use std::sync::LazyLock;

use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{CheckpointRow, LogPosition, ReadingRow, StoreResult};
use sqlx::SqliteConnection;

use crate::bulk::Bulk;
use crate::columns::{self, ReadingColumns};
use crate::heads::SavedPage;
use crate::{SqliteStore, failed};

static REPLACE: LazyLock<Bulk> = LazyLock::new(|| {
    let head =
        format!("INSERT OR REPLACE INTO light_state (light_no, last_contact, promised_interval_s, {})", columns::NAMES);
    Bulk::new(&head, 3 + columns::COUNT, "")
});

pub(crate) async fn write(store: &SqliteStore, upto: LogPosition, rows: &[CheckpointRow]) -> StoreResult<()> {
    let mut tx = store.begin().await?;
    for (sql, piece) in REPLACE.pieces(rows) {
        let mut replace = sqlx::query(sql);
        for row in piece {
            replace = replace.bind(row.light_no.0).bind(row.last_contact.0).bind(row.promised_interval_s);
            replace = match &row.latest {
                Some(latest) => columns::bind(replace, latest),
                None => columns::bind_nothing(replace),
            };
        }
        replace.execute(&mut *tx).await.map_err(failed)?;
    }
    sqlx::query!("UPDATE checkpoint SET log_position = ?", upto.0).execute(&mut *tx).await.map_err(failed)?;
    // Only what the position includes: while a checkpoint is written in pieces it stands still, and so do these.
    let saving = store.log.save(upto.0);
    write_heads(&mut tx, &saving.pages, saving.complete).await?;
    tx.commit().await.map_err(failed)?;
    saving.done(upto.0);
    Ok(())
}

/// Where the last readings of lights are, for the next start.
async fn write_heads(tx: &mut SqliteConnection, pages: &[SavedPage], complete: i64) -> StoreResult<()> {
    if pages.is_empty() {
        return Ok(());
    }
    for (page, body) in pages {
        sqlx::query!("INSERT OR REPLACE INTO log_heads (page, body) VALUES (?, ?)", page, body)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    sqlx::query!("UPDATE log_end SET heads_at = max(heads_at, ?)", complete).execute(&mut *tx).await.map_err(failed)?;
    Ok(())
}

pub(crate) async fn read(store: &SqliteStore) -> StoreResult<(LogPosition, Vec<CheckpointRow>)> {
    // One transaction, or a checkpoint written between the two reads would give rows of another position.
    let mut tx = store.readers.begin().await.map_err(failed)?;
    let upto = sqlx::query_scalar!("SELECT log_position FROM checkpoint").fetch_one(&mut *tx).await.map_err(failed)?;
    let rows = sqlx::query_as!(StateColumns, "SELECT * FROM light_state ORDER BY light_no")
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
    let rows = rows.into_iter().map(StateColumns::row).collect::<StoreResult<_>>()?;
    Ok((LogPosition(upto), rows))
}

pub(crate) async fn latest_of(store: &SqliteStore, light: LightNo) -> StoreResult<Option<ReadingRow>> {
    let found = sqlx::query_as!(StateColumns, "SELECT * FROM light_state WHERE light_no = ?", light.0)
        .fetch_optional(&store.readers)
        .await
        .map_err(failed)?;
    Ok(found.map(StateColumns::row).transpose()?.and_then(|row| row.latest))
}

struct StateColumns {
    light_no: i64,
    last_contact: i64,
    promised_interval_s: i64,
    device_no: Option<i64>,
    reported_at: Option<i64>,
    delay_ms: Option<i64>,
    dedupe: Option<i64>,
    power_state: Option<i64>,
    brightness_percent: Option<i64>,
    temperature_dc: Option<i64>,
    battery_percent: Option<i64>,
    signal_percent: Option<i64>,
    uptime_s: Option<i64>,
    voltage_dv: Option<i64>,
    current_ma: Option<i64>,
    power_dw: Option<i64>,
    frequency_chz: Option<i64>,
    energy_wh: Option<i64>,
    error_flags: Option<String>,
    flags: Option<i64>,
}

impl StateColumns {
    fn row(self) -> StoreResult<CheckpointRow> {
        let at = Row::new("light_state", &self.light_no);
        let light_no = LightNo(at.number("light_no", self.light_no)?);
        let promised_interval_s = at.number("promised_interval_s", self.promised_interval_s)?;
        let last_contact = UtcMillis(self.last_contact);
        let Some(reported_at) = self.reported_at else {
            return Ok(CheckpointRow { light_no, last_contact, promised_interval_s, latest: None });
        };
        let latest = ReadingColumns {
            device_no: at.present("device_no", self.device_no)?,
            reported_at,
            delay_ms: at.present("delay_ms", self.delay_ms)?,
            dedupe: at.present("dedupe", self.dedupe)?,
            power_state: self.power_state,
            brightness_percent: self.brightness_percent,
            temperature_dc: self.temperature_dc,
            battery_percent: self.battery_percent,
            signal_percent: self.signal_percent,
            uptime_s: self.uptime_s,
            voltage_dv: self.voltage_dv,
            current_ma: self.current_ma,
            power_dw: self.power_dw,
            frequency_chz: self.frequency_chz,
            energy_wh: self.energy_wh,
            error_flags: self.error_flags,
            flags: at.present("flags", self.flags)?,
        };
        let latest = Some(latest.row(at, light_no)?);
        Ok(CheckpointRow { light_no, last_contact, promised_interval_s, latest })
    }
}
