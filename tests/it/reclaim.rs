//! What strangers get who say to be a device, how a device that lost everything comes back, and that no lost answer strands
//! one.
use ccms_core::limits::TOKEN_LIFE_S;
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::settings::EnrolmentMode;
use ccms_store::AuditEntry;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::city::City;
use crate::controller::Controller;
use crate::database::Engine;
use crate::operator::device_id;

const DEVICE: &str = "IMEI:351234567890123";

/// A city where any number of requests is served.
async fn patient_city(engine: Engine) -> City {
    City::configured(engine, EnrolmentMode::Open, |_| {}).await
}

/// A controller in service that then loses everything but its name.
async fn lost_device(city: &City) -> (Controller, Controller) {
    let before = city.claimed_device(DEVICE).await;
    before.asks_for_commands().await.ok();
    (before, city.device(DEVICE))
}

on_both! {
    async fn a_thousand_strangers_get_nothing_and_the_owner_notices_nothing(engine) {
        let city = patient_city(engine).await;
        let mut owner = city.claimed_device(DEVICE).await;
        owner.reports(PowerState::On).await.ok();
        let before = city.store.inner().device(&device_id(DEVICE)).await.unwrap();
        let mut stranger = city.device(DEVICE);
        let documented = owner.without_token().posts("configure", &owner.introduction()).await.ok();
        for i in 1..1_000 {
            stranger.token = match i % 4 {
                0 => None,
                1 => Some("guess".into()),
                2 => owner.token.as_ref().map(|t| t[..t.len() - 1].to_owned()),
                _ => owner.token.as_ref().map(|t| t.replace('.', "..")),
            };
            let answer = stranger.posts("configure", &json!({"device_id": DEVICE, "latitude": 1, "longitude": 1})).await.ok();
            assert_eq!(answer, documented, "the documented answer, and not a word more");
            if i % 100 == 0 {
                owner.asks_for_commands().await.ok();
                owner.reports(PowerState::On).await.ok();
            }
        }
        assert_eq!(city.store.inner().device(&device_id(DEVICE)).await.unwrap(), before);
        assert_eq!(city.operator().sees_alerts().await, [("unproven_configure".to_owned(), 1)]);
        assert!(owner.configures().await.ok()["device_token"].is_string());
        owner.asks_for_commands().await.ok();
    }

    async fn a_device_that_lost_everything_does_not_loop_and_a_person_lets_it_back(engine) {
        let city = patient_city(engine).await;
        let (copy, mut device) = lost_device(&city).await;
        // As the document says: a 401 sends it to configure.
        for _ in 0..3 {
            device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
            assert!(device.configures().await.ok().get("device_token").is_none());
            city.waits(60);
        }
        assert!(city.operator().sees_alerts().await.is_empty());
        for wait in [0, 1, 3_600, 3_600] {
            city.waits(wait);
            assert_eq!(device.configures().await.refused(400, "DEVICE_RECLAIM_REQUIRED"), 3_600);
        }
        let alerts = city.operator().sees_alerts().await;
        assert!(matches!(alerts.as_slice(), [(kind, _)] if kind == "reclaim_required"), "{alerts:?}");
        // Whoever has proof notices nothing of all this.
        copy.clone().configures().await.ok();
        copy.asks_for_commands().await.ok();

        city.operator().allows_reclaim(DEVICE).await;
        device.configures().await.ok();
        assert!(device.token.is_some() && device.secret != copy.secret, "a new epoch");
        device.asks_for_commands().await.ok();
        copy.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        assert!(copy.clone().configures().await.ok().get("device_token").is_none());
        assert!(city.device(DEVICE).configures().await.ok().get("device_token").is_none(), "once");
    }

    async fn the_answer_to_a_reclaim_may_get_lost(engine) {
        let city = patient_city(engine).await;
        let (_, device) = lost_device(&city).await;
        city.operator().allows_reclaim(DEVICE).await;
        device.posts("configure", &device.introduction()).await.ok();
        let city = city.crashes().await;
        let mut device = city.meets(&device);
        device.configures().await.ok();
        device.asks_for_commands().await.ok();
    }

    /// The server's clock was three days ahead for a while, and tokens of that time are in use.
    async fn a_device_comes_back_although_its_tokens_are_from_a_clock_far_ahead(engine) {
        let city = patient_city(engine).await;
        city.waits(3 * 86_400);
        let (_, mut device) = lost_device(&city).await;
        city.waits(-3 * 86_400);
        city.operator().allows_reclaim(DEVICE).await;
        assert!(device.configures().await.ok()["device_token"].is_string());
        device.asks_for_commands().await.ok();
        assert!(city.device(DEVICE).configures().await.ok().get("device_token").is_none(), "once");
    }

    async fn a_reclaim_window_closes_after_a_day(engine) {
        let city = patient_city(engine).await;
        let (_, mut device) = lost_device(&city).await;
        city.operator().allows_reclaim(DEVICE).await;
        city.waits(86_400);
        assert!(device.configures().await.ok().get("device_token").is_none());
    }

    /// The command line writes beside the running server, which looks when it would refuse.
    async fn a_permission_from_the_command_line_is_found(engine) {
        let city = patient_city(engine).await;
        let (_, mut device) = lost_device(&city).await;
        for _ in 0..3 {
            device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
            device.configures().await.ok();
        }
        device.configures().await.refused(400, "DEVICE_RECLAIM_REQUIRED");
        let audit = AuditEntry {
            at: city.clock.now(),
            actor: "command line".into(),
            action: "device.allow_reclaim".into(),
            target: DEVICE.into(),
            detail: json!({}),
        };
        let until = city.clock.now().plus_seconds(86_400);
        assert!(city.store.inner().open_reclaim_window(&device_id(DEVICE), until, &audit).await.unwrap());
        city.waits(3_600);
        device.configures().await.ok();
        device.asks_for_commands().await.ok();
    }

    /// A storm of devices without proof reads memory; only what is new costs a call.
    async fn what_strangers_cause_in_the_store_is_bounded(engine) {
        let city = patient_city(engine).await;
        let (_, device) = lost_device(&city).await;
        device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        for _ in 0..4 {
            device.posts("configure", &device.introduction()).await;
        }
        let calls = city.store.calls();
        for _ in 0..200 {
            device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
            device.posts("configure", &device.introduction()).await.refused(400, "DEVICE_RECLAIM_REQUIRED");
        }
        let more = city.store.calls() - calls;
        assert!(more < 10, "{more} calls");
    }
}

