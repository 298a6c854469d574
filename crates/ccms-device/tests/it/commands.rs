//! §3: what is asked is done once, in time, and ends.
use std::collections::BTreeMap;

use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_device::{Kind, State};
use serde_json::{Value, json};

use crate::bench::*;

/// Hands out `commands` until each is acknowledged, as the server does.
struct Orders {
    pending: Vec<Value>,
    acks: Vec<(String, String, String)>,
}

impl Orders {
    fn new(pending: Vec<Value>) -> Self {
        Self { pending, acks: Vec::new() }
    }

    fn answer(&mut self, seen: &Seen) -> Reply {
        let acks = match seen.kind() {
            Kind::CommandAck => vec![seen.json.clone()],
            Kind::Sync => seen.json["acks"].as_array().cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        for ack in acks {
            let text = |name: &str| ack[name].as_str().unwrap().to_owned();
            self.pending.retain(|c| c["command_id"] != ack["command_id"]);
            self.acks.push((text("command_id"), text("status"), text("execution_timestamp")));
        }
        with_commands(seen, &self.pending)
    }

    fn statuses(&self) -> Vec<(&str, &str)> {
        self.acks.iter().map(|(id, status, _)| (id.as_str(), status.as_str())).collect()
    }
}

fn power(id: &str, at: UtcMillis, action: &str) -> Value {
    order(id, at, json!({"command_type": "power_control", "action": action}))
}

fn dim(id: &str, at: UtcMillis, percent: u8) -> Value {
    order(id, at, json!({"command_type": "brightness_control", "brightness_level": percent}))
}

#[test]
fn the_documents_three_commands_are_executed_in_their_order_and_acknowledged() {
    let mut b = Bench::ready(MORNING);
    let now = b.utc();
    let schedule = json!({"command_type": "schedule_update", "schedule": {"enabled": true,
        "sunrise_time": "06:30:00", "sunset_time": "18:00:00"}});
    let mut orders =
        Orders::new(vec![power("CMD_001", now, "on"), dim("CMD_002", now, 75), order("CMD_003", now, schedule)]);
    b.run_ms(12 * SECOND_MS, &mut |seen| orders.answer(seen));
    assert_eq!(orders.statuses(), [("CMD_001", "executed"), ("CMD_002", "executed"), ("CMD_003", "executed")]);
    assert_eq!(b.lamp(), (PowerState::On, 75));
    assert_eq!(b.device.settings().config.as_ref().unwrap().sunset_time.to_string(), "18:00:00");
    let result = &b.of(Kind::CommandAck)[0].json["result"];
    assert_eq!((&result["new_state"], &result["actual_brightness"]), (&json!("on"), &json!(100)));
    b.run_ms(3 * SECOND_MS, &mut |seen| orders.answer(seen));
    assert_eq!(b.of(Kind::Status).last().unwrap().json["status"]["brightness"], 75, "and a status tells of it");
}

#[test]
fn both_spellings_are_read_and_what_it_cannot_do_costs_nobody_else() {
    let mut b = Bench::ready(MORNING);
    let now = b.utc();
    let mut orders = Orders::new(vec![
        json!({"id": "A", "type": "power_control", "action": "on", "timestamp": now.to_string()}),
        order("B", now, json!({"command_type": "dance"})),
        order("C", now, json!({"command_type": "power_control"})),
        order("D", now, json!({"command_type": "brightness_control", "brightness_level": 300})),
        json!({"no": "id"}),
        json!(7),
        order(
            "E",
            now,
            json!({"command_type": "brightness_control", "brightness_level": 40.0, "priority": 9,
            "requested_at": "once", "revert_after_seconds": "never"}),
        ),
    ]);
    // The pseudocode's spelling has no command_id to compare.
    b.run_ms(12 * SECOND_MS, &mut |seen| {
        let reply = orders.answer(seen);
        let acked: Vec<String> = orders.acks.iter().map(|(id, ..)| id.clone()).collect();
        orders.pending.retain(|c| !acked.iter().any(|id| c["id"] == id.as_str()));
        reply
    });
    let statuses: BTreeMap<&str, &str> = orders.statuses().into_iter().collect();
    let expected = [("A", "executed"), ("B", "rejected"), ("C", "rejected"), ("D", "rejected"), ("E", "executed")];
    assert_eq!(statuses, expected.into_iter().collect());
    assert_eq!(b.lamp(), (PowerState::On, 40));
}

/// G18, I3. Decided by the server's clock in the same answer, however wrong the device's is.
#[test]
fn an_expired_command_is_not_executed_and_a_wrong_clock_expires_nothing() {
    for wrong_s in [None, Some(0), Some(-40_000), Some(40_000)] {
        let mut b = Bench::with(MORNING, config(), Default::default(), wrong_s);
        b.run_ms(15 * SECOND_MS, &mut good);
        let now = b.utc();
        let unreadable =
            order("C", now, json!({"command_type": "power_control", "action": "on", "expires_at": "soon"}));
        let mut orders = Orders::new(vec![dim("A", now.plus_seconds(-900), 5), dim("B", now, 55), unreadable]);
        b.run_ms(12 * SECOND_MS, &mut |seen| orders.answer(seen));
        assert_eq!(orders.statuses(), [("A", "expired"), ("B", "executed"), ("C", "expired")], "{wrong_s:?}");
        assert!(b.lamps.iter().all(|(_, l)| l.brightness_percent != 5));
    }
}

/// G17, I2: over every power cut there is. The power fails before each single output from the poll's answer on, until the run
/// is so short that nothing is left to cut.
#[test]
fn one_effect_per_id_wherever_the_power_fails() {
    let mut cuts = 0;
    for cut in 0.. {
        let mut b = Bench::ready(MORNING);
        let mut orders = Orders::new(vec![dim("CMD_A", b.utc(), 60), power("CMD_B", b.utc(), "on")]);
        b.cut_before_output = Some(b.outputs() + cut);
        b.run_ms(8 * MINUTE_MS, &mut |seen| orders.answer(seen));
        if b.cut_before_output.is_some() {
            break;
        }
        b.run_ms(MINUTE_MS, &mut |seen| orders.answer(seen));
        cuts += 1;
        let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        orders.acks.iter().for_each(|(id, s, at)| told.entry(id).or_default().push(format!("{s} {at}")));
        assert_eq!(told.len(), 2, "cut before output {cut}: both are done in the end");
        assert!(told.values().all(|t| t.iter().all(|s| *s == t[0])), "cut before output {cut}: {told:?}");
        assert_eq!(b.lamp(), (PowerState::On, 60), "cut before output {cut}");
        assert!(b.device.settings().remembered.len() == 2 && b.device.unsent_acks() == 0);
        if cuts > 150 {
            break;
        }
    }
    assert!(cuts > 60, "{cuts}");
}

#[test]
fn a_command_that_comes_again_is_acknowledged_again_and_not_done_again() {
    let mut b = Bench::ready(MORNING);
    let command = dim("CMD_A", b.utc(), 60);
    let other = dim("CMD_B", b.utc(), 80);
    let mut n = 0;
    b.run_ms(2 * MINUTE_MS, &mut |seen: &Seen| {
        n += u32::from(seen.kind() == Kind::Commands);
        // A, then B, then A for ever: its acknowledgement never reached the server.
        with_commands(seen, std::slice::from_ref(if n == 2 { &other } else { &command }))
    });
    let acks = b.of(Kind::CommandAck);
    assert!(acks.len() > 5);
    let of_a: Vec<&Value> = acks.iter().filter(|s| s.json["command_id"] == "CMD_A").map(|s| &s.json).collect();
    assert!(of_a.iter().all(|a| a["execution_timestamp"] == of_a[0]["execution_timestamp"]));
    assert_eq!(b.device.settings().manual.brightness.unwrap().0, 80, "B came after A, and A is not done again");
    assert_eq!(b.device.settings().remembered.len(), 2);
}

#[test]
fn the_last_256_ids_are_remembered() {
    let mut b = Bench::ready(MORNING);
    let mut n = 0;
    b.run_ms(40 * MINUTE_MS, &mut |seen: &Seen| {
        let command = dim(&format!("CMD_{n}"), seen.utc, (n % 50 + 40) as u8);
        let command_next = dim(&format!("CMD_{}", n + 1), seen.utc, 50);
        n += if seen.kind() == Kind::Commands { 2 } else { 0 };
        with_commands(seen, &[command, command_next])
    });
    assert!(n > 400);
    let remembered = &b.device.settings().remembered;
    assert_eq!(remembered.len(), 256);
    assert!(remembered.back().unwrap().id.as_str() > "CMD_4");
}

/// G24.
#[test]
fn an_override_ends_by_itself_when_it_says_and_a_dark_night_within_the_hour() {
    let run = |start, what: Value| {
        let mut b = Bench::ready(start);
        let began_ms = b.now_ms;
        let mut orders = Orders::new(vec![order("CMD_1", b.utc(), what)]);
        b.run_ms(14 * HOUR_MS, &mut |seen| orders.answer(seen));
        (
            b.lamps.iter().map(|(at, l)| ((at - began_ms) / MINUTE_MS, l.brightness_percent)).collect::<Vec<_>>(),
            b.dark_ms,
        )
    };
    let off = |revert: Value| {
        let mut what = json!({"command_type": "power_control", "action": "off"});
        if !revert.is_null() {
            what["revert_after_seconds"] = revert;
        }
        what
    };
    let (told, _) = run(EVENING, off(json!(300)));
    assert_eq!((told[0].1, told[1]), (0, (told[0].0 + 5, 100)));
    let (alone, dark_ms) = run(EVENING, off(Value::Null));
    assert_eq!((alone[0].1, alone[1]), (0, (alone[0].0 + 60, 100)), "an hour at most");
    assert!(dark_ms <= HOUR_MS + 2 * SECOND_MS);
    let (dimmed, _) = run(EVENING, json!({"command_type": "brightness_control", "brightness_level": 29}));
    assert_eq!(dimmed[1], (dimmed[0].0 + 60, 100));
    let (half, _) = run(EVENING, json!({"command_type": "brightness_control", "brightness_level": 50}));
    assert_eq!(half.iter().map(|(_, percent)| *percent).collect::<Vec<_>>(), [50, 0], "until sunrise");
    let (by_day, dark_ms) = run(MORNING, off(Value::Null));
    assert_eq!(by_day.last().unwrap().1, 100, "sunset ends it: {by_day:?}");
    assert!(dark_ms <= 2 * SECOND_MS, "the server's time has whole seconds: {dark_ms}");
}

#[test]
fn an_override_outlives_a_restart_only_if_the_time_is_known() {
    let mut b = Bench::ready(EVENING);
    let mut orders = Orders::new(vec![order(
        "CMD_1",
        b.utc(),
        json!({"command_type": "power_control", "action": "off",
        "revert_after_seconds": 7200}),
    )]);
    b.run_ms(15 * SECOND_MS, &mut |seen| orders.answer(seen));
    assert_eq!(b.lamp().0, PowerState::Off);
    b.cut_power(SECOND_MS);
    b.unreachable_ms(MINUTE_MS);
    assert_eq!(b.lamp().0, PowerState::On, "nobody can say how long ago that was");
    b.run_ms(6 * MINUTE_MS, &mut good);
    assert_eq!(b.lamp().0, PowerState::Off, "now somebody can, and it goes on for its two hours");
    b.run_ms(2 * HOUR_MS, &mut good);
    assert_eq!(b.lamp().0, PowerState::On);
}

/// G45: once, whatever is redelivered, and not twice within the hour.
#[test]
fn a_remote_reset_restarts_once_an_hour_and_its_acknowledgement_survives_it() {
    let mut b = Bench::ready(EVENING);
    let reset = |id: &str, at| order(id, at, json!({"command_type": "device_reset"}));
    let mut orders = Orders::new(vec![reset("R1", b.utc()), dim("D1", b.utc(), 70)]);
    b.run_ms(5 * MINUTE_MS, &mut |seen| orders.answer(seen));
    assert_eq!(b.restarts, 1);
    assert_eq!(orders.statuses(), [("R1", "executed"), ("D1", "executed")], "what came with it comes again");
    assert_eq!(b.device.state(), State::Ready);
    assert!(b.states.iter().any(|(_, s)| *s == State::PowerOff));
    orders.pending.push(reset("R2", b.utc()));
    b.run_ms(5 * MINUTE_MS, &mut |seen| orders.answer(seen));
    assert_eq!((b.restarts, orders.statuses()[2]), (1, ("R2", "rejected")));
    b.run_ms(HOUR_MS, &mut good);
    orders.pending.push(reset("R3", b.utc()));
    b.run_ms(5 * MINUTE_MS, &mut |seen| orders.answer(seen));
    assert_eq!((b.restarts, orders.statuses()[3]), (2, ("R3", "executed")));
}

#[test]
fn a_reset_reaches_a_controller_in_error() {
    let mut b = Bench::ready(EVENING);
    (b.sensors.critical, b.sensors.error_flags) = (true, vec!["relay_fault".into()]);
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Error);
    let mut orders = Orders::new(vec![order("R1", b.utc(), json!({"command_type": "device_reset"}))]);
    b.run_ms(MINUTE_MS, &mut |seen| orders.answer(seen));
    assert_eq!(b.restarts, 1);
}
