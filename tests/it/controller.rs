//! A device on the wire, speaking as the document's own examples do. It decides nothing; the reference device does that.
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::clock::Clock;
use ccms_service::keys::signature::sign;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::answer::Answer;

#[derive(Clone)]
pub struct Controller {
    pub router: Router,
    pub clock: Clock,
    /// `/api/device` or `/device`.
    pub base: &'static str,
    pub id: String,
    pub light: String,
    pub token: Option<String>,
    /// What it signs with, once it was given that.
    pub secret: Option<String>,
}

impl Controller {
    pub fn new(router: Router, clock: Clock, id: &str) -> Self {
        Self { router, clock, base: "/api/device", id: id.into(), light: String::new(), token: None, secret: None }
    }

    /// POST configure. Keeps what it is given, as a device does.
    pub async fn configures(&mut self) -> Answer {
        let answer = self.posts("configure", &self.introduction()).await;
        if answer.status == 200 {
            self.learns(&answer.json());
            self.light = answer.json()["light_id"].as_str().expect("a light_id").into();
        }
        answer
    }

    /// The document's configure, as this device.
    pub fn introduction(&self) -> Value {
        let mut body: Value = serde_json::from_slice(&example("configure-request.json")).expect("an example");
        body["device_id"] = json!(self.id);
        body["gsm_imei"] = json!(self.id.strip_prefix("IMEI:"));
        body
    }

    pub async fn reports(&mut self, power: PowerState) -> Answer {
        self.reports_at(power, self.clock.now()).await
    }

    pub async fn reports_at(&mut self, power: PowerState, at: UtcMillis) -> Answer {
        let answer = self.posts("status", &self.reading(power, at)).await;
        if answer.status == 200 {
            self.learns(&answer.json());
        }
        answer
    }

    /// The document's status, as this device.
    pub fn reading(&self, power: PowerState, at: UtcMillis) -> Value {
        let mut body: Value = serde_json::from_slice(&example("status-request.json")).expect("an example");
        body["device_id"] = json!(self.id);
        body["light_id"] = json!(self.light);
        body["timestamp"] = json!(at.to_string());
        body["status"]["power_state"] = json!(power.as_str());
        body["status"]["brightness"] = json!(if power == PowerState::On { 100 } else { 0 });
        body
    }

    /// GET commands: the whole answer.
    pub async fn asks_for_commands(&self) -> Answer {
        self.sends("GET", "commands", &[], Vec::new()).await
    }

    /// GET commands: the ids that it is given.
    #[track_caller]
    pub fn polls(&self) -> impl Future<Output = Vec<String>> {
        let asked = self.clone();
        async move {
            let answer = asked.asks_for_commands().await.ok();
            let commands = answer["commands"].as_array().expect("commands").clone();
            commands.iter().map(|c| c["command_id"].as_str().expect("an id").to_owned()).collect()
        }
    }

    pub async fn acknowledges(&self, command: &str, status: &str) -> Answer {
        let body = json!({"device_id": self.id, "command_id": command, "status": status,
            "execution_timestamp": self.clock.now().to_string(), "result": {"new_state": "on"}});
        self.posts("command-ack", &body).await
    }

    pub async fn posts(&self, route: &str, body: &Value) -> Answer {
        self.sends("POST", route, &[], body.to_string().into_bytes()).await
    }

    /// Anything at all below its own path, with its token unless `headers` bring one.
    pub async fn sends(&self, method: &str, route: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        self.sends_to(method, &format!("{}/{}/{route}", self.base, self.id), headers, body).await
    }

    pub async fn sends_to(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(token) = &self.token
            && !headers.iter().any(|(name, _)| *name == "authorization")
        {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, value.as_bytes());
        }
        let request = request.body(Body::from(body)).expect("a request");
        Answer::of(self.router.clone().oneshot(request).await.expect("the router never fails")).await
    }

    /// POST with `X-Device-Signature` of these very bytes under `key`.
    pub async fn sends_signed(&self, route: &str, headers: &[(&str, &str)], body: Vec<u8>, key: &[u8]) -> Answer {
        let signature = sign(key, &body);
        let headers: Vec<_> = headers.iter().copied().chain([("x-device-signature", signature.as_str())]).collect();
        self.sends("POST", route, &headers, body).await
    }

    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// A token in an answer replaces the one it holds.
    pub fn learns(&mut self, answer: &Value) {
        if let Some(token) = answer["device_token"].as_str() {
            self.token = Some(token.into());
        }
        if let Some(secret) = answer["device_secret"].as_str() {
            self.secret = Some(secret.into());
        }
    }
}

/// One of the document's own JSON examples, byte by byte.
pub fn example(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/crates/ccms-core/contract/{name}",
        std::env::var("CARGO_MANIFEST_DIR").expect("cargo runs the tests")
    );
    std::fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}
