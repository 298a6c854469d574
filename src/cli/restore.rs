//! `ccms restore …`: puts a backup in the place of the database, with the server stopped.
//!
//! Everything is copied beside its place and compared with the list before anything is touched. Then one rename says that the
//! restore has begun, the old files are put aside, and the database is the last that gets its name. A server does not start while
//! one has begun and not ended, and the same command ends it.
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use ccms_store_sqlite::SqliteStore;
use clap::Args;

use super::backup::{beside, create_private_folder, look_at};
use super::{ConfigArgs, runtime};
use crate::backup::{DATABASE, MASTER_KEY, Manifest, TOKEN_KEYS, copy_private, sync_folder};
use crate::config::Config;
use crate::{disk, server_lock};

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// A folder that `ccms backup` made.
    pub folder: PathBuf,
    /// Put what is there now aside, into a folder beside it, instead of refusing.
    #[arg(long)]
    pub replace: bool,
}

/// What comes from where and goes where.
struct Step {
    name: &'static str,
    place: PathBuf,
    staged: PathBuf,
}

pub fn restore(args: &ConfigArgs, RestoreArgs { folder, replace }: &RestoreArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let Some(database) = disk::file_of(&config.database_url()) else {
        bail!("a PostgreSQL database is restored with pg_restore; `ccms backup` says how")
    };
    let manifest = Manifest::read(folder)?;
    let damages = manifest.damages(folder);
    if !damages.is_empty() {
        bail!("the backup is damaged, nothing was touched: {}", damages.join("; "));
    }
    if manifest.schema > SqliteStore::schema_of_this_release() {
        bail!("the backup is of release {}, whose database this one cannot read", manifest.version);
    }
    if manifest.schema == SqliteStore::schema_of_this_release() {
        let report = runtime()?.block_on(look_at(folder))?;
        report.findings.iter().for_each(|finding| println!("WRONG in the backup: {finding}"));
    }
    std::fs::create_dir_all(&config.data_dir)?;
    let _lock = server_lock::take(&database)?.context("a server runs on this database; stop it first")?;

    let places =
        [(DATABASE, database.clone()), (MASTER_KEY, config.master_key_file()), (TOKEN_KEYS, config.token_keys_file())];
    let mut steps = Vec::new();
    for (name, place) in places.into_iter().filter(|(name, _)| manifest.file(name).is_some()) {
        steps.push(Step { name, staged: beside(&place, "part")?, place });
    }
    let present = in_the_way(&database, &steps)?;
    let begun = server_lock::unfinished_restore(&database);
    if let Some(first) = present.first()
        && !replace
        && !begun.exists()
    {
        bail!("{} is there already; --replace puts what is there aside", first.display());
    }
    stage(folder, &manifest, &steps)?;
    // From here on no server starts before this has ended.
    let Some(of_database) = steps.iter_mut().find(|s| s.name == DATABASE) else {
        bail!("the backup holds no database")
    };
    std::fs::rename(&of_database.staged, &begun)?;
    of_database.staged = begun;
    sync_folder(database.parent().unwrap_or(Path::new(".")))?;
    let aside = put_aside(&database, &present, &config)?;
    // The database last: its name is what ends it.
    for step in steps.iter().rev() {
        std::fs::rename(&step.staged, &step.place).with_context(|| format!("naming {}", step.place.display()))?;
        sync_folder(step.place.parent().unwrap_or(Path::new(".")))?;
    }
    if let Some(aside) = aside {
        println!("What was there is in {}.", aside.display());
    }
    println!("Restored the backup of {} into {}.", manifest.made_at, database.display());
    if manifest.file(MASTER_KEY).is_none() {
        println!(
            "It is without master.key and token-keys: put them into {} before the server starts.",
            config.data_dir.display()
        );
    }
    Ok(())
}

/// Files that would be overwritten, or, as a journal of another database, read.
fn in_the_way(database: &Path, steps: &[Step]) -> anyhow::Result<Vec<PathBuf>> {
    let name = database.file_name().and_then(|n| n.to_str()).context("the database has no name")?;
    let journals = ["-wal", "-shm", "-journal"].map(|ending| database.with_file_name(format!("{name}{ending}")));
    let places = journals.into_iter().chain(steps.iter().map(|s| s.place.clone()));
    Ok(places.filter(|path| path.exists()).collect())
}

/// Copies beside the places, and believes only what has the checksum that the list says.
fn stage(folder: &Path, manifest: &Manifest, steps: &[Step]) -> anyhow::Result<()> {
    for step in steps {
        // Of an earlier try.
        let _ = std::fs::remove_file(&step.staged);
        if let Some(parent) = step.place.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)?;
        }
        let copied = copy_private(&folder.join(step.name), &step.staged);
        let (bytes, sha256) = copied.with_context(|| format!("copying to {}", step.staged.display()))?;
        if manifest.file(step.name).is_none_or(|kept| kept.bytes != bytes || kept.sha256 != sha256) {
            bail!("{} is not what was written; nothing was touched", step.name);
        }
    }
    Ok(())
}

/// Moves what is in the way into a folder beside the database. The journals go before the file they belong to is alone.
fn put_aside(database: &Path, present: &[PathBuf], config: &Config) -> anyhow::Result<Option<PathBuf>> {
    if present.is_empty() {
        return Ok(None);
    }
    let now: String = config.clock().now().to_string().chars().filter(char::is_ascii_digit).collect();
    let aside = beside(database, &format!("before-restore-{now}"))?;
    create_private_folder(&aside).with_context(|| format!("making {}", aside.display()))?;
    for path in present {
        let name = path.file_name().context("a file has a name")?;
        std::fs::rename(path, aside.join(name)).with_context(|| format!("putting {} aside", path.display()))?;
    }
    sync_folder(&aside)?;
    Ok(Some(aside))
}
