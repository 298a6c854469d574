//! Who is asking. Context is taken before the first await; afterwards it may belong to nobody.
use axum::http::request::Parts;
use ccms_core::ids::UserId;
use ccms_service::{Ccms, Permission, Person, Role};
use leptos::prelude::use_context;
use tower_sessions::Session;

use super::Me;
use crate::error::{Answer, UiError};

/// The key under which a session keeps its person's id.
pub const USER_ID: &str = "user_id";

/// The request as a server function sees it: service, session and the place for its status.
#[derive(Clone)]
pub struct Caller {
    pub ccms: Ccms,
    pub session: Session,
    pub answer: Answer,
}

impl Caller {
    /// Call on the first line of a server function, before any await.
    pub fn here() -> Result<Self, UiError> {
        let answer = Answer::here();
        let found = use_context::<Ccms>()
            .zip(use_context::<Parts>().and_then(|parts| parts.extensions.get::<Session>().cloned()));
        match found {
            Some((ccms, session)) => Ok(Self { ccms, session, answer }),
            None => {
                tracing::error!("a server function ran without service or session in its context");
                answer.with(Err(UiError::Unavailable))
            }
        }
    }

    /// The signed-in person, or [`UiError::SignedOut`].
    pub async fn person(&self) -> Result<Person, UiError> {
        let id = self.session.get::<i64>(USER_ID).await.map_err(|error| {
            tracing::error!(%error, "cannot read the session");
            UiError::Unavailable
        })?;
        let id = id.ok_or(UiError::SignedOut)?;
        self.ccms.person(UserId(id)).await?.ok_or(UiError::SignedOut)
    }
}

/// The person whose request is being answered; `None` when nobody is signed in.
pub async fn current_person() -> Result<Option<Person>, UiError> {
    let caller = Caller::here()?;
    match caller.person().await {
        Ok(person) => Ok(Some(person)),
        Err(UiError::SignedOut) => Ok(None),
        Err(error) => Err(error),
    }
}

impl From<&Person> for Me {
    fn from(person: &Person) -> Self {
        let role = match person.role {
            Role::Viewer => "Viewer",
            Role::Operator => "Operator",
            Role::Technician => "Technician",
            Role::Admin => "Administrator",
        };
        let who = person.who();
        Self {
            email: person.email.clone(),
            role: role.into(),
            may_command: who.may(Permission::Command),
            may_commission: who.may(Permission::Commission),
        }
    }
}
