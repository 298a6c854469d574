//! Several server processes on one database, all changing the same things at once: nobody waits for ever, and the audit log
//! stays one chain. Only here: the other engine has one writer.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod server;

use std::sync::Arc;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceNo, LightNo};
use ccms_store::contract::{self, Database, samples};
use ccms_store::*;

const PROCESSES: u32 = 3;
const TASKS_PER_PROCESS: u32 = 4;
const ROUNDS: u32 = 12;
const DEVICES: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_take_turns_and_write_one_chain() {
    let database = server::database("processes").await;
    contract::run(database.clone(), turns(database)).await;
}

async fn turns(database: Arc<dyn Database>) {
    let mut stores = Vec::new();
    for _ in 0..PROCESSES {
        stores.push(database.open().await);
    }
    for n in 1..=DEVICES {
        samples::registered(&*stores[0], n).await;
    }
    let mut tasks = Vec::new();
    for task in 0..PROCESSES * TASKS_PER_PROCESS {
        let store = stores[(task % PROCESSES) as usize].clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                act(&*store, task, round).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }

    let entries = stores[1].audit_chain(0, u32::MAX).await.unwrap();
    assert!(entries.len() > (PROCESSES * TASKS_PER_PROCESS * ROUNDS) as usize, "{} entries", entries.len());
    assert!(entries.iter().all(|e| e.hash.is_some()));
    audit_chain::walk(audit_chain::CHAIN_START, &entries).unwrap();

    let alerts = stores[2].alerts(&AlertQuery { limit: 99, ..AlertQuery::default() }).await.unwrap();
    for (n, alert) in alerts.iter().enumerate() {
        let same = |a: &&AlertRecord| a.device_no == alert.device_no && a.state != AlertState::Resolved;
        assert!(alerts[n + 1..].iter().find(same).is_none() || alert.state == AlertState::Resolved, "{alerts:#?}");
    }
    let raised: u32 = alerts.iter().map(|a| a.count).sum();
    assert_eq!(raised, PROCESSES * TASKS_PER_PROCESS * ROUNDS, "every occurrence counts once");
}

/// Everything that takes more than one row, in an order of each task's own. What is refused is refused by a rule, never
/// by the database.
async fn act(store: &dyn Store, task: u32, round: u32) {
    let audit = samples::audit(&format!("{task}.{round}"));
    let mix = task * 7 + round * 3;
    let (one, other) = (mix % DEVICES + 1, (mix + 1) % DEVICES + 1);
    let (id, second) = (samples::device_id(one), samples::device_id(other));
    let at = samples::at(i64::from(round));

    let used: Vec<_> = (1..=DEVICES).map(|n| (DeviceNo(n), i64::from(task * ROUNDS + round))).collect();
    store.use_tokens(&used).await.unwrap();
    let commands = commands(store, task, round, mix.is_multiple_of(2)).await;
    ruled(store.enqueue_commands(&commands, &audit).await);
    let mut changes: Vec<_> = commands.iter().map(|c| delivered(&c.id)).collect();
    changes.reverse();
    ruled(store.change_commands(&changes).await);
    if let Some(first) = commands.first() {
        ruled(store.cancel_command(&first.id, at, &audit).await);
    }
    let raise = AlertRaise {
        device_no: Some(DeviceNo(one)),
        light_no: None,
        kind: "offline".into(),
        severity: Severity::Warning,
        message: String::new(),
        detail: serde_json::Value::Null,
        at,
    };
    let (alert, _) = store.raise_alert(&raise).await.unwrap();
    match mix % 8 {
        0 => ruled(store.swap_device(&id, &samples::device_id(100 + mix), at, at, &audit).await.map(drop)),
        1 => ruled(store.revoke_device(&id, at, &audit).await.map(drop)),
        2 => ruled(store.release_device(&id, None, &audit).await.map(drop)),
        3 => ruled(store.claim_device(&samples::claim(DeviceNo(one)), &audit).await.map(drop)),
        4 => ruled(store.move_alert(alert.no, AlertState::Resolved, "a@x", at, &audit).await.map(drop)),
        5 => ruled(store.curate(&updates(one, other), &[audit.clone(), audit.clone()]).await.map(drop)),
        6 => ruled(store.swap_device(&second, &id, at, at, &audit).await.map(drop)),
        _ => ruled(store.save_device_log(DeviceNo(one), at, "log", 2).await),
    }
    ruled(store.write_audit(&audit).await);
}

/// For every light, each task beginning with another.
async fn commands(store: &dyn Store, task: u32, round: u32, backwards: bool) -> Vec<ccms_core::command::Command> {
    let (mut lights, devices) = (store.lights().await.unwrap(), store.devices().await.unwrap());
    if backwards {
        lights.reverse();
    }
    lights
        .iter()
        .map(|light| {
            let device = devices.iter().find(|d| Some(d.no) == light.device_no).unwrap_or(&devices[0]);
            let id = CommandId::from_random(u128::from((task * 1_000 + round) * 1_000 + light.no.0));
            samples::command(id.as_str(), device, light, CommandKind::Brightness(5), i64::from(round))
        })
        .collect()
}

fn delivered(id: &CommandId) -> CommandChange {
    CommandChange {
        id: id.clone(),
        from: CommandState::Queued,
        to: CommandState::Delivered,
        at: samples::at(1),
        delivered_at: None,
        executed_at: None,
        detail: None,
    }
}

fn updates(one: u32, other: u32) -> [CurationStep; 2] {
    [one, other].map(|light| CurationStep::Update { light: LightNo(light), curated: Curated::default() })
}

fn ruled<T>(answer: StoreResult<T>) {
    if let Err(error) = answer {
        assert!(matches!(error, StoreError::Conflict { .. }), "{error}");
    }
}
