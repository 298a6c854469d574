//! Users and sessions.
use std::sync::Arc;

use ccms_core::ids::UserId;

use super::Database;
use super::samples::{actions, at, audit, session, user};
use crate::{Role, StoreError, UserRecord};

pub async fn emails_are_unique_whatever_the_case(database: Arc<dyn Database>) {
    let store = database.open().await;
    store.create_user(user("Ärla.Operator@City.example"), &audit("create")).await.unwrap();
    for same in ["Ärla.Operator@City.example", "ärla.operator@city.example", "ÄRLA.OPERATOR@CITY.EXAMPLE"] {
        let refused = store.create_user(user(same), &audit("refused")).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{same}: {refused:?}");
    }
    store.create_user(user("arla.operator@city.example"), &audit("create")).await.unwrap();
    assert_eq!(store.user_count().await.unwrap(), 2);
    assert_eq!(actions(&*store).await, ["create", "create"], "what was refused is not recorded");
}

pub async fn users_are_found_by_address_and_number(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.user_count().await.unwrap(), 0);
    for (role, email) in Role::ALL.into_iter().zip(["Viewer@x.example", "o@x.example", "t@x.example", "a@x.example"]) {
        let zone = (role != Role::Admin).then(|| format!("Zone of {role:?} ✓"));
        let new = crate::NewUser { role, zone: zone.clone(), ..user(email) };
        let made = store.create_user(new.clone(), &audit("create")).await.unwrap();
        let expected = UserRecord {
            id: made.id,
            email: email.into(),
            role,
            zone,
            password_hash: new.password_hash,
            created_at: new.created_at,
        };
        assert_eq!(made, expected);
        assert_eq!(store.user_by_id(made.id).await.unwrap().as_ref(), Some(&expected));
        assert_eq!(store.user_by_email(&email.to_uppercase()).await.unwrap(), Some(expected));
    }
    assert_eq!(store.user_by_email("nobody@x.example").await.unwrap(), None);
    assert_eq!(store.user_by_email("%").await.unwrap(), None);
    assert_eq!(store.user_by_id(UserId(-1)).await.unwrap(), None);
    assert_eq!(store.user_count().await.unwrap(), 4);
}

pub async fn sessions_end_at_their_time(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (short, long) = (session("short", at(10)), session("long", at(20)));
    store.save_session(&short).await.unwrap();
    store.save_session(&long).await.unwrap();
    assert_eq!(store.session("short", at(9)).await.unwrap(), Some(short.clone()));
    assert_eq!(store.session("short", at(10)).await.unwrap(), None, "over at its very end");
    assert_eq!(store.delete_expired_sessions(at(9)).await.unwrap(), 0);
    assert_eq!(store.delete_expired_sessions(at(10)).await.unwrap(), 1);
    assert_eq!(store.session("short", at(0)).await.unwrap(), None, "removed");
    assert_eq!(store.session("long", at(10)).await.unwrap(), Some(long));
}

pub async fn a_session_id_is_taken_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    let first = session("id", at(10));
    assert!(store.create_session(&first).await.unwrap());
    let second = crate::SessionRecord { data: "other".into(), ..first.clone() };
    assert!(!store.create_session(&second).await.unwrap());
    assert_eq!(store.session("id", at(0)).await.unwrap(), Some(first));
    let replaced = crate::SessionRecord { expires_at: at(99), ..second };
    store.save_session(&replaced).await.unwrap();
    assert_eq!(store.session("id", at(50)).await.unwrap(), Some(replaced));
    store.delete_session("id").await.unwrap();
    store.delete_session("id").await.unwrap();
    assert_eq!(store.session("id", at(0)).await.unwrap(), None);
}
