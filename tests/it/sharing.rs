//! Two servers on one PostgreSQL database: what happens at one is known at the other within a second, one runs the background
//! jobs, and either may die. The clock stands still for both, so nothing here happens by the passing of time.
use std::time::Duration;

use ccms_core::command::{CommandKind, CommandState};
use ccms_core::reading::PowerState;
use ccms_core::snapshot::Snapshot;
use ccms_service::settings::EnrolmentMode;
use ccms_service::{Change, ChangeReceiver, Role, Told, Who};
use futures_util::future::join_all;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::answer::Answer;
use crate::api_client::Integrator;
use crate::city::{City, eventually};
use crate::controller::Controller;

const DEVICE: &str = "IMEI:351234567890123";
const ON: CommandKind = CommandKind::Power(PowerState::On);
const OFF: CommandKind = CommandKind::Power(PowerState::Off);
const VIEWER: Who<'static> = Who::person("viewer@city.example", Role::Viewer, None);
/// What one process does is known to the other by then.
const SOON: Duration = Duration::from_secs(1);
/// A lease that nobody renews is another's by then.
const TAKEN_OVER: Duration = Duration::from_secs(7);

/// Ends the connections on which notices come; they are made again after half a second.
const CUT: &str = "SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE 'LISTEN%'";

async fn pair(enrolment: EnrolmentMode) -> (City, City) {
    let one = City::shared(enrolment).await;
    let other = one.neighbour().await;
    (one, other)
}

/// Ends when the other server knows of the device.
async fn known(at: &City, device: &Controller) -> Controller {
    let there = at.meets(device);
    eventually("the device is known", async || there.asks_for_commands().await.status == 200).await;
    at.ccms.sweep().await;
    there
}

/// A poll that may be held for a minute, and is held.
async fn waits(at: &City, device: &Controller) -> JoinHandle<Answer> {
    let held = device.clone();
    let polls = at.ccms.waiting_polls();
    let poll = tokio::spawn(async move { held.sends("GET", "commands?wait=60", &[], vec![]).await });
    eventually("the poll is held", async || at.ccms.waiting_polls() > polls).await;
    poll
}

fn ids(answer: &Answer) -> Vec<String> {
    let commands = answer.ok()["commands"].as_array().expect("commands").clone();
    commands.iter().map(|c| c["command_id"].as_str().expect("an id").to_owned()).collect()
}

fn listens(at: &City) -> ChangeReceiver {
    at.ccms.feed().watch(at.ccms.feed().seq()).expect("a feed").1
}

/// The next step that `is_it` is true of.
async fn hears(feed: &mut ChangeReceiver, what: &str, is_it: impl Fn(&Change) -> bool) -> Change {
    let wait = async {
        loop {
            let change = feed.recv().await.expect("a feed");
            if is_it(&change) {
                return change;
            }
        }
    };
    timeout(SOON, wait).await.unwrap_or_else(|_| panic!("not heard within {SOON:?}: {what}"))
}

fn told(at: &City, change: &Change) -> Vec<String> {
    let text = |told| match told {
        Told::Command(command) => format!("command {}", command.state.as_str()),
        Told::Alert(step, alert) => format!("alert {} {}", step.as_str(), alert.kind),
    };
    change.told(&at.ccms, VIEWER).into_iter().map(text).collect()
}

#[tokio::test]
async fn a_command_of_one_reaches_a_device_that_polls_the_other_within_a_second() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    for kind in [ON, OFF, ON] {
        let poll = waits(&other, &there).await;
        let id = one.operator().commands("SL001", kind).await;
        let answer = timeout(SOON, poll).await.expect("within a second").expect("a poll");
        assert_eq!(ids(&answer), [id.as_str()]);
        eventually("the other says that it is delivered", async || {
            one.ccms.live_command_count(CommandState::Delivered) == 1
        })
        .await;
        assert!(device.polls().await.is_empty(), "handed out a moment ago, at the other");
        one.waits(10);
        assert_eq!(
            device.polls().await,
            [id.as_str()],
            "not acknowledged, so it comes again, wherever it is asked for"
        );
        there.acknowledges(id.as_str(), "executed").await.ok();
        assert_eq!(one.operator().sees_command(&id).await, CommandState::Executed);
        one.waits(10);
        assert!(device.polls().await.is_empty() && there.polls().await.is_empty());
        for at in [&one, &other] {
            assert_eq!(at.ccms.live_command_count(CommandState::Delivered), 0);
        }
    }
}

