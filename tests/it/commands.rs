//! Commands over the wire: handed out, repeated, superseded, expired, acknowledged once, twice, by the wrong one.
use std::time::Duration;

use ccms_core::command::{CommandKind, CommandState, Priority};
use ccms_core::ids::DeviceId;
use ccms_core::limits::{COMMAND_LIFE_S, REDELIVERY_INTERVAL_S};
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::TimeOfDay;
use ccms_service::{Role, Who};
use ccms_store::{Curated, CurationStep};
use futures_util::future::join_all;
use serde_json::json;

use crate::answer::Answer;
use crate::city::{City, eventually};
use crate::controller::Controller;
use crate::operator::light_id;

const DEVICE: &str = "IMEI:351234567890123";
const ON: CommandKind = CommandKind::Power(PowerState::On);
const OPERATOR: Who<'static> = Who::person("operator@city.example", Role::Operator, None);
const ELSEWHERE: Who<'static> = Who::person("north@city.example", Role::Operator, Some("north"));
const PATIENCE: Duration = Duration::from_secs(10);
const OFF: CommandKind = CommandKind::Power(PowerState::Off);

/// A poll that may be held for a minute.
fn waits(device: &Controller) -> tokio::task::JoinHandle<Answer> {
    let device = device.clone();
    tokio::spawn(async move { device.sends("GET", "commands?wait=60", &[], vec![]).await })
}

fn nights() -> CommandKind {
    let time = |t| TimeOfDay::parse(t).unwrap();
    CommandKind::Schedule(Schedule { enabled: true, sunrise_time: time("06:30:00"), sunset_time: time("18:00:00") })
}

