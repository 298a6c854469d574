//! How much room the disk of an embedded database has, looked at again and again.
use std::path::{Path, PathBuf};
use std::time::Duration;

use ccms_service::Ccms;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Between two looks a fleet of 100,000 writes about a megabyte.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The folder of the database's file; `None` when the database is elsewhere.
pub fn folder_of(database_url: &str) -> Option<PathBuf> {
    let path = database_url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let file = Path::new(path.split('?').next()?);
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
    Some(folder.unwrap_or(Path::new(".")).to_owned())
}

/// Free bytes, for this process, and all bytes of the disk that a folder is on.
fn room(folder: &Path) -> std::io::Result<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

/// Tells the service until `stop`.
pub async fn watch(folder: PathBuf, ccms: Ccms, stop: CancellationToken) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = false;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            () = stop.cancelled() => return,
        }
        match room(&folder) {
            Ok((free, total)) => ccms.disk_has(free, total).await,
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
        assert_eq!(folder_of("sqlite:///var/lib/ccms/ccms.db"), Some("/var/lib/ccms".into()));
        assert_eq!(folder_of("sqlite://data/ccms.db?mode=rwc"), Some("data".into()));
        assert_eq!(folder_of("sqlite:ccms.db"), Some(".".into()));
        assert_eq!(folder_of("postgres://ccms@localhost/ccms"), None);
        let (free, total) = room(Path::new(".")).unwrap();
        assert!(free <= total && total > 0);
    }
}
