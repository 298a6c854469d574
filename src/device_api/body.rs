//! Request bodies: bounded on the wire, bounded after gunzip, bounded in time.
use std::future::poll_fn;
use std::io::Read;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use bytes::{Bytes, BytesMut};
use ccms_core::limits::BODY_BYTES_MAX;
use ccms_core::wire::envelope::ErrorCode;
use ccms_service::Refusal;
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;

/// A client that sends too much is listened to this far, so that it gets to read its answer instead of a reset.
const DRAIN_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A whole body.
pub(super) struct Received {
    /// As it was sent: what a signature is over.
    pub raw: Bytes,
    /// Unpacked: what it says.
    pub body: Bytes,
}

/// The whole body, as it was sent and unpacked to `bytes_max` at most.
pub(super) async fn read(request: &mut Request, timeout: Duration, bytes_max: usize) -> Result<Received, Refusal> {
    let body = std::mem::take(request.body_mut());
    let mut collecting = pin!(collect(body, BODY_BYTES_MAX));
    // Nearly every body came with its head: then nothing is timed.
    let raw = match poll_fn(|cx| Poll::Ready(collecting.as_mut().poll(cx))).await {
        Poll::Ready(raw) => raw?,
        Poll::Pending => Box::pin(tokio::time::timeout(timeout, collecting))
            .await
            .map_err(|_| Refusal::new(ErrorCode::BadRequest, "The body did not arrive in time"))??,
    };
    let encoding = request.headers().get(header::CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("unreadable").trim());
    match encoding.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "identity") if raw.len() > bytes_max => Err(too_large(bytes_max)),
        None | Some("" | "identity") => Ok(Received { body: raw.clone(), raw }),
        Some("gzip" | "x-gzip") => Ok(Received { body: gunzip(&raw, bytes_max)?, raw }),
        Some(_) => Err(Refusal::new(ErrorCode::BadRequest, "Content-Encoding is gzip or absent")),
    }
}

/// Listens to a body that nobody will read, within the same bounds, and keeps nothing of it.
pub(super) async fn ignore(request: &mut Request, timeout: Duration) {
    let _ = tokio::time::timeout(timeout, collect(std::mem::take(request.body_mut()), 0)).await;
}

async fn collect(mut body: Body, kept_max: usize) -> Result<Bytes, Refusal> {
    let (mut first, mut kept, mut seen) = (Bytes::new(), BytesMut::new(), 0usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::new(ErrorCode::BadRequest, "The body could not be read to its end"))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen == data.len() && seen <= kept_max {
            // Nearly every body comes in one piece, which is then not copied.
            first = data;
        } else if seen <= kept_max {
            kept.extend_from_slice(&std::mem::take(&mut first));
            kept.extend_from_slice(&data);
        } else if seen > DRAIN_BYTES_MAX {
            break;
        }
    }
    match seen {
        _ if seen > kept_max => Err(too_large(kept_max)),
        _ if kept.is_empty() => Ok(first),
        _ => Ok(kept.freeze()),
    }
}

fn gunzip(packed: &[u8], bytes_max: usize) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    let mut decoder = MultiGzDecoder::new(packed).take(bytes_max as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|_| Refusal::new(ErrorCode::BadRequest, "The body is not valid gzip"))?;
    if plain.len() > bytes_max { Err(too_large(bytes_max)) } else { Ok(plain.into()) }
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(ErrorCode::BodyTooLarge, format!("The body is larger than {} KB", limit / 1024))
}
