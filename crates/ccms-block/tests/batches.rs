//! Batches: what goes in comes out, for all lights or some; what is damaged is never a wrong reading.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
use ccms_block::{Link, decode_batch, decode_states, encode_batch, encode_states, second, second_of};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::{CheckpointRow, ReadingRow};
use proptest::option::of;
use proptest::prelude::*;

prop_compose! {
    fn row()(
        light in prop_oneof![1..6_u32, any::<u32>()], device in prop_oneof![1..6_u32, any::<u32>()],
        at in prop_oneof![1_700_000_000_000..1_700_000_100_000_i64, 0..i64::MAX / 4, Just(-5)],
        delay in prop_oneof![0..5_000_i64, -1_000_000..1_000_000_000_i64],
        dedupe in prop_oneof![0..100_i64, i64::from(i32::MIN)..0, Just(i64::from(u32::MAX))],
        flags in any::<u32>(),
        (power, brightness, temperature, battery, signal, uptime) in
            (of(any::<bool>()), of(any::<u8>()), of(any::<i16>()), of(any::<u8>()), of(any::<u8>()), of(any::<u32>())),
        (voltage, current, watts, frequency, energy) in
            (of(any::<u16>()), of(any::<u32>()), of(any::<u32>()), of(any::<u16>()), of(any::<i64>())),
        error_flags in prop::collection::vec("[a-z_]{0,9}", 0..3),
    ) -> ReadingRow {
        ReadingRow {
            light_no: LightNo(light),
            device_no: DeviceNo(device),
            received_at: UtcMillis(at + delay),
            dedupe,
            reading: Reading {
                reported_at: UtcMillis(at),
                seq: u32::try_from(dedupe).ok(),
                light_id: None,
                power_state: power.map(|on| if on { PowerState::On } else { PowerState::Off }),
                brightness_percent: brightness,
                temperature_dc: temperature,
                battery_percent: battery,
                signal_percent: signal,
                uptime_s: uptime,
                voltage_dv: voltage,
                current_ma: current,
                power_dw: watts,
                frequency_chz: frequency,
                energy_wh: energy,
                error_flags: error_flags.into_iter().map(Into::into).collect(),
                flags: ReadingFlags(flags),
            },
        }
    }
}

/// Rows, and links that grow by 1 to 3.
fn batch() -> impl Strategy<Value = (Vec<ReadingRow>, Vec<Link>)> {
    prop::collection::vec((row(), 1..4_i64, 0..1_000_i64, prop_oneof![Just(0), any::<u32>()]), 1..40).prop_map(|all| {
        let mut position = 1_000;
        let link = |(step, back, newest_before): (i64, i64, u32)| {
            position += step;
            Link { position, previous: if back == 0 { 0 } else { position - back }, newest_before }
        };
        let links = all.iter().map(|(_, step, back, newest)| (*step, *back, *newest)).map(link).collect();
        (all.into_iter().map(|(row, ..)| row).collect(), links)
    })
}

fn packed(rows: &[ReadingRow], links: &[Link]) -> ((i64, UtcMillis), Vec<u8>) {
    let first = rows.iter().map(|r| r.reading.reported_at).min().unwrap();
    let body = encode_batch(first, &rows.iter().collect::<Vec<_>>(), links).unwrap();
    ((links.last().unwrap().position, first), body)
}

