//! The document's own conversation, byte by byte, with a fresh server: configure, status, a poll, commands, an
//! acknowledgement. Every documented field comes back with its documented type, and with its documented value where that is
//! not the business of one installation.
use ccms_core::command::{Command, CommandKind, CommandState, Priority};
use ccms_core::ids::CommandId;
use ccms_core::reading::PowerState;
use ccms_core::schedule::Schedule;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_store::AuditEntry;
use serde_json::{Value, json};

use crate::city::City;
use crate::controller::example;

const DEVICE: &str = "IMEI:351234567890123";

on_both! {
    async fn the_documents_conversation_gets_the_documents_answers(engine) {
        let city = City::open(engine).await;
        let mut device = city.device(DEVICE);
        let says = |name: &str| serde_json::from_slice::<Value>(&example(name)).expect("an example");

        let configured = device.sends("POST", "configure", &[], example("configure-request.json")).await.ok();
        // "SL001" because it is the first light here, as in the document; the clock stands at the document's time.
        same_fields(&says("configure-response.json"), &configured, &[]);
        device.token = configured["device_token"].as_str().map(str::to_owned);

        city.waits(31);
        let reported = device.sends("POST", "status", &[], example("status-request.json")).await.ok();
        same_fields(&says("status-response.json"), &reported, &[]);

        city.waits(10);
        let nothing = device.asks_for_commands().await.ok();
        same_fields(&says("commands-none.json"), &nothing, &[]);

        // Two operators and a rule asked for these; the ids and times are what the document shows.
        let documented = says("commands-pending.json");
        put_commands(&city, &documented["commands"]).await;
        let city = city.restarts().await;
        device = city.meets(&device);
        let pending = device.asks_for_commands().await.ok();
        same_fields(&documented, &pending, &[]);
        for command in pending["commands"].as_array().expect("commands") {
            // The pseudocode's names stand beside the others.
            assert_eq!((&command["id"], &command["type"]), (&command["command_id"], &command["command_type"]));
        }

        // As documented: without a token. The server takes it as unverified.
        let acknowledged = device.without_token().sends("POST", "command-ack", &[], example("ack-request.json")).await;
        assert_eq!(acknowledged.ok()["status"], "success");
        assert!(acknowledged.ok()["server_timestamp"].is_string() && acknowledged.ok()["message"].is_string());
        assert!(acknowledged.ok().get("ignored").is_none());

        let bad = json!({"device_id": DEVICE, "latitude": 128.6139, "longitude": 77.2090});
        let refused = city.device(DEVICE).posts("configure", &bad).await;
        refused.refused(400, "CONFIG_INVALID");
        assert_eq!(refused.json(), says("configure-error.json"));
    }

    /// The routes that the document names and shows nothing of: what is written down as their examples holds.
    async fn the_other_routes_answer_as_their_examples_say(engine) {
        let city = City::open(engine).await;
        let mut device = city.device(DEVICE);
        let configured = device.sends("POST", "configure", &[], example("configure-request.json")).await.ok();
        device.token = configured["device_token"].as_str().map(str::to_owned);
        city.waits(31);
        for (method, route, request, response) in [
            ("POST", "status", Some("lights-request.json"), None),
            ("POST", "status", Some("readings-request.json"), None),
            ("POST", "status", Some("pseudocode-status.json"), Some("status-response.json")),
            ("POST", "command-ack", Some("pseudocode-ack.json"), None),
            ("POST", "sync", Some("sync-request.json"), Some("sync-response.json")),
            ("POST", "alert", Some("alert-request.json"), Some("alert-response.json")),
            ("PUT", "firmware", Some("firmware-request.json"), Some("firmware-response.json")),
            ("GET", "firmware", None, Some("firmware-none.json")),
            ("GET", "health", None, Some("health-response.json")),
            ("POST", "configure", Some("pseudocode-configure.json"), None),
        ] {
            // The lights of the document are of this device only where it has one.
            let body = request.map(example).unwrap_or_default();
            let answer = device.sends(method, route, &[], body).await;
            if request == Some("lights-request.json") && answer.status == 403 {
                answer.refused(403, "DEVICE_MISMATCH");
                continue;
            }
            let answer = answer.ok();
            let Some(response) = response else { continue };
            let documented: Value = serde_json::from_slice(&example(response)).expect("an example");
            for (name, value) in documented.as_object().expect("an object") {
                let given = answer.get(name).unwrap_or_else(|| panic!("{response} has {name}: {answer}"));
                assert_eq!(std::mem::discriminant(given), std::mem::discriminant(value), "{response} {name}: {answer}");
            }
            for fixed in ["status", "message", "update", "device_id", "light_ids"] {
                assert_eq!(answer.get(fixed), documented.get(fixed), "{response} {fixed}");
            }
        }
        let other = city.claimed_device("IMEI:490154203237518").await;
        let mut logs: Value = serde_json::from_slice(&example("logs-request.json")).expect("an example");
        logs["device_id"] = json!(other.id);
        assert_eq!(other.posts("logs", &logs).await.ok()["stored"], 2);
    }

    /// Section 10, to the letter: keeps only `config`, sends the flat status, reads `id` and `type`.
    async fn a_client_written_from_the_pseudocode_works(engine) {
        let city = City::open(engine).await;
        let mut device = city.device(DEVICE);
        let payload = json!({"device_id": DEVICE, "latitude": 28.6, "longitude": 77.2, "status": "on"});
        let config = device.posts("configure", &payload).await.ok()["config"].clone();
        device.token = config["device_token"].as_str().map(str::to_owned);

        let light = config["light_id"].as_str().expect("config carries the light").to_owned();
        let status = json!({"light_id": light, "status": "on", "brightness": 85, "battery": 95,
            "timestamp": city.clock.now().seconds()});
        device.posts("status", &status).await.ok();
        let seen = city.operator().sees(&light).await.actual.expect("a reading");
        assert_eq!((seen.power_state, seen.brightness_percent), (Some(PowerState::On), Some(85)));
        assert_eq!((seen.battery_percent, seen.flags.len()), (Some(95), 0));

        let ordered = city.operator().commands(&light, CommandKind::Power(PowerState::Off)).await;
        let commands = device.asks_for_commands().await.ok()["commands"].clone();
        assert_eq!((&commands[0]["type"], &commands[0]["action"]), (&json!("power_control"), &json!("off")));
        let done = json!({"command_id": commands[0]["id"], "status": "executed", "timestamp": city.clock.now().seconds()});
        device.posts("command-ack", &done).await.ok();
        assert_eq!(city.operator().sees_command(&ordered).await, CommandState::Executed);
        assert!(device.polls().await.is_empty());
    }

    async fn both_mounts_speak_the_same(engine) {
        let city = City::open(engine).await;
        let mut device = city.device(DEVICE);
        device.base = "/device";
        let configured = device.configures().await.ok();
        assert_eq!(configured["light_id"], "SL001");
        device.reports(PowerState::On).await.ok();
        device.base = "/api/device";
        assert!(device.polls().await.is_empty());
    }
}

