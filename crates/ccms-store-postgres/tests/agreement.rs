//! Both engines give the same answers to the same calls: random ones, over so few people, devices and lights that they
//! meet all the time. Prints its seed; `CCMS_TEST_SEED=<number>` runs that one again.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod server;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceNo, LightId, LightNo, UserId};
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_store::contract::samples;
use ccms_store::*;
use ccms_store_sqlite::SqliteStore;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const OPERATIONS: usize = 1_200;

#[derive(Debug, Clone)]
enum Operation {
    CreateUser(NewUser),
    Session { id: u8, ends: i64, create: bool },
    DeleteSession(u8),
    ExpireSessions(i64),
    Register(NewDevice),
    NotePending(PendingNote),
    OpenWindow { device: u32, until: i64 },
    Claim(u32),
    SaveReported { device: u32, version: u8 },
    Append(Vec<ReadingRow>),
    Checkpoint { upto: i64, rows: Vec<CheckpointRow> },
    Enqueue { id: u8, light: u32, kind: CommandKind, at: i64 },
    Change(Vec<CommandChange>),
    Read { light: u32, from: i64, to: i64, limit: u32 },
}

fn reading() -> impl Strategy<Value = ReadingRow> {
    let extreme = prop::sample::select(samples::extreme_readings());
    let plain = (0..40_i64, proptest::option::of(0..4_u32), 0..3_u8).prop_map(|(seconds, seq, brightness)| Reading {
        reported_at: samples::at(seconds),
        seq,
        power_state: (brightness > 0).then_some(PowerState::On),
        brightness_percent: Some(brightness),
        ..Reading::default()
    });
    (1..5_u32, prop_oneof![1 => extreme, 9 => plain]).prop_map(|(light, reading)| samples::row(light, reading))
}

fn checkpoint_row() -> impl Strategy<Value = CheckpointRow> {
    (reading(), any::<bool>(), any::<u32>()).prop_map(|(row, any, promised_interval_s)| CheckpointRow {
        light_no: row.light_no,
        last_contact: row.received_at,
        promised_interval_s,
        latest: any.then_some(row),
    })
}

fn kind() -> impl Strategy<Value = CommandKind> {
    prop_oneof![Just(CommandKind::Power(PowerState::Off)), (0..=100_u8).prop_map(CommandKind::Brightness)]
}

fn command_id(n: u8) -> CommandId {
    CommandId::from_random(n.into())
}

