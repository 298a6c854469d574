//! §8: the token and its life, the signature, and the proofs of a device that has lost one of them.
use std::io::Write;

use ccms_device::{Key, Kind, Request, State};
use flate2::Compression;
use flate2::write::GzEncoder;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::bench::*;

/// As the server checks it.
fn is_signed(request: &Request, sent: &[u8], key: &[u8]) -> bool {
    let Some(signature) = request.signature(sent) else { return false };
    let bytes: Vec<u8> = (0..64).step_by(2).map(|i| u8::from_str_radix(&signature[i..i + 2], 16).unwrap()).collect();
    Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(sent).verify_slice(&bytes).is_ok()
}

fn without(seen: &Seen, names: &[&str]) -> Value {
    let mut body = good_body(seen);
    names.iter().for_each(|name| {
        body.as_object_mut().unwrap().remove(*name);
    });
    body
}

/// G6: a literal server puts both into `config`, and a status brings the next token.
#[test]
fn a_token_is_taken_from_wherever_it_comes_and_is_in_flash_before_it_is_used() {
    let mut b = Bench::new(MORNING);
    let mut statuses = 0;
    b.run_ms(5 * MINUTE_MS, &mut |seen: &Seen| {
        let mut body = good_body(seen);
        match seen.kind() {
            Kind::Configure => {
                body = without(seen, &["device_token", "token_expires_at"]);
                body["config"]["device_token"] = json!("in config");
            }
            Kind::Status => {
                statuses += 1;
                if statuses == 3 {
                    body["device_token"] = json!("fresh");
                    body["token_expires_at"] = json!("2026-01-01T00:00:00Z");
                }
            }
            _ => {}
        }
        Reply::Answer(200, body)
    });
    let tokens: Vec<Option<&str>> = b.of(Kind::Status).iter().map(|s| s.request.token.as_deref()).collect();
    assert_eq!(tokens[..3], [Some("in config"); 3]);
    assert!(tokens[3..].iter().all(|t| *t == Some("fresh")));
    assert_eq!(b.saved.settings.token.as_deref(), Some("fresh"));
    assert_eq!(b.saved.settings.config.as_ref().unwrap().device_token, None, "one home");
    b.cut_power(SECOND_MS);
    b.forget();
    b.run_ms(SECOND_MS, &mut good);
    assert_eq!(b.of(Kind::Configure)[0].request.token.as_deref(), Some("fresh"), "the proof after a power cut");
}

/// G7: past its seven days a token is good for reports and configure only.
#[test]
fn a_device_that_comes_back_with_an_old_token_reports_first_and_need_not_configure() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(HOUR_MS);
    b.sleeps_ms(8 * DAY_MS);
    assert_eq!(b.device.state(), State::Offline);
    b.forget();
    b.run_ms(20 * MINUTE_MS, &mut |seen: &Seen| {
        let old = seen.request.token.as_deref() == Some("t1");
        match seen.kind() {
            Kind::Status | Kind::Sync | Kind::Configure => {
                let mut body = good_body(seen);
                if old || seen.kind() == Kind::Configure {
                    body["device_token"] = json!("t2");
                    body["token_expires_at"] = json!(seen.utc.plus_seconds(7 * 86_400).to_string());
                }
                Reply::Answer(200, body)
            }
            _ if old => error(401, 0),
            _ => good(seen),
        }
    });
    assert_eq!(b.kinds()[0], Kind::Sync);
    // Its settings are a week old, and it asks for them; it need not register again.
    assert!(b.states.iter().all(|(_, s)| *s != State::Configuring) && !b.of(Kind::Commands).is_empty());
    assert_eq!((b.device.state(), b.device.unsent_readings()), (State::Ready, 0));
}

