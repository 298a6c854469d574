//! Asking for commands, of one light or of a whole city, in a few statements.
use std::collections::HashMap;

use ccms_core::command::Command;
use ccms_core::ids::CommandId;
use ccms_core::time::UtcMillis;
use ccms_store::{AnswerNote, AuditEntry, StoreError, StoreResult};
use sqlx::PgConnection;

use crate::commands::command_id;
use crate::instant::Instant;
use crate::text::plain;
use crate::{Lock, PostgresStore, answers, audit, failed, lock};

/// Rows per statement: bounds the arrays that are built here and sent.
const PIECE_ROWS: usize = 10_000;

/// What at most one live command may have: light and type.
type Place = (i64, &'static str);

fn place(command: &Command) -> Place {
    (command.light_no.0.into(), command.kind.command_type().as_str())
}

pub(crate) async fn enqueue(
    store: &PostgresStore,
    commands: &[Command],
    audit: &AuditEntry,
    note: Option<&AnswerNote>,
) -> StoreResult<Vec<CommandId>> {
    let mut tx = store.begin().await?;
    // Requests for one light take turns, or neither would see the other's command as the one to supersede.
    lock(&mut tx, Lock::Commands).await?;
    if let Some(note) = note
        && !answers::remember_on(&mut tx, &note.actor, &note.key, &note.answer).await?
    {
        return Err(StoreError::Conflict { what: "an answer under this key" });
    }
    let live = supersede(&mut tx, commands).await?;
    let superseded_at = superseded_within(commands);
    for (piece, superseded_at) in commands.chunks(PIECE_ROWS).zip(superseded_at.chunks(PIECE_ROWS)) {
        insert(&mut tx, piece, superseded_at).await?;
    }
    audit::insert(&mut tx, audit).await?;
    tx.commit().await.map_err(failed)?;
    Ok(superseded(&live, commands))
}

/// Ends the live commands in the places that are asked for. Answers who they were.
async fn supersede(
    connection: &mut PgConnection,
    commands: &[Command],
) -> StoreResult<HashMap<(i64, String), CommandId>> {
    let mut first = HashMap::new();
    for command in commands {
        first.entry(place(command)).or_insert(Instant(command.requested_at));
    }
    let light_no: Vec<i64> = first.keys().map(|(light, _)| *light).collect();
    let command_type: Vec<String> = first.keys().map(|(_, kind)| (*kind).into()).collect();
    let at: Vec<Instant> = first.values().copied().collect();
    sqlx::query!(
        "UPDATE commands SET state = 'superseded', finished_at = asked.at
         FROM unnest($1::bigint[], $2::text[], $3::timestamptz[]) AS asked (light_no, command_type, at)
         WHERE commands.light_no = asked.light_no AND commands.command_type = asked.command_type
           AND state IN ('queued', 'delivered', 'unverified')
         RETURNING id, commands.light_no, commands.command_type",
        &light_no,
        &command_type,
        &at as _,
    )
    .fetch_all(connection)
    .await
    .map_err(failed)?
    .into_iter()
    .map(|row| Ok(((row.light_no, row.command_type), command_id(&row.id)?)))
    .collect()
}

/// When each command is superseded by a later one of the same call, if it is.
fn superseded_within(commands: &[Command]) -> Vec<Option<UtcMillis>> {
    let mut later: HashMap<Place, UtcMillis> = HashMap::new();
    let mut times: Vec<_> = commands
        .iter()
        .rev()
        .map(|command| later.insert(place(command), command.requested_at).filter(|_| command.state.is_live()))
        .collect();
    times.reverse();
    times
}

/// Whom each command superseded, in their order.
fn superseded(live: &HashMap<(i64, String), CommandId>, commands: &[Command]) -> Vec<CommandId> {
    let mut alive: HashMap<(i64, &str), &CommandId> =
        live.iter().map(|((light, kind), id)| ((*light, kind.as_str()), id)).collect();
    let mut ended = Vec::new();
    for command in commands {
        ended.extend(alive.remove(&place(command)).cloned());
        if command.state.is_live() {
            alive.insert(place(command), &command.id);
        }
    }
    ended
}

async fn insert(
    connection: &mut PgConnection,
    commands: &[Command],
    superseded_at: &[Option<UtcMillis>],
) -> StoreResult<()> {
    let mut c = Columns::default();
    for (command, superseded_at) in commands.iter().zip(superseded_at) {
        c.push(command, *superseded_at)?;
    }
    let inserted = sqlx::query!(
        "INSERT INTO commands (id, light_no, device_no, command_type, kind, priority, state, requested_by, reason,
             requested_at, expires_at, delivered_at, unverified_at, finished_at, executed_at, detail)
         SELECT id, light_no, device_no, command_type, kind::json, priority, state, requested_by, reason,
             requested_at, expires_at, delivered_at, unverified_at, finished_at, executed_at, detail
         FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
             $9::text[], $10::timestamptz[], $11::timestamptz[], $12::timestamptz[], $13::timestamptz[],
             $14::timestamptz[], $15::timestamptz[], $16::text[])
         WITH ORDINALITY AS asked (id, light_no, device_no, command_type, kind, priority, state, requested_by, reason,
             requested_at, expires_at, delivered_at, unverified_at, finished_at, executed_at, detail, place)
         ORDER BY place
         ON CONFLICT (id) DO NOTHING",
        &c.id,
        &c.light_no,
        &c.device_no,
        &c.command_type,
        &c.kind,
        &c.priority,
        &c.state,
        &c.requested_by,
        &c.reason as _,
        &c.requested_at as _,
        &c.expires_at as _,
        &c.delivered_at as _,
        &c.unverified_at as _,
        &c.finished_at as _,
        &c.executed_at as _,
        &c.detail as _,
    )
    .execute(connection)
    .await
    .map_err(failed)?;
    if usize::try_from(inserted.rows_affected()) != Ok(commands.len()) {
        return Err(StoreError::Conflict { what: "a command with this id" });
    }
    Ok(())
}

