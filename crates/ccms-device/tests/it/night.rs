//! I5: unknown or offline at night means ON. And G14, how far a clock is believed, because a wrong clock is a dark street.
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_device::{Kind, State};
use serde_json::json;

use crate::bench::*;

#[test]
fn forty_eight_hours_without_server_flash_and_clock_have_no_dark_minute() {
    for start_hour in 0..24 {
        let mut b = Bench::new(MORNING.plus_seconds(start_hour * 3_600));
        b.unreachable_ms(48 * HOUR_MS);
        assert_eq!(b.lamps.len(), 1, "it burns from the first moment on");
        assert_eq!((b.lamp(), b.dark_ms), ((PowerState::On, 100), 0));
        assert!((40..=150).contains(&b.sent.len()), "{} calls in two days", b.sent.len());
    }
}

#[test]
fn offline_for_days_it_follows_the_nights_it_knows_across_midnight() {
    let mut b = Bench::ready(MORNING);
    b.unreachable_ms(5 * DAY_MS);
    let switched: Vec<(String, PowerState)> = b.lamps.iter().map(|(at, l)| (local(&b, *at), l.power)).collect();
    assert_eq!(switched.len(), 10, "{switched:?}");
    for (time, power) in switched {
        let expected = if power == PowerState::On { "18:30:0" } else { "06:00:0" };
        assert!(time.starts_with(expected), "{power:?} at {time}");
    }
    assert!(b.dark_ms <= 5 * 2 * SECOND_MS, "the server's time has whole seconds: {}", b.dark_ms);
}

fn local(b: &Bench, at_ms: u64) -> String {
    ccms_core::time::TimeOfDay::at(UtcMillis(b.start.0 + at_ms as i64), OFFSET_MINUTES).to_string()
}

#[test]
fn a_restart_without_network_burns_until_somebody_tells_the_time() {
    let mut b = Bench::ready(MORNING);
    assert_eq!(b.lamp().0, PowerState::Off);
    b.cut_power(5 * DAY_MS);
    b.unreachable_ms(22 * HOUR_MS);
    assert_eq!((b.lamp().0, b.lamps.len()), (PowerState::On, 1), "flash knows a schedule and a time, but not today's");
    b.run_ms(HOUR_MS + MINUTE_MS, &mut good);
    assert_eq!(b.lamp().0, PowerState::Off);
}

/// What was ordered under a wrong time ends when it would have ended, and what was ordered by a day that was none darkens no night.
#[test]
fn a_clock_that_is_put_right_leaves_no_street_dark() {
    for wrong_h in [-30, -10, -5, -1, 1, 5, 9, 40] {
        for cut in [false, true] {
            let mut b = Bench::with(EVENING, config(), Default::default(), Some(wrong_h * 3_600));
            b.run_ms(15 * SECOND_MS, &mut good);
            let off = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "off"}));
            let dim = order("CMD_2", b.utc(), json!({"command_type": "brightness_control", "brightness_level": 5}));
            b.run_ms(20 * SECOND_MS, &mut |seen: &Seen| with_commands(seen, &[off.clone(), dim.clone()]));
            assert_eq!(b.lamp().0, PowerState::Off, "{wrong_h}");
            (b.network_time, b.dark_ms) = (Some(0), 0);
            b.run_ms(SECOND_MS, &mut good);
            if cut {
                b.cut_power(SECOND_MS);
            }
            b.run_ms(10 * HOUR_MS, &mut good);
            assert!(b.dark_ms <= HOUR_MS + MINUTE_MS, "{wrong_h} h wrong: dark for {} min", b.dark_ms / MINUTE_MS);
            assert_eq!(b.lamp(), (PowerState::On, 100), "{wrong_h}");
        }
    }
}

/// The legal time moves, and with it the night: the daily refresh brings it.
#[test]
fn a_new_legal_time_arrives_within_a_day_or_so() {
    let mut b = Bench::ready(MORNING);
    b.run_ms(2 * DAY_MS, &mut |seen: &Seen| {
        let mut body = good_body(seen);
        if seen.kind() == Kind::Configure {
            body["config"]["utc_offset_minutes"] = json!(OFFSET_MINUTES + 60);
        }
        Reply::Answer(200, body)
    });
    let evening = b.lamps.iter().rev().find(|(_, l)| l.power == PowerState::On).unwrap().0;
    assert!(local(&b, evening).starts_with("17:30:0"), "{}", local(&b, evening));
}

#[test]
fn a_server_without_a_zone_means_the_suns_own_time() {
    let mut b = Bench::new(MORNING);
    b.run_ms(DAY_MS, &mut |seen: &Seen| {
        let mut body = good_body(seen);
        if seen.kind() == Kind::Configure {
            body["config"].as_object_mut().unwrap().remove("utc_offset_minutes");
        }
        Reply::Answer(200, body)
    });
    // 77.2 degrees east are 309 minutes: 21 behind Delhi's legal time.
    let evening = b.lamps.iter().rev().find(|(_, l)| l.power == PowerState::On).unwrap().0;
    assert!(local(&b, evening).starts_with("18:51:0"), "{}", local(&b, evening));
}

