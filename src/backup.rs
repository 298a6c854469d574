//! A backup on disk: a folder with the database, the keys and a list of both, every byte of which is under a checksum. Here is
//! what such a folder is; `cli/backup` makes one and `cli/restore` takes one back.
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub const MANIFEST: &str = "manifest.json";
pub const DATABASE: &str = "ccms.db";
pub const MASTER_KEY: &str = "master.key";
pub const TOKEN_KEYS: &str = "token-keys";
/// Nothing else is ever read from a backup.
const NAMES: [&str; 3] = [DATABASE, MASTER_KEY, TOKEN_KEYS];
/// Of the folder's layout.
const FORMAT: u32 = 1;
const PIECE_BYTES: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// The release that made it.
    pub version: String,
    pub engine: String,
    /// The number of the last migration: an older release cannot read it.
    pub schema: i64,
    pub made_at: String,
    pub counts: BTreeMap<String, u64>,
    pub files: Vec<Kept>,
    /// Of everything above.
    pub sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Manifest {
    pub fn new(engine: String, schema: i64, made_at: String, counts: &[(&str, u64)], files: Vec<Kept>) -> Self {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let sha256 = String::new();
        let mut manifest = Self { format: FORMAT, version, engine, schema, made_at, counts, files, sha256 };
        manifest.sha256 = hex(&Sha256::digest(manifest.text()));
        manifest
    }

    fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// # Errors
    /// There is none, or it is not word by word what was written, or of a later release.
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(MANIFEST);
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let read: Self = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
        let unsigned = Self { sha256: String::new(), ..read.clone() };
        if read.text() != text || hex(&Sha256::digest(unsigned.text())) != read.sha256 {
            bail!("{} is damaged: it is not what was written", path.display());
        }
        if read.format > FORMAT {
            bail!("{} was made by release {}, which knows more than this one", folder.display(), read.version);
        }
        if let Some(strange) = read.files.iter().find(|f| !NAMES.contains(&f.name.as_str())) {
            bail!("{} names {:?}, which is no part of a backup", path.display(), strange.name);
        }
        Ok(read)
    }

    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join(MANIFEST);
        let write = || {
            let mut file = create_private(&path)?;
            file.write_all(self.text().as_bytes())?;
            file.sync_all()
        };
        write().with_context(|| format!("writing {}", path.display()))
    }

    pub fn file(&self, name: &str) -> Option<&Kept> {
        self.files.iter().find(|f| f.name == name)
    }

    /// What of the files is not what was written; nothing is good.
    pub fn damages(&self, folder: &Path) -> Vec<String> {
        let damage = |kept: &Kept| match Kept::of(folder, &kept.name) {
            Ok(found) if found == *kept => None,
            Ok(found) if found.bytes == kept.bytes => {
                Some(format!("{} was changed: its checksum is another", kept.name))
            }
            Ok(found) => Some(format!("{} has {} bytes and should have {}", kept.name, found.bytes, kept.bytes)),
            Err(error) => Some(format!("{} cannot be read: {error}", kept.name)),
        };
        self.files.iter().filter_map(damage).collect()
    }
}

impl Kept {
    pub fn of(folder: &Path, name: &str) -> std::io::Result<Self> {
        let (bytes, sha256) = pour(&mut File::open(folder.join(name))?, &mut std::io::sink())?;
        Ok(Self { name: name.to_owned(), bytes, sha256 })
    }
}

/// Copies a file so that only its owner can read it, and flushes it. Answers how large it is and its checksum.
pub fn copy_private(from: &Path, to: &Path) -> std::io::Result<(u64, String)> {
    let mut copy = create_private(to)?;
    let poured = pour(&mut File::open(from)?, &mut copy)?;
    copy.sync_all()?;
    Ok(poured)
}

/// A new file that only its owner can read.
pub fn create_private(path: &Path) -> std::io::Result<File> {
    let mut create = OpenOptions::new();
    create.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
    create.open(path)
}

/// Makes names that were given or taken in a folder last.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

fn pour(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<(u64, String)> {
    let (mut hasher, mut piece, mut bytes) = (Sha256::new(), vec![0; PIECE_BYTES], 0);
    loop {
        let read = from.read(&mut piece)?;
        if read == 0 {
            return Ok((bytes, hex(&hasher.finalize())));
        }
        hasher.update(&piece[..read]);
        to.write_all(&piece[..read])?;
        bytes += read as u64;
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in NAMES {
            std::fs::write(folder.path().join(name), format!("what is in {name}")).unwrap();
        }
        let files: Vec<_> = NAMES.iter().map(|name| Kept::of(folder.path(), name).unwrap()).collect();
        let made = Manifest::new("sqlite 3".into(), 15, "2025-12-17T10:30:05Z".into(), &[("lights", 2)], files);
        made.write(folder.path()).unwrap();
        assert_eq!(Manifest::read(folder.path()).unwrap(), made);
        assert_eq!(made.damages(folder.path()), Vec::<String>::new());
        for name in NAMES.into_iter().chain([MANIFEST]) {
            let path = folder.path().join(name);
            let whole = std::fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut broken = whole.clone();
                broken[at] ^= 1;
                std::fs::write(&path, broken).unwrap();
                let found = Manifest::read(folder.path()).map_or(true, |m| !m.damages(folder.path()).is_empty());
                assert!(found, "byte {at} of {name}");
            }
            std::fs::write(&path, &whole[1..]).unwrap();
            assert!(Manifest::read(folder.path()).map_or(true, |m| !m.damages(folder.path()).is_empty()));
            std::fs::write(&path, whole).unwrap();
        }
    }

    #[test]
    fn a_backup_names_no_other_files() {
        let folder = tempfile::tempdir().unwrap();
        let stray = Kept { name: "../../elsewhere".into(), bytes: 0, sha256: String::new() };
        Manifest::new("sqlite 3".into(), 15, String::new(), &[], vec![stray]).write(folder.path()).unwrap();
        assert!(Manifest::read(folder.path()).is_err());
    }
}
