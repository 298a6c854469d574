//! How much room the disk of an embedded database has, looked at again and again.
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccms_service::Ccms;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Between two looks a fleet of 100,000 writes about a megabyte.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The ballast: as much as this, or this part of a small disk; thousands of commands with their acknowledgements ...
const BALLAST_BYTES: u64 = 64 << 20;
const BALLAST_PART: u64 = 32;
/// ... taken where this many times as much is free, which is more than where reports are taken again.
const BALLAST_ROOM: u64 = 8;

/// The database's file; `None` when the database is elsewhere.
pub fn file_of(database_url: &str) -> Option<PathBuf> {
    let path = database_url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(Path::new(path.split('?').next()?).to_owned())
}

/// The folder that it is in.
fn folder_of(database: &Path) -> PathBuf {
    let folder = database.parent().filter(|f| !f.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Free bytes, for this process, and all bytes of the disk that a folder is on.
fn room(folder: &Path) -> std::io::Result<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

/// Room that is kept from everybody else: a file of zeros beside the database. When something fills the disk to the last byte, the file
/// goes, and in its place there is room for what cannot wait. It comes back when the disk has room again.
struct Ballast {
    file: PathBuf,
    held: bool,
}

impl Ballast {
    fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(".ballast");
        let file = PathBuf::from(name);
        Self { held: file.exists(), file }
    }

    /// What a disk of this size spares.
    fn bytes(total: u64) -> u64 {
        BALLAST_BYTES.min(total / BALLAST_PART)
    }

    /// Lets go of it when little is left beside it, and takes it when there is plenty.
    fn adjust(&mut self, free: u64, total: u64) {
        let bytes = Self::bytes(total);
        if self.held && free < bytes / 2 {
            match std::fs::remove_file(&self.file) {
                Ok(()) => {
                    tracing::warn!(bytes, "the disk is full; the ballast makes room for commands and acknowledgements")
                }
                Err(error) => tracing::error!(%error, "the ballast cannot be dropped"),
            }
            self.held = false;
        } else if !self.held && bytes > 0 && free / BALLAST_ROOM > bytes {
            match self.take(bytes) {
                Ok(()) => self.held = true,
                Err(error) => {
                    let _ = std::fs::remove_file(&self.file);
                    tracing::debug!(%error, "no ballast is kept");
                }
            }
        }
    }

    fn take(&self, bytes: u64) -> std::io::Result<()> {
        let file = std::fs::File::options().write(true).create(true).truncate(true).open(&self.file)?;
        // A file system that cannot set room apart has none to give back.
        Ok(rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes)?)
    }
}

/// Tells the service until `stop`.
pub async fn watch(database: PathBuf, ccms: Ccms, stop: CancellationToken) {
    let folder = folder_of(&database);
    let mut ballast = Ballast::beside(&database);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = false;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.cancelled() => return,
        }
        match room(&folder) {
            Ok((free, total)) => {
                ballast.adjust(free, total);
                ccms.disk_has(free, total).await;
            }
            Err(error) if !warned => {
                tracing::warn!(%error, folder = %folder.display(), "how full the disk is cannot be seen");
                warned = true;
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_that_of_the_file() {
        let folder = |url| file_of(url).map(|file| folder_of(&file));
        assert_eq!(folder("sqlite:///var/lib/ccms/ccms.db"), Some("/var/lib/ccms".into()));
        assert_eq!(folder("sqlite://data/ccms.db?mode=rwc"), Some("data".into()));
        assert_eq!(folder("sqlite:ccms.db"), Some(".".into()));
        assert_eq!(folder("postgres://ccms@localhost/ccms"), None);
        let (free, total) = room(Path::new(".")).unwrap();
        assert!(free <= total && total > 0);
    }

    #[test]
    fn the_ballast_goes_at_the_brim_and_comes_back_with_room() {
        const MIB: u64 = 1 << 20;
        let folder = tempfile::tempdir().unwrap();
        let mut ballast = Ballast::beside(&folder.path().join("ccms.db"));
        let file = folder.path().join("ccms.db.ballast");
        let held = |ballast: &mut Ballast, free| {
            ballast.adjust(free, 64 * MIB);
            std::fs::metadata(&file).map_or(0, |m| m.len())
        };
        assert_eq!(held(&mut ballast, 16 * MIB), 0, "not where there is little");
        assert_eq!(held(&mut ballast, 17 * MIB), 2 * MIB);
        assert_eq!(held(&mut ballast, MIB), 2 * MIB);
        assert_eq!(held(&mut ballast, MIB - 1), 0);
        assert_eq!(held(&mut ballast, 10 * MIB), 0);
        assert_eq!(held(&mut ballast, 17 * MIB), 2 * MIB);
        assert!(Ballast::beside(&folder.path().join("ccms.db")).held, "it is still there at the next start");
    }
}
