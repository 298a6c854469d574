//! Keys are rotated under a fleet that is at work: no device notices. Tokens that an older key signed stay good until they
//! are over.
use std::process::Command;

use ccms_core::limits::TOKEN_LIFE_S;
use ccms_core::reading::PowerState;
use ccms_service::settings::EnrolmentMode;
use serde_json::Value;

use crate::answer::Answer;
use crate::city::{City, eventually};
use crate::controller::example;
use crate::process::{Process, Settings};

const DEVICE: &str = "IMEI:351234567890123";

/// The name of the key that a token says it was signed with.
fn kid(token: &str) -> String {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

on_both! {
    async fn a_fleet_at_work_never_notices(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |_| {}).await;
        let mut fleet = Vec::new();
        for i in 0..20 {
            fleet.push(city.claimed_device(&format!("IMEI:3512345678901{i:02}")).await);
        }
        // Six weeks of statuses twice a day, and a rotation every four days.
        let mut refused = Vec::new();
        for half_day in 0..84 {
            if half_day % 8 == 3 {
                city.rotates_keys();
            }
            city.waits(43_200);
            for device in &mut fleet {
                let answers: [Answer; 2] = [device.asks_for_commands().await, device.reports(PowerState::On).await];
                refused.extend(answers.into_iter().filter(|a| a.status != 200));
            }
        }
        assert!(refused.is_empty(), "{:?} and {} more", refused.first(), refused.len());
        let kids: std::collections::BTreeSet<String> = fleet.iter().map(|d| kid(d.token.as_ref().unwrap())).collect();
        assert!(kids.iter().all(|k| k.parse::<u32>().unwrap() >= 10), "fresh tokens come from fresh keys: {kids:?}");
        // The ring is on disk: the next run of the server reads the same.
        let city = city.crashes().await;
        for device in &fleet {
            city.meets(device).asks_for_commands().await.ok();
        }
    }

    async fn a_device_that_missed_every_rotation_comes_back_until_day_thirty(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        assert_eq!(kid(device.token.as_ref().unwrap()), "1");
        device.asks_for_commands().await.ok();
        for _ in 0..5 {
            city.waits(5 * 86_400);
            city.rotates_keys();
        }
        const { assert!(TOKEN_LIFE_S < 25 * 86_400) };
        device.reports(PowerState::On).await.ok();
        assert_eq!(kid(device.token.as_ref().unwrap()), "6");
        device.asks_for_commands().await.ok();
    }
}

/// The entry is on disk before the file changes: here the file cannot be written, and both entries tell of it.
#[test]
fn a_rotation_that_fails_is_recorded_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let ccms = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ccms"));
        command.args(arguments).arg("--data-dir").arg(folder.path()).output().unwrap()
    };
    let text = |output: std::process::Output| String::from_utf8(output.stdout).unwrap();
    assert!(text(ccms(&["keys", "rotate"])).starts_with("Key 2 signs"));
    let keys = std::fs::read(folder.path().join("token-keys")).unwrap();
    // Where the new file would be written stands something that is no file.
    std::fs::create_dir(folder.path().join("token-keys.new")).unwrap();
    let refused = ccms(&["keys", "rotate"]);
    assert!(!refused.status.success(), "{refused:?}");
    assert_eq!(std::fs::read(folder.path().join("token-keys")).unwrap(), keys);
    let recorded = text(ccms(&["audit", "list"]));
    let entries: Vec<_> = recorded.lines().filter_map(|line| line.split_whitespace().nth(3)).collect();
    assert_eq!(entries, ["keys.rotate_failed", "keys.rotate", "keys.rotate"], "{recorded}");
    assert!(ccms(&["audit", "verify"]).status.success());
}

/// With the real binary, which notices by itself; on its own SQLite file, because the ring is none of the database's.
#[tokio::test]
async fn the_command_line_rotates_beside_a_running_server() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let served = [("CCMS__LIMITS__DEVICE_PER_SECOND", "1000".into()), ("CCMS__LIMITS__DEVICE_BURST", "10000".into())];
    let server = Process::start(&Settings { environment: served.into(), ..Settings::default() });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/device/{DEVICE}", server.address);
    let body: Value = serde_json::from_slice(&example("configure-request.json")).unwrap();
    let configure = async |token: Option<&str>| {
        let request = http.post(format!("{url}/configure")).json(&body);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        answer["device_token"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{answer}"))
    };
    let first = configure(None).await;
    assert_eq!(kid(&first), "1");
    let ccms = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ccms"));
        command.args(arguments).arg("--data-dir").arg(server.folder());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let said = ccms(&["keys", "rotate"]);
    assert!(said.starts_with("Key 2 signs from now on."), "{said}");
    eventually("the server signs with the new key", async || kid(&configure(Some(&first)).await) == "2").await;
    let newest = configure(Some(&first)).await;
    for token in [&first, &newest] {
        let answer = http.get(format!("{url}/commands")).bearer_auth(token).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let recorded = ccms(&["audit", "list"]);
    let entries: Vec<_> = recorded.lines().filter(|line| line.contains(" keys.rotate ")).collect();
    assert!(matches!(entries[..], [entry] if entry.contains("token key 2")), "{recorded}");
    ccms(&["audit", "verify"]);
    let listed = ccms(&["keys", "list"]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let secrets = std::fs::read_to_string(server.folder().join("token-keys")).unwrap();
    for secret in secrets.split_whitespace().filter(|part| part.len() == 64) {
        assert!(!listed.contains(secret) && !said.contains(secret));
    }
}
