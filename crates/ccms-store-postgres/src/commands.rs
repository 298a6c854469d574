//! Commands and their changes of state. At most one per light and type is alive: the index `commands_live` holds it, and
//! `enqueue` makes room first.
use ccms_core::command::{Command, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, CommandChange, StoreResult};
use sqlx::PgConnection;

use crate::instant::Instant;
use crate::text::plain;
use crate::{Lock, PostgresStore, audit, failed, lock};

struct CommandColumns {
    id: String,
    light_no: i64,
    device_no: i64,
    kind: String,
    priority: String,
    state: String,
    requested_by: String,
    reason: Option<String>,
    requested_at: Instant,
    expires_at: Instant,
    delivered_at: Option<Instant>,
    unverified_at: Option<Instant>,
    finished_at: Option<Instant>,
    executed_at: Option<Instant>,
    detail: Option<String>,
}

impl CommandColumns {
    fn command(self) -> StoreResult<Command> {
        let row = Row::new("commands", &self.id);
        Ok(Command {
            id: command_id(&self.id)?,
            light_no: LightNo(row.number("light_no", self.light_no)?),
            device_no: DeviceNo(row.number("device_no", self.device_no)?),
            kind: row.json("kind", &self.kind)?,
            priority: row.text("priority", &self.priority, Priority::parse)?,
            state: row.text("state", &self.state, CommandState::parse)?,
            requested_by: self.requested_by,
            reason: self.reason,
            requested_at: self.requested_at.0,
            expires_at: self.expires_at.0,
            delivered_at: self.delivered_at.map(|t| t.0),
            unverified_at: self.unverified_at.map(|t| t.0),
            finished_at: self.finished_at.map(|t| t.0),
            executed_at: self.executed_at.map(|t| t.0),
            detail: self.detail,
        })
    }
}

pub(crate) fn command_id(text: &str) -> StoreResult<CommandId> {
    Row::new("commands", &text).text("id", text, |t| CommandId::parse(t).ok())
}

pub(crate) async fn change(store: &PostgresStore, changes: &[CommandChange]) -> StoreResult<Vec<bool>> {
    let mut tx = store.begin().await?;
    // In turns, or two batches that touch the same commands in another order could wait for each other for ever.
    lock(&mut tx, Lock::Commands).await?;
    let mut applied = Vec::with_capacity(changes.len());
    for change in changes {
        let (id, from, to) = (change.id.as_str(), change.from.as_str(), change.to.as_str());
        let finished_at = (!change.to.is_live()).then_some(Instant(change.at));
        let unverified_at = (change.to == CommandState::Unverified).then_some(Instant(change.at));
        let (delivered_at, executed_at) = (change.delivered_at.map(Instant), change.executed_at.map(Instant));
        let changed = sqlx::query!(
            "UPDATE commands SET state = $1, finished_at = $2, delivered_at = coalesce(delivered_at, $3),
                 unverified_at = coalesce(unverified_at, $4), executed_at = coalesce($5, executed_at),
                 detail = coalesce($6, detail)
             WHERE id = $7 AND state = $8",
            to,
            finished_at,
            delivered_at,
            unverified_at,
            executed_at,
            change.detail.as_deref().map(plain),
            id,
            from,
        )
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
        applied.push(changed.rows_affected() == 1);
    }
    tx.commit().await.map_err(failed)?;
    Ok(applied)
}

pub(crate) async fn cancel(
    store: &PostgresStore,
    id: &CommandId,
    at: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<Option<Command>> {
    let mut tx = store.begin().await?;
    lock(&mut tx, Lock::Commands).await?;
    let id = id.as_str();
    let cancelled = sqlx::query_as!(
        CommandColumns,
        r#"UPDATE commands SET state = 'cancelled', finished_at = $1
         WHERE id = $2 AND state IN ('queued', 'delivered', 'unverified')
         RETURNING id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, reason, requested_at,
             expires_at, delivered_at, unverified_at, finished_at, executed_at, detail"#,
        Instant(at),
        id,
    )
    .fetch_optional(&mut *tx)
    .await
    .map_err(failed)?;
    let Some(cancelled) = cancelled else { return Ok(None) };
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    cancelled.command().map(Some)
}

/// Cancels what still waits for a controller or for the lights it drives: each has its index, and an OR of both would use
/// neither. The caller holds [`Lock::Commands`].
pub(crate) async fn cancel_of_device(
    connection: &mut PgConnection,
    device: DeviceNo,
    at: UtcMillis,
) -> StoreResult<Vec<CommandId>> {
    let cancelled = sqlx::query_scalar!(
        "UPDATE commands SET state = 'cancelled', finished_at = $1
         WHERE no IN (
           SELECT no FROM commands WHERE device_no = $2 AND state IN ('queued', 'delivered', 'unverified')
           UNION
           SELECT commands.no FROM lights JOIN commands ON light_no = lights.no
           WHERE lights.device_no = $2 AND state IN ('queued', 'delivered', 'unverified'))
         RETURNING id",
        Instant(at),
        i64::from(device.0),
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    cancelled.iter().map(|id| command_id(id)).collect()
}

pub(crate) async fn command(store: &PostgresStore, id: &CommandId) -> StoreResult<Option<Command>> {
    let id = id.as_str();
    sqlx::query_as!(
        CommandColumns,
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, reason, requested_at,
             expires_at, delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE id = $1"#,
        id
    )
    .fetch_optional(&store.pool)
    .await
    .map_err(failed)?
    .map(CommandColumns::command)
    .transpose()
}

pub(crate) async fn live(store: &PostgresStore) -> StoreResult<Vec<Command>> {
    sqlx::query_as!(
        CommandColumns,
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, reason, requested_at,
             expires_at, delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE state IN ('queued', 'delivered', 'unverified') ORDER BY requested_at, no"#
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(CommandColumns::command)
    .collect()
}

pub(crate) async fn live_of(store: &PostgresStore, devices: &[DeviceNo]) -> StoreResult<Vec<Command>> {
    let devices: Vec<i64> = devices.iter().map(|no| no.0.into()).collect();
    sqlx::query_as!(
        CommandColumns,
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, reason, requested_at,
             expires_at, delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE device_no = ANY($1) AND state IN ('queued', 'delivered', 'unverified')
         ORDER BY requested_at, no"#,
        &devices
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(CommandColumns::command)
    .collect()
}

pub(crate) async fn of_light(store: &PostgresStore, light: LightNo, limit: u32) -> StoreResult<Vec<Command>> {
    sqlx::query_as!(
        CommandColumns,
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, reason, requested_at,
             expires_at, delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE light_no = $1 ORDER BY requested_at DESC, no DESC LIMIT $2"#,
        i64::from(light.0),
        i64::from(limit)
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(CommandColumns::command)
    .collect()
}

/// The literal is the index's own, or the planner could not use it.
pub(crate) async fn restarted_since(store: &PostgresStore, since: UtcMillis) -> StoreResult<Vec<DeviceNo>> {
    sqlx::query_scalar!(
        "SELECT DISTINCT device_no FROM commands
         WHERE command_type = 'device_reset' AND requested_at > $1
           AND (state <> 'cancelled' OR delivered_at IS NOT NULL)
         ORDER BY device_no",
        Instant(since) as _
    )
    .fetch_all(&store.pool)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|no| Ok(DeviceNo(Row::new("commands", &no).number("device_no", no)?)))
    .collect()
}