/// Puts the document's commands where the service puts its own; the ids are the document's.
async fn put_commands(city: &City, documented: &Value) {
    let light = city.light_no("SL001").await;
    let device = city.store.inner().device(&crate::operator::device_id(DEVICE)).await.unwrap().unwrap().no;
    for command in documented.as_array().expect("commands") {
        let text = |name: &str| command[name].as_str().expect("text").to_owned();
        let time = |name: &str| TimeOfDay::parse(command["schedule"][name].as_str().unwrap()).unwrap();
        let kind = match command["command_type"].as_str() {
            Some("power_control") => CommandKind::Power(PowerState::parse(&text("action")).unwrap()),
            Some("brightness_control") => CommandKind::Brightness(command["brightness_level"].as_u64().unwrap() as u8),
            _ => CommandKind::Schedule(Schedule {
                enabled: command["schedule"]["enabled"].as_bool().unwrap(),
                sunrise_time: time("sunrise_time"),
                sunset_time: time("sunset_time"),
            }),
        };
        let requested_at = UtcMillis::parse_lenient(&text("requested_at")).unwrap();
        let command = Command {
            id: CommandId::parse(&text("command_id")).unwrap(),
            light_no: light,
            device_no: device,
            kind,
            priority: Priority::parse(&text("priority")).unwrap(),
            state: CommandState::Queued,
            requested_by: "the document".into(),
            reason: None,
            requested_at,
            expires_at: requested_at.plus_seconds(kind.default_life_s()),
            delivered_at: None,
            unverified_at: None,
            finished_at: None,
            executed_at: None,
            detail: None,
        };
        let audit = AuditEntry {
            at: requested_at,
            actor: "the document".into(),
            action: "command.create".into(),
            target: "SL001".into(),
            detail: json!({}),
        };
        city.store.inner().enqueue_commands(&[command], &audit).await.unwrap();
    }
}

/// Every field of `documented` is in `answer`; values are equal, only instants are compared by their form. Additions are
/// allowed beside them.
#[track_caller]
fn same_fields(documented: &Value, answer: &Value, path: &[&str]) {
    match (documented, answer) {
        (Value::Object(fields), Value::Object(given)) => {
            for (name, value) in fields {
                let given = given.get(name).unwrap_or_else(|| panic!("{path:?} lacks {name}: {answer}"));
                same_fields(value, given, &[path, &[name.as_str()]].concat());
            }
        }
        (Value::Array(wanted), Value::Array(given)) => {
            assert_eq!(wanted.len(), given.len(), "{path:?}: {answer}");
            wanted.iter().zip(given).for_each(|(w, g)| same_fields(w, g, path));
        }
        (Value::String(_), Value::String(given)) if path.last().is_some_and(|name| *name == "server_timestamp") => {
            let whole_seconds = given.len() == "2025-12-17T10:30:05Z".len() && given.ends_with('Z');
            assert!(whole_seconds && UtcMillis::parse_lenient(given).is_some(), "{given}");
        }
        _ => assert_eq!(documented, answer, "{path:?}"),
    }
}
