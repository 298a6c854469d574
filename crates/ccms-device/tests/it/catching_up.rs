//! §7: three stores that do not push each other out, the order of catching up, and what is packed.
use std::collections::BTreeSet;
use std::io::Write;

use ccms_device::config::{COMPRESS_ABOVE_BYTES, READINGS_PER_SYNC};
use ccms_device::{Kind, State};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::bench::*;

fn packed(body: &[u8]) -> usize {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap().len()
}

/// Values that move as those of a real lamp do.
fn breathe(b: &mut Bench, n: u64) {
    let s = &mut b.sensors;
    (s.voltage_dv, s.frequency_chz) = (2_290 + (n * 7_919 % 31) as u16, 4_997 + (n * 104_729 % 7) as u16);
    (s.power_dw, s.current_ma) = (598 + (n * 15_485_863 % 9) as u32, 259 + (n * 32_452_843 % 5) as u32);
    (s.temperature_dc, s.signal_percent) = (412 + (n * 49_979_687 % 11) as i16, 70 + (n * 67_867_967 % 5) as u8);
    s.energy_wh = 1_245_670 + n as i64 / 2;
}

#[test]
fn three_hours_offline_bring_exactly_360_readings_once_in_the_documents_order_packed() {
    let mut b = Bench::ready(EVENING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "brightness_control", "brightness_level": 40}));
    let mut given = false;
    // A command is executed and an alert raised; neither gets through before the outage.
    b.sensors.battery_percent = 9;
    b.run_ms(14 * SECOND_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Commands if !given => {
            given = true;
            with_commands(seen, std::slice::from_ref(&command))
        }
        Kind::CommandAck | Kind::Alert => Reply::Silence,
        _ => good(seen),
    });
    assert_eq!(b.device.unsent_readings(), 0);
    let taken = b.delivered.len();
    for n in 0..3 * 120 {
        breathe(&mut b, n);
        b.unreachable_ms(30 * SECOND_MS);
    }
    assert_eq!(b.delivered.len(), taken);
    assert_eq!((b.device.unsent_acks(), b.device.unsent_alerts()), (1, 1));
    let cached: BTreeSet<u32> = b.saved.readings.iter().map(|s| s.seq).collect();
    assert_eq!((cached.len(), b.device.unsent_readings()), (360, 360));
    b.forget();
    b.run_ms(10 * MINUTE_MS, &mut good);
    let arrived: Vec<u32> = b.delivered.iter().map(|(_, seq)| *seq).filter(|seq| cached.contains(seq)).collect();
    assert_eq!(arrived.len(), 360);
    assert_eq!(arrived.into_iter().collect::<BTreeSet<_>>(), cached, "each once");
    // One request, and before it nothing but the probe.
    assert_eq!(&b.kinds()[..2], [Kind::Commands, Kind::Sync]);
    assert_eq!((b.of(Kind::Sync).len(), b.of(Kind::CommandAck).len(), b.of(Kind::Alert).len()), (1, 0, 0));
    let sync = b.of(Kind::Sync)[0];
    let text = std::str::from_utf8(&sync.request.body).unwrap();
    let places: Vec<usize> = ["\"acks\":", "\"alerts\":", "\"status\":{\"device_id\"", "\"readings\":", "\"logs\":"]
        .map(|s| text.find(s).unwrap())
        .into();
    assert!(places.is_sorted(), "acks, alerts, status, readings, logs: {places:?}");
    assert_eq!((sync.count("acks"), sync.count("alerts")), (1, 1));
    assert!((360..375).contains(&sync.count("readings")), "and those of the wait for the probe");
    let times: Vec<&str> =
        sync.json["readings"].as_array().unwrap().iter().map(|r| r["timestamp"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && sync.json["status"]["timestamp"].as_str().unwrap() > *times.last().unwrap());
    let mut of_outage = sync.json.clone();
    of_outage["readings"].as_array_mut().unwrap().truncate(360);
    let body = of_outage.to_string().into_bytes();
    let (plain, gzip) = (body.len(), packed(&body));
    println!("a sync of 360 readings: {plain} bytes plain, {gzip} packed");
    assert!(sync.request.compress && plain > COMPRESS_ABOVE_BYTES);
    assert!((5_000..8_000).contains(&gzip), "{gzip}");
    assert_eq!((b.device.unsent_readings(), b.device.unsent_acks(), b.device.unsent_alerts()), (0, 0, 0));
    // An ordinary status is not worth packing.
    assert!(b.of(Kind::Status).iter().all(|s| !s.request.compress));
}

