//! Credentials of devices: generations of tokens, signatures, the factory's key, and every way in which they end.
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::limits::{SILENCE_LIMIT_S, TOKEN_LIFE_S};
use ccms_core::reading::PowerState;
use ccms_service::keys::signature::sign;
use ccms_service::settings::EnrolmentMode;
use ccms_store::DeviceState;
use serde_json::{Value, json};

use crate::city::City;
use crate::controller::Controller;
use crate::operator::device_id;

const DEVICE: &str = "IMEI:351234567890123";
const OTHER: &str = "IMEI:490154203237518";
const GROUP_KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// What the factory gave one device: HMAC-SHA256 of its id under the group key.
fn factory_key(id: &str) -> Vec<u8> {
    let group: Vec<u8> = (0..16).collect();
    let hex = sign(&group, id.as_bytes());
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

async fn state_of(city: &City, id: &str) -> DeviceState {
    city.store.inner().device(&device_id(id)).await.unwrap().unwrap().state
}

fn is_without_credentials(answer: &Value) -> bool {
    ["device_token", "token_expires_at", "device_secret"].iter().all(|name| answer.get(name).is_none())
        && answer["config"].get("device_token").is_none()
}

impl Controller {
    async fn configures_signed(&mut self, key: &[u8]) -> crate::answer::Answer {
        let body = self.introduction().to_string().into_bytes();
        let answer = self.sends_signed("configure", &[], body, key).await;
        if answer.status == 200 {
            self.learns(&answer.json());
        }
        answer
    }
}

on_both! {
    async fn a_token_is_superseded_once_a_newer_one_was_used(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.waits(TOKEN_LIFE_S / 2);
        let mut copy = device.clone();
        device.reports(PowerState::On).await.ok();
        assert_ne!(copy.token, device.token);
        copy.asks_for_commands().await.ok();
        device.asks_for_commands().await.ok();
        for _ in 0..3 {
            copy.asks_for_commands().await.refused(401, "UNAUTHORIZED");
            copy.reports(PowerState::Off).await.refused(401, "UNAUTHORIZED");
            assert!(is_without_credentials(&copy.configures().await.ok()));
        }
        assert_eq!(city.operator().sees_alerts().await, [("clone_suspected".to_owned(), 1)]);
        // Neither a restart nor a crash forgets it.
        let city = city.crashes().await;
        city.meets(&copy).asks_for_commands().await.refused(401, "UNAUTHORIZED");
        city.meets(&device).asks_for_commands().await.ok();
        assert_eq!(city.log().await.len(), 1, "nothing of the copy was kept");
    }

    async fn the_first_use_of_a_token_is_on_disk_and_no_other_touches_it(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        city.store.fails(true);
        device.asks_for_commands().await.refused(503, "UNAVAILABLE");
        city.store.fails(false);
        device.asks_for_commands().await.ok();
        city.store.fails(true);
        device.asks_for_commands().await.ok();
        city.store.fails(false);
        let record = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap();
        assert_eq!(record.token_used_gen, city.clock.now().0);
    }

    async fn generations_grow_also_when_the_clock_is_set_back(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.waits(-3_600);
        let before = device.token.clone();
        device.configures().await.ok();
        device.asks_for_commands().await.ok();
        device.token = before;
        device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
    }

    async fn a_signature_is_checked_over_the_bytes_that_were_sent(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let secret = device.secret.clone().unwrap();
        let key = secret.as_bytes();
        assert!(secret.len() == 64 && secret.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
        let mut body = device.reading(PowerState::On, city.clock.now()).to_string().into_bytes();
        body.extend_from_slice(b" \n ");
        device.sends_signed("status", &[], body.clone(), key).await.ok();
        let raw: Vec<u8> = (0..64).step_by(2).map(|i| u8::from_str_radix(&sign(key, &body)[i..i + 2], 16).unwrap()).collect();
        let base64 = [("x-device-signature", &*BASE64_STANDARD.encode(&raw))];
        assert_eq!(device.sends("POST", "status", &base64, body.clone()).await.ok()["status"], "success");

        let packed = gzip(&body);
        let gzipped = [("content-encoding", "gzip")];
        device.sends_signed("status", &gzipped, packed.clone(), key).await.ok();
        let over_plain = [gzipped[0], ("x-device-signature", &*sign(key, &body))];
        device.sends("POST", "status", &over_plain, packed).await.refused(401, "SIGNATURE_INVALID");
        // Another key, another body, and what is no signature at all.
        device.sends_signed("status", &[], body.clone(), b"guess").await.refused(401, "SIGNATURE_INVALID");
        device.sends_signed("command-ack", &[], body.clone(), b"guess").await.refused(401, "SIGNATURE_INVALID");
        for wrong in [&*sign(key, b"{}"), "", "00", "\u{e9}", &"0".repeat(10_000)] {
            let headers = [("x-device-signature", wrong)];
            device.sends("POST", "status", &headers, body.clone()).await.refused(401, "SIGNATURE_INVALID");
            device.sends("GET", "commands", &headers, Vec::new()).await.refused(401, "SIGNATURE_INVALID");
        }
        let nothing = sign(key, b"");
        device.sends("GET", "commands", &[("x-device-signature", &nothing)], Vec::new()).await.ok();
        // A signature never stands for the token.
        device.without_token().sends_signed("status", &[], body, key).await.refused(401, "UNAUTHORIZED");
    }

    async fn a_model_that_has_to_sign_may_not_leave_it_out(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |c| {
            c.enrolment.signature_required_models = vec!["Street_Light_Controller".into()];
        }).await;
        let mut device = city.claimed_device(DEVICE).await;
        let body = device.reading(PowerState::On, city.clock.now()).to_string().into_bytes();
        device.sends("POST", "status", &[], body.clone()).await.refused(401, "SIGNATURE_REQUIRED");
        device.acknowledges("CMD_1", "executed").await.refused(401, "SIGNATURE_REQUIRED");
        device.asks_for_commands().await.ok();
        // The cure for a device that threw its secret away, as for every 401.
        device.secret = None;
        device.configures().await.ok();
        let secret = device.secret.clone().unwrap();
        device.sends_signed("status", &[], body, secret.as_bytes()).await.ok();
        let mut free = city.device(OTHER);
        let mut introduction = free.introduction();
        introduction["device_type"] = json!("feeder_panel");
        let answer = free.posts("configure", &introduction).await.ok();
        (free.token, free.light) = (answer["device_token"].as_str().map(Into::into), answer["light_id"].as_str().unwrap().into());
        free.reports(PowerState::On).await.ok();
    }

    async fn a_signature_with_the_secret_brings_a_device_back_that_lost_its_token(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        let (token, secret) = (device.token.take(), device.secret.clone().unwrap());
        device.configures_signed(secret.as_bytes()).await.ok();
        assert!(device.token.is_some() && device.token != token);
        assert_eq!(device.secret.as_ref(), Some(&secret), "one epoch, one secret");
        device.asks_for_commands().await.ok();
        // A wrong one takes nothing from the token beside it, or a damaged secret could never be replaced; but nothing that
        // comes with it is kept.
        let before = city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap();
        let (mut body, held) = (device.introduction(), device.token.clone());
        (body["name"], body["firmware_version"]) = (json!("damaged"), json!("9.9.9"));
        let answer = device.sends_signed("configure", &[], body.to_string().into_bytes(), b"guess").await.ok();
        device.learns(&answer);
        assert!(device.token.is_some() && device.token != held);
        assert_eq!(city.store.inner().device(&device_id(DEVICE)).await.unwrap().unwrap().reported, before.reported);
        device.asks_for_commands().await.ok();
        let mut stranger = device.without_token();
        assert!(is_without_credentials(&stranger.configures_signed(b"guess").await.ok()));
    }

    async fn the_key_from_the_factory_claims_what_is_registered_and_nothing_else(engine) {
        let keys = tempfile::tempdir().unwrap();
        let file = keys.path().join("factory");
        write_private(&file, &format!("{GROUP_KEY}\n"));
        let city = City::configured(engine, EnrolmentMode::Registered, |c| c.enrolment.factory_key_file = Some(file)).await;
        let mut device = city.device(DEVICE);
        device.configures_signed(&factory_key(DEVICE)).await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().registers(OTHER, "SL007").await;
        let mut other = city.device(OTHER);
        other.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        other.configures_signed(&factory_key(DEVICE)).await.refused(400, "DEVICE_PENDING_APPROVAL");
        other.configures_signed(&factory_key(OTHER)).await.ok();
        other.asks_for_commands().await.ok();
        // For a claimed device it is proof, whatever else was lost.
        let mut blank = city.device(OTHER);
        assert!(is_without_credentials(&blank.configures_signed(&factory_key(DEVICE)).await.ok()));
        blank.configures_signed(&factory_key(OTHER)).await.ok();
        blank.asks_for_commands().await.ok();
        // Once a person or silence took its credentials, only a person gives it new ones.
        city.waits(SILENCE_LIMIT_S + 1);
        assert_eq!(city.ccms.release_silent().await, 1);
        blank.configures_signed(&factory_key(OTHER)).await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().approves(OTHER).await;
        blank.configures_signed(&factory_key(OTHER)).await.ok();
    }

    async fn a_place_outside_the_service_area_is_refused_and_no_place_is_not(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |c| {
            c.enrolment.service_area = Some("28.40,76.84,28.88,77.35".into());
        }).await;
        let device = city.device(DEVICE);
        let at = |latitude: Value, longitude: Value| {
            let mut body = device.introduction();
            (body["latitude"], body["longitude"]) = (latitude, longitude);
            body
        };
        for body in [at(json!(60.17), json!(24.94)), at(json!(28.61), json!(77.36)), at(json!(91.0), json!(77.0))] {
            let answer = device.posts("configure", &body).await;
            assert_eq!(answer.refused(400, "CONFIG_INVALID"), 300);
            assert_eq!(answer.json()["message"], "GPS coordinates invalid or out of service area");
        }
        assert!(city.store.inner().devices().await.unwrap().is_empty());
        for body in [at(json!(0.0), json!(0.0)), at(Value::Null, Value::Null), at(json!(28.61), json!(77.21))] {
            device.posts("configure", &body).await.ok();
        }
    }

    async fn a_revoked_device_is_out_at_once_and_comes_back_through_a_person(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        let other = city.claimed_device(OTHER).await;
        let secret = device.secret.clone();
        let command = city.operator().commands(&device.light, CommandKind::Power(PowerState::On)).await;
        city.operator().revokes(DEVICE).await;
        assert_eq!(city.operator().sees_command(&command).await, CommandState::Cancelled);
        assert_eq!(city.ccms.live_command_count(CommandState::Queued), 0);
        for _ in 0..2 {
            device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
            device.reports(PowerState::On).await.refused(401, "UNAUTHORIZED");
            device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
            other.asks_for_commands().await.ok();
        }
        let city = city.crashes().await;
        let mut device = city.meets(&device);
        device.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        assert_eq!(state_of(&city, DEVICE).await, DeviceState::Revoked);
        city.operator().approves(DEVICE).await;
        let old = device.clone();
        assert_eq!(device.configures().await.ok()["light_id"], "SL001", "its light is its own still");
        assert_ne!(device.secret, secret);
        device.asks_for_commands().await.ok();
        old.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        assert!(device.polls().await.is_empty(), "nothing of before is carried out");
    }

    async fn a_rejected_device_is_told_to_wait_and_may_be_approved_later(engine) {
        let city = City::registered(engine).await;
        let mut device = city.device(DEVICE);
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().rejects(DEVICE).await;
        assert!(city.operator().sees_waiting().await.is_empty());
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert!(city.operator().sees_waiting().await.is_empty(), "it does not come up again");
        city.operator().approves(DEVICE).await;
        device.configures().await.ok();
        device.reports(PowerState::On).await.ok();
    }

    async fn a_swapped_controller_leaves_its_lights_with_their_history_to_the_new_one(engine) {
        let city = City::registered(engine).await;
        city.operator().registers(DEVICE, "SL042").await;
        city.operator().approves(DEVICE).await;
        let mut old = city.claimed_device(DEVICE).await;
        old.reports(PowerState::On).await.ok();
        let command = city.operator().commands("SL042", CommandKind::Brightness(50)).await;
        city.device(OTHER).configures().await.refused(400, "DEVICE_PENDING_APPROVAL");

        city.operator().swaps(DEVICE, OTHER).await;
        old.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        old.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert_eq!(city.operator().sees_command(&command).await, CommandState::Cancelled);
        assert_eq!(city.operator().sees("SL042").await.actual.unwrap().power_state, Some(PowerState::On));
        let mut new = city.device(OTHER);
        assert_eq!(new.configures().await.ok()["light_id"], "SL042");
        assert!(new.polls().await.is_empty());
        let ordered = city.operator().commands("SL042", CommandKind::Power(PowerState::Off)).await;
        assert_eq!(new.polls().await, [ordered.to_string()]);
        city.waits(1);
        new.reports(PowerState::Off).await.ok();
        // Whoever puts the old one up elsewhere gives it a light of its own.
        city.operator().approves(DEVICE).await;
        assert_eq!(city.device(DEVICE).configures().await.ok()["light_id"], "SL043");

        let city = city.crashes().await;
        let light = city.light_no("SL042").await;
        let rows = city.log().await;
        assert!(rows.len() == 2 && rows.iter().all(|row| row.light_no == light) && rows[0].device_no != rows[1].device_no);
        city.meets(&new).asks_for_commands().await.ok();
        city.meets(&old).asks_for_commands().await.refused(401, "UNAUTHORIZED");
        assert_eq!(city.operator().sees("SL042").await.actual.unwrap().power_state, Some(PowerState::Off));
        let audit = city.operator().sees_audit().await;
        assert!(audit.contains(&("device.swap".into(), "technician@city.example".into())), "{audit:?}");
    }

    async fn after_thirty_days_of_silence_a_person_decides(engine) {
        let city = City::open(engine).await;
        let mut silent = city.claimed_device(DEVICE).await;
        let mut alive = city.claimed_device(OTHER).await;
        silent.asks_for_commands().await.ok();
        for _ in 0..31 {
            city.waits(86_400);
            alive.reports(PowerState::On).await.ok();
        }
        assert_eq!(city.ccms.release_silent().await, 1);
        silent.asks_for_commands().await.refused(401, "UNAUTHORIZED");
        silent.reports(PowerState::On).await.refused(401, "UNAUTHORIZED");
        // Also where first contact claims: this is none.
        silent.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert_eq!(city.operator().sees_waiting().await, [(DEVICE.to_owned(), 1)]);
        alive.asks_for_commands().await.ok();
        let city = city.crashes().await;
        let mut silent = city.meets(&silent);
        silent.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        city.operator().approves(DEVICE).await;
        assert_eq!(silent.configures().await.ok()["light_id"], "SL001");
        silent.asks_for_commands().await.ok();
    }

    async fn a_silent_device_that_configures_before_anybody_looked_waits_as_well(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.waits(SILENCE_LIMIT_S);
        assert_eq!(city.ccms.release_silent().await, 0, "the last moment of day 30");
        city.waits(1);
        device.reports(PowerState::On).await.refused(401, "UNAUTHORIZED");
        device.configures().await.refused(400, "DEVICE_PENDING_APPROVAL");
        assert_eq!(state_of(&city, DEVICE).await, DeviceState::Registered);
    }

    async fn a_server_that_was_away_holds_that_against_no_device(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.waits(20 * 86_400);
        city.ccms.beats().await;
        let city = city.stays_away(40 * 86_400).await;
        device = city.meets(&device);
        assert_eq!(city.ccms.release_silent().await, 0);
        city.waits(9 * 86_400);
        assert_eq!(city.ccms.release_silent().await, 0);
        assert!(device.reports(PowerState::On).await.ok()["device_token"].is_string(), "29 days of its own");
        device.asks_for_commands().await.ok();
    }

    async fn how_long_a_device_may_be_silent_can_be_set(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |c| c.enrolment.silence_days = Some(60)).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.waits(59 * 86_400);
        assert_eq!(city.ccms.release_silent().await, 0);
        device.reports(PowerState::On).await.ok();
        city.waits(60 * 86_400 + 1);
        assert_eq!(city.ccms.release_silent().await, 1);
    }

    async fn the_status_that_a_configure_carries_is_kept_when_it_is_proven(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        city.device(DEVICE).configures().await.ok();
        assert!(city.log().await.is_empty(), "a stranger's says nothing");
        city.waits(60);
        device.configures().await.ok();
        assert_eq!(city.log().await.len(), 1);
        assert_eq!(city.operator().sees("SL001").await.actual.unwrap().power_state, Some(PowerState::Off));
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(plain).unwrap();
    packer.finish().unwrap()
}
