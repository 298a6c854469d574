//! `ccms backup …`: everything that a city needs to begin again, in one folder. Beside a running server, which does not wait for it.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use ccms_service::verify::{Report, look_through};
use ccms_store::{DynStore, Store, Upkeep};
use ccms_store_sqlite::SqliteStore;
use clap::Args;

use super::verify::print;
use super::{ConfigArgs, runtime};
use crate::backup::{DATABASE, Kept, MASTER_KEY, Manifest, TOKEN_KEYS, copy_private, create_private, sync_folder};
use crate::config::Config;
use crate::disk;

/// What to do instead on PostgreSQL.
const POSTGRES: &str = "\
a PostgreSQL database is backed up with its own tools, beside a running server:
  pg_dump --format=custom --file=ccms.dump \"$DATABASE_URL\"
  cp -p DATA_DIR/master.key DATA_DIR/token-keys SAFE_PLACE/
and restored, with the server stopped, into a new database:
  createdb ccms_restored
  pg_restore --exit-on-error --no-owner --dbname=\"$RESTORED_URL\" ccms.dump
  cp -p SAFE_PLACE/master.key SAFE_PLACE/token-keys DATA_DIR/
  ccms verify --database \"$RESTORED_URL\"";

#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The folder that becomes the backup. It must not exist yet.
    pub folder: PathBuf,
    /// Leave master.key and token-keys out. Without them every controller has to be let in anew, so keep them elsewhere.
    #[arg(long)]
    pub without_keys: bool,
}

pub fn backup(args: &ConfigArgs, BackupArgs { folder, without_keys }: &BackupArgs) -> anyhow::Result<()> {
    let config = Config::load(args)?;
    let Some(file) = disk::file_of(&config.database_url()) else { bail!("{POSTGRES}") };
    if folder.exists() {
        bail!("{} exists already; a backup becomes a folder of its own", folder.display());
    }
    if !file.exists() {
        bail!("there is no database at {}", file.display());
    }
    let part = beside(folder, "part")?;
    create_private_folder(&part).with_context(|| {
        format!("making {}; one that is left of an interrupted backup may be removed", part.display())
    })?;
    let made = runtime()?.block_on(fill(&config, &part, *without_keys)).and_then(|report| {
        sync_folder(&part)?;
        std::fs::rename(&part, folder).with_context(|| format!("naming {}", folder.display()))?;
        sync_folder(folder.parent().unwrap_or(Path::new(".")))?;
        Ok(report)
    });
    let report = match made {
        Ok(report) => report,
        Err(error) => {
            // What is left is of no use, and large.
            let _ = std::fs::remove_dir_all(&part);
            return Err(error);
        }
    };
    print(&report);
    println!("The backup is {}.", folder.display());
    if *without_keys {
        println!(
            "It is without master.key and token-keys. A restored city needs them: keep them in another safe place."
        );
    } else {
        println!(
            "KEEP IT SECRET: it holds master.key and token-keys, with which anybody can speak for every controller, and the \
             hashes of all passwords."
        );
    }
    if report.found > 0 {
        bail!("the backup is a true copy, but {} things are wrong with what it holds", report.found);
    }
    Ok(())
}

/// Makes the backup in an empty folder, and looks through it as it will be found.
async fn fill(config: &Config, part: &Path, without_keys: bool) -> anyhow::Result<Report> {
    let source = SqliteStore::open_to_read(&config.database_url(), false).await?;
    let copied = copy(&source, part).await;
    source.close().await;
    let schema = copied?;
    // After the database: keys may be added meanwhile, and the database must not know of one that is not here.
    let mut names = vec![DATABASE];
    if !without_keys {
        for (name, from) in [(MASTER_KEY, config.master_key_file()), (TOKEN_KEYS, config.token_keys_file())] {
            // A database that no server has served yet has no ring.
            if name == TOKEN_KEYS && !from.exists() {
                continue;
            }
            copy_private(&from, &part.join(name)).with_context(|| format!("copying {}", from.display()))?;
            names.push(name);
        }
    }
    let report = look_at(part).await?;
    if report.damages > 0 {
        bail!("the database is damaged, and no copy of it would be whole: {}", report.findings.join("; "));
    }
    let files = names.into_iter().map(|name| Kept::of(part, name)).collect::<Result<_, _>>()?;
    let made_at = config.clock().now().to_string();
    Manifest::new(report.engine.clone(), schema, made_at, &report.counts, files).write(part)?;
    Ok(report)
}

async fn copy(source: &SqliteStore, part: &Path) -> anyhow::Result<i64> {
    let schema = source.schema_version().await?;
    if schema != SqliteStore::schema_of_this_release() {
        bail!("the database is of another release; back it up with the one that serves it");
    }
    drop(create_private(&part.join(DATABASE))?);
    source.copy_into(&part.join(DATABASE)).await.context("copying the database")?;
    Ok(schema)
}

/// Looks through the database of a backup, which stays as it is.
pub(super) async fn look_at(folder: &Path) -> anyhow::Result<Report> {
    let path = folder.join(DATABASE);
    let path = path.to_str().with_context(|| format!("{} is no name", path.display()))?;
    let store: DynStore = Arc::new(SqliteStore::open_to_read(path, true).await?);
    let report = look_through(&store, None).await;
    store.close().await;
    Ok(report?)
}

/// `folder` with another ending, in the same place.
pub(super) fn beside(path: &Path, ending: &str) -> anyhow::Result<PathBuf> {
    let mut name = path.file_name().with_context(|| format!("{} is no name", path.display()))?.to_owned();
    name.push(".");
    name.push(ending);
    Ok(path.with_file_name(name))
}

pub(super) fn create_private_folder(path: &Path) -> std::io::Result<()> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)?;
    }
    let mut create = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut create, 0o700);
    create.create(path)
}
