//! The document's table of HTTP errors (§6), row by row.
use ccms_device::{Kind, Led, State};
use serde_json::json;

use crate::bench::*;

fn numbers(b: &Bench, kind: Kind) -> Vec<u64> {
    b.of(kind).iter().map(|s| s.json["seq"].as_u64().unwrap()).collect()
}

#[test]
fn row_200_clears_what_it_covers_and_goes_on() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.device.unsent_readings(), 0);
    assert_eq!(b.delivered.len(), 2);
}

/// I1 means *on the server's* disk: a captive portal says 200 as well.
#[test]
fn a_200_that_is_no_answer_of_this_server_covers_nothing() {
    for portal in ["<html>log in</html>", "", "[1]", "{\"status\":\"error\"}"] {
        let mut b = Bench::ready(EVENING);
        b.run_ms(3 * MINUTE_MS, &mut |_: &Seen| Reply::Raw(200, portal));
        assert_eq!(b.device.state(), State::Offline, "{portal}");
        assert!(b.delivered.is_empty());
        assert!(b.device.unsent_readings() >= 5);
        b.run_ms(10 * MINUTE_MS, &mut good);
        assert_eq!(b.device.unsent_readings(), 0);
    }
}

#[test]
fn row_400_is_logged_and_tried_once_more_and_costs_nobody_else() {
    let mut b = Bench::ready(EVENING);
    let mut first = None;
    b.run_ms(2 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Status => {
            let seq = seen.json["seq"].clone();
            if *first.get_or_insert(seq.clone()) == seq { error(400, 0) } else { good(seen) }
        }
        _ => good(seen),
    });
    let seqs = numbers(&b, Kind::Status);
    assert_eq!((seqs[0], seqs[1]), (seqs[0], seqs[0]), "once more");
    assert!(seqs[2..].iter().all(|s| *s != seqs[0]), "then never again: {seqs:?}");
    assert_eq!(b.delivered.len(), 3);
    assert_eq!(b.logs.iter().filter(|l| l.contains("400")).count(), 2);
    assert_eq!(b.device.state(), State::Ready);
}

#[test]
fn row_400_for_acknowledgements_and_alerts_is_the_same() {
    let mut b = Bench::ready(MORNING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
    b.sensors.temperature_dc = 700;
    let mut given = false;
    b.run_ms(5 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::CommandAck | Kind::Alert => error(400, 0),
        Kind::Commands if !given => {
            given = true;
            with_commands(seen, std::slice::from_ref(&command))
        }
        _ => good(seen),
    });
    assert_eq!((b.of(Kind::CommandAck).len(), b.of(Kind::Alert).len()), (2, 2));
    assert_eq!((b.device.unsent_acks(), b.device.unsent_alerts()), (0, 0));
}

#[test]
fn row_401_asks_for_a_new_token_by_configure() {
    for refused in [Kind::Status, Kind::Commands, Kind::CommandAck, Kind::Alert, Kind::Sync] {
        let mut b = Bench::ready(MORNING);
        let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
        b.sensors.temperature_dc = 700;
        let mut given = false;
        let mut serve = |seen: &Seen| match seen.kind() {
            kind if kind == refused && seen.request.token.as_deref() == Some("t1") => error(401, 0),
            Kind::Configure => {
                assert_eq!(seen.request.token.as_deref(), Some("t1"), "the old token is the proof");
                let mut body = good_body(seen);
                body["device_token"] = json!("t2");
                Reply::Answer(200, body)
            }
            Kind::Commands if !given => {
                given = true;
                with_commands(seen, std::slice::from_ref(&command))
            }
            _ => good(seen),
        };
        if refused == Kind::Sync {
            b.unreachable_ms(20 * MINUTE_MS);
        }
        b.run_ms(10 * MINUTE_MS, &mut serve);
        let states: Vec<State> = b.states.iter().map(|(_, s)| *s).collect();
        assert!(states.ends_with(&[State::Configuring, State::Ready]), "{refused:?}: {states:?}");
        assert_eq!(b.of(Kind::Configure).len(), 1, "{refused:?}");
        assert_eq!(b.device.settings().token.as_deref(), Some("t2"));
        assert_eq!((b.device.unsent_readings(), b.device.unsent_acks(), b.device.unsent_alerts()), (0, 0, 0));
    }
}

