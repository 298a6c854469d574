//! What is due when.
use ccms_core::reading::PowerState;
use ccms_device::{Kind, State, Technician};
use serde_json::json;

use crate::bench::*;

fn all_within(gaps_s: &[u64], least: u64, most: u64) {
    assert!(!gaps_s.is_empty() && gaps_s.iter().all(|g| (least..=most).contains(g)), "{gaps_s:?}");
}

#[test]
fn a_status_every_30_s_and_a_poll_every_10() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(HOUR_MS, &mut good);
    assert_eq!(b.times_of(Kind::Status).len(), 120);
    all_within(&b.gaps_s(Kind::Status), 30, 30);
    all_within(&b.gaps_s(Kind::Commands), 10, 10);
    assert_eq!(b.sent.len(), b.of(Kind::Status).len() + b.of(Kind::Commands).len(), "and nothing else");
}

#[test]
fn above_60_degrees_at_once_and_every_10_s() {
    let mut b = Bench::ready(EVENING);
    b.sensors.temperature_dc = 600;
    b.run_ms(2 * MINUTE_MS, &mut good);
    all_within(&b.gaps_s(Kind::Status), 30, 30);
    b.forget();
    b.sensors.temperature_dc = 601;
    let crossed_ms = b.now_ms;
    b.run_ms(2 * MINUTE_MS, &mut good);
    // The next wake-up, a poll, sees it.
    assert!(b.times_of(Kind::Status)[0] - crossed_ms <= 10 * SECOND_MS);
    all_within(&b.gaps_s(Kind::Status), 10, 10);
}

/// G33.
#[test]
fn on_a_low_battery_one_status_at_once_then_the_servers_pace_and_polls_every_60_s() {
    let mut b = Bench::ready(EVENING);
    b.sensors.battery_percent = 20;
    b.run_ms(MINUTE_MS, &mut good);
    all_within(&b.gaps_s(Kind::Commands), 10, 10);
    b.forget();
    b.sensors.battery_percent = 19;
    let mut slow = |seen: &Seen| {
        let mut body = good_body(seen);
        if seen.kind() == Kind::Status {
            body["next_update_seconds"] = json!(60);
        }
        Reply::Answer(200, body)
    };
    b.run_ms(10 * MINUTE_MS, &mut slow);
    assert!(b.times_of(Kind::Status)[0] - b.sent[0].at_ms <= 10 * SECOND_MS);
    all_within(&b.gaps_s(Kind::Status)[1..], 60, 60);
    all_within(&b.gaps_s(Kind::Commands)[1..], 60, 60);
    // Hot as well: saving power goes first.
    b.sensors.temperature_dc = 620;
    b.forget();
    b.run_ms(10 * MINUTE_MS, &mut slow);
    assert!(b.times_of(Kind::Status).len() <= 12);
}

/// G23.
#[test]
fn the_server_sets_the_pace_within_bounds() {
    let mut b = Bench::ready(EVENING);
    let mut ask = |seconds: serde_json::Value| {
        b.forget();
        b.run_ms(20 * MINUTE_MS, &mut |seen: &Seen| {
            let mut body = good_body(seen);
            body["next_poll_seconds"] = seconds.clone();
            body["next_update_seconds"] = seconds.clone();
            Reply::Answer(200, body)
        });
        let (polls, statuses) = (b.gaps_s(Kind::Commands), b.gaps_s(Kind::Status));
        (polls[polls.len() - 1], statuses[statuses.len() - 1])
    };
    assert_eq!(ask(json!(2)), (2, 5));
    assert_eq!(ask(json!(0)), (2, 5));
    assert_eq!(ask(json!(45.0)), (45, 45));
    assert_eq!(ask(json!(100_000)), (300, 300));
    assert_eq!(ask(json!("soon")).0, 10, "what is no number is none, and the pace of before stays for statuses");
}

#[test]
fn a_high_command_is_polled_for_every_2_s_until_it_is_acknowledged() {
    let mut b = Bench::ready(MORNING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on", "priority": "high"}));
    // No acknowledgement gets through for a while.
    let mut acked = false;
    b.run_ms(20 * SECOND_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::CommandAck if seen.at_ms < 28 * SECOND_MS => Reply::Silence,
        Kind::CommandAck => {
            acked = true;
            good(seen)
        }
        _ if acked => good(seen),
        _ => with_commands(seen, std::slice::from_ref(&command)),
    });
    all_within(&b.gaps_s(Kind::Commands), 2, 10);
    assert!(b.gaps_s(Kind::Commands).iter().filter(|g| **g == 2).count() >= 4, "{:?}", b.gaps_s(Kind::Commands));
}

