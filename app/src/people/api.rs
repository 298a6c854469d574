//! Signing in and out, as the browser calls them. Open to everyone; the service slows down and refuses who guesses.
use leptos::prelude::*;

use crate::error::UiError;

/// Signs in and goes to `next`, if that is a path of this site.
#[server(prefix = "/ui", endpoint = "people/sign_in", output = crate::wire::Json)]
pub async fn sign_in(email: String, password: String, next: Option<String>) -> Result<(), UiError> {
    use super::{next::local_path, session};
    let caller = session::Caller::here()?;
    let response = use_context::<leptos_axum::ResponseOptions>();
    let outcome = async {
        let person = caller.ccms.sign_in(email.trim(), &password).await?;
        // A new id, so that a session planted before signing in is worth nothing after it.
        caller.session.cycle_id().await.map_err(unavailable)?;
        caller.session.insert(session::USER_ID, person.id.0).await.map_err(unavailable)
    };
    let outcome = caller.answer.with(outcome.await);
    if outcome.is_ok() && response.is_some() {
        leptos_axum::redirect(local_path(next.as_deref()));
    }
    outcome
}

/// Ends the session.
#[server(prefix = "/ui", endpoint = "people/sign_out", output = crate::wire::Json)]
pub async fn sign_out() -> Result<(), UiError> {
    let caller = super::session::Caller::here()?;
    let outcome = caller.session.flush().await.map_err(unavailable);
    leptos_axum::redirect("/sign-in");
    caller.answer.with(outcome)
}

/// Ends every session of the signed-in person, on every machine.
#[server(prefix = "/ui", endpoint = "people/sign_out_everywhere", output = crate::wire::Json)]
pub async fn sign_out_everywhere() -> Result<(), UiError> {
    let caller = super::session::Caller::here()?;
    let outcome = async {
        let person = caller.person().await?;
        caller.ccms.sign_out_everywhere(&person).await?;
        caller.session.flush().await.map_err(unavailable)
    };
    let outcome = caller.answer.with(outcome.await);
    if outcome.is_ok() {
        leptos_axum::redirect("/sign-in");
    }
    outcome
}

#[cfg(feature = "ssr")]
fn unavailable(error: tower_sessions::session::Error) -> UiError {
    tracing::error!(%error, "cannot write the session");
    UiError::Unavailable
}
