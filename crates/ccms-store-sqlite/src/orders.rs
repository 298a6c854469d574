//! Commands as they are given and taken back. At most one per light and type is alive: the index `commands_live` holds it,
//! [`enqueue`] makes room first.
use ccms_core::command::Command;
use ccms_core::ids::{CommandId, DeviceNo};
use ccms_core::time::UtcMillis;
use ccms_store::{AnswerNote, AuditEntry, StoreError, StoreResult};
use sqlx::SqliteConnection;

use crate::access::remember_on;
use crate::commands::{command_id, command_on};
use crate::{SqliteStore, audit, failed};

pub(crate) async fn enqueue(
    store: &SqliteStore,
    commands: &[Command],
    audit: &AuditEntry,
    note: Option<&AnswerNote>,
) -> StoreResult<Vec<CommandId>> {
    let mut tx = store.begin().await?;
    if let Some(note) = note
        && !remember_on(&mut tx, &note.actor, &note.key, &note.answer).await?
    {
        return Err(StoreError::Conflict { what: "an answer under this key" });
    }
    let mut superseded = Vec::new();
    for command in commands {
        superseded.extend(supersede(&mut tx, command).await?);
        insert(&mut tx, command).await?;
    }
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(superseded)
}

async fn supersede(connection: &mut SqliteConnection, by: &Command) -> StoreResult<Vec<CommandId>> {
    let command_type = by.kind.command_type().as_str();
    let superseded = sqlx::query_scalar!(
        r#"UPDATE commands SET state = 'superseded', finished_at = ?
         WHERE light_no = ? AND command_type = ? AND state IN ('queued', 'delivered', 'unverified')
         RETURNING id AS "id!""#,
        by.requested_at.0,
        by.light_no.0,
        command_type,
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    superseded.iter().map(|id| command_id(id)).collect()
}

async fn insert(connection: &mut SqliteConnection, command: &Command) -> StoreResult<()> {
    let kind = serde_json::to_string(&command.kind).map_err(StoreError::unavailable)?;
    let command_type = command.kind.command_type().as_str();
    let (id, priority, state) = (command.id.as_str(), command.priority.as_str(), command.state.as_str());
    let [delivered_at, unverified_at, finished_at, executed_at] =
        [command.delivered_at, command.unverified_at, command.finished_at, command.executed_at]
            .map(|at| at.map(|t| t.0));
    let inserted = sqlx::query!(
        "INSERT INTO commands (id, light_no, device_no, command_type, kind, priority, state, requested_by, reason,
             requested_at, expires_at, delivered_at, unverified_at, finished_at, executed_at, detail)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        id,
        command.light_no.0,
        command.device_no.0,
        command_type,
        kind,
        priority,
        state,
        command.requested_by,
        command.reason,
        command.requested_at.0,
        command.expires_at.0,
        delivered_at,
        unverified_at,
        finished_at,
        executed_at,
        command.detail,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::Conflict { what: "a command with this id" });
    }
    Ok(())
}

pub(crate) async fn cancel(
    store: &SqliteStore,
    id: &CommandId,
    at: UtcMillis,
    audit: &AuditEntry,
) -> StoreResult<Option<Command>> {
    let mut tx = store.begin().await?;
    let text = id.as_str();
    let cancelled = sqlx::query!(
        "UPDATE commands SET state = 'cancelled', finished_at = ?
         WHERE id = ? AND state IN ('queued', 'delivered', 'unverified')",
        at.0,
        text,
    )
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    if cancelled.rows_affected() == 0 {
        return Ok(None);
    }
    let command = command_on(&mut tx, id).await?;
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(command)
}

/// Ends what is alive for a device or for the lights it drives.
pub(crate) async fn cancel_of_device(
    connection: &mut SqliteConnection,
    device: DeviceNo,
    at: UtcMillis,
) -> StoreResult<Vec<CommandId>> {
    let cancelled = sqlx::query_scalar!(
        r#"UPDATE commands SET state = 'cancelled', finished_at = ?1
         WHERE state IN ('queued', 'delivered', 'unverified')
           AND (device_no = ?2 OR light_no IN (SELECT no FROM lights WHERE device_no = ?2))
         RETURNING id AS "id!""#,
        at.0,
        device.0,
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?;
    cancelled.iter().map(|id| command_id(id)).collect()
}
