//! Who knocks with invented ids: what that costs, whom it hurts, and that it ends.
use ccms_core::ids::DeviceId;
use ccms_service::settings::EnrolmentMode;
use ccms_store::{PendingNote, Reported};
use futures_util::future::join_all;

use crate::city::City;
use crate::operator::device_id;

const DEVICE: &str = "IMEI:351234567890123";
const OTHER: &str = "IMEI:490154203237518";

on_both! {
    async fn a_flood_of_invented_ids_is_refused_and_nobody_who_belongs_here_notices(engine) {
        let limited = |c: &mut ccms::config::Config| c.limits = ccms::config::Limits::default();
        let city = City::configured(engine, EnrolmentMode::Registered, limited).await;
        city.operator().registers(DEVICE, "POLE-7").await;
        city.operator().registers(OTHER, "POLE-8").await;
        city.operator().approves(DEVICE).await;
        let knock = async |n: u32| city.device(&format!("INVENTED-{n}")).configures().await;
        let mut refused = 0;
        for round in 0..8 {
            let answers = join_all((0..250).map(|n| knock(round * 250 + n))).await;
            for answer in answers {
                match answer.status {
                    400 => drop(answer.refused(400, "DEVICE_PENDING_APPROVAL")),
                    _ => { answer.refused(503, "RATE_LIMITED"); refused += 1 }
                }
            }
            // Registered and not approved: told to wait, and listed.
            city.device(OTHER).configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        }
        // Five hundred at once and fifty a second; a slow machine takes some seconds for all of them.
        assert!(refused > 500, "{refused}");
        let mut device = city.device(DEVICE);
        device.configures().await.ok();
        device.asks_for_commands().await.ok();
        assert_eq!(city.store.inner().device(&device_id(OTHER)).await.unwrap().unwrap().attempts, 8);
    }

    /// Memory does not know them, so their numbers can be given away again.
    async fn a_full_list_makes_room_for_those_that_are_really_there(engine) {
        let city = City::registered(engine).await;
        let at = city.clock.now();
        let knock = |n| PendingNote {
            device_id: DeviceId::parse(&format!("INVENTED-{n}")).unwrap(), at, reported: Reported::default(),
        };
        let (often, crowd): (Vec<_>, Vec<_>) = (vec![knock(0); 3], (0..10_000).map(knock).collect());
        for notes in [&often, &crowd] {
            city.store.inner().note_pending(notes).await.unwrap();
        }
        let city = city.restarts().await;
        let mut device = city.device(DEVICE);
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert_eq!(city.store.inner().device(&device_id(DEVICE)).await.unwrap(), None, "no room");
        city.ccms.forget_strangers().await;
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert_eq!(city.store.inner().device(&device_id(DEVICE)).await.unwrap(), None, "they came just now");

        city.waits(3_601);
        city.ccms.forget_strangers().await;
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().approves(DEVICE).await;
        device.configures().await.ok();
        device.asks_for_commands().await.ok();
        assert_eq!(city.operator().sees_waiting().await, [("INVENTED-0".to_owned(), 4)], "it asked more than twice");
        city.waits(7 * 86_400);
        city.ccms.forget_strangers().await;
        assert!(city.operator().sees_waiting().await.is_empty());
    }
}
