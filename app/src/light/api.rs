//! What the drawer asks of the server. Looking needs the right to view, switching the right to command.
use ccms_core::ids::LightId;
use ccms_core::view::{CommandView, LightDetail};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::UiError;
use ccms_core::reading::PowerState;

/// What a person asks of a lamp, as the forms say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    On,
    Off,
    /// To `percent`.
    Dim,
}

impl Ask {
    pub const fn of(state: PowerState) -> Self {
        match state {
            PowerState::On => Self::On,
            PowerState::Off => Self::Off,
        }
    }
}

/// Everything about one light.
#[server(prefix = "/ui", endpoint = "light/show", output = crate::wire::Json)]
pub async fn show_light(light: LightId) -> Result<LightDetail, UiError> {
    let caller = crate::people::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        Ok(caller.ccms.light(person.who().may_view()?, &light).await?)
    };
    caller.answer.with(outcome.await)
}

/// Asks a light to switch or to dim; answers with the queued command.
#[server(prefix = "/ui", endpoint = "light/command", output = crate::wire::Json)]
pub async fn command(light: LightId, ask: Ask, percent: Option<u8>) -> Result<CommandView, UiError> {
    use ccms_core::command::CommandKind;
    let caller = crate::people::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        let kind = match (ask, percent) {
            (Ask::On, _) => CommandKind::Power(PowerState::On),
            (Ask::Off, _) => CommandKind::Power(PowerState::Off),
            (Ask::Dim, Some(percent @ 0..=100)) => CommandKind::Brightness(percent),
            (Ask::Dim, _) => {
                let message = "Choose a brightness from 0 to 100 %.".into();
                return Err(UiError::Invalid { field: "percent".into(), message });
            }
        };
        Ok(caller.ccms.command(person.who().may_command()?, &light, kind).await?)
    };
    caller.answer.with(outcome.await)
}
