//! Whatever readings lights may have, a file gives them back, as a whole and light by light; and what was changed in it is an
//! error.
#![allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]
use std::collections::BTreeMap;

use bytes::Bytes;
use ccms_archive::{ArchiveFileError, DayWriter, Directory, Finished, Footer, Names, Wanted};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const DAY: Day = Day(20_440);

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

fn row(light: u32, reading: Reading, delay_ms: i64, device: u32, key: Option<i64>) -> ReadingRow {
    ReadingRow {
        light_no: LightNo(light),
        device_no: DeviceNo(device),
        received_at: UtcMillis(reading.reported_at.0 + delay_ms),
        dedupe: key.unwrap_or_else(|| reading.dedupe_key()),
        reading,
    }
}

/// Of a few lights, in order.
fn any_rows() -> impl Strategy<Value = Vec<ReadingRow>> {
    let one = (0..5_u32, any_reading(), any::<i32>(), 0..3_u32, option::weighted(0.1, any::<i64>()));
    vec(one.prop_map(|(light, r, delay, d, key)| row(light, r, i64::from(delay), d, key)), 0..120).prop_map(
        |mut rows| {
            rows.sort_by_key(|r| (r.light_no, r.reading.reported_at, r.dedupe));
            rows.dedup_by_key(|r| (r.light_no, r.reading.reported_at, r.dedupe));
            rows
        },
    )
}

fn names() -> Names {
    let lights = (0..4).map(|n| (LightNo(n), format!("SL{n:03}").into())).collect();
    Names { lights, devices: BTreeMap::from([(DeviceNo(1), "IMEI:351234567890123".into())]) }
}

/// One group of every `lights_each` lights.
fn written(rows: &[ReadingRow], lights_each: u32) -> (Vec<u8>, Finished) {
    let mut writer = DayWriter::new(DAY, 3).unwrap();
    let mut file = Vec::new();
    for group in rows.chunk_by(|a, b| a.light_no.0 / lights_each == b.light_no.0 / lights_each) {
        file.extend(writer.write_group(group, &names()).unwrap());
    }
    let done = writer.finish().unwrap();
    file.extend(&done.last_piece);
    assert_eq!(file.len() as u64, done.bytes);
    (file, done)
}

fn footer(file: &[u8], done: &Finished) -> Result<Footer, ArchiveFileError> {
    Footer::parse(&file[file.len() - done.footer_bytes as usize..], done.footer_crc)
}

fn read(file: &[u8], done: &Finished) -> Result<Vec<ReadingRow>, ArchiveFileError> {
    let footer = footer(file, done)?;
    let mut rows = Vec::new();
    for (i, group) in footer.groups().iter().enumerate() {
        let part = &file[group.offset as usize..][..group.bytes as usize];
        rows.extend(footer.rows(i, Bytes::copy_from_slice(part), None)?);
    }
    Ok(rows)
}

fn directory(file: &[u8], done: &Finished) -> Result<Option<Directory>, ArchiveFileError> {
    let tail = &file[..file.len() - done.footer_bytes as usize];
    let Some(length) = Directory::length(tail) else { return Ok(None) };
    Directory::parse(&tail[tail.len().saturating_sub(length as usize)..]).map(Some)
}

/// What is wanted, by the footer and by the directory.
fn read_some(file: &[u8], done: &Finished, wanted: &Wanted) -> Result<[Vec<ReadingRow>; 2], ArchiveFileError> {
    let (footer, directory) = (footer(file, done)?, directory(file, done)?.ok_or_else(no_directory)?);
    let mut rows = [Vec::new(), Vec::new()];
    let part = |offset: u64, bytes: u64| Bytes::copy_from_slice(&file[offset as usize..][..bytes as usize]);
    let groups: std::collections::BTreeSet<_> = wanted.lights.iter().filter_map(|no| footer.group_of(*no)).collect();
    for i in groups {
        let group = footer.groups()[i];
        rows[0].extend(footer.rows(i, part(group.offset, group.bytes), Some(wanted))?);
    }
    for i in directory.groups_of(&wanted.lights) {
        let place = directory.places()[i];
        rows[1].extend(directory.rows(i, part(place.offset, place.bytes()), wanted)?);
    }
    Ok(rows)
}

