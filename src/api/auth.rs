//! Who is asking: a program with an API key, or a person who is signed in in this browser.
//!
//! A key that is presented decides alone, whatever cookie comes with it. A cookie is sent by a browser on its own, so with one
//! every write must come from our own pages.
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use ccms_core::ids::{DeviceId, LightId, UserId};
use ccms_service::api_keys::ApiKey;
use ccms_service::people::SESSION_USER_KEY;
use ccms_service::{Ccms, Person, ServiceError, Who};
use tower_sessions::Session;

use super::problem::Problem;
use crate::origin;

#[derive(Debug, Clone)]
pub enum Caller {
    Key(Arc<ApiKey>),
    /// With the id of the session, which may end before the person does.
    Person(Person, String),
}

impl Caller {
    pub fn who(&self) -> Who<'_> {
        match self {
            Self::Key(key) => key.who(),
            Self::Person(person, _) => person.who(),
        }
    }

    /// Under this name the answers to its idempotency keys are kept.
    pub fn actor(&self) -> String {
        match self {
            Self::Key(key) => format!("key {}", key.no),
            Self::Person(person, _) => format!("person {}", person.id.0),
        }
    }
}

pub async fn caller(ccms: &Ccms, head: &Parts) -> Result<Caller, Problem> {
    if let Some(value) = head.headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|text| text.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let key = match token {
            Some(token) => ccms.api_key(token).await?,
            None => None,
        };
        return key.map(Caller::Key).ok_or_else(|| {
            Problem::unauthorised(
                "This is no API key, or it was revoked.",
                r#"Bearer realm="ccms", error="invalid_token""#,
            )
        });
    }
    let (person, session) = signed_in(ccms, head).await?.ok_or_else(|| {
        Problem::unauthorised("Send an API key: Authorization: Bearer ccms_…", r#"Bearer realm="ccms""#)
    })?;
    let reads = matches!(head.method, Method::GET | Method::HEAD);
    if !reads && !origin::is_same_origin(&head.headers) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "This request came from another site and was refused."));
    }
    Ok(Caller::Person(person, session))
}

/// Why a caller may not. What lies in another zone is not there for them, whatever they ask of it: a right that they lack must not
/// tell that it is.
pub async fn refusal(ccms: &Ccms, who: Who<'_>, path: &[(String, String)]) -> Problem {
    let nowhere = |what: &str| Some(Problem::not_found(format!("There is no such {what} here.")));
    let hidden = match (who.may_view(), path) {
        (Ok(may), [(name, id)]) if who.zone().is_some() => {
            match (name.as_str(), LightId::parse(id), DeviceId::parse(id)) {
                ("light_id", Ok(id), _) => ccms.find_light(may, &id).await.err().map(Problem::from),
                ("light_id", Err(_), _) => nowhere("light"),
                ("device_id", _, Ok(id)) => ccms.find_device(may, &id).await.err().map(Problem::from),
                ("device_id", _, Err(_)) => nowhere("device"),
                _ => None,
            }
        }
        _ => None,
    };
    hidden.unwrap_or_else(|| ServiceError::Forbidden.into())
}

async fn signed_in(ccms: &Ccms, head: &Parts) -> Result<Option<(Person, String)>, Problem> {
    let Some(session) = head.extensions.get::<Session>() else { return Ok(None) };
    let user: Option<i64> = session.get(SESSION_USER_KEY).await.map_err(|_| ServiceError::Unavailable)?;
    let (Some(user), Some(id)) = (user, session.id()) else { return Ok(None) };
    Ok(ccms.person(UserId(user)).await?.map(|person| (person, id.to_string())))
}
