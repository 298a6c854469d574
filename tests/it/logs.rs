//! Logs: any shape of text, once a minute, bounded.
use serde_json::json;

use crate::city::City;
use crate::controller::example;
use crate::operator::device_id;
use crate::status::gzip;

const DEVICE: &str = "IMEI:351234567890123";

on_both! {
    async fn logs_are_kept_once_a_minute_for_each_device(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let answer = device.sends("POST", "logs", &[], example("logs-request.json")).await.ok();
        assert!(answer["stored"].as_u64() > Some(0), "{answer}");
        let seconds = device.posts("logs", &json!({"logs": ["again"]})).await.refused(503, "RATE_LIMITED");
        assert!((1..=60).contains(&seconds), "{seconds}");
        device.asks_for_commands().await.ok();
        let no = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap().no;
        assert_eq!(city.store.inner().device_logs(no, 9).await.unwrap().len(), 1);
        // One shape for each device, because each may speak once.
        for (n, body) in [json!(["a", "b"]), json!({"logs": "a\nb"}), json!({"message": "one"}), json!({"logs": []})]
            .into_iter()
            .enumerate()
        {
            let other = city.claimed_device(&format!("IMEI:49015420323751{n}")).await;
            let lines = [2, 2, 1, 0][n];
            assert_eq!(other.posts("logs", &body).await.ok()["stored"], lines, "{body}");
        }
    }

    async fn logs_that_are_too_much_or_not_ones_own_are_refused(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let much = gzip(json!({"logs": ["x".repeat(256 * 1024)]}).to_string().as_bytes());
        device.sends("POST", "logs", &[("content-encoding", "gzip")], much).await.refused(400, "BODY_TOO_LARGE");
        device.posts("logs", &json!({"device_id": "IMEI:1", "logs": ["a"]})).await.refused(403, "DEVICE_MISMATCH");
        device.without_token().posts("logs", &json!(["a"])).await.refused(401, "UNAUTHORIZED");
        device.posts("logs", &json!({"what": 1})).await.refused(400, "BAD_REQUEST");
        device.posts("logs", &json!(["a"])).await.ok();
    }
}