#[tokio::test]
async fn what_ended_at_one_is_not_handed_out_by_the_other_that_has_not_heard_of_it() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    let id = one.operator().commands("SL001", ON).await;
    assert_eq!(device.polls().await, [id.as_str()]);
    eventually("both know", async || other.ccms.live_command_count(CommandState::Delivered) == 1).await;
    one.waits(10);
    one.runs_sql(CUT).await;
    device.acknowledges(id.as_str(), "executed").await.ok();
    let polled = there.polls().await;
    assert!(polled.is_empty(), "it was executed: {polled:?}");
}

#[tokio::test]
async fn polls_at_both_at_once_get_a_command_once() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    for round in 0..20 {
        let id = one.operator().commands("SL001", if round % 2 == 0 { ON } else { OFF }).await;
        eventually("both know", async || other.ccms.live_command_count(CommandState::Queued) == 1).await;
        let (here, there) = tokio::join!(device.polls(), there.polls());
        assert_eq!([here, there].concat(), [id.as_str()], "round {round}");
        device.acknowledges(id.as_str(), "executed").await.ok();
        eventually("it is over at both", async || other.ccms.live_command_count(CommandState::Delivered) == 0).await;
        one.waits(30);
    }
}

#[tokio::test]
async fn a_report_to_one_is_seen_at_the_other_within_a_second() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let mut there = known(&other, &device).await;
    let light = one.light_no("SL001").await;
    for power in [PowerState::On, PowerState::Off] {
        let mut feed = listens(&one);
        one.waits(30);
        there.reports(power).await.ok();
        hears(&mut feed, "the report", |change| {
            change.concerns(light) && one.operator().sees_mark("SL001").state.power() == Some(power)
        })
        .await;
        assert_eq!(one.operator().sees("SL001").await.actual.unwrap().power_state, Some(power));
        assert_eq!(one.operator().sees_mark("SL001"), other.operator().sees_mark("SL001"));
    }
}

#[tokio::test]
async fn commands_and_alerts_are_told_to_those_who_watch_either() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    known(&other, &device).await;
    let mut feed = listens(&other);
    let mut next = async |wanted: &str| {
        hears(&mut feed, wanted, |change| told(&other, change).iter().any(|t| t == wanted)).await;
    };
    one.operator().commands("SL001", ON).await;
    next("command queued").await;
    let second = one.operator().commands("SL001", OFF).await;
    next("command superseded").await;
    let answer = device.asks_for_commands().await;
    assert_eq!(ids(&answer), [second.as_str()]);
    next("command delivered").await;
    device.acknowledges(second.as_str(), "executed").await.ok();
    next("command executed").await;
    device.posts("alert", &json!({"type": "lamp_failure"})).await.ok();
    next("alert opened lamp_failure").await;
    let admin = Integrator::of(&one, ccms_service::Scope::Admin).await;
    let alert = admin.gets("alerts").await.done(200)["items"][0]["alert_id"].as_i64().expect("a number");
    one.waits(1);
    admin.posts(&format!("alerts/{alert}/resolve"), &json!({})).await.done(200);
    next("alert resolved lamp_failure").await;
}

