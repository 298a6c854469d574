//! The JSON of the device HTTP contract, both ways: what a device sends (written strictly, read leniently) and what the
//! server answers (written as documented plus optional additions, read leniently).
//!
//! Reading is lenient per field: a field of the wrong type or out of range costs that field, never the message. An item of
//! a list that cannot be what the list is of is set apart, [`Quarantined`], and costs nobody else. Only a body that is not
//! JSON, or not of a documented shape, is refused.
//!
//! What a device writes is called `…Request`, what was read of it `…Message`, and the answer `…Response`.
pub mod ack;
pub mod alert;
mod bare;
pub mod commands;
pub mod configure;
pub mod envelope;
mod field;
pub mod firmware;
pub mod health;
pub mod logs;
mod measured;
pub mod mqtt;
pub mod status;
pub mod sync;

#[cfg(test)]
mod additions;
#[cfg(test)]
mod any_input;
#[cfg(test)]
mod golden;

use serde_json::value::RawValue;

use crate::limits::QUARANTINED_BYTES_MAX;

/// Why a body was refused as a whole. The text goes to the device and the log; it never quotes the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    #[error("{0}")]
    Shape(&'static str),
    #[error("at most {max} {what} are accepted in one request")]
    TooMany { max: usize, what: &'static str },
}

impl BadBody {
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            serde_json::error::Category::Syntax => "syntax error",
            serde_json::error::Category::Data => "an object was expected",
            serde_json::error::Category::Io => "unreadable",
        };
        Self::NotJson(format!("{kind} at line {} column {}", error.line(), error.column()))
    }
}

/// What of a list could not be read, kept for the people who look after that firmware.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The JSON as it came, at most [`QUARANTINED_BYTES_MAX`] of it.
    pub raw: String,
    pub reason: &'static str,
}

impl Quarantined {
    fn new(raw: &RawValue, reason: &'static str) -> Self {
        let text = raw.get();
        let end = text.floor_char_boundary(QUARANTINED_BYTES_MAX);
        Self { raw: text[..end].to_owned(), reason }
    }
}

/// Reads a body, and once more as it was meant when only numbers that JSON has no words for kept it from being JSON.
fn mending<T>(body: &[u8], read: impl Fn(&str) -> Result<T, BadBody>) -> Result<T, BadBody> {
    // Looked at once for all that is read from it: what stands inside a text is text.
    match read(text(body)?) {
        Err(BadBody::NotJson(why)) => match bare::mended(body).map(|mended| read(text(&mended)?)) {
            // Where it breaks is told of what was sent.
            None | Some(Err(BadBody::NotJson(_))) => Err(BadBody::NotJson(why)),
            Some(read) => read,
        },
        read => read,
    }
}

fn text(body: &[u8]) -> Result<&str, BadBody> {
    std::str::from_utf8(body).map_err(|_| BadBody::NotJson("it is not UTF-8".into()))
}

/// A body that is JSON: a list with its items unread, or an object still to be read.
enum Shape<'a> {
    List(Vec<&'a RawValue>),
    Object,
}

fn shape(body: &str) -> Result<Shape<'_>, BadBody> {
    match body.trim_ascii_start().as_bytes().first() {
        None => Err(BadBody::NotJson("it is empty".into())),
        Some(b'[') => Ok(Shape::List(serde_json::from_str(body).map_err(|e| BadBody::json(&e))?)),
        Some(b'{') => Ok(Shape::Object),
        Some(_) => {
            serde_json::from_str::<&RawValue>(body).map_err(|e| BadBody::json(&e))?;
            Err(BadBody::Shape("an object or an array of objects was expected"))
        }
    }
}