/// G28.
#[test]
fn readings_push_out_readings_and_nothing_else() {
    let mut b = Bench::ready(EVENING);
    let mut n = 0;
    b.sensors.temperature_dc = 700;
    // A hundred and ten commands are executed while no acknowledgement gets through.
    b.run_ms(HOUR_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::CommandAck | Kind::Alert => error(500, 0),
        Kind::Commands if n < 110 => {
            n += 1;
            let what = json!({"command_type": "brightness_control", "brightness_level": 40 + n % 50});
            with_commands(seen, &[order(&format!("CMD_{n}"), seen.utc, what)])
        }
        _ => good(seen),
    });
    assert_eq!((b.device.unsent_acks(), b.device.unsent_alerts()), (100, 1), "the oldest are given up");
    b.unreachable_ms(8 * HOUR_MS);
    assert_eq!(b.device.unsent_readings(), 1_080);
    assert_eq!((b.device.unsent_acks(), b.device.unsent_alerts()), (100, 1));
    // Flash says the same, over a power cut.
    b.cut_power(SECOND_MS);
    assert_eq!((b.device.unsent_readings(), b.device.unsent_acks(), b.device.unsent_alerts()), (1_080, 100, 1));
    b.forget();
    b.run_ms(20 * MINUTE_MS, &mut good);
    assert_eq!((b.device.unsent_readings(), b.device.unsent_acks(), b.device.unsent_alerts()), (0, 0, 0));
    let syncs = b.of(Kind::Sync);
    // It is still hot, and whoever boots says so: what was raised before the cut has another time.
    assert_eq!((syncs[0].count("acks"), syncs[0].count("alerts")), (100, 2), "first of all");
    assert!(syncs[1..].iter().all(|s| s.count("acks") == 0));
    assert!(syncs.iter().all(|s| s.count("readings") <= READINGS_PER_SYNC));
    assert_eq!(syncs.len(), 3, "a thousand readings in as few requests as they fit");
    let distinct: BTreeSet<u32> = b.delivered.iter().map(|(_, seq)| *seq).collect();
    assert_eq!(distinct.len(), b.delivered.len());
    assert!(distinct.len() >= 1_080);
}

/// G27.
#[test]
fn only_what_the_answer_covers_is_deleted() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(20 * MINUTE_MS);
    let mut lost = 0;
    b.run_ms(20 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Sync if lost < 2 => {
            lost += 1;
            Reply::Silence
        }
        _ => good(seen),
    });
    let syncs = b.of(Kind::Sync);
    assert!(syncs.len() >= 3);
    let first = |s: &Seen| s.json["readings"][0]["seq"].clone();
    assert!(syncs[..3].iter().all(|s| first(s) == first(syncs[0])), "the same again");
    assert_eq!(b.device.unsent_readings(), 0);
    let distinct: BTreeSet<u32> = b.delivered.iter().map(|(_, seq)| *seq).collect();
    assert_eq!(distinct.len(), b.delivered.len());
}

#[test]
fn what_is_executed_while_catching_up_is_acknowledged_too() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(20 * MINUTE_MS);
    let command = order("CMD_1", b.utc(), json!({"command_type": "brightness_control", "brightness_level": 40}));
    let mut acked = 0;
    b.run_ms(10 * MINUTE_MS, &mut |seen: &Seen| {
        acked += match seen.kind() {
            Kind::CommandAck => 1,
            Kind::Sync => seen.count("acks"),
            _ => 0,
        };
        if acked == 0 { with_commands(seen, std::slice::from_ref(&command)) } else { good(seen) }
    });
    assert_eq!((acked, b.device.unsent_acks()), (1, 0));
}

#[test]
fn a_server_that_refuses_the_whole_gets_less_at_a_time_and_at_last_each_by_itself() {
    let mut b = Bench::ready(EVENING);
    b.sensors.battery_percent = 9;
    b.unreachable_ms(30 * MINUTE_MS);
    let unsent = b.device.unsent_readings();
    assert!(unsent >= 50);
    b.forget();
    b.run_ms(30 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Sync => error(400, 0),
        _ => good(seen),
    });
    let sizes: Vec<usize> = b.of(Kind::Sync).iter().map(|s| s.count("readings")).collect();
    // A reading may have come in between.
    assert!(sizes.is_sorted_by(|a, b| a + 1 >= *b) && *sizes.last().unwrap() <= 1, "{sizes:?}");
    assert!(sizes.windows(3).all(|w| w[0] != w[2] || w[0] <= 1), "each size twice: {sizes:?}");
    assert_eq!((b.device.unsent_readings(), b.device.unsent_alerts()), (0, 0));
    let distinct: BTreeSet<u32> = b.delivered.iter().map(|(_, seq)| *seq).collect();
    assert!(distinct.len() == b.delivered.len() && distinct.len() >= unsent);
    let gaps: Vec<u64> = b.times_of(Kind::Status).windows(2).map(|w| w[1] - w[0]).collect();
    assert!(gaps.iter().all(|ms| *ms >= 1_000), "no faster than the device's share: {gaps:?}");
}

