//! `X-Device-Signature` (§8): HMAC-SHA256, in hexadecimal digits, over the body's bytes *as they are sent*. Whoever packs a
//! body signs the packed bytes; that is why the machine hands out the key's work, not a finished header.
use std::fmt;
use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What bodies are signed with. It is never shown, not even for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<[u8]>);

impl Key {
    /// The key that `device_secret` stands for: its very characters.
    pub fn of_secret(secret: &str) -> Self {
        Self(secret.as_bytes().into())
    }

    /// The key that the factory burnt into this one device: HMAC-SHA256 of its `device_id` under the batch's group key.
    pub fn of_factory(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// The header's value for these bytes.
    pub fn sign(&self, sent: &[u8]) -> String {
        let mut text = String::with_capacity(64);
        // HMAC takes a key of any length.
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            for byte in mac.chain_update(sent).finalize().into_bytes() {
                let _ = write!(text, "{byte:02x}");
            }
        }
        text
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 2 and 6 (a key longer than a block).
    #[test]
    fn signs_as_the_standard_says_and_shows_no_key() {
        let key = Key::of_secret("Jefe");
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(key.sign(b"what do ya want for nothing?"), expected);
        let long = Key::of_factory(&[0xaa; 131]);
        let expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        assert_eq!(long.sign(b"Test Using Larger Than Block-Size Key - Hash Key First"), expected);
        assert_eq!(format!("{key:?}"), "Key(…)");
    }
}
