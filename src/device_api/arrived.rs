//! A request on its way in: who speaks, whether there is room for it now, its body, and whether the body is as it was sent.
//! In this order, so that nobody's body costs more than listening before it is known whose it is.
use std::borrow::Cow;

use axum::extract::Request;
use axum::http::HeaderMap;
use bytes::Bytes;
use ccms_core::ids::DeviceId;
use ccms_core::wire::envelope::ErrorCode;
use ccms_service::{Caller, DeviceIdentity, Refusal};

use super::routes::{DeviceRoute, Proof};
use super::{Context, bearer, body, front};

pub(super) struct Arrived {
    pub id: DeviceId,
    /// Who proved to be the device in the path; always there on routes that take a token.
    pub who: Option<DeviceIdentity>,
    pub headers: HeaderMap,
    pub query: Option<String>,
    /// As it was sent, for signatures.
    pub raw: Bytes,
    /// The same, unpacked.
    pub body: Bytes,
    /// Which route it came to.
    pub route: &'static str,
}

impl Arrived {
    pub async fn new(c: &Context, request: &mut Request, route: &DeviceRoute) -> Result<Self, Refusal> {
        let id = device_id(front::device_in(request.uri().path()))?;
        let who = match let_in(c, &id, bearer::token(request.headers()), route).await {
            Ok(who) => who,
            Err(refusal) => {
                // Its sender gets to read the answer.
                Box::pin(body::ignore(request, c.body_timeout)).await;
                return Err(refusal);
            }
        };
        let body::Received { raw, body } = body::read(request, c.body_timeout, route.body_bytes_max).await?;
        let query = request.uri().query().map(str::to_owned);
        let headers = std::mem::take(request.headers_mut());
        let arrived = Self { id, who, headers, query, raw, body, route: route.name };
        if let Some(who) = &arrived.who {
            c.ccms.check_signature(who, arrived.signature(), &arrived.raw)?;
        }
        Ok(arrived)
    }

    pub fn who(&self) -> Result<&DeviceIdentity, Refusal> {
        self.who.as_ref().ok_or_else(|| Refusal::unauthorized("A device token is required; configure first"))
    }

    pub fn bearer(&self) -> Option<&str> {
        bearer::token(&self.headers)
    }

    pub fn signature(&self) -> Option<&str> {
        bearer::signature(&self.headers)
    }
}

/// Who speaks, counted against whose share it is.
async fn let_in(
    c: &Context,
    id: &DeviceId,
    bearer: Option<&str>,
    route: &DeviceRoute,
) -> Result<Option<DeviceIdentity>, Refusal> {
    let usage = match (route.proof, bearer) {
        (Proof::Weighed, _) => {
            c.ccms.admit_configure(id, bearer)?;
            return Ok(None);
        }
        (Proof::TokenOrNone, None) => {
            c.ccms.admit(Caller::Unproven(id), route.traffic)?;
            return Ok(None);
        }
        (Proof::Token(usage), _) => usage,
        (Proof::TokenOrNone, Some(_)) => ccms_service::TokenUse::Command,
    };
    match c.ccms.authenticate(id, bearer, usage).await {
        Ok(who) => {
            c.ccms.admit(Caller::Proven(&who), route.traffic)?;
            Ok(Some(who))
        }
        Err(refusal) => {
            c.ccms.admit(Caller::Unproven(id), route.traffic)?;
            Err(refusal)
        }
    }
}

fn device_id(in_path: &str) -> Result<DeviceId, Refusal> {
    let text = unescaped(in_path)
        .ok_or_else(|| Refusal::new(ErrorCode::BadRequest, "The device id in the path cannot be read"))?;
    DeviceId::parse(&text).map_err(|e| Refusal::new(ErrorCode::BadRequest, e.to_string()))
}

/// `%3A` is a colon; what only looks like an escape stands for itself. `None` when it is no UTF-8.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(text.into());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let digits = after.first_chunk().filter(|_| *first == b'%');
        let escaped = digits.and_then(|[high, low]: &[u8; 2]| {
            let digit = |c: &u8| char::from(*c).to_digit(16);
            u8::try_from(digit(high)? * 16 + digit(low)?).ok()
        });
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_read_and_what_only_looks_like_one_is_not() {
        for (path, text) in [("X", "X"), ("IMEI%3A1", "IMEI:1"), ("%c3%A9", "é"), ("1%", "1%"), ("%zz%4", "%zz%4")] {
            assert_eq!(unescaped(path).as_deref(), Some(text), "{path}");
        }
        assert_eq!(unescaped("%ff"), None);
    }
}