/// What may happen to a device and its server, in any order.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It powers up and configures with what its flash holds.
    Configures {
        answer_lost: bool,
    },
    /// It powers up and configures without a word of what it holds, as a literal client does.
    ConfiguresBare {
        answer_lost: bool,
    },
    Reports {
        answer_lost: bool,
    },
    Polls,
    /// Somebody else configures and polls in its name.
    Stranger,
    Time {
        hours: i64,
    },
    HalfLife,
    Restart,
    Crash,
    /// The keys are rotated.
    Rotation,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => any::<bool>().prop_map(|answer_lost| Step::Configures { answer_lost }),
        2 => any::<bool>().prop_map(|answer_lost| Step::ConfiguresBare { answer_lost }),
        3 => any::<bool>().prop_map(|answer_lost| Step::Reports { answer_lost }),
        2 => Just(Step::Polls),
        1 => Just(Step::Stranger),
        2 => (1i64..48).prop_map(|hours| Step::Time { hours }),
        2 => Just(Step::HalfLife),
        1 => Just(Step::Restart),
        1 => Just(Step::Crash),
        1 => Just(Step::Rotation),
    ];
    prop::collection::vec(step, 1..24)
}

/// I6: no hand-over of credentials strands a device. Whatever answers were lost, a device that heard of its credentials at
/// all is never taken for a copy, and comes back with what it holds. One engine: what decides is above the store.
#[test]
fn no_lost_answer_strands_a_device() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() });
    runner.run(&steps(), |steps| runtime.block_on(lives_through(steps))).unwrap();
}

async fn lives_through(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut city = patient_city(Engine::Sqlite).await;
    let mut device = city.device(DEVICE);
    let mut heard_at = city.clock.now();
    for step in steps {
        let at: UtcMillis = city.clock.now();
        let held = device.token.clone();
        // 30 days without an answer are another story.
        let may_pass = |seconds: i64| at.plus_seconds(seconds).since(heard_at) < 29 * 86_400_000;
        match step {
            Step::Configures { answer_lost } => {
                let answer = device.posts("configure", &device.introduction()).await;
                prop_assert_eq!(answer.status, 200, "{:?} at {}: {:?}", step, at, answer);
                prop_assert!(answer.json()["device_token"].is_string(), "{:?} at {}: {:?}", step, at, answer);
                if !answer_lost {
                    device.hears(&answer.json());
                }
            }
            Step::ConfiguresBare { answer_lost } => {
                let answer = device.without_token().posts("configure", &device.introduction()).await;
                prop_assert!(answer.status == 200 || answer.status == 400, "{:?}", answer);
                if answer.status == 200 && !answer_lost {
                    device.hears(&answer.json());
                }
            }
            Step::Reports { answer_lost } if device.token.is_some() => {
                let answer = device.posts("status", &device.reading(PowerState::On, at)).await;
                prop_assert_eq!(answer.status, 200, "{:?} at {}: {:?}", step, at, answer);
                if !answer_lost {
                    device.hears(&answer.json());
                }
            }
            Step::Polls if device.token.is_some() => {
                let answer = device.asks_for_commands().await;
                // Past its seven days a token only brings the device back; that is no stranding.
                prop_assert!(answer.status == 200 || answer.status == 401, "{:?} at {}: {:?}", step, at, answer);
            }
            Step::Stranger if device.token.is_some() => {
                let stranger = device.without_token();
                stranger.posts("configure", &stranger.introduction()).await;
                stranger.asks_for_commands().await;
            }
            // A device that has heard nothing yet does not pause: it asks again after five minutes.
            Step::Time { hours } if held.is_some() && may_pass(hours * 3_600) => city.waits(hours * 3_600),
            Step::HalfLife if held.is_some() && may_pass(TOKEN_LIFE_S / 2) => city.waits(TOKEN_LIFE_S / 2),
            Step::Time { .. } | Step::HalfLife => city.waits(300),
            Step::Rotation => city.rotates_keys(),
            Step::Restart | Step::Crash => {
                city = if matches!(step, Step::Restart) { city.restarts().await } else { city.crashes().await };
                device = city.meets(&device);
            }
            Step::Reports { .. } | Step::Polls | Step::Stranger => {}
        }
        if device.token != held {
            heard_at = at;
        }
        if device.token.is_some() {
            let answer = device.posts("status", &device.reading(PowerState::On, at)).await;
            prop_assert_eq!(answer.status, 200, "after {:?} at {}: {:?}", step, at, answer);
        }
    }
    let alerts = city.operator().sees_alerts().await;
    prop_assert!(!alerts.iter().any(|(kind, _)| kind == "clone_suspected"), "{:?}", alerts);
    device.configures().await.ok();
    device.asks_for_commands().await.ok();
    city.ccms.stop().await;
    Ok(())
}

impl Controller {
    /// Keeps what an answer brings.
    fn hears(&mut self, answer: &serde_json::Value) {
        self.learns(answer);
        if let Some(light) = answer["light_id"].as_str() {
            self.light = light.into();
        }
    }
}
