//! Both engines give the same answers to the same calls. Prints its seed; `CCMS_TEST_SEED=<number>` runs that one again.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod operations;
mod server;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use ccms_core::ids::{DeviceNo, LightNo, UserId};
use ccms_core::time::UtcMillis;
use ccms_store::contract::samples;
use ccms_store::*;
use ccms_store_sqlite::SqliteStore;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use operations::found::{alive, commands, known, user};
use operations::{ArchiveStep, Operation, Order, command_id, day, operation};

const OPERATIONS: usize = 5_000;
/// The whole log.
const ALL: LogPosition = LogPosition(i64::MAX);

/// What an operation answered, as text that may be compared. Numbers that may differ in their gaps stay out: log positions,
/// and those of people and keys.
async fn answer(store: &dyn Store, operation: &Operation) -> String {
    use samples::{at, device_id};
    let audit = samples::audit("operation");
    match operation.clone() {
        Operation::CreateUser(new) => {
            let email = new.email.clone();
            let made = store.create_user(new, &audit).await.map(without_id);
            let by_email = store.user_by_email(&email).await.unwrap().map(without_id);
            show((made, by_email, store.user_count().await))
        }
        Operation::ChangeUser { email, role, zone } => {
            let Some(id) = user(store, &email).await else { return "nobody".into() };
            show(store.change_user(id, role, zone, &audit).await.map(|u| u.map(without_id)))
        }
        Operation::ChangePassword { email, hash } => {
            let id = user(store, &email).await.unwrap_or(UserId(-1));
            show(store.change_password(id, &hash, &audit).await)
        }
        Operation::Session { id, of, ends, create } => {
            let user_id = match of {
                Some(email) => user(store, &email).await,
                None => None,
            };
            let session = SessionRecord { user_id, ..samples::session(&id.to_string(), at(ends)) };
            if create { show(store.create_session(&session).await) } else { show(store.save_session(&session).await) }
        }
        Operation::DeleteSession(id) => show(store.delete_session(&id.to_string()).await),
        Operation::DeleteSessionsOf(email) => match user(store, &email).await {
            Some(id) => show(store.delete_sessions_of(id, &audit).await),
            None => "nobody".into(),
        },
        Operation::ExpireSessions(now) => show(store.delete_expired_sessions(at(now)).await),
        Operation::CreateKey { name, hash } => {
            let hash = [hash; 32];
            let new = NewApiKey { name, scopes: "read,command".into(), zone: None, hash, created_at: at(1) };
            let made = store.create_api_key(new, &audit).await.map(without_no);
            show((made, store.api_key(&hash).await.map(|key| key.map(without_no))))
        }
        Operation::RevokeKey { name, at: when } => show(store.revoke_api_key(&name, at(when), &audit).await),
        Operation::Remember { key, answer } => {
            show((store.remember_answer("a", &key, &answer).await, store.remembered_answer("a", &key).await))
        }
        Operation::Forget(before) => show(store.forget_answers(at(before)).await),
        Operation::Register(new) => show(store.register_device(new, &audit).await),
        Operation::NotePending(note) => show(store.note_pending(&[note]).await),
        Operation::ForgetPending { before, attempts } => {
            // Here a device that only asked may have handed something in, which no server lets it; both refuse to forget it.
            show(store.forget_pending(at(before), attempts, 99).await.map_err(|_| "refused"))
        }
        Operation::OpenWindow { device, until } => {
            show(store.open_claim_window(&device_id(device), at(until), &audit).await)
        }
        Operation::Claim(device) => show(store.claim_device(&samples::claim(DeviceNo(device)), &audit).await),
        Operation::SaveReported { device, version } => {
            show(store.save_reported(DeviceNo(device), &samples::reported(&version.to_string())).await)
        }
        Operation::UseToken { device, generation } => show(store.use_tokens(&[(DeviceNo(device), generation)]).await),
        Operation::Revoke { device, at: when } => {
            let revoked = store.revoke_device(&device_id(device), at(when), &audit).await;
            // Which of them comes first is nobody's business.
            show(revoked.map(|done| done.map(|(device, ids)| (device, sorted(ids)))))
        }
        Operation::Release { device, until } => {
            show(store.release_device(&device_id(device), until.map(at), &audit).await)
        }
        Operation::OpenReclaim { device, until } => {
            show(store.open_reclaim_window(&device_id(device), at(until), &audit).await)
        }
        Operation::Reclaim { device, at: when } => {
            show(store.reclaim_device(DeviceNo(device), at(when), at(when), &audit).await)
        }
        Operation::Swap { old, new, at: when } => {
            let swapped = store.swap_device(&device_id(old), &device_id(new), at(when), at(when + 9), &audit).await;
            show(swapped.map(|done| done.map(|s| Swapped { cancelled: sorted(s.cancelled), ..s })))
        }
        Operation::Curate(steps) => show(store.curate(&steps, &vec![audit; steps.len()]).await),
        Operation::Outage { from, until } => {
            let noted = store.add_outage(Outage { from: at(from), until: at(until) }).await;
            show((noted, store.heartbeat(at(until)).await, store.outages(at(25)).await))
        }
        Operation::Append(rows) => show(store.append_readings(&rows).await.map(|done| done.stored)),
        Operation::Checkpoint { ahead, rows } => {
            let upto = LogPosition(store.checkpoint_position().await.unwrap().0 + ahead);
            show(store.write_checkpoint(upto, &rows).await)
        }
        Operation::ForgetHot => show(forget_hot(store).await),
        Operation::ForgetSuspect(before) => show(store.forget_suspect(at(before), ALL, u32::MAX >> 1).await),
        Operation::Seal(days) => show(store.seal(&days).await),
        Operation::RollUp(days) => show(store.write_rollups(&days).await),
        Operation::Daily { later, body } => {
            let Some(open) = store.open_parts(day(9), 1).await.unwrap().pop() else { return "none".into() };
            let part = DayPart { revision: open.revision + later, ..open };
            show((open, store.write_daily(&part, &body).await, store.daily(open.part, day(0), day(9)).await))
        }
        Operation::Archive(archived) => show(store.record_archived(&archived).await),
        Operation::Archived { day: n, revision, step } => archive_step(store, day(n), revision, step, &audit).await,
        Operation::Log { device, text, keep } => match known(store, device).await {
            Some(no) => show(store.save_device_log(no, at(1), &text, keep).await),
            None => "unknown".into(),
        },
        Operation::Quarantine { device, items, keep } => match known(store, device).await {
            Some(no) => show(store.save_quarantined(no, at(2), &items, keep).await),
            None => "unknown".into(),
        },
        Operation::Firmware(report) => match known(store, report.device.0).await {
            Some(_) => show(store.save_firmware_report(&report).await),
            None => "unknown".into(),
        },
        Operation::Enqueue(orders) => enqueue(store, &orders, &audit).await,
        Operation::Cancel { id, at: when } => {
            show(store.cancel_command(&alive(store, &command_id(id)).await, at(when), &audit).await)
        }
        Operation::Change(mut changes) => {
            for change in &mut changes {
                change.id = alive(store, &change.id).await;
            }
            show(store.change_commands(&changes).await)
        }
        Operation::Raise(raise) => {
            // Only what exists can have one.
            let device_no = match raise.device_no {
                Some(no) => known(store, no.0).await,
                None => None,
            };
            let lights = store.lights().await.unwrap();
            let light_no = raise.light_no.filter(|no| lights.iter().any(|l| l.no == *no));
            show(store.raise_alert(&AlertRaise { device_no, light_no, ..raise }).await)
        }
        Operation::MoveAlert { no, to, at: when } => {
            show((store.move_alert(no, to, "x@y", at(when), &audit).await, store.alert(no).await))
        }
        Operation::Read { light, from, to, limit } => show((
            store.readings(LightNo(light), at(from), at(to), limit).await,
            store.readings(LightNo(light), UtcMillis(i64::MIN), UtcMillis(i64::MAX), limit).await,
            store.suspect_readings(LightNo(light), at(from), at(to), limit).await,
            store.latest_readings(LightNo(light), limit).await,
            store.commands_of_light(LightNo(light), limit).await,
        )),
        Operation::Ask(query) => show(store.alerts(&query).await),
    }
}

