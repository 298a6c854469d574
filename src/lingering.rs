//! Requests that never become one: a head that is too large, or no HTTP at all. hyper refuses them by itself, with an empty
//! body and codes that firmware does not know. On its way out such a refusal is replaced by the contract's envelope, and what
//! the client is still sending is read to its end, or the answer would be lost in a reset.
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::{Json, Router};
use ccms_core::wire::envelope::{ErrorCode, ErrorEnvelope};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::time::Sleep;

/// How long, and how far, a refused client is listened to.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 8 * 1024 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;
/// What a device waits before it says the like again.
const RETRY_AFTER_S: u32 = 300;

/// A connection whose bare refusals are put in the envelope.
pub struct Lingering<IO> {
    io: IO,
    refusal: Option<Refusal>,
}

struct Refusal {
    answer: Vec<u8>,
    written: usize,
    heard: usize,
    until: Pin<Box<Sleep>>,
}

impl<IO> Lingering<IO> {
    pub fn new(io: IO) -> Self {
        Self { io, refusal: None }
    }

    /// True once hyper speaks for itself: from there on its words are ours.
    fn refuses(&mut self, head: &[u8]) -> bool {
        if self.refusal.is_none()
            && let Some(why) = bare_refusal(head)
        {
            ccms_service::metrics::refused(ErrorCode::BadRequest);
            let until = Box::pin(tokio::time::sleep(LINGER));
            self.refusal = Some(Refusal { answer: enveloped(why), written: 0, heard: 0, until });
        }
        self.refusal.is_some()
    }
}

/// Why hyper refused, if this is the head of such a refusal: nobody else closes the connection over an empty 4xx.
fn bare_refusal(head: &[u8]) -> Option<&'static str> {
    let why = match head.get(..12)? {
        b"HTTP/1.1 400" | b"HTTP/1.0 400" => "This is no HTTP request",
        b"HTTP/1.1 414" | b"HTTP/1.0 414" => "The path is too long",
        b"HTTP/1.1 431" | b"HTTP/1.0 431" => "The headers are too large",
        _ => return None,
    };
    let text = std::str::from_utf8(head).ok()?.to_ascii_lowercase();
    let empty = text.ends_with("\r\n\r\n") && text.contains("\r\ncontent-length: 0\r\n");
    (empty && text.contains("\r\nconnection: close\r\n") && !text.contains("\r\nx-request-id:")).then_some(why)
}

fn enveloped(why: &str) -> Vec<u8> {
    let envelope = ErrorEnvelope::new(ErrorCode::BadRequest, why, RETRY_AFTER_S);
    let body = serde_json::to_string(&envelope).unwrap_or_default();
    let length = body.len();
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What a TLS port tells those who speak plain HTTP to it.
pub(crate) fn wants_tls() -> Router {
    Router::new().fallback(|| async {
        let envelope = ErrorEnvelope::new(ErrorCode::BadRequest, "This port speaks HTTPS only", RETRY_AFTER_S);
        (
            StatusCode::BAD_REQUEST,
            [(header::CONNECTION, "close"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")],
            Json(envelope),
        )
    })
}

impl<IO: Write + Unpin> Lingering<IO> {
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        while refusal.written < refusal.answer.len() {
            match ready!(Pin::new(&mut self.io).poll_write(cx, &refusal.answer[refusal.written..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                n => refusal.written += n,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: Read + Unpin> Lingering<IO> {
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(()) };
        while refusal.heard < LINGER_BYTES_MAX && refusal.until.as_mut().poll(cx).is_pending() {
            let mut chunk = [0; CHUNK_BYTES];
            let mut buffer = ReadBuf::new(&mut chunk);
            match ready!(Pin::new(&mut self.io).poll_read(cx, buffer.unfilled())) {
                Ok(()) if !buffer.filled().is_empty() => refusal.heard += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<IO: Read + Unpin> Read for Lingering<IO> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<IO: Read + Write + Unpin> Write for Lingering<IO> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.refuses(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        ready!(Pin::new(&mut self.io).poll_shutdown(cx))?;
        ready!(self.poll_linger(cx));
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bytes.iter().find(|b| !b.is_empty());
        if first.is_some_and(|head| self.refuses(head)) {
            return Poll::Ready(Ok(bytes.iter().map(|b| b.len()).sum()));
        }
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_hyper_says_by_itself_is_replaced() {
        let bare =
            "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert!(bare_refusal(bare.as_bytes()).is_some());
        for other in [
            &bare[..60],
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nx-request-id: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
            "HTTP",
            "",
        ] {
            assert!(bare_refusal(other.as_bytes()).is_none(), "{other}");
        }
        let answer = String::from_utf8(enveloped("why")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())) && body.starts_with("{\"status\":\"error\""));
    }
}
