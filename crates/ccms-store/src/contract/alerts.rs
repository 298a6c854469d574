//! One alert per device, light and kind until it is resolved.
use std::sync::Arc;

use ccms_core::ids::{DeviceNo, LightNo};
use serde_json::json;

use super::Database;
use super::samples::{actions, at, audit, curated, device_id, registered};
use crate::{AlertQuery, AlertRaise, AlertRecord, AlertState, CurationStep, Severity, Store};

use AlertState::{Acknowledged, Open, Resolved};

fn raise(device: Option<u32>, light: Option<u32>, kind: &str, seconds: i64) -> AlertRaise {
    AlertRaise {
        device_no: device.map(DeviceNo),
        light_no: light.map(LightNo),
        kind: kind.into(),
        severity: Severity::Warning,
        message: "Läuft \"heiß\" ✓".into(),
        detail: json!({ "value": 66.5, "note": "ä\u{0}\"\\", "empty": [] }),
        at: at(seconds),
    }
}

async fn move_on(store: &dyn Store, no: i64, to: AlertState, seconds: i64) -> Option<AlertRecord> {
    store.move_alert(no, to, "operator@city.example", at(seconds), &audit(to.as_str())).await.unwrap()
}

pub async fn the_same_again_counts(database: Arc<dyn Database>) {
    let store = database.open().await;
    registered(&*store, 1).await;
    let first = raise(Some(1), Some(1), "temperature_high", 1);
    let (opened, new) = store.raise_alert(&first).await.unwrap();
    let expected = AlertRecord {
        no: opened.no,
        device_no: first.device_no,
        light_no: first.light_no,
        kind: first.kind.clone(),
        severity: Severity::Warning,
        state: Open,
        message: first.message.clone(),
        detail: first.detail.clone(),
        opened_at: at(1),
        last_at: at(1),
        count: 1,
        moved_by: None,
        moved_at: None,
    };
    assert_eq!((&opened, new), (&expected, true));
    assert_eq!(store.alert(opened.no).await.unwrap(), Some(expected.clone()));

    let worse =
        AlertRaise { severity: Severity::Critical, message: "Worse".into(), detail: json!({}), ..first.clone() };
    let milder = AlertRaise { severity: Severity::Info, message: "Milder".into(), detail: json!([1]), ..first };
    for (n, again) in (2..).zip([worse, milder]) {
        let again = AlertRaise { at: at(i64::from(n)), ..again };
        let (counted, new) = store.raise_alert(&again).await.unwrap();
        let expected = AlertRecord {
            severity: Severity::Critical,
            message: again.message,
            detail: again.detail,
            last_at: again.at,
            count: n,
            ..expected.clone()
        };
        assert_eq!((&counted, new), (&expected, false), "the worst severity stays");
        assert_eq!(store.alert(counted.no).await.unwrap(), Some(expected));
    }
    assert_eq!(store.alert(99).await.unwrap(), None);
}

