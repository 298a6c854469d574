//! Generations of tokens, revocation, release, reclaim, and the server's own absence. Swaps are in `swap`.
use std::sync::Arc;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceNo};
use ccms_core::reading::PowerState;

use super::Database;
use super::samples::{actions, at, audit, claim, claimed, command, device_id, new_device, note, registered};
use crate::{DeviceRecord, DeviceState, NewDevice, Outage, Store, StoreError};

const ON: CommandKind = CommandKind::Power(PowerState::On);

async fn device(store: &dyn Store, n: u32) -> DeviceRecord {
    store.device(&device_id(n)).await.unwrap().unwrap()
}

pub async fn the_highest_generation_stays(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (first, _) = claimed(&*store, 1).await;
    let (other, _) = claimed(&*store, 2).await;
    assert_eq!(first.token_used_gen, 0);
    for (presented, highest) in [(5, 5), (i64::MAX - 1, i64::MAX - 1), (7, i64::MAX - 1), (0, i64::MAX - 1)] {
        store.use_tokens(&[(first.no, presented)]).await.unwrap();
        assert_eq!(device(&*store, 1).await.token_used_gen, highest);
    }
    store.use_tokens(&[]).await.unwrap();
    store.use_tokens(&[(DeviceNo(77), 9), (other.no, 2), (other.no, 3), (other.no, 1)]).await.unwrap();
    assert_eq!(device(&*store, 2).await.token_used_gen, 3, "the highest of one batch");

    let tasks: Vec<_> = (1..=16)
        .map(|generation| {
            let (store, no) = (store.clone(), other.no);
            tokio::spawn(async move { store.use_tokens(&[(no, generation)]).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(device(&*store, 2).await.token_used_gen, 16, "of sixteen at once");
}

pub async fn revoking_voids_everything_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (before, light) = claimed(&*store, 1).await;
    let (other, other_light) = claimed(&*store, 2).await;
    let all = [command("A", &before, &light, ON, 1), command("B", &before, &light, CommandKind::Brightness(9), 2)];
    store.enqueue_commands(&all, &audit("command")).await.unwrap();
    store.enqueue_commands(&[command("C", &other, &other_light, ON, 3)], &audit("command")).await.unwrap();
    store.use_tokens(&[(before.no, 44)]).await.unwrap();
    store.note_pending(&[note(1, 70)]).await.unwrap();
    assert!(store.open_reclaim_window(&before.id, at(900), &audit("window")).await.unwrap());

    let (revoked, mut cancelled) = store.revoke_device(&before.id, at(80), &audit("revoke")).await.unwrap().unwrap();
    cancelled.sort();
    assert_eq!(cancelled, ["A", "B"].map(|id| CommandId::parse(id).unwrap()));
    let expected = DeviceRecord { state: DeviceState::Revoked, epoch: 1, token_used_gen: 44, ..before.clone() };
    assert_eq!(revoked, expected, "both windows closed, attempts answered");
    assert_eq!(device(&*store, 1).await, expected);
    let a = store.command(&cancelled[0]).await.unwrap().unwrap();
    assert_eq!((a.state, a.finished_at), (CommandState::Cancelled, Some(at(80))));
    assert_eq!(store.live_commands().await.unwrap().len(), 1, "another device's stays");

    assert_eq!(store.revoke_device(&before.id, at(90), &audit("again")).await.unwrap(), None);
    assert_eq!(store.revoke_device(&device_id(9), at(90), &audit("unknown")).await.unwrap(), None);
    assert_eq!(device(&*store, 1).await, expected);
    assert_eq!(store.lights_of_device(before.no).await.unwrap(), [light], "it still hangs at its pole");
    assert_eq!(actions(&*store).await[..2], ["revoke", "window"]);

    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (store, id) = (store.clone(), other.id.clone());
            tokio::spawn(async move { store.revoke_device(&id, at(99), &audit("race")).await.unwrap().is_some() })
        })
        .collect();
    let mut won = 0;
    for attempt in tries {
        won += usize::from(attempt.await.unwrap());
    }
    assert_eq!((won, device(&*store, 2).await.epoch), (1, 1), "of eight at once");
}

pub async fn one_that_was_refused_can_be_registered_later(database: Arc<dyn Database>) {
    let store = database.open().await;
    store.note_pending(&[note(1, 10)]).await.unwrap();
    let (rejected, _) = store.revoke_device(&device_id(1), at(20), &audit("reject")).await.unwrap().unwrap();
    assert_eq!((rejected.state, rejected.epoch, rejected.attempts), (DeviceState::Revoked, 1, 0));
    assert_eq!(store.waiting_devices(9).await.unwrap(), []);
    store.note_pending(&[note(1, 30)]).await.unwrap();
    assert_eq!(store.waiting_devices(9).await.unwrap(), [], "whoever was refused does not wait");
    let (device, light) = registered(&*store, 1).await;
    assert_eq!((device.no, device.state, device.epoch), (rejected.no, DeviceState::Registered, 1), "never down");
    assert_eq!((device.attempts, device.claim_until), (0, new_device(1).claim_until));
    assert_eq!((device.reported, light.device_no), (rejected.reported, Some(device.no)));

    store.revoke_device(&device_id(1), at(40), &audit("revoke")).await.unwrap().unwrap();
    let again = store.register_device(new_device(1), &audit("again")).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "it drives a light: {again:?}");
}