proptest! {
    #[test]
    fn what_goes_in_comes_out((rows, links) in batch()) {
        let (place, body) = packed(&rows, &links);
        let all = decode_batch(place, &body, |_| true).unwrap();
        prop_assert_eq!(all.iter().map(|l| l.row.clone()).collect::<Vec<_>>(), rows.clone());
        prop_assert_eq!(all.iter().map(|l| l.link).collect::<Vec<_>>(), links);
        prop_assert!(all.iter().map(|l| l.index).eq(0..rows.len()));
        let some = decode_batch(place, &body, |light| light == rows[0].light_no).unwrap();
        let expected: Vec<_> = all.into_iter().filter(|l| l.row.light_no == rows[0].light_no).collect();
        prop_assert_eq!(some, expected);
        let absent = (0..).map(LightNo).find(|no| rows.iter().all(|r| r.light_no != *no)).unwrap();
        prop_assert_eq!(decode_batch(place, &body, |light| light == absent).unwrap(), vec![]);
    }

    #[test]
    fn a_damaged_batch_is_an_error((rows, links) in batch(), place in any::<prop::sample::Index>(), bit in 0..8) {
        let (known, mut body) = packed(&rows, &links);
        let at = place.index(body.len());
        prop_assert!(decode_batch(known, &body[..at], |_| true).is_err(), "cut off");
        body[at] ^= 1_u8 << bit;
        prop_assert!(decode_batch(known, &body, |_| true).is_err());
    }

    #[test]
    fn anything_with_the_right_checksum_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut batch = vec![1];
        batch.extend(crc32fast::hash(&bytes).to_le_bytes());
        batch.extend(&bytes);
        let _ = decode_batch((7, UtcMillis(7)), &batch, |_| true);
    }

    #[test]
    fn later_is_never_an_earlier_second(a in any::<i64>(), b in any::<i64>()) {
        prop_assert!(second(UtcMillis(a.min(b))) <= second(UtcMillis(a.max(b))));
        prop_assert!(second(UtcMillis(a)) > 0);
    }
}

/// Some lights that said something, and some that never did.
fn states() -> impl Strategy<Value = Vec<CheckpointRow>> {
    let state = (any::<u32>(), any::<i64>(), any::<u32>(), of(row())).prop_map(|(light, at, promised, latest)| {
        let light_no = LightNo(light);
        let latest = latest.map(|row| ReadingRow { light_no, ..row });
        CheckpointRow { light_no, last_contact: UtcMillis(at), promised_interval_s: promised, latest }
    });
    prop::collection::vec(state, 0..40)
}

proptest! {
    #[test]
    fn states_come_out_as_they_went_in(states in states()) {
        prop_assert_eq!(decode_states(&encode_states(&states).unwrap()).unwrap(), states);
    }

    #[test]
    fn damaged_states_are_an_error(states in states(), place in any::<prop::sample::Index>(), bit in 0..8) {
        let mut body = encode_states(&states).unwrap();
        let at = place.index(body.len());
        prop_assert!(decode_states(&body[..at]).is_err(), "cut off");
        body[at] ^= 1_u8 << bit;
        prop_assert!(decode_states(&body).is_err());
    }

    #[test]
    fn any_states_with_the_right_checksum_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut states = vec![1];
        states.extend(crc32fast::hash(&bytes).to_le_bytes());
        states.extend(&bytes);
        let _ = decode_states(&states);
    }
}

/// What the readings of an evening take, as one flush of two hundred packs them.
#[test]
fn a_reading_of_a_flush_is_small() {
    let row = |n: u32| ReadingRow {
        light_no: LightNo(n * 7_919 % 100_000 + 1),
        device_no: DeviceNo(n * 7_919 % 100_000 + 1),
        received_at: UtcMillis(1_790_000_000_300 + i64::from(n % 9)),
        dedupe: i64::from(n * 31 % 5_000),
        reading: Reading {
            reported_at: UtcMillis(1_790_000_000_000 - i64::from(n * 37 % 900)),
            seq: Some(n * 31 % 5_000),
            power_state: Some(PowerState::On),
            brightness_percent: Some(60),
            temperature_dc: Some(250 + (n % 100) as i16),
            battery_percent: Some(90 + (n % 10) as u8),
            signal_percent: Some(70 + (n % 20) as u8),
            uptime_s: Some(40_000 + n * 101 % 9_000),
            voltage_dv: Some(2_280 + (n % 50) as u16),
            current_ma: Some(400 + n % 60),
            power_dw: Some(950 + n % 70),
            frequency_chz: Some(4_990 + (n % 20) as u16),
            energy_wh: Some(i64::from(120_000 + n * 67 % 40_000)),
            ..Reading::default()
        },
    };
    let rows: Vec<_> = (0..200).map(row).collect();
    let link = |(n, row): (i64, &ReadingRow)| Link {
        position: 9_000_000 + n,
        previous: 8_900_000 - n * 13,
        newest_before: second_of(row) - 30,
    };
    let links: Vec<_> = (0..).zip(&rows).map(link).collect();
    let bytes = packed(&rows, &links).1.len() / rows.len();
    assert!(bytes <= 32, "{bytes} bytes a reading");
}
