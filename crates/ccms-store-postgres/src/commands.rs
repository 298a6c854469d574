//! Commands. At most one per light and type is alive: the index `commands_live` holds it, [`enqueue`] makes room first.
use ccms_core::command::{Command, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceNo, LightNo};
use ccms_store::parse::Row;
use ccms_store::{AuditEntry, CommandChange, StoreError, StoreResult};

use crate::instant::Instant;
use crate::{Lock, lock};
use crate::{PostgresStore, audit, failed};

struct CommandColumns {
    id: String,
    light_no: i64,
    device_no: i64,
    kind: String,
    priority: String,
    state: String,
    requested_by: String,
    requested_at: Instant,
    expires_at: Instant,
    delivered_at: Option<Instant>,
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
            requested_at: self.requested_at.0,
            expires_at: self.expires_at.0,
            delivered_at: self.delivered_at.map(|t| t.0),
            finished_at: self.finished_at.map(|t| t.0),
            executed_at: self.executed_at.map(|t| t.0),
            detail: self.detail,
        })
    }
}

fn command_id(text: &str) -> StoreResult<CommandId> {
    Row::new("commands", &text).text("id", text, |t| CommandId::parse(t).ok())
}

pub(crate) async fn enqueue(
    store: &PostgresStore,
    command: &Command,
    audit: &AuditEntry,
) -> StoreResult<Vec<CommandId>> {
    let mut tx = store.begin().await?;
    // Two requests for one light take turns, or neither would see the other's command as the one to supersede.
    let light = i64::from(command.light_no.0);
    sqlx::query!("SELECT no FROM lights WHERE no = $1 FOR NO KEY UPDATE", light)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    let command_type = command.kind.command_type().as_str();
    let superseded = sqlx::query_scalar!(
        r#"UPDATE commands SET state = 'superseded', finished_at = $1
         WHERE light_no = $2 AND command_type = $3 AND state IN ('queued', 'delivered', 'unverified')
         RETURNING id"#,
        Instant(command.requested_at),
        i64::from(command.light_no.0),
        command_type,
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let kind = serde_json::to_string(&command.kind).map_err(StoreError::unavailable)?;
    let (id, priority, state) = (command.id.as_str(), command.priority.as_str(), command.state.as_str());
    let (delivered_at, finished_at, executed_at) =
        (command.delivered_at.map(Instant), command.finished_at.map(Instant), command.executed_at.map(Instant));
    let inserted = sqlx::query!(
        "INSERT INTO commands (id, light_no, device_no, command_type, kind, priority, state, requested_by,
             requested_at, expires_at, delivered_at, finished_at, executed_at, detail)
         VALUES ($1, $2, $3, $4, $5::text::json, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING",
        id,
        i64::from(command.light_no.0),
        i64::from(command.device_no.0),
        command_type,
        kind,
        priority,
        state,
        command.requested_by,
        Instant(command.requested_at),
        Instant(command.expires_at),
        delivered_at,
        finished_at,
        executed_at,
        command.detail,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::Conflict { what: "a command with this id" });
    }
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    superseded.iter().map(|id| command_id(id)).collect()
}

pub(crate) async fn change(store: &PostgresStore, changes: &[CommandChange]) -> StoreResult<Vec<bool>> {
    let mut tx = store.begin().await?;
    // In turns, or two batches that touch the same commands in another order could wait for each other for ever.
    lock(&mut tx, Lock::CommandChanges).await?;
    let mut applied = Vec::with_capacity(changes.len());
    for change in changes {
        let (id, from, to) = (change.id.as_str(), change.from.as_str(), change.to.as_str());
        let finished_at = (!change.to.is_live()).then_some(Instant(change.at));
        let (delivered_at, executed_at) = (change.delivered_at.map(Instant), change.executed_at.map(Instant));
        let changed = sqlx::query!(
            "UPDATE commands SET state = $1, finished_at = $2, delivered_at = coalesce(delivered_at, $3),
                 executed_at = coalesce($4, executed_at), detail = coalesce($5, detail)
             WHERE id = $6 AND state = $7",
            to,
            finished_at,
            delivered_at,
            executed_at,
            change.detail,
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

pub(crate) async fn command(store: &PostgresStore, id: &CommandId) -> StoreResult<Option<Command>> {
    let id = id.as_str();
    sqlx::query_as!(
        CommandColumns,
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, requested_at, expires_at,
             delivered_at, finished_at, executed_at, detail
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
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, requested_at, expires_at,
             delivered_at, finished_at, executed_at, detail
         FROM commands WHERE state IN ('queued', 'delivered', 'unverified') ORDER BY requested_at, no"#
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
        r#"SELECT id, light_no, device_no, kind::text AS "kind!", priority, state, requested_by, requested_at, expires_at,
             delivered_at, finished_at, executed_at, detail
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
