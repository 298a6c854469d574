//! One call of the device: as it came, as it was read, and what it got.
use std::io::Read;

use ccms_core::limits::{BODY_BYTES_MAX, BODY_DECODED_BYTES_MAX};
use ccms_device::{Key, Kind, Method};
use flate2::read::GzDecoder;

use super::seen::{Said, read};

/// A request as it arrived.
#[derive(Debug, Clone, Default)]
pub struct Heard {
    pub method: String,
    pub path: String,
    /// Of `Authorization: Bearer …`.
    pub bearer: Option<String>,
    pub content_type: Option<String>,
    /// `Content-Encoding: gzip`
    pub packed: bool,
    /// `X-Device-Signature`
    pub signature: Option<String>,
    /// It came over TLS.
    pub secure: bool,
    /// As it came, packed or not.
    pub body: Vec<u8>,
}

/// What the other side of the socket does with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reaction {
    Answer {
        status: u16,
        body: Vec<u8>,
        after_ms: u64,
        /// The same bytes once more behind it.
        twice: bool,
    },
    /// The connection is closed without a word.
    HangUp,
    /// The connection stays open and nothing comes.
    Silence,
}

/// How a call was treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Got {
    /// 200, once or twice over.
    Accepted,
    Refused(u16),
    /// What it said was taken in; the answer never left.
    Lost,
    /// Taken in, and answered after so many milliseconds.
    Late(u64),
    Silence,
}

impl Got {
    /// The server knows now what the call said.
    pub const fn is_taken(self) -> bool {
        matches!(self, Self::Accepted | Self::Lost | Self::Late(_))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    No,
    Right,
    Wrong,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub at_ms: u64,
    /// `None`: no documented route.
    pub kind: Option<Kind>,
    /// Method and path, for the report.
    pub line: String,
    /// The identity in the path.
    pub path_id: String,
    pub bearer: Option<String>,
    pub packed: bool,
    pub secure: bool,
    pub is_json: bool,
    pub plain_bytes: usize,
    pub signed: Signed,
    pub said: Said,
    pub got: Got,
    /// Commands that its answer brought.
    pub handed: Vec<&'static str>,
}

impl Call {
    /// Reads what was heard; `got` is still to come.
    pub fn of(at_ms: u64, heard: &Heard, secret: &Key) -> Self {
        let (path_id, kind) = route(&heard.method, &heard.path);
        let plain = unpacked(heard);
        let mut said = match (kind, &plain) {
            (Some(kind), Some(plain)) => read(kind, plain),
            (_, None) => Said { unreadable: true, ..Said::default() },
            (None, _) => Said::default(),
        };
        // Bounded, whatever a broken device complains about itself.
        said.complaints.truncate(COMPLAINTS_MAX);
        let right = |signature: &str| signature.eq_ignore_ascii_case(&secret.sign(&heard.body));
        Self {
            at_ms,
            kind,
            line: format!("{} {}", heard.method, heard.path),
            path_id,
            bearer: heard.bearer.clone(),
            packed: heard.packed,
            secure: heard.secure,
            is_json: heard.content_type.as_deref().is_some_and(|t| t.trim().starts_with("application/json")),
            plain_bytes: plain.map_or(0, |p| p.len()),
            signed: match heard.signature.as_deref().map(|s| right(&in_hex(s))) {
                None => Signed::No,
                Some(true) => Signed::Right,
                Some(false) => Signed::Wrong,
            },
            said,
            got: Got::Silence,
            handed: Vec::new(),
        }
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.kind == Some(kind)
    }

    /// A status or a sync.
    pub fn is_report(&self) -> bool {
        self.is(Kind::Status) || self.is(Kind::Sync)
    }

    pub fn is_taken(&self) -> bool {
        self.got.is_taken()
    }
}

/// Complaints kept of one call.
const COMPLAINTS_MAX: usize = 20;
const SIGNATURE_BYTES: usize = 32;

/// A signature in base64, which the contract allows too, in hexadecimal digits.
fn in_hex(signature: &str) -> String {
    use base64::Engine as _;
    match base64::engine::general_purpose::STANDARD.decode(signature) {
        Ok(bytes) if bytes.len() == SIGNATURE_BYTES => bytes.iter().map(|b| format!("{b:02x}")).collect(),
        _ => signature.to_owned(),
    }
}

fn unpacked(heard: &Heard) -> Option<Vec<u8>> {
    if heard.body.len() > BODY_BYTES_MAX {
        return None;
    }
    if !heard.packed {
        return Some(heard.body.clone());
    }
    let mut plain = Vec::new();
    GzDecoder::new(heard.body.as_slice()).take(BODY_DECODED_BYTES_MAX as u64 + 1).read_to_end(&mut plain).ok()?;
    (plain.len() <= BODY_DECODED_BYTES_MAX).then_some(plain)
}

/// Identity and route of `/api/device/{deviceId}/{route}`, with or without `/api`.
fn route(method: &str, path: &str) -> (String, Option<Kind>) {
    let path = path.split('?').next().unwrap_or_default();
    let path = path.strip_prefix("/api").unwrap_or(path);
    let parts: Vec<&str> = path.strip_prefix("/device/").unwrap_or_default().split('/').collect();
    let [id, route] = parts[..] else { return (String::new(), None) };
    let fits = |kind: &Kind| {
        let image = *kind == Kind::Firmware && method == Method::Get.as_str();
        kind.as_str() == route && (kind.method().as_str() == method || image)
    };
    (id.replace("%3A", ":").replace("%3a", ":"), Kind::ALL.into_iter().find(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_roots_and_an_escaped_colon_are_the_same_route() {
        let id = "IMEI:351234567890123".to_owned();
        for path in ["/api/device/IMEI:351234567890123/status", "/device/IMEI%3a351234567890123/status?x=1"] {
            assert_eq!(route("POST", path), (id.clone(), Some(Kind::Status)));
            assert_eq!(route("GET", path), (id.clone(), None));
        }
        assert_eq!(route("GET", "/device/IMEI:351234567890123/firmware"), (id, Some(Kind::Firmware)));
        for path in ["/", "/api/device/x", "/device/x/status/y", "/api/device/x/nothing"] {
            assert_eq!(route("POST", path).1, None, "{path}");
        }
    }

    #[test]
    fn signatures_are_right_in_both_spellings_over_what_was_sent() {
        let key = Key::of_secret("Jefe");
        let body = b"what do ya want for nothing?".to_vec();
        let heard =
            |signature: &str| Heard { body: body.clone(), signature: Some(signature.into()), ..Heard::default() };
        let hex = key.sign(&body);
        for (signature, signed) in [
            (hex.as_str(), Signed::Right),
            (&hex.to_uppercase(), Signed::Right),
            ("W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=", Signed::Right),
            ("00", Signed::Wrong),
        ] {
            assert_eq!(Call::of(0, &heard(signature), &key).signed, signed, "{signature}");
        }
    }
}
