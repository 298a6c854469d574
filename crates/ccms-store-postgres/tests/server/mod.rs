//! A database of its own for every test, in the server that `CCMS_TEST_POSTGRES_URL` names.
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use ccms_store::DynStore;
use ccms_store::contract::Database;
use ccms_store_postgres::PostgresStore;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

pub struct Own {
    server: String,
    name: String,
}

impl Own {
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }
}

#[async_trait]
impl Database for Own {
    async fn open(&self) -> DynStore {
        Arc::new(PostgresStore::connect(&self.url()).await.expect("the database opens"))
    }

    async fn remove(&self) {
        execute(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

#[allow(dead_code, reason = "not every test opens it through this")]
pub async fn database(_case: &str) -> Arc<dyn Database> {
    own().await
}

pub async fn own() -> Arc<Own> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var("CCMS_TEST_POSTGRES_URL").expect(
        "CCMS_TEST_POSTGRES_URL is not set. scripts/test starts a server for these tests; to run them alone, set it to \
         the URL of one where databases may be created",
    );
    let name = format!("ccms_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    execute(&server, format!("CREATE DATABASE {name}")).await;
    Arc::new(Own { server, name })
}

/// The same server and parameters, another database.
fn with_database(server: &str, name: &str) -> String {
    let (base, parameters) = server.split_once('?').map_or((server, None), |(base, p)| (base, Some(p)));
    let scheme_end = base.find("://").map_or(0, |at| at + 3);
    let host_end = base[scheme_end..].find('/').map_or(base.len(), |at| scheme_end + at);
    let parameters = parameters.map(|p| format!("?{p}")).unwrap_or_default();
    format!("{}/{name}{parameters}", &base[..host_end])
}

async fn execute(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.expect("the server of CCMS_TEST_POSTGRES_URL answers");
    connection.execute(AssertSqlSafe(sql)).await.expect("the server makes and drops databases");
    connection.close().await.expect("the connection closes");
}