#[test]
fn after_thirty_days_of_silence_it_configures_like_anybody() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(HOUR_MS);
    b.sleeps_ms(31 * DAY_MS);
    let mut approved = false;
    b.forget();
    b.run_ms(30 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Configure if !approved => {
            approved = true;
            error(400, 300)
        }
        Kind::Configure => {
            let mut body = good_body(seen);
            body["device_token"] = json!("t2");
            Reply::Answer(200, body)
        }
        _ if seen.request.token.as_deref() == Some("t1") => error(401, 0),
        _ => good(seen),
    });
    assert_eq!(b.of(Kind::Configure).len(), 2);
    assert_eq!((b.device.state(), b.device.unsent_readings()), (State::Ready, 0));
}

/// A probe by report keeps the back-off of polls.
#[test]
fn with_an_old_token_the_back_off_is_the_same() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(HOUR_MS);
    b.sleeps_ms(8 * DAY_MS);
    b.forget();
    for mut server in [|_: &Seen| Reply::Silence, |_: &Seen| error(503, 0), |_: &Seen| error(400, 0)] {
        b.forget();
        b.run_ms(2 * HOUR_MS, &mut server);
        assert!((15..=25).contains(&b.sent.len()), "{} requests in two hours: {:?}", b.sent.len(), b.kinds());
    }
}

/// G9.
#[test]
fn every_body_is_signed_as_it_is_sent_once_there_is_a_secret() {
    let mut b = Bench::new(EVENING);
    b.sensors.battery_percent = 9;
    b.run_ms(10 * MINUTE_MS, &mut good);
    assert_eq!(b.of(Kind::Configure)[0].request.signature(b"x"), None, "nothing to sign with yet");
    for seen in b.sent.iter().filter(|s| s.kind() != Kind::Configure) {
        let body = &seen.request.body;
        assert_eq!(is_signed(&seen.request, body, SECRET.as_bytes()), !body.is_empty(), "{:?}", seen.kind());
    }
    b.unreachable_ms(2 * HOUR_MS);
    b.run_ms(10 * MINUTE_MS, &mut good);
    let sync = &b.of(Kind::Sync)[0].request;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&sync.body).unwrap();
    let packed = encoder.finish().unwrap();
    assert!(is_signed(sync, &packed, SECRET.as_bytes()));
    assert_ne!(sync.signature(&packed), sync.signature(&sync.body), "what is signed is what is sent");
    assert!(!format!("{sync:?}").contains(SECRET));
    // It survives a power cut, and signs the configure that follows.
    b.cut_power(SECOND_MS);
    b.forget();
    b.run_ms(SECOND_MS, &mut good);
    let configure = &b.of(Kind::Configure)[0].request;
    assert!(is_signed(configure, &configure.body, SECRET.as_bytes()));
}

/// G1, G2: the factory's key claims a first time, and helps one whose own secret helps no more.
#[test]
fn a_factory_key_signs_configures_where_the_device_has_no_other_proof() {
    let mut with_key = config();
    with_key.factory_key = Some(Key::of_factory(&[7; 32]));
    let mut b = Bench::with(MORNING, with_key, Default::default(), None);
    let mut served = |seen: &Seen| {
        let request = &seen.request;
        match seen.kind() {
            Kind::Configure if is_signed(request, &request.body, &[7; 32]) => good(seen),
            Kind::Configure => {
                Reply::Answer(200, without(seen, &["device_token", "token_expires_at", "device_secret"]))
            }
            // Its epoch is over: token and secret are void.
            _ if seen.at_ms > HOUR_MS && seen.at_ms < 2 * HOUR_MS => error(401, 0),
            _ => good(seen),
        }
    };
    b.run_ms(MINUTE_MS, &mut served);
    assert_eq!(b.device.state(), State::Ready);
    let status = &b.of(Kind::Status)[0].request;
    assert!(is_signed(status, &status.body, SECRET.as_bytes()), "its own secret for the rest");
    b.run_ms(HOUR_MS - 2 * MINUTE_MS, &mut served);
    b.forget();
    b.run_ms(3 * HOUR_MS, &mut served);
    assert_eq!(b.device.state(), State::Ready);
    let first = &b.of(Kind::Configure)[0].request;
    assert!(is_signed(first, &first.body, SECRET.as_bytes()), "its own first");
}
