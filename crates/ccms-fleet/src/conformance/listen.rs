//! The sockets around a referee: HTTP/1.1, over TLS where there is a certificate. A call that gets no answer, a late one or the
//! same one twice is what the referee asks for, so connections are closed and held here in ways a server would not.
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use ccms_core::limits::BODY_BYTES_MAX;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::call::{Heard, Reaction};
use super::hands::Hands;
use super::referee::Referee;
use crate::clock::Clock;

/// A connection that is held without an answer is closed after this, should the device never do it.
const SILENCE_MAX: Duration = Duration::from_secs(120);
const HEADER_MAX: Duration = Duration::from_secs(30);
const BODY_MAX: Duration = Duration::from_secs(30);
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// A pause after `accept` failed: descriptors may be short for a moment.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// A referee that many connections talk to.
#[derive(Debug)]
pub struct Stage {
    clock: Clock,
    referee: Mutex<Referee>,
    /// Something happened.
    changed: Notify,
}

impl Stage {
    /// The clock starts with the run.
    pub fn new(clock: Clock, referee: Referee) -> Arc<Self> {
        Arc::new(Self { clock, referee: Mutex::new(referee), changed: Notify::new() })
    }

    pub fn with<T>(&self, ask: impl FnOnce(&mut Referee, u64) -> T) -> T {
        let mut referee = self.referee.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = ask(&mut referee, self.clock.steady_ms());
        self.changed.notify_one();
        answer
    }

    /// Plays until the end, or until `stop` turns true; `say` gets a line at a time.
    pub async fn play(&self, hands: &Hands, mut stop: watch::Receiver<bool>, mut say: impl FnMut(&str)) {
        let act = async |stimulus, only_tried| {
            let was_done = hands.act(stimulus, only_tried).await;
            self.with(|referee, now_ms| referee.done(now_ms, was_done));
        };
        let mut acting = std::pin::pin!(None);
        loop {
            let (asked, wake_ms, is_over) = {
                let mut referee = self.referee.lock().unwrap_or_else(PoisonError::into_inner);
                referee.tick(self.clock.steady_ms());
                std::iter::from_fn(|| referee.news()).for_each(|line| say(&line));
                let only_tried = referee.is_only_tried();
                (referee.ask().map(|s| (s, only_tried)), referee.wake_at_ms(), referee.is_over())
            };
            if is_over {
                return;
            }
            if let Some((stimulus, only_tried)) = asked {
                acting.set(Some(act(stimulus, only_tried)));
            }
            let wake = wake_ms.map(|ms| Instant::from_std(self.clock.instant_at_ms(ms)));
            tokio::select! {
                _ = stop.wait_for(|s| *s) => return,
                () = self.changed.notified() => {}
                () = async { if let Some(at) = wake { sleep_until(at).await } else { std::future::pending().await } } => {}
                () = async { if let Some(act) = acting.as_mut().as_pin_mut() { act.await } else { std::future::pending().await } } => {
                    acting.set(None);
                }
            }
        }
    }

    /// Takes connections for as long as it is polled.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, tls: Option<TlsAcceptor>) {
        loop {
            let Ok((socket, _)) = listener.accept().await else {
                sleep(ACCEPT_AGAIN).await;
                continue;
            };
            // Answers are small and wanted at once; where that cannot be set they are late by a moment.
            let _ = socket.set_nodelay(true);
            let (stage, tls) = (Arc::clone(&self), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => stage.talk(socket, false).await,
                    Some(tls) => {
                        if let Ok(Ok(socket)) = timeout(HANDSHAKE_MAX, tls.accept(socket)).await {
                            stage.talk(socket, true).await;
                        }
                    }
                }
            });
        }
    }

    async fn talk(self: Arc<Self>, socket: impl AsyncRead + AsyncWrite + Unpin, secure: bool) {
        let behind = Arc::new(Mutex::new(None::<Vec<u8>>));
        let service = {
            let (stage, behind) = (Arc::clone(&self), Arc::clone(&behind));
            service_fn(move |request| Arc::clone(&stage).answer(request, secure, Arc::clone(&behind)))
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADER_MAX);
        let ended = http.serve_connection(TokioIo::new(socket), service).without_shutdown().await;
        let bytes = behind.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Ok(parts), Some(bytes)) = (ended, bytes) {
            // The other side may have closed already, as it may after `Connection: close`.
            let mut socket = parts.io.into_inner();
            let _ = socket.write_all(&bytes).await;
            let _ = socket.shutdown().await;
        }
    }

    /// An error closes the connection.
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        secure: bool,
        behind: Arc<Mutex<Option<Vec<u8>>>>,
    ) -> Result<Response<Full<Bytes>>, HungUp> {
        let (head, body) = request.into_parts();
        let read = timeout(BODY_MAX, Limited::new(body, BODY_BYTES_MAX).collect()).await.map_err(|_| HungUp)?;
        let body = match read {
            Ok(body) => body.to_bytes().to_vec(),
            // Longer than anybody may send; the referee refuses it by its length.
            Err(error) if error.is::<LengthLimitError>() => vec![0; BODY_BYTES_MAX + 1],
            Err(_) => return Err(HungUp),
        };
        let heard = heard(head.method.as_str(), head.uri.path(), &head.headers, body, secure);
        let (reaction, now_ms) = self.with(|referee, now_ms| (referee.hear(now_ms, &heard), now_ms));
        match reaction {
            Reaction::HangUp => Err(HungUp),
            Reaction::Silence => {
                sleep(SILENCE_MAX).await;
                Err(HungUp)
            }
            Reaction::Answer { status, body, after_ms, twice } => {
                if after_ms > 0 {
                    sleep_until(Instant::from_std(self.clock.instant_at_ms(now_ms + after_ms))).await;
                }
                let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
                if twice {
                    response = response.header(header::CONNECTION, "close");
                    *behind.lock().unwrap_or_else(PoisonError::into_inner) = Some(on_the_wire(status, &body));
                }
                response.body(Full::new(Bytes::from(body))).map_err(|_| HungUp)
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct HungUp;

fn heard(method: &str, path: &str, headers: &HeaderMap, body: Vec<u8>, secure: bool) -> Heard {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let bearer = |value: String| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    Heard {
        method: method.to_owned(),
        path: path.to_owned(),
        bearer: text("authorization").and_then(bearer),
        content_type: text("content-type"),
        packed: text("content-encoding").is_some_and(|v| v.eq_ignore_ascii_case("gzip")),
        signature: text("x-device-signature"),
        secure,
        body,
    }
}

/// The same answer as the HTTP library writes it, for the second time.
fn on_the_wire(status: u16, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} \r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
