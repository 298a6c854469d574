//! §1: three tries five minutes apart with the document's words on the display, then for ever.
use ccms_device::{Kind, Led, State};
use serde_json::json;

use crate::bench::*;

#[test]
fn the_states_of_a_first_start() {
    let mut b = Bench::new(MORNING);
    b.run_ms(15 * SECOND_MS, &mut good);
    let states: Vec<&str> = b.states.iter().map(|(_, s)| s.as_str()).collect();
    assert_eq!(states, ["INITIALIZING", "CONFIGURING", "READY"]);
    assert_eq!(&b.kinds()[..3], [Kind::Configure, Kind::Status, Kind::Firmware]);
    let said = &b.sent[0].json;
    assert_eq!((&said["gsm_imei"], &said["status"]), (&json!("351234567890123"), &json!("on")));
    assert_eq!(b.shown.last().unwrap().led, Led::Green);
    assert_eq!(b.device.light_id(), Some("SL001"));
    assert!(State::ALL.iter().all(|s| !s.as_str().is_empty()));
}

/// G4.
#[test]
fn the_local_message_and_the_waits_of_a_failing_configure() {
    let mut b = Bench::new(MORNING);
    let refuse = || {
        Reply::Answer(
            400,
            json!({"status": "error", "code": "CONFIG_INVALID", "message": "GPS coordinates invalid or out of service area",
                   "retry_after_seconds": 300}),
        )
    };
    b.run_ms(DAY_MS, &mut |_: &Seen| refuse());
    assert!(b.kinds().iter().all(|k| *k == Kind::Configure));
    let first = &b.shown[0];
    let words = "Configuration Failed: GPS coordinates invalid or out of service area. Retrying in 5 minutes...";
    let stretched = words.replace('5', "6");
    assert!(first.text == words || first.text == stretched, "{}", first.text);
    assert_eq!(first.led, Led::Red);
    assert!(b.shown[2].text.contains("technician"), "{}", b.shown[2].text);
    let waits = b.gaps_s(Kind::Configure);
    assert!(waits[..2].iter().all(|w| (300..=360).contains(w)), "{waits:?}");
    assert!(waits.iter().all(|w| (300..=3600).contains(w)), "{waits:?}");
    assert!(waits[2..].iter().any(|w| *w > 600), "jitter spreads them: {waits:?}");
    // For ever means after a day, too.
    b.run_ms(HOUR_MS + MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Ready);
}

#[test]
fn without_a_person_it_waits_as_long_as_it_is_told() {
    let mut b = Bench::new(MORNING);
    b.run_ms(10 * HOUR_MS, &mut |_: &Seen| error(400, 3_600));
    let waits = b.gaps_s(Kind::Configure);
    assert!(waits.iter().all(|w| (3_600..=4_320).contains(w)), "{waits:?}");
}

#[test]
fn every_way_to_fail_is_named_on_the_display() {
    for (reply, words) in [
        (Reply::Silence, "no answer from the server"),
        (Reply::Raw(200, "<html>"), "unreadable"),
        (Reply::Answer(200, json!({"status": "success"})), "unreadable"),
        (Reply::Raw(500, ""), "server error"),
        (error(404, 0), "not registered"),
        (error(401, 0), "not authorised"),
        (error(403, 0), "no"),
        (Reply::Raw(418, ""), "418"),
    ] {
        let mut b = Bench::new(MORNING);
        let mut reply = Some(reply);
        b.run_ms(MINUTE_MS, &mut |_: &Seen| reply.take().unwrap());
        assert!(b.shown[0].text.contains(words), "{} has no {words}", b.shown[0].text);
        assert_eq!(b.device.state(), State::Configuring);
    }
}

/// G2: the documented body without credentials.
#[test]
fn a_claimed_device_that_lost_its_token_says_so_and_burns_by_the_schedule_it_is_given() {
    let mut b = Bench::new(MORNING);
    b.run_ms(HOUR_MS, &mut |seen: &Seen| {
        let mut body = good_body(seen);
        for credential in ["device_token", "token_expires_at", "device_secret"] {
            body.as_object_mut().unwrap().remove(credential);
        }
        Reply::Answer(200, body)
    });
    assert_eq!(b.device.state(), State::Configuring);
    assert!(b.kinds().iter().all(|k| *k == Kind::Configure));
    assert!(b.shown[0].text.contains("claimed"), "{}", b.shown[0].text);
    assert_eq!(b.lamp().1, 0, "it is morning, and the time and the schedule were in the answer");
}

#[test]
fn a_critical_controller_says_error_when_it_configures_and_is_in_error_then() {
    let mut b = Bench::new(MORNING);
    (b.sensors.critical, b.sensors.error_flags) = (true, vec!["relay_fault".into()]);
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.sent[0].json["status"], "error");
    assert_eq!(b.device.state(), State::Error);
    assert_eq!(b.shown.last().unwrap().led, Led::Red);
    assert!(!b.of(Kind::Commands).is_empty(), "it goes on polling for a remote reset");
    b.sensors = sensors();
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Ready);
    assert_eq!(b.shown.last().unwrap().led, Led::Green);
}
