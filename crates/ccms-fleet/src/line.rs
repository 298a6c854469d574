//! The connection of one device of many: a socket of its own, kept open, with one request at a time on it. Between requests it
//! holds no buffer, which is what lets a process have a hundred thousand of them. HTTP/1.1 as far as the device contract
//! uses it; for TLS see [`crate::http`].
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use ccms_device::{Outcome, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::http::gzip;

/// The largest answer that is read; anything beyond is no answer of this contract.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const ANSWER_BYTES: usize = 1_024;
/// More than a head has, with its token.
const HEAD_BYTES: usize = 768;
const AGENT: &str = concat!("ccms-device/", env!("CARGO_PKG_VERSION"));
const HEADERS_MAX: usize = 48;
/// How much longer than the device the shell waits before it drops a request: the device decides first.
const TIMEOUT_GRACE_MS: u64 = 500;
/// Behind the host in `http://host`.
const PORT: u16 = 80;

/// Where all devices of a process call.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    host: String,
}

impl Server {
    /// `http://127.0.0.1:8000`, with or without a slash at the end.
    ///
    /// # Errors
    /// When it is no such URL, or nobody knows the host.
    pub async fn find(url: &str) -> anyhow::Result<Self> {
        let parsed = reqwest::Url::parse(url).with_context(|| format!("{url:?} is not a URL"))?;
        ensure!(parsed.scheme() == "http", "{url:?}: many devices speak plain http only");
        ensure!(parsed.path() == "/", "{url:?}: the device routes are at the server's root");
        let name = parsed.host_str().with_context(|| format!("{url:?} names no host"))?;
        let port = parsed.port().unwrap_or(PORT);
        let mut found = tokio::net::lookup_host((name.trim_matches(['[', ']']), port)).await?;
        let address = found.next().with_context(|| format!("{name} has no address"))?;
        Ok(Self { address, host: format!("{name}:{port}") })
    }

    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }

    /// As it stands in the header of that name.
    pub fn host(&self) -> &str {
        &self.host
    }
}

/// One device's way to the server.
#[derive(Debug)]
pub struct Line {
    server: Arc<Server>,
    source: Option<IpAddr>,
    socket: Mutex<Option<TcpStream>>,
}

/// Status and body.
type Answer = (u16, Vec<u8>);

/// Why an exchange came to nothing.
enum Failure {
    /// The connection was closed before anything of an answer came. Servers do that to idle ones.
    Stale,
    Other(anyhow::Error),
}

impl Line {
    pub fn new(server: Arc<Server>, source: Option<IpAddr>) -> Self {
        Self { server, source, socket: Mutex::new(None) }
    }

    /// Sends a request when the one before it is answered.
    pub async fn send(&self, request: Request) -> Outcome {
        let most = Duration::from_millis(u64::from(request.timeout_s) * 1000 + TIMEOUT_GRACE_MS);
        let Ok(bytes) = written(&self.server.host, &request) else { return Outcome::NoAnswer };
        drop(request);
        match timeout(most, self.exchange(&bytes)).await {
            Ok(Ok((status, body))) => Outcome::Answer { status, body },
            // Refused, reset, timed out, cut short: to a device it is all the same.
            Ok(Err(_)) | Err(_) => Outcome::NoAnswer,
        }
    }

