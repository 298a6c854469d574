//! The rules of the live state, without a store: what a reading, a contact and a command's step change.
use ccms_core::command::{AckStatus, Command, CommandEvent, CommandKind, CommandState, Priority};
use ccms_core::ids::{CommandId, DeviceId, DeviceNo, LightId, LightNo};
use ccms_core::light::Indicator;
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::{CheckpointRow, Curated, DeviceRecord, DeviceState, LightRecord, ReadingRow, Reported};

use super::{Drawn, State};

const NOW: UtcMillis = UtcMillis::from_seconds(1_765_967_400);
const LIGHT: LightNo = LightNo(1);
const DEVICE: DeviceNo = DeviceNo(1);

fn one_light() -> State {
    let mut state = State::default();
    state.put_device(DeviceRecord {
        no: DEVICE,
        id: DeviceId::parse("IMEI:351234567890123").unwrap(),
        state: DeviceState::Claimed,
        epoch: 0,
        token_used_gen: 0,
        reclaim_until: None,
        created_at: NOW,
        claim_until: None,
        claimed_at: Some(NOW),
        attempts: 0,
        first_attempt_at: None,
        last_attempt_at: None,
        reported: Reported::default(),
    });
    state.put_light(LightRecord {
        no: LIGHT,
        id: LightId::parse("SL001").unwrap(),
        device_no: Some(DEVICE),
        curated: Curated { latitude: 60.17, longitude: 24.94, ..Curated::default() },
        created_at: NOW,
    });
    state
}

fn reading(at: UtcMillis, power: PowerState) -> ReadingRow {
    let reading = Reading { reported_at: at, power_state: Some(power), ..Reading::default() };
    ReadingRow { light_no: LIGHT, device_no: DEVICE, received_at: NOW, dedupe: reading.dedupe_key(), reading }
}

fn command(n: u128, state: CommandState) -> Command {
    Command {
        id: CommandId::from_random(n),
        light_no: LIGHT,
        device_no: DEVICE,
        kind: CommandKind::Power(PowerState::On),
        priority: Priority::High,
        state,
        requested_by: "operator@example.org".into(),
        reason: None,
        requested_at: NOW,
        expires_at: NOW.plus_seconds(900),
        delivered_at: None,
        unverified_at: None,
        finished_at: None,
        executed_at: None,
        detail: None,
    }
}

fn power(state: &State) -> Option<PowerState> {
    state.light(LIGHT).and_then(|l| l.latest()).and_then(|r| r.reading.power_state)
}

#[test]
fn late_data_never_rewinds_the_live_state() {
    let mut state = one_light();
    state.reading(&reading(NOW, PowerState::On));
    state.reading(&reading(NOW.plus_seconds(-30), PowerState::Off));
    assert_eq!(power(&state), Some(PowerState::On));
    state.reading(&reading(NOW.plus_seconds(30), PowerState::Off));
    assert_eq!(power(&state), Some(PowerState::Off));
}

#[test]
fn a_suspect_clock_is_ordered_by_arrival() {
    let mut state = one_light();
    state.reading(&reading(NOW.plus_seconds(-60), PowerState::On));
    let mut from_1970 = reading(UtcMillis(5_000), PowerState::Off);
    from_1970.reading.flags.set(ReadingFlags::CLOCK_SUSPECT);
    from_1970.received_at = NOW.plus_seconds(1);
    state.reading(&from_1970);
    assert_eq!(power(&state), Some(PowerState::Off), "it arrived last");
    let mut late = reading(NOW.plus_seconds(-30), PowerState::On);
    late.received_at = NOW.plus_seconds(2);
    state.reading(&late);
    assert_eq!(power(&state), Some(PowerState::Off), "a report from before that arrival is late");
}

#[test]
fn a_light_goes_gray_green_yellow_and_back() {
    let mut state = one_light();
    let colour = |s: &State, at| s.mark(s.light(LIGHT).unwrap(), at).state.indicator();
    assert_eq!(colour(&state, NOW), Indicator::Gray);
    state.contact(DEVICE, NOW);
    assert_eq!(colour(&state, NOW), Indicator::Green);
    state.publish(LIGHT, NOW);
    let later = NOW.plus_seconds(121);
    assert_eq!(state.drifted(NOW.plus_seconds(120)), []);
    assert_eq!(state.drifted(later), [LIGHT], "silence alone must reach the map");
    assert_eq!(colour(&state, later), Indicator::Yellow);
    state.contact(DEVICE, later);
    assert_eq!(colour(&state, later), Indicator::Green);
}

