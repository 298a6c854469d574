//! API keys, answers that may be asked for twice, what may be changed of people, and commands by the dozen.
use std::sync::Arc;

use ccms_core::command::{Command, CommandKind, CommandState};
use ccms_core::ids::{CommandId, UserId};
use ccms_core::reading::PowerState;

use super::Database;
use super::samples::{actions, at, audit, command, registered, session, user};
use crate::{
    AnswerNote, ApiKeyRecord, CommandChange, NewApiKey, RememberedAnswer, Role, SessionRecord, StoreError, UserRecord,
};

const ON: CommandKind = CommandKind::Power(PowerState::On);
const OFF: CommandKind = CommandKind::Power(PowerState::Off);

fn key(name: &str, hash: u8) -> NewApiKey {
    let (scopes, zone) = ("read,command".into(), hash.is_multiple_of(2).then(|| "Nord ✓".into()));
    NewApiKey { name: name.into(), scopes, zone, hash: [hash; 32], created_at: at(i64::from(hash)) }
}

pub async fn keys_are_found_by_hash_until_revoked(database: Arc<dyn Database>) {
    let store = database.open().await;
    let first = store.create_api_key(key("billing", 1), &audit("key.create")).await.unwrap();
    let second = store.create_api_key(key("Billing", 2), &audit("key.create")).await.unwrap();
    let expected = ApiKeyRecord {
        no: second.no,
        name: "Billing".into(),
        scopes: "read,command".into(),
        zone: Some("Nord ✓".into()),
        created_at: at(2),
        revoked_at: None,
    };
    assert_eq!(second, expected);
    assert_eq!(store.api_key(&[1; 32]).await.unwrap(), Some(first.clone()));
    assert_eq!(store.api_key(&[2; 32]).await.unwrap(), Some(second.clone()));
    assert_eq!(store.api_key(&[0; 32]).await.unwrap(), None);

    let taken = store.create_api_key(key("billing", 3), &audit("refused")).await;
    assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{taken:?}");
    assert!(!store.revoke_api_key("nobody's", at(50), &audit("refused")).await.unwrap());
    assert!(store.revoke_api_key("billing", at(50), &audit("key.revoke")).await.unwrap());
    assert!(!store.revoke_api_key("billing", at(60), &audit("refused")).await.unwrap(), "once");
    assert_eq!(store.api_key(&[1; 32]).await.unwrap(), None);
    assert_eq!(actions(&*store).await, ["key.revoke", "key.create", "key.create"]);

    let third = store.create_api_key(key("billing", 3), &audit("key.create")).await.unwrap();
    let revoked = ApiKeyRecord { revoked_at: Some(at(50)), ..first };
    assert_eq!(store.api_keys().await.unwrap(), [revoked, second, third], "the name is free again");
    assert!(store.revoke_api_key("billing", at(70), &audit("key.revoke")).await.unwrap());
    assert_eq!(store.api_keys().await.unwrap()[0].revoked_at, Some(at(50)), "the older one is left as it was");
}

