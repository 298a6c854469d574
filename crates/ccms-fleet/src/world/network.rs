//! What becomes of a request and of its answer on their way: mostly nothing; else they are lost, late, or come twice.
use ccms_device::{Outcome, RequestId};

use super::rules::{Request, Response, Sabotage};
use super::{Event, World};
use crate::http::gzip;

/// A shell that hurries sends again after this.
const HURRY_MS: u64 = 100;
const REPEATED_WITHIN_MS: u64 = 90_000;
const LATE_WITHIN_MS: u64 = 120_000;
const SEEDED_ERROR: &[u8] =
    br#"{"status":"error","code":"INTERNAL_ERROR","message":"a seeded fault","retry_after_seconds":30}"#;

impl World {
    pub(super) fn launch(&mut self, device: usize, id: RequestId, request: ccms_device::Request) {
        let mut headers = Vec::new();
        if let Some(token) = &request.token {
            headers.push(("authorization", format!("Bearer {token}")));
        }
        if !request.body.is_empty() {
            headers.push(("content-type", "application/json".to_owned()));
        }
        // To memory, which is always there.
        let packed = request.compress.then(|| gzip(&request.body).ok()).flatten();
        if packed.is_some() {
            headers.push(("content-encoding", "gzip".to_owned()));
        }
        let plain_bytes = request.body.len();
        let body = packed.unwrap_or_else(|| request.body.clone());
        if let Some(signature) = request.signature(&body) {
            headers.push(("x-device-signature", signature));
        }
        let method = request.kind.method().as_str();
        let (at, life) = (self.now(), self.residents[device].life);
        let kind = request.kind.as_str();
        self.note(device, &format!("{method} {kind} {plain_bytes} B"));
        self.dispatch(device, id, Request { device, life, at, method, path: request.path, headers, body });
    }

    pub(super) fn dispatch(&mut self, device: usize, id: RequestId, request: Request) {
        self.requests += 1;
        let now_ms = self.now_ms;
        if self.residents[device].calls.launched(now_ms) {
            self.crowd.retries(now_ms, device);
        }
        let at_ms = now_ms + self.latency_ms();
        let boot = self.residents[device].boot;
        if self.is_cut(device) || self.chance.hits(self.rules.faults.lost_request) {
            self.note(device, "lost");
            if self.rules.sabotage == Some(Sabotage::Hurries) {
                self.at(now_ms + HURRY_MS, Event::Again { device, boot, id, request });
            }
            return;
        }
        if self.chance.hits(self.rules.faults.repeated_request) {
            let again_ms = at_ms + self.chance.below(REPEATED_WITHIN_MS);
            self.at(again_ms, Event::Arrive { device, boot, id, request: request.clone() });
        }
        self.at(at_ms, Event::Arrive { device, boot, id, request });
    }

    pub(super) async fn arrive(
        &mut self,
        device: usize,
        boot: u32,
        id: RequestId,
        mut request: Request,
        server: &mut impl AsyncFnMut(Request) -> Response,
    ) {
        request.at = self.now();
        let response = if self.chance.hits(self.rules.faults.server_error) {
            Response { status: 500, body: SEEDED_ERROR.to_vec() }
        } else {
            server(request).await
        };
        self.note(device, &format!("{} {} B", response.status, response.body.len()));
        if self.is_cut(device) || self.chance.hits(self.rules.faults.lost_response) {
            self.note(device, "answer lost");
            return;
        }
        let late_ms =
            if self.chance.hits(self.rules.faults.late_response) { self.chance.below(LATE_WITHIN_MS) } else { 0 };
        let at_ms = self.now_ms + self.latency_ms() + late_ms;
        let outcome = Outcome::Answer { status: response.status, body: response.body };
        if self.chance.hits(self.rules.faults.repeated_response) {
            let again_ms = at_ms + self.chance.below(REPEATED_WITHIN_MS);
            self.at(again_ms, Event::Answer { device, boot, id, outcome: outcome.clone() });
        }
        self.at(at_ms, Event::Answer { device, boot, id, outcome });
    }

    /// A mobile network: mostly quick, at times not.
    fn latency_ms(&mut self) -> u64 {
        let slow = self.chance.hits(0.02);
        20 + self.chance.below(if slow { 2_000 } else { 150 })
    }

    fn is_cut(&self, device: usize) -> bool {
        let now = self.now().0;
        self.outages.iter().chain(&self.residents[device].outages).any(|o| o.contains(&now))
    }
}
