//! Requests over the network: one client with kept-alive connections for all devices of a process.
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use ccms_device::{Method, Outcome, Request};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header;

use crate::trust::Trust;

/// The largest answer that is read; anything beyond is no answer of this contract.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// How much longer than the device the shell waits before it drops a request: the device decides first.
const TIMEOUT_GRACE_MS: u64 = 500;

#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    server: String,
}

impl Http {
    /// `server`: `http://127.0.0.1:8000`, with or without a slash at the end. Over TLS the system's authorities are believed.
    pub fn new(server: &str) -> anyhow::Result<Self> {
        Self::with_trust(server, None)
    }

    /// The same, believing only whom `trust` says.
    pub fn with_trust(server: &str, trust: Option<&Trust>) -> anyhow::Result<Self> {
        let url = reqwest::Url::parse(server).with_context(|| format!("{server:?} is not a URL"))?;
        let mut builder = reqwest::Client::builder();
        if let Some(trust) = trust {
            // A pin that pins nothing is a mistake that nobody notices.
            anyhow::ensure!(url.scheme() == "https", "{server:?}: keys and authorities are for https");
            builder = builder.tls_backend_preconfigured(trust.client_config()?);
        }
        let client = builder
            .tcp_nodelay(true)
            // Answers are a few hundred bytes: packing them costs both sides more than it saves.
            .gzip(false)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(90))
            .user_agent(concat!("ccms-device/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("starting the HTTP client")?;
        Ok(Self { client, server: server.trim_end_matches('/').to_owned() })
    }

    pub async fn send(&self, request: Request) -> Outcome {
        match self.exchange(request).await {
            Ok(outcome) => outcome,
            // Refused, reset, timed out, cut short: to a device it is all the same.
            Err(_) => Outcome::NoAnswer,
        }
    }

    async fn exchange(&self, request: Request) -> anyhow::Result<Outcome> {
        let url = format!("{}{}", self.server, request.path);
        let mut builder = match request.kind.method() {
            Method::Get => self.client.get(url),
            Method::Post => self.client.post(url).header(header::CONTENT_TYPE, "application/json"),
            Method::Put => self.client.put(url).header(header::CONTENT_TYPE, "application/json"),
        };
        builder = builder.timeout(Duration::from_millis(u64::from(request.timeout_s) * 1000 + TIMEOUT_GRACE_MS));
        if let Some(token) = &request.token {
            builder = builder.bearer_auth(token);
        }
        let sent = if request.compress {
            builder = builder.header(header::CONTENT_ENCODING, "gzip");
            gzip(&request.body)?
        } else {
            request.body.clone()
        };
        // Over the bytes as they leave.
        if let Some(signature) = request.signature(&sent) {
            builder = builder.header("x-device-signature", signature);
        }
        if !sent.is_empty() {
            builder = builder.body(sent);
        }
        let mut response = builder.send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            anyhow::ensure!(body.len() + chunk.len() <= ANSWER_BYTES_MAX, "the answer is too large");
            body.extend_from_slice(&chunk);
        }
        Ok(Outcome::Answer { status, body })
    }
}

/// `body`, packed as small as it gets: only a device that was offline packs, and it pays for what it sends.
pub fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::best());
    encoder.write_all(body)?;
    encoder.finish()
}
