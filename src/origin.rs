//! Refuses writes that another site makes a signed-in browser send. Device routes are not affected: they carry no cookie.
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

pub async fn check(request: Request, next: Next) -> Response {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if reads || is_same_origin(request.headers()) {
        return next.run(request).await;
    }
    tracing::warn!(path = request.uri().path(), "a write from another site was refused");
    (StatusCode::FORBIDDEN, "This request came from another site and was refused.\n").into_response()
}

/// A browser says where a request comes from; something that says neither is no browser and carries no cookie of a person.
pub(crate) fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    match text(header::HeaderName::from_static("sec-fetch-site")) {
        Some("same-origin" | "none") => return true,
        Some(_) => return false,
        None => {}
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host)),
        (Some(_), None) => false,
        (None, _) => !headers.contains_key(header::COOKIE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(n, v)| (header::HeaderName::from_static(n), header::HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn only_our_own_pages_may_write() {
        for (list, ok) in [
            (vec![("sec-fetch-site", "same-origin")], true),
            (vec![("sec-fetch-site", "cross-site")], false),
            (vec![("sec-fetch-site", "same-site")], false),
            (vec![("origin", "http://127.0.0.1:8000"), ("host", "127.0.0.1:8000")], true),
            (vec![("origin", "http://evil.example"), ("host", "127.0.0.1:8000")], false),
            (vec![("origin", "null"), ("host", "127.0.0.1:8000")], false),
            (vec![("cookie", "ccms=1"), ("host", "127.0.0.1:8000")], false),
            (vec![("host", "127.0.0.1:8000")], true),
        ] {
            assert_eq!(is_same_origin(&headers(&list)), ok, "{list:?}");
        }
    }
}
