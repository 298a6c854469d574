//! What PostgreSQL refuses and devices send all the same: NUL in texts, and times that no calendar has. Stored as the nearest
//! that can be; nothing fails. Only here: the other engine takes them as they are.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod server;

use std::sync::Arc;

use ccms_core::command::CommandKind;
use ccms_core::ids::UserId;
use ccms_core::time::UtcMillis;
use ccms_store::contract::{self, Database, samples};
use ccms_store::*;
use serde_json::json;

const NUL: &str = "a\0ä";
const READ: &str = "a\u{fffd}ä";
const NEVER: UtcMillis = UtcMillis(i64::MIN);
const ALWAYS: UtcMillis = UtcMillis(i64::MAX);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nul_and_absurd_times_are_stored() {
    let database = server::database("odd_values").await;
    contract::run(database.clone(), odd(database)).await;
}

async fn odd(database: Arc<dyn Database>) {
    let store = database.open().await;
    let audit = AuditEntry {
        at: ALWAYS,
        actor: NUL.into(),
        action: NUL.into(),
        target: NUL.into(),
        detail: json!({ NUL: NUL }),
    };
    people(&*store, &audit).await;
    devices(&*store, &audit).await;
    alerts(&*store, &audit).await;
    programs(&*store, &audit).await;
    readings(&*store).await;

    store.write_audit(&AuditEntry { at: NEVER, ..audit.clone() }).await.unwrap();
    let entries = store.audit_chain(0, 100).await.unwrap();
    audit_chain::walk(audit_chain::CHAIN_START, &entries).unwrap();
    let last = &entries.last().unwrap().entry;
    assert_eq!((last.actor.as_str(), &last.detail), (READ, &audit.detail));
    assert!(last.at < UtcMillis(0) && entries[0].entry.at > samples::at(0));
}

/// Beside a repeat, too, each is told what became of it.
async fn readings(store: &dyn Store) {
    let said = |at| {
        let mut row = samples::reading(1, 0, 1);
        row.reading.reported_at = at;
        row
    };
    let (absurd, usual) = (said(ALWAYS), said(samples::at(7)));
    assert_eq!(store.append_readings(std::slice::from_ref(&usual)).await.unwrap().stored, [true]);
    for stored in [true, false] {
        let appended = store.append_readings(&[usual.clone(), absurd.clone()]).await.unwrap();
        assert_eq!(appended.stored, [false, stored]);
    }
}

async fn people(store: &dyn Store, audit: &AuditEntry) {
    let new = NewUser { zone: Some(NUL.into()), password_hash: NUL.into(), created_at: NEVER, ..samples::user(NUL) };
    let user = store.create_user(new, audit).await.unwrap();
    assert_eq!((user.email.as_str(), user.zone.as_deref(), user.password_hash.as_str()), (READ, Some(READ), READ));
    assert_eq!(store.user_by_email(NUL).await.unwrap().as_ref(), Some(&user));
    store.change_password(user.id, NUL, audit).await.unwrap();
    store.change_user(user.id, Role::Admin, Some(NUL.into()), audit).await.unwrap().unwrap();
    assert!(store.change_user(UserId(99), Role::Admin, None, audit).await.unwrap().is_none());
    let session = SessionRecord { data: NUL.into(), ..samples::session(NUL, ALWAYS) };
    assert!(store.create_session(&session).await.unwrap());
    store.save_session(&session).await.unwrap();
    assert_eq!(store.session(NUL, samples::at(0)).await.unwrap().unwrap().data, READ);
    store.delete_session(NUL).await.unwrap();
    assert!(store.session(NUL, NEVER).await.unwrap().is_none());
}