#[test]
fn offline_polls_back_off_10_30_60_300_s_and_nothing_else_is_sent() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(30 * MINUTE_MS);
    let offline_ms = b.states.iter().find(|(_, s)| *s == State::Offline).unwrap().0;
    let probes: Vec<&Seen> = b.sent.iter().filter(|s| s.at_ms >= offline_ms).collect();
    assert!(probes.iter().all(|s| s.kind() == Kind::Commands), "{:?}", b.kinds());
    let mut before_ms = offline_ms;
    for (probe, wait_s) in probes.iter().zip([10, 30, 60, 300, 300]) {
        let waited_ms = probe.at_ms - before_ms;
        assert!((wait_s * 1000..=wait_s * 1200 + 10).contains(&waited_ms), "{wait_s}: {waited_ms}");
        // The timeout of the poll comes before the next wait.
        before_ms = probe.at_ms + 5 * SECOND_MS;
    }
    assert!(probes.len() >= 5);
}

#[test]
fn each_request_has_the_documents_timeout() {
    let kinds = |b: &Bench| b.sent.iter().map(|s| (s.kind(), s.request.timeout_s)).collect::<Vec<_>>();
    let mut b = Bench::new(MORNING);
    b.unreachable_ms(9 * SECOND_MS);
    assert_eq!(kinds(&b), [(Kind::Configure, 10)]);
    assert!(b.shown.is_empty(), "still waiting");
    b.unreachable_ms(2 * SECOND_MS);
    assert_eq!(b.shown.len(), 1);
    let mut b = Bench::ready(MORNING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
    b.sensors.temperature_dc = 700;
    b.technician(Technician::AskHealth);
    b.run_ms(20 * SECOND_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Commands => with_commands(seen, std::slice::from_ref(&command)),
        _ => Reply::Silence,
    });
    b.unreachable_ms(HOUR_MS);
    b.run_ms(10 * MINUTE_MS, &mut good);
    for (kind, timeout_s) in kinds(&b) {
        assert_eq!(timeout_s, if kind == Kind::Sync { 30 } else { 5 }, "{kind:?}");
    }
    for kind in [Kind::Sync, Kind::CommandAck, Kind::Alert, Kind::Status, Kind::Commands, Kind::Health, Kind::Logs] {
        assert!(!b.of(kind).is_empty(), "{kind:?}");
    }
}

#[test]
fn the_ladder_of_an_acknowledgement_is_0_5_15_30_s_then_it_waits_for_a_sign_of_life() {
    let mut b = Bench::ready(MORNING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
    let mut given = false;
    b.run_ms(20 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::CommandAck => error(500, 0),
        Kind::Commands if !given => {
            given = true;
            with_commands(seen, std::slice::from_ref(&command))
        }
        _ => good(seen),
    });
    let gaps = b.gaps_s(Kind::CommandAck);
    for (gap, wait_s) in gaps.iter().zip([5, 15, 30, 300, 300]) {
        assert!((wait_s..=wait_s + wait_s / 5 + 1).contains(gap), "{gaps:?}");
    }
    assert_eq!(b.device.unsent_acks(), 1);
    b.run_ms(10 * MINUTE_MS, &mut good);
    assert_eq!(b.device.unsent_acks(), 0);
}

#[test]
fn a_change_is_reported_at_once_but_a_flapping_one_is_no_flood() {
    let mut b = Bench::ready(MORNING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
    b.run_ms(15 * SECOND_MS, &mut |seen: &Seen| with_commands(seen, std::slice::from_ref(&command)));
    let (on_ms, _) = b.lamps[0];
    let told = b.of(Kind::Status).into_iter().find(|s| s.json["status"]["power_state"] == "on").unwrap();
    assert!(told.at_ms - on_ms <= 2 * SECOND_MS);
    assert_eq!(b.lamp().0, PowerState::On);
    b.forget();
    for n in 0..600 {
        b.sensors.error_flags = if n % 2 == 0 { vec!["loose_wire".into()] } else { Vec::new() };
        b.handle(ccms_device::Input::Sensors(b.sensors.clone()));
        b.run_ms(100, &mut good);
    }
    assert!((20..=32).contains(&b.of(Kind::Status).len()), "{} in a minute", b.of(Kind::Status).len());
}

#[test]
fn a_running_device_asks_for_its_settings_once_a_day() {
    let mut b = Bench::ready(MORNING);
    b.run_ms(5 * DAY_MS, &mut |seen: &Seen| {
        let mut body = good_body(seen);
        (body["next_poll_seconds"], body["next_update_seconds"]) = (json!(300), json!(300));
        if seen.kind() == Kind::Configure {
            body["config"]["sunset_time"] = json!("17:00:00");
        }
        Reply::Answer(200, body)
    });
    assert!((4..=5).contains(&b.of(Kind::Configure).len()), "{:?}", b.gaps_s(Kind::Configure));
    assert!(b.states.is_empty(), "without leaving READY: {:?}", b.states);
    assert_eq!(b.device.settings().config.as_ref().unwrap().sunset_time.to_string(), "17:00:00");
    // A refresh that fails costs nothing, and comes again in an hour or so.
    b.forget();
    b.run_ms(2 * DAY_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Configure => error(503, 30),
        _ => good(seen),
    });
    assert!(b.states.is_empty());
    assert!((12..=48).contains(&b.of(Kind::Configure).len()), "{}", b.of(Kind::Configure).len());
}