#[test]
fn a_restart_is_not_taken_for_the_devices_silence() {
    let mut state = one_light();
    let row = CheckpointRow { light_no: LIGHT, last_contact: NOW, promised_interval_s: 30, latest: None };
    state.restore(row);
    let restarted = NOW.plus_seconds(3_600);
    let online = |s: &State, at| s.facts(s.light(LIGHT).unwrap()).is_online(at);
    assert!(!online(&state, restarted));
    state.grant_grace(restarted);
    assert!(online(&state, restarted.plus_seconds(120)));
    assert!(!online(&state, restarted.plus_seconds(121)), "grace ends");
}

#[test]
fn a_command_lives_in_memory_until_it_is_over() {
    let mut state = one_light();
    let asked = command(1, CommandState::Queued);
    let id = asked.id.clone();
    state.put_command(asked);
    assert_eq!(state.expired_commands(NOW.plus_seconds(899)).count(), 0);
    assert!(state.expired_commands(NOW.plus_seconds(900)).map(|c| &c.id).eq([&id]));
    let alive = |s: &State| s.mark(s.light(LIGHT).unwrap(), NOW).state.command_alive();
    assert!(alive(&state) && state.device(DEVICE).unwrap().commands[0].is_due(NOW));
    state.command_changed(&id, CommandEvent::Delivered, NOW);
    state.device_mut(DEVICE).unwrap().commands[0].handed_out_at = Some(NOW);
    let due = |s: &State, at| s.device(DEVICE).unwrap().commands[0].is_due(at);
    assert!(!due(&state, NOW.plus_seconds(9)) && due(&state, NOW.plus_seconds(10)));
    assert!(!due(&state, NOW.plus_seconds(900)), "expired");
    let ack = CommandEvent::Acknowledged { status: AckStatus::Executed, verified: true };
    state.command_changed(&id, ack, NOW);
    assert!(!alive(&state) && state.command_owner(&id).is_none());
    assert_eq!(state.expired_commands(NOW.plus_seconds(900)).count(), 0, "it is over");
    state.command_changed(&id, ack, NOW);
}

#[test]
fn an_agreeing_status_confirms_only_an_unverified_command() {
    let mut state = one_light();
    state.put_command(command(1, CommandState::Delivered));
    state.put_command(command(2, CommandState::Unverified));
    assert_eq!(state.reading(&reading(NOW, PowerState::Off)), []);
    assert_eq!(state.reading(&reading(NOW, PowerState::On)), [CommandId::from_random(2)]);
}

#[test]
fn the_feed_places_a_light_once_and_then_sends_changes_only() {
    let mut state = one_light();
    assert!(matches!(state.publish(LIGHT, NOW), Some(Drawn::Placed(_))));
    assert_eq!(state.publish(LIGHT, NOW), None);
    state.reading(&reading(NOW, PowerState::On));
    assert!(matches!(state.publish(LIGHT, NOW), Some(Drawn::Changed(_))));
    assert!(state.take_touched().contains(&LIGHT) && state.take_touched().is_empty());
}

#[test]
fn the_checkpoint_takes_each_change_once_and_keeps_what_failed() {
    let mut state = one_light();
    state.contact(DEVICE, NOW);
    state.reading(&reading(NOW, PowerState::On));
    assert_eq!(state.take_unsaved(), [LIGHT]);
    state.reading(&reading(NOW.plus_seconds(1), PowerState::On));
    assert_eq!(state.take_unsaved(), [], "it is being written");
    let rows = state.rows_to_save(&[LIGHT]);
    assert_eq!((rows.len(), rows[0].last_contact), (1, NOW));
    assert_eq!(state.take_unsaved(), []);
    state.still_unsaved(&[LIGHT]);
    state.reading(&reading(NOW.plus_seconds(2), PowerState::On));
    assert_eq!(state.take_unsaved(), [LIGHT]);
    state.rows_to_save(&[LIGHT]);
    state.reading(&reading(NOW, PowerState::On));
    assert_eq!(state.take_unsaved(), [LIGHT], "late, but a contact that only the log has");
}

