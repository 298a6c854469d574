//! Who is let in: the table of the service's enrolment, row by row, over the wire.
use ccms_core::command::CommandKind;
use ccms_core::reading::PowerState;
use ccms_store::DeviceState;
use serde_json::json;

use crate::city::City;
use crate::operator::device_id;

const DEVICE: &str = "IMEI:351234567890123";
const OTHER: &str = "IMEI:490154203237518";

on_both! {
    async fn an_unknown_device_waits_until_a_person_approves_it(engine) {
        let city = City::registered(engine).await;
        let mut device = city.device(DEVICE);
        assert_eq!(device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL"), 300);
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert_eq!(city.operator().sees_waiting().await, [(DEVICE.to_owned(), 2)]);
        assert!(device.reports(PowerState::On).await.status == 401, "nobody without a token");

        city.operator().approves(DEVICE).await;
        let configured = device.configures().await.ok();
        assert!(configured["device_token"].is_string());
        assert_eq!(configured["config"]["device_token"], configured["device_token"]);
        device.reports(PowerState::On).await.ok();
        assert!(city.operator().sees_waiting().await.is_empty());
        let audit = city.operator().sees_audit().await;
        assert!(audit.contains(&("device.approve".into(), "technician@city.example".into())), "{audit:?}");
        assert!(audit.contains(&("device.claim".into(), format!("device {DEVICE}"))), "{audit:?}");
    }

    async fn registering_is_not_approving_and_a_claim_window_closes(engine) {
        let city = City::registered(engine).await;
        city.operator().registers(DEVICE, "POLE-7").await;
        let mut device = city.device(DEVICE);
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().approves(DEVICE).await;
        city.waits(86_400);
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().approves(DEVICE).await;
        city.waits(86_399);
        assert_eq!(device.configures().await.ok()["light_id"], "POLE-7");
    }

    /// Anyone may say to be that device: it gets the documented answer, no credentials, and nothing changes.
    async fn a_claimed_device_without_proof_gets_no_credentials_and_changes_nothing(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        let before = city.store.inner().device(&device_id(DEVICE)).await.unwrap();
        let lights = city.store.inner().lights().await.unwrap();
        let calls = city.store.calls();

        let mut stranger = city.device(DEVICE);
        let answer = stranger.posts("configure", &json!({"name": "mine now", "latitude": 1.0, "longitude": 1.0})).await.ok();
        assert_eq!((answer["light_id"].as_str(), answer["status"].as_str()), (Some("SL001"), Some("success")));
        assert!(answer["config"]["sunset_time"].is_string());
        assert!(answer.get("device_token").is_none() && answer["config"].get("device_token").is_none(), "{answer}");
        assert!(answer.get("token_expires_at").is_none());
        for void in ["nonsense", "a.b.c", ""] {
            stranger.token = Some(void.into());
            assert!(stranger.configures().await.ok().get("device_token").is_none());
        }

        // Strangers are told of once, and that is written down.
        assert_eq!(city.store.calls(), calls + 1, "a storm of unproven configures reads memory only");
        assert_eq!(city.store.inner().device(&device_id(DEVICE)).await.unwrap(), before);
        assert_eq!(city.store.inner().lights().await.unwrap(), lights);
        device.asks_for_commands().await.ok();
    }

    /// The answer to the claim got lost: without this nothing could ever prove that device again (I6).
    async fn a_claim_whose_credentials_were_never_used_is_answered_with_credentials_again(engine) {
        let city = City::open(engine).await;
        city.claimed_device(DEVICE).await;
        city.waits(86_400);
        let mut device = city.device(DEVICE);
        assert!(device.configures().await.ok()["device_token"].is_string());
        device.asks_for_commands().await.ok();
        assert!(city.device(DEVICE).configures().await.ok().get("device_token").is_none(), "used, so never again");
        let city = city.crashes().await;
        city.meets(&device).asks_for_commands().await.ok();
        assert!(city.device(DEVICE).configures().await.ok().get("device_token").is_none());
        city.claimed_device(OTHER).await;
        city.waits(86_401);
        assert!(city.device(OTHER).configures().await.ok().get("device_token").is_none(), "a day is long enough");
    }

    async fn a_claimed_device_with_proof_gets_fresh_credentials_and_may_say_what_is_new(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let first = device.token.clone().unwrap();
        city.waits(60);
        let mut body = device.introduction();
        body["firmware_version"] = json!("v2.2.0");
        let answer = device.posts("configure", &body).await.ok();
        assert_ne!(answer["device_token"].as_str(), Some(first.as_str()));
        let reported = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap().reported;
        assert_eq!(reported.firmware_version.as_deref(), Some("v2.2.0"));
        // The old token serves until the new one arrived.
        device.asks_for_commands().await.ok();
        device.token = answer["device_token"].as_str().map(str::to_owned);
        device.asks_for_commands().await.ok();
    }

    async fn a_token_of_one_device_opens_no_door_of_another(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let mut thief = city.claimed_device(OTHER).await;
        thief.id = DEVICE.into();
        thief.configures().await.refused(403, "DEVICE_MISMATCH");
        thief.reports(PowerState::On).await.refused(403, "DEVICE_MISMATCH");
        thief.asks_for_commands().await.refused(403, "DEVICE_MISMATCH");
        thief.acknowledges("CMD_1", "executed").await.refused(403, "DEVICE_MISMATCH");
        // Its own path, the other's names inside.
        thief.id = OTHER.into();
        for (field, value) in [("device_id", DEVICE), ("light_id", device.light.as_str()), ("light_id", "no such light")] {
            let mut body = thief.reading(PowerState::Off, city.clock.now());
            body[field] = json!(value);
            thief.posts("status", &body).await.refused(403, "DEVICE_MISMATCH");
        }
        for imei in ["351234567890123", " 351234567890123 ", "IMEI:351234567890123"] {
            let mut body = thief.reading(PowerState::Off, city.clock.now());
            body["gsm_imei"] = json!(imei);
            let outside = json!({"gsm_imei": imei, "readings": [thief.reading(PowerState::Off, city.clock.now())]});
            for body in [&body, &json!([body]), &json!({"readings": [body]}), &outside] {
                thief.posts("status", body).await.refused(403, "DEVICE_MISMATCH");
                thief.posts("sync", body).await.refused(403, "DEVICE_MISMATCH");
            }
            thief.posts("sync", &json!({"gsm_imei": imei, "alerts": ["door_open"]})).await.refused(403, "DEVICE_MISMATCH");
        }
        for (field, value) in [("device_id", DEVICE), ("gsm_imei", "351234567890123")] {
            let mut body = thief.introduction();
            body[field] = json!(value);
            thief.posts("configure", &body).await.refused(403, "DEVICE_MISMATCH");
        }
        assert!(city.log().await.is_empty() && city.operator().sees_alerts().await.is_empty(), "nothing of it was stored");
        for own in [json!(OTHER.trim_start_matches("IMEI:")), json!(format!(" {} ", &OTHER[5..])), json!(null), json!("")] {
            let mut body = thief.reading(PowerState::Off, city.clock.now());
            body["gsm_imei"] = own;
            thief.posts("status", &body).await.ok();
        }
        let mismatches = city.operator().sees_audit().await.into_iter().filter(|(what, _)| what == "device.mismatch");
        assert_eq!(mismatches.count(), 1, "one a minute is enough to know of it");
    }

    async fn many_first_contacts_at_once_make_one_light_each(engine) {
        let city = City::open(engine).await;
        let ids: Vec<String> = (0..20).map(|i| format!("IMEI:3512345678901{:02}", i / 2)).collect();
        let all = ids.iter().map(|id| async { city.device(id).configures().await.ok() });
        let answers = futures_util::future::join_all(all).await;
        let mut lights: Vec<&str> = answers.iter().map(|a| a["light_id"].as_str().unwrap()).collect();
        lights.sort_unstable();
        lights.dedup();
        assert_eq!(lights.len(), 10);
        let with_token = answers.iter().filter(|a| a["device_token"].is_string());
        let served: std::collections::BTreeSet<&str> = with_token.map(|a| a["light_id"].as_str().unwrap()).collect();
        assert_eq!(served.len(), 10, "none is stranded");
        assert_eq!(city.store.inner().devices().await.unwrap().len(), 10);
    }

    async fn who_is_let_in_is_remembered_over_a_restart(engine) {
        let city = City::registered(engine).await;
        city.operator().registers(DEVICE, "SL042").await;
        city.operator().approves(DEVICE).await;
        let device = city.claimed_device(DEVICE).await;
        let city = city.crashes().await;
        let device = city.meets(&device);
        device.asks_for_commands().await.ok();
        assert!(city.device(DEVICE).configures().await.ok().get("device_token").is_none());
        let record = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap();
        assert_eq!(record.state, DeviceState::Claimed);
        city.operator().commands("SL042", CommandKind::Power(PowerState::On)).await;
        assert_eq!(device.polls().await.len(), 1);
    }
}
