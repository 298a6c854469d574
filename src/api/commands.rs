//! Commands: asked for one light or many, followed, taken back.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_core::command::{CommandKind, CommandState, CommandType, Priority};
use ccms_core::ids::{CommandId, LightId};
use ccms_core::limits::POLL_INTERVAL_URGENT_S;
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::UtcMillis;
use ccms_core::view::CommandView;
use ccms_service::{COMMAND_LIFE_MAX_S, KeepAnswer, Order};
use serde::Serialize;

use super::call::{Call, Page, json};
use super::fields::Fields;
use super::problem::Problem;

/// Lights of one request.
const LIGHTS_MAX: usize = 1_000;

struct Wish {
    light_ids: Vec<LightId>,
    kind: CommandKind,
    priority: Option<Priority>,
    expires_in_seconds: Option<i64>,
    reason: Option<String>,
}

impl Wish {
    fn read(mut f: Fields) -> Result<Self, Problem> {
        let light_ids = f.ids("light_ids", "light");
        let light_ids = f.needed("light_ids", light_ids);
        if light_ids.as_ref().is_some_and(|ids| !(1..=LIGHTS_MAX).contains(&ids.len())) {
            f.wrong("light_ids", format!("Name 1 to {LIGHTS_MAX} lights."));
        }
        let kind = kind(&mut f);
        let priority = f.one_of("priority", "high, normal or low");
        let (least, most) = (i64::from(POLL_INTERVAL_URGENT_S), COMMAND_LIFE_MAX_S);
        let expires_in_seconds = f.whole("expires_in_seconds", least, most);
        let reason = f.text("reason");
        let wish = light_ids.zip(kind);
        f.finish(wish.map(|(light_ids, kind)| Self { light_ids, kind, priority, expires_in_seconds, reason }))
    }
}

/// What is asked; a field that its type does not take is an error rather than passed over.
fn kind(f: &mut Fields) -> Option<CommandKind> {
    let command_type = f.one_of("command_type", "power_control, brightness_control, schedule_update or device_reset");
    let command_type = f.needed("command_type", command_type);
    let action: Option<PowerState> = f.one_of("action", "on or off");
    let percent = f.whole("brightness_level", 0, 100).and_then(|n| u8::try_from(n).ok());
    let night = f.object("schedule", schedule);
    let given = [
        ("action", action.is_some(), CommandType::PowerControl),
        ("brightness_level", percent.is_some(), CommandType::BrightnessControl),
        ("schedule", night.is_some(), CommandType::ScheduleUpdate),
    ];
    let asked: CommandType = command_type?;
    for (field, is_given, of) in given {
        if is_given && of != asked {
            f.wrong(field, format!("A {} does not take it.", asked.as_str()));
        } else if of == asked {
            f.needed(field, is_given.then_some(()));
        }
    }
    match asked {
        CommandType::PowerControl => action.map(CommandKind::Power),
        CommandType::BrightnessControl => percent.map(CommandKind::Brightness),
        CommandType::ScheduleUpdate => night.map(CommandKind::Schedule),
        CommandType::DeviceReset => Some(CommandKind::Reset),
    }
}

fn schedule(f: &mut Fields) -> Option<Schedule> {
    let (enabled, sunrise, sunset) = (f.flag("enabled"), f.time_of_day("sunrise_time"), f.time_of_day("sunset_time"));
    let enabled = f.needed("enabled", enabled);
    let sunrise = f.needed("sunrise_time", sunrise);
    let sunset = f.needed("sunset_time", sunset);
    Some(Schedule { enabled: enabled?, sunrise_time: sunrise?, sunset_time: sunset? })
}

pub async fn create(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_command()?;
    let wish = Wish::read(call.fields()?)?;
    let order = Order {
        lights: &wish.light_ids,
        kind: wish.kind,
        priority: wish.priority.unwrap_or(Priority::Normal),
        expires_in_s: wish.expires_in_seconds,
        reason: wish.reason.as_deref(),
    };
    let now = call.ccms().now();
    let keep = call.once.clone().map(|once| -> KeepAnswer<'_> {
        Box::new(move |views| {
            let body = serde_json::to_vec(&given(views)).unwrap_or_default();
            once.note(StatusCode::CREATED, None, &body, now)
        })
    });
    let views = call.ccms().order(may, &order, keep).await?;
    Ok(json(StatusCode::CREATED, &given(&views)))
}

fn given(views: &[CommandView]) -> Page<Command<'_>> {
    Page { items: views.iter().map(Command::of).collect(), next_cursor: None }
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
