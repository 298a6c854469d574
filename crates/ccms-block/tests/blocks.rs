//! Whatever readings a light may have, a block gives them back; and nothing that is no block does anything but fail.
#![allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]
use ccms_block::{BlockError, READINGS_MAX, decode, encode};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::ReadingRow;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const LIGHT: LightNo = LightNo(7);

fn any_reading() -> impl Strategy<Value = Reading> {
    let texts = vec("[a-zäß_]{0,12}".prop_map(String::into_boxed_str), 0..3);
    let first = (
        any::<i64>().prop_map(|at| at >> 8),
        option::of(any::<u32>()),
        option::of(any::<bool>()),
        option::of(any::<u8>()),
        option::of(any::<i16>()),
        option::of(any::<u8>()),
        option::of(any::<u8>()),
    );
    let second = (
        option::of(any::<u32>()),
        option::of(any::<u16>()),
        option::of(any::<u32>()),
        option::of(any::<u32>()),
        option::of(any::<u16>()),
        option::of(any::<i64>()),
        texts,
        any::<u32>(),
    );
    (first, second).prop_map(|((at, seq, on, brightness, temperature, battery, signal), rest)| {
        let (uptime, voltage, current, power, frequency, energy, error_flags, flags) = rest;
        Reading {
            reported_at: UtcMillis(at),
            seq,
            light_id: None,
            power_state: on.map(|on| if on { PowerState::On } else { PowerState::Off }),
            brightness_percent: brightness,
            temperature_dc: temperature,
            battery_percent: battery,
            signal_percent: signal,
            uptime_s: uptime,
            voltage_dv: voltage,
            current_ma: current,
            power_dw: power,
            frequency_chz: frequency,
            energy_wh: energy,
            error_flags,
            flags: ReadingFlags(flags),
        }
    })
}

fn row(reading: Reading, delay_ms: i64, device: u32) -> ReadingRow {
    ReadingRow {
        light_no: LIGHT,
        device_no: DeviceNo(device),
        received_at: UtcMillis(reading.reported_at.0 + delay_ms),
        dedupe: reading.dedupe_key(),
        reading,
    }
}

fn any_rows() -> impl Strategy<Value = Vec<ReadingRow>> {
    vec((any_reading(), any::<i32>(), 0..3_u32).prop_map(|(r, delay, d)| row(r, i64::from(delay), d)), 0..60)
}

/// What a lamp says every thirty seconds from six in the evening on.
fn evening(readings: i64) -> Vec<ReadingRow> {
    let reading = |i: i64| Reading {
        reported_at: UtcMillis(1_765_994_400_000 + i * 30_000),
        power_state: Some(PowerState::On),
        brightness_percent: Some(80),
        temperature_dc: Some(250 + (i * i % 7) as i16),
        uptime_s: Some((900 + i * 30) as u32),
        voltage_dv: Some((2_300 + i * 7 % 11) as u16),
        current_ma: Some((60_000_000 / (2_300 + i * 7 % 11) / 10 * 10) as u32),
        power_dw: Some(600),
        energy_wh: Some(480_000 + i / 2),
        ..Reading::default()
    };
    (0..readings).map(|i| row(reading(i), 140 + i * 13 % 40, 3)).collect()
}

proptest! {
    #[test]
    fn a_block_gives_its_readings_back(rows in any_rows()) {
        prop_assert_eq!(decode(LIGHT, &encode(&rows).unwrap()).unwrap(), rows);
    }

    #[test]
    fn a_damaged_block_is_an_error(rows in any_rows(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let mut block = encode(&rows).unwrap();
        let at = at.index(block.len());
        block[at] ^= 1 << bit;
        prop_assert!(decode(LIGHT, &block).is_err());
        prop_assert!(decode(LIGHT, &block[..at]).is_err());
    }

    /// The checksum is right, so that it is the columns that have to stand this.
    #[test]
    fn nonsense_is_an_error_and_no_panic(noise in vec(any::<u8>(), 0..400)) {
        let mut block = vec![1];
        block.extend_from_slice(&crc32fast::hash(&noise).to_le_bytes());
        block.extend_from_slice(&noise);
        let _ = decode(LIGHT, &block);
    }

    /// A valid block with some bytes of its body changed and the checksum put right.
    #[test]
    fn a_clever_forgery_is_no_panic(rows in any_rows(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut block = encode(&rows).unwrap();
        for (at, byte) in changes {
            let at = 5 + at.index(block.len() - 5);
            block[at] = byte;
        }
        let sum = crc32fast::hash(&block[5..]);
        block[1..5].copy_from_slice(&sum.to_le_bytes());
        let _ = decode(LIGHT, &block);
    }
}

#[test]
fn an_evening_takes_a_few_bytes_for_each_reading() {
    let rows = evening(2_880);
    let block = encode(&rows).unwrap();
    assert_eq!(decode(LIGHT, &block).unwrap(), rows);
    println!("{} readings in {} bytes: {:.2} each", rows.len(), block.len(), block.len() as f64 / rows.len() as f64);
    assert!(block.len() < rows.len() * 3, "{}", block.len());
}

#[test]
fn what_is_no_block_of_one_light_is_refused() {
    let mut rows = evening(3);
    rows[2].light_no = LightNo(8);
    assert_eq!(encode(&rows), Err(BlockError::SeveralLights));
    let many = vec![evening(1).remove(0); READINGS_MAX + 1];
    assert_eq!(encode(&many), Err(BlockError::TooLarge(READINGS_MAX + 1)));
    let mut later = encode(&[]).unwrap();
    later[0] = 2;
    assert_eq!(decode(LIGHT, &later), Err(BlockError::Version(2)));
    assert_eq!(decode(LIGHT, &[]), Err(BlockError::Damaged("it is too short")));
}