#[tokio::test]
async fn a_device_approved_at_one_claims_at_the_other_and_speaks_to_either_at_once() {
    let (one, other) = pair(EnrolmentMode::Registered).await;
    let mut device = one.device(DEVICE);
    device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
    one.operator().approves(DEVICE).await;
    let mut there = other.device(DEVICE);
    one.runs_sql(CUT).await;
    there.configures().await.ok();
    // No notice brought the claim: the token itself says that there is something to know.
    let mut here = one.meets(&there);
    here.reports(PowerState::On).await.ok();
    there.reports(PowerState::On).await.ok();

    let poll = waits(&other, &there).await;
    one.operator().revokes(DEVICE).await;
    let answer = timeout(SOON, poll).await.expect("within a second").expect("a poll");
    answer.refused(401, "UNAUTHORIZED");
    there.reports(PowerState::On).await.refused(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn a_token_that_was_replaced_at_one_is_superseded_at_the_other() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    one.waits(60);
    let mut renewed = device.clone();
    renewed.configures().await.ok();
    renewed.reports(PowerState::On).await.ok();
    eventually("the older token is superseded", async || there.asks_for_commands().await.status == 401).await;
    known(&other, &renewed).await;
}

#[tokio::test]
async fn lights_and_controllers_changed_at_one_are_so_at_the_other() {
    let (one, other) = pair(EnrolmentMode::Registered).await;
    one.operator().registers(DEVICE, "SL001").await;
    let shown = || Snapshot::decode(&other.ccms.snapshot(VIEWER.may_view().unwrap())).unwrap().marks;
    eventually("the light is there", async || shown().len() == 1).await;
    let admin = Integrator::of(&one, ccms_service::Scope::Admin).await;
    admin.patches("lights/SL001", &[], &json!({"name": "At the corner"})).await.done(200);
    eventually("its name is there", async || other.operator().sees("SL001").await.name == "At the corner").await;

    one.operator().approves(DEVICE).await;
    let mut old = other.device(DEVICE);
    old.configures().await.ok();
    let id = one.operator().commands("SL001", ON).await;
    eventually("so is the command", async || other.ccms.live_command_count(CommandState::Queued) == 1).await;
    let new = "IMEI:351234567890124";
    one.operator().swaps(DEVICE, new).await;
    assert_eq!(one.operator().sees_command(&id).await, CommandState::Cancelled);
    eventually("the old controller is out", async || old.asks_for_commands().await.status == 401).await;
    eventually("so is its command", async || other.ccms.live_command_count(CommandState::Queued) == 0).await;
    let mut replacement = other.device(new);
    replacement.configures().await.ok();
    assert_eq!(replacement.light, "SL001");
    replacement.reports(PowerState::On).await.ok();
    eventually("its report is at the other", async || one.operator().sees("SL001").await.actual.is_some()).await;
}

#[tokio::test]
async fn a_device_that_only_polls_one_is_online_at_the_other() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    for _ in 0..2 {
        one.waits(100);
        there.polls().await;
        let now = one.clock.now();
        eventually("the contact is known", async || one.operator().sees("SL001").await.last_contact == Some(now)).await;
    }
}

#[tokio::test]
async fn reports_to_both_at_once_leave_the_same_in_both_and_in_the_checkpoint() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let names: Vec<String> = (10..18).map(|n| format!("IMEI:3512345678901{n}")).collect();
    let devices = join_all(names.iter().map(|id| one.claimed_device(id))).await;
    let there = join_all(devices.iter().map(|d| known(&other, d))).await;
    for round in 0..10 {
        one.waits(30);
        let power = if round % 3 == 0 { PowerState::Off } else { PowerState::On };
        let reports = devices.iter().zip(&there).enumerate().map(|(n, (here, there))| async move {
            let mut at = if (n + round) % 2 == 0 { here.clone() } else { there.clone() };
            at.reports(power).await.ok();
        });
        join_all(reports).await;
    }
    let last = one.log().await.len();
    assert_eq!(last, 80);
    let now = one.clock.now();
    for at in [&one, &other] {
        eventually("both know all", async || {
            let seen = join_all(devices.iter().map(|d| async { at.operator().sees(&d.light).await.actual })).await;
            seen.into_iter().all(|actual| actual.is_some_and(|a| a.reported_at == now))
        })
        .await;
    }
    for device in &devices {
        assert_eq!(one.operator().sees_mark(&device.light), other.operator().sees_mark(&device.light));
    }
    let end = one.store.inner().log_after(Default::default(), 100).await.unwrap().last().unwrap().0;
    for at in [&one, &other] {
        eventually("its checkpoint goes to the end", async || {
            at.ccms.checkpoint().await;
            one.store.inner().checkpoint().await.unwrap().0 == end
        })
        .await;
    }
    let (_, rows) = one.store.inner().checkpoint().await.unwrap();
    assert_eq!(rows.iter().filter(|r| r.latest.as_ref().is_some_and(|l| l.reading.reported_at == now)).count(), 8);
}

