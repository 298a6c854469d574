//! Opening the database file: its settings, its connections, its migrations.
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use ccms_store::{StoreError, StoreResult};
use sqlx::SqlitePool;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::log::Log;
use crate::{SqliteStore, failed};

static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// Older ones can corrupt a file in WAL mode when a checkpoint and a writer meet.
const SQLITE_MIN: (u32, u32, u32) = (3, 51, 3);
const READERS: u32 = 4;
/// How long a statement waits for another process that holds the file, such as a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for a free connection before it says that the database is not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Rows that a connection's thread reads ahead of who asked: each time it has to wait costs two switches between threads.
const ROWS_AHEAD: usize = 1_024;
/// Pages in the journal before a commit folds them into the file: 8 MB, so that one stall stays short.
const CHECKPOINT_PAGES: &str = "2000";
/// The journal file is cut back to this after it grew behind a long reader.
const JOURNAL_BYTES_MAX: &str = "67108864";
/// Page cache of the writer in KiB, as SQLite writes it.
const WRITER_CACHE: &str = "-8000";

impl SqliteStore {
    /// Opens or creates the database. `at` is a path or `sqlite://path?…`; folders on the way are made.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when `at` is no file, SQLite is older than 3.51.3, or the file has the schema of another
    /// release; [`StoreError::Unavailable`] when the file cannot be opened.
    pub async fn open(at: &str) -> StoreResult<Self> {
        let options = options(at)?;
        prepare_file(options.get_filename())?;
        let writer = pool(1)
            .connect_with(options.clone().pragma("cache_size", WRITER_CACHE))
            .await
            .map_err(|e| StoreError::Unusable(format!("cannot open {at}: {e}")))?;
        let version = version(&writer).await?;
        if parse_version(&version).is_none_or(|v| v < SQLITE_MIN) {
            let (a, b, c) = SQLITE_MIN;
            return Err(StoreError::Unusable(format!("SQLite {version} is too old: {a}.{b}.{c} or newer is needed")));
        }
        MIGRATIONS.run(&writer).await.map_err(not_migrated)?;
        let options = options.read_only(true);
        let readers = pool(READERS).connect_with(options.clone()).await.map_err(failed)?;
        let intake = pool(1).connect_with(options).await.map_err(failed)?;
        Ok(Self { writer, readers, intake, log: Log::default() })
    }

    /// Opens a database that is there, to look at it and to copy it: it is not brought up to date, and nothing is written into it.
    /// One that is `still` (a backup) is read without a trace beside it, too.
    ///
    /// # Errors
    /// As [`Self::open`]; [`StoreError::Unavailable`] also when there is none.
    pub async fn open_to_read(at: &str, still: bool) -> StoreResult<Self> {
        let options = base_options(at)?.foreign_keys(true).busy_timeout(BUSY_TIMEOUT).pragma("temp_store", "memory");
        let options = options.read_only(true).immutable(still);
        let readers = pool(READERS).connect_with(options).await.map_err(failed)?;
        Ok(Self { writer: readers.clone(), intake: readers.clone(), readers, log: Log::default() })
    }

    /// The number of the newest migration that this release knows.
    pub fn schema_of_this_release() -> i64 {
        MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0)
    }
}

/// Which file, and nothing else yet.
fn base_options(at: &str) -> StoreResult<SqliteConnectOptions> {
    let base = if at.starts_with("sqlite:") {
        SqliteConnectOptions::from_str(at).map_err(|e| StoreError::Unusable(format!("{at}: {e}")))?
    } else {
        SqliteConnectOptions::new().filename(at)
    };
    let name = base.get_filename().to_string_lossy().into_owned();
    if name.is_empty() || name.contains(":memory:") || name.starts_with("file:") || at.contains("mode=memory") {
        return Err(StoreError::Unusable(format!("{at:?} names no database file")));
    }
    Ok(base)
}

fn options(at: &str) -> StoreResult<SqliteConnectOptions> {
    Ok(base_options(at)?
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // Without FULL a commit in WAL mode survives a crash of this process, but not a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .row_buffer_size(ROWS_AHEAD)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", JOURNAL_BYTES_MAX)
        .pragma("temp_store", "memory"))
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // Connections live as long as the store: each keeps its prepared statements.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Makes the folder, and the file so that only its owner can read it: it holds password hashes.
fn prepare_file(file: &Path) -> StoreResult<()> {
    let cannot = |e| StoreError::Unusable(format!("cannot create {}: {e}", file.display()));
    if let Some(folder) = file.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(cannot)?;
    }
    let mut create = std::fs::OpenOptions::new();
    create.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600);
    create.open(file).map(drop).map_err(cannot)
}

pub(crate) async fn version(pool: &SqlitePool) -> StoreResult<String> {
    sqlx::query_scalar!(r#"SELECT sqlite_version() AS "version!: String""#).fetch_one(pool).await.map_err(failed)
}

fn parse_version(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split('.').map(|p| p.parse::<u32>().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

/// A schema that does not fit is for a person to solve; anything else may pass.
fn not_migrated(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(e) => failed(e),
        other => StoreError::Unusable(format!("the schema does not fit this release: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(parse_version("3.9.0") < parse_version("3.51.3"));
        assert!(parse_version("3.51.10") > Some(SQLITE_MIN));
        assert_eq!(parse_version("3.51"), None);
    }

    #[test]
    fn only_files_are_databases() {
        for bad in ["sqlite::memory:", "sqlite://x?mode=memory", "", "file:x", "sqlite://x?nonsense=1"] {
            assert!(matches!(options(bad), Err(StoreError::Unusable(_))), "{bad}");
        }
        assert_eq!(options("a/b.db").unwrap().get_filename(), Path::new("a/b.db"));
        assert_eq!(options("sqlite://a/b.db?mode=rwc").unwrap().get_filename(), Path::new("a/b.db"));
        assert_eq!(options("sqlite:///var/a.db").unwrap().get_filename(), Path::new("/var/a.db"));
    }
}