#[derive(Default)]
struct Columns {
    id: Vec<String>,
    light_no: Vec<i64>,
    device_no: Vec<i64>,
    command_type: Vec<String>,
    kind: Vec<String>,
    priority: Vec<String>,
    state: Vec<String>,
    requested_by: Vec<String>,
    reason: Vec<Option<String>>,
    requested_at: Vec<Instant>,
    expires_at: Vec<Instant>,
    delivered_at: Vec<Option<Instant>>,
    unverified_at: Vec<Option<Instant>>,
    finished_at: Vec<Option<Instant>>,
    executed_at: Vec<Option<Instant>>,
    detail: Vec<Option<String>>,
}

impl Columns {
    fn push(&mut self, command: &Command, superseded_at: Option<UtcMillis>) -> StoreResult<()> {
        let state = if superseded_at.is_some() { "superseded" } else { command.state.as_str() };
        self.id.push(command.id.as_str().into());
        self.light_no.push(command.light_no.0.into());
        self.device_no.push(command.device_no.0.into());
        self.command_type.push(command.kind.command_type().as_str().into());
        self.kind.push(serde_json::to_string(&command.kind).map_err(StoreError::unavailable)?);
        self.priority.push(command.priority.as_str().into());
        self.state.push(state.into());
        self.requested_by.push(plain(&command.requested_by));
        self.reason.push(command.reason.as_deref().map(plain));
        self.requested_at.push(Instant(command.requested_at));
        self.expires_at.push(Instant(command.expires_at));
        self.delivered_at.push(command.delivered_at.map(Instant));
        self.unverified_at.push(command.unverified_at.map(Instant));
        self.finished_at.push(superseded_at.or(command.finished_at).map(Instant));
        self.executed_at.push(command.executed_at.map(Instant));
        self.detail.push(command.detail.as_deref().map(plain));
        Ok(())
    }
}
