//! Whatever is sent, a device route answers in the document's envelope with a documented status, and nothing that a client
//! did is a fault of ours. One server takes all of it, on both mounts, and still serves its device at the end.
use ccms::device_api::ROUTES;
use ccms_core::limits::{BODY_BYTES_MAX, BODY_DECODED_BYTES_MAX, READINGS_PER_REQUEST_MAX};
use ccms_core::reading::PowerState;
use ccms_service::keys::{MasterKey, TokenKeys};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::city::City;
use crate::controller::{Controller, example};
use crate::operator::device_id;
use crate::status::gzip;

const DEVICE: &str = "IMEI:351234567890123";
const BASES: [&str; 2] = ["/api/device", "/device"];
const POSTS: [&str; 3] = ["configure", "status", "command-ack"];
const GZIP: [(&str, &str); 1] = [("content-encoding", "gzip")];

/// Never a fault of ours, always documented.
#[track_caller]
fn is_no_fault_of_ours(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {answer:?}");
    if answer.status == 200 { answer.is_documented() } else { drop(answer.envelope()) }
}

/// The same, where logs may come too often.
#[track_caller]
fn is_documented_and_ours(answer: &Answer, what: &str) {
    if answer.status == 503 {
        answer.refused(503, "RATE_LIMITED");
    } else {
        is_no_fault_of_ours(answer, what);
    }
}

/// The device on either mount.
fn on_each_mount(device: &Controller) -> impl Iterator<Item = Controller> {
    BASES.into_iter().map(|base| Controller { base, ..device.clone() })
}