#[tokio::test]
async fn one_leads_and_when_it_hangs_the_other_does() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    assert!(one.ccms.leads() && !other.ccms.leads());
    let id = other.operator().commands("SL001", ON).await;
    other.ccms.sweep().await;
    one.waits(24 * 3600);
    other.ccms.sweep().await;
    assert_eq!(one.operator().sees_command(&id).await, CommandState::Queued, "this is the leader's to end");
    // It reaches the database no more, and does not know why.
    one.store.fails(true);
    let taken = timeout(TAKEN_OVER, eventually("the lease is taken over", async || other.ccms.leads()));
    taken.await.expect("in time");
    assert!(!one.ccms.leads(), "it does not believe in it longer than it has it");
    eventually("the command's time is over", async || {
        other.operator().sees_command(&id).await == CommandState::Expired
    })
    .await;
    one.store.fails(false);
    eventually("it follows again", async || one.ccms.live_command_count(CommandState::Queued) == 0).await;
    let poll = waits(&other, &there).await;
    let next = one.operator().commands("SL001", OFF).await;
    assert_eq!(ids(&timeout(SOON, poll).await.expect("within a second").expect("a poll")), [next.as_str()]);
    assert!(other.ccms.leads() && !one.ccms.leads(), "the lease stays where it is");
    other.ccms.stop().await;
    eventually("one that stops gives it back", async || one.ccms.leads()).await;
}

#[tokio::test]
async fn who_takes_over_goes_on_from_the_checkpoint_of_the_other() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let mut device = one.claimed_device(DEVICE).await;
    let mut there = known(&other, &device).await;
    let written = async || one.store.inner().checkpoint_position().await.unwrap();
    device.reports(PowerState::On).await.ok();
    one.ccms.checkpoint().await;
    let first = written().await;
    assert_eq!(first, one.store.inner().log_after(Default::default(), 9).await.unwrap().last().unwrap().0);
    // It is the leader who writes.
    one.waits(600);
    there.reports(PowerState::Off).await.ok();
    other.ccms.checkpoint().await;
    assert_eq!(written().await, first);

    one.waits(600);
    there.polls().await;
    one.store.fails(true);
    timeout(TAKEN_OVER, eventually("the lease is taken over", async || other.ccms.leads())).await.expect("in time");
    other.ccms.checkpoint_when_due().await;
    assert!(written().await >= first, "nothing takes it back");
    let (_, states) = one.store.inner().checkpoint().await.unwrap();
    assert_eq!(states[0].last_contact, one.clock.now());
    other.ccms.checkpoint().await;
    assert!(written().await > first);
}

#[tokio::test]
async fn who_hears_nothing_catches_up() {
    let (one, other) = pair(EnrolmentMode::Open).await;
    let device = one.claimed_device(DEVICE).await;
    let there = known(&other, &device).await;
    for kind in [ON, OFF, ON] {
        one.runs_sql(CUT).await;
        // Nobody listens: what happens now, no notice brings.
        let id = one.operator().commands("SL001", kind).await;
        eventually("it is known all the same", async || there.polls().await == [id.as_str()]).await;
        there.acknowledges(id.as_str(), "executed").await.ok();
        eventually("so is its end", async || one.ccms.live_command_count(CommandState::Delivered) == 0).await;
        one.waits(30);
    }
}