/// Day by day, until nothing is left of a believed clock. Answers what there was.
async fn forget_hot(store: &dyn Store) -> Vec<(Day, u64, Vec<(u32, i64, i64)>)> {
    let mut days = Vec::new();
    while let Some(day) = store.earliest_hot_day(Day(i32::MIN), Day(i32::MAX), ALL).await.unwrap() {
        let count = store.hot_count(day, ALL).await.unwrap();
        let rows = store.hot_rows(day, None, ALL, 1_000).await.unwrap();
        let keys = rows.iter().map(|(_, r)| (r.light_no.0, r.reading.reported_at.0, r.dedupe)).collect();
        days.push((day, count, sorted(keys)));
        let mut gone = 0;
        while gone < count {
            gone += store.forget_hot(day, LogPosition(0), ALL, 7, &[]).await.unwrap().0;
        }
        assert_eq!(store.hot_count(day, ALL).await.unwrap(), 0);
    }
    assert_eq!(store.oldest_hot_arrival(&[]).await.unwrap(), None);
    days
}

async fn archive_step(store: &dyn Store, day: Day, revision: u32, step: ArchiveStep, audit: &AuditEntry) -> String {
    let blocks = store.sealed_page(day, LightNo(0), 99).await.unwrap();
    let done = match step {
        ArchiveStep::ForgetSealed(skipped) => {
            let marks: Vec<_> = blocks.iter().skip(skipped).map(SealedMark::of).collect();
            show(store.forget_sealed(day, revision, &marks).await)
        }
        ArchiveStep::Keep(until) => show(store.keep_sealed(day, samples::at(until), audit).await),
        ArchiveStep::MarkRestored => show(store.mark_restored(day, revision).await),
        ArchiveStep::EndKeeping(now) => show(store.end_keeping(day, samples::at(now)).await),
        ArchiveStep::ForgetFile => show(store.forget_archived(day, revision, audit).await),
    };
    show((done, blocks.len()))
}