#[test]
fn polls_count_for_the_checkpoint_when_no_log_tells_of_them() {
    let mut state = one_light();
    state.contact(DEVICE, NOW);
    assert_eq!(state.take_unsaved_contacts(), [LIGHT], "the first");
    let mut stored = reading(NOW, PowerState::On);
    stored.received_at = NOW.plus_seconds(100);
    state.reading(&stored);
    for seconds in [110, 220] {
        state.contact(DEVICE, NOW.plus_seconds(seconds));
    }
    assert_eq!(state.take_unsaved_contacts(), [], "the reading said it");
    for seconds in [230, 240] {
        state.contact(DEVICE, NOW.plus_seconds(seconds));
    }
    assert_eq!(state.take_unsaved_contacts(), [LIGHT]);
    state.contact(DEVICE, NOW.plus_seconds(250));
    assert_eq!(state.take_unsaved_contacts(), []);
    state.all_contacts_count();
    assert_eq!(state.take_unsaved_contacts(), [LIGHT], "at a stop every one counts");
}

#[test]
fn what_another_process_wrote_is_taken_once_and_nothing_goes_back() {
    let mut state = one_light();
    let delivered = |n| Command { delivered_at: Some(NOW), ..command(n, CommandState::Delivered) };
    assert!(state.commands_are(DEVICE, vec![delivered(1), command(2, CommandState::Queued)]));
    assert_eq!(state.take_happened().len(), 2);
    assert!(!state.commands_are(DEVICE, vec![delivered(1), command(2, CommandState::Queued)]), "no news");
    assert!(state.take_happened().is_empty());
    let due = |state: &State, at| {
        let held = state.device(DEVICE).unwrap().commands.iter();
        held.filter(|c| c.is_due(at)).map(|c| c.command.id.clone()).collect::<Vec<_>>()
    };
    assert_eq!(due(&state, NOW.plus_seconds(1)), [CommandId::from_random(2)], "the other was handed out there");
    assert_eq!(due(&state, NOW.plus_seconds(10)).len(), 2);

    // Read before it was handed out here.
    let steps = state.device(DEVICE).unwrap().command_steps;
    state.command_changed(&CommandId::from_random(2), CommandEvent::Delivered, NOW);
    assert!(state.device(DEVICE).unwrap().command_steps > steps, "who read it elsewhere sees that it moved on");
    state.commands_are(DEVICE, vec![command(2, CommandState::Queued)]);
    let states: Vec<_> = state.device(DEVICE).unwrap().commands.iter().map(|c| c.command.state).collect();
    assert_eq!(states, [CommandState::Delivered; 2]);
    // Queued here while it was read back already.
    state.put_command(command(2, CommandState::Queued));
    assert_eq!(state.device(DEVICE).unwrap().commands.len(), 2);
    state.commands_are(DEVICE, vec![command(1, CommandState::Executed), command(3, CommandState::Expired)]);
    assert_eq!(state.device(DEVICE).unwrap().commands.len(), 1, "what is over leaves, and does not come");
}

#[test]
fn contacts_elsewhere_rewind_nothing_and_are_not_told_back() {
    let mut state = one_light();
    state.contact(DEVICE, NOW);
    // Followed late: no clock was set back.
    state.heard_elsewhere(DEVICE, NOW.plus_seconds(-3_600));
    assert_eq!(state.device(DEVICE).unwrap().last_contact(), Some(NOW));
    state.heard_elsewhere(DEVICE, NOW.plus_seconds(5));
    let device = state.device(DEVICE).unwrap();
    assert_eq!((device.last_contact(), device.contact_told()), (Some(NOW.plus_seconds(5)), Some(NOW.plus_seconds(5))));

    let record = device.record.record();
    assert_eq!(state.device_is(record.clone()), None, "as it was");
    assert_eq!(state.device_is(DeviceRecord { state: DeviceState::Pending, ..record.clone() }), None);
    assert_eq!(state.device_is(DeviceRecord { epoch: 1, ..record }), Some(DEVICE));
}
