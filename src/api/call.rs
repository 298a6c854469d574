//! One request as handlers see it: who asks, and the parts of it, each read strictly. A parameter or field that is not known is
//! an error, so that a misspelt one does not pass for set.
use std::str::FromStr;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use ccms_core::ids::{CommandId, DeviceId, LightId};
use ccms_service::{Ccms, Who};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::Context;
use super::auth::Caller;
use super::fields::Fields;
use super::idempotency::Once;
use super::problem::Problem;

/// Items of a page unless the caller says.
const PAGE_DEFAULT: usize = 100;
pub const PAGE_MAX: usize = 500;

pub struct Call {
    pub(super) context: Context,
    pub(super) caller: Caller,
    pub(super) path: Vec<(String, String)>,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// Under which key it is asked once, if it is.
    pub(super) once: Option<Once>,
}

/// A list as every route answers it.
#[derive(Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Ask with it for what follows; null at the end.
    pub next_cursor: Option<String>,
}

impl Call {
    pub fn ccms(&self) -> &Ccms {
        &self.context.ccms
    }

    pub fn who(&self) -> Who<'_> {
        self.caller.who()
    }

    pub fn params<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let uri: axum::http::Uri =
            format!("/?{}", self.query).parse().map_err(|_| Problem::malformed("The query cannot be read."))?;
        let read = axum::extract::Query::<T>::try_from_uri(&uri);
        read.map(|q| q.0).map_err(|e| Problem::malformed(format!("The query cannot be read: {}", cause_of(&e))))
    }

    /// The body as an object to be read field by field: 415 when it says that it is something else, 400 when it is not JSON, 422
    /// when it is not what is asked for.
    pub fn fields(&self) -> Result<Fields, Problem> {
        if !self.content_type().is_some_and(|kind| kind == "application/json" || kind.ends_with("+json")) {
            let detail = "Send the body as Content-Type: application/json.";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        Fields::read(&self.body)
    }

    /// Without its parameters, in small letters.
    pub fn content_type(&self) -> Option<String> {
        let value = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
    }

    /// A part of the path. What cannot be an id is one that nothing has.
    pub fn part<T: FromStr>(&self, name: &str, what: &str) -> Result<T, Problem> {
        let text = self.path.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        text.and_then(|t| t.parse().ok()).ok_or_else(|| Problem::not_found(format!("There is no such {what} here.")))
    }

    pub fn light_id(&self) -> Result<LightId, Problem> {
        self.part("light_id", "light")
    }

    pub fn device_id(&self) -> Result<DeviceId, Problem> {
        self.part("device_id", "device")
    }

    pub fn command_id(&self) -> Result<CommandId, Problem> {
        self.part("command_id", "command")
    }
}

/// What serde says, without the words of the framework around it.
fn cause_of(error: &axum::extract::rejection::QueryRejection) -> String {
    let text = error.body_text();
    text.rsplit_once("query string: ").map_or(text.clone(), |(_, cause)| cause.to_owned())
}

pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(bytes) => {
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], bytes).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The answer could not be written.").into_response()
        }
    }
}

/// `limit` of a query.
#[derive(Debug, Clone, Copy)]
pub struct Limit(pub usize);

impl Default for Limit {
    fn default() -> Self {
        Self(PAGE_DEFAULT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let limit = String::deserialize(d)?.parse::<usize>().ok().filter(|n| (1..=PAGE_MAX).contains(n));
        limit.map(Self).ok_or_else(|| serde::de::Error::custom(format!("limit is a number from 1 to {PAGE_MAX}")))
    }
}

/// A cursor: numbers that mean nothing to the caller, who gives back what it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor<const N: usize>(pub [i64; N]);

impl<const N: usize> Cursor<N> {
    pub fn text(self) -> String {
        let plain: Vec<String> = self.0.iter().map(i64::to_string).collect();
        URL_SAFE_NO_PAD.encode(plain.join("."))
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let numbers: Vec<i64> = plain.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
        numbers.try_into().ok().map(Self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Cursor<N> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("cursor is the next_cursor of an earlier answer"))
    }
}

/// A cursor among names, which may come and go between two pages: a number, and the name behind which to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameCursor(pub i64, pub Option<String>);

impl NameCursor {
    pub fn text(&self) -> String {
        let name = self.1.as_ref().map_or(String::new(), |name| format!(".{name}"));
        URL_SAFE_NO_PAD.encode(format!("{}{name}", self.0))
    }

    fn parse(text: &str) -> Option<Self> {
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (number, name) = match plain.split_once('.') {
            Some((number, name)) => (number, Some(name.to_owned())),
            None => (plain.as_str(), None),
        };
        Some(Self(number.parse().ok()?, name))
    }
}

impl<'de> Deserialize<'de> for NameCursor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("cursor is the next_cursor of an earlier answer"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nothing_else_is_one() {
        let cursor = Cursor([i64::MIN, 7]);
        assert_eq!(Cursor::parse(&cursor.text()), Some(cursor));
        assert_eq!(Cursor::<1>::parse(&cursor.text()), None);
        for text in ["", "x", "MQ==", "%", "MS4y.5"] {
            assert_eq!(Cursor::<1>::parse(text), None, "{text}");
        }
        for name in [None, Some(""), Some("Ward 7.b"), Some("करोल बाग़")] {
            let cursor = NameCursor(-5, name.map(str::to_owned));
            assert_eq!(NameCursor::parse(&cursor.text()), Some(cursor));
        }
        for text in ["", "x", "LjU", "%"] {
            assert_eq!(NameCursor::parse(text), None, "{text}");
        }
    }
}
