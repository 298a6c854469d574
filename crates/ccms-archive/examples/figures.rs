//! What a day of a fleet costs in the archive: bytes of a reading, time and memory to write the file, time to read one light's
//! day from it.
//!
//! `cargo run --release -p ccms-archive --example figures -- LIGHTS FILE`
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a measurement, by hand")]
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ccms_archive::{DayWriter, Directory, Footer, GROUP_READINGS, Names, Wanted};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};

const DAY: Day = Day(20_440);
const READINGS: i64 = 2_880;
const READS: u32 = 2_000;

/// Chance enough for noise, the same every time.
struct Noise(u64);

impl Noise {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % n) as i64
    }
}

/// A day of a lamp that burns for twelve hours: the mains wander, what is measured has noise, messages are late by chance.
fn day_of(light: u32) -> Vec<ReadingRow> {
    let mut noise = Noise(u64::from(light) + 1);
    let (mut voltage, mut energy_mwh) = (2_300 + noise.below(40), 480_000_000 + noise.below(100_000_000));
    let start = DAY.begins().0 + noise.below(30_000);
    (0..READINGS)
        .map(|i| {
            let on = !(720..2_160).contains(&i);
            voltage = (voltage + noise.below(5) - 2).clamp(2_200, 2_420);
            let power = if on { 600 + noise.below(5) } else { 12 };
            energy_mwh += power * 30 * 1000 / 3_600 / 10;
            let reading = Reading {
                reported_at: UtcMillis(start + i * 30_000),
                power_state: Some(if on { PowerState::On } else { PowerState::Off }),
                brightness_percent: Some(if on { 80 } else { 0 }),
                temperature_dc: Some((250 + i / 60 + noise.below(4)) as i16),
                battery_percent: Some(100),
                signal_percent: Some((70 + noise.below(6)) as u8),
                uptime_s: Some((900 + i * 30) as u32),
                voltage_dv: Some(voltage as u16),
                current_ma: Some((power * 1000 / voltage) as u32),
                power_dw: Some(power as u32),
                frequency_chz: Some((4_998 + noise.below(5)) as u16),
                energy_wh: Some(energy_mwh / 1000),
                flags: ReadingFlags::default(),
                ..Reading::default()
            };
            ReadingRow {
                light_no: LightNo(light),
                device_no: DeviceNo(light),
                received_at: UtcMillis(reading.reported_at.0 + 120 + noise.below(80)),
                dedupe: reading.dedupe_key(),
                reading,
            }
        })
        .collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let lights: u32 = arguments.next().unwrap().parse().unwrap();
    let path = arguments.next().unwrap();
    let names = Names {
        lights: (1..=lights).map(|n| (LightNo(n), format!("SL{n:03}").into())).collect(),
        devices: (1..=lights)
            .map(|n| (DeviceNo(n), format!("IMEI:{:015}", 351_234_567_000_000 + u64::from(n)).into()))
            .collect(),
    };
    let mut file = File::create(&path).unwrap();
    let mut writer = DayWriter::new(DAY, 1).unwrap();
    let (mut group, mut spent) = (Vec::new(), Duration::ZERO);
    let mut flush = |writer: &mut DayWriter, group: &mut Vec<ReadingRow>| {
        let start = Instant::now();
        file.write_all(&writer.write_group(group, &names).unwrap()).unwrap();
        spent += start.elapsed();
        group.clear();
    };
    for light in 1..=lights {
        let rows = day_of(light);
        if group.len() + rows.len() > GROUP_READINGS {
            flush(&mut writer, &mut group);
        }
        group.extend(rows);
    }
    flush(&mut writer, &mut group);
    let done = writer.finish().unwrap();
    file.write_all(&done.last_piece).unwrap();
    let readings = done.digest.value().0;
    println!(
        "{readings} readings of {lights} lights: {} bytes, {:.2} a reading",
        done.bytes,
        done.bytes as f64 / readings as f64
    );
    println!("footer {} bytes; packed in {spent:.2?}; peak memory {}", done.footer_bytes, peak());

    let file = File::open(&path).unwrap();
    let read = |at: u64, bytes: u64| {
        let mut buffer = vec![0; bytes as usize];
        file.read_exact_at(&mut buffer, at).unwrap();
        Bytes::from(buffer)
    };
    let end = done.bytes - u64::from(done.footer_bytes);
    let footer = || Footer::parse(&read(end, done.footer_bytes.into()), done.footer_crc).unwrap();
    let directory = || {
        let tail = read(end.saturating_sub(Directory::TAIL_BYTES), Directory::TAIL_BYTES.min(end));
        let length = Directory::length(&tail).unwrap();
        match tail.len().checked_sub(length as usize) {
            Some(at) => Directory::parse(&tail[at..]).unwrap(),
            None => Directory::parse(&read(end - length, length)).unwrap(),
        }
    };
    let by_footer = |footer: &Footer, light| {
        let group = footer.group_of(light).unwrap();
        let place = footer.groups()[group];
        footer.rows(group, read(place.offset, place.bytes), Some(&Wanted::of(light))).unwrap().len()
    };
    let by_directory = |directory: &Directory, light| {
        let group = directory.groups_of(&[light])[0];
        let place = directory.places()[group];
        directory.rows(group, read(place.offset, place.bytes()), &Wanted::of(light)).unwrap().len()
    };
    let (known_footer, known) = (footer(), directory());
    measure("by the footer, parsed each time", lights, READS / 10, |light| by_footer(&footer(), light));
    measure("by the footer, parsed before", lights, READS, |light| by_footer(&known_footer, light));
    measure("by the directory, read each time", lights, READS, |light| by_directory(&directory(), light));
    measure("by the directory, read before", lights, READS, |light| by_directory(&known, light));
    let page: Vec<LightNo> = (1..=lights.min(500)).map(LightNo).collect();
    let noon = UtcMillis(DAY.begins().0 + 43_200_000);
    let wanted = Wanted { lights: page.clone(), during: Some((UtcMillis(noon.0 - 900_000), noon)) };
    let start = Instant::now();
    let said: usize = known
        .groups_of(&page)
        .into_iter()
        .map(|group| {
            let place = known.places()[group];
            known.rows(group, read(place.offset, place.bytes()), &wanted).unwrap().len()
        })
        .sum();
    println!("a quarter of an hour of {} lights, {said} readings: {:.2?}", page.len(), start.elapsed());
    let start = Instant::now();
    let footer =
        Footer::parse(&read(done.bytes - u64::from(done.footer_bytes), done.footer_bytes.into()), done.footer_crc);
    let (footer, parsed) = (footer.unwrap(), start.elapsed());
    let all: usize = (0..footer.groups().len())
        .map(|group| {
            let place = footer.groups()[group];
            footer.rows(group, read(place.offset, place.bytes), None).unwrap().len()
        })
        .sum();
    println!("footer parsed in {parsed:.2?}; all {all} readings in {:.2?}; peak memory {}", start.elapsed(), peak());
}

fn measure(what: &str, lights: u32, reads: u32, day_of: impl Fn(LightNo) -> usize) {
    let read = |i: u32| {
        let start = Instant::now();
        assert_eq!(day_of(LightNo(1 + i * 7_919 % lights)) as i64, READINGS);
        start.elapsed()
    };
    let mut took: Vec<Duration> = (0..reads).map(read).collect();
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!("one light's day {what}: p50 {:.2?}, p99 {:.2?}, longest {:.2?}", at(50), at(99), at(100));
}

fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
