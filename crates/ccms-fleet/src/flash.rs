//! The flash of one device: a file that is replaced as a whole (write beside, fsync, rename, fsync of the folder) and carries a
//! checksum, so that a power cut leaves the old state or the new one, never half of either and never neither.
//!
//! What a write is made of is a [`Medium`]'s to do: the [`Disk`]'s, or, in `tests/flash.rs`, one that dies at each of its steps
//! and in the middle of them.
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use ccms_device::Saved;
use sha2::{Digest, Sha256};

/// The steps of a write. Until a `sync` nothing of the step before it need survive a power cut, or all of it, or a part.
pub trait Medium {
    /// Makes the file, or empties it, and writes `bytes`.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> std::io::Result<()>;
    fn sync(&mut self, path: &Path) -> std::io::Result<()>;
    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()>;
    fn sync_folder(&mut self, folder: &Path) -> std::io::Result<()>;
}

/// The real thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Medium for Disk {
    fn write(&mut self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        File::create(path)?.write_all(bytes)
    }

    fn sync(&mut self, path: &Path) -> std::io::Result<()> {
        // Any handle of a file flushes all that was written to it.
        File::options().write(true).open(path)?.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_folder(&mut self, folder: &Path) -> std::io::Result<()> {
        File::open(folder)?.sync_all()
    }
}

#[derive(Debug)]
pub struct Flash<M = Disk> {
    path: PathBuf,
    medium: M,
}

impl Flash {
    pub fn at(path: &Path) -> Self {
        Self::on(path, Disk)
    }
}

impl<M: Medium> Flash<M> {
    pub fn on(path: &Path, medium: M) -> Self {
        Self { path: path.to_owned(), medium }
    }

    /// What the file holds; factory-new when there is none, or when it is damaged (then the second value says how). A whole copy
    /// that was written beside a damaged one, and not yet put in its place, is better than nothing.
    pub fn load(&self) -> anyhow::Result<(Saved, Option<String>)> {
        let damage = match self.read(&self.path)? {
            Some(Ok(saved)) => return Ok((saved, None)),
            Some(Err(why)) => Some(format!("{} is damaged: {why}", self.path.display())),
            None => None,
        };
        match self.read(&beside(&self.path))? {
            Some(Ok(saved)) => Ok((saved, damage)),
            Some(Err(_)) | None => Ok((Saved::default(), damage)),
        }
    }

    fn read(&self, path: &Path) -> anyhow::Result<Option<Result<Saved, String>>> {
        match std::fs::read(path) {
            Ok(bytes) => Ok(Some(parse(&bytes))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub fn store(&mut self, saved: &Saved) -> anyhow::Result<()> {
        let body = serde_json::to_vec(saved)?;
        let mut bytes = checksum(&body).into_bytes();
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        let (path, medium) = (&self.path, &mut self.medium);
        let new = beside(path);
        let mut steps = || -> std::io::Result<()> {
            medium.write(&new, &bytes)?;
            medium.sync(&new)?;
            medium.rename(&new, path)?;
            // The rename itself must reach the disk too.
            medium.sync_folder(folder_of(path))
        };
        steps().with_context(|| format!("writing {}", path.display()))
    }
}

/// Where the next content of a file is written first.
fn beside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// Puts what `fill` writes in the place of `path`: after a crash there is the old file or the new one.
pub fn replace_by(path: &Path, fill: impl FnOnce(&mut File) -> std::io::Result<()>) -> anyhow::Result<()> {
    let new = beside(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&new)?;
        fill(&mut file)?;
        file.sync_all()?;
        std::fs::rename(&new, path)?;
        Disk.sync_folder(folder_of(path))
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
        let mut flash = Flash::at(&path);
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
