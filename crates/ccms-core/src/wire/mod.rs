//! The JSON of the device HTTP contract, both ways: what a device sends (written strictly, read leniently) and what the
//! server answers (written as documented plus optional additions, read leniently).
//!
//! Reading is lenient per field: a field of the wrong type or out of range costs that field, never the message. Only a
//! body that is not JSON, or not of a documented shape, is refused.
pub mod ack;
pub mod commands;
pub mod configure;
pub mod envelope;
mod field;
pub mod status;

#[cfg(test)]
mod golden;

/// Why a body was refused as a whole. The text goes to the device and the log; it never quotes the body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    #[error("the body is not valid JSON: {0}")]
    NotJson(String),
    #[error("{0}")]
    Shape(&'static str),
    #[error("at most {max} readings are accepted in one request")]
    TooMany { max: usize },
}

impl BadBody {
    pub(crate) fn json(error: &serde_json::Error) -> Self {
        let kind = match error.classify() {
            serde_json::error::Category::Eof => "it ends early",
            serde_json::error::Category::Syntax => "syntax error",
            serde_json::error::Category::Data => "an object was expected, each name once",
            serde_json::error::Category::Io => "unreadable",
        };
        Self::NotJson(format!("{kind} at line {} column {}", error.line(), error.column()))
    }
}

/// Reads an object. Serde alone would take an array for one, its items for the fields in their order.
fn object<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    let value = serde_json::from_slice(body).map_err(|e| BadBody::json(&e))?;
    if body.trim_ascii_start().starts_with(b"{") { Ok(value) } else { Err(BadBody::Shape("an object was expected")) }
}
