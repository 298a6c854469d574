//! What a caller is told when a request is not served: `application/problem+json` after RFC 9457, whatever went wrong and
//! wherever.
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ccms_service::ServiceError;
use serde::Serialize;

pub const CONTENT_TYPE: &str = "application/problem+json";
/// After this a caller may try again what failed because of us.
const RETRY_AFTER_S: u32 = 5;

#[derive(Debug, Serialize)]
pub struct Problem {
    /// No page of its own: the title says what the status says.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Flaw>,
    /// `WWW-Authenticate`.
    #[serde(skip)]
    challenge: Option<&'static str>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flaw {
    /// Of a file: the row, as a spreadsheet counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Of a body or query: the field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    pub message: String,
}

impl Flaw {
    pub fn of_field(field: &str, message: impl Into<String>) -> Self {
        Self { row: None, column: None, field: Some(field.to_owned()), message: message.into() }
    }
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            challenge: None,
        }
    }

    /// The request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// It can be read and asks for what cannot be.
    pub fn invalid(errors: Vec<Flaw>) -> Self {
        let detail = match errors.as_slice() {
            [one] => match &one.field {
                Some(field) => format!("{field}: {}", one.message),
                None => one.message.clone(),
            },
            many => format!("{} things are wrong; see errors.", many.len()),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    pub fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid(vec![Flaw::of_field(field, message)])
    }

    /// What is there already, or what state a thing is in, stands against it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// The caller has to say who it is.
    pub fn unauthorised(detail: impl Into<String>, challenge: &'static str) -> Self {
        Self { challenge: Some(challenge), ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// A use case that refuses because of the state that a thing is in.
    pub fn of_state(error: ServiceError) -> Self {
        match error {
            ServiceError::Invalid { message, .. } => Self::conflict(message),
            other => other.into(),
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let detail = error.to_string();
        match error {
            ServiceError::Forbidden => Self::new(StatusCode::FORBIDDEN, "This key or role does not allow this."),
            ServiceError::NotFound => Self::not_found(detail),
            ServiceError::Invalid { field, message } => Self::invalid_field(field, message),
            ServiceError::Conflict { .. } => Self::conflict(detail),
            ServiceError::Stale => Self::new(StatusCode::PRECONDITION_FAILED, detail),
            ServiceError::Unavailable => Self::new(StatusCode::SERVICE_UNAVAILABLE, detail),
            ServiceError::SignInRefused | ServiceError::SignInLater { .. } => {
                Self::new(StatusCode::UNAUTHORIZED, detail)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_else(|_| b"{}".to_vec());
        let mut response = (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response();
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}

/// A fault of ours is told in the same shape.
pub fn after_panic(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a route of the API panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The server failed to handle this request.").into_response()
}
