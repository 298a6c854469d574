//! One alert per device, light and kind until it is resolved.
use std::sync::Arc;

use ccms_core::ids::{DeviceNo, LightNo};
use serde_json::json;

use super::Database;
use super::samples::{actions, at, audit, registered};
use crate::{AlertQuery, AlertRaise, AlertRecord, AlertState, Severity, Store};

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
