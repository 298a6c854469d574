//! Commands over the wire: handed out, repeated, superseded, expired, acknowledged once, twice, by the wrong one.
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::limits::{COMMAND_LIFE_S, REDELIVERY_INTERVAL_S};
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::TimeOfDay;
use serde_json::json;

use crate::city::{City, eventually};

const DEVICE: &str = "IMEI:351234567890123";
const ON: CommandKind = CommandKind::Power(PowerState::On);
const OFF: CommandKind = CommandKind::Power(PowerState::Off);

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
        let audit = city.operator().sees_audit().await;
        assert_eq!(audit.iter().filter(|(what, _)| what == "command.ack_ignored").count(), 4);
    }

    /// The document shows the acknowledgement without a token (G10).
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
}
