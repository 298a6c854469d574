//! What people say of lights: every fact comes back, and many changes are one.
use std::sync::Arc;

use ccms_core::ids::{LightId, LightNo};

use super::Database;
use super::samples::{actions, at, audit, claimed, curated, device_id, new_device, note, registered};
use crate::{Curated, CurationStep, DeviceState, LightRecord, NewDevice, StoreError};

fn light_id(text: &str) -> Option<LightId> {
    Some(LightId::parse(text).unwrap())
}

fn add(id: Option<&str>, device: Option<u32>) -> CurationStep {
    let (light_id, device_id) = (id.and_then(light_id), device.map(device_id));
    CurationStep::AddLight { light_id, device_id, curated: curated(7), created_at: at(7) }
}

fn open(device: u32) -> CurationStep {
    CurationStep::OpenClaimWindow { device_id: device_id(device), until: at(900) }
}

pub async fn every_fact_comes_back(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (claimed, _) = claimed(&*store, 1).await;
    let bare = Curated { latitude: -89.999_999_9, longitude: -180.0, ..Curated::default() };
    let no_wattage = Curated { wattage_w: None, ..curated(2) };
    let steps = [
        CurationStep::Register(NewDevice { curated: bare.clone(), claim_until: None, ..new_device(2) }),
        add(Some("POLE_7"), None),
        add(None, Some(1)),
        // A step sees those before it.
        add(Some("SL090"), Some(2)),
        add(None, None),
        CurationStep::Update { light: LightNo(1), curated: no_wattage.clone() },
        CurationStep::Update { light: LightNo(3), curated: Curated::default() },
    ];
    let done = store.curate(&steps, &[audit("import"), audit("import.more")]).await.unwrap();
    let light_of = |(_, light): &(_, Option<LightRecord>)| light.clone().unwrap();
    let (new, light) = (&done[0].0, light_of(&done[0]));
    let new = new.clone().unwrap();
    assert_eq!((&new.id, new.state, new.claim_until), (&device_id(2), DeviceState::Registered, None));
    assert_eq!((light.id.as_str(), light.device_no, &light.curated), ("SL002", Some(new.no), &bare));
    let ids: Vec<_> = done.iter().flat_map(|(_, l)| l).map(|l| (l.no.0, l.id.as_str())).collect();
    let expected = [(2, "SL002"), (3, "POLE_7"), (4, "SL003"), (5, "SL090"), (6, "SL091"), (1, "SL001"), (3, "POLE_7")];
    assert_eq!(ids, expected);
    let devices: Vec<_> = done.iter().map(|(d, _)| d.as_ref().map(|d| d.no)).collect();
    assert_eq!(devices, [Some(new.no), None, Some(claimed.no), Some(new.no), None, None, None]);
    let drivers: Vec<_> = done.iter().map(|step| light_of(step).device_no).collect();
    assert_eq!(drivers, [Some(new.no), None, Some(claimed.no), Some(new.no), None, Some(claimed.no), None]);
    let facts = |n: usize| (light_of(&done[n]).curated, light_of(&done[n]).created_at);
    assert_eq!(facts(1), (curated(7), at(7)));
    assert_eq!(facts(5), (no_wattage, at(1)));
    assert_eq!(done[2].0.as_ref(), Some(&claimed), "a light more changes nothing of its controller");

    let mut last: Vec<LightRecord> = done.into_iter().filter_map(|(_, l)| l).collect();
    last.remove(1); // Its facts were replaced by a later step.
    last.sort_by_key(|l| l.no);
    assert_eq!(store.lights().await.unwrap(), last);
    assert_eq!(store.lights_of_device(claimed.no).await.unwrap().len(), 2);
    assert_eq!(actions(&*store).await[..2], ["import.more", "import"]);
    assert_eq!(store.curate(&[], &[]).await.unwrap(), []);
}

