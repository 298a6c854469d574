//! Another system that uses the REST API: reads, writes, and checks the shape of every refusal.
use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use ccms_service::{Scope, api_keys};
use serde_json::Value;
use tower::ServiceExt;

use crate::answer::Answer;
use crate::city::City;

#[derive(Clone)]
pub struct Integrator {
    router: Router,
    /// Headers with which it says who it is.
    pub proof: Vec<(&'static str, String)>,
}

impl Integrator {
    /// With a key of this scope for the whole city.
    pub async fn of(city: &City, scope: Scope) -> Self {
        Self::zoned(city, scope, None).await
    }

    pub async fn zoned(city: &City, scope: Scope, zone: Option<&str>) -> Self {
        let name = format!("{} {}", scope.as_str(), zone.unwrap_or("all"));
        let zone = zone.map(str::to_owned);
        let key = api_keys::create(city.store.inner(), "test", city.ccms.now(), &name, &[scope], zone).await;
        Self::anonymous(city).with_key(&key.expect("a key"))
    }

    pub fn anonymous(city: &City) -> Self {
        Self::elsewhere(city.router.clone())
    }

    /// At a server that is no city of this process.
    pub fn elsewhere(router: Router) -> Self {
        Self { router, proof: Vec::new() }
    }

    pub fn with_key(&self, key: &str) -> Self {
        Self { router: self.router.clone(), proof: vec![("authorization", format!("Bearer {key}"))] }
    }

    pub fn with_proof(&self, proof: Vec<(&'static str, String)>) -> Self {
        Self { router: self.router.clone(), proof }
    }

    pub async fn gets(&self, path: &str) -> Answer {
        self.sends("GET", path, &[], Vec::new()).await
    }

    pub async fn posts(&self, path: &str, body: &Value) -> Answer {
        self.sends("POST", path, &[("content-type", "application/json")], body.to_string().into_bytes()).await
    }

    pub async fn patches(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let mut headers = headers.to_vec();
        headers.push(("content-type", "application/json"));
        self.sends("PATCH", path, &headers, body.to_string().into_bytes()).await
    }

    pub async fn sends(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        Answer::of(self.begins(method, path, headers, body).await).await
    }

    /// The answer before its body is read: that of a stream never ends.
    pub async fn begins(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> axum::http::Response<Body> {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/api/v1/{path}") };
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in &self.proof {
            request = request.header(*name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        self.router.clone().oneshot(request.body(Body::from(body)).expect("a request")).await.expect("an answer")
    }
}

impl Answer {
    /// A refusal of the REST API with this status; answers its body.
    #[track_caller]
    pub fn problem(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        let kind = self.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        assert_eq!(kind, Some("application/problem+json"), "{:?}", self.body);
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for part in ["type", "title", "detail"] {
            assert!(problem[part].as_str().is_some_and(|t| !t.is_empty()), "{part} of {problem}");
        }
        problem
    }

    /// The body of a success with this status.
    #[track_caller]
    pub fn done(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:?}", self.body);
        self.json()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }
}