#[test]
fn a_401_that_configure_does_not_cure_is_asked_about_every_five_minutes_and_loses_nothing() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(HOUR_MS, &mut |seen: &Seen| if seen.kind() == Kind::Configure { good(seen) } else { error(401, 0) });
    assert!(b.of(Kind::Configure).len() <= 13, "{}", b.of(Kind::Configure).len());
    assert!(b.device.unsent_readings() >= 115);
    b.run_ms(10 * MINUTE_MS, &mut good);
    assert_eq!((b.device.state(), b.device.unsent_readings()), (State::Ready, 0));
}

#[test]
fn row_404_goes_to_configuring() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Configure => error(400, 300),
        _ => error(404, 0),
    });
    assert_eq!(b.device.state(), State::Configuring);
    assert_eq!(b.shown.last().unwrap().led, Led::Red);
    b.run_ms(10 * MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Ready);
}

#[test]
fn row_500_waits_30_s_three_times_then_it_is_offline() {
    for kind in [Kind::Status, Kind::Commands] {
        let mut b = Bench::ready(EVENING);
        // Slow enough that a reading is tried again alone.
        b.run_ms(6 * MINUTE_MS, &mut good_but_slow);
        b.forget();
        b.run_ms(10 * MINUTE_MS, &mut |seen: &Seen| {
            if seen.kind() == kind { error(500, 0) } else { good_but_slow(seen) }
        });
        let offline_ms = b.states.iter().find(|(_, s)| *s == State::Offline).unwrap().0;
        let tries: Vec<u64> = b.times_of(kind).into_iter().filter(|at| *at <= offline_ms).collect();
        assert_eq!(tries.len(), 4, "{kind:?}: the first and three more");
        for w in tries.windows(2) {
            assert!((30_000..=36_100).contains(&(w[1] - w[0])), "{kind:?}: {tries:?}");
        }
    }
}

fn good_but_slow(seen: &Seen) -> Reply {
    let mut body = good_body(seen);
    body["next_update_seconds"] = json!(300);
    Reply::Answer(200, body)
}

#[test]
fn row_500_honours_what_the_server_asks_for_within_reason() {
    for (asked_s, least_s, most_s) in [(5, 5, 7), (90, 90, 110), (1_000_000, 3_600, 4_330)] {
        let mut b = Bench::ready(EVENING);
        b.run_ms(3 * HOUR_MS, &mut |seen: &Seen| match seen.kind() {
            Kind::Commands => error(503, asked_s),
            _ => good(seen),
        });
        let gap = b.gaps_s(Kind::Commands)[0];
        assert!((least_s..=most_s).contains(&gap), "{asked_s}: {gap}");
    }
}

#[test]
fn row_timeout_tries_after_10_s_five_times_then_it_is_offline() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(3 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Commands => Reply::Silence,
        _ => good(seen),
    });
    let offline_ms = b.states.iter().find(|(_, s)| *s == State::Offline).unwrap().0;
    let tries: Vec<u64> = b.times_of(Kind::Commands).into_iter().filter(|at| *at < offline_ms).collect();
    assert_eq!(tries.len(), 6, "the first and five more");
    for w in tries.windows(2) {
        // The timeout itself is 5 s.
        assert!((15_000..=17_100).contains(&(w[1] - w[0])), "{tries:?}");
    }
    assert_eq!(b.shown.last().unwrap().led, Led::Yellow);
}

#[test]
fn row_403_and_others_are_no_reason_to_configure_or_to_stop() {
    for status in [403, 418, 302] {
        let mut b = Bench::ready(EVENING);
        b.run_ms(HOUR_MS, &mut |_: &Seen| error(status, 0));
        assert_eq!(b.device.state(), State::Ready, "{status}");
        assert!(b.of(Kind::Configure).is_empty());
        assert!(b.sent.len() < 2 * 120 + 370, "{}", b.sent.len());
    }
}

#[test]
fn an_answer_that_comes_too_late_is_nobodys() {
    let mut b = Bench::ready(EVENING);
    // The first status is given up, and the second is under way.
    b.run_ms(33 * SECOND_MS, &mut |seen: &Seen| if seen.kind() == Kind::Status { Reply::Silence } else { good(seen) });
    assert_eq!(b.of(Kind::Status).len(), 2);
    let first = b.of(Kind::Status)[0].clone();
    let late = ccms_device::Outcome::Answer { status: 200, body: good_body(&first).to_string().into_bytes() };
    b.handle(ccms_device::Input::Response(first.id, late));
    b.run_ms(0, &mut good);
    assert!(b.delivered.is_empty());
    b.run_ms(2 * MINUTE_MS, &mut good);
    assert!(b.delivered.len() >= 3 && b.device.unsent_readings() == 0, "it went again, under another id");
}
