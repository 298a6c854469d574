//! `X-Device-Signature`: HMAC-SHA256 over the body's bytes as they were sent, so before any unpacking. Written in
//! hexadecimal digits; base64, padded or not, of either alphabet, is accepted.
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::Mac;

use super::secret::hmac;
use super::{hex, hex_32};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: [GeneralPurpose; 2] = [GeneralPurpose::new(&STANDARD, LENIENT), GeneralPurpose::new(&URL_SAFE, LENIENT)];

/// Whether `header` signs `raw` with `key`. Takes the same time whatever the signature is.
pub fn is_valid(header: &str, key: &[u8], raw: &[u8]) -> bool {
    parse(header.trim()).is_some_and(|given| hmac(key, raw).verify_slice(&given).is_ok())
}

/// What a device writes into the header.
pub fn sign(key: &[u8], raw: &[u8]) -> String {
    hex(&hmac(key, raw).finalize().into_bytes())
}

fn parse(text: &str) -> Option<[u8; 32]> {
    const BASE64_CHARS_MAX: usize = 44;
    if text.len() > BASE64_CHARS_MAX {
        return hex_32(text);
    }
    BASE64.iter().find_map(|alphabet| alphabet.decode(text).ok()?.try_into().ok())
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;

    use super::*;

    #[test]
    fn hexadecimal_and_base64_are_read_and_nothing_else_passes() {
        let (key, body) = (b"5ecre7".as_slice(), b"{\"a\":1}".as_slice());
        let good = sign(key, body);
        let bytes = hex_32(&good).unwrap();
        for text in [
            good.clone(),
            good.to_uppercase(),
            format!(" {good} "),
            BASE64_STANDARD.encode(bytes),
            BASE64_STANDARD_NO_PAD.encode(bytes),
            BASE64_URL_SAFE.encode(bytes),
        ] {
            assert!(is_valid(&text, key, body), "{text}");
        }
        for text in ["", "0", "é", &good[..63], &format!("{good}00"), &"0".repeat(64), "AAAA", &"=".repeat(44)] {
            assert!(!is_valid(text, key, body), "{text}");
        }
        assert!(!is_valid(&good, key, b"{\"a\":2}") && !is_valid(&good, b"other", body));
    }
}