pub async fn the_first_answer_stays(database: Arc<dyn Database>) {
    let store = database.open().await;
    let answer = |n: u8, status, seconds| RememberedAnswer {
        request: [n; 32],
        status,
        body: format!(r#"{{"n":{n},"ä":"✓"}}"#),
        at: at(seconds),
    };
    assert_eq!(store.remembered_answer("key a", "1").await.unwrap(), None);
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let (store, answer) = (store.clone(), answer(n, 201, 10));
            tokio::spawn(async move { store.remember_answer("key a", "1", &answer).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let first = store.remembered_answer("key a", "1").await.unwrap().unwrap();
    assert_eq!(first, answer(first.request[0], 201, 10), "whole, of one of eight at once");
    store.remember_answer("key a", "1", &answer(99, 500, 99)).await.unwrap();
    assert_eq!(store.remembered_answer("key a", "1").await.unwrap(), Some(first));

    store.remember_answer("key b", "1", &answer(50, u16::MAX, 20)).await.unwrap();
    store.remember_answer("key a", "2", &answer(51, 0, 30)).await.unwrap();
    assert_eq!(store.remembered_answer("key b", "1").await.unwrap(), Some(answer(50, u16::MAX, 20)), "another actor");
    assert_eq!(store.remembered_answer("key a", "2").await.unwrap(), Some(answer(51, 0, 30)), "another key");
    assert_eq!(store.forget_answers(at(10)).await.unwrap(), 0, "given then, not before");
    assert_eq!(store.forget_answers(at(21)).await.unwrap(), 2);
    assert_eq!(store.remembered_answer("key a", "1").await.unwrap(), None);
    assert_eq!(store.remembered_answer("key a", "2").await.unwrap(), Some(answer(51, 0, 30)));
}

pub async fn commands_and_their_answer_are_one_change(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let note = |key: &str| AnswerNote {
        actor: "key 1".into(),
        key: key.into(),
        answer: RememberedAnswer { request: [7; 32], status: 201, body: "{\"ä\":1}".into(), at: at(20) },
    };
    let on = |id: &str, seconds| command(id, &device, &light, ON, seconds);
    let first = [on("CMD_1", 20)];
    assert_eq!(store.enqueue_commands_once(&first, &audit("first"), &note("a")).await.unwrap(), []);
    assert_eq!(store.live_commands().await.unwrap(), first);
    assert_eq!(store.remembered_answer("key 1", "a").await.unwrap(), Some(note("a").answer));

    // The same key again, and a command that cannot be: nothing of either.
    for (id, key) in [("CMD_2", "a"), ("CMD_1", "b")] {
        let refused = store.enqueue_commands_once(&[on(id, 30)], &audit("second"), &note(key)).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{id} {key}: {refused:?}");
    }
    assert_eq!(store.live_commands().await.unwrap(), first);
    assert_eq!(store.remembered_answer("key 1", "b").await.unwrap(), None);
    assert_eq!(actions(&*store).await[0], "first");
    let superseded = store.enqueue_commands_once(&[on("CMD_2", 30)], &audit("second"), &note("b")).await.unwrap();
    assert_eq!(superseded, [first[0].id.clone()]);
}

pub async fn people_change_and_are_signed_out(database: Arc<dyn Database>) {
    let store = database.open().await;
    let first = store.create_user(user("b@x.example"), &audit("create")).await.unwrap();
    let second = store.create_user(user("a@x.example"), &audit("create")).await.unwrap();
    assert_eq!(store.users().await.unwrap(), [first.clone(), second.clone()], "by number");
    let zone = Some("Süd \"1\"".to_owned());
    let changed = store.change_user(first.id, Role::Technician, zone.clone(), &audit("change")).await.unwrap();
    let expected = UserRecord { role: Role::Technician, zone, ..first.clone() };
    assert_eq!(changed, Some(expected.clone()));
    assert_eq!(store.user_by_id(first.id).await.unwrap(), Some(expected.clone()));
    let changed = store.change_user(first.id, Role::Admin, None, &audit("change")).await.unwrap();
    assert_eq!(changed, Some(UserRecord { role: Role::Admin, zone: None, ..expected }));
    assert_eq!(store.change_user(UserId(99), Role::Admin, None, &audit("refused")).await.unwrap(), None);

    let changed = store.change_password(second.id, "$argon2id$new", &audit("password")).await.unwrap();
    assert_eq!(changed, Some(0), "of no sessions");
    assert_eq!(store.change_password(UserId(99), "x", &audit("refused")).await.unwrap(), None);
    let new = UserRecord { password_hash: "$argon2id$new".into(), ..second.clone() };
    assert_eq!(store.user_by_email("a@x.example").await.unwrap(), Some(new));
    assert_eq!(actions(&*store).await, ["password", "change", "change", "create", "create"]);

    let of = |id: &str, user| SessionRecord { user_id: user, ..session(id, at(60)) };
    let [a, b, c] = [of("a", Some(first.id)), of("b", Some(second.id)), of("c", None)];
    assert!(store.create_session(&a).await.unwrap());
    store.save_session(&b).await.unwrap();
    store.save_session(&c).await.unwrap();
    for session in [&a, &b, &c] {
        assert_eq!(store.session(&session.id, at(0)).await.unwrap().as_ref(), Some(session));
    }
    // Signing in gives a session its person.
    let c = SessionRecord { user_id: Some(first.id), ..c };
    store.save_session(&c).await.unwrap();
    assert_eq!(store.session("c", at(0)).await.unwrap(), Some(c));
    assert_eq!(store.delete_sessions_of(UserId(99), &audit("refused")).await.unwrap(), None);
    assert_eq!(store.delete_sessions_of(first.id, &audit("out")).await.unwrap(), Some(2));
    assert_eq!(store.delete_sessions_of(first.id, &audit("out")).await.unwrap(), Some(0));
    assert_eq!(store.session("b", at(0)).await.unwrap(), Some(b), "nobody else's");
    assert_eq!(store.session("c", at(0)).await.unwrap(), None);
    assert_eq!(actions(&*store).await[..3], ["out", "out", "password"], "recorded also when nothing was open");
    assert_eq!(store.change_password(second.id, "$argon2id$newer", &audit("password")).await.unwrap(), Some(1));
    assert_eq!(store.session("b", at(0)).await.unwrap(), None, "what the old password opened is over");
    assert_eq!(actions(&*store).await[..2], ["password", "out"]);
}

pub async fn many_commands_are_one_change(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let (other_device, other_light) = registered(&*store, 2).await;
    let id = |text| CommandId::parse(text).unwrap();
    let enqueue = async |commands: &[Command]| store.enqueue_commands(commands, &audit("commands")).await;
    let (a, b) = (command("A", &device, &light, ON, 1), command("B", &other_device, &other_light, ON, 2));
    assert_eq!(enqueue(&[a, b]).await.unwrap(), []);
    assert_eq!(actions(&*store).await.iter().filter(|a| *a == "commands").count(), 1, "one entry");

    // Of the same list the later one of a light and type wins.
    let three = [
        command("C", &device, &light, OFF, 3),
        command("D", &other_device, &other_light, OFF, 4),
        command("E", &device, &light, ON, 5),
    ];
    assert_eq!(enqueue(&three).await.unwrap(), [id("A"), id("B"), id("C")]);
    let c = store.command(&id("C")).await.unwrap().unwrap();
    assert_eq!((c.state, c.finished_at), (CommandState::Superseded, Some(at(5))));
    let live = async || store.live_commands().await.unwrap().into_iter().map(|c| c.id).collect::<Vec<_>>();
    assert_eq!(live().await, [id("D"), id("E")]);

    for last in ["A", "F"] {
        let list = [command("F", &device, &light, OFF, 6), command(last, &other_device, &other_light, OFF, 7)];
        let taken = enqueue(&list).await;
        assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{last}: {taken:?}");
        assert_eq!(store.command(&id("F")).await.unwrap(), None, "nothing happened");
    }
    assert_eq!(live().await, [id("D"), id("E")]);
    assert_eq!(actions(&*store).await.iter().filter(|a| *a == "commands").count(), 2);
}

pub async fn a_live_command_is_cancelled_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let queued = command("A", &device, &light, ON, 1);
    store.enqueue_commands(std::slice::from_ref(&queued), &audit("commands")).await.unwrap();
    let unknown = CommandId::parse("NONE").unwrap();
    assert_eq!(store.cancel_command(&unknown, at(2), &audit("refused")).await.unwrap(), None);
    let (from, to) = (CommandState::Queued, CommandState::Delivered);
    let (id, delivered_at) = (queued.id.clone(), Some(at(3)));
    let delivered = CommandChange { id, from, to, at: at(3), delivered_at, executed_at: None, detail: None };
    assert_eq!(store.change_commands(&[delivered]).await.unwrap(), [true]);

    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (store, id) = (store.clone(), queued.id.clone());
            tokio::spawn(async move { store.cancel_command(&id, at(4), &audit("cancel")).await.unwrap() })
        })
        .collect();
    let mut won = Vec::new();
    for attempt in tries {
        won.extend(attempt.await.unwrap());
    }
    let (state, finished_at) = (CommandState::Cancelled, Some(at(4)));
    let expected = Command { state, finished_at, delivered_at, ..queued.clone() };
    assert_eq!(won, std::slice::from_ref(&expected), "of eight at once");
    assert_eq!(store.command(&queued.id).await.unwrap(), Some(expected));
    assert_eq!(actions(&*store).await[..2], ["cancel", "commands"]);
}
