//! A 200 means on disk (I1): seen here from inside the process, with commits that take a while or fail. The killed processes
//! are in [`crate::ledger`].
use std::pin::pin;

use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use futures_util::FutureExt;
use futures_util::future::join_all;

use crate::city::{City, eventually};

const DEVICE: &str = "IMEI:351234567890123";

on_both! {
    async fn no_status_is_answered_or_shown_before_its_commit(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        city.store.holds_appends();
        let mut report = pin!(device.reports(PowerState::On));
        for _ in 0..100 {
            assert!(report.as_mut().now_or_never().is_none(), "answered before the commit");
            tokio::task::yield_now().await;
        }
        assert!(city.operator().sees("SL001").await.actual.is_none(), "shown before the commit");
        city.store.releases_appends();
        report.await.ok();
        assert_eq!(city.log().await.len(), 1);
        assert_eq!(city.operator().sees("SL001").await.actual.unwrap().power_state, Some(PowerState::On));
    }

    async fn who_hangs_up_while_it_is_let_in_is_let_in_all_the_same(engine) {
        let city = City::open(engine).await;
        let ids: Vec<String> = (10..50).map(|i| format!("IMEI:3512345678902{i}")).collect();
        for (patience, id) in ids.iter().enumerate() {
            let mut device = city.device(id);
            let mut configuring = pin!(device.configures());
            for _ in 0..patience * 25 {
                if configuring.as_mut().now_or_never().is_some() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        for id in &ids {
            let mut again = city.device(id);
            let answer = again.configures().await.ok();
            assert!(answer["device_token"].is_string(), "{id} is stranded: {answer}");
            again.reports(PowerState::On).await.ok();
        }
    }

    async fn what_waits_together_is_committed_together_and_a_failed_batch_counts_for_nobody(engine) {
        let city = City::open(engine).await;
        let ids: Vec<String> = (10..30).map(|i| format!("IMEI:3512345678901{i}")).collect();
        let devices = join_all(ids.iter().map(|id| city.claimed_device(id))).await;
        for device in &devices {
            device.asks_for_commands().await.ok();
        }
        let all_report = || {
            let reports = devices.iter().cloned().map(|mut d| async move { d.reports(PowerState::On).await });
            join_all(reports.collect::<Vec<_>>())
        };
        city.store.holds_appends();
        let mut reports = pin!(all_report());
        let calls = city.store.calls();
        for _ in 0..100 {
            assert!(reports.as_mut().now_or_never().is_none(), "answered before the commit");
            tokio::task::yield_now().await;
        }
        city.store.releases_appends();
        reports.await.iter().for_each(|answer| drop(answer.ok()));
        assert!(city.store.calls() - calls <= 5, "twenty statuses in {} calls", city.store.calls() - calls);
        assert_eq!(city.log().await.len(), 20);

        city.waits(30);
        city.store.fails(true);
        for answer in all_report().await {
            answer.refused(503, "UNAVAILABLE");
        }
        city.store.fails(false);
        assert_eq!(city.log().await.len(), 20, "refused, so not kept");
        all_report().await.iter().for_each(|answer| drop(answer.ok()));
        assert_eq!(city.log().await.len(), 40);
    }

    async fn a_database_that_broke_once_is_not_believed_again(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.reports(PowerState::On).await.ok();
        assert!(city.ccms.is_ready().await && !city.ccms.broken().is_cancelled());
        city.waits(30);
        city.store.breaks_once();
        device.reports(PowerState::Off).await.refused(503, "UNAVAILABLE");
        assert!(city.ccms.broken().is_cancelled(), "whoever runs the process is told");
        assert!(!city.ccms.is_ready().await);
        let calls = city.store.calls();
        for _ in 0..3 {
            city.waits(30);
            device.reports(PowerState::On).await.refused(503, "UNAVAILABLE");
        }
        city.device("IMEI:490154203237518").configures().await.refused(503, "UNAVAILABLE");
        city.ccms.checkpoint().await;
        assert_eq!(city.store.calls(), calls, "nothing reaches the database any more");
        let city = city.restarts().await;
        assert_eq!(city.log().await.len(), 1);
        let mut device = city.meets(&device);
        device.reports(PowerState::On).await.ok();
        assert_eq!(city.log().await.len(), 2);
    }

    async fn what_succeeds_beside_a_failure_is_not_believed(engine) {
        let city = City::open(engine).await;
        let (mut one, mut other) = (city.claimed_device(DEVICE).await, city.device("IMEI:490154203237518"));
        one.asks_for_commands().await.ok();
        city.store.holds_appends();
        let mut report = pin!(one.reports(PowerState::On));
        while city.store.waiting() == 0 {
            assert!(report.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        city.store.breaks_once();
        other.configures().await.refused(503, "UNAVAILABLE");
        city.store.releases_appends();
        report.await.refused(503, "UNAVAILABLE");
    }

    async fn a_stop_commits_what_waits(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.store.holds_appends();
        let mut last = device.clone();
        let mut report = pin!(last.reports(PowerState::On));
        while city.store.waiting() == 0 {
            assert!(report.as_mut().now_or_never().is_none());
            tokio::task::yield_now().await;
        }
        let mut stop = pin!(city.ccms.stop());
        assert!(stop.as_mut().now_or_never().is_none(), "it may not stop before the commit");
        city.store.releases_appends();
        let (answer, ()) = futures_util::future::join(report, stop).await;
        answer.ok();
        device.reports(PowerState::Off).await.refused(503, "UNAVAILABLE");
    }

    async fn the_map_shows_the_last_state_at_once_after_a_crash(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.reports(PowerState::Off).await.ok();
        city.ccms.checkpoint().await;
        city.waits(30);
        device.reports(PowerState::On).await.ok();
        let before = city.operator().sees_mark("SL001");
        assert_eq!((before.state.power(), before.brightness), (Some(PowerState::On), 100));
        assert_eq!(before.state.indicator(), Indicator::Green);
        // Behind the checkpoint is the log: both are read.
        let city = city.crashes().await;
        assert_eq!(city.operator().sees_mark("SL001"), before);
        // Nobody is offline because we were.
        city.waits(3_600);
        let city = city.restarts().await;
        assert_eq!(city.operator().sees_mark("SL001").state.indicator(), Indicator::Green);
        city.waits(121);
        assert_eq!(city.operator().sees_mark("SL001").state.indicator(), Indicator::Yellow);
    }

    /// The server is killed after any piece of the checkpoint, with reports between the pieces and behind them.
    async fn wherever_a_checkpoint_is_interrupted_a_start_finds_the_same(engine) {
        let mut city = City::open(engine).await;
        let ids: Vec<String> = (10..15).map(|i| format!("IMEI:3512345678901{i}")).collect();
        let mut devices = Vec::new();
        // One after the other: the first has the first light.
        for id in &ids {
            devices.push(city.claimed_device(id).await);
        }
        let marks = |city: &City| (1..=5).map(|n| city.operator().sees_mark(&format!("SL00{n}"))).collect::<Vec<_>>();
        // Three pieces and the position.
        for passing in 0..=4_i64 {
            for (n, device) in devices.iter_mut().enumerate() {
                city.waits(1);
                device.reports(if (n as i64 + passing) % 2 == 0 { PowerState::On } else { PowerState::Off }).await.ok();
            }
            let before = city.ccms.saved_position();
            // What else asks the database in the background is counted too, so the last is not counted out.
            city.store.fails_after(if passing == 4 { -1 } else { passing });
            city.ccms.checkpoint().await;
            city.store.fails(false);
            assert_eq!(city.ccms.saved_position() > before, passing == 4, "{passing} calls");
            // Sent again after the failure: what was not saved then is in the log behind the position.
            city.waits(1);
            devices[0].reports(PowerState::On).await.ok();
            let told = marks(&city);
            city = city.crashes().await;
            assert_eq!(marks(&city), told, "after {passing} calls");
            assert_eq!(city.operator().sees("SL001").await.actual.unwrap().power_state, Some(PowerState::On));
            devices = devices.iter().map(|device| city.meets(device)).collect();
            // What failed is in the next one.
            if passing == 2 {
                city.ccms.checkpoint().await;
                assert_eq!(city.ccms.saved_position(), city.store.inner().checkpoint().await.unwrap().0);
                city = city.crashes().await;
                assert_eq!(marks(&city), told);
                devices = devices.iter().map(|device| city.meets(device)).collect();
            }
        }
    }

    async fn a_change_reaches_whoever_watches(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let seq = city.ccms.feed().seq();
        device.reports(PowerState::On).await.ok();
        let no = city.light_no("SL001").await;
        eventually("the change is published", || async {
            match city.ccms.feed().watch(seq) {
                Ok((missed, _)) => missed.iter().any(|change| change.concerns(no)),
                Err(_) => false,
            }
        })
        .await;
    }
}
