//! The contract of the store, on SQLite: every case on a file in a folder of its own.
use std::sync::Arc;

use async_trait::async_trait;
use ccms_store::DynStore;
use ccms_store::contract::Database;
use ccms_store_sqlite::SqliteStore;

struct File(tempfile::TempDir);

#[async_trait]
impl Database for File {
    async fn open(&self) -> DynStore {
        let url = format!("sqlite://{}/data/ccms.db", self.0.path().display());
        Arc::new(SqliteStore::open(&url).await.expect("the database opens"))
    }

    /// The folder goes with its handle.
    async fn remove(&self) {}
}

async fn database(_case: &str) -> Arc<dyn Database> {
    Arc::new(File(tempfile::tempdir().expect("a folder for the database")))
}

ccms_store::contract_tests!(crate::database);