pub async fn another_device_light_or_kind_is_another(database: Arc<dyn Database>) {
    let store = database.open().await;
    for n in [1, 2] {
        registered(&*store, n).await;
    }
    let subjects = [(Some(1), Some(1)), (Some(1), None), (None, Some(1)), (None, None), (Some(2), Some(1))];
    let mut numbers = Vec::new();
    for kind in ["a", "b"] {
        for (device, light) in subjects {
            let (opened, new) = store.raise_alert(&raise(device, light, kind, 1)).await.unwrap();
            assert!(new, "{device:?} {light:?} {kind}");
            numbers.push(opened.no);
            let (again, new) = store.raise_alert(&raise(device, light, kind, 2)).await.unwrap();
            assert_eq!((again.no, again.count, new), (opened.no, 2, false), "{device:?} {light:?} {kind}");
        }
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

pub async fn alerts_only_move_on(database: Arc<dyn Database>) {
    let store = database.open().await;
    registered(&*store, 1).await;
    let again = raise(Some(1), None, "clone_suspected", 1);
    let (alert, _) = store.raise_alert(&again).await.unwrap();
    assert_eq!(move_on(&*store, 99, Resolved, 2).await, None, "unknown");
    assert_eq!(move_on(&*store, alert.no, Open, 2).await, None);
    let moved = move_on(&*store, alert.no, Acknowledged, 3).await.unwrap();
    let by = Some("operator@city.example".to_owned());
    let expected = AlertRecord { state: Acknowledged, moved_by: by.clone(), moved_at: Some(at(3)), ..alert.clone() };
    assert_eq!(moved, expected);
    assert_eq!(store.alert(alert.no).await.unwrap(), Some(expected.clone()));
    for to in [Open, Acknowledged] {
        assert_eq!(move_on(&*store, alert.no, to, 4).await, None, "{to:?}");
    }
    let (counted, new) = store.raise_alert(&AlertRaise { at: at(5), ..again.clone() }).await.unwrap();
    assert_eq!((counted, new), (AlertRecord { count: 2, last_at: at(5), ..expected }, false), "still acknowledged");

    let resolved = move_on(&*store, alert.no, Resolved, 6).await.unwrap();
    assert_eq!((resolved.state, resolved.moved_at, resolved.count), (Resolved, Some(at(6)), 2));
    for to in AlertState::ALL {
        assert_eq!(move_on(&*store, alert.no, to, 7).await, None, "{to:?}");
    }
    assert_eq!(actions(&*store).await, ["resolved", "acknowledged", "device.register"], "an entry for each that moved");

    let (next, new) = store.raise_alert(&AlertRaise { at: at(8), ..again }).await.unwrap();
    assert!(new && next.no > alert.no, "what was resolved and comes back is a new one");
    assert_eq!(store.alert(alert.no).await.unwrap(), Some(resolved));
    assert_eq!(move_on(&*store, next.no, Resolved, 9).await.unwrap().state, Resolved, "straight from open");
}

pub async fn lists_are_filtered_and_paged(database: Arc<dyn Database>) {
    let store = database.open().await;
    for n in [1, 2] {
        registered(&*store, n).await;
    }
    // Numbers: a 1, b 2, c 3, d 4, e 5, in this order.
    let subjects = [(Some(1), Some(1)), (Some(1), None), (None, Some(1)), (None, None), (Some(2), Some(1))];
    let mut no = Vec::new();
    for (n, (device, light)) in subjects.into_iter().enumerate() {
        no.push(store.raise_alert(&raise(device, light, "kind", n as i64)).await.unwrap().0.no);
    }
    move_on(&*store, no[1], Acknowledged, 9).await.unwrap();
    move_on(&*store, no[0], Resolved, 9).await.unwrap();
    let list = async |query: AlertQuery| -> Vec<i64> {
        store.alerts(&query).await.unwrap().into_iter().map(|a| a.no).collect()
    };
    let all = AlertQuery { limit: 10, ..AlertQuery::default() };
    assert_eq!(list(all.clone()).await, [no[4], no[3], no[2], no[1], no[0]]);
    let states = [(Open, vec![no[4], no[3], no[2]]), (Acknowledged, vec![no[1]]), (Resolved, vec![no[0]])];
    for (state, expected) in states {
        assert_eq!(list(AlertQuery { state: Some(state), ..all.clone() }).await, expected, "{state:?}");
    }
    let of_device = AlertQuery { device_no: Some(DeviceNo(1)), ..all.clone() };
    let of_light = AlertQuery { light_no: Some(LightNo(1)), ..all.clone() };
    assert_eq!(list(of_device.clone()).await, [no[1], no[0]]);
    assert_eq!(list(of_light.clone()).await, [no[4], no[2], no[0]]);
    assert_eq!(list(AlertQuery { light_no: Some(LightNo(1)), ..of_device.clone() }).await, [no[0]]);
    assert_eq!(list(AlertQuery { state: Some(Resolved), ..of_device.clone() }).await, [no[0]]);
    assert_eq!(list(AlertQuery { state: Some(Open), ..of_light.clone() }).await, [no[4], no[2]]);
    assert!(list(AlertQuery { device_no: Some(DeviceNo(99)), ..all.clone() }).await.is_empty());

    let page = async |query: AlertQuery| {
        let (mut query, mut seen) = (AlertQuery { limit: 2, ..query }, Vec::new());
        while let [.., last] = list(query.clone()).await[..] {
            seen.extend(list(query.clone()).await);
            query.before_no = Some(last);
        }
        seen
    };
    for query in [all.clone(), of_device, of_light, AlertQuery { state: Some(Open), ..all.clone() }] {
        assert_eq!(page(query.clone()).await, list(query).await, "page by page the same");
    }
    assert!(list(AlertQuery { limit: 0, ..all }).await.is_empty());
}

pub async fn what_was_said_before_changes_nothing(database: Arc<dyn Database>) {
    let store = database.open().await;
    for n in [1, 2] {
        registered(&*store, n).await;
    }
    let say = async |device: Option<u32>, said: i64, seconds: i64| {
        store.raise_alert_once(&raise(device, None, "lamp_failure", seconds), said, 3).await.unwrap()
    };
    let (alert, new) = say(Some(1), 7, 1).await.unwrap();
    assert!(new);
    assert_eq!(say(Some(1), 7, 2).await, None);
    assert_eq!(store.alert(alert.no).await.unwrap().as_ref(), Some(&alert), "nothing follows");
    let (counted, new) = say(Some(1), -8, 3).await.unwrap();
    assert_eq!((counted.no, counted.count, new), (alert.no, 2, false), "another one counts");
    assert!(say(Some(2), 7, 4).await.unwrap().1, "what another device said is another");
    assert!(say(None, 7, 5).await.unwrap().1);
    assert!(!say(None, 7, 6).await.unwrap().1, "nobody repeats nobody");

    move_on(&*store, alert.no, Resolved, 9).await.unwrap();
    assert_eq!(say(Some(1), 7, 10).await, None, "what was resolved stays so");
    assert_eq!(say(Some(1), -8, 10).await, None);
    for said in [i64::MIN, i64::MAX] {
        assert_eq!(say(Some(1), said, 11).await.unwrap().1, said == i64::MIN);
    }
    // Three are remembered.
    assert_eq!(say(Some(1), -8, 12).await, None);
    assert!(say(Some(1), 7, 13).await.is_some(), "the oldest was forgotten");
    assert_eq!(say(Some(2), 7, 14).await, None, "and another device's is not");

    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let store = store.clone();
            let again = raise(Some(2), None, if n % 2 == 0 { "a" } else { "b" }, n);
            tokio::spawn(async move { store.raise_alert_once(&again, n / 2 % 3, 3).await.unwrap().is_some() })
        })
        .collect();
    let mut taken = 0;
    for task in tasks {
        taken += usize::from(task.await.unwrap());
    }
    assert_eq!(taken, 3, "each once, whoever comes first");
}

