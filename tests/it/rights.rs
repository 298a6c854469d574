//! What a zone hides, and that the record of who did what cannot be changed unseen.
use std::process::Command;

use ccms_core::command::CommandKind;
use ccms_core::reading::PowerState;
use ccms_core::snapshot::Snapshot;
use ccms_service::{Role, ServiceError, Who};
use ccms_store::{Curated, CurationStep};
use sqlx::Connection;

use crate::city::City;
use crate::operator::light_id;

const NORTH: Who<'static> = Who::person("north@city.example", Role::Operator, Some("north"));

on_both! {
    async fn a_zone_shows_its_own_lights_and_no_other(engine) {
        let city = City::open(engine).await;
        let north = city.claimed_device("IMEI:351234567890123").await;
        let south = city.claimed_device("IMEI:351234567890124").await;
        let zoned = Curated { zone: "north".into(), name: "Mill Lane 1".into(), ..Curated::default() };
        let step = CurationStep::Update { light: city.light_no("SL001").await, curated: zoned };
        city.store.inner().curate(&[step], &[]).await.expect("curated");
        let city = city.restarts().await;
        let (mut north, mut south) = (city.meets(&north), city.meets(&south));

        let may = NORTH.may_view().unwrap();
        let seen = Snapshot::decode(&city.ccms.snapshot(may)).expect("a snapshot").marks;
        let seen: Vec<String> = seen.into_iter().map(|m| m.id).collect();
        assert_eq!(seen, ["SL001"]);
        assert_eq!(city.ccms.city(may).counts.total(), 1);
        assert_eq!(city.ccms.lights_page(may, "", None, None, 50).total, 1);
        assert_eq!(city.ccms.light(may, &light_id("SL002")).await.unwrap_err(), ServiceError::NotFound);
        let on = CommandKind::Power(PowerState::On);
        let foreign = city.ccms.command(NORTH.may_command().unwrap(), &light_id("SL002"), on).await;
        assert_eq!(foreign.unwrap_err(), ServiceError::NotFound);
        city.ccms.command(NORTH.may_command().unwrap(), &light_id("SL001"), on).await.expect("its own light");

        // The stream of changes is as narrow as the first picture.
        city.ccms.publish_changes();
        let (_, mut changes) = city.ccms.feed().watch(city.ccms.feed().seq()).expect("a fresh watcher");
        south.reports(PowerState::On).await.ok();
        city.ccms.publish_changes();
        let change = changes.recv().await.expect("a step");
        assert!(city.ccms.seen_delta(may, &change).is_none(), "the south is not the north's business");
        north.reports(PowerState::On).await.ok();
        city.ccms.publish_changes();
        let change = changes.recv().await.expect("a step");
        let delta = city.ccms.seen_delta(may, &change).expect("the north's own light");
        assert!(delta.contains("changed"), "{delta}");
    }
}

on_both! {
    async fn a_changed_audit_entry_is_found(engine) {
        let city = City::open(engine).await;
        city.claimed_device("IMEI:351234567890123").await;
        city.operator().commands("SL001", CommandKind::Power(PowerState::On)).await;
        let (folder, url) = (city.data_dir(), city.database_url());
        city.ccms.stop().await;
        let verify = || {
            let out = Command::new(env!("CARGO_BIN_EXE_ccms"))
                .args(["audit", "verify", "--data-dir"]).arg(&folder).args(["--database", &url])
                .output().expect("ccms runs");
            (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned(), String::from_utf8_lossy(&out.stderr).into_owned())
        };
        let (whole, said, _) = verify();
        assert!(whole && said.contains("the chain is whole"), "{said}");

        let change = "UPDATE audit SET actor = 'nobody' WHERE no = 2";
        if url.starts_with("sqlite") {
            let mut connection = sqlx::SqliteConnection::connect(&url).await.expect("the file");
            sqlx::raw_sql(change).execute(&mut connection).await.expect("changed");
            connection.close().await.expect("closed");
        } else {
            let mut connection = sqlx::PgConnection::connect(&url).await.expect("the server");
            sqlx::raw_sql(change).execute(&mut connection).await.expect("changed");
            connection.close().await.expect("closed");
        }
        let (whole, _, complaint) = verify();
        assert!(!whole && complaint.contains("entry 2"), "{complaint}");
    }
}
