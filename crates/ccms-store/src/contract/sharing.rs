//! What several processes need of a store: one lease, and records by their numbers. The rest of sharing is only where a
//! database is shared, and is tested there.
use std::sync::Arc;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceNo, LightNo};

use super::Database;
use super::samples::{at, audit, command, registered};
use crate::CommandChange;

pub async fn records_are_found_by_number(database: Arc<dyn Database>) {
    let store = database.open().await;
    let mut made = Vec::new();
    for n in 1..=3 {
        made.push(registered(&*store, n).await);
    }
    let asked = [DeviceNo(3), DeviceNo(99), DeviceNo(1), DeviceNo(3)];
    assert_eq!(store.devices_of(&asked).await.unwrap(), [made[0].0.clone(), made[2].0.clone()]);
    let asked = [LightNo(2), LightNo(99), LightNo(1), LightNo(0)];
    assert_eq!(store.lights_of(&asked).await.unwrap(), [made[0].1.clone(), made[1].1.clone()]);
    assert!(store.devices_of(&[]).await.unwrap().is_empty() && store.lights_of(&[]).await.unwrap().is_empty());

    let (first, second) = (CommandKind::Brightness(5), CommandKind::Reset);
    let commands = [
        command("A", &made[0].0, &made[0].1, first, 3),
        command("B", &made[1].0, &made[1].1, first, 2),
        command("C", &made[2].0, &made[2].1, first, 1),
        command("D", &made[0].0, &made[0].1, second, 0),
    ];
    store.enqueue_commands(&commands, &audit("command.create")).await.unwrap();
    let ids = |found: Vec<ccms_core::command::Command>| {
        found.into_iter().map(|c| c.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    let of = |devices: &'static [DeviceNo]| store.live_commands_of(devices);
    assert_eq!(ids(of(&[DeviceNo(1), DeviceNo(3)]).await.unwrap()), ["D", "C", "A"], "oldest first");
    let over = CommandChange {
        id: CommandId::parse("D").unwrap(),
        from: CommandState::Queued,
        to: CommandState::Expired,
        at: at(9),
        delivered_at: None,
        executed_at: None,
        detail: None,
    };
    store.change_commands(&[over]).await.unwrap();
    assert_eq!(ids(of(&[DeviceNo(1)]).await.unwrap()), ["A"], "what is over is not alive");
    assert!(of(&[]).await.unwrap().is_empty());
}

pub async fn one_holds_the_lease(database: Arc<dyn Database>) {
    const LONG_MS: u32 = 600_000;
    let one = database.open().await;
    assert!(one.hold_lease(LONG_MS).await.unwrap());
    assert!(one.hold_lease(LONG_MS).await.unwrap(), "it may be kept");
    if !one.is_shared() {
        return;
    }
    let other = database.open().await;
    assert!(!other.hold_lease(LONG_MS).await.unwrap());
    other.leave_lease().await.unwrap();
    assert!(!other.hold_lease(LONG_MS).await.unwrap(), "only the holder gives it back");
    one.leave_lease().await.unwrap();
    assert!(other.hold_lease(LONG_MS).await.unwrap());
    assert!(!one.hold_lease(LONG_MS).await.unwrap());

    // One that died gives nothing back: its time ends.
    assert!(other.hold_lease(1).await.unwrap());
    while !one.hold_lease(LONG_MS).await.unwrap() {
        tokio::task::yield_now().await;
    }
    assert!(!other.hold_lease(LONG_MS).await.unwrap());

    one.leave_lease().await.unwrap();
    let mut asked = Vec::new();
    for _ in 0..5 {
        let store = database.open().await;
        asked.push(tokio::spawn(async move { store.hold_lease(LONG_MS).await.unwrap() }));
    }
    let mut holders = 0;
    for one in asked {
        holders += u32::from(one.await.unwrap());
    }
    assert_eq!(holders, 1);
}
