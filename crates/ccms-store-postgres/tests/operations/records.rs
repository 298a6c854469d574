//! The records that operations carry.
use ccms_core::command::{CommandKind, CommandState};
use ccms_core::ids::{CommandId, DeviceNo, LightId, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_store::contract::samples;
use ccms_store::*;
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

pub fn command_id(n: u8) -> CommandId {
    CommandId::from_random(n.into())
}

pub(super) fn reading() -> impl Strategy<Value = ReadingRow> {
    let extreme = select(samples::extreme_readings());
    let plain =
        (0..40_i64, of(0..4_u32), 0..3_u8, any::<bool>()).prop_map(|(seconds, seq, brightness, suspect)| Reading {
            reported_at: samples::at(seconds),
            seq,
            power_state: (brightness > 0).then_some(PowerState::On),
            brightness_percent: Some(brightness),
            flags: if suspect { ReadingFlags::CLOCK_SUSPECT } else { ReadingFlags::default() },
            ..Reading::default()
        });
    (1..5_u32, prop_oneof![1 => extreme, 9 => plain]).prop_map(|(light, reading)| samples::row(light, reading))
}

pub(super) fn checkpoint_row() -> impl Strategy<Value = CheckpointRow> {
    (reading(), any::<bool>(), any::<u32>()).prop_map(|(row, any, promised_interval_s)| CheckpointRow {
        light_no: row.light_no,
        last_contact: row.received_at,
        promised_interval_s,
        latest: any.then_some(row),
    })
}

pub(super) fn kind() -> impl Strategy<Value = CommandKind> {
    prop_oneof![Just(CommandKind::Power(PowerState::Off)), (0..=100_u8).prop_map(CommandKind::Brightness)]
}

/// Only changes that a command can make: never from an end back to life.
pub(super) fn change() -> impl Strategy<Value = CommandChange> {
    use CommandState::{Cancelled, Delivered, Executed, Expired, Queued, Unverified};
    let step = select(vec![
        (Queued, Delivered),
        (Queued, Expired),
        (Delivered, Unverified),
        (Delivered, Executed),
        (Unverified, Cancelled),
    ]);
    let time = || of((0..50_i64).prop_map(samples::at));
    (any::<u8>(), step, 0..50_i64, time(), time(), of("[a-zä]{0,3}")).prop_map(
        |(id, (from, to), at, delivered_at, executed_at, detail)| CommandChange {
            id: command_id(id),
            from,
            to,
            at: samples::at(at),
            delivered_at,
            executed_at,
            detail,
        },
    )
}

fn light_id() -> impl Strategy<Value = Option<LightId>> {
    of(select(vec!["SL002", "SL7", "SL0000004", "POLE"]).prop_map(|text| LightId::parse(text).unwrap()))
}

pub(super) fn new_device() -> impl Strategy<Value = NewDevice> {
    (1..8_u32, light_id()).prop_map(|(n, light_id)| NewDevice { light_id, ..samples::new_device(n) })
}

fn curated() -> impl Strategy<Value = Curated> {
    ("[a-zä]{0,3}", "(north|south|)", of(-1.0..250.0_f64), -90.0..90.0_f64).prop_map(
        |(name, zone, wattage_w, latitude)| Curated {
            address: format!("by {name}"),
            ward: format!("w{zone}"),
            feeder: "F 1".into(),
            pole: name.clone(),
            name,
            zone,
            wattage_w,
            latitude,
            ..Curated::default()
        },
    )
}

pub(super) fn step() -> impl Strategy<Value = CurationStep> {
    use CurationStep::*;
    prop_oneof![
        1 => new_device().prop_map(Register),
        1 => (light_id(), of(1..8_u32), curated(), 0..50_i64).prop_map(|(light_id, device, curated, at)| AddLight {
            light_id,
            device_id: device.map(samples::device_id),
            curated,
            created_at: samples::at(at),
        }),
        4 => (1..7_u32, curated()).prop_map(|(light, curated)| Update { light: LightNo(light), curated }),
        1 => (1..8_u32, 0..50_i64).prop_map(|(device, until)| OpenClaimWindow {
            device_id: samples::device_id(device),
            until: samples::at(until),
        }),
    ]
}

pub(super) fn raise() -> impl Strategy<Value = AlertRaise> {
    let of_what = (of((1..5_u32).prop_map(DeviceNo)), of((1..4_u32).prop_map(LightNo)));
    (of_what, "(offline|clone|Ä)", select(Severity::ALL.to_vec()), "[a-zä]{0,3}", 0..50_i64).prop_map(
        |((device_no, light_no), kind, severity, message, at)| AlertRaise {
            device_no,
            light_no,
            kind,
            severity,
            detail: serde_json::json!({ "said": message, "n": 1.0 }),
            message,
            at: samples::at(at),
        },
    )
}

/// Days from the one on which everything happens.
pub fn day(n: i32) -> Day {
    Day(Day::of(samples::at(0)).0 + n)
}

fn light_and_day() -> impl Strategy<Value = (LightNo, Day)> {
    // Also of another part of the lights.
    (prop_oneof![9 => 1..5_u32, 1 => Just(2_000)], 0..3_i32).prop_map(|(light, n)| (LightNo(light), day(n)))
}

pub(super) fn sealed_day() -> impl Strategy<Value = SealedDay> {
    (light_and_day(), 1..4_u32, 0..9_u32, vec(any::<u8>(), 0..9))
        .prop_map(|((light_no, day), revision, readings, body)| SealedDay { light_no, day, revision, readings, body })
}

pub(super) fn rolled_day() -> impl Strategy<Value = RolledDay> {
    let body = || vec(any::<u8>(), 0..6);
    (light_and_day(), body(), body()).prop_map(|((light_no, day), ledger, measured)| RolledDay {
        light_no,
        day,
        ledger,
        measured,
    })
}

pub(super) fn archived_day() -> impl Strategy<Value = ArchivedDay> {
    (0..3_i32, 1..4_u32, any::<u32>()).prop_map(|(n, revision, size)| ArchivedDay {
        day: day(n),
        revision,
        file: format!("day-{n}.r{revision}.parquet"),
        readings: u64::from(size) << 2,
        lights: size,
        bytes: u64::from(size) << 3,
        sha256: [size as u8; 32],
        footer_bytes: size,
        footer_crc: !size,
        archived_at: samples::at(revision.into()),
        kept_until: None,
        restored: false,
    })
}