fn no_directory() -> ArchiveFileError {
    ArchiveFileError::Damaged("no directory".to_owned())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_gives_its_readings_back(rows in any_rows(), lights_each in 1..6_u32) {
        let (file, done) = written(&rows, lights_each);
        prop_assert_eq!(&read(&file, &done).unwrap(), &rows);
        let footer = footer(&file, &done).unwrap();
        prop_assert_eq!((footer.readings, footer.revision, &*footer.day), (rows.len() as u64, 3, "2025-12-18"));
        let lights = rows.chunk_by(|a, b| a.light_no == b.light_no).count() as u32;
        prop_assert_eq!((footer.lights, done.lights), (lights, lights));
        let directory = directory(&file, &done).unwrap().unwrap();
        prop_assert_eq!((directory.day, directory.revision), (DAY, 3));
        prop_assert_eq!((directory.readings, directory.lights), (rows.len() as u64, lights));
        for light in 0..6 {
            let own: Vec<_> = rows.iter().filter(|r| r.light_no.0 == light).cloned().collect();
            prop_assert_eq!(read_some(&file, &done, &Wanted::of(LightNo(light))).unwrap(), [own.clone(), own]);
        }
    }

    /// Any lights and any time.
    #[test]
    fn what_is_wanted_is_found(
        rows in any_rows(),
        lights_each in 1..6_u32,
        asked in prop::collection::btree_set(0..7_u32, 0..7),
        (from, to) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let (file, done) = written(&rows, lights_each);
        let at = |i: prop::sample::Index| if rows.is_empty() { UtcMillis(0) } else { rows[i.index(rows.len())].reading.reported_at };
        let during = (at(from), at(to));
        let wanted = Wanted { lights: asked.iter().map(|no| LightNo(*no)).collect(), during: Some(during) };
        let is_wanted = |r: &&ReadingRow| {
            asked.contains(&r.light_no.0) && (during.0..during.1).contains(&r.reading.reported_at)
        };
        let expected: Vec<_> = rows.iter().filter(is_wanted).cloned().collect();
        prop_assert_eq!(read_some(&file, &done, &wanted).unwrap(), [expected.clone(), expected]);
    }

    /// Wherever a bit turns, what is read is what was written, or nothing is.
    #[test]
    fn a_damaged_file_is_never_a_wrong_reading(rows in any_rows(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let (mut file, done) = written(&rows, 2);
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        if let Ok(read) = read(&file, &done) {
            prop_assert_eq!(&read, &rows);
        }
        let all = Wanted { lights: (0..5).map(LightNo).collect(), during: None };
        if let Ok([by_footer, by_directory]) = read_some(&file, &done, &all) {
            prop_assert_eq!(&by_footer, &rows);
            prop_assert_eq!(&by_directory, &rows);
        }
    }
}

#[test]
fn readings_that_are_not_in_order_are_refused() {
    let said = |light, at| row(light, Reading { reported_at: UtcMillis(at), ..Reading::default() }, 5, 1, None);
    let refused = |groups: &[&[ReadingRow]]| {
        let mut writer = DayWriter::new(DAY, 1).unwrap();
        let mut write = || groups.iter().try_for_each(|g| writer.write_group(g, &names()).map(drop));
        matches!(write(), Err(ArchiveFileError::OutOfOrder(_)))
    };
    assert!(!refused(&[&[said(1, 5), said(1, 6)], &[said(2, 1)], &[]]));
    assert!(refused(&[&[said(1, 6), said(1, 5)]]) && refused(&[&[said(1, 5), said(1, 5)]]));
    assert!(refused(&[&[said(2, 5), said(1, 6)]]) && refused(&[&[said(1, 5)], &[said(1, 6)]]));
}

#[test]
fn a_digest_tells_readings_apart() {
    let base = row(1, Reading { error_flags: vec!["ab".into(), "c".into()], ..Reading::default() }, 5, 1, None);
    let mut others = vec![base.clone(); 4];
    others[1].reading.error_flags = vec!["a".into(), "bc".into()];
    others[2].reading.battery_percent = Some(0);
    others[3].reading.signal_percent = Some(0);
    let digest = |row: &ReadingRow| {
        let mut digest = ccms_archive::Digest::default();
        digest.add(row);
        digest.value()
    };
    let values: std::collections::BTreeSet<_> = others.iter().map(digest).collect();
    assert_eq!((values.len(), digest(&base)), (4, digest(&others[0])));
}

/// Of three lights, with something in every column.
fn rows_of_earlier() -> Vec<ReadingRow> {
    let reading = |light: u32, n: i64| Reading {
        reported_at: UtcMillis(DAY.begins().0 + n * 30_000),
        seq: (n % 3 == 0).then_some(n as u32),
        power_state: Some(if n < 20 { PowerState::On } else { PowerState::Off }),
        brightness_percent: Some(80),
        temperature_dc: Some(-15 + n as i16),
        battery_percent: (n % 7 != 0).then_some(100),
        signal_percent: Some((70 + n % 5) as u8),
        uptime_s: Some(900 + 30 * n as u32),
        voltage_dv: Some((2_300 + n % 4) as u16),
        current_ma: Some(260 + light),
        power_dw: Some(600),
        frequency_chz: Some(4_998),
        energy_wh: Some(480_000 + n / 2),
        error_flags: if n == 9 { vec!["lamp_failure".into()] } else { Vec::new() },
        flags: ReadingFlags((n == 11).into()),
        ..Reading::default()
    };
    let one = |light: u32, n: i64| row(light, reading(light, n), 120 + n, light, (n == 13).then_some(77));
    (1..=3).flat_map(|light| (0..40).map(move |n| (light, n))).map(|(light, n)| one(light, n)).collect()
}

/// Such files are in archives, and stay.
#[test]
fn a_file_of_an_earlier_release_is_read() {
    const FOOTER_BYTES: usize = 3_579;
    const FOOTER_CRC: u32 = 3_728_081_666;
    let file = include_bytes!("earlier.parquet");
    let rows = rows_of_earlier();
    let end = file.len() - FOOTER_BYTES;
    assert_eq!(Directory::length(&file[..end]), None);
    let footer = Footer::parse(&file[end..], FOOTER_CRC).unwrap();
    let mut read = Vec::new();
    for (i, group) in footer.groups().iter().enumerate() {
        let part = Bytes::copy_from_slice(&file[group.offset as usize..][..group.bytes as usize]);
        let light = LightNo(group.last_light);
        let own: Vec<_> = rows.iter().filter(|r| r.light_no == light).cloned().collect();
        assert_eq!(footer.rows(i, part.clone(), Some(&Wanted::of(light))).unwrap(), own);
        read.extend(footer.rows(i, part, None).unwrap());
    }
    assert_eq!(read, rows);
}
