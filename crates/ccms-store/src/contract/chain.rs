//! The audit log as a chain: whatever writes an entry links it, and what is not written leaves no link.
use std::sync::Arc;

use ccms_core::command::CommandKind;
use ccms_core::ids::UserId;
use ccms_core::reading::PowerState;

use super::Database;
use super::samples::{actions, at, audit, claimed, command, new_device, registered, user};
use crate::audit_chain::{CHAIN_START, walk};
use crate::{AuditEntry, ChainedEntry, CurationStep, Role, Store};

async fn whole(store: &dyn Store) -> Vec<ChainedEntry> {
    store.audit_chain(0, 10_000).await.unwrap()
}

pub async fn every_change_adds_a_link(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(whole(&*store).await, []);
    let (device, light) = claimed(&*store, 1).await;
    store.write_audit(&AuditEntry { at: at(-9), ..audit("ä \"✓\"\\\u{7f}") }).await.unwrap();
    store.write_audit(&AuditEntry { detail: serde_json::json!({}), ..audit("") }).await.unwrap();
    let on = command("A", &device, &light, CommandKind::Power(PowerState::On), 1);
    store.enqueue_commands(std::slice::from_ref(&on), &audit("command")).await.unwrap();
    store.cancel_command(&on.id, at(2), &audit("cancel")).await.unwrap().unwrap();
    let person = store.create_user(user("a@x.example"), &audit("create")).await.unwrap();
    store.change_user(person.id, Role::Viewer, None, &audit("change")).await.unwrap().unwrap();
    store.change_password(person.id, "$argon2id$new", &audit("password")).await.unwrap().unwrap();
    store.delete_sessions_of(person.id, &audit("sign_out")).await.unwrap().unwrap();
    let steps = [CurationStep::Register(new_device(2))];
    store.curate(&steps, &[audit("import"), audit("import.more")]).await.unwrap();
    store.revoke_device(&device.id, at(3), &audit("revoke")).await.unwrap().unwrap();
    store.release_device(&device.id, None, &audit("release")).await.unwrap().unwrap();

    let chain = whole(&*store).await;
    assert_eq!(chain.len(), 14);
    let end = walk(CHAIN_START, &chain).unwrap();
    let middle = walk(CHAIN_START, &chain[..5]).unwrap();
    let newest: Vec<_> = chain.iter().rev().map(|c| c.entry.clone()).collect();
    assert_eq!(store.audit(100).await.unwrap(), newest, "the same entries, the same order");
    for entry in &chain {
        assert!(entry.hash.is_some(), "{entry:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&entry.detail_text).unwrap(), entry.entry.detail);
    }

    let page = store.audit_chain(chain[4].no, 3).await.unwrap();
    assert_eq!(page, chain[5..8]);
    let rest = store.audit_chain(page[2].no, 100).await.unwrap();
    assert_eq!(walk(walk(middle, &page).unwrap(), &rest), Ok(end), "page by page the same end");
    assert_eq!(store.audit_chain(chain[13].no, 9).await.unwrap(), []);
    assert_eq!(store.audit_chain(0, 0).await.unwrap(), []);

    store.close().await;
    drop(store);
    let store = database.open().await;
    store.write_audit(&audit("later")).await.unwrap();
    let longer = whole(&*store).await;
    assert_eq!(longer[..14], chain);
    walk(end, &longer[14..]).unwrap();
}

pub async fn what_is_refused_leaves_no_link(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, _) = registered(&*store, 1).await;
    store.create_user(user("a@x.example"), &audit("person.create")).await.unwrap();
    for _ in 0..3 {
        store.create_user(user("A@x.example"), &audit("refused")).await.unwrap_err();
        assert_eq!(store.change_password(UserId(99), "x", &audit("refused")).await.unwrap(), None);
        assert_eq!(store.delete_sessions_of(UserId(99), &audit("refused")).await.unwrap(), None);
        store.register_device(new_device(1), &audit("refused")).await.unwrap_err();
        let steps = [CurationStep::Register(new_device(3)), CurationStep::Register(new_device(1))];
        store.curate(&steps, &[audit("refused")]).await.unwrap_err();
        assert_eq!(store.release_device(&device.id, None, &audit("refused")).await.unwrap(), None);
    }
    registered(&*store, 2).await;
    let chain = whole(&*store).await;
    assert_eq!(actions(&*store).await, ["device.register", "person.create", "device.register"]);
    walk(CHAIN_START, &chain).unwrap();
}

pub async fn writers_at_once_make_one_chain(database: Arc<dyn Database>) {
    let store = database.open().await;
    // A second handle, as of a command line beside the server.
    let beside = database.open().await;
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = if writer % 2 == 0 { store.clone() } else { beside.clone() };
            tokio::spawn(async move {
                for n in 0..12 {
                    let entry = AuditEntry { target: format!("{writer}.{n}"), ..audit("write") };
                    if n % 4 == 3 {
                        store.register_device(new_device(writer * 100 + n), &entry).await.unwrap();
                    } else {
                        store.write_audit(&entry).await.unwrap();
                    }
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let chain = whole(&*store).await;
    assert_eq!(chain.len(), 96);
    assert!(chain.is_sorted_by(|a, b| a.no < b.no));
    walk(CHAIN_START, &chain).unwrap();
    // Each writer's own entries are in its order.
    for writer in 0..8 {
        let own: Vec<_> = chain.iter().filter(|c| c.entry.target.starts_with(&format!("{writer}."))).collect();
        assert!((0..12).zip(own).all(|(n, c)| c.entry.target == format!("{writer}.{n}")));
    }
}
