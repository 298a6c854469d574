//! Superseding, and changes of state.
use std::sync::Arc;

use ccms_core::command::{Command, CommandKind, CommandState, Priority};
use ccms_core::ids::{CommandId, LightNo};
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::TimeOfDay;

use super::Database;
use super::samples::{actions, at, audit, command, curated, registered};
use crate::{CommandChange, CurationStep, Store, StoreError};

const ON: CommandKind = CommandKind::Power(PowerState::On);
const OFF: CommandKind = CommandKind::Power(PowerState::Off);
const DIM: CommandKind = CommandKind::Brightness(40);

fn id(text: &str) -> CommandId {
    CommandId::parse(text).unwrap()
}

fn change(id_text: &str, from: CommandState, to: CommandState, seconds: i64) -> CommandChange {
    CommandChange { id: id(id_text), from, to, at: at(seconds), delivered_at: None, executed_at: None, detail: None }
}

async fn enqueue(store: &dyn Store, command: &Command) -> Vec<CommandId> {
    store.enqueue_commands(std::slice::from_ref(command), &audit("command")).await.unwrap()
}

fn ids(commands: Vec<Command>) -> Vec<String> {
    commands.into_iter().map(|c| c.id.to_string()).collect()
}

pub async fn every_field_comes_back(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let time = |text| TimeOfDay::parse(text).unwrap();
    let night = CommandKind::Schedule(Schedule {
        enabled: false,
        sunrise_time: time("06:00:01"),
        sunset_time: time("18:30:59"),
    });
    let kinds = [ON, OFF, DIM, CommandKind::Brightness(0), CommandKind::Brightness(100), night, CommandKind::Reset];
    for (n, kind) in (1..).zip(kinds) {
        let plain = command(&format!("PLAIN_{n}"), &device, &light, kind, n);
        let full = Command {
            id: id(&format!("FULL_{n}")),
            priority: [Priority::High, Priority::Normal, Priority::Low][n as usize % 3],
            reason: Some("Complaint \"4711\" ✓".into()),
            delivered_at: Some(at(n + 1)),
            unverified_at: Some(at(n + 3)),
            finished_at: Some(at(n + 2)),
            executed_at: Some(at(-n)),
            detail: Some("Läuft \"so\" ✓".into()),
            ..plain.clone()
        };
        for command in [plain, full] {
            enqueue(&*store, &command).await;
            assert_eq!(store.command(&command.id).await.unwrap(), Some(command));
        }
    }
    assert_eq!(store.command(&id("UNKNOWN")).await.unwrap(), None);
}

pub async fn only_the_same_light_and_type_is_superseded(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let (other_device, other_light) = registered(&*store, 2).await;
    let enqueue = async |c: &Command| enqueue(&*store, c).await;
    let first = command("FIRST", &device, &light, ON, 0);
    assert_eq!(enqueue(&first).await, []);
    assert_eq!(enqueue(&command("DIM", &device, &light, DIM, 1)).await, [], "another type");
    assert_eq!(enqueue(&command("OTHER", &other_device, &other_light, ON, 2)).await, [], "another light");
    assert_eq!(enqueue(&command("SECOND", &device, &light, OFF, 3)).await, [id("FIRST")]);
    let superseded = store.command(&first.id).await.unwrap().unwrap();
    assert_eq!(superseded, Command { state: CommandState::Superseded, finished_at: Some(at(3)), ..first });
    assert_eq!(ids(store.live_commands().await.unwrap()), ["DIM", "OTHER", "SECOND"]);

    // Delivered and unverified ones are alive too; what is over is not touched again.
    for (from, to) in
        [(CommandState::Queued, CommandState::Delivered), (CommandState::Delivered, CommandState::Unverified)]
    {
        assert_eq!(store.change_commands(&[change("SECOND", from, to, 4)]).await.unwrap(), [true]);
    }
    assert_eq!(enqueue(&command("THIRD", &device, &light, ON, 5)).await, [id("SECOND")]);
    let done = change("THIRD", CommandState::Queued, CommandState::Executed, 6);
    assert_eq!(store.change_commands(&[done]).await.unwrap(), [true]);
    assert_eq!(enqueue(&command("FOURTH", &device, &light, ON, 7)).await, []);
    assert_eq!(store.command(&id("THIRD")).await.unwrap().unwrap().state, CommandState::Executed);
}

