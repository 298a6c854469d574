//! Whatever a server answers, however often the power fails and whatever a technician does: the device keeps its promises.
use std::collections::BTreeMap;

use ccms_device::{Kind, State, Technician, Why};
use proptest::prelude::*;
use serde_json::json;

use crate::bench::*;

#[derive(Debug, Clone)]
enum Mood {
    Good,
    Orders(u8),
    Garbage(&'static str),
    Status(u16),
    /// Asks for a wait and a pace.
    Asks(u32),
    /// Gives another token, or none.
    Token(bool),
    /// Tells another time, in seconds from the true one.
    Time(i64),
    Silent,
    PowerCut,
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Good),
        3 => (0_u8..8).prop_map(Mood::Orders),
        1 => prop::sample::select(vec!["<html>", "", "[]", "{}", "{\"status\":\"error\"}", "{\"commands\":7}"]).prop_map(Mood::Garbage),
        3 => prop::sample::select(vec![400, 401, 403, 404, 418, 500, 503, 302]).prop_map(Mood::Status),
        1 => prop::sample::select(vec![0, 1, 30, 300, 86_400, u32::MAX]).prop_map(Mood::Asks),
        1 => any::<bool>().prop_map(Mood::Token),
        1 => Just(Mood::Time(0)),
        3 => Just(Mood::Silent),
        1 => Just(Mood::PowerCut),
    ]
}

fn any_mood() -> impl Strategy<Value = Mood> {
    prop_oneof![8 => mood(), 1 => (-400_000_i64..400_000).prop_map(Mood::Time)]
}

#[derive(Debug, Clone, Copy)]
enum Hand {
    Nothing,
    Lock,
    Release,
    Health,
    Restart,
    Hot,
    Critical,
    Calm,
}

fn hand() -> impl Strategy<Value = Hand> {
    prop::sample::select(vec![
        Hand::Nothing,
        Hand::Nothing,
        Hand::Lock,
        Hand::Release,
        Hand::Health,
        Hand::Restart,
        Hand::Hot,
        Hand::Critical,
        Hand::Calm,
    ])
}

/// For each command, what was said of it.
type Told = BTreeMap<String, Vec<String>>;

fn answer(mood: Mood, seen: &Seen, told: &mut Told) -> Reply {
    let acks = match seen.kind() {
        Kind::CommandAck => vec![seen.json.clone()],
        Kind::Sync => seen.json["acks"].as_array().cloned().unwrap_or_default(),
        _ => Vec::new(),
    };
    for ack in acks {
        let id = ack["command_id"].as_str().unwrap().to_owned();
        told.entry(id).or_default().push(format!("{} {}", ack["status"], ack["execution_timestamp"]));
    }
    let mut body = good_body(seen);
    match mood {
        Mood::Good => {}
        Mood::Orders(n) => {
            let end = seen.utc.plus_seconds(900).to_string();
            // The same few ids again and again: redelivery.
            let commands = json!([
                {"command_id": format!("CMD_{n}"), "command_type": "brightness_control", "priority": "high",
                 "brightness_level": 40 + n, "requested_at": seen.utc.to_string(), "expires_at": end},
                {"command_id": format!("CMD_X{n}"), "command_type": "dance", "priority": "high"},
                {"command_id": format!("CMD_R{}", n % 2), "command_type": "device_reset", "expires_at": end},
                {"no": "id"}, 7
            ]);
            if seen.kind() == Kind::Commands {
                body["commands"] = commands;
            }
        }
        Mood::Garbage(text) => return Reply::Raw(200, text),
        Mood::Status(status) => return Reply::Raw(status, "{}"),
        Mood::Asks(seconds) => {
            body["next_update_seconds"] = json!(seconds);
            body["next_poll_seconds"] = json!(seconds);
            if seen.id.0.is_multiple_of(2) {
                return error(503, seconds);
            }
        }
        Mood::Token(true) => body["device_token"] = json!(format!("t{}", seen.at_ms)),
        Mood::Token(false) => {
            body.as_object_mut().unwrap().remove("device_token");
        }
        Mood::Time(wrong_s) => body["server_timestamp"] = json!(seen.utc.plus_seconds(wrong_s).to_string()),
        Mood::Silent => return Reply::Silence,
        Mood::PowerCut => return Reply::PowerCut,
    }
    Reply::Answer(200, body)
}

