//! What can go wrong between a person and the service, and the sentence the person reads. The inward causes stay in the
//! server's log; this is the outward face, and it crosses the wire between server and browser as JSON.
use std::fmt;

use crate::wire::JsonText;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use serde::{Deserialize, Serialize};

/// Why a server function did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UiError {
    SignedOut,
    Forbidden,
    NotFound,
    Invalid {
        field: String,
        message: String,
    },
    Unavailable,
    SignInRefused,
    SignInLater {
        seconds: u64,
    },
    /// The request never got an answer.
    Unreachable,
    /// Page and server do not understand each other: most likely the server was updated under an open page.
    Mismatch,
}

impl fmt::Display for UiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignedOut => f.write_str("You are signed out. Sign in again to go on."),
            Self::Forbidden => f.write_str("Your role does not allow this. Ask an administrator if you need it."),
            Self::NotFound => f.write_str("There is no such thing here. It may have been removed."),
            Self::Invalid { message, .. } => f.write_str(message),
            Self::Unavailable => f.write_str("The server cannot do this right now. Nothing was changed; try again."),
            Self::SignInRefused => f.write_str("This e-mail address and password do not match."),
            Self::SignInLater { seconds } => {
                write!(f, "Too many attempts. Try again in {seconds} seconds.")
            }
            Self::Unreachable => f.write_str("The server did not answer. Check the connection and try again."),
            Self::Mismatch => f.write_str("This page is out of date. Reload it and try again."),
        }
    }
}

impl std::error::Error for UiError {}

impl FromServerFnError for UiError {
    type Encoder = JsonText;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        match error {
            ServerFnErrorErr::Request(_) => Self::Unreachable,
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => {
                Self::Invalid { field: String::new(), message: "This request is not complete or not valid.".into() }
            }
            ServerFnErrorErr::ServerError(_)
            | ServerFnErrorErr::MiddlewareError(_)
            | ServerFnErrorErr::Response(_)
            | ServerFnErrorErr::Registration(_) => Self::Unavailable,
            ServerFnErrorErr::Deserialization(_)
            | ServerFnErrorErr::Serialization(_)
            | ServerFnErrorErr::UnsupportedRequestMethod(_) => Self::Mismatch,
        }
    }
}

#[cfg(feature = "ssr")]
mod outward {
    use axum::http::{StatusCode, header, request::Parts};
    use ccms_service::ServiceError;
    use leptos::prelude::use_context;
    use leptos_axum::ResponseOptions;

    use super::UiError;

    impl From<ServiceError> for UiError {
        fn from(error: ServiceError) -> Self {
            match error {
                ServiceError::Forbidden => Self::Forbidden,
                ServiceError::NotFound => Self::NotFound,
                ServiceError::Invalid { field, message } => {
                    Self::Invalid { field: field.to_string(), message: message.to_string() }
                }
                error @ (ServiceError::Conflict { .. } | ServiceError::Stale) => {
                    Self::Invalid { field: String::new(), message: error.to_string() }
                }
                ServiceError::SignInRefused => Self::SignInRefused,
                ServiceError::SignInLater { seconds } => Self::SignInLater { seconds: seconds.into() },
                ServiceError::Unavailable => Self::Unavailable,
            }
        }
    }

    impl UiError {
        fn status(&self) -> StatusCode {
            match self {
                Self::SignedOut | Self::SignInRefused => StatusCode::UNAUTHORIZED,
                Self::Forbidden => StatusCode::FORBIDDEN,
                Self::NotFound => StatusCode::NOT_FOUND,
                Self::Invalid { .. } | Self::Mismatch => StatusCode::UNPROCESSABLE_ENTITY,
                Self::SignInLater { .. } => StatusCode::TOO_MANY_REQUESTS,
                Self::Unavailable | Self::Unreachable => StatusCode::SERVICE_UNAVAILABLE,
            }
        }
    }

    /// Where to put the status of a refused server function: present only while one answers a script. A page that
    /// renders keeps its 200 and shows the sentence; a plain form is redirected back with the error in its address.
    #[derive(Clone)]
    pub struct Answer(Option<ResponseOptions>);

    impl Answer {
        /// Call before the first await.
        pub fn here() -> Self {
            let from_script = use_context::<Parts>().is_some_and(|parts| {
                let accept = parts.headers.get(header::ACCEPT).and_then(|v| v.to_str().ok());
                parts.uri.path().starts_with("/ui/") && !accept.is_some_and(|a| a.contains("text/html"))
            });
            Self(from_script.then(use_context::<ResponseOptions>).flatten())
        }

        /// Says the status that fits, and passes the result on.
        pub fn with<T>(&self, result: Result<T, UiError>) -> Result<T, UiError> {
            if let (Some(response), Err(error)) = (&self.0, &result) {
                response.set_status(error.status());
            }
            result
        }
    }
}

#[cfg(feature = "ssr")]
pub use outward::Answer;
