//! G45 and the last words of a boot.
use ccms_core::reading::PowerState;
use ccms_device::{Input, Kind, Lamp, Led, State, Technician};
use serde_json::json;

use crate::bench::*;

fn lock(holder: &str) -> Technician {
    Technician::Lock { holder: holder.into() }
}

fn release(by: &str) -> Technician {
    Technician::Release { by: by.into() }
}

#[test]
fn while_somebody_has_the_lock_commands_are_withheld_and_reports_go_on() {
    let mut b = Bench::ready(MORNING);
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
    // The lock is taken while a poll is under way: what it brings is left alone.
    let mut orders = |seen: &Seen| with_commands(seen, std::slice::from_ref(&command));
    loop {
        b.drain(&mut orders);
        if !b.of(Kind::Commands).is_empty() {
            break;
        }
        b.step(b.now_ms + MINUTE_MS, &mut orders);
    }
    b.technician(lock("Asha"));
    assert_eq!(b.device.state(), State::Maintenance);
    b.run_ms(10 * MINUTE_MS, &mut orders);
    assert_eq!((b.of(Kind::Commands).len(), b.of(Kind::CommandAck).len()), (1, 0));
    assert!(b.of(Kind::Status).len() >= 19);
    assert_eq!(b.lamp().0, PowerState::Off);
    let shown = b.shown.last().unwrap();
    assert!(shown.led == Led::Yellow && shown.text.contains("Asha") && shown.text.contains("Isolate the supply"));
    b.technician(release("Asha"));
    let command = order("CMD_1", b.utc(), json!({"command_type": "power_control", "action": "on"}));
    b.run_ms(5 * SECOND_MS, &mut |seen: &Seen| with_commands(seen, std::slice::from_ref(&command)));
    assert_eq!((b.device.state(), b.lamp().0), (State::Ready, PowerState::On), "and are done when it is released");
    let acks = |s: &Seen| if s.kind() == Kind::CommandAck { 1 } else { s.count("acks") };
    assert_eq!(b.sent.iter().map(acks).sum::<usize>(), 1);
}

#[test]
fn the_lock_outlives_power_cuts_and_only_its_holder_or_two_others_release_it() {
    let mut b = Bench::ready(MORNING);
    b.technician(lock("Asha"));
    b.technician(lock("Bina"));
    assert_eq!(b.device.maintenance().unwrap().holder, "Asha");
    b.run_ms(MINUTE_MS, &mut good);
    b.cut_power(SECOND_MS);
    b.forget();
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Maintenance);
    assert_eq!(b.of(Kind::Configure).len(), 1, "it configures as after every start");
    assert!(b.of(Kind::Commands).is_empty());
    b.technician(release("Bina"));
    b.technician(release("Bina"));
    assert!(b.device.maintenance().is_some(), "one of them, twice, is one");
    b.run_ms(MINUTE_MS, &mut good);
    b.cut_power(SECOND_MS);
    b.run_ms(MINUTE_MS, &mut good);
    b.technician(release("Chitra"));
    assert!(b.device.maintenance().is_none());
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Ready);
}

#[test]
fn it_stays_in_maintenance_through_outages_and_refused_tokens_and_loses_nothing() {
    let mut b = Bench::ready(EVENING);
    b.technician(lock("Asha"));
    b.forget();
    b.unreachable_ms(3 * HOUR_MS);
    assert_eq!(b.device.state(), State::Maintenance);
    assert!(b.sent.len() < 70, "the back-off holds here too: {}", b.sent.len());
    b.run_ms(10 * MINUTE_MS, &mut good);
    assert_eq!(b.device.unsent_readings(), 0);
    b.forget();
    let mut refused = false;
    b.run_ms(MINUTE_MS, &mut |seen: &Seen| {
        if seen.kind() == Kind::Status && !refused {
            refused = true;
            return error(401, 0);
        }
        good(seen)
    });
    assert_eq!((b.device.state(), b.of(Kind::Configure).len()), (State::Maintenance, 1));
    assert_eq!(b.device.unsent_readings(), 0);
    // A lock on a device that was never configured.
    let mut b = Bench::new(MORNING);
    b.unreachable_ms(MINUTE_MS);
    b.technician(lock("Asha"));
    assert_eq!(b.device.state(), State::Maintenance);
    b.technician(release("Asha"));
    assert_eq!(b.device.state(), State::Configuring);
    b.run_ms(10 * MINUTE_MS, &mut good);
    assert_eq!(b.device.state(), State::Ready);
}

#[test]
fn what_is_switched_by_hand_ends_by_itself_and_the_schedule_goes_on_under_a_forgotten_lock() {
    let mut b = Bench::ready(EVENING);
    let off = Lamp { power: PowerState::Off, brightness_percent: 70 };
    b.technician(Technician::Switch(Some(off)));
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.lamp().0, PowerState::On, "not without the lock");
    b.technician(lock("Asha"));
    b.technician(Technician::Switch(Some(off)));
    b.run_ms(59 * MINUTE_MS, &mut good);
    assert_eq!(b.lamp(), (PowerState::Off, 0));
    b.run_ms(2 * MINUTE_MS, &mut good);
    assert_eq!(b.lamp(), (PowerState::On, 100));
    let dark_ms = b.dark_ms;
    b.run_ms(3 * DAY_MS, &mut good);
    assert!(b.dark_ms - dark_ms <= 3 * 2 * SECOND_MS, "a forgotten lock leaves no street dark");
    assert!(b.lamps.iter().any(|(_, l)| l.power == PowerState::Off), "nor does it burn by day");
    b.technician(Technician::Switch(Some(off)));
    b.technician(Technician::Switch(None));
    b.run_ms(0, &mut good);
    assert!(is_night(b.utc()));
    assert_eq!(b.lamp().0, PowerState::On);
    b.technician(Technician::Switch(Some(off)));
    b.technician(release("Asha"));
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!(b.lamp().0, PowerState::On, "the hand goes with the lock");
}

#[test]
fn power_off_is_the_end_and_its_words_are_written() {
    let mut b = Bench::ready(EVENING);
    b.run_ms(31 * SECOND_MS, &mut |seen: &Seen| if seen.kind() == Kind::Status { Reply::Silence } else { good(seen) });
    b.handle(Input::PowerLost);
    b.run_ms(0, &mut good);
    assert_eq!((b.device.state(), b.shown.last().unwrap().led), (State::PowerOff, Led::Off));
    assert_eq!(b.saved.readings.len(), b.device.unsent_readings());
    assert!(b.saved.settings.last_utc >= b.utc().plus_seconds(-3), "the floor of the next boot's clock");
    b.handle(Input::Timeout);
    b.technician(lock("Asha"));
    assert!(b.device.poll().is_none() && b.device.wake_at().is_none());
}

#[test]
fn a_technician_restarts_the_controller() {
    let mut b = Bench::ready(EVENING);
    b.technician(Technician::Restart);
    b.run_ms(MINUTE_MS, &mut good);
    assert_eq!((b.restarts, b.device.state()), (1, State::Ready));
}