pub async fn one_bad_step_undoes_all(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (_, light) = registered(&*store, 1).await;
    store.note_pending(&[note(5, 10)]).await.unwrap();
    let before = (store.devices().await.unwrap(), store.lights().await.unwrap());
    let written = actions(&*store).await;
    let gone = CurationStep::Update { light: LightNo(99), curated: curated(1) };
    let bad = [
        (CurationStep::Register(new_device(1)), "a device that is there"),
        (CurationStep::Register(NewDevice { light_id: light_id("SL001"), ..new_device(3) }), "a light that is there"),
        (CurationStep::Register(new_device(2)), "a device of the same list"),
        (add(Some("SL001"), None), "a light that is there"),
        (add(Some("SL777"), None), "a light of the same list"),
        (add(None, Some(8)), "an unknown device"),
        (add(None, Some(5)), "a device that only asked"),
        (gone, "a light that is gone"),
        (open(8), "an unknown device to be let in"),
    ];
    for (step, why) in bad {
        let update = CurationStep::Update { light: light.no, curated: Curated::default() };
        let steps = [CurationStep::Register(new_device(2)), add(Some("SL777"), None), update, step];
        let refused = store.curate(&steps, &[audit("import")]).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{why}: {refused:?}");
        assert_eq!((store.devices().await.unwrap(), store.lights().await.unwrap()), before, "{why}");
    }
    assert_eq!(actions(&*store).await, written);
    let (device, light) = registered(&*store, 2).await;
    assert_eq!((device.no.0, light.no.0), (3, 2), "and no number is lost");
}

pub async fn claim_windows_open_with_the_rest(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (asked, light) = registered(&*store, 1).await;
    store.note_pending(&[note(1, 10)]).await.unwrap();
    let (busy, _) = claimed(&*store, 2).await;
    store.note_pending(&[note(4, 10)]).await.unwrap();
    let before = store.devices().await.unwrap();
    let gone = CurationStep::Update { light: LightNo(99), curated: curated(1) };
    store.curate(&[open(1), gone], &[audit("import")]).await.unwrap_err();
    assert_eq!(store.devices().await.unwrap(), before, "a window shares the fate of the list");

    let new = CurationStep::Register(NewDevice { claim_until: None, ..new_device(3) });
    let update = CurationStep::Update { light: light.no, curated: Curated::default() };
    let steps = [update, open(1), new, open(3), open(2), open(4)];
    let done = store.curate(&steps, &[audit("import"), audit("device.approve")]).await.unwrap();
    let opened = done[1].0.clone().unwrap();
    assert_eq!((opened.no, opened.claim_until, opened.attempts), (asked.no, Some(at(900)), 0));
    assert_eq!(done[3].0.as_ref().unwrap().claim_until, Some(at(900)), "also of one that the list made");
    assert_eq!(done[4], (Some(busy), None), "a claimed one stays as it is");
    assert_eq!(done[5].0.as_ref().unwrap().state, DeviceState::Pending, "and one that only asked");
    assert_eq!(store.device(&opened.id).await.unwrap(), Some(opened));
    assert_eq!(actions(&*store).await[..2], ["device.approve", "import"]);
}

pub async fn one_of_two_like_lists_wins(database: Arc<dyn Database>) {
    let store = database.open().await;
    let tries: Vec<_> = (0..6)
        .map(|n| {
            let store = store.clone();
            // Every list begins elsewhere, so that each holds what another one waits for.
            let mut steps: Vec<_> = (1..=6).map(|n| CurationStep::Register(new_device(n))).collect();
            steps.rotate_left(n);
            tokio::spawn(async move { store.curate(&steps, &[audit("import")]).await })
        })
        .collect();
    let mut won = 0;
    for attempt in tries {
        match attempt.await.unwrap() {
            Ok(done) => won += done.len(),
            Err(refused) => assert!(matches!(refused, StoreError::Conflict { .. }), "{refused:?}"),
        }
    }
    assert_eq!((won, store.lights().await.unwrap().len()), (6, 6), "one list, whole");
    assert_eq!(actions(&*store).await, ["import"]);
}
