//! Keys and what they sign. They live in files that only the server may read, never in the database and never in a log.
//!
//! - `mod`         the master key, and the bundle of everything that a server is given
//! - [`ring`]      the keys that sign device tokens: the newest signs, older ones verify until their tokens are over
//! - [`token`]     device tokens: JWT, HS256; verifying one costs about a microsecond
//! - `seen`      what memory keeps of a token that was found good
//! - [`secret`]    what a device signs its bodies with: derived, delivered, never stored
//! - [`signature`] `X-Device-Signature`
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::Sha256;

use crate::chance;

pub mod ring;
pub mod secret;
mod seen;
pub mod signature;
pub mod token;

pub use ring::Ring;
pub use secret::FactoryKey;
pub use seen::SeenToken;
pub use token::{Issued, TokenClaims, TokenKeys};

/// What a server is given at its start.
#[derive(Debug, Clone)]
pub struct Keys {
    pub master: MasterKey,
    /// Without a file the ring is one key derived from the master key, and cannot be rotated.
    pub ring_file: Option<PathBuf>,
    /// The manufacturer's group key, when devices come with one.
    pub factory: Option<FactoryKey>,
}

impl From<&MasterKey> for Keys {
    fn from(master: &MasterKey) -> Self {
        Self { master: master.clone(), ring_file: None, factory: None }
    }
}

/// 256 random bits.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key file {path}: {source}")]
    Io { path: String, source: std::io::Error },
    #[error("the key file {path} must hold {wanted}")]
    Malformed { path: String, wanted: &'static str },
    #[error("the key file {path} can be read by others; make it readable by the server alone (chmod 600)")]
    Exposed { path: String },
    #[error("the key ring {path} holds {max} keys already; older ones leave it as their time ends")]
    Full { path: String, max: usize },
}

/// What a file with a master key holds.
const MASTER_WANTED: &str = "64 hexadecimal digits";

impl MasterKey {
    pub fn random() -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&chance::bits().to_le_bytes());
        key[16..].copy_from_slice(&chance::bits().to_le_bytes());
        Self(key)
    }

    /// Reads the key, or makes one with permissions 0600 when there is no such file.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match read_private(path)? {
            Some(text) => hex_32(text.trim())
                .map(Self)
                .ok_or_else(|| KeyError::Malformed { path: path.display().to_string(), wanted: MASTER_WANTED }),
            None => {
                let key = Self::random();
                let io = |source| KeyError::Io { path: path.display().to_string(), source };
                let mut file = open_private(path).map_err(io)?;
                file.write_all(hex(&key.0).as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
                Ok(key)
            }
        }
    }

    /// A key of its own for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut out = [0; 32];
        #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes")]
        Hkdf::<Sha256>::new(None, &self.0)
            .expand(purpose.as_bytes(), &mut out)
            .expect("32 bytes are within HKDF's reach");
        out
    }
}

/// The text of a file that only the server may read; `None` when there is no such file.
fn read_private(path: &Path) -> Result<Option<String>, KeyError> {
    let named = || path.display().to_string();
    let io = |source| KeyError::Io { path: named(), source };
    match std::fs::read_to_string(path) {
        Ok(_) if is_exposed(path).map_err(io)? => Err(KeyError::Exposed { path: named() }),
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io(e)),
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

/// A file that is only ever locked, there or not; one that others can open is closed to them.
#[cfg(unix)]
fn open_lock(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if is_exposed(path)? {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

#[cfg(not(unix))]
fn open_lock(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes written as hexadecimal digits of either case, two each.
fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

fn hex_32(text: &str) -> Option<[u8; 32]> {
    parse_hex(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for bad in ["short", "+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1", ""] {
            std::fs::write(&path, bad).unwrap();
            assert!(matches!(MasterKey::load_or_create(&path), Err(KeyError::Malformed { .. })));
        }
        assert!(!format!("{first:?}").contains(&hex(&first.0)));
    }
}
