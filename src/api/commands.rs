//! Commands: asked for one light or many, followed, taken back.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_core::command::{CommandKind, CommandState, CommandType, Priority};
use ccms_core::ids::{CommandId, LightId};
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_core::view::CommandView;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::{Call, Page, json};
use super::problem::Problem;

/// Lights of one request.
const LIGHTS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    light_ids: Vec<LightId>,
    command_type: CommandType,
    action: Option<PowerState>,
    brightness_level: Option<u8>,
    schedule: Option<Map<String, Value>>,
    priority: Option<Priority>,
    expires_in_seconds: Option<i64>,
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Night {
    enabled: bool,
    sunrise_time: TimeOfDay,
    sunset_time: TimeOfDay,
}

impl Wish {
    /// What is asked; a field that its type does not take is an error rather than passed over.
    fn kind(&self) -> Result<CommandKind, Problem> {
        let given = [
            ("action", self.action.is_some(), CommandType::PowerControl),
            ("brightness_level", self.brightness_level.is_some(), CommandType::BrightnessControl),
            ("schedule", self.schedule.is_some(), CommandType::ScheduleUpdate),
        ];
        let named = self.command_type.as_str();
        for (field, is_given, of) in given {
            if is_given && of != self.command_type {
                return Err(Problem::invalid_field(field, format!("{named} does not take it.")));
            }
            if !is_given && of == self.command_type {
                return Err(Problem::invalid_field(field, format!("{named} needs it.")));
            }
        }
        Ok(match (self.action, self.brightness_level, &self.schedule) {
            (Some(state), ..) => CommandKind::Power(state),
            (_, Some(percent), _) => CommandKind::Brightness(percent),
            (.., Some(night)) => {
                let night = serde_json::from_value(Value::Object(night.clone()));
                let Night { enabled, sunrise_time, sunset_time } =
                    night.map_err(|e| Problem::invalid_field("schedule", e.to_string()))?;
                CommandKind::Schedule(Schedule { enabled, sunrise_time, sunset_time })
            }
            _ => CommandKind::Reset,
        })
    }
}

pub async fn create(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_command()?;
    let wish: Wish = call.json()?;
    let kind = wish.kind()?;
    if wish.light_ids.is_empty() || wish.light_ids.len() > LIGHTS_MAX {
        return Err(Problem::invalid_field("light_ids", format!("Name 1 to {LIGHTS_MAX} lights.")));
    }
    let priority = wish.priority.unwrap_or(Priority::Normal);
    let reason = wish.reason.as_deref();
    let views = call.ccms().command_many(may, &wish.light_ids, kind, priority, wish.expires_in_seconds, reason).await?;
    Ok(json(StatusCode::CREATED, &Page { items: views.iter().map(Command::of).collect(), next_cursor: None }))
}

pub async fn show(call: Call) -> Result<Response, Problem> {
    let view = call.ccms().find_command(call.who().may_view()?, &call.command_id()?).await?;
    Ok(json(StatusCode::OK, &Command::of(&view)))
}

pub async fn cancel(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_command()?, call.command_id()?);
    let view = call.ccms().cancel_command(may, &id).await.map_err(Problem::of_state)?;
    Ok(json(StatusCode::OK, &Command::of(&view)))
}

/// A command with a time for each step.
#[derive(Serialize)]
pub(super) struct Command<'a> {
    command_id: &'a CommandId,
    light_id: &'a LightId,
    command_type: CommandType,
    action: Option<PowerState>,
    brightness_level: Option<u8>,
    schedule: Option<Schedule>,
    priority: Priority,
    state: &'static str,
    requested_by: &'a str,
    reason: Option<&'a str>,
    requested_at: UtcMillis,
    expires_at: UtcMillis,
    // Every step by the server's clock.
    delivered_at: Option<UtcMillis>,
    unverified_at: Option<UtcMillis>,
    executed_at: Option<UtcMillis>,
    finished_at: Option<UtcMillis>,
    /// When the device says it did it, by its own clock.
    execution_timestamp: Option<UtcMillis>,
    detail: Option<&'a str>,
}

impl<'a> Command<'a> {
    pub(super) fn of(c: &'a CommandView) -> Self {
        let (action, brightness_level, schedule) = match c.kind {
            CommandKind::Power(state) => (Some(state), None, None),
            CommandKind::Brightness(percent) => (None, Some(percent), None),
            CommandKind::Schedule(schedule) => (None, None, Some(schedule)),
            CommandKind::Reset => (None, None, None),
        };
        Self {
            command_id: &c.command_id,
            light_id: &c.light_id,
            command_type: c.kind.command_type(),
            action,
            brightness_level,
            schedule,
            priority: c.priority,
            state: c.state.as_str(),
            requested_by: &c.requested_by,
            reason: c.reason.as_deref(),
            requested_at: c.requested_at,
            expires_at: c.expires_at,
            delivered_at: c.delivered_at,
            unverified_at: c.unverified_at,
            executed_at: c.finished_at.filter(|_| c.state == CommandState::Executed),
            finished_at: c.finished_at,
            execution_timestamp: c.executed_at,
            detail: c.detail.as_deref(),
        }
    }
}
