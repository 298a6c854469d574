//! The reference device under virtual time, against a tiny server that plays the contract: what must hold in any world.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use ccms_core::reading::PowerState;
use ccms_core::time::{TimeOfDay, UtcMillis};
use ccms_fleet::world::understudy::Understudy;
use ccms_fleet::world::{Faults, Request, Rules, World};
use serde_json::json;

const DAY_S: u64 = 86_400;

/// Nothing here waits for anything, so one poll is the whole run.
fn run(world: &mut World, seconds: u64, server: &mut Understudy) {
    let mut answer = async |r: Request| server.answer(&r);
    let future = pin!(world.run_for_seconds(seconds, &mut answer));
    assert_eq!(future.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(()));
}

fn night(at: UtcMillis) -> bool {
    let local = TimeOfDay::at(at, 330);
    local >= TimeOfDay::parse("18:30:00").unwrap() || local < TimeOfDay::parse("06:00:00").unwrap()
}

/// Milliseconds without light between sunset and sunrise while there was power.
fn dark_ms(history: &[(UtcMillis, Option<ccms_device::Lamp>)], end: UtcMillis) -> i64 {
    let ends = history.iter().skip(1).map(|(at, _)| *at).chain([end]);
    let mut dark = 0;
    for ((from, lamp), to) in history.iter().zip(ends) {
        if lamp.is_some_and(|l| l.power == PowerState::Off) {
            let mut t = *from;
            while t < to {
                dark += if night(t) { 1000.min(to.since(t)) } else { 0 };
                t = t.plus_seconds(1);
            }
        }
    }
    dark
}

#[test]
fn a_calm_day_reports_every_30_seconds_and_burns_by_the_schedule() {
    let (mut world, mut server) = (World::new(Rules { lights: 5, ..Rules::default() }), Understudy::default());
    run(&mut world, DAY_S, &mut server);
    for (i, d) in world.devices().enumerate() {
        assert!(d.is_online());
        // The server names whole seconds, so a clock set by it may be late by one.
        let dark_ms = dark_ms(&d.lamp_history, world.now());
        assert!(dark_ms <= 1_000, "device {i}: {dark_ms}");
        assert!((2_878..=2_890).contains(&d.delivered.len()), "{}", d.delivered.len());
        let burned = d.lamp_history.iter().filter(|(_, l)| l.is_some_and(|l| l.power == PowerState::Off)).count();
        assert_eq!(burned, 2, "off after the first answer, and off at sunrise");
    }
    assert_eq!(server.order.iter().filter(|(_, what, _)| *what == "configure").count(), 5);
    assert!(server.readings.values().all(|times| *times == 1));
}

#[test]
fn three_hours_offline_bring_exactly_360_readings_once_after_the_acks() {
    // At night, so that no edge of the schedule adds a reading of its own.
    let start = Rules::default().start.plus_seconds(4 * 3600);
    let (mut world, mut server) = (World::new(Rules { lights: 1, start, ..Rules::default() }), Understudy::default());
    run(&mut world, 600, &mut server);
    // A command is executed, and its acknowledgement does not get through before the outage.
    server.orders(0, "CMD_1", world.now(), json!({"command_type": "brightness_control", "brightness_level": 40}));
    server.refuses_acks = true;
    run(&mut world, 20, &mut server);
    server.refuses_acks = false;
    let cut = world.now();
    let healed = cut.plus_seconds(3 * 3600);
    world.cut_network(cut..healed);
    let before = server.readings.len();
    run(&mut world, 3 * 3600, &mut server);
    assert_eq!(server.readings.len(), before);
    let seen = server.order.len();
    run(&mut world, 400, &mut server);
    let of_outage = |at: &UtcMillis| (cut.0..healed.0).contains(&at.0);
    assert_eq!(server.readings.keys().filter(|(_, at, _)| of_outage(at)).count(), 360);
    assert!(server.readings.values().all(|times| *times == 1), "each exactly once");
    let back: Vec<&str> = server.order[seen..].iter().map(|(_, what, _)| *what).collect();
    assert_eq!(&back[..3], ["ack", "status", "readings"], "what was done, the newest, the cache: {back:?}");
    let (packed, plain) = server.largest_packed;
    println!("360 readings of a simulated lamp: {plain} bytes plain, {packed} packed");
    assert!(plain > ccms_device::config::COMPRESS_ABOVE_BYTES && packed < plain / 10);
    assert_eq!(world.device(0).machine().map(ccms_device::Device::unsent_readings), Some(0));
}

