//! `Idempotency-Key` on POST: what is asked twice is done once. The first answer is kept for a day per caller and key, and
//! given again to the same request; another request under the same key is an error. Twins that arrive together wait for each
//! other.
//!
//! A fault of ours (5xx) is not kept: the caller is meant to try again. Commands are written together with the note of their
//! answer. For everything else the note comes behind the deed, and a server that is killed in between is asked again for what is
//! done already: a device is registered once, and an import says the same twice.
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ccms_core::time::UtcMillis;
use ccms_service::Ccms;
use ccms_store::{AnswerNote, RememberedAnswer};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::problem::{self, Problem};

pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
pub const KEY_CHARS_MAX: usize = 255;
pub const KEPT_S: i64 = 86_400;
/// Requests with different keys wait for each other only when they share one of these.
const LANES: usize = 64;

#[derive(Clone)]
pub struct Lanes(Arc<[Mutex<()>; LANES]>);

impl Default for Lanes {
    fn default() -> Self {
        Self(Arc::new(std::array::from_fn(|_| Mutex::default())))
    }
}

/// What is to be done once.
#[derive(Debug, Clone)]
pub struct Once {
    pub actor: String,
    pub key: String,
    /// The [`fingerprint`].
    pub request: [u8; 32],
}

impl Once {
    /// This answer, to be kept.
    pub fn note(self, status: StatusCode, location: Option<String>, body: &[u8], at: UtcMillis) -> AnswerNote {
        let kept = Kept { location, body: String::from_utf8_lossy(body).into_owned() };
        let body = serde_json::to_string(&kept).unwrap_or_default();
        let answer = RememberedAnswer { request: self.request, status: status.as_u16(), body, at };
        AnswerNote { actor: self.actor, key: self.key, answer }
    }
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    location: Option<String>,
    body: String,
}

/// The key of a request, if it brings one.
pub fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    let readable =
        |text: &&str| (1..=KEY_CHARS_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    let text = value.to_str().ok().filter(readable).ok_or_else(|| {
        Problem::malformed(format!(
            "An Idempotency-Key has 1 to {KEY_CHARS_MAX} printable ASCII characters and no blanks."
        ))
    })?;
    Ok(Some(text.to_owned()))
}

/// What tells one request from another.
pub fn fingerprint(method: &str, path_and_query: &str, body: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [method.as_bytes(), path_and_query.as_bytes()] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(body);
    hasher.finalize().into()
}

/// Runs `act`, unless this was answered before.
pub async fn once(ccms: &Ccms, lanes: &Lanes, what: &Once, act: impl Future<Output = Response>) -> Response {
    let Once { actor, key, request } = what;
    let mut hasher = DefaultHasher::new();
    (actor, key).hash(&mut hasher);
    let _turn = lanes.0[hasher.finish() as usize % LANES].lock().await;
    match earlier(ccms, actor, key).await {
        Ok(Some(answer)) if answer.request == *request => return replay(&answer),
        Ok(Some(_)) => {
            let message = "This Idempotency-Key was used for another request.";
            return Problem::invalid_field("Idempotency-Key", message).into_response();
        }
        Ok(None) => {}
        Err(problem) => return problem.into_response(),
    }
    let (head, body) = act.await.into_parts();
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The answer could not be made.").into_response();
        }
    };
    if !head.status.is_server_error() {
        let location = head.headers.get(header::LOCATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let note = what.clone().note(head.status, location, &body, ccms.now());
        // One that was kept with the deed stays.
        if let Err(error) = ccms.store().remember_answer(actor, key, &note.answer).await {
            tracing::error!(%error, "an answer was not kept; the same request would be done again");
        }
    }
    Response::from_parts(head, body.into())
}

async fn earlier(ccms: &Ccms, actor: &str, key: &str) -> Result<Option<RememberedAnswer>, Problem> {
    let failed = |error| Problem::from(ccms_service::ServiceError::from(error));
    let answer = ccms.store().remembered_answer(actor, key).await.map_err(failed)?;
    let since = ccms.now().plus_seconds(-KEPT_S);
    if answer.as_ref().is_some_and(|a| a.at < since) {
        ccms.store().forget_answers(since).await.map_err(failed)?;
        return Ok(None);
    }
    Ok(answer)
}

fn replay(answer: &RememberedAnswer) -> Response {
    let kept: Kept = serde_json::from_str(&answer.body).unwrap_or(Kept { location: None, body: String::new() });
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let kind = if status.is_success() { "application/json" } else { problem::CONTENT_TYPE };
    let mut response = (status, [(header::CONTENT_TYPE, kind)], kept.body).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(location) = kept.location.and_then(|l| HeaderValue::from_str(&l).ok()) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
