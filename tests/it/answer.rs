//! What came back from the server, and what it must look like whatever was sent.
use axum::body::Body;
use axum::http::{HeaderMap, Response, header};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;

/// Everything that firmware written from the document, with the stated additions, can understand.
const STATUSES: [u16; 7] = [200, 400, 401, 403, 404, 500, 503];

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub async fn of(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a body to its end").to_bytes();
        Self { status: head.status.as_u16(), headers: head.headers, body }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("not JSON ({e}): {self:?}"))
    }

    /// The body of a 200.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{:?}", self.body);
        self.is_json();
        self.json()
    }

    /// A refusal with this status and code; answers its `retry_after_seconds`.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> u64 {
        let envelope = self.envelope();
        assert_eq!((self.status, envelope["code"].as_str()), (status, Some(code)), "{:?}", self.body);
        envelope["retry_after_seconds"].as_u64().expect("seconds")
    }

    /// The documented envelope of a failure, all four fields with their types, and a documented status.
    #[track_caller]
    pub fn envelope(&self) -> Value {
        assert_ne!(self.status, 200, "{:?}", self.body);
        self.is_documented();
        let envelope = self.json();
        let fields: Vec<&String> = envelope.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["code", "message", "retry_after_seconds", "status"]);
        assert_eq!(envelope["status"], "error");
        assert!(envelope["code"].as_str().is_some_and(|c| !c.is_empty()), "{envelope}");
        assert!(envelope["message"].as_str().is_some_and(|m| !m.is_empty()), "{envelope}");
        assert!(envelope["retry_after_seconds"].is_u64(), "{envelope}");
        if self.status == 503 {
            let seconds = envelope["retry_after_seconds"].to_string();
            assert_eq!(self.headers.get(header::RETRY_AFTER).map(|v| v.as_bytes()), Some(seconds.as_bytes()));
        }
        envelope
    }

    /// Good or bad: a status that firmware knows, and JSON.
    #[track_caller]
    pub fn is_documented(&self) {
        assert!(STATUSES.contains(&self.status), "{} is no documented status: {:?}", self.status, self.body);
        self.is_json();
        assert!(self.json().is_object(), "{:?}", self.body);
    }

    #[track_caller]
    fn is_json(&self) {
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        assert_eq!(kind, Some("application/json"), "{:?}", self.body);
    }
}