async fn devices(store: &dyn Store, audit: &AuditEntry) {
    let curated = Curated { name: NUL.into(), zone: NUL.into(), pole: NUL.into(), ..Curated::default() };
    let new = NewDevice { curated, claim_until: Some(ALWAYS), created_at: NEVER, ..samples::new_device(1) };
    let (device, light) = store.register_device(new, audit).await.unwrap();
    assert_eq!((light.curated.name.as_str(), light.curated.zone.as_str()), (READ, READ));
    assert_eq!(store.lights().await.unwrap(), std::slice::from_ref(&light));
    let reported = Reported { name: Some(NUL.into()), firmware_version: Some(NUL.into()), ..Reported::default() };
    store.note_pending(&[PendingNote { device_id: samples::device_id(2), at: ALWAYS, reported }]).await.unwrap();
    let asked = store.device(&samples::device_id(2)).await.unwrap().unwrap();
    assert_eq!(asked.reported.name.as_deref(), Some(READ));
    let claim = Claim { at: NEVER, ..samples::claim(device.no) };
    assert!(store.claim_device(&claim, audit).await.unwrap());
    assert!(store.open_reclaim_window(&device.id, ALWAYS, audit).await.unwrap());
    assert!(store.reclaim_device(device.no, samples::at(1), samples::at(1), audit).await.unwrap().is_some());

    let mut command = samples::command("ODD", &device, &light, CommandKind::Brightness(1), 0);
    command.reason = Some(NUL.into());
    command.detail = Some(NUL.into());
    command.requested_by = NUL.into();
    command.expires_at = ALWAYS;
    store.enqueue_commands(std::slice::from_ref(&command), audit).await.unwrap();
    let stored = store.cancel_command(&command.id, NEVER, audit).await.unwrap().unwrap();
    assert_eq!((stored.requested_by.as_str(), stored.reason.as_deref()), (READ, Some(READ)));

    store.save_device_log(device.no, NEVER, NUL, 9).await.unwrap();
    assert_eq!(store.device_logs(device.no, 9).await.unwrap()[0].text, READ);
    let item = Quarantined { reason: NUL.into(), raw: NUL.into() };
    store.save_quarantined(device.no, ALWAYS, &[item], 9).await.unwrap();
    assert_eq!(store.quarantined(device.no, 9).await.unwrap()[0].1.raw, READ);
    let text = || Some(NUL.into());
    let (version, state, message) = (text(), text(), text());
    let report = FirmwareReport { device: device.no, at: NEVER, version, state, progress_percent: None, message };
    store.save_firmware_report(&report).await.unwrap();
    store.heartbeat(ALWAYS).await.unwrap();
    store.add_outage(Outage { from: NEVER, until: ALWAYS }).await.unwrap();
    assert_eq!(store.outages(samples::at(0)).await.unwrap().len(), 1);
    assert!(store.suspect_readings(light.no, NEVER, ALWAYS, 9).await.unwrap().is_empty());
}

async fn alerts(store: &dyn Store, audit: &AuditEntry) {
    let raise = AlertRaise {
        device_no: None,
        light_no: None,
        kind: NUL.into(),
        severity: Severity::Info,
        message: NUL.into(),
        detail: json!({ NUL: NUL }),
        at: ALWAYS,
    };
    let (opened, new) = store.raise_alert(&raise).await.unwrap();
    assert_eq!((opened.kind.as_str(), &opened.detail, new), (READ, &raise.detail, true));
    let (again, new) = store.raise_alert(&AlertRaise { at: NEVER, ..raise }).await.unwrap();
    assert_eq!((again.no, again.count, new), (opened.no, 2, false));
    let moved = store.move_alert(again.no, AlertState::Resolved, NUL, NEVER, audit).await.unwrap().unwrap();
    assert_eq!(moved.moved_by.as_deref(), Some(READ));
}

async fn programs(store: &dyn Store, audit: &AuditEntry) {
    let text = || NUL.to_owned();
    let (zone, hash) = (Some(text()), [7; 32]);
    let key = NewApiKey { name: text(), scopes: text(), zone, hash, created_at: NEVER };
    store.create_api_key(key, audit).await.unwrap();
    assert_eq!(store.api_key(&hash).await.unwrap().unwrap().name, READ);
    assert!(store.revoke_api_key(NUL, ALWAYS, audit).await.unwrap());
    let answer = RememberedAnswer { request: [1; 32], status: 201, body: text(), at: ALWAYS };
    store.remember_answer(NUL, NUL, &answer).await.unwrap();
    assert_eq!(store.remembered_answer(NUL, NUL).await.unwrap().unwrap().body, READ);
    assert_eq!(store.forget_answers(NEVER).await.unwrap(), 0);
}
