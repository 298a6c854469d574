//! The life of a device token: seven days, refreshed at half life, good for coming back until day 30.
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
use ccms::device_api::{Proof, ROUTES};
use ccms_core::limits::{SILENCE_LIMIT_S, TOKEN_LIFE_S};
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::keys::{MasterKey, TokenKeys};
use ccms_service::settings::EnrolmentMode;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::city::City;
use crate::controller::Controller;
use crate::operator::device_id;

const DEVICE: &str = "IMEI:351234567890123";
const DAY_S: i64 = 86_400;

on_both! {
    async fn a_status_brings_a_new_token_at_half_life_and_the_old_one_serves_until_it_is_used(engine) {
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
        let old = Controller { token: first, ..device.clone() };
        old.asks_for_commands().await.ok();
        device.asks_for_commands().await.ok();
        old.asks_for_commands().await.refused(401, "UNAUTHORIZED");
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
        let mut old = device.clone();
        assert!(device.reports(PowerState::On).await.ok()["device_token"].is_string());
        assert!(old.configures().await.ok()["device_token"].is_string(), "the answer with the new one may be lost");
        old.asks_for_commands().await.ok();
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

    /// Every one on every route that takes a token, and on configure, which answers but gives nothing for it.
    async fn no_bad_token_is_accepted_anywhere_and_none_is_a_fault_of_ours(engine) {
        let city = City::configured(engine, EnrolmentMode::Open, |_| {}).await;
        let mut device = city.claimed_device(DEVICE).await;
        city.waits(60);
        let superseded = device.token.clone().unwrap();
        device.configures().await.ok();
        device.asks_for_commands().await.ok();
        let (before, kept) = (city.store.inner().device(&device_id(DEVICE)).await.unwrap(), city.log().await);
        let tokens = bad_tokens(&city, &device, superseded);
        assert!(tokens.len() >= 50, "{} kinds", tokens.len());
        let body = device.reading(PowerState::On, city.clock.now()).to_string();
        for (what, token) in &tokens {
            for route in &ROUTES {
                let body = match route.name {
                    "configure" => json!({"device_id": DEVICE}).to_string(),
                    "command-ack" => json!({"command_id": "CMD_1", "status": "executed"}).to_string(),
                    _ => body.clone(),
                };
                let authorization = format!("Bearer {token}");
                let headers = [("authorization", authorization.as_str())];
                let answer = device.sends(route.method.as_str(), route.name, &headers, body.into_bytes()).await;
                answer.is_documented();
                if route.proof == Proof::Weighed {
                    let nothing = answer.status == 403 || answer.json().get("device_token").is_none();
                    assert!(nothing && answer.status != 500, "{what} on configure: {answer:?}");
                } else {
                    let refused = matches!(answer.status, 401 | 403);
                    assert!(refused, "{what} on {} {}: {answer:?}", route.method, route.name);
                }
            }
        }
        assert_eq!(city.log().await, kept, "nothing was kept of any");
        assert_eq!(city.store.inner().device(&device_id(DEVICE)).await.unwrap(), before);
        device.asks_for_commands().await.ok();
        assert!(device.configures().await.ok()["device_token"].is_string());
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

    /// A fault of ours never sends a device to configure.
    async fn a_broken_store_is_503_and_never_401_or_404(engine) {
        let city = City::open(engine).await;
        let mut device = city.claimed_device(DEVICE).await;
        device.asks_for_commands().await.ok();
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

/// The document's own device could send each of these; none is one of our tokens in service.
fn bad_tokens(city: &City, device: &Controller, superseded: String) -> Vec<(&'static str, String)> {
    let good = device.token.clone().unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let [head, claims, mac] = parts.as_slice() else { panic!("{good}") };
    let own: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let b64 = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let now_s = city.clock.now().seconds();

    // Signed with the very key of the city: what is wrong is in what they say.
    let ring = std::fs::read_to_string(city.data_dir().join("token-keys")).unwrap();
    let hex = ring.split_whitespace().nth(1).unwrap();
    let key: Vec<u8> = (0..64).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
    let encoding = EncodingKey::from_secret(&key);
    let header = |alg| Header { kid: Some("1".into()), ..Header::new(alg) };
    let saying = |name: &str, value: Value| {
        let mut said = own.clone();
        if value.is_null() {
            said.as_object_mut().unwrap().remove(name);
        } else {
            said[name] = value
        }
        jsonwebtoken::encode(&header(Algorithm::HS256), &said, &encoding).unwrap()
    };
    let mac_of = |message: &str| {
        let hex = ccms_service::keys::signature::sign(&key, message.as_bytes());
        let bytes: Vec<u8> = (0..64).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    };
    let headed = |text: &str| {
        let message = format!("{}.{claims}", b64(text));
        format!("{message}.{}", mac_of(&message))
    };
    let claiming = |text: &str| {
        let message = format!("{head}.{}", b64(text));
        format!("{message}.{}", mac_of(&message))
    };
    let foreign = TokenKeys::new(&MasterKey::random());
    let signed_by = |alg| jsonwebtoken::encode(&header(alg), &own, &encoding).unwrap();
    let other_mac = if mac.starts_with('A') { mac.replacen('A', "B", 1) } else { format!("A{}", &mac[1..]) };
    let of_other = b64(&own.to_string().replace(DEVICE, "IMEI:490154203237518"));
    let no_kid = |claims: &Value| jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &encoding).unwrap();

    vec![
        ("one word", "nonsense".into()),
        ("three letters", "a.b.c".into()),
        ("empty parts", "..".into()),
        ("dots alone", ".....".into()),
        ("no signature", format!("{head}.{claims}.")),
        ("no claims", format!("{head}..{mac}")),
        ("no header", format!(".{claims}.{mac}")),
        ("two parts", format!("{head}.{claims}")),
        ("four parts", format!("{good}.{mac}")),
        ("cut by one", good[..good.len() - 1].into()),
        ("cut in half", good[..good.len() / 2].into()),
        ("one more letter", format!("{good}A")),
        ("padded", format!("{good}=")),
        (
            "the other base64",
            format!("{}.{claims}.{mac}", BASE64_STANDARD.encode(BASE64_URL_SAFE_NO_PAD.decode(head).unwrap()) + "=="),
        ),
        ("a blank inside", good.replacen('.', ". ", 1)),
        ("a second scheme", format!("Bearer {good}")),
        ("another signature", format!("{head}.{claims}.{other_mac}")),
        ("another's claims", format!("{head}.{of_other}.{mac}")),
        ("alg none, unsigned", format!("{}.{claims}.", b64(r#"{"alg":"none","typ":"JWT","kid":"1"}"#))),
        ("alg none, signed", headed(r#"{"alg":"none","typ":"JWT","kid":"1"}"#)),
        ("alg nOnE", headed(r#"{"alg":"nOnE","typ":"JWT","kid":"1"}"#)),
        ("HS384", signed_by(Algorithm::HS384)),
        ("HS512", signed_by(Algorithm::HS512)),
        ("RS256 over the secret", headed(r#"{"alg":"RS256","typ":"JWT","kid":"1"}"#)),
        ("ES256 over the secret", headed(r#"{"alg":"ES256","typ":"JWT","kid":"1"}"#)),
        ("EdDSA over the secret", headed(r#"{"alg":"EdDSA","typ":"JWT","kid":"1"}"#)),
        ("no alg", headed(r#"{"typ":"JWT","kid":"1"}"#)),
        ("alg in small letters", headed(r#"{"alg":"hs256","typ":"JWT","kid":"1"}"#)),
        ("alg a number", headed(r#"{"alg":256,"typ":"JWT","kid":"1"}"#)),
        ("alg twice", headed(r#"{"alg":"none","alg":"HS256","typ":"JWT","kid":"1"}"#)),
        ("kid twice", headed(r#"{"alg":"HS256","typ":"JWT","kid":"9","kid":"1"}"#)),
        ("no typ", headed(r#"{"alg":"HS256","kid":"1"}"#)),
        ("another typ", headed(r#"{"alg":"HS256","typ":"at+jwt","kid":"1"}"#)),
        ("an unknown kid", headed(r#"{"alg":"HS256","typ":"JWT","kid":"99"}"#)),
        ("kid a path", headed(r#"{"alg":"HS256","typ":"JWT","kid":"../../../dev/null"}"#)),
        ("an empty kid", headed(r#"{"alg":"HS256","typ":"JWT","kid":""}"#)),
        ("kid a number", headed(r#"{"alg":"HS256","typ":"JWT","kid":1}"#)),
        ("a key inside", headed(r#"{"alg":"HS256","typ":"JWT","kid":"1","jwk":{"kty":"oct","k":"AA"}}"#)),
        ("a key elsewhere", headed(r#"{"alg":"HS256","typ":"JWT","kid":"1","jku":"http://127.0.0.1/k"}"#)),
        ("critical extensions", headed(r#"{"alg":"HS256","typ":"JWT","kid":"1","crit":["exp"]}"#)),
        ("header no object", headed(r#"["HS256","JWT","1"]"#)),
        ("header no JSON", headed("HS256")),
        ("claims no JSON", claiming("device")),
        ("claims an array", claiming(r#"["IMEI:351234567890123","ccms-device"]"#)),
        ("sub twice", claiming(&own.to_string().replacen('{', r#"{"sub":"IMEI:351234567890123","#, 1))),
        ("another audience", saying("aud", json!("ccms-operator"))),
        ("no audience", saying("aud", Value::Null)),
        ("another type", saying("typ", json!("operator"))),
        ("no type", saying("typ", Value::Null)),
        ("no subject", saying("sub", Value::Null)),
        ("another device", saying("sub", json!("IMEI:490154203237518"))),
        ("no end", saying("exp", Value::Null)),
        ("its end a text", saying("exp", json!("tomorrow"))),
        ("issued more than 30 days ago", {
            let mut said = own.clone();
            said["iat"] = json!(now_s - SILENCE_LIMIT_S - 1);
            said["exp"] = json!(now_s - SILENCE_LIMIT_S - 1 + TOKEN_LIFE_S);
            jsonwebtoken::encode(&header(Algorithm::HS256), &said, &encoding).unwrap()
        }),
        ("not valid yet", saying("nbf", json!(now_s + 1))),
        ("nbf a text", saying("nbf", json!("0"))),
        ("an epoch to come", saying("ep", json!(1))),
        ("a negative epoch", saying("ep", json!(-1))),
        ("an endless epoch", saying("ep", json!(1e300))),
        ("superseded", superseded),
        ("generation zero", saying("gen", json!(0))),
        ("a foreign key", foreign.issue(&device_id(DEVICE), 0, i64::MAX, city.clock.now()).0),
        ("no kid, and a type", no_kid(&own)),
        ("a megabyte", format!("{head}.{}.{mac}", "A".repeat(1 << 20))),
        ("a megabyte of header", format!("{}.{claims}.{mac}", "A".repeat(1 << 20))),
        ("beyond ASCII", "töken.ünd.söweiter".into()),
        ("an operator's session", "id=XGh2NfXkTQqSy9oW4wYb1w".into()),
        ("an API key", "ccms_abcdefghijkmnpqrstuvwxyz23456789abcdefgh".into()),
    ]
}
