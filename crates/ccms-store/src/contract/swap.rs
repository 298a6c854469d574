//! One controller takes the place of another.
use std::sync::Arc;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceId};
use ccms_core::reading::PowerState;

use super::Database;
use super::samples::{actions, at, audit, claim, claimed, command, curated, device_id, note, registered};
use crate::{CurationStep, DeviceRecord, DeviceState, LightRecord, Store, StoreError, StoreResult, Swapped};

async fn swap(store: &dyn Store, old: u32, new: u32) -> StoreResult<Option<Swapped>> {
    store.swap_device(&device_id(old), &device_id(new), at(100), at(500), &audit("swap")).await
}

/// A claimed controller with two lights.
async fn pair(store: &dyn Store, n: u32) -> (DeviceRecord, [LightRecord; 2]) {
    let (device, first) = claimed(store, n).await;
    let id: DeviceId = device.id.clone();
    let step = CurationStep::AddLight { light_id: None, device_id: Some(id), curated: curated(9), created_at: at(9) };
    let (_, second) = store.curate(&[step], &[]).await.unwrap().remove(0);
    (device, [first, second.unwrap()])
}

pub async fn lights_move_and_the_old_one_is_void(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (old, lights) = pair(&*store, 1).await;
    let commands = [
        command("A", &old, &lights[0], CommandKind::Power(PowerState::On), 1),
        command("B", &old, &lights[1], CommandKind::Power(PowerState::On), 2),
    ];
    store.enqueue_commands(&commands, &audit("command")).await.unwrap();

    let done = swap(&*store, 1, 2).await.unwrap().unwrap();
    assert_eq!(done.old, DeviceRecord { state: DeviceState::Revoked, epoch: 1, ..old.clone() });
    assert_eq!((&done.new.id, done.new.state, done.new.epoch), (&device_id(2), DeviceState::Registered, 0));
    assert_eq!((done.new.claim_until, done.new.created_at), (Some(at(500)), at(100)));
    let moved = lights.map(|light| LightRecord { device_no: Some(done.new.no), ..light });
    assert_eq!(done.lights, moved, "nothing else of them changed");
    let mut cancelled = done.cancelled;
    cancelled.sort();
    assert_eq!(cancelled, ["A", "B"].map(|id| CommandId::parse(id).unwrap()));
    let a = store.command(&cancelled[0]).await.unwrap().unwrap();
    assert_eq!((a.state, a.finished_at), (CommandState::Cancelled, Some(at(100))));

    assert_eq!(store.device(&old.id).await.unwrap(), Some(done.old));
    assert_eq!(store.device(&device_id(2)).await.unwrap(), Some(done.new.clone()));
    assert_eq!(store.lights_of_device(done.new.no).await.unwrap(), moved);
    assert_eq!(store.lights_of_device(old.no).await.unwrap(), []);
    assert_eq!(actions(&*store).await[0], "swap");

    // There and back: the one that was replaced was repaired, and its epoch is never used again.
    assert!(store.claim_device(&claim(done.new.no), &audit("claim")).await.unwrap());
    let back = swap(&*store, 2, 1).await.unwrap().unwrap();
    assert_eq!((back.new.no, back.new.state, back.new.epoch), (old.no, DeviceState::Registered, 1));
    assert_eq!((back.new.claimed_at, back.new.attempts), (None, 0));
}

pub async fn the_new_one_may_have_asked_already(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (old, _) = claimed(&*store, 1).await;
    store.note_pending(&[note(2, 10)]).await.unwrap();
    let done = swap(&*store, 1, 2).await.unwrap().unwrap();
    assert_eq!((done.new.state, done.new.attempts), (DeviceState::Registered, 0));
    assert_eq!((done.new.first_attempt_at, done.new.last_attempt_at), (None, None));
    assert_eq!(done.new.reported, note(2, 10).reported, "what it said of itself stays");
    assert_eq!(store.waiting_devices(9).await.unwrap(), []);

    // One that is revoked already can still be replaced; it is not revoked twice.
    let (revoked, _) = store.revoke_device(&device_id(2), at(50), &audit("revoke")).await.unwrap().unwrap();
    let done = swap(&*store, 2, 3).await.unwrap().unwrap();
    assert_eq!(done.old, revoked);
    assert_eq!(done.lights[0].device_no, Some(done.new.no));
    assert_eq!(store.device(&old.id).await.unwrap().unwrap().epoch, 1);
}

pub async fn what_cannot_be_swapped_stays(database: Arc<dyn Database>) {
    let store = database.open().await;
    assert_eq!(swap(&*store, 1, 2).await.unwrap(), None, "unknown");
    store.note_pending(&[note(1, 10)]).await.unwrap();
    assert_eq!(swap(&*store, 1, 2).await.unwrap(), None, "it drives no light");
    assert_eq!(store.device(&device_id(2)).await.unwrap(), None, "nothing was made for it");

    claimed(&*store, 3).await;
    claimed(&*store, 4).await;
    registered(&*store, 5).await;
    let (devices, lights) = (store.devices().await.unwrap(), store.lights().await.unwrap());
    let written = actions(&*store).await;
    for (new, why) in [(3, "itself"), (4, "claimed"), (5, "drives a light")] {
        let refused = swap(&*store, 3, new).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{why}: {refused:?}");
    }
    assert_eq!((store.devices().await.unwrap(), store.lights().await.unwrap()), (devices, lights));
    assert_eq!(actions(&*store).await, written);
}

pub async fn one_place_is_taken_by_one_of_many(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (_, light) = claimed(&*store, 1).await;
    let tries: Vec<_> = (2..10)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { swap(&*store, 1, n).await.unwrap() })
        })
        .collect();
    let mut won = Vec::new();
    for attempt in tries {
        won.extend(attempt.await.unwrap());
    }
    assert_eq!(won.len(), 1, "the others found a controller without a light");
    assert_eq!(store.lights().await.unwrap(), won[0].lights);
    assert_eq!(store.lights().await.unwrap()[0].no, light.no);
    assert_eq!(store.devices().await.unwrap().len(), 2);
}