    /// Sends a request as it stands, when the one before it is answered. Status and body of the answer.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> anyhow::Result<Answer> {
        // A request that is dropped half-way takes its socket with it: what comes on it would be the wrong answer.
        let mut slot = self.socket.lock().await;
        if let Some(kept) = slot.take() {
            match over(kept, bytes).await {
                Ok((answer, socket)) => {
                    *slot = socket;
                    return Ok(answer);
                }
                Err(Failure::Stale) => {}
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        match over(self.connect().await?, bytes).await {
            Ok((answer, socket)) => {
                *slot = socket;
                Ok(answer)
            }
            Err(Failure::Stale) => bail!("the server closed the connection"),
            Err(Failure::Other(error)) => Err(error),
        }
    }

    async fn connect(&self) -> anyhow::Result<TcpStream> {
        let address = self.server.address;
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(source) = self.source {
            // Ports of connections that ended a moment ago may be used again.
            socket.set_reuseaddr(true)?;
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// The request as it goes over the wire.
fn written(host: &str, request: &Request) -> std::io::Result<Vec<u8>> {
    let packed = if request.compress { Some(gzip(&request.body)?) } else { None };
    let body = packed.as_deref().unwrap_or(&request.body);
    let mut bytes = Vec::with_capacity(HEAD_BYTES + body.len());
    let method = request.kind.method().as_str();
    write!(bytes, "{method} {} HTTP/1.1\r\nhost: {host}\r\nuser-agent: {AGENT}\r\n", request.path)?;
    if let Some(token) = &request.token {
        write!(bytes, "authorization: Bearer {token}\r\n")?;
    }
    if packed.is_some() {
        bytes.extend_from_slice(b"content-encoding: gzip\r\n");
    }
    // Over the bytes as they leave.
    if let Some(signature) = request.signature(body) {
        write!(bytes, "x-device-signature: {signature}\r\n")?;
    }
    if !body.is_empty() {
        write!(bytes, "content-type: application/json\r\ncontent-length: {}\r\n", body.len())?;
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// One exchange on a socket. The socket comes back when it can be used again.
async fn over(mut socket: TcpStream, request: &[u8]) -> Result<(Answer, Option<TcpStream>), Failure> {
    // An error in writing is that of a server that has gone; what it said before that is still to be read.
    let written = socket.write_all(request).await;
    let mut answer = Vec::with_capacity(ANSWER_BYTES);
    loop {
        let read = socket.read_buf(&mut answer).await;
        let ended = match read {
            Ok(n) => n == 0,
            Err(_) if answer.is_empty() => return Err(Failure::Stale),
            Err(error) => return Err(Failure::Other(error.into())),
        };
        if ended && answer.is_empty() {
            return Err(Failure::Stale);
        }
        match parse(&answer, ended).map_err(Failure::Other)? {
            Some((answer, keep)) => return Ok((answer, (keep && !ended && written.is_ok()).then_some(socket))),
            None if ended => return Err(Failure::Other(anyhow::anyhow!("half an answer"))),
            None if answer.len() > ANSWER_BYTES_MAX => {
                return Err(Failure::Other(anyhow::anyhow!("too long an answer")));
            }
            None => {}
        }
    }
}

/// The answer once it is complete, and whether the connection lives on.
fn parse(bytes: &[u8], ended: bool) -> anyhow::Result<Option<(Answer, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(at) = head.parse(bytes)? else { return Ok(None) };
    let status = head.code.context("no status")?;
    let value = |name: &str| {
        let found = head.headers.iter().find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok())
    };
    let closes = value("connection").is_some_and(|v| v.eq_ignore_ascii_case("close"));
    let rest = &bytes[at..];
    let (body, keep) = if value("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked")) {
        let Some(body) = unchunked(rest)? else { return Ok(None) };
        (body, !closes)
    } else if let Some(length) = value("content-length") {
        let length: usize = length.trim().parse().context("content-length")?;
        let Some(body) = rest.get(..length) else { return Ok(None) };
        // More than was announced would be taken for the next answer.
        (body.to_vec(), !closes && rest.len() == length)
    } else if ended {
        (rest.to_vec(), false)
    } else {
        return Ok(None);
    };
    Ok(Some(((status, body), keep)))
}

/// The body in chunks, once the last one is there.
fn unchunked(mut rest: &[u8]) -> anyhow::Result<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|_| anyhow::anyhow!("no size of a chunk"))?;
        let httparse::Status::Complete((at, length)) = size else { return Ok(None) };
        let (at, length) = (at, usize::try_from(length)?);
        ensure!(length <= ANSWER_BYTES_MAX, "too long a chunk");
        // Each chunk ends with a line break; behind the last one there are no trailers in this contract.
        let Some(chunk) = rest.get(at..at + length + 2) else { return Ok(None) };
        if length == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(&chunk[..length]);
        rest = &rest[at + length + 2..];
    }
}

#[cfg(test)]
mod tests;