#[test]
fn one_reading_that_the_server_cannot_take_costs_only_itself() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(20 * MINUTE_MS);
    let bad = b.saved.readings.iter().nth(7).unwrap().seq;
    let unsent = b.device.unsent_readings();
    let has_bad = |seen: &Seen| {
        let seq = |r: &Value| r["seq"] == bad;
        seq(&seen.json) || seen.json["readings"].as_array().is_some_and(|all| all.iter().any(seq))
    };
    b.run_ms(30 * MINUTE_MS, &mut |seen: &Seen| if has_bad(seen) { error(400, 0) } else { good(seen) });
    assert_eq!(b.device.unsent_readings(), 0);
    assert!(b.delivered.iter().all(|(_, seq)| *seq != bad));
    assert!(b.delivered.len() >= unsent - 1);
}

/// The server leaves logs out when there are too many; then they wait.
#[test]
fn logs_that_were_left_out_are_kept() {
    let mut b = Bench::ready(EVENING);
    b.unreachable_ms(20 * MINUTE_MS);
    b.run_ms(10 * MINUTE_MS, &mut |seen: &Seen| match seen.kind() {
        Kind::Logs => error(503, 60),
        Kind::Sync => {
            let mut body = good_body(seen);
            body["logs"] = json!(0);
            Reply::Answer(200, body)
        }
        _ => good(seen),
    });
    b.forget();
    b.run_ms(3 * HOUR_MS, &mut good);
    assert!(b.of(Kind::Logs)[0].request.body.windows(13).any(|w| w == b"no connection"));
    assert_eq!(b.device.state(), State::Ready);
}

#[test]
fn a_power_cut_costs_one_reading_at_most_and_none_with_a_brown_out_interrupt() {
    for warned in [false, true] {
        let mut b = Bench::ready(EVENING);
        b.run_ms(10 * MINUTE_MS - 15 * SECOND_MS, &mut good);
        // A sample is taken, and its request dies with the power.
        b.run_ms(2 * SECOND_MS, &mut |seen: &Seen| match seen.kind() {
            Kind::Status => Reply::Silence,
            _ => good(seen),
        });
        let taken: BTreeSet<u32> = b.of(Kind::Status).iter().map(|s| s.json["seq"].as_u64().unwrap() as u32).collect();
        assert_eq!(taken.len(), b.delivered.len() + 1);
        if warned {
            b.handle(ccms_device::Input::PowerLost);
            b.run_ms(0, &mut |_: &Seen| panic!("nothing is sent any more"));
            assert_eq!((b.device.state(), b.device.wake_at()), (State::PowerOff, None));
        }
        b.cut_power(5 * SECOND_MS);
        b.run_ms(2 * MINUTE_MS, &mut good);
        let arrived: BTreeSet<u32> = b.delivered.iter().map(|(_, seq)| *seq).collect();
        let lost = taken.difference(&arrived).count();
        assert!(lost <= usize::from(!warned), "{lost} lost");
        let fresh: Vec<u32> = arrived.difference(&taken).copied().collect();
        assert!(fresh.len() >= 4 && fresh.iter().all(|seq| seq > taken.last().unwrap()), "no number is used twice");
    }
}

#[test]
fn what_did_not_get_through_is_in_flash() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(25 * SECOND_MS, &mut |seen: &Seen| if seen.kind() == Kind::Status { Reply::Silence } else { good(seen) });
    assert_eq!(b.device.state(), State::Ready, "not given up yet");
    let unheard = b.of(Kind::Status)[0].json["seq"].as_u64().unwrap() as u32;
    b.cut_power(SECOND_MS);
    b.run_ms(MINUTE_MS, &mut good);
    assert!(b.delivered.iter().any(|(_, seq)| *seq == unheard));
}