on_both! {
    async fn a_poll_peeks_and_a_command_is_repeated_after_ten_seconds(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let id = city.operator().commands("SL001", ON).await;
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Queued);
        assert_eq!(device.polls().await, [id.as_str()]);
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Delivered);
        city.waits(i64::from(REDELIVERY_INTERVAL_S) - 1);
        assert!(device.polls().await.is_empty(), "not within ten seconds");
        city.waits(1);
        assert_eq!(device.polls().await, [id.as_str()]);
        device.acknowledges(id.as_str(), "executed").await.ok();
        city.waits(60);
        assert!(device.polls().await.is_empty());
        let timeline = city.operator().sees("SL001").await.commands;
        assert_eq!(timeline.len(), 1);
        assert!(timeline[0].delivered_at.is_some() && timeline[0].finished_at.is_some());
    }

    async fn a_newer_command_supersedes_the_older_of_its_type_alone(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let on = city.operator().commands("SL001", ON).await;
        let dim = city.operator().commands("SL001", CommandKind::Brightness(40)).await;
        let schedule = city.operator().commands("SL001", nights()).await;
        assert_eq!(device.polls().await.len(), 3);
        city.waits(1);
        let off = city.operator().commands("SL001", OFF).await;
        assert_eq!(city.operator().sees_command(&on).await, CommandState::Superseded);
        assert_eq!(device.polls().await, [off.as_str()], "the others were handed out a moment ago");
        city.waits(10);
        let again = device.polls().await;
        assert!(!again.contains(&on.to_string()));
        assert_eq!(again.len(), 3);
        // The device had executed the older one before it was superseded: heard, without effect.
        device.acknowledges(on.as_str(), "executed").await.ok();
        assert_eq!(city.operator().sees_command(&on).await, CommandState::Superseded);
        for id in [dim, schedule] {
            assert_eq!(city.operator().sees_command(&id).await, CommandState::Delivered);
        }
    }

    async fn an_expired_command_is_never_handed_out(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let seen = city.operator().commands("SL001", ON).await;
        assert_eq!(device.polls().await, [seen.as_str()]);
        city.waits(i64::from(REDELIVERY_INTERVAL_S));
        let unseen = city.operator().commands("SL001", CommandKind::Brightness(50)).await;
        city.waits(COMMAND_LIFE_S - i64::from(REDELIVERY_INTERVAL_S));
        assert_eq!(device.polls().await, [unseen.as_str()], "the other's time is over, though no sweep noticed");
        city.waits(i64::from(REDELIVERY_INTERVAL_S));
        assert!(device.polls().await.is_empty());
        city.ccms.sweep().await;
        assert!(device.polls().await.is_empty());
        for id in [&seen, &unseen] {
            assert_eq!(city.operator().sees_command(id).await, CommandState::Expired);
            device.acknowledges(id.as_str(), "executed").await.ok();
            assert_eq!(city.operator().sees_command(id).await, CommandState::Expired, "what is over stays over");
        }
        // Nor one whose time ended while the server was gone.
        city.operator().commands("SL001", OFF).await;
        city.waits(COMMAND_LIFE_S);
        let city = city.crashes().await;
        assert!(city.meets(&device).polls().await.is_empty());
    }

    async fn an_acknowledgement_counts_once_in_either_spelling(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let id = city.operator().commands("SL001", ON).await;
        device.polls().await;
        for _ in 0..3 {
            let answer = device.acknowledges(id.as_str(), "executed").await.ok();
            assert!(answer.get("ignored").is_none(), "{answer}");
        }
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Executed);
        device.acknowledges(id.as_str(), "failed").await.ok();
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Executed, "no second effect");

        for (status, state) in [
            ("failed", CommandState::Failed),
            ("rejected", CommandState::Rejected),
            ("expired", CommandState::Expired),
            ("executed", CommandState::Executed),
        ] {
            let id = city.operator().commands("SL001", OFF).await;
            device.polls().await;
            let pseudocode = json!({"id": id.as_str(), "status": status, "timestamp": city.clock.now().seconds()});
            device.posts("command-ack", &pseudocode).await.ok();
            assert_eq!(city.operator().sees_command(&id).await, state);
        }
        let unknown_status = json!({"command_id": id.as_str(), "status": "done"});
        device.posts("command-ack", &unknown_status).await.refused(400, "BAD_REQUEST");
    }

    async fn a_foreign_or_unknown_acknowledgement_is_ignored_and_written_down(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let other = city.claimed_device("IMEI:490154203237518").await;
        let id = city.operator().commands("SL001", ON).await;
        device.polls().await;
        for stranger in [other.clone(), other.without_token()] {
            assert_eq!(stranger.acknowledges(id.as_str(), "executed").await.ok()["ignored"], true);
        }
        assert_eq!(device.acknowledges("CMD_unheard_of", "executed").await.ok()["ignored"], true);
        assert_eq!(device.acknowledges("spaces are no id", "executed").await.ok()["ignored"], true);
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Delivered);
        for n in 0..30 {
            other.without_token().acknowledges(&format!("CMD_{n}"), "executed").await.ok();
            city.device("IMEI:000000000000000").acknowledges(&format!("CMD_{n}"), "executed").await.ok();
        }
        let audit = city.operator().sees_audit().await;
        let noted = audit.iter().filter(|(what, _)| what == "command.ack_ignored").count();
        assert_eq!(noted, 2, "once for each device and minute, and never for one that nobody knows");
    }

    /// The document shows the acknowledgement without a token.
    async fn an_unverified_acknowledgement_becomes_final_when_a_status_agrees(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let id = city.operator().commands("SL001", OFF).await;
        device.polls().await;
        device.without_token().acknowledges(id.as_str(), "executed").await.ok();
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Unverified);
        city.waits(10);
        assert!(device.polls().await.is_empty(), "it is not handed out again");
        device.reports(PowerState::On).await.ok();
        assert_eq!(city.operator().sees_command(&id).await, CommandState::Unverified, "this status says otherwise");
        city.waits(1);
        device.reports(PowerState::Off).await.ok();
        eventually("the command is executed", || async {
            city.operator().sees_command(&id).await == CommandState::Executed
        })
        .await;
        // Before delivery nobody can know the id: no acknowledgement without a token is believed.
        let early = city.operator().commands("SL001", ON).await;
        device.without_token().acknowledges(early.as_str(), "executed").await.ok();
        assert_eq!(city.operator().sees_command(&early).await, CommandState::Queued);
        assert_eq!(device.polls().await, [early.as_str()]);
    }

    async fn the_pace_is_two_seconds_while_a_high_command_is_alive(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        assert_eq!(device.asks_for_commands().await.ok()["next_poll_seconds"], 10);
        let id = city.operator().commands("SL001", ON).await;
        assert_eq!(device.reports(PowerState::Off).await.ok()["next_poll_seconds"], 2);
        assert_eq!(device.asks_for_commands().await.ok()["next_poll_seconds"], 2);
        device.acknowledges(id.as_str(), "executed").await.ok();
        assert_eq!(device.asks_for_commands().await.ok()["next_poll_seconds"], 10);
        city.operator().commands("SL001", OFF).await;
        city.waits(COMMAND_LIFE_S);
        assert_eq!(device.asks_for_commands().await.ok()["next_poll_seconds"], 10, "an expired one hurries nobody");
    }

    async fn commands_survive_a_crash_of_the_server(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let queued = city.operator().commands("SL001", ON).await;
        let handed_out = city.operator().commands("SL001", CommandKind::Brightness(60)).await;
        let done = city.operator().commands("SL001", nights()).await;
        device.polls().await;
        device.acknowledges(done.as_str(), "executed").await.ok();
        let city = city.crashes().await;
        let device = city.meets(&device);
        let mut again = device.polls().await;
        again.sort();
        let mut wanted = [queued.to_string(), handed_out.to_string()];
        wanted.sort();
        assert_eq!(again, wanted);
        device.acknowledges(done.as_str(), "failed").await.ok();
        assert_eq!(city.operator().sees_command(&done).await, CommandState::Executed);
    }

    async fn a_poll_that_waits_is_answered_when_there_is_something(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        city.claimed_device("IMEI:490154203237518").await;
        let waiting = waits(&device);
        eventually("it waits", || async { city.ccms.waiting_polls() == 1 }).await;
        // Another light's command wakes nobody here.
        city.operator().commands("SL002", ON).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert!(!waiting.is_finished() && city.ccms.waiting_polls() == 1);
        let id = city.operator().commands("SL001", ON).await;
        let answer = tokio::time::timeout(PATIENCE, waiting).await.expect("at once").unwrap().ok();
        assert_eq!(city.ccms.waiting_polls(), 0);
        assert_eq!(answer["commands"][0]["command_id"], id.as_str());
        // What is due is not waited for, and nonsense is no wait.
        city.waits(10);
        for query in ["wait=60", "wait=-1", "wait=x", "wait="] {
            let answer = tokio::time::timeout(PATIENCE, device.sends("GET", &format!("commands?{query}"), &[], vec![])).await;
            answer.expect("at once").ok();
        }
        device.acknowledges(id.as_str(), "executed").await.ok();
        let answer = device.sends("GET", "commands?wait=1", &[], vec![]).await.ok();
        assert_eq!((&answer["commands"], &answer["next_poll_seconds"]), (&json!([]), &json!(10)));
    }

    async fn polls_that_wait_are_few_and_end_with_the_server_or_their_device(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let (one, two) = (waits(&device), waits(&device));
        eventually("two wait", || async { city.ccms.waiting_polls() == 2 }).await;
        tokio::time::timeout(PATIENCE, waits(&device)).await.expect("two wait already").unwrap().ok();
        // A client that hangs up gives its place back.
        one.abort();
        eventually("one waits", || async { city.ccms.waiting_polls() == 1 }).await;
        let four = waits(&device);
        eventually("two wait again", || async { city.ccms.waiting_polls() == 2 }).await;
        city.ccms.stop().await;
        for waiting in [two, four] {
            tokio::time::timeout(PATIENCE, waiting).await.expect("the server stops").unwrap().ok();
        }
    }

    async fn the_same_for_many_lights_is_all_or_nothing(engine) {
        let city = City::open(engine).await;
        let devices = [city.claimed_device(DEVICE).await, city.claimed_device("IMEI:490154203237518").await];
        let may = OPERATOR.may_command().unwrap();
        let lights = ["SL002", "SL001", "SL002"].map(light_id);
        let views = city.ccms.command_many(may, &lights, OFF, Priority::Normal, Some(60), Some(" storm\n ")).await.unwrap();
        let named: Vec<(&str, Option<&str>)> = views.iter().map(|v| (v.light_id.as_str(), v.reason.as_deref())).collect();
        assert_eq!(named, [("SL002", Some("storm")), ("SL001", Some("storm"))]);
        assert_eq!(devices[0].polls().await, [views[1].command_id.as_str()]);
        assert_eq!(devices[1].polls().await, [views[0].command_id.as_str()]);
        assert_eq!(views[0].expires_at, city.clock.now().plus_seconds(60));
        let wrong = [
            (vec![light_id("SL001"), light_id("SL999")], OFF, None),
            (vec![], OFF, None),
            (vec![light_id("SL001")], CommandKind::Brightness(101), None),
            (vec![light_id("SL001")], OFF, Some(0)),
            (vec![light_id("SL001")], OFF, Some(8 * 86_400)),
        ];
        for (lights, kind, life) in wrong {
            assert!(city.ccms.command_many(may, &lights, kind, Priority::High, life, None).await.is_err());
        }
        assert_eq!(city.operator().sees_command(&views[1].command_id).await, CommandState::Delivered, "nothing superseded it");
        let elsewhere = ELSEWHERE.may_command().unwrap();
        assert!(city.ccms.command_many(elsewhere, &[light_id("SL001")], ON, Priority::High, None, None).await.is_err());
        // A restart of a controller: once an hour, whoever asks.
        let resets = |city: &City| {
            let ccms = city.ccms.clone();
            async move { ccms.command_many(may, &[light_id("SL001")], CommandKind::Reset, Priority::High, None, None).await.is_ok() }
        };
        assert!(resets(&city).await && !resets(&city).await);
        let city = city.restarts().await;
        city.waits(3_599);
        assert!(!resets(&city).await);
        city.waits(1);
        assert!(resets(&city).await);
    }

    async fn a_controller_of_several_lights_restarts_once_an_hour_through_any_of_them(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        city.claimed_device("IMEI:351234567890124").await;
        let second = CurationStep::AddLight {
            light_id: None,
            device_id: Some(DeviceId::parse(DEVICE).unwrap()),
            curated: Curated::default(),
            created_at: city.clock.now(),
        };
        city.store.inner().curate(&[second], &[]).await.expect("a second light");
        let city = city.restarts().await;
        let may = OPERATOR.may_command().unwrap();
        let resets = async |lights: &[&str]| {
            let lights: Vec<_> = lights.iter().map(|id| light_id(id)).collect();
            city.ccms.command_many(may, &lights, CommandKind::Reset, Priority::High, None, None).await
        };
        let refused = resets(&["SL002", "SL001", "SL003"]).await.unwrap_err().to_string();
        assert!(refused.contains("SL001 and SL003"), "{refused}");
        resets(&["SL002"]).await.expect("nothing was queued before");
        let first = resets(&["SL001"]).await.unwrap().remove(0);
        resets(&["SL003"]).await.expect_err("the same controller");
        city.waits(1_800);
        resets(&["SL003"]).await.expect_err("half an hour later");
        city.waits(1_800);
        let by_other = resets(&["SL003"]).await.expect("an hour later").remove(0);
        assert_ne!(first.command_id, by_other.command_id);
        // Taken back before the device had it: there was no restart. Handed out: there may have been one.
        city.ccms.cancel_command(may, &by_other.command_id).await.unwrap();
        let again = resets(&["SL001"]).await.expect("it was taken back").remove(0);
        assert_eq!(city.meets(&device).polls().await, [again.command_id.as_str()]);
        city.ccms.cancel_command(may, &again.command_id).await.unwrap();
        resets(&["SL003"]).await.expect_err("it may have been done");
    }

    async fn a_command_is_found_and_taken_back_by_those_who_see_its_light(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let id = city.operator().commands("SL001", OFF).await;
        let finds = |who: Who<'static>| city.ccms.find_command(who.may_view().unwrap(), &id);
        assert_eq!(finds(OPERATOR).await.unwrap().state, CommandState::Queued);
        assert!(finds(ELSEWHERE).await.is_err());
        let cancels = |who: Who<'static>| city.ccms.cancel_command(who.may_command().unwrap(), &id);
        assert!(cancels(ELSEWHERE).await.is_err());
        assert_eq!(cancels(OPERATOR).await.unwrap().state, CommandState::Cancelled);
        assert!(cancels(OPERATOR).await.is_err(), "it is over");
        assert!(device.polls().await.is_empty());
        assert_eq!(city.operator().sees_audit().await.iter().filter(|(what, _)| what == "command.cancel").count(), 1);
        assert!(!city.operator().sees_mark("SL001").state.command_alive());
    }

    /// However many race: what the store says is alive is what memory hands out.
    async fn commands_at_the_same_time_leave_one_alive(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let light = [light_id("SL001")];
        let may = OPERATOR.may_command().unwrap();
        let all = (0..20).map(|n| {
            city.ccms.command_many(may, &light, CommandKind::Brightness(n), Priority::High, None, None)
        });
        let all: Vec<_> = join_all(all).await.into_iter().map(|v| v.unwrap()[0].command_id.clone()).collect();
        let mut alive = Vec::new();
        for id in &all {
            if city.operator().sees_command(id).await.is_live() {
                alive.push(id.to_string());
            }
        }
        assert_eq!(alive.len(), 1);
        assert_eq!(city.ccms.live_command_count(CommandState::Queued), 1);
        let polled = join_all((0..10).map(|_| device.polls())).await.concat();
        assert_eq!(polled, alive, "handed out once, however many polls come at once");
    }
}
