//! What the frame asks of the server. Needs the right to view.
use ccms_core::view::CityView;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::UiError;
use crate::people::Me;

/// What every page of a signed-in person shows around itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameView {
    pub me: Me,
    pub city: CityView,
}

/// The person and the city.
#[server(prefix = "/ui", endpoint = "frame/look", output = crate::wire::Json)]
pub async fn look() -> Result<FrameView, UiError> {
    let caller = crate::people::session::Caller::here()?;
    let policy = crate::shell::ContentPolicy::here();
    let outcome = async {
        let person = caller.person().await?;
        Ok(FrameView { me: (&person).into(), city: caller.ccms.city(person.who().may_view()?) })
    };
    let outcome = caller.answer.with(outcome.await);
    if let (Some(policy), Ok(frame)) = (policy, &outcome) {
        policy.allow_tiles(frame.city.map.tile_url.as_deref());
    }
    outcome
}
