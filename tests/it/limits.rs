//! Who is refused when there is too much: the one that runs wild, and what can wait; nobody who keeps to the contract.
use ccms::config::Limits;
use ccms_core::command::CommandKind;
use ccms_core::reading::PowerState;
use ccms_service::settings::EnrolmentMode;
use futures_util::future::join_all;

use crate::answer::Answer;
use crate::city::{City, eventually};
use crate::controller::Controller;
use crate::database::Engine;

const DEVICE: &str = "IMEI:351234567890123";
const OTHER: &str = "IMEI:490154203237518";

/// A city with the limits that a city has.
async fn limited(engine: Engine) -> City {
    City::configured(engine, EnrolmentMode::Open, |config| config.limits = Limits::default()).await
}

fn refused(answers: &[Answer]) -> usize {
    let limited = answers.iter().filter(|a| a.status == 503);
    limited.inspect(|a| assert!((1..=60).contains(&a.refused(503, "RATE_LIMITED")))).count()
}

on_both! {
    async fn a_device_that_runs_wild_is_refused_and_nobody_else(engine) {
        let city = limited(engine).await;
        let (wild, other) = (city.claimed_device(DEVICE).await, city.claimed_device(OTHER).await);
        let mut answers = Vec::new();
        for _ in 0..100 {
            answers.push(wild.asks_for_commands().await);
        }
        assert!(refused(&answers) >= 60, "{} of 100", refused(&answers));
        assert!(answers[..19].iter().all(|a| a.status == 200), "a burst is let through");
        other.asks_for_commands().await.ok();
    }

    async fn strangers_do_not_use_up_a_devices_share(engine) {
        let city = limited(engine).await;
        let device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        let bad = [("authorization", "Bearer x.y.z")];
        let stranger = device.without_token();
        let (mut bad_tokens, mut configures, mut acks) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..40 {
            bad_tokens.push(stranger.sends("GET", "commands", &bad, vec![]).await);
            configures.push(stranger.posts("configure", &device.introduction()).await);
            acks.push(stranger.acknowledges("CMD_1", "executed").await);
        }
        let all = [bad_tokens, configures, acks].concat();
        assert!(refused(&all) >= 70, "{}", refused(&all));
        assert!(all.iter().all(|a| a.json().get("device_token").is_none()));
        assert!(device.clone().configures().await.ok()["device_token"].is_string(), "the owner notices nothing");
        device.asks_for_commands().await.ok();
    }

    async fn a_hundred_that_conform_are_never_refused_beside_one_that_does_not(engine) {
        let city = limited(engine).await;
        let ids: Vec<String> = (100..200).map(|n| format!("IMEI:351234567890{n}")).collect();
        let devices = join_all(ids.iter().map(|id| city.claimed_device(id))).await;
        let wild = city.claimed_device(OTHER).await;
        let flood = async {
            let mut answers = Vec::new();
            for _ in 0..15 {
                answers.extend(join_all((0..100).map(|_| wild.asks_for_commands())).await);
            }
            answers
        };
        // Thirty seconds of the contract, as fast as they can: a status and three polls each.
        let hundred = join_all(devices.into_iter().map(|mut device| async move {
            let mut answers = vec![device.reports(PowerState::On).await];
            for _ in 0..3 {
                answers.push(device.asks_for_commands().await);
            }
            answers
        }));
        let (flooded, served) = futures_util::future::join(flood, hundred).await;
        served.into_iter().flatten().for_each(|answer| drop(answer.ok()));
        assert!(refused(&flooded) > 1_000, "{} of 1,500", refused(&flooded));
    }

    async fn a_full_queue_turns_away_reports_first_and_enrolment_never(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |config| config.limits.intake_queue_requests = 20).await;
        let devices = join_all((100..130).map(|n| {
            let city = &city;
            async move { city.claimed_device(&format!("IMEI:351234567890{n}")).await }
        }))
        .await;
        // Whoever used its token once needs no place on disk to be let in.
        join_all(devices.iter().map(Controller::asks_for_commands)).await.iter().for_each(|answer| drop(answer.ok()));
        city.store.holds_appends();
        let report = |device: &Controller| {
            let mut device = device.clone();
            tokio::spawn(async move { device.reports(PowerState::On).await })
        };
        let first = report(&devices[0]);
        eventually("the writer is at work", || async { city.store.waiting() == 1 }).await;
        let waiting: Vec<_> = devices[1..17].iter().map(report).collect();
        eventually("the queue fills", || async { city.ccms.intake_depth().0 == 16 }).await;
        // 16 of 20: reports have to wait, polls and enrolment do not.
        let mut late = devices[20].clone();
        late.reports(PowerState::On).await.refused(503, "UNAVAILABLE");
        late.posts("alert", &serde_json::json!({"type": "x"})).await.refused(503, "UNAVAILABLE");
        late.asks_for_commands().await.ok();
        late.acknowledges("CMD_1", "executed").await.ok();
        late.configures().await.ok();
        city.claimed_device(DEVICE).await;
        city.store.releases_appends();
        first.await.unwrap().ok();
        join_all(waiting).await.into_iter().for_each(|answer| drop(answer.unwrap().ok()));
        late.reports(PowerState::On).await.ok();
        assert_eq!(city.log().await.len(), 19, "what came with a configure is stored too, later");
    }

    async fn a_disk_that_is_nearly_full_refuses_reports_and_nothing_else(engine) {
        const MIB: u64 = 1 << 20;
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.reports(PowerState::On).await.ok();
        city.ccms.disk_has(300 * MIB, 4_096 * MIB).await;
        device.reports(PowerState::On).await.ok();
        city.ccms.disk_has(200 * MIB, 4_096 * MIB).await;
        assert_eq!(device.reports(PowerState::Off).await.refused(503, "UNAVAILABLE"), 60);
        device.posts("sync", &serde_json::json!({"readings": []})).await.refused(503, "UNAVAILABLE");
        let id = city.operator().commands("SL001", CommandKind::Power(PowerState::Off)).await;
        assert_eq!(device.polls().await, [id.to_string()]);
        device.acknowledges(id.as_str(), "executed").await.ok();
        device.configures().await.ok();
        city.ccms.disk_has(201 * MIB, 4_096 * MIB).await;
        assert_eq!(city.operator().sees_alerts().await, [("disk_full".to_owned(), 1)]);
        let stored = city.log().await.len();
        city.ccms.disk_has(321 * MIB, 4_096 * MIB).await;
        device.reports(PowerState::Off).await.ok();
        assert_eq!(city.log().await.len(), stored + 1);
    }
}
