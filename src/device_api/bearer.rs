//! `Authorization: Bearer …` and `X-Device-Signature`.
use axum::http::{HeaderMap, header};

/// The token, if there is one. Any other scheme counts as none; what is no text is a token that fits nothing.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    const UNREADABLE: &str = "?";
    let Ok(value) = headers.get(header::AUTHORIZATION)?.to_str() else { return Some(UNREADABLE) };
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|t| !t.is_empty())
}

/// The signature, if there is one. One that is no text is there all the same, and fits nothing.
pub(super) fn signature(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-device-signature").map(|value| value.to_str().unwrap_or_default())
}
