//! A database that nobody else uses, and copies of it.
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ccms_store::DynStore;
use ccms_store_postgres::PostgresStore;
use ccms_store_sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tempfile::TempDir;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

pub struct Database {
    pub url: String,
    /// Where an embedded one is, and whatever else belongs to the city.
    pub folder: TempDir,
    /// The server and the name, of one that goes with this.
    served: Option<(String, String)>,
}

impl Database {
    pub async fn fresh(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::embedded(),
            Engine::Postgres => {
                let server = std::env::var("CCMS_TEST_POSTGRES_URL").expect(
                    "CCMS_TEST_POSTGRES_URL is not set. scripts/test starts a server for these tests; to run them alone, \
                     set it to the URL of one where databases may be created",
                );
                Self::served(server, "").await
            }
        }
    }

    fn embedded() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { url: format!("sqlite://{}", folder.path().join("ccms.db").display()), folder, served: None }
    }

    async fn served(server: String, like: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ccms_kills_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        execute(&server, format!("CREATE DATABASE {name} {like}")).await.expect("a database is made");
        let url = with_database(&server, &name);
        Self { url, folder: tempfile::tempdir().expect("a folder"), served: Some((server, name)) }
    }

    /// What is in this one, once more. Nobody may have it open; a server notices a little later who has gone.
    pub async fn copied(&self) -> Self {
        let Some((server, name)) = &self.served else {
            let (copy, file) = (Self::embedded(), self.folder.path());
            std::fs::copy(file.join("ccms.db"), copy.folder.path().join("ccms.db")).expect("a copy");
            assert!(!file.join("ccms.db-wal").exists(), "it is open, or was when a process was killed");
            return copy;
        };
        let gone = format!("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = '{name}'");
        execute(server, gone).await.expect("nobody else on it");
        Self::served(server.clone(), &format!("TEMPLATE {name}")).await
    }

    /// Who was killed leads no more. Its lease ends by itself some seconds later; hundreds of kills have no time for that.
    pub async fn lets_lead(&self) {
        if self.served.is_some() {
            execute(&self.url, "DELETE FROM server_lease".into()).await.expect("the lease is free");
        }
    }

    pub async fn open(&self) -> DynStore {
        Self::open_at(&self.url).await
    }

    /// One of which only the URL is known.
    pub async fn open_at(url: &str) -> DynStore {
        if url.starts_with("sqlite:") {
            Arc::new(SqliteStore::open(url).await.expect("the database opens"))
        } else {
            Arc::new(PostgresStore::connect(url).await.expect("the database opens"))
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.served.take() else { return };
        // On a thread, because this is no place to await.
        let gone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(execute(&server, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")))
        });
        if !matches!(gone.join(), Ok(Ok(()))) && !std::thread::panicking() {
            panic!("the test's database could not be dropped");
        }
    }
}

/// The same server and parameters, another database.
fn with_database(server: &str, name: &str) -> String {
    let (base, parameters) = server.split_once('?').map_or((server, None), |(base, p)| (base, Some(p)));
    let scheme_end = base.find("://").map_or(0, |at| at + 3);
    let host_end = base[scheme_end..].find('/').map_or(base.len(), |at| scheme_end + at);
    let parameters = parameters.map(|p| format!("?{p}")).unwrap_or_default();
    format!("{}/{name}{parameters}", &base[..host_end])
}

async fn execute(server: &str, sql: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(server).await?;
    connection.execute(AssertSqlSafe(sql)).await?;
    connection.close().await
}
