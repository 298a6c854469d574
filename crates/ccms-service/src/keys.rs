//! The master key and what is derived from it. The key lives in a file that only the server may read, never in the
//! database and never in a log. Device tokens are JWT, HS256, seven days; verifying one costs about a microsecond.
use std::fmt;
use std::io::Write;
use std::path::Path;

use ccms_core::ids::DeviceId;
use ccms_core::limits;
use ccms_core::time::UtcMillis;
use hkdf::Hkdf;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::chance;

/// 256 random bits.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Why the master key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the master key file {path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("the master key file {path} must hold 64 hexadecimal digits")]
    Malformed { path: String },
    #[error("the master key file {path} can be read by others; make it readable by the server alone (chmod 600)")]
    Exposed { path: String },
}

impl MasterKey {
    pub fn random() -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&chance::bits().to_le_bytes());
        key[16..].copy_from_slice(&chance::bits().to_le_bytes());
        Self(key)
    }

    /// Reads the key, or makes one with permissions 0600 when there is no such file.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        let named = path.display().to_string();
        let io = |source| KeyError::Io { path: named.clone(), source };
        match std::fs::read_to_string(path) {
            Ok(text) => {
                if is_exposed(path).map_err(io)? {
                    return Err(KeyError::Exposed { path: named });
                }
                parse_hex(text.trim()).map(Self).ok_or(KeyError::Malformed { path: named })
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let key = Self::random();
                let hex: String = key.0.iter().map(|b| format!("{b:02x}")).collect();
                let mut file = open_private(path).map_err(io)?;
                file.write_all(hex.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
                Ok(key)
            }
            Err(e) => Err(io(e)),
        }
    }

    /// A key of its own for one purpose.
    fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut out = [0; 32];
        #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(purpose.as_bytes(), &mut out)
            .expect("32 bytes are within HKDF's reach");
        out
    }
}

#[cfg(unix)]
fn open_private(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn open_private(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn is_exposed(path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &Path) -> std::io::Result<bool> {
    Ok(false)
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

/// What a device token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenClaims {
    /// The device id: the only identity a request has.
    pub sub: String,
    pub aud: String,
    /// The device's credential epoch when this was issued.
    pub ep: u32,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
}

/// Signs and verifies device tokens.
#[derive(Clone)]
pub struct TokenKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

const AUDIENCE: &str = "ccms-device";

impl TokenKeys {
    pub fn new(master: &MasterKey) -> Self {
        // Both crates that sign need a process-wide provider; a second call changes nothing.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let key = master.derive("ccms device token v1");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["sub", "aud", "exp"]);
        // Expiry is judged by the caller, with our clock and the contract's rule for stale tokens.
        validation.validate_exp = false;
        Self { encoding: EncodingKey::from_secret(&key), decoding: DecodingKey::from_secret(&key), validation }
    }

    /// A token for `device`, and when it ends.
    pub fn issue(&self, device: &DeviceId, epoch: u32, now: UtcMillis) -> (String, UtcMillis) {
        let exp = now.seconds() + limits::TOKEN_LIFE_S;
        let claims =
            TokenClaims { sub: device.as_str().to_owned(), aud: AUDIENCE.into(), ep: epoch, iat: now.seconds(), exp };
        #[expect(clippy::expect_used, reason = "claims of strings and integers always serialise, HS256 takes any key")]
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding).expect("HS256 signs");
        (token, UtcMillis::from_seconds(exp))
    }

    /// The claims of a token with a good signature, whatever its age.
    pub fn verify(&self, token: &str) -> Option<TokenClaims> {
        /// Far above any token of ours; keeps a megabyte of header from being decoded.
        const TOKEN_BYTES_MAX: usize = 1_024;
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        jsonwebtoken::decode(token, &self.decoding, &self.validation).ok().map(|t| t.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_no_other_does() {
        let keys = TokenKeys::new(&MasterKey([7; 32]));
        let device = DeviceId::parse("IMEI:351234567890123").unwrap();
        let now = UtcMillis::from_seconds(1_765_967_400);
        let (token, ends) = keys.issue(&device, 3, now);
        let claims = keys.verify(&token).unwrap();
        assert_eq!((claims.sub.as_str(), claims.ep, ends.seconds()), (device.as_str(), 3, now.seconds() + 604_800));

        let foreign = TokenKeys::new(&MasterKey([8; 32])).issue(&device, 3, now).0;
        let none_alg = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4IiwiYXVkIjoiY2Ntcy1kZXZpY2UiLCJlcCI6MCwiaWF0IjowLCJleHAiOjF9.";
        let mut cut = token.clone();
        cut.pop();
        for bad in ["", "a.b.c", &foreign, none_alg, &cut, &"x".repeat(1 << 20)] {
            assert!(keys.verify(bad).is_none());
        }
    }

    #[test]
    fn the_key_file_is_private_and_stable() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let first = MasterKey::load_or_create(&path).unwrap();
        assert_eq!(MasterKey::load_or_create(&path).unwrap().0, first.0);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(matches!(MasterKey::load_or_create(&path), Err(KeyError::Exposed { .. })));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(MasterKey::load_or_create(&path), Err(KeyError::Malformed { .. })));
    }
}