/// Four hours of it, with somebody at the pole every ten minutes.
fn four_hours(b: &mut Bench, moods: Vec<Mood>, hands: &[Hand]) -> Result<Told, TestCaseError> {
    let (mut told, mut moods) = (Told::new(), moods.into_iter());
    for n in 0..24 {
        match hands.get(n).unwrap_or(&Hand::Nothing) {
            Hand::Nothing => {}
            Hand::Lock => b.technician(Technician::Lock { holder: "Asha".into() }),
            Hand::Release => b.technician(Technician::Release { by: "Asha".into() }),
            Hand::Health => b.technician(Technician::AskHealth),
            Hand::Restart => b.technician(Technician::Restart),
            Hand::Hot => b.sensors.temperature_dc = 700,
            Hand::Critical => b.sensors.critical = true,
            Hand::Calm => b.sensors = sensors(),
        }
        b.run_ms(10 * MINUTE_MS, &mut |seen: &Seen| answer(moods.next().unwrap_or(Mood::Silent), seen, &mut told));
        prop_assert!(
            b.device.wake_at().is_some_and(|(_, why)| why != Why::PowerOn || b.device.state() == State::PowerOn)
        );
    }
    Ok(told)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn promises_hold_under_any_answers(
        moods in prop::collection::vec(mood(), 0..500),
        hands in prop::collection::vec(hand(), 0..24),
        network_time in any::<bool>(),
    ) {
        let answered = moods.len();
        let mut b = Bench::with(EVENING, config(), Default::default(), network_time.then_some(0));
        let told = four_hours(&mut b, moods, &hands)?;
        // I8: every retry is bounded. A poll each 10 s and a status each 10 s are the most, and moods run out into silence.
        prop_assert!(b.sent.len() < answered + 4 * 400, "{} requests for {answered} answers", b.sent.len());
        // I5.
        prop_assert_eq!(b.dark_ms, 0);
        // I2: every acknowledgement of a command tells of the same execution.
        for (id, said) in &told {
            prop_assert!(said.iter().all(|s| s == &said[0]), "{}: {:?}", id, said);
        }
        prop_assert!(b.restarts as usize <= 2 + hands.len());
        prop_assert!(b.device.unsent_acks() <= 100 && b.device.unsent_alerts() <= 100);
        prop_assert!(b.device.unsent_readings() <= 1_080);
        // And when all is well again, all is well again: at the latest after the longest wait there is.
        b.sensors = sensors();
        b.technician(Technician::Release { by: "Asha".into() });
        b.run_ms(150 * MINUTE_MS, &mut good);
        prop_assert_eq!(b.device.state(), State::Ready);
        prop_assert!(b.device.unsent_readings() <= 1, "the newest may be under way");
        prop_assert_eq!((b.device.unsent_acks(), b.device.unsent_alerts()), (0, 0));
        // I9: no reading was delivered twice, by time and number, and no number had two times.
        let mut times: BTreeMap<u32, Vec<_>> = BTreeMap::new();
        b.delivered.iter().for_each(|(at, seq)| times.entry(*seq).or_default().push(*at));
        prop_assert!(times.values().all(|t| t.iter().all(|at| *at == t[0])));
    }

    /// Clocks that jump by days in both directions: nothing spins, stalls, or grows.
    #[test]
    fn clocks_may_jump(moods in prop::collection::vec(any_mood(), 0..500), hands in prop::collection::vec(hand(), 0..24)) {
        let mut b = Bench::new(EVENING);
        let answered = moods.len();
        four_hours(&mut b, moods, &hands)?;
        prop_assert!(b.sent.len() < answered + 4 * 400);
        b.sensors = sensors();
        b.technician(Technician::Release { by: "Asha".into() });
        b.run_ms(150 * MINUTE_MS, &mut good);
        prop_assert_eq!(b.device.state(), State::Ready);
        prop_assert!(b.device.unsent_readings() <= 1, "the newest may be under way");
    }

    #[test]
    fn unreachable_from_any_hour_on_it_follows_the_night_it_knows(start_hour in 0_i64..24, answers in 2_usize..60) {
        let start = MORNING.plus_seconds(start_hour * 3_600);
        let mut b = Bench::with(start, config(), Default::default(), Some(0));
        let mut left = answers;
        b.run_ms(30 * HOUR_MS, &mut |seen: &Seen| {
            left = left.saturating_sub(1);
            if left > 0 { good(seen) } else { Reply::Silence }
        });
        prop_assert_eq!(b.dark_ms, 0);
        prop_assert!(b.lamps.iter().any(|(_, l)| l.brightness_percent == 0), "a day lies in every 30 hours");
    }
}
