//! Who may have an embedded database to itself: one server, or who puts another file in its place. The lock is a file beside it, held
//! open; it ends with the process, however that ends. Commands that only use the database beside a server do not take it.
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Held while this lives. `None` when somebody else has it.
pub fn take(database: &Path) -> anyhow::Result<Option<File>> {
    let path = with_ending(database, "lock");
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let mut open = File::options();
    open.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let file = open.open(&path).with_context(|| format!("opening {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Ok(None),
        Err(std::fs::TryLockError::Error(error)) => Err(error).with_context(|| format!("locking {}", path.display())),
    }
}

/// For a server. Refuses a database that a restore has only half put in its place.
pub fn take_to_serve(database: &Path) -> anyhow::Result<File> {
    let Some(lock) = take(database)? else { bail!("another server, or a restore, has {}", database.display()) };
    let begun = unfinished_restore(database);
    if begun.exists() {
        bail!("a restore was begun and not ended ({} is there): run `ccms restore` again", begun.display());
    }
    Ok(lock)
}

/// There while a restore is under way.
pub fn unfinished_restore(database: &Path) -> PathBuf {
    with_ending(database, "restoring")
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