pub async fn a_zone_pages_through_its_own(database: Arc<dyn Database>) {
    let store = database.open().await;
    // Lights 1 to 3 lie in zones of their own; a second light of device 1 in that of light 2.
    for n in [1, 2, 3] {
        registered(&*store, n).await;
    }
    let (light_id, device_id) = (None, Some(device_id(1)));
    let more = CurationStep::AddLight { light_id, device_id, curated: curated(2), created_at: at(9) };
    store.curate(&[more], &[]).await.unwrap();
    let subjects = [
        (Some(2), Some(2)), // its light
        (Some(1), Some(1)),
        (Some(1), None), // drives one there
        (Some(3), None),
        (None, None),
        (None, Some(2)), // its light
        (Some(2), Some(3)),
        (Some(1), Some(4)), // its light
    ];
    let mut no = Vec::new();
    for (n, (device, light)) in subjects.into_iter().enumerate() {
        no.push(store.raise_alert(&raise(device, light, "kind", n as i64)).await.unwrap().0.no);
    }
    move_on(&*store, no[5], Resolved, 9).await.unwrap();
    let page = async |zone: &str, query: AlertQuery, reach: u32| -> (Vec<i64>, Option<i64>) {
        let (found, next) = store.alerts_of_zone(zone, &query, reach).await.unwrap();
        (found.into_iter().map(|a| a.no).collect(), next)
    };
    let all = AlertQuery { limit: 10, ..AlertQuery::default() };
    let mine = vec![no[7], no[5], no[2], no[0]];
    assert_eq!(page("North 2", all.clone(), 100).await, (mine.clone(), None));
    assert_eq!(page("North 9", all.clone(), 100).await, (vec![], None));
    assert_eq!(page("", all.clone(), 100).await, (vec![], None));
    let open = AlertQuery { state: Some(Open), ..all.clone() };
    assert_eq!(page("North 2", open, 100).await, (vec![no[7], no[2], no[0]], None));
    let of_device = AlertQuery { device_no: Some(DeviceNo(1)), ..all.clone() };
    assert_eq!(page("North 2", of_device, 100).await.0, [no[7], no[2]]);
    let of_light = AlertQuery { light_no: Some(LightNo(2)), ..all.clone() };
    assert_eq!(page("North 2", of_light.clone(), 100).await.0, [no[5], no[0]]);
    assert!(page("North 1", of_light, 100).await.0.is_empty());

    assert_eq!(page("North 2", all.clone(), 2).await, (vec![no[7]], Some(no[6])), "no more than two are looked at");
    for (limit, reach) in [(1, 100), (2, 100), (10, 1), (1, 3), (4, 100)] {
        let (mut query, mut seen) = (AlertQuery { limit, ..AlertQuery::default() }, Vec::new());
        loop {
            let (found, next) = page("North 2", query.clone(), reach).await;
            assert!(found.len() <= limit as usize);
            seen.extend(found);
            query.before_no = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, mine, "{limit} of {reach}");
    }
}

pub async fn many_at_once_open_one(database: Arc<dyn Database>) {
    let store = database.open().await;
    registered(&*store, 1).await;
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let store = store.clone();
            // Half of them name nobody: NULLs must meet each other too.
            let subject = (n % 2 == 0).then_some(1);
            tokio::spawn(async move { store.raise_alert(&raise(subject, None, "storm", n)).await.unwrap().1 })
        })
        .collect();
    let mut opened = 0;
    for task in tasks {
        opened += usize::from(task.await.unwrap());
    }
    assert_eq!(opened, 2);
    let counts: Vec<_> = store
        .alerts(&AlertQuery { limit: 9, ..AlertQuery::default() })
        .await
        .unwrap()
        .iter()
        .map(|a| a.count)
        .collect();
    assert_eq!(counts, [6, 6], "none was lost");
}
