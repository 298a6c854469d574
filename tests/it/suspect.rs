//! Readings whose clock cannot be right: thirty days after their arrival they are gone, and others are not.
use ccms_core::reading::{PowerState, ReadingFlags};
use ccms_core::time::UtcMillis;

use crate::city::City;

const DEVICE: &str = "IMEI:351234567890123";
const DAY_S: i64 = 86_400;

on_both! {
    async fn they_are_deleted_thirty_days_after_their_arrival_and_somebody_can_read_that(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        for n in 1..=3 {
            device.reports_at(PowerState::On, UtcMillis::from_seconds(n)).await.ok();
        }
        city.waits(DAY_S);
        device.reports(PowerState::Off).await.ok();
        device.reports_at(PowerState::On, UtcMillis::from_seconds(9)).await.ok();
        city.ccms.checkpoint().await;
        city.waits(29 * DAY_S);
        assert_eq!(city.ccms.forget_suspect().await.unwrap(), 0, "not before");
        city.waits(60);
        assert_eq!(city.ccms.forget_suspect().await.unwrap(), 3);
        let left = city.log().await;
        let suspect: Vec<_> = left.iter().map(|row| row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)).collect();
        assert_eq!(suspect, [false, true], "what was believed, and what came a day later");
        let note = city.store.inner().audit(1).await.unwrap().pop().expect("a note");
        assert_eq!((note.action.as_str(), &note.detail["readings"]), ("readings.forgotten", &serde_json::json!(3)));
    }
}
