//! Who did what.
use std::sync::Arc;

use super::Database;
use super::samples::{actions, at, audit, new_device, registered};
use crate::AuditEntry;

pub async fn newest_first_and_limited(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.audit(10).await.unwrap(), []);
    // The clock steps back: the order of writing counts.
    let entries: Vec<_> = [5, 9, 1, 1]
        .into_iter()
        .enumerate()
        .map(|(n, seconds)| AuditEntry { at: at(seconds), ..audit(&format!("step.{n}")) })
        .collect();
    for entry in &entries {
        store.write_audit(entry).await.unwrap();
    }
    let newest: Vec<_> = entries.into_iter().rev().collect();
    assert_eq!(store.audit(10).await.unwrap(), newest);
    assert_eq!(store.audit(2).await.unwrap(), newest[..2]);
    assert_eq!(store.audit(0).await.unwrap(), []);
}

pub async fn entries_share_the_fate_of_their_change(database: Arc<dyn Database>) {
    let store = database.open().await;
    registered(&*store, 1).await;
    store.register_device(new_device(1), &audit("refused")).await.unwrap_err();
    assert_eq!(actions(&*store).await, ["device.register"]);
}
