//! A fresh database for every test, on both engines. SQLite gets a folder of its own; PostgreSQL a database of its own on
//! the server of `CCMS_TEST_POSTGRES_URL`, which goes when the test is over.
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ccms_store::DynStore;
use ccms_store_postgres::PostgresStore;
use ccms_store_sqlite::SqliteStore;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Makes each `async fn name(engine)` two tests, `name::sqlite` and `name::postgres`.
macro_rules! on_both {
    ($($(#[$attr:meta])* async fn $name:ident($engine:ident) $body:block)*) => { $(
        $(#[$attr])*
        mod $name {
            use super::*;
            use crate::database::Engine;

            async fn on($engine: Engine) $body

            #[tokio::test]
            async fn sqlite() {
                on(Engine::Sqlite).await;
            }

            #[tokio::test]
            async fn postgres() {
                on(Engine::Postgres).await;
            }
        }
    )* };
}

/// A database that nobody else uses. It outlives the stores that are opened on it.
pub struct Database {
    pub url: String,
    /// Also where a server may keep its keys.
    pub folder: TempDir,
    dropped: Option<(PgConnectOptions, String)>,
    /// Whether servers on it follow each other.
    pub shared: bool,
}

impl Database {
    pub async fn fresh(engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite://{}", folder.path().join("ccms.db").display());
                Self { url, folder, dropped: None, shared: false }
            }
            Engine::Postgres => {
                let server = postgres_server();
                let options = PgConnectOptions::from_str(&server).expect("CCMS_TEST_POSTGRES_URL is a postgres URL");
                let name = unique_name();
                run_sql(&options, format!("CREATE DATABASE {name}")).await.expect("making a database");
                let url = with_database(&server, &name);
                Self { url, folder, dropped: Some((options, name)), shared: false }
            }
        }
    }

    /// An SQLite file in the machine's memory, where it has such a place: for virtual days, in which no machine loses its power.
    pub fn in_memory() -> Self {
        let memory = std::path::Path::new("/dev/shm");
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let folder = folder.expect("a temporary folder");
        let url = format!("sqlite://{}", folder.path().join("ccms.db").display());
        Self { url, folder, dropped: None, shared: false }
    }

    /// An SQLite file in a folder that is there; what else a server keeps is in a folder of its own.
    pub fn in_folder(place: &std::path::Path) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { url: format!("sqlite://{}", place.join("ccms.db").display()), folder, dropped: None, shared: false }
    }

    /// The same database for one more server, with a folder of its own. It goes when the first one does.
    pub fn beside(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { url: self.url.clone(), folder, dropped: None, shared: true }
    }

    /// Runs `sql` as somebody who has nothing to do with any server.
    pub async fn runs(&self, sql: &str) {
        let options = PgConnectOptions::from_str(&self.url).expect("a URL");
        run_sql(&options, sql.to_owned()).await.expect("SQL");
    }

    /// Changes one row of an SQLite file with SQL.
    pub async fn is_edited(&self, sql: &'static str) {
        let mut file = sqlx::SqliteConnection::connect(&self.url).await.expect("the database");
        let changed = sqlx::query(sql).execute(&mut file).await.expect("a change").rows_affected();
        assert_eq!(changed, 1, "{sql}");
        file.close().await.expect("an end");
    }

    pub async fn open(&self) -> DynStore {
        if self.url.starts_with("sqlite:") {
            Arc::new(SqliteStore::open(&self.url).await.expect("opening SQLite"))
        } else {
            Arc::new(PostgresStore::connect(&self.url).await.expect("connecting to PostgreSQL"))
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((options, name)) = self.dropped.take() else { return };
        // A test that failed may still be connected; FORCE ends that. On a thread, because this is no place to await.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(run_sql(&options, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        });
        if !matches!(gone.join(), Ok(Ok(()))) && !std::thread::panicking() {
            panic!("the test's database could not be dropped");
        }
    }
}

fn postgres_server() -> String {
    std::env::var("CCMS_TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!(
            "CCMS_TEST_POSTGRES_URL is not set: these tests need a PostgreSQL server on which they may make databases. \
             `scripts/test --only test` starts one; or set it, e.g. to postgres://ccms@localhost/postgres?host=/run/pg"
        )
    })
}

fn unique_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("ccms_it_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `postgres://user@host/postgres?x=y` with another database.
fn with_database(server: &str, name: &str) -> String {
    let (path, query) = server.split_once('?').map_or((server, None), |(p, q)| (p, Some(q)));
    let (scheme, rest) = path.split_once("://").expect("a URL");
    let authority = rest.split_once('/').map_or(rest, |(a, _)| a);
    let query = query.map(|q| format!("?{q}")).unwrap_or_default();
    format!("{scheme}://{authority}/{name}{query}")
}

async fn run_sql(server: &PgConnectOptions, sql: String) -> sqlx::Result<()> {
    let mut connection = server.clone().connect().await?;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await?;
    connection.close().await
}

#[test]
fn the_database_of_a_url_is_replaced_and_nothing_else() {
    for (server, own) in [
        ("postgres://a:b@h:5/postgres?host=/tmp/x", "postgres://a:b@h:5/own?host=/tmp/x"),
        ("postgres://localhost", "postgres://localhost/own"),
    ] {
        assert_eq!(with_database(server, "own"), own);
    }
}