async fn enqueue(store: &dyn Store, orders: &[Order], audit: &AuditEntry) -> String {
    let commands = commands(store, orders).await;
    let superseded = store.enqueue_commands(&commands, audit).await;
    let mut after = Vec::new();
    for command in &commands {
        after.push(store.command(&command.id).await);
    }
    show((superseded, after))
}

fn without_id(user: UserRecord) -> UserRecord {
    UserRecord { id: UserId(0), ..user }
}

fn without_no(key: ApiKeyRecord) -> ApiKeyRecord {
    ApiKeyRecord { no: 0, ..key }
}

fn sorted<T: Ord>(mut things: Vec<T>) -> Vec<T> {
    things.sort();
    things
}

fn show(answer: impl std::fmt::Debug) -> String {
    format!("{answer:#?}")
}

/// Everything that can be asked without an argument, and the end of the audit log's chain.
async fn everything(store: &dyn Store, chained: &mut (i64, [u8; 32])) -> String {
    let log: Vec<_> = store.log_after(LogPosition(0), 100_000).await.unwrap().into_iter().map(|(_, row)| row).collect();
    let mut sessions = Vec::new();
    for id in 0..4 {
        let session = store.session(&id.to_string(), samples::at(7)).await.unwrap();
        sessions.push(session.map(|s| (s.user_id.is_some(), s.data, s.expires_at)));
    }
    let mut handed_in = Vec::new();
    for device in (1..5).map(DeviceNo) {
        let (logs, unread) = (store.device_logs(device, 9).await, store.quarantined(device, 9).await);
        handed_in.push((logs, unread, store.firmware_report(device).await));
    }
    let entries = store.audit_chain(chained.0, 100_000).await.unwrap();
    chained.0 = entries.last().map_or(chained.0, |last| last.no);
    chained.1 = audit_chain::walk(chained.1, &entries).expect("the chain is whole");
    let users: Vec<_> = store.users().await.unwrap().into_iter().map(without_id).collect();
    let keys: Vec<_> = store.api_keys().await.unwrap().into_iter().map(without_no).collect();
    let lights = (LightNo(0), LightNo(u32::MAX));
    let sums = (store.ledgers(lights, day(0), day(9)).await, store.ledgers_before(lights, day(2)).await);
    let blocks =
        (store.sealed_after((LightNo(0), Day(i32::MIN)), 999).await, store.unrolled_days(999).await.map(sorted));
    show((
        (store.archived_days(day(0), day(9), 99).await, store.earliest_sealed_day(day(0), day(9)).await, blocks, sums),
        (store.open_parts(day(9), 99).await, store.daily_known(day(0), day(9)).await),
        (store.devices().await, store.lights().await, store.waiting_devices(3).await),
        (log, store.checkpoint().await, handed_in),
        (store.live_commands().await, store.alerts(&AlertQuery { limit: 99, ..AlertQuery::default() }).await),
        (users, keys, sessions, store.last_heartbeat().await),
        (store.audit(50).await, chained),
    ))
}

fn seed() -> u64 {
    match std::env::var("CCMS_TEST_SEED") {
        Ok(text) => text.parse().expect("CCMS_TEST_SEED is a number"),
        Err(_) => RandomState::new().hash_one(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_and_postgres_give_the_same_answers() {
    let seed = seed();
    println!("CCMS_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    let any = operation();
    let operations: Vec<_> = (0..OPERATIONS).map(|_| any.new_tree(&mut runner).unwrap().current()).collect();

    let postgres = server::database("agreement").await;
    let case = agree(postgres.open().await, operations);
    ccms_store::contract::run(postgres, case).await;
}

async fn agree(postgres: DynStore, operations: Vec<Operation>) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ccms.db");
    let sqlite: DynStore = Arc::new(SqliteStore::open(file.to_str().unwrap()).await.unwrap());
    let mut chained = [(0, audit_chain::CHAIN_START); 2];
    for (n, operation) in operations.iter().enumerate() {
        let (one, other) = (answer(&*sqlite, operation).await, answer(&*postgres, operation).await);
        assert_eq!(one, other, "operation {n}: {operation:#?}");
        if n % 25 == 0 || n + 1 == operations.len() {
            let [ours, theirs] = &mut chained;
            let (one, other) = (everything(&*sqlite, ours).await, everything(&*postgres, theirs).await);
            assert_eq!(one, other, "state after {n}: {operation:#?}");
        }
    }
}