/// G14.
#[test]
fn one_unproven_answer_moves_no_clock_by_more_than_a_day() {
    // Flash with a stored time and no token: whoever answers its configure proves nothing.
    let mut b = Bench::ready(EVENING);
    b.saved.settings.token = None;
    let stored = b.saved.settings.last_utc;
    let claim = |at: UtcMillis| {
        move |seen: &Seen| {
            let mut body = good_body(seen);
            body.as_object_mut().unwrap().remove("device_token");
            body["server_timestamp"] = json!(at.to_string());
            Reply::Answer(200, body)
        }
    };
    b.cut_power(SECOND_MS);
    b.run_ms(MINUTE_MS, &mut claim(stored.plus_seconds(-2 * 86_400)));
    assert_eq!(b.device.known_time(b.uptime()), None, "a clock does not run backwards");
    assert_eq!(b.lamp().0, PowerState::On);
    b.run_ms(6 * MINUTE_MS, &mut claim(stored.plus_seconds(3_600)));
    let known = b.device.known_time(b.uptime()).unwrap();
    assert!((known.since(stored) / 1000 - 3_600).abs() < 600);
    b.run_ms(HOUR_MS, &mut claim(stored.plus_seconds(3 * 86_400)));
    assert!(b.device.known_time(b.uptime()).unwrap().since(stored) < 86_400_000, "no jump on a forged answer");
    // With a token it believes.
    b.run_ms(2 * HOUR_MS, &mut good);
    assert!(b.device.known_time(b.uptime()).unwrap().since(b.utc()).abs() < 5_000);
}

#[test]
fn times_before_the_build_date_and_unreadable_ones_are_no_times() {
    for time in [json!("1970-01-01T00:00:10Z"), json!("2020-01-01T00:00:00Z"), json!("noon"), json!(null)] {
        let mut b = Bench::ready(EVENING);
        let before = b.device.known_time(b.uptime()).unwrap();
        b.run_ms(10 * MINUTE_MS, &mut |seen: &Seen| {
            let mut body = good_body(seen);
            body["server_timestamp"] = time.clone();
            Reply::Answer(200, body)
        });
        assert_eq!(b.device.known_time(b.uptime()).unwrap().since(before), 600_000, "{time}");
        assert_eq!(b.device.state(), State::Ready);
    }
}

/// I9: one reading under two times would count twice.
#[test]
fn what_was_dated_without_a_clock_is_dated_again_once_in_flash_too_before_it_is_sent() {
    let mut b = Bench::ready(EVENING);
    b.cut_power(7 * DAY_MS);
    b.sensors.battery_percent = 9;
    b.unreachable_ms(2 * HOUR_MS);
    let floor = b.saved.readings.iter().next().unwrap().at;
    assert!(b.utc().since(floor) > 6 * 86_400_000, "dated by the time of the last write");
    // The way opens; the sync's answer is lost, and then the power.
    b.forget();
    let mut cut = false;
    b.run_ms(2 * HOUR_MS, &mut |seen: &Seen| {
        if seen.kind() == Kind::Sync && !std::mem::replace(&mut cut, true) { Reply::PowerCut } else { good(seen) }
    });
    let readings = |s: &Seen| s.json["readings"].as_array().unwrap().clone();
    let (first, again) = (b.of(Kind::Sync)[0].clone(), b.of(Kind::Sync)[1].clone());
    let (sent, sent_again) = (readings(&first), readings(&again));
    assert!(sent.len() > 200);
    for reading in &sent {
        let twin = sent_again.iter().find(|r| r["seq"] == reading["seq"]).unwrap();
        assert_eq!(twin["timestamp"], reading["timestamp"]);
        let at = UtcMillis::parse_lenient(reading["timestamp"].as_str().unwrap()).unwrap();
        assert!(at.0 >= b.start.0 + 7 * DAY_MS as i64 && at < b.utc(), "{at}");
    }
    let alert = &first.json["alerts"][0];
    let at = UtcMillis::parse_lenient(alert["timestamp"].as_str().unwrap()).unwrap();
    assert!(at.0 >= b.start.0 + 7 * DAY_MS as i64, "alerts as well: {at}");
}

#[test]
fn network_time_goes_before_the_servers_and_the_server_helps_where_there_is_none() {
    let mut b = Bench::with(MORNING, config(), Default::default(), Some(0));
    let mut wrong = |seen: &Seen| {
        let mut body = good_body(seen);
        body["server_timestamp"] = json!(seen.utc.plus_seconds(5_000).to_string());
        Reply::Answer(200, body)
    };
    b.run_ms(MINUTE_MS, &mut wrong);
    assert_eq!(b.device.known_time(b.uptime()), Some(b.utc()));
    b.network_time = None;
    b.run_ms(MINUTE_MS, &mut wrong);
    assert!((b.device.known_time(b.uptime()).unwrap().since(b.utc()) - 5_000_000).abs() < 5_000);
}
