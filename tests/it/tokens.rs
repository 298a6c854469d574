//! The life of a device token: seven days, refreshed at half life, good for coming back until day 30.
use ccms_core::limits::{SILENCE_LIMIT_S, TOKEN_LIFE_S};
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;

use crate::city::City;

const DEVICE: &str = "IMEI:351234567890123";
const DAY_S: i64 = 86_400;

on_both! {
    async fn a_status_brings_a_new_token_at_half_life_and_both_serve(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let first = device.token.clone();
        city.waits(TOKEN_LIFE_S / 2 - 1);
        assert!(device.reports(PowerState::On).await.ok().get("device_token").is_none());
        city.waits(1);
        let answer = device.reports(PowerState::On).await.ok();
        let ends = UtcMillis::parse_lenient(answer["token_expires_at"].as_str().unwrap()).unwrap();
        assert_eq!(ends.seconds(), city.clock.now().seconds() + TOKEN_LIFE_S);
        assert!(answer["device_token"].is_string() && device.token != first);
        device.asks_for_commands().await.ok();
        device.token = first;
        device.asks_for_commands().await.ok();
    }

    async fn after_seven_days_a_token_is_good_for_status_and_configure_alone(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        city.waits(TOKEN_LIFE_S - 1);
        device.asks_for_commands().await.ok();
        city.waits(1);
        device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        device.acknowledges("CMD_1", "executed").await.refused(401, "UNAUTHORIZED");
        city.waits(15 * DAY_S);
        let old = device.token.clone();
        assert!(device.reports(PowerState::On).await.ok()["device_token"].is_string());
        device.asks_for_commands().await.ok();
        device.token = old;
        assert!(device.configures().await.ok()["device_token"].is_string());
        device.asks_for_commands().await.ok();
    }

    async fn after_thirty_days_of_silence_a_token_is_void(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let first = device.token.clone();
        city.waits(SILENCE_LIMIT_S);
        assert!(device.reports(PowerState::On).await.ok()["device_token"].is_string(), "the last moment of day 30");
        device.token = first;
        city.waits(1);
        device.reports(PowerState::On).await.refused(401, "UNAUTHORIZED");
        assert!(device.configures().await.ok().get("device_token").is_none(), "no proof any more");
    }

    async fn no_token_a_bad_token_and_a_device_that_is_not_there(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let mut nobody = city.device("IMEI:490154203237518");
        for token in [None, Some("nonsense".to_owned()), device.token.clone()] {
            let mut known = city.device(DEVICE);
            known.token = token.clone();
            let own = token == device.token;
            if !own {
                known.asks_for_commands().await.refused(401, "UNAUTHORIZED");
                known.posts("status", &device.reading(PowerState::On, city.clock.now())).await.refused(401, "UNAUTHORIZED");
            }
            nobody.token = token.clone();
            let (status, code) = match token {
                None => (401, "UNAUTHORIZED"),
                Some(_) if own => (403, "DEVICE_MISMATCH"),
                Some(_) => (404, "DEVICE_NOT_REGISTERED"),
            };
            nobody.asks_for_commands().await.refused(status, code);
            nobody.reports(PowerState::On).await.refused(status, code);
        }
    }

    /// A fault of ours never sends a device to configure (G3).
    async fn a_broken_store_is_503_and_never_401_or_404(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        city.store.fails(true);
        assert!(device.reports(PowerState::On).await.refused(503, "UNAVAILABLE") > 0);
        city.device("IMEI:490154203237518").configures().await.refused(503, "UNAVAILABLE");
        device.acknowledges("CMD_unknown", "executed").await.refused(503, "UNAVAILABLE");
        // What memory knows still goes.
        device.asks_for_commands().await.ok();
        assert_eq!(city.device(DEVICE).configures().await.ok()["light_id"], "SL001");
        city.store.fails(false);
        device.reports(PowerState::On).await.ok();
        assert_eq!(city.log().await.len(), 1, "what was refused was not kept");
    }
}