pub async fn a_taken_id_leaves_everything_as_it_was(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let (other_device, other_light) = registered(&*store, 2).await;
    store.enqueue_commands(&[command("A", &device, &light, ON, 0)], &audit("a")).await.unwrap();
    store.enqueue_commands(&[command("B", &other_device, &other_light, ON, 1)], &audit("b")).await.unwrap();
    // It would supersede B, but its id is A's.
    let again = store.enqueue_commands(&[command("A", &other_device, &other_light, OFF, 2)], &audit("c")).await;
    assert!(matches!(again, Err(StoreError::Conflict { .. })), "{again:?}");
    assert_eq!(store.command(&id("A")).await.unwrap().unwrap().kind, ON);
    let b = store.command(&id("B")).await.unwrap().unwrap();
    assert_eq!((b.state, b.finished_at), (CommandState::Queued, None));
    assert_eq!(actions(&*store).await[..2], ["b", "a"]);
}

pub async fn changes_apply_only_from_the_expected_state(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let queued = command("C", &device, &light, ON, 0);
    enqueue(&*store, &queued).await;
    use CommandState::{Cancelled, Delivered, Executed, Queued, Unverified};

    // One call, in order: the second hand-over and the unknown command are left out.
    let delivered = CommandChange { delivered_at: Some(at(1)), ..change("C", Queued, Delivered, 1) };
    let again = CommandChange { delivered_at: Some(at(2)), ..delivered.clone() };
    let unverified = CommandChange {
        delivered_at: Some(at(3)),
        detail: Some("said so".into()),
        ..change("C", Delivered, Unverified, 3)
    };
    let changes = [delivered, again, change("NONE", Queued, Delivered, 1), unverified];
    assert_eq!(store.change_commands(&changes).await.unwrap(), [true, false, false, true]);
    let expected =
        Command { state: Unverified, delivered_at: Some(at(1)), detail: Some("said so".into()), ..queued.clone() };
    let expected = Command { unverified_at: Some(at(3)), ..expected };
    assert_eq!(store.command(&queued.id).await.unwrap(), Some(expected.clone()), "the first hand-over stands");

    let executed = CommandChange { executed_at: Some(at(-7)), ..change("C", Unverified, Executed, 9) };
    let racing = change("C", Unverified, Cancelled, 10);
    assert_eq!(store.change_commands(&[executed, racing]).await.unwrap(), [true, false]);
    let expected = Command { state: Executed, finished_at: Some(at(9)), executed_at: Some(at(-7)), ..expected };
    assert_eq!(store.command(&queued.id).await.unwrap(), Some(expected), "what a change does not say stays");
    assert_eq!(store.live_commands().await.unwrap(), []);
    assert_eq!(store.change_commands(&[]).await.unwrap(), [false; 0]);
}

pub async fn each_step_keeps_our_own_time(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let queued = command("C", &device, &light, ON, 0);
    enqueue(&*store, &queued).await;
    use CommandState::{Delivered, Executed, Queued, Unverified};
    // The device's clock is years away; what it says stands beside our times, not in their place.
    let (said, again) = (at(-900_000_000), at(-800_000_000));
    let steps = [
        CommandChange { delivered_at: Some(at(1)), ..change("C", Queued, Delivered, 1) },
        CommandChange { executed_at: Some(said), ..change("C", Delivered, Unverified, 2) },
        // Nothing the program does, but it must not move a time that was told already.
        CommandChange { executed_at: Some(again), ..change("C", Unverified, Unverified, 3) },
        change("C", Unverified, Executed, 4),
    ];
    for step in &steps {
        assert_eq!(store.change_commands(std::slice::from_ref(step)).await.unwrap(), [true]);
    }
    let times = |c: &Command| (c.delivered_at, c.unverified_at, c.finished_at, c.executed_at);
    let kept = store.command(&queued.id).await.unwrap().unwrap();
    assert_eq!(times(&kept), (Some(at(1)), Some(at(2)), Some(at(4)), Some(again)));
    assert_eq!(store.commands_of_light(light.no, 9).await.unwrap(), [kept], "in lists as well");
}

