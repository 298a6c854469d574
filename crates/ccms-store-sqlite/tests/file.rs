//! What only the file of SQLite can show: who may read it, and what happens when it holds what it should not.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
use ccms_core::ids::LightNo;
use ccms_core::time::UtcMillis;
use ccms_store::audit_chain::{CHAIN_START, walk};
use ccms_store::contract::samples;
use ccms_store::{Access, Store, StoreError, StoreResult};
use ccms_store_sqlite::SqliteStore;
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};

async fn changed_by_hand(sql: &str) -> (tempfile::TempDir, StoreResult<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ccms.db");
    let url = format!("sqlite://{}", file.display());
    let store = SqliteStore::open(&url).await.unwrap();
    samples::registered(&store, 1).await;
    for n in 2..=4 {
        store.write_audit(&samples::audit(&format!("step.{n}"))).await.unwrap();
    }
    store.append_readings(&[samples::reading(1, 0, 1)]).await.unwrap();
    store.close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
    (folder, SqliteStore::open(&url).await)
}

#[tokio::test]
async fn a_bad_row_is_named_by_table_column_and_row() {
    let (_folder, store) = changed_by_hand(
        "UPDATE devices SET state = 'asleep'; UPDATE lights SET id = 'a b';
         UPDATE energy_parameters SET body = zeroblob(40); UPDATE audit SET detail = '{';",
    )
    .await;
    let store = store.unwrap();
    let place = |error| match error {
        StoreError::BadRow { table, column, row, .. } => format!("{table}.{column} of {row}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(store.devices().await.unwrap_err()), "devices.state of 1");
    assert_eq!(place(store.lights().await.unwrap_err()), "lights.id of 1");
    assert_eq!(place(store.audit(1).await.unwrap_err()), "audit.detail of 4");
    let readings = store.readings(LightNo(1), UtcMillis(0), samples::at(9), 1).await;
    assert_eq!(place(readings.unwrap_err()), "energy_parameters.body of 1");
}

#[tokio::test]
async fn an_audit_log_that_was_touched_does_not_walk() {
    let forged = "INSERT INTO audit (at, actor, action, target, detail, hash)
                  SELECT at, 'nobody', action, target, detail, hash FROM audit WHERE no = 4";
    for (touch, first_wrong) in [
        ("UPDATE audit SET actor = 'nobody' WHERE no = 2", 2),
        ("UPDATE audit SET detail = detail || ' ' WHERE no = 3", 3),
        ("UPDATE audit SET hash = NULL WHERE no = 2", 2),
        ("UPDATE audit SET hash = zeroblob(32) WHERE no = 1", 1),
        ("DELETE FROM audit WHERE no = 2", 3),
        (forged, 5),
    ] {
        let (_folder, store) = changed_by_hand(touch).await;
        let store = store.unwrap();
        let chain = store.audit_chain(0, 9).await.unwrap();
        assert_eq!(walk(CHAIN_START, &chain), Err(first_wrong), "{touch}");
    }
    // What is cut off the end leaves a chain that walks; the number of the next entry tells.
    let (_folder, store) = changed_by_hand("DELETE FROM audit WHERE no > 2").await;
    let store = store.unwrap();
    store.write_audit(&samples::audit("later")).await.unwrap();
    let chain = store.audit_chain(0, 9).await.unwrap();
    assert!(walk(CHAIN_START, &chain).is_ok());
    assert_eq!(chain.iter().map(|c| c.no).collect::<Vec<_>>(), [1, 2, 5]);
}

#[tokio::test]
async fn the_schema_of_a_later_release_is_refused() {
    let later = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9999, 'later', TRUE, x'00', 0)";
    let (_folder, store) = changed_by_hand(later).await;
    assert!(matches!(store.err().unwrap(), StoreError::Unusable(_)));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ccms.db");
    std::fs::write(&file, "no database ".repeat(1_000)).unwrap();
    let refused = SqliteStore::open(file.to_str().unwrap()).await;
    assert!(matches!(refused.err().unwrap(), StoreError::Unusable(_)));
    assert!(SqliteStore::open(folder.path().to_str().unwrap()).await.is_err(), "a folder");
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/ccms.db");
    let store = SqliteStore::open(file.to_str().unwrap()).await.unwrap();
    samples::registered(&store, 1).await;
    for file in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.file_name());
    }
}