pub async fn release_needs_a_light_and_credentials(database: Arc<dyn Database>) {
    let store = database.open().await;
    let release = async |n| store.release_device(&device_id(n), Some(at(700)), &audit("release")).await.unwrap();
    assert_eq!(release(1).await, None, "unknown");
    store.note_pending(&[note(1, 10)]).await.unwrap();
    assert_eq!(release(1).await, None, "pending");
    store.revoke_device(&device_id(1), at(20), &audit("reject")).await.unwrap();
    assert_eq!(release(1).await, None, "revoked, and no light");
    registered(&*store, 1).await;
    assert_eq!(release(1).await, None, "registered");
    assert_eq!(actions(&*store).await, ["device.register", "reject"]);

    let (before, _) = claimed(&*store, 2).await;
    store.note_pending(&[note(2, 30)]).await.unwrap();
    store.open_reclaim_window(&before.id, at(900), &audit("window")).await.unwrap();
    let released = release(2).await.unwrap();
    let expected = DeviceRecord {
        state: DeviceState::Registered,
        epoch: 1,
        claim_until: Some(at(700)),
        claimed_at: None,
        ..before.clone()
    };
    assert_eq!(released, expected);
    assert_eq!(device(&*store, 2).await, expected);

    store.revoke_device(&before.id, at(40), &audit("revoke")).await.unwrap();
    let closed = store.release_device(&before.id, None, &audit("release")).await.unwrap().unwrap();
    assert_eq!((closed.state, closed.epoch, closed.claim_until), (DeviceState::Registered, 3, None));
    assert!(store.claim_device(&claim(before.no), &audit("claim")).await.unwrap(), "as any registered one");
}

pub async fn a_reclaim_window_is_taken_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (registered, _) = registered(&*store, 1).await;
    let open = async |n| store.open_reclaim_window(&device_id(n), at(100), &audit("window")).await.unwrap();
    assert!(!open(9).await, "unknown");
    assert!(!open(1).await, "nobody claimed it");
    assert_eq!(store.reclaim_device(registered.no, at(1), at(1), &audit("reclaim")).await.unwrap(), None);

    let (before, _) = claimed(&*store, 2).await;
    let reclaim =
        async |seconds| store.reclaim_device(before.no, at(seconds), at(seconds), &audit("reclaim")).await.unwrap();
    assert_eq!(reclaim(70).await, None, "no window");
    assert!(open(2).await);
    assert_eq!(device(&*store, 2).await.reclaim_until, Some(at(100)));
    assert_eq!(reclaim(100).await, None, "over at its very end");

    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (store, no) = (store.clone(), before.no);
            tokio::spawn(async move { store.reclaim_device(no, at(99), at(5_000), &audit("reclaim")).await.unwrap() })
        })
        .collect();
    let mut won = Vec::new();
    for attempt in tries {
        won.extend(attempt.await.unwrap());
    }
    let expected = DeviceRecord { epoch: 1, claimed_at: Some(at(5_000)), ..before };
    assert_eq!(won, std::slice::from_ref(&expected), "of eight at once");
    assert_eq!(device(&*store, 2).await, expected, "the window is used up");
    assert_eq!(actions(&*store).await[..2], ["reclaim", "window"]);
}

pub async fn registering_again_meets_a_race(database: Arc<dyn Database>) {
    let store = database.open().await;
    store.note_pending(&[note(1, 10)]).await.unwrap();
    store.revoke_device(&device_id(1), at(20), &audit("reject")).await.unwrap();
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            let new = NewDevice { light_id: None, ..new_device(1) };
            tokio::spawn(async move { store.register_device(new, &audit("register")).await })
        })
        .collect();
    let mut won = 0;
    for attempt in tries {
        match attempt.await.unwrap() {
            Ok(_) => won += 1,
            Err(refused) => assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}"),
        }
    }
    assert_eq!((won, store.lights().await.unwrap().len()), (1, 1), "one light for one controller");
    assert_eq!(actions(&*store).await, ["register", "reject"]);
}

pub async fn outages_are_remembered(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(store.last_heartbeat().await.unwrap(), None);
    for seconds in [50, 70, 60] {
        store.heartbeat(at(seconds)).await.unwrap();
        assert_eq!(store.last_heartbeat().await.unwrap(), Some(at(seconds)), "the last one said, whatever the clock");
    }
    assert_eq!(store.outages(at(0)).await.unwrap(), []);
    let outage = |from, until| Outage { from: at(from), until: at(until) };
    for (from, until) in [(30, 40), (10, 20), (50, 60)] {
        store.add_outage(outage(from, until)).await.unwrap();
    }
    assert_eq!(store.outages(at(0)).await.unwrap(), [outage(10, 20), outage(30, 40), outage(50, 60)]);
    assert_eq!(store.outages(at(19)).await.unwrap()[0], outage(10, 20));
    assert_eq!(store.outages(at(20)).await.unwrap(), [outage(30, 40), outage(50, 60)], "it ended then, not after");
    assert_eq!(store.outages(at(60)).await.unwrap(), []);
}
