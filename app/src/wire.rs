//! JSON between page and server, always read from text. The stock codec reads from bytes, and what a page carries inside it is
//! read from text: two compiled readers of every type in the browser, where each kilobyte is waited for.
use std::fmt;
use std::string::FromUtf8Error;

use leptos::server_fn::codec::Post;
use leptos::server_fn::{Bytes, ContentType, Decodes, Encodes, Format, FormatType};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What server functions answer with.
pub type Json = Post<JsonText>;

pub struct JsonText;

/// Why an answer cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    NotText(FromUtf8Error),
    NotJson(serde_json::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText(error) => error.fmt(f),
            Self::NotJson(error) => error.fmt(f),
        }
    }
}

impl ContentType for JsonText {
    const CONTENT_TYPE: &'static str = "application/json";
}

impl FormatType for JsonText {
    const FORMAT_TYPE: Format = Format::Text;
}

impl<T: Serialize> Encodes<T> for JsonText {
    type Error = serde_json::Error;

    fn encode(output: &T) -> Result<Bytes, Self::Error> {
        serde_json::to_string(output).map(Bytes::from)
    }
}

impl<T: DeserializeOwned> Decodes<T> for JsonText {
    type Error = Unreadable;

    fn decode(bytes: Bytes) -> Result<T, Self::Error> {
        let text = String::from_utf8(bytes.into()).map_err(Unreadable::NotText)?;
        serde_json::from_str(&text).map_err(Unreadable::NotJson)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read_and_rubbish_is_refused() {
        let bytes = JsonText::encode(&vec!["ä".to_owned()]).unwrap();
        let back: Vec<String> = JsonText::decode(bytes).unwrap();
        assert_eq!(back, ["ä"]);
        assert!(<JsonText as Decodes<u8>>::decode(Bytes::from_static(b"\xff")).is_err());
        assert!(<JsonText as Decodes<u8>>::decode(Bytes::from_static(b"{")).is_err());
    }
}