#[test]
fn unreachable_with_an_empty_flash_and_no_clock_never_is_dark() {
    let (mut world, mut server) = (World::new(Rules { lights: 3, ..Rules::default() }), Understudy::default());
    world.cut_network(world.now()..world.now().plus_seconds(3 * DAY_S as i64));
    run(&mut world, 2 * DAY_S, &mut server);
    for d in world.devices() {
        assert_eq!(dark_ms(&d.lamp_history, world.now()), 0);
        assert_eq!(d.lamp_history.len(), 1, "it burns from the start");
    }
    // Three tries, then between five minutes and an hour: a bounded number of calls.
    assert!((3 * 48..3 * 150).contains(&world.requests()), "{}", world.requests());
}

#[test]
fn every_misfortune_at_once_loses_nothing_and_repeats_no_command() {
    for seed in 1..=6 {
        let faults = Faults {
            lost_request: 0.05,
            lost_response: 0.05,
            server_error: 0.03,
            crashes_per_day: 6.0,
            ..Faults::default()
        };
        let rules = Rules { lights: 4, seed, faults, sick_lamps: true, ..Rules::default() };
        let (mut world, mut server) = (World::new(rules.clone()), Understudy::default());
        run(&mut world, 120, &mut server);
        for hour in 0..24 {
            let at = world.now();
            for device in 0..4 {
                let power = if hour % 2 == 0 { "on" } else { "off" };
                server.orders(
                    device,
                    &format!("CMD_{hour}"),
                    at,
                    json!({"command_type": "power_control", "action": power,
                              "revert_after_seconds": 600}),
                );
            }
            run(&mut world, 3600, &mut server);
            server.commands.clear();
        }
        for ((device, id), statuses) in &server.acks {
            let distinct: BTreeSet<&String> = statuses.iter().collect();
            assert_eq!(distinct.len(), 1, "{rules:?}: device {device} changed its mind about {id}: {statuses:?}");
        }
        assert!(server.acks.len() > 60, "{rules:?}: {}", server.acks.len());
        for (i, d) in world.devices().enumerate() {
            for (at, seq) in &d.delivered {
                assert!(server.readings.contains_key(&(i, *at, *seq)), "{rules:?}: {at} {seq}");
            }
            let numbers: BTreeSet<_> = d.delivered.iter().map(|(_, seq)| seq).collect();
            assert_eq!(numbers.len(), d.delivered.len(), "{rules:?}: a number was used twice");
        }
    }
}

#[test]
fn an_expired_command_is_not_executed() {
    let (mut world, mut server) = (World::new(Rules { lights: 1, ..Rules::default() }), Understudy::default());
    run(&mut world, 60, &mut server);
    let lamps = world.device(0).lamp_history.len();
    server.keeps_expired = true;
    let long_ago = world.now().plus_seconds(-3600);
    server.orders(0, "CMD_OLD", long_ago, json!({"command_type": "power_control", "action": "on"}));
    run(&mut world, 30, &mut server);
    assert_eq!(server.acks[&(0, "CMD_OLD".to_owned())], ["expired"]);
    assert_eq!(world.device(0).lamp_history.len(), lamps);
}

#[test]
fn a_command_is_executed_and_acknowledged_within_a_poll_and_ends_by_itself() {
    let (mut world, mut server) = (World::new(Rules { lights: 1, ..Rules::default() }), Understudy::default());
    run(&mut world, 60, &mut server);
    let now = world.now();
    server.orders(
        0,
        "CMD_ON",
        now,
        json!({"command_type": "power_control", "action": "on", "revert_after_seconds": 60}),
    );
    run(&mut world, 13, &mut server);
    assert_eq!(server.acks[&(0, "CMD_ON".to_owned())], ["executed"]);
    let lit = world.device(0).lamp_history.last().unwrap().1.unwrap();
    assert_eq!((lit.power, lit.brightness_percent), (PowerState::On, 100));
    assert_eq!(server.power[&0], PowerState::On, "the change is reported at once");
    run(&mut world, 61, &mut server);
    assert_eq!(world.device(0).lamp_history.last().unwrap().1.unwrap().power, PowerState::Off);
}

