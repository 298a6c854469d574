//! What a controller says it runs, what it asks for, and how it stands with the server.
use ccms_core::command::CommandKind;
use ccms_core::reading::PowerState;
use serde_json::json;

use crate::city::City;
use crate::controller::example;
use crate::operator::device_id;

const DEVICE: &str = "IMEI:351234567890123";

on_both! {
    async fn a_report_is_kept_and_there_is_nothing_to_install(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let answer = device.sends("PUT", "firmware", &[], example("firmware-request.json")).await.ok();
        assert!(answer.as_object().unwrap().contains_key("update") && answer["update"].is_null(), "{answer}");
        let body = json!({"version": "v2.2.0", "state": "running", "progress": 100});
        device.sends("PUT", "firmware", &[], body.to_string().into()).await.ok();
        let no = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap().no;
        let kept = city.store.inner().firmware_report(no).await.unwrap().expect("a report");
        assert_eq!((kept.version.as_deref(), kept.progress_percent), (Some("v2.2.0"), Some(100)));
        let shown = || async { city.operator().sees("SL001").await.device.unwrap().firmware_version };
        assert_eq!(shown().await.as_deref(), Some("v2.2.0"));
        let asked = device.sends("GET", "firmware", &[], vec![]).await.ok();
        assert_eq!((&asked["status"], asked["update"].is_null()), (&json!("ok"), true));
        let bad = json!({"device_id": "IMEI:1", "version": "v9"}).to_string();
        device.sends("PUT", "firmware", &[], bad.into()).await.refused(403, "DEVICE_MISMATCH");
        device.sends("PUT", "firmware", &[], b"{}".into()).await.refused(400, "BAD_REQUEST");
        device.without_token().sends("GET", "firmware", &[], vec![]).await.refused(401, "UNAUTHORIZED");
        let city = city.restarts().await;
        assert_eq!(city.operator().sees("SL001").await.device.unwrap().firmware_version.as_deref(), Some("v2.2.0"));
    }

    async fn a_device_may_ask_how_it_is(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let answer = device.sends("GET", "health", &[], vec![]).await.ok();
        assert_eq!((&answer["status"], &answer["device_id"]), (&json!("ok"), &json!(DEVICE)));
        assert!(answer["last_status_at"].is_null());
        device.reports(PowerState::On).await.ok();
        city.operator().commands("SL001", CommandKind::Power(PowerState::Off)).await;
        let answer = device.sends("GET", "health", &[], vec![]).await.ok();
        assert_eq!((&answer["light_ids"], &answer["indicator"]), (&json!(["SL001"]), &json!("green")));
        assert_eq!((&answer["pending_commands"], &answer["next_poll_seconds"]), (&json!(1), &json!(2)));
        assert_eq!(answer["last_status_at"], city.clock.now().to_string());
        device.without_token().sends("GET", "health", &[], vec![]).await.refused(401, "UNAUTHORIZED");
    }
}
