//! The flash of one device: a file that is replaced as a whole (write beside, fsync, rename) and carries a checksum, so
//! that a power cut leaves the old state or the new one, never half of either.
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ccms_device::Saved;
use sha2::{Digest, Sha256};

#[derive(Debug)]
pub struct Flash {
    path: PathBuf,
}

impl Flash {
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What the file holds; factory-new when there is none, or when it is damaged (then the second value says how).
    pub fn load(&self) -> anyhow::Result<(Saved, Option<String>)> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Saved::default(), None)),
            Err(e) => return Err(e).with_context(|| format!("reading {}", self.path.display())),
        };
        Ok(match parse(&bytes) {
            Ok(saved) => (saved, None),
            Err(why) => (Saved::default(), Some(format!("{} is damaged: {why}", self.path.display()))),
        })
    }

    pub fn store(&self, saved: &Saved) -> anyhow::Result<()> {
        let body = serde_json::to_vec(saved)?;
        let mut bytes = checksum(&body).into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        replace(&self.path, &bytes)
    }
}

fn parse(bytes: &[u8]) -> Result<Saved, String> {
    let end = bytes.iter().position(|b| *b == b'\n').ok_or("no checksum line")?;
    let (sum, body) = (&bytes[..end], &bytes[end + 1..]);
    if sum != checksum(body).as_bytes() {
        return Err("the checksum does not match".into());
    }
    serde_json::from_slice(body).map_err(|e| e.to_string())
}

fn checksum(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|b| format!("{b:02x}")).collect()
}

/// Puts `bytes` in the place of `path`: after a crash there is the old file or the new one.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    replace_by(path, |file| file.write_all(bytes))
}

/// The same with what `fill` writes.
pub fn replace_by(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&beside)?;
        fill(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        // The rename itself must reach the disk too.
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    write().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flash_survives_and_damage_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("flash");
        let flash = Flash::at(&path);
        assert_eq!(flash.load().unwrap(), (Saved::default(), None));
        let mut saved = Saved::default();
        saved.settings.token = Some("a token".into());
        saved.settings.seq_reserved = 9;
        flash.store(&saved).unwrap();
        assert_eq!(flash.load().unwrap(), (saved, None));
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        for damaged in [&bytes[..last], &bytes[..10], b""] {
            std::fs::write(&path, damaged).unwrap();
            let (saved, why) = flash.load().unwrap();
            assert_eq!(saved, Saved::default());
            assert!(why.is_some());
        }
        bytes[last - 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(flash.load().unwrap().1.is_some());
    }
}
