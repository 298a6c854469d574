//! What each route does with a request that [`Arrived`].
use std::time::Duration;

use axum::extract::Request;
use axum::response::Response;
use ccms_core::wire::BadBody;
use ccms_core::wire::ack::AckMessage;
use ccms_core::wire::alert::AlertMessage;
use ccms_core::wire::configure::ConfigureRequest;
use ccms_core::wire::envelope::ErrorCode;
use ccms_core::wire::firmware::FirmwareMessage;
use ccms_core::wire::logs::LogsMessage;
use ccms_core::wire::status::{self, StatusBatch};
use ccms_core::wire::sync::SyncMessage;
use ccms_service::{DeviceIdentity, Evidence, Refusal, StatusReceipt, request};
use serde::Serialize;

use super::arrived::Arrived;
use super::routes::{DeviceRoute, Endpoint};
use super::{Context, answer};

/// The longest that a poll may ask to be held.
pub const WAIT_MAX: Duration = Duration::from_secs(60);

pub(super) async fn serve(c: &Context, route: &'static DeviceRoute, request: &mut Request) -> Response {
    let served = async {
        let arrived = Arrived::new(c, request, route).await?;
        serve_arrived(c, route, arrived).await
    };
    served.await.unwrap_or_else(|refusal: Refusal| answer::refuse(&refusal))
}

/// A future of its own, and no `async fn`, so that what a request was while it arrived and what it is now share their room.
#[expect(clippy::manual_async_fn, reason = "an async fn keeps its arguments twice")]
fn serve_arrived(
    c: &Context,
    route: &'static DeviceRoute,
    arrived: Arrived,
) -> impl Future<Output = Result<Response, Refusal>> {
    async move {
        match route.endpoint {
            Endpoint::Status => {
                let (who, batch) = arrived.read(c, |body| status::parse(body, c.ccms.now())).await?;
                let is_list = batch.is_list;
                let receipt = if batch.quarantined.is_empty() {
                    // Two small allocations are quicker than a large one.
                    Box::pin(c.ccms.record_status(who, batch)).await?
                } else {
                    Box::pin(record(c, who, batch)).await?
                };
                ok(&receipt.response(is_list))
            }
            Endpoint::Commands => {
                let who = arrived.who()?;
                let wait = wait_asked(arrived.query.as_deref());
                if wait.is_zero() {
                    return ok(&c.ccms.poll(who).await?);
                }
                ok(&Box::pin(c.ccms.poll_waiting(who, wait, &c.stop)).await?)
            }
            // The others are rare, and their state would be carried by every request.
            _ => Box::pin(serve_rare(c, route, &arrived)).await,
        }
    }
}

async fn serve_rare(c: &Context, route: &DeviceRoute, arrived: &Arrived) -> Result<Response, Refusal> {
    match route.endpoint {
        Endpoint::Configure => configure(c, arrived).await,
        Endpoint::Sync => {
            let (who, sync) = arrived.read(c, |body| SyncMessage::parse(body, c.ccms.now())).await?;
            ok(&c.ccms.sync(who, sync).await?)
        }
        Endpoint::CommandAck => acknowledge(c, arrived).await,
        Endpoint::Alert => {
            let (who, alert) = arrived.read(c, AlertMessage::parse).await?;
            ok(&c.ccms.record_alert(who, alert).await?)
        }
        Endpoint::Logs => {
            let (who, logs) = arrived.read(c, LogsMessage::parse).await?;
            ok(&c.ccms.record_logs(who, logs).await?)
        }
        Endpoint::Health => ok(&c.ccms.health(arrived.who()?)),
        Endpoint::FirmwareReport => {
            let (who, report) = arrived.read(c, FirmwareMessage::parse).await?;
            ok(&c.ccms.record_firmware(who, report).await?)
        }
        Endpoint::FirmwareImage => ok(&c.ccms.firmware_for(arrived.who()?)),
        Endpoint::Status | Endpoint::Commands => {
            Err(Refusal::new(ErrorCode::Internal, "This route is served elsewhere"))
        }
    }
}

/// What is put aside beside readings is written to the database and then to memory, which its sender must not interrupt.
async fn record(c: &Context, who: &DeviceIdentity, batch: StatusBatch) -> Result<StatusReceipt, Refusal> {
    let (ccms, who) = (c.ccms.clone(), who.clone());
    let finishing = tokio::spawn(request::go_on(async move { ccms.record_status(&who, batch).await }));
    finishing.await.map_err(|_| Refusal::unavailable())?
}

async fn configure(c: &Context, arrived: &Arrived) -> Result<Response, Refusal> {
    let request = ConfigureRequest::parse(&arrived.body, c.ccms.now())?;
    let evidence = Evidence { bearer: arrived.bearer(), signature: arrived.signature(), raw: &arrived.raw };
    ok(&c.ccms.configure(&arrived.id, evidence, &request).await?)
}

/// The document shows this request without a token: then it is accepted, but unverified.
async fn acknowledge(c: &Context, arrived: &Arrived) -> Result<Response, Refusal> {
    let ack = match &arrived.who {
        Some(_) => arrived.read(c, AckMessage::parse).await?.1,
        None => AckMessage::parse(&arrived.body)?,
    };
    ok(&c.ccms.acknowledge(&arrived.id, arrived.who.as_ref(), ack).await?)
}

impl Arrived {
    /// The body as what the route takes. What cannot be read is told to people, because its sender is one of ours.
    async fn read<T>(
        &self,
        c: &Context,
        parse: impl FnOnce(&[u8]) -> Result<T, BadBody>,
    ) -> Result<(&DeviceIdentity, T), Refusal> {
        let who = self.who()?;
        match parse(&self.body) {
            Ok(message) => Ok((who, message)),
            Err(bad) => {
                let (ccms, who, route, told) = (c.ccms.clone(), who.clone(), self.route, bad.clone());
                let finishing = async move { ccms.malformed(&who, route, &told).await };
                let _ = tokio::spawn(request::go_on(finishing)).await;
                Err(bad.into())
            }
        }
    }
}

/// `?wait=seconds` of a poll; anything that is no number is no wait.
fn wait_asked(query: Option<&str>) -> Duration {
    let value = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("wait="));
    let seconds = value.and_then(|v| v.parse().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(WAIT_MAX)
}

fn ok(body: &impl Serialize) -> Result<Response, Refusal> {
    Ok(answer::ok(body))
}

pub(super) fn unknown_path() -> Response {
    answer::refuse(&Refusal::new(ErrorCode::UnknownPath, "There is no such path below /api/device/{deviceId}/"))
}

pub(super) fn wrong_method() -> Response {
    answer::refuse(&Refusal::new(ErrorCode::MethodNotAllowed, "This path does not take that method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_minute_at_most_and_nonsense_is_none() {
        for (query, seconds) in [
            (None, 0),
            (Some(""), 0),
            (Some("wait=5"), 5),
            (Some("light=1&wait=60&x=%zz&&"), 60),
            (Some("wait=61"), 60),
            (Some("wait=18446744073709551615"), 60),
            (Some("wait=18446744073709551616"), 0),
            (Some("wait=-1"), 0),
            (Some("wait=abc"), 0),
            (Some("await=9"), 0),
        ] {
            assert_eq!(wait_asked(query).as_secs(), seconds, "{query:?}");
        }
    }
}