pub async fn restarts_are_counted_by_controller(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let (other, other_light) = registered(&*store, 2).await;
    let (third, third_light) = registered(&*store, 3).await;
    let second = CurationStep::AddLight {
        light_id: None,
        device_id: Some(device.id.clone()),
        curated: curated(4),
        created_at: at(0),
    };
    store.curate(&[second], &[]).await.unwrap();
    let lights = store.lights_of_device(device.no).await.unwrap();
    assert_eq!(lights.len(), 2);
    let since = async |seconds| store.devices_restarted_since(at(seconds)).await.unwrap();
    assert_eq!(since(-9).await, []);
    for c in [
        command("A", &device, &lights[1], CommandKind::Reset, 10),
        command("B", &device, &light, CommandKind::Reset, 20),
        command("C", &other, &other_light, CommandKind::Reset, 15),
        command("D", &third, &third_light, CommandKind::Reset, 15),
        command("NONE", &third, &third_light, ON, 99),
    ] {
        enqueue(&*store, &c).await;
    }
    assert_eq!(since(9).await, [device.no, other.no, third.no], "each once, whichever light was named");
    assert_eq!(since(15).await, [device.no], "after, not at");
    assert_eq!(since(20).await, []);

    // One that was taken back before it reached its device did nothing; the other may have.
    let handed_out = change("D", CommandState::Queued, CommandState::Delivered, 16);
    let handed_out = CommandChange { delivered_at: Some(at(16)), ..handed_out };
    assert_eq!(store.change_commands(&[handed_out]).await.unwrap(), [true]);
    for text in ["C", "D"] {
        store.cancel_command(&id(text), at(30), &audit("cancel")).await.unwrap().unwrap();
    }
    assert_eq!(since(9).await, [device.no, third.no]);
}

pub async fn lists_are_in_order_and_limited(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let (other_device, other_light) = registered(&*store, 2).await;
    // Z and Y are of one moment: the order of asking decides.
    for (text, kind, seconds) in [("Z", ON, 5), ("Y", DIM, 5), ("X", DIM, 3), ("W", OFF, 9)] {
        enqueue(&*store, &command(text, &device, &light, kind, seconds)).await;
    }
    enqueue(&*store, &command("V", &other_device, &other_light, ON, 1)).await;
    assert_eq!(ids(store.commands_of_light(light.no, 10).await.unwrap()), ["W", "Y", "Z", "X"]);
    assert_eq!(ids(store.commands_of_light(light.no, 2).await.unwrap()), ["W", "Y"]);
    assert_eq!(ids(store.commands_of_light(LightNo(99), 2).await.unwrap()), [""; 0]);
    assert_eq!(ids(store.live_commands().await.unwrap()), ["V", "X", "W"]);
}

pub async fn many_requests_at_once_leave_one_alive(database: Arc<dyn Database>) {
    let store = database.open().await;
    let (device, light) = registered(&*store, 1).await;
    let tasks: Vec<_> = (0..12)
        .map(|n| {
            let (store, command) = (store.clone(), command(&format!("C{n}"), &device, &light, ON, n));
            tokio::spawn(async move { enqueue(&*store, &command).await })
        })
        .collect();
    let mut superseded = Vec::new();
    for task in tasks {
        superseded.extend(task.await.unwrap());
    }
    let live = store.live_commands().await.unwrap();
    assert_eq!((live.len(), superseded.len()), (1, 11));
    superseded.extend(live.into_iter().map(|c| c.id));
    superseded.sort();
    superseded.dedup();
    assert_eq!(superseded.len(), 12, "each was superseded once, or lives");
}
