//! Numbering, registering, waiting, claiming.
use std::sync::Arc;

use ccms_core::ids::{DeviceNo, LightId, LightNo};

use super::Database;
use super::samples::{actions, at, audit, claim, claimed, device_id, new_device, note, registered, reported};
use crate::{DeviceRecord, DeviceState, NewDevice, Reported, StoreError};

fn light_id(text: &str) -> LightId {
    LightId::parse(text).unwrap()
}

pub async fn numbers_are_dense_and_lights_get_the_next_free_name(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let new = new_device(1);
    let expected = DeviceRecord {
        no: DeviceNo(1),
        id: device_id(1),
        state: DeviceState::Registered,
        epoch: 0,
        token_used_gen: 0,
        reclaim_until: None,
        created_at: at(1),
        claim_until: Some(at(3_600)),
        claimed_at: None,
        attempts: 0,
        first_attempt_at: None,
        last_attempt_at: None,
        reported: Reported::default(),
    };
    assert_eq!(device, expected);
    assert_eq!((light.no, light.id.as_str(), light.device_no), (LightNo(1), "SL001", Some(DeviceNo(1))));
    assert_eq!((&light.curated, light.created_at), (&new.curated, at(1)));

    // A name above the count, one that is no number, and one with more zeros.
    for (n, id) in [(2, "SL041"), (3, "SL-99"), (4, "SL0000050"), (5, "SLx"), (6, "POLE_7")] {
        let new = NewDevice { light_id: Some(light_id(id)), ..new_device(n) };
        let (_, light) = store.register_device(new, &audit("a")).await.unwrap();
        assert_eq!((light.no, light.id.as_str()), (LightNo(n), id));
    }
    let (device, light) = registered(&*store, 7).await;
    assert_eq!((device.no, light.no, light.id.as_str()), (DeviceNo(7), LightNo(7), "SL051"));

    let devices = store.devices().await.unwrap();
    assert_eq!(devices.iter().map(|d| d.no.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(devices[0], expected);
    let lights = store.lights().await.unwrap();
    assert_eq!(lights.iter().map(|l| l.no.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(lights[6], light);
    assert_eq!(store.lights_of_device(device.no).await.unwrap(), [light]);
    assert_eq!(store.lights_of_device(DeviceNo(99)).await.unwrap(), []);
    assert_eq!(store.device(&device_id(7)).await.unwrap(), Some(device));
    assert_eq!(store.device(&device_id(8)).await.unwrap(), None);
}

pub async fn lists_go_on_behind_a_number(database: Arc<dyn Database>) {
    let store = database.open().await;
    for n in 1..=5 {
        registered(&*store, n).await;
    }
    claimed(&*store, 6).await;
    store.revoke_device(&device_id(2), at(9), &audit("revoke")).await.unwrap();
    let (devices, lights) = (store.devices().await.unwrap(), store.lights().await.unwrap());
    for after in 0..8 {
        for limit in [0, 1, 3, 100] {
            let of = |all: usize| (after as usize).min(all)..(after as usize + limit as usize).min(all);
            let page = store.devices_after(DeviceNo(after), None, limit).await.unwrap();
            assert_eq!(page, devices[of(6)], "{limit} behind {after}");
            assert_eq!(
                store.lights_after(LightNo(after), limit).await.unwrap(),
                lights[of(6)],
                "{limit} behind {after}"
            );
        }
        let state = Some(DeviceState::Registered);
        let page = store.devices_after(DeviceNo(after), state, 2).await.unwrap();
        let expected: Vec<_> =
            devices.iter().filter(|d| d.no.0 > after && Some(d.state) == state).take(2).cloned().collect();
        assert_eq!(page, expected, "behind {after}");
    }
    assert_eq!(store.devices_after(DeviceNo(u32::MAX), None, 9).await.unwrap(), []);
    assert_eq!(store.devices_after(DeviceNo(0), Some(DeviceState::Pending), 9).await.unwrap(), []);
}

pub async fn a_taken_id_changes_nothing(database: Arc<dyn Database>) {
    let store = database.open().await;
    registered(&*store, 1).await;
    let again = store.register_device(new_device(1), &audit("again")).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    let same_light = NewDevice { light_id: Some(light_id("SL001")), ..new_device(2) };
    let again = store.register_device(same_light, &audit("again")).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");

    assert_eq!(store.device(&device_id(2)).await.unwrap(), None, "neither the device");
    assert_eq!(store.lights().await.unwrap().len(), 1, "nor a light");
    assert_eq!(actions(&*store).await, ["device.register"], "nor an entry");
    let (device, light) = registered(&*store, 2).await;
    assert_eq!((device.no, light.no), (DeviceNo(2), LightNo(2)), "and no number is lost");
}

pub async fn pending_devices_are_counted_and_become_registered(database: Arc<dyn Database>) {
    let store = database.open().await;
    store.note_pending(&[note(1, 10)]).await.unwrap();
    store.note_pending(&[note(1, 20)]).await.unwrap();
    let pending = store.device(&device_id(1)).await.unwrap().unwrap();
    assert_eq!((pending.no, pending.state, pending.attempts), (DeviceNo(1), DeviceState::Pending, 2));
    assert_eq!((pending.first_attempt_at, pending.last_attempt_at), (Some(at(10)), Some(at(20))));
    assert_eq!((pending.created_at, pending.claim_until), (at(10), None));
    assert_eq!(pending.reported, reported("1.20"), "what it said last");
    assert_eq!(store.lights().await.unwrap(), [], "a pending device has no light");

    store.note_pending(&[note(2, 30)]).await.unwrap();
    let (device, light) = registered(&*store, 1).await;
    assert_eq!((device.no, device.state, device.created_at), (DeviceNo(1), DeviceState::Registered, at(1)));
    assert_eq!((device.attempts, device.first_attempt_at, device.last_attempt_at), (0, None, None), "answered");
    assert_eq!(device.reported, reported("1.20"), "kept");
    assert_eq!(light.device_no, Some(DeviceNo(1)));
    assert_eq!(store.device(&device_id(1)).await.unwrap(), Some(device));
    assert_eq!(store.device(&device_id(2)).await.unwrap().unwrap().no, DeviceNo(2), "no number lost by asking twice");
    assert_eq!(registered(&*store, 3).await.0.no, DeviceNo(3));
}

pub async fn a_crowd_at_the_door_is_one_write_and_forgotten_by_rules(database: Arc<dyn Database>) {
    let store = database.open().await;
    store.note_pending(&[]).await.unwrap();
    let crowd: Vec<_> = (1..=5).map(|n| note(n, i64::from(n) * 10)).chain([note(3, 60)]).collect();
    store.note_pending(&crowd).await.unwrap();
    let third = store.device(&device_id(3)).await.unwrap().unwrap();
    assert_eq!((third.attempts, third.last_attempt_at), (2, Some(at(60))));
    registered(&*store, 1).await;
    store.revoke_device(&device_id(2), at(70), &audit("reject")).await.unwrap().unwrap();

    assert_eq!(
        store.forget_pending(at(50), 1, 9).await.unwrap(),
        (1, 2),
        "the fourth is over, the fifth was there just now"
    );
    let known = async |n| store.device(&device_id(n)).await.unwrap().map(|d| d.state);
    assert_eq!((known(4).await, known(5).await), (None, Some(DeviceState::Pending)));
    assert_eq!(store.forget_pending(at(61), 1, 0).await.unwrap(), (0, 2), "no more than that");
    assert_eq!(store.forget_pending(at(61), 1, 9).await.unwrap(), (1, 1), "the third asked twice");
    assert_eq!(store.forget_pending(at(61), u32::MAX, 9).await.unwrap(), (1, 0));
    assert_eq!((known(1).await, known(2).await), (Some(DeviceState::Registered), Some(DeviceState::Revoked)));
    store.note_pending(&[note(4, 90)]).await.unwrap();
    assert_eq!(known(4).await, Some(DeviceState::Pending), "it may come back");
}

pub async fn waiting_shows_the_last_seen_first(database: Arc<dyn Database>) {
    let store = database.open().await;
    for n in [1, 2] {
        registered(&*store, n).await;
    }
    assert_eq!(store.waiting_devices(10).await.unwrap(), [], "nobody asked");
    let (claimed, _) = registered(&*store, 3).await;
    assert!(store.claim_device(&claim(claimed.no), &audit("claim")).await.unwrap());
    for (n, seconds) in [(1, 10), (4, 20), (5, 30), (3, 40), (4, 50)] {
        store.note_pending(&[note(n, seconds)]).await.unwrap();
    }
    let ids = |waiting: Vec<DeviceRecord>| waiting.into_iter().map(|d| d.id).collect::<Vec<_>>();
    assert_eq!(ids(store.waiting_devices(10).await.unwrap()), [device_id(4), device_id(5), device_id(1)]);
    assert_eq!(ids(store.waiting_devices(2).await.unwrap()), [device_id(4), device_id(5)]);
    assert_eq!(ids(store.waiting_devices(0).await.unwrap()), []);
}

pub async fn a_claim_window_opens_only_for_a_registered_device(database: Arc<dyn Database>) {
    let store = database.open().await;
    let open = async |n| store.open_claim_window(&device_id(n), at(99), &audit("window")).await.unwrap();
    assert!(!open(1).await, "unknown");
    store.note_pending(&[note(1, 10)]).await.unwrap();
    assert!(!open(1).await, "pending");
    assert_eq!(actions(&*store).await, [""; 0]);

    let (device, _) = registered(&*store, 1).await;
    store.note_pending(&[note(1, 20)]).await.unwrap();
    assert!(open(1).await);
    let opened = store.device(&device_id(1)).await.unwrap().unwrap();
    assert_eq!((opened.claim_until, opened.attempts), (Some(at(99)), 0), "the window answers the attempts");
    assert_eq!(actions(&*store).await, ["window", "device.register"]);

    assert!(store.claim_device(&claim(device.no), &audit("claim")).await.unwrap());
    assert!(!open(1).await, "claimed");
    assert_eq!(actions(&*store).await.len(), 3);
}

pub async fn a_device_is_claimed_once(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, _) = registered(&*store, 1).await;
    assert!(!store.claim_device(&claim(DeviceNo(77)), &audit("claim")).await.unwrap(), "unknown");
    store.note_pending(&[note(2, 1)]).await.unwrap();
    assert!(!store.claim_device(&claim(DeviceNo(2)), &audit("claim")).await.unwrap(), "pending");

    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (store, no) = (store.clone(), device.no);
            tokio::spawn(async move { store.claim_device(&claim(no), &audit("claim")).await.unwrap() })
        })
        .collect();
    let mut won = 0;
    for attempt in tries {
        won += usize::from(attempt.await.unwrap());
    }
    assert_eq!(won, 1, "of eight at once");
    let claimed = store.device(&device_id(1)).await.unwrap().unwrap();
    assert_eq!((claimed.state, claimed.claimed_at), (DeviceState::Claimed, Some(at(60))));
    assert_eq!(claimed.claim_until, None, "the window is used up");
    assert_eq!(claimed.reported, reported("2.0"));
    assert_eq!(actions(&*store).await, ["claim", "device.register"]);
}

pub async fn reported_facts_are_replaced_but_not_by_strangers(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    store.claim_device(&claim(device.no), &audit("claim")).await.unwrap();
    let less = Reported { firmware_version: Some("3.0".into()), latitude: Some(-0.1), ..Reported::default() };
    store.save_reported(device.no, &less).await.unwrap();
    let saved = store.device(&device.id).await.unwrap().unwrap();
    assert_eq!(saved.reported, less);
    assert_eq!(store.lights().await.unwrap(), [light], "what people curated stays");

    store.note_pending(&[note(1, 500)]).await.unwrap();
    let noted = store.device(&device.id).await.unwrap().unwrap();
    assert_eq!(noted.reported, less, "someone with the name of a claimed device");
    assert_eq!((noted.state, noted.attempts), (DeviceState::Claimed, 1));
}

pub async fn many_registrations_at_once_get_different_numbers(database: Arc<dyn Database>) {
    let store = database.open().await;
    let tasks: Vec<_> = (1..=12)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.note_pending(&[note(n, 1)]).await.unwrap();
                registered(&*store, n).await
            })
        })
        .collect();
    for task in tasks {
        let (device, light) = task.await.unwrap();
        assert_eq!(light.device_no, Some(device.no));
    }
    let lights = store.lights().await.unwrap();
    assert_eq!(lights.iter().map(|l| l.no.0).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
    assert_eq!(
        lights.iter().map(|l| l.id.clone()).collect::<Vec<_>>(),
        (1..=12).map(LightId::numbered).collect::<Vec<_>>()
    );
    let devices = store.devices().await.unwrap();
    assert_eq!(devices.iter().map(|d| d.no.0).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
}