#[test]
fn what_a_controller_cannot_do_it_rejects_and_does_the_rest() {
    let (mut world, mut server) = (World::new(Rules { lights: 1, ..Rules::default() }), Understudy::default());
    run(&mut world, 60, &mut server);
    let now = world.now();
    server.orders(0, "CMD_COFFEE", now, json!({"command_type": "make_coffee"}));
    server.orders(0, "CMD_RESET", now, json!({"command_type": "device_reset"}));
    server.orders(0, "CMD_ON", now, json!({"type": "power_control", "action": "on"}));
    run(&mut world, 60, &mut server);
    for (id, status) in [("CMD_COFFEE", "rejected"), ("CMD_RESET", "executed"), ("CMD_ON", "executed")] {
        assert_eq!(server.acks[&(0, id.to_owned())], [status]);
    }
    let restarted = world.device(0).states.iter().filter(|(_, s)| *s == ccms_device::State::PowerOff).count();
    assert_eq!(restarted, 1, "the command came again until its acknowledgement was heard, and was known");
}

#[test]
fn a_restart_keeps_token_schedule_and_override() {
    let (mut world, mut server) = (World::new(Rules { lights: 1, ..Rules::default() }), Understudy::default());
    run(&mut world, 60, &mut server);
    let now = world.now();
    server.orders(0, "CMD_1", now, json!({"command_type": "brightness_control", "brightness_level": 30}));
    server.orders(0, "CMD_2", now, json!({"command_type": "power_control", "action": "on"}));
    run(&mut world, 20, &mut server);
    world.cut_power(0, 5);
    run(&mut world, 60, &mut server);
    assert!(world.device(0).is_online());
    let lamp = world.device(0).machine().unwrap().lamp().unwrap();
    assert_eq!((lamp.power, lamp.brightness_percent), (PowerState::On, 30));
    assert_eq!(server.acks.len(), 2);
    // Without its flash a claimed device gets no credentials, says so, and keeps asking within bounds.
    world.cut_power(0, 5);
    world.wipe_flash(0);
    let asked = server.order.len();
    run(&mut world, DAY_S, &mut server);
    assert!(!world.device(0).is_online());
    assert!((24..150).contains(&(server.order.len() - asked)));
    assert_eq!(dark_ms(&world.device(0).lamp_history, world.now()), 0);
}

#[test]
fn an_outage_ends_without_a_stampede() {
    let rules = Rules { lights: 300, start_spread_seconds: 60, ..Rules::default() };
    let (mut world, mut server) = (World::new(rules), Understudy::default());
    run(&mut world, 300, &mut server);
    let healed = world.now().plus_seconds(1200);
    world.cut_network(world.now()..healed);
    run(&mut world, 1200, &mut server);
    let seen = server.order.len();
    run(&mut world, 400, &mut server);
    assert!(world.devices().all(ccms_fleet::world::Resident::is_online));
    let mut per_second: BTreeMap<i64, u32> = BTreeMap::new();
    for (_, _, at) in &server.order[seen..] {
        *per_second.entry(at.seconds()).or_default() += 1;
    }
    let mean = f64::from(per_second.values().sum::<u32>()) / 400.0;
    let most = f64::from(*per_second.values().max().unwrap());
    assert!(most <= 3.0 * mean + 5.0, "{most} calls in one second, {mean:.1} in the mean");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let faults = Faults {
            lost_request: 0.1,
            lost_response: 0.1,
            server_error: 0.05,
            crashes_per_day: 20.0,
            ..Faults::default()
        };
        let rules = Rules { lights: 3, seed, faults, keep_lines: true, ..Rules::default() };
        let (mut world, mut server) = (World::new(rules), Understudy::default());
        run(&mut world, 7_200, &mut server);
        (world.transcript(), world.lines().to_vec())
    };
    assert_eq!(story(3), story(3));
    assert_ne!(story(3).0, story(4).0);
}
