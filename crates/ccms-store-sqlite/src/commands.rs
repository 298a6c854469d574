//! Commands as they are kept, and their changes of state. How they come in and are taken back is in `orders`.
use ccms_core::command::{Command, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceNo, LightNo};
use ccms_core::time::UtcMillis;
use ccms_store::parse::Row;
use ccms_store::{CommandChange, StoreResult};
use sqlx::SqliteConnection;

use crate::{SqliteStore, failed};

struct CommandColumns {
    id: String,
    light_no: i64,
    device_no: i64,
    kind: String,
    priority: String,
    state: String,
    requested_by: String,
    reason: Option<String>,
    requested_at: i64,
    expires_at: i64,
    delivered_at: Option<i64>,
    unverified_at: Option<i64>,
    finished_at: Option<i64>,
    executed_at: Option<i64>,
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
            requested_at: UtcMillis(self.requested_at),
            expires_at: UtcMillis(self.expires_at),
            delivered_at: self.delivered_at.map(UtcMillis),
            unverified_at: self.unverified_at.map(UtcMillis),
            finished_at: self.finished_at.map(UtcMillis),
            executed_at: self.executed_at.map(UtcMillis),
            detail: self.detail,
        })
    }
}

pub(crate) fn command_id(text: &str) -> StoreResult<CommandId> {
    Row::new("commands", &text).text("id", text, |t| CommandId::parse(t).ok())
}

pub(crate) async fn change(store: &SqliteStore, changes: &[CommandChange]) -> StoreResult<Vec<bool>> {
    let mut tx = store.begin().await?;
    let mut applied = Vec::with_capacity(changes.len());
    for change in changes {
        let (id, from, to) = (change.id.as_str(), change.from.as_str(), change.to.as_str());
        let finished_at = (!change.to.is_live()).then_some(change.at.0);
        let unverified_at = (change.to == CommandState::Unverified).then_some(change.at.0);
        let (delivered_at, executed_at) = (change.delivered_at.map(|t| t.0), change.executed_at.map(|t| t.0));
        let changed = sqlx::query!(
            "UPDATE commands SET state = ?, finished_at = ?, delivered_at = coalesce(delivered_at, ?),
                 unverified_at = coalesce(unverified_at, ?), executed_at = coalesce(?, executed_at), detail = coalesce(?, detail)
             WHERE id = ? AND state = ?",
            to,
            finished_at,
            delivered_at,
            unverified_at,
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

pub(crate) async fn command(store: &SqliteStore, id: &CommandId) -> StoreResult<Option<Command>> {
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    command_on(&mut connection, id).await
}

pub(crate) async fn command_on(connection: &mut SqliteConnection, id: &CommandId) -> StoreResult<Option<Command>> {
    let id = id.as_str();
    sqlx::query_as!(
        CommandColumns,
        "SELECT id, light_no, device_no, kind, priority, state, requested_by, reason, requested_at, expires_at,
             delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE id = ?",
        id
    )
    .fetch_optional(connection)
    .await
    .map_err(failed)?
    .map(CommandColumns::command)
    .transpose()
}

pub(crate) async fn live(store: &SqliteStore) -> StoreResult<Vec<Command>> {
    sqlx::query_as!(
        CommandColumns,
        "SELECT id, light_no, device_no, kind, priority, state, requested_by, reason, requested_at, expires_at,
             delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE state IN ('queued', 'delivered', 'unverified') ORDER BY requested_at, no"
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(CommandColumns::command)
    .collect()
}

pub(crate) async fn of_light(store: &SqliteStore, light: LightNo, limit: u32) -> StoreResult<Vec<Command>> {
    sqlx::query_as!(
        CommandColumns,
        "SELECT id, light_no, device_no, kind, priority, state, requested_by, reason, requested_at, expires_at,
             delivered_at, unverified_at, finished_at, executed_at, detail
         FROM commands WHERE light_no = ? ORDER BY requested_at DESC, no DESC LIMIT ?",
        light.0,
        limit
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(CommandColumns::command)
    .collect()
}

/// The literal is the index's own, or the planner could not use it.
pub(crate) async fn restarted_since(store: &SqliteStore, since: UtcMillis) -> StoreResult<Vec<DeviceNo>> {
    sqlx::query_scalar!(
        r#"SELECT DISTINCT device_no AS "device_no!: i64" FROM commands
         WHERE command_type = 'device_reset' AND requested_at > ?
           AND (state <> 'cancelled' OR delivered_at IS NOT NULL)
         ORDER BY device_no"#,
        since.0
    )
    .fetch_all(&store.readers)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|no| Ok(DeviceNo(Row::new("commands", &no).number("device_no", no)?)))
    .collect()
}