on_both! {
    async fn a_body_that_is_not_the_documents_is_refused_with_a_code(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let nested = |open: &str, close: &str| (open.repeat(10_000) + &close.repeat(10_000)).into_bytes();
        let bodies: Vec<(&str, Vec<u8>)> = vec![
            ("nothing", b"".into()),
            ("blanks", b" \r\n\t".into()),
            ("half an object", b"{\"device_id\": ".into()),
            ("words", b"power on".into()),
            ("a form", b"device_id=IMEI%3A1&status=on".into()),
            ("NaN", b"NaN".into()),
            ("NaN in what is no JSON", b"{\"timestamp\": \"x\", \"brightness\": NaN, \"command_id\": }".into()),
            ("no word of C's", b"{\"energy\": {\"voltage\": -Infinite}}".into()),
            ("two objects", b"{} {}".into()),
            ("one name twice", b"{\"status\": \"on\", \"status\": \"off\"}".into()),
            ("no UTF-8", b"{\"name\": \"\xff\xfe\", \"status\": \"\xff\", \"command_id\": \"\xc3\"}".into()),
            ("bytes", (0..=255).collect()),
            ("a text", b"\"on\"".into()),
            ("a number", b"17".into()),
            ("true", b"true".into()),
            ("null", b"null".into()),
            ("an array of numbers", b"[1, 2]".into()),
            ("an array of arrays", b"[[]]".into()),
            ("the fields as an array", b"[[\"IMEI:351234567890123\", \"SL001\", \"2025-12-17T10:30:35Z\"]]".into()),
            ("the ack's fields as an array", b"[\"IMEI:351234567890123\", \"CMD_1\", null, \"executed\"]".into()),
            ("10,000 open brackets", "[".repeat(10_000).into_bytes()),
            ("10,000 brackets", nested("[", "]")),
            ("10,000 open objects", "{\"status\":".repeat(10_000).into_bytes()),
        ];
        // A list of statuses costs its sender nothing but what cannot be read of it, be that all.
        let lists = ["an array of numbers", "an array of arrays", "the fields as an array", "the ack's fields as an array", "10,000 brackets"];
        for device in on_each_mount(&device) {
            for route in POSTS {
                for (what, body) in &bodies {
                    if route == "status" && lists.contains(what) {
                        let answer = device.sends("POST", route, &[], body.clone()).await.ok();
                        assert_eq!(answer["stored"], 0, "{what}: {answer}");
                        assert!(answer["quarantined"].as_u64() > Some(0), "{what}: {answer}");
                        continue;
                    }
                    let answer = device.sends("POST", route, &[], body.clone()).await;
                    assert_eq!(answer.status, 400, "{what} to {route}: {answer:?}");
                    answer.refused(400, "BAD_REQUEST");
                    let answer = device.sends("POST", route, &GZIP, gzip(body)).await;
                    assert_eq!(answer.status, 400, "{what}, packed, to {route}: {answer:?}");
                }
            }
        }
        assert!(city.log().await.is_empty());
        device.asks_for_commands().await.ok();
    }

    async fn a_body_that_is_too_much_is_refused_and_one_at_the_limit_is_not(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let padded = |route: &str, bytes: usize| {
            let mut body = match route {
                "configure" => device.introduction(),
                "status" => device.reading(PowerState::On, city.clock.now()),
                _ => json!({"command_id": "CMD_1", "status": "executed"}),
            }
            .to_string()
            .into_bytes();
            body.resize(bytes, b' ');
            body
        };
        for device in on_each_mount(&device) {
            for route in POSTS {
                device.sends("POST", route, &[], padded(route, BODY_BYTES_MAX)).await.ok();
                device.sends("POST", route, &GZIP, gzip(&padded(route, BODY_DECODED_BYTES_MAX))).await.ok();
                for body in [padded(route, BODY_BYTES_MAX + 1), padded(route, 1 << 20), vec![b'['; 1 << 20]] {
                    device.sends("POST", route, &[], body).await.refused(400, "BODY_TOO_LARGE");
                }
                for bomb in [vec![0; 10 << 20], padded(route, BODY_DECODED_BYTES_MAX + 1)] {
                    device.sends("POST", route, &GZIP, gzip(&bomb)).await.refused(400, "BODY_TOO_LARGE");
                }
            }
        }
        let reading = json!({"status": "on"});
        let many = |n: usize| json!({"readings": vec![reading.clone(); n]});
        device.posts("status", &many(READINGS_PER_REQUEST_MAX + 1)).await.refused(400, "BAD_REQUEST");
        assert_eq!(device.posts("status", &many(READINGS_PER_REQUEST_MAX)).await.ok()["stored"], 1);
    }

    async fn a_coding_that_cannot_be_undone_is_refused(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let good = gzip(&example("status-request.json"));
        let cut = good[..good.len() / 2].to_vec();
        let mut corrupt = good.clone();
        corrupt[12] ^= 0xff;
        let mut wrong_sum = good.clone();
        let end = wrong_sum.len() - 6;
        wrong_sum[end] ^= 0xff;
        for device in on_each_mount(&device) {
            for route in POSTS {
                for body in [&cut, &corrupt, &wrong_sum, &b"{}".to_vec(), &vec![0x1f, 0x8b], &vec![]] {
                    device.sends("POST", route, &GZIP, body.clone()).await.refused(400, "BAD_REQUEST");
                }
                for coding in ["br", "deflate", "zstd", "gzip, gzip", "chunked", "\u{e9}", "gzip;q=1"] {
                    let headers = [("content-encoding", coding)];
                    device.sends("POST", route, &headers, good.clone()).await.refused(400, "BAD_REQUEST");
                }
            }
        }
    }

    /// The routes that take a body, each with everything that is none, or with a field that is none.
    async fn no_body_is_a_fault_of_ours_on_any_route(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let nested = |open: &str, close: &str| open.repeat(2_000) + &close.repeat(2_000);
        let broken = ["", " ", "{", "[", "{\"a\":", "nul", "{} {}", "\u{0}", "[1,]", &"{\"status\":".repeat(1_000)];
        let strange = ["17", "null", "\"on\"", "[]", "{}", "[null]", "[[]]", "{\"logs\":{}}", &nested("[", "]")];
        for route in ROUTES.iter().filter(|r| r.body_bytes_max > 0) {
            let method = route.method.as_str();
            for body in broken {
                device.sends(method, route.name, &[], body.into()).await.refused(400, "BAD_REQUEST");
                device.sends(method, route.name, &GZIP, gzip(body.as_bytes())).await.refused(400, "BAD_REQUEST");
            }
            for body in strange {
                is_documented_and_ours(&device.sends(method, route.name, &[], body.into()).await, route.name);
            }
            let large = vec![b' '; route.body_bytes_max + 1];
            device.sends(method, route.name, &GZIP, gzip(&large)).await.refused(400, "BODY_TOO_LARGE");
            device.sends(method, route.name, &[("content-encoding", "br")], b"{}".into()).await.refused(400, "BAD_REQUEST");
        }
        for (route, file) in [
            ("alert", "alert-request.json"),
            ("sync", "sync-request.json"),
            ("logs", "logs-request.json"),
            ("firmware", "firmware-request.json"),
            ("status", "lights-request.json"),
            ("status", "readings-request.json"),
        ] {
            let method = if route == "firmware" { "PUT" } else { "POST" };
            let whole: Value = serde_json::from_slice(&example(file)).unwrap();
            for path in paths(&whole, "") {
                for value in ["null", "true", "-1", "1e400", "\"\"", "\"\\u0000\\ud800\"", "[]", "{}", "[[{}]]"] {
                    let mut marked = whole.clone();
                    *marked.pointer_mut(&path).unwrap() = json!("HERE");
                    let body = marked.to_string().replace("\"HERE\"", value);
                    let answer = device.sends(method, route, &[], body.into_bytes()).await;
                    is_documented_and_ours(&answer, &format!("{route} {path} {value}"));
                }
            }
        }
        device.asks_for_commands().await.ok();
    }

    /// Each documented field as everything that it is not.
    async fn a_field_of_the_wrong_type_never_is_a_fault(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let values = [
            "null", "true", "0", "-1", "1e400", "-1e39", "85.5", "99999999999999999999", "\"\"", "\"on\"", "\"NaN\"",
            "\"\\u0000\\ud800\"", "\"\u{202e}<script>\u{1F4A1}\"", "[]", "[null]", "{}", "{\"a\":{\"b\":[]}}",
        ];
        for (route, file) in
            [("configure", "configure-request.json"), ("status", "status-request.json"), ("command-ack", "ack-request.json")]
        {
            let whole: Value = serde_json::from_slice(&example(file)).unwrap();
            for path in paths(&whole, "") {
                for value in values {
                    // As text, because not every one of these is a value to serde.
                    let mut marked = whole.clone();
                    *marked.pointer_mut(&path).unwrap() = json!("HERE");
                    let body = marked.to_string().replace("\"HERE\"", value);
                    let answer = device.sends("POST", route, &[], body.clone().into_bytes()).await;
                    is_no_fault_of_ours(&answer, &format!("{route} {path} {value}"));
                    // Who it is and which command it means must be right; of the rest no field costs the message.
                    let decides = ["/device_id", "/light_id", "/gsm_imei", "/latitude", "/longitude", "/command_id"];
                    let essential = decides.contains(&path.as_str()) || (route, path.as_str()) == ("command-ack", "/status");
                    let unreadable = value == "1e400" || value.contains("ud800");
                    assert!(answer.status == 200 || essential || unreadable, "{route} {path} {value}: {answer:?}");
                }
            }
        }
        let seen = city.operator().sees("SL001").await;
        assert!(seen.readings.iter().all(|r| r.error_flags.iter().all(|f| !f.contains('\u{202e}'))));
    }

    async fn a_token_that_is_none_of_ours_opens_nothing(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
        let token = device.token.clone().unwrap();
        let foreign = TokenKeys::new(&MasterKey::random()).issue(&device_id(DEVICE), 0, city.clock.now().0, city.clock.now()).0;
        let [head, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
        // {"alg":"none"}, {"alg":"HS512"} in front of the true claims.
        let (none, other) = ("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9");
        let bearer = |t: String| format!("Bearer {t}");
        let bad = [
            bearer(foreign),
            bearer(format!("{none}.{claims}.")),
            bearer(format!("{none}.{claims}.{signature}")),
            bearer(format!("{other}.{claims}.{signature}")),
            bearer(format!("{head}.{claims}.")),
            bearer(format!("{head}.{claims}A.{signature}")),
            bearer(token[..token.len() - 2].into()),
            bearer(token[1..].into()),
            bearer(format!("{token} {token}")),
            bearer("x".repeat(1 << 20)),
            bearer(".".repeat(1 << 20)),
            bearer(token.to_uppercase()),
            bearer("\u{e9}\u{1F4A1}".into()),
            bearer(String::new()),
            "Bearer".into(),
            String::new(),
            token.clone(),
            format!("Basic {token}"),
            format!("Bearer\t{token}x"),
        ];
        for device in on_each_mount(&device) {
            for authorization in &bad {
                let headers = [("authorization", authorization.as_str())];
                let shown: String = authorization.chars().take(60).collect();
                for (method, route) in [("GET", "commands"), ("POST", "status")] {
                    let answer = device.sends(method, route, &headers, example("status-request.json")).await;
                    assert_eq!(answer.status, 401, "{shown}: {answer:?}");
                    answer.refused(401, "UNAUTHORIZED");
                }
                let configured = device.sends("POST", "configure", &headers, example("configure-request.json")).await;
                configured.is_documented();
                // Round after round of this ends with the device being told to come back later.
                assert!(matches!(configured.status, 200 | 400), "{shown}");
                assert!(configured.json().get("device_token").is_none(), "{shown}");
                is_no_fault_of_ours(&device.sends("POST", "command-ack", &headers, example("ack-request.json")).await, &shown);
            }
        }
        assert!(city.log().await.is_empty());
    }

    async fn a_path_or_method_that_is_not_the_documents_is_400(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let body = || example("status-request.json");
        for base in BASES {
            let encoded = format!("{base}/IMEI%3A351234567890123/");
            device.sends_to("GET", &(encoded.clone() + "commands"), &[], vec![]).await.ok();
            device.sends_to("POST", &(encoded + "status"), &[], body()).await.ok();
            let long = "x".repeat(10_000);
            for id in ["", "%zz", "%", "%ff", "%00", "a%2Fb", "%20", "IMEI:1;x=1", "%F0%9F%92%A1", "'--", "*", &long] {
                for (method, route) in [("POST", "configure"), ("POST", "status"), ("GET", "commands"), ("POST", "command-ack")] {
                    let answer = device.sends_to(method, &format!("{base}/{id}/{route}"), &[], b"{}".to_vec()).await;
                    answer.refused(400, "BAD_REQUEST");
                }
            }
            let below = [
                "", "/", "//", "/x", "/x/", "/x/reset", "/x/status/", "/x/status/now", "/x/Status", "/x/%73tatus/",
                "/x/../y/z/..", "/configure", "/x/.env", "/x/status%00",
            ];
            for path in below {
                for method in ["GET", "POST", "PUT", "DELETE"] {
                    let answer = device.sends_to(method, &format!("{base}{path}"), &[], body()).await;
                    assert_eq!(answer.json()["code"], "UNKNOWN_PATH", "{method} {base}{path}");
                    answer.refused(400, "UNKNOWN_PATH");
                }
            }
            device.sends_to("GET", &format!("{base}/{DEVICE}/commands?light=1&x=%zz&&"), &[], vec![]).await.ok();
            for (route, right) in [("configure", "POST"), ("status", "POST"), ("commands", "GET"), ("command-ack", "POST")] {
                for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"] {
                    let answer = device.sends_to(method, &format!("{base}/{DEVICE}/{route}"), &[], body()).await;
                    if method == right {
                        is_no_fault_of_ours(&answer, route);
                    } else {
                        answer.refused(400, "METHOD_NOT_ALLOWED");
                    }
                }
            }
        }
    }

    async fn a_header_that_firmware_forgets_or_invents_does_not_matter(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICE).await;
        let many: String = "x".repeat(20_000);
        for header in [
            ("content-type", "text/plain"),
            ("content-type", "application/json; charset=latin1"),
            ("content-type", ""),
            ("accept", "text/html"),
            ("accept-encoding", "br, gzip"),
            ("cookie", "ccms=1; ccms=2"),
            ("origin", "http://elsewhere.example"),
            ("sec-fetch-site", "cross-site"),
            ("x-request-id", "../../\u{e9}"),
            ("x-long", many.as_str()),
        ] {
            city.waits(1);
            let body = device.reading(PowerState::On, city.clock.now()).to_string().into_bytes();
            let answer = device.sends("POST", "status", &[header], body).await;
            answer.ok();
            assert!(!answer.headers.contains_key("content-encoding") && !answer.headers.contains_key("set-cookie"));
        }
    }
}

/// Pointers to every value inside.
fn paths(value: &Value, at: &str) -> Vec<String> {
    let Some(fields) = value.as_object() else { return vec![at.to_owned()] };
    let inside = fields.iter().flat_map(|(name, value)| paths(value, &format!("{at}/{name}")));
    let own = (!at.is_empty()).then(|| at.to_owned());
    inside.chain(own).collect()
}