/// Only changes that a command can make: never from an end back to life.
fn change() -> impl Strategy<Value = CommandChange> {
    use CommandState::{Cancelled, Delivered, Executed, Expired, Queued, Unverified};
    let step = prop::sample::select(vec![
        (Queued, Delivered),
        (Queued, Expired),
        (Delivered, Unverified),
        (Delivered, Executed),
        (Unverified, Cancelled),
    ]);
    let time = || proptest::option::of((0..50_i64).prop_map(samples::at));
    (0..12_u8, step, 0..50_i64, time(), time(), proptest::option::of("[a-zä]{0,3}")).prop_map(
        |(id, (from, to), at, delivered_at, executed_at, detail)| CommandChange {
            id: command_id(id),
            from,
            to,
            at: samples::at(at),
            delivered_at,
            executed_at,
            detail,
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let device = || 1..6_u32;
    let light_id = proptest::option::of(prop::sample::select(vec!["SL002", "SL7", "SL0000004", "POLE"]));
    prop_oneof![
        "[aAbäÄ]{1,2}@x".prop_map(|email| CreateUser(samples::user(&email))),
        (0..4_u8, 0..20_i64, any::<bool>()).prop_map(|(id, ends, create)| Session { id, ends, create }),
        (0..4_u8).prop_map(DeleteSession),
        (0..20_i64).prop_map(ExpireSessions),
        (device(), light_id).prop_map(|(n, light)| Register(NewDevice {
            light_id: light.map(|text| LightId::parse(text).unwrap()),
            ..samples::new_device(n)
        })),
        (device(), 0..50_i64).prop_map(|(n, seconds)| NotePending(samples::note(n, seconds))),
        (device(), 0..50_i64).prop_map(|(device, until)| OpenWindow { device, until }),
        device().prop_map(Claim),
        (device(), any::<u8>()).prop_map(|(device, version)| SaveReported { device, version }),
        vec(reading(), 0..12).prop_map(Append),
        (any::<i64>(), vec(checkpoint_row(), 0..6)).prop_map(|(upto, rows)| Checkpoint { upto, rows }),
        (0..12_u8, 1..4_u32, kind(), 0..50_i64).prop_map(|(id, light, kind, at)| Enqueue { id, light, kind, at }),
        vec(change(), 0..4).prop_map(Change),
        (1..6_u32, -5..45_i64, -5..45_i64, 0..9_u32).prop_map(|(light, from, to, limit)| Read {
            light,
            from,
            to,
            limit
        }),
    ]
}

/// What an operation answered, as text that may be compared. Log positions may differ in their gaps, so they stay out.
async fn answer(store: &dyn Store, operation: &Operation) -> String {
    let audit = samples::audit("operation");
    match operation.clone() {
        Operation::CreateUser(new) => {
            let email = new.email.clone();
            let made = store.create_user(new).await;
            let by_email = store.user_by_email(&email).await.unwrap().map(|u| (u.email, u.role, u.created_at));
            show((without_id(made), by_email, store.user_count().await))
        }
        Operation::Session { id, ends, create } => {
            let session = samples::session(&id.to_string(), samples::at(ends));
            if create { show(store.create_session(&session).await) } else { show(store.save_session(&session).await) }
        }
        Operation::DeleteSession(id) => show(store.delete_session(&id.to_string()).await),
        Operation::ExpireSessions(now) => show(store.delete_expired_sessions(samples::at(now)).await),
        Operation::Register(new) => show(store.register_device(new, &audit).await),
        Operation::NotePending(note) => show(store.note_pending(&note).await),
        Operation::OpenWindow { device, until } => {
            show(store.open_claim_window(&samples::device_id(device), samples::at(until), &audit).await)
        }
        Operation::Claim(device) => show(store.claim_device(&samples::claim(DeviceNo(device)), &audit).await),
        Operation::SaveReported { device, version } => {
            show(store.save_reported(DeviceNo(device), &samples::reported(&version.to_string())).await)
        }
        Operation::Append(rows) => show(store.append_readings(&rows).await.map(|done| done.stored)),
        Operation::Checkpoint { upto, rows } => show(store.write_checkpoint(LogPosition(upto), &rows).await),
        Operation::Enqueue { id, light, kind, at } => {
            let light = store.lights().await.unwrap().into_iter().find(|l| l.no == LightNo(light));
            let Some((light, device)) = light.and_then(|l| l.device_no.map(|d| (l, d))) else {
                return "no light".into();
            };
            let device = store.devices().await.unwrap().into_iter().find(|d| d.no == device).unwrap();
            let command = samples::command(command_id(id).as_str(), &device, &light, kind, at);
            show((store.enqueue_command(&command, &audit).await, store.command(&command.id).await))
        }
        Operation::Change(changes) => show(store.change_commands(&changes).await),
        Operation::Read { light, from, to, limit } => show((
            store.readings(LightNo(light), samples::at(from), samples::at(to), limit).await,
            store.readings(LightNo(light), UtcMillis(i64::MIN), UtcMillis(i64::MAX), limit).await,
            store.latest_readings(LightNo(light), limit).await,
            store.commands_of_light(LightNo(light), limit).await,
        )),
    }
}

fn without_id(made: StoreResult<UserRecord>) -> StoreResult<UserRecord> {
    made.map(|user| UserRecord { id: UserId(0), ..user })
}

fn show(answer: impl std::fmt::Debug) -> String {
    format!("{answer:#?}")
}

/// Everything that can be asked without an argument.
async fn everything(store: &dyn Store) -> String {
    let log: Vec<_> = store.log_after(LogPosition(0), 100_000).await.unwrap().into_iter().map(|(_, row)| row).collect();
    let mut sessions = Vec::new();
    for id in 0..4 {
        sessions.push(store.session(&id.to_string(), samples::at(7)).await.unwrap());
    }
    show((
        (store.devices().await, store.lights().await, store.waiting_devices(3).await),
        (log, store.checkpoint().await),
        (store.live_commands().await, store.audit(50).await, sessions),
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
    for (n, operation) in operations.iter().enumerate() {
        let (one, other) = (answer(&*sqlite, operation).await, answer(&*postgres, operation).await);
        assert_eq!(one, other, "operation {n}: {operation:#?}");
        if n % 25 == 0 {
            assert_eq!(everything(&*sqlite).await, everything(&*postgres).await, "state after {n}: {operation:#?}");
        }
    }
    assert_eq!(everything(&*sqlite).await, everything(&*postgres).await);
}
