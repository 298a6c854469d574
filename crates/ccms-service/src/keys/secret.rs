//! What a device signs with. A device's secret follows from the master key, its id and its epoch: it is computed when it
//! is needed and stored nowhere. A factory key follows from a group key that the manufacturer burnt into a batch.
use std::fmt;
use std::path::Path;

use ccms_core::ids::DeviceId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{KeyError, MasterKey, hex, parse_hex, read_private};

/// A shorter group key could be guessed.
const GROUP_KEY_BYTES_MIN: usize = 16;
const GROUP_KEY_BYTES_MAX: usize = 1_024;

impl MasterKey {
    /// The secret of a device in one epoch, as it is delivered: 64 lower-case hexadecimal digits. Those digits themselves,
    /// as text, are the key of its signatures. No id has a blank in it, so no two devices share a derivation.
    pub fn device_secret(&self, device: &DeviceId, epoch: u32) -> String {
        hex(&self.derive(&format!("device secret {device} {epoch}")))
    }
}

/// The group key of devices that sign from the factory on.
#[derive(Clone)]
pub struct FactoryKey(Vec<u8>);

impl fmt::Debug for FactoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FactoryKey(…)")
    }
}

impl FactoryKey {
    /// # Errors
    /// [`KeyError`] when the file is missing, can be read by others, or does not hold a key in hexadecimal digits.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let named = || path.display().to_string();
        let missing = || KeyError::Io { path: named(), source: std::io::ErrorKind::NotFound.into() };
        let text = read_private(path)?.ok_or_else(missing)?;
        let wanted = "the group key as 32 to 2048 hexadecimal digits";
        Self::parse(text.trim()).ok_or_else(|| KeyError::Malformed { path: named(), wanted })
    }

    pub fn parse(text: &str) -> Option<Self> {
        parse_hex(text).filter(|key| (GROUP_KEY_BYTES_MIN..=GROUP_KEY_BYTES_MAX).contains(&key.len())).map(Self)
    }

    /// What this one device was given: HMAC-SHA256 of its id under the group key.
    pub fn of_device(&self, device: &DeviceId) -> [u8; 32] {
        hmac(&self.0, device.as_str().as_bytes()).finalize().into_bytes().into()
    }
}

pub(super) fn hmac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    Hmac::<Sha256>::new_from_slice(key).expect("any key").chain_update(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_by_device_epoch_and_city_and_stay_the_same() {
        let (city, other) = (MasterKey([7; 32]), MasterKey([8; 32]));
        let id = |text| DeviceId::parse(text).unwrap();
        let secret = city.device_secret(&id("X1"), 2);
        assert_eq!(secret, city.device_secret(&id("X1"), 2));
        assert!(secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        for else_ in [
            city.device_secret(&id("X1"), 3),
            city.device_secret(&id("X"), 12),
            city.device_secret(&id("X2"), 2),
            other.device_secret(&id("X1"), 2),
        ] {
            assert_ne!(secret, else_);
        }
    }

    #[test]
    fn a_group_key_is_hexadecimal_and_long_enough() {
        assert!(FactoryKey::parse(&"0a".repeat(16)).is_some());
        for bad in ["", "0a", &"0a".repeat(15), &"0a".repeat(1_025), &"zz".repeat(16), &"0a".repeat(16)[1..]] {
            assert!(FactoryKey::parse(bad).is_none());
        }
        // RFC 4231, test case 2, which fixes what goes in as key and what as message.
        let key = FactoryKey(b"Jefe".to_vec());
        let mac = hmac(&key.0, b"what do ya want for nothing?").finalize().into_bytes();
        assert_eq!(hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert_eq!(format!("{key:?}"), "FactoryKey(…)");
    }
}
