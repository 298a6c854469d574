//! What quarters of an hour come to is what their readings say, however they are kept and put together.
#![allow(clippy::unwrap_used, reason = "a test ends where its expectations do")]
use ccms_block::{
    BlockError, COUNTER_KEPT_DAYS, Daily, Ledger, QUARTER_S, Quarter, Sum, Tally, Value, decode_daily, decode_ledger,
    decode_measured, encode_daily, encode_quarters, quarter_of, quarters,
};
use ccms_core::ids::{DeviceNo, LightNo};
use ccms_core::reading::{PowerState, Reading, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_store::{Day, ReadingRow};
use proptest::option;
use proptest::prelude::*;

const DAY: Day = Day(20_439);
const END_OF_TIME: UtcMillis = UtcMillis(i64::MAX / 2);

fn row(at_ms: i64, reading: Reading) -> ReadingRow {
    let reported_at = UtcMillis(DAY.begins().0 + at_ms);
    let reading = Reading { reported_at, ..reading };
    ReadingRow {
        light_no: LightNo(1),
        device_no: DeviceNo(1),
        received_at: reported_at,
        dedupe: reading.dedupe_key(),
        reading,
    }
}

fn any_reading() -> impl Strategy<Value = Reading> {
    let values =
        (option::of(any::<bool>()), option::of(0_u8..=100), option::of(-400_i16..900), option::of(0_u16..3000));
    (values, option::of(0_u32..90_000), option::of(0_i64..1_000_000)).prop_map(|((on, brightness, dc, dv), dw, wh)| {
        Reading {
            power_state: on.map(|on| if on { PowerState::On } else { PowerState::Off }),
            brightness_percent: brightness,
            temperature_dc: dc,
            voltage_dv: dv,
            power_dw: dw,
            energy_wh: wh,
            ..Reading::default()
        }
    })
}

/// Readings of one day in their order.
fn any_day() -> impl Strategy<Value = Vec<ReadingRow>> {
    prop::collection::vec((0_i64..86_400_000, any_reading()), 0..200).prop_map(|mut readings| {
        readings.sort_by_key(|(at, _)| *at);
        readings.into_iter().map(|(at, reading)| row(at, reading)).collect()
    })
}

/// A lamp that burns with 60 W, read every thirty seconds, from `from_s` on.
fn burns(from_s: i64, readings: i64) -> Vec<ReadingRow> {
    let reading = |n: i64| Reading {
        power_state: Some(PowerState::On),
        brightness_percent: Some(80),
        temperature_dc: Some((312 + n * n % 7) as i16),
        battery_percent: Some(97),
        signal_percent: Some((60 + n % 3) as u8),
        voltage_dv: Some((2_300 + n * 7 % 11) as u16),
        current_ma: Some(260),
        power_dw: Some((600 + n % 5) as u32),
        energy_wh: Some(480_000 + n / 2),
        ..Reading::default()
    };
    (0..readings).map(|n| row((from_s + n * 30) * 1000, reading(n))).collect()
}

fn sum(quarters: &[Ledger]) -> Sum {
    let (mut tally, mut sum) = (Tally::default(), Sum::default());
    quarters.iter().for_each(|q| tally.add(q, &mut sum));
    sum
}

fn ledgers(quarters: &[Quarter]) -> Vec<Ledger> {
    quarters.iter().map(|q| q.ledger).collect()
}

proptest! {
    #[test]
    fn a_day_comes_back_as_it_was(rows in any_day()) {
        let quarters = quarters(&rows, END_OF_TIME);
        let (ledger, measured) = encode_quarters(DAY, &quarters).unwrap();
        let time = decode_ledger(DAY, &ledger).unwrap();
        prop_assert_eq!(&time, &ledgers(&quarters));
        let values = decode_measured(&time, &measured).unwrap();
        prop_assert_eq!(values, quarters.iter().map(|q| q.measured).collect::<Vec<_>>());
    }

    /// Against a walk over every second: what a lamp last said holds for two minutes at most.
    #[test]
    fn seconds_are_those_of_the_readings(at in prop::collection::btree_map(0_i64..7_200, any::<bool>(), 0..60)) {
        let on_off = |on: bool| Some(if on { PowerState::On } else { PowerState::Off });
        let rows: Vec<ReadingRow> =
            at.iter().map(|(s, on)| row(s * 1000, Reading { power_state: on_off(*on), ..Reading::default() })).collect();
        let quarters = quarters(&rows, END_OF_TIME);
        let ends = |q: &Quarter| (q.ledger.ends().0 - DAY.begins().0) / 1000;
        let (mut covered, mut on) = (0, 0);
        for s in 0..7_200 + 120 {
            // Seconds of a quarter without a reading are nobody's.
            let inside = quarters.iter().any(|q| (ends(q) - i64::from(QUARTER_S)..ends(q)).contains(&s));
            if let Some((_, burning)) = at.range(s - 119..=s).next_back().filter(|_| inside) {
                covered += 1;
                on += u64::from(*burning);
            }
        }
        let sum = sum(&ledgers(&quarters));
        prop_assert_eq!((sum.covered_s, sum.on_s), (covered, on));
        prop_assert_eq!(sum.samples as usize, rows.len());
    }

    /// Whatever the counter did, every step of it is in one sum and one only, wherever the sums are cut, and a display that wobbles adds
    /// nothing.
    #[test]
    fn energy_is_counted_once(grown in prop::collection::vec((1_i64..4_000, 0_i64..30, any::<bool>()), 2..80), cut in 0_usize..96) {
        let (mut at, mut wh) = (0, 5_000);
        let rows: Vec<ReadingRow> = grown.iter().enumerate().map(|(n, (step_s, by, falls))| {
            (at, wh) = (at + step_s * 1000, wh + by);
            let said = if *falls && n > 0 { wh - 100 } else { wh };
            row(at.min(86_399_999), Reading { energy_wh: Some(said), ..Reading::default() })
        }).collect();
        let quarters = ledgers(&quarters(&rows, END_OF_TIME));
        let whole = sum(&quarters);
        let said = || rows.iter().filter_map(|r| r.reading.energy_wh);
        prop_assert_eq!((whole.energy_wh, whole.meter_breaks), (Some(said().max().unwrap() - said().next().unwrap()), 0));
        let (early, late) = quarters.split_at(cut.min(quarters.len()));
        let (mut tally, mut first, mut second) = (Tally::default(), Sum::default(), Sum::default());
        early.iter().for_each(|q| tally.add(q, &mut first));
        late.iter().for_each(|q| tally.add(q, &mut second));
        prop_assert_eq!(first.energy_wh.unwrap_or(0) + second.energy_wh.unwrap_or(0), whole.energy_wh.unwrap());
        let mut afresh = (Tally::default(), Sum::default());
        early.iter().for_each(|q| afresh.0.skip(q));
        late.iter().for_each(|q| afresh.0.add(q, &mut afresh.1));
        prop_assert_eq!(afresh.1, second);
    }

    /// Whoever begins on any day, and has read of what was before what it should, goes on as one who began at the beginning.
    #[test]
    fn it_is_all_the_same_where_one_begins(days in prop::collection::vec((0_u8..3, 0_i64..100), 1..40), start in 0_usize..40) {
        let mut wh = 0;
        let days: Vec<Vec<Ledger>> = days.iter().enumerate().map(|(n, (what, by))| {
            wh += by;
            let reading = Reading { energy_wh: (*what == 2).then_some(wh), ..Reading::default() };
            let row = |s: i64| row(n as i64 * 86_400_000 + s * 1000, reading.clone());
            if *what == 0 { Vec::new() } else { ledgers(&quarters(&[row(30_000), row(50_000)], END_OF_TIME)) }
        }).collect();
        let start = start % days.len();
        let (mut from_the_beginning, mut afresh) = (Tally::default(), Tally::default());
        days[..start].iter().flatten().for_each(|q| from_the_beginning.skip(q));
        if let Some(last) = days[..start].iter().rfind(|day| !day.is_empty()) {
            last.iter().for_each(|q| afresh.skip(q));
        }
        if afresh.lacks_counter() {
            afresh = Tally::default();
            days[start.saturating_sub(COUNTER_KEPT_DAYS.into())..start].iter().flatten().for_each(|q| afresh.skip(q));
        }
        for (n, day) in days.iter().enumerate().skip(start) {
            let (mut expected, mut sum) = (Sum::default(), Sum::default());
            day.iter().for_each(|q| from_the_beginning.add(q, &mut expected));
            day.iter().for_each(|q| afresh.add(q, &mut sum));
            prop_assert_eq!(sum, expected, "from day {} on, day {}", start, n);
        }
    }

    /// Days of three lights, of which some readings reach over midnight: put together by quarters or by days they come to the same.
    #[test]
    fn a_day_stands_for_its_quarters(days in prop::collection::vec((any_day(), any::<bool>()), 1..5)) {
        let (mut by_quarter, mut mixed) = (Tally::default(), Tally::default());
        for (n, (rows, whole)) in days.iter().enumerate() {
            let day = Day(DAY.0 + n as i32);
            let moved = |row: &ReadingRow| {
                let mut row = row.clone();
                row.reading.reported_at = UtcMillis(row.reading.reported_at.0 + n as i64 * 86_400_000);
                row
            };
            let ledgers = ledgers(&quarters(&rows.iter().map(moved).collect::<Vec<_>>(), END_OF_TIME));
            let (mut expected, mut sum) = (Sum::default(), Sum::default());
            ledgers.iter().for_each(|q| by_quarter.add(q, &mut expected));
            match Daily::of(&ledgers) {
                Some(daily) if *whole => {
                    let lights = [1, 2, 900].map(|no| (LightNo(no), daily));
                    let body = encode_daily(day, &lights).unwrap();
                    let back = decode_daily(day, &body).unwrap();
                    prop_assert_eq!(&back, &lights);
                    mixed.add_day(&back[2].1, &mut sum);
                }
                _ => ledgers.iter().for_each(|q| mixed.add(q, &mut sum)),
            }
            prop_assert_eq!(sum, expected, "day {}", n);
        }
    }

    #[test]
    fn what_is_no_ledger_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_ledger(DAY, &bytes).is_err() && decode_daily(DAY, &bytes).is_err());
        prop_assert!(decode_measured(&[], &bytes).is_err());
        // With a true checksum around it as well: an error or some quarters, never anything else.
        for version in [1, 2] {
            let mut forged = vec![version];
            forged.extend(crc32fast::hash(&bytes).to_le_bytes());
            forged.extend(&bytes);
            let _ = decode_daily(DAY, &forged);
            if let Ok(quarters) = decode_ledger(DAY, &forged) {
                let _ = decode_measured(&quarters, &forged);
            }
        }
    }

    #[test]
    fn damage_is_noticed(at in 0_usize..10_000, bit in 0_u8..8) {
        let (mut ledger, mut measured) = encode_quarters(DAY, &quarters(&burns(0, 400), END_OF_TIME)).unwrap();
        let time = decode_ledger(DAY, &ledger).unwrap();
        let (l, m) = (at % ledger.len(), at % measured.len());
        ledger[l] ^= 1 << bit;
        measured[m] ^= 1 << bit;
        prop_assert!(decode_ledger(DAY, &ledger).is_err());
        prop_assert!(decode_measured(&time, &measured).is_err());
    }
}

#[test]
fn a_display_that_cannot_decide_uses_nothing() {
    let reading = |n: i64| Reading { energy_wh: Some(1_245_600 - 100 * (n % 2)), ..Reading::default() };
    let rows: Vec<ReadingRow> = (0..96).map(|n| row(n * 900_000, reading(n))).collect();
    let quarters = ledgers(&quarters(&rows, END_OF_TIME));
    assert_eq!(sum(&quarters).energy_wh, Some(0), "one reading in each quarter");
    let (mut tally, mut days) = (Tally::default(), Sum::default());
    for one in quarters.iter().map(|q| Daily::of(std::slice::from_ref(q)).unwrap()) {
        tally.add_day(&one, &mut days);
    }
    assert_eq!(days.energy_wh, Some(0));
}

#[test]
fn another_controller_brings_a_counter_of_its_own() {
    // New, or one that served elsewhere; within a quarter, and over a silence in which a lamp could have used it all.
    for (counts, after_s) in [(0, 60), (8_000_400, 60), (0, 80_000), (8_000_400, 80_000)] {
        let of = |device: u32, at_s: i64, energy_wh: i64| {
            let row = row(at_s * 1000, Reading { energy_wh: Some(energy_wh), ..Reading::default() });
            ReadingRow { device_no: DeviceNo(device), ..row }
        };
        let rows =
            [of(1, 10, 8_000_000), of(1, 20, 8_000_010), of(2, 20 + after_s, counts), of(2, 50 + after_s, counts + 15)];
        let quarters = quarters(&rows, END_OF_TIME);
        let (ledger, _) = encode_quarters(DAY, &quarters).unwrap();
        let kept = decode_ledger(DAY, &ledger).unwrap();
        let told = |sum: Sum| (sum.energy_wh, sum.meter_breaks, sum.meter_rollovers);
        assert_eq!(told(sum(&kept)), (Some(25), 1, 0), "{counts} after {after_s} s");
        let lights = [(LightNo(3), Daily::of(&kept).unwrap())];
        let daily = decode_daily(DAY, &encode_daily(DAY, &lights).unwrap()).unwrap();
        assert_eq!(daily, lights);
        let (mut tally, mut day) = (Tally::default(), Sum::default());
        tally.add_day(&daily[0].1, &mut day);
        assert_eq!(told(day), (Some(25), 1, 0));
        // The next day a third one comes.
        let next = of(3, 86_400 + 7, 8_000_500);
        tally.add(&self::quarters(&[next], END_OF_TIME)[0].ledger, &mut day);
        assert_eq!(told(day), (Some(25), 2, 0));
    }
}

#[test]
fn a_quarter_says_what_its_readings_say() {
    let quarters = quarters(&burns(0, 31), END_OF_TIME);
    let first = &quarters[0];
    assert_eq!((first.ledger.samples, first.ledger.covered_s, first.ledger.on_s), (30, 900, 900));
    assert_eq!(first.ledger.meter.unwrap().grown_wh, Some(14));
    let power = first.measured.get(Value::PowerDw).unwrap();
    assert_eq!((power.count, power.min, power.mean, power.max), (30, 600, 602, 604));
    assert_eq!(first.measured.get(Value::BrightnessPercent).unwrap().mean, 80);
    assert_eq!(quarters[1].ledger.meter.unwrap().grown_wh, None, "one reading alone says nothing of energy");
    assert_eq!(sum(&ledgers(&quarters)).energy_wh, Some(15), "but the step into it does");
}

#[test]
fn what_is_not_believed_counts_nowhere_and_now_is_the_end() {
    let mut rows = burns(0, 3);
    rows[1].reading.flags.set(ReadingFlags::CLOCK_SUSPECT);
    let now = UtcMillis(DAY.begins().0 + 65_000);
    let quarters = quarters(&rows, now);
    assert_eq!((quarters[0].ledger.samples, quarters[0].ledger.covered_s), (2, 65));
    assert_eq!(quarter_of(now), DAY.begins());
}

#[test]
fn quarters_of_another_day_are_refused() {
    let quarters = quarters(&burns(0, 100), END_OF_TIME);
    assert_eq!(encode_quarters(Day(DAY.0 + 1), &quarters), Err(BlockError::OutOfOrder));
    let turned: Vec<Quarter> = quarters.into_iter().rev().collect();
    assert_eq!(encode_quarters(DAY, &turned), Err(BlockError::OutOfOrder));
}

#[test]
fn days_are_of_one_day_and_in_order() {
    let daily = Daily::of(&ledgers(&quarters(&burns(0, 100), END_OF_TIME))).unwrap();
    assert_eq!(encode_daily(Day(DAY.0 + 1), &[(LightNo(1), daily)]), Err(BlockError::OutOfOrder));
    assert_eq!(encode_daily(DAY, &[(LightNo(2), daily), (LightNo(2), daily)]), Err(BlockError::OutOfOrder));
    let lights: Vec<_> = (0..1_024).map(|no| (LightNo(no), daily)).collect();
    let mut body = encode_daily(DAY, &lights).unwrap();
    println!("{} B for 1,024 lights that are alike", body.len());
    let middle = body.len() / 2;
    body[middle] ^= 1;
    assert!(decode_daily(DAY, &body).is_err());
    assert_eq!(Daily::of(&[]), None);
}

#[test]
fn a_day_is_small() {
    let (ledger, measured) = encode_quarters(DAY, &quarters(&burns(0, 2_880), END_OF_TIME)).unwrap();
    println!("ledger {} B, measured {} B", ledger.len(), measured.len());
    assert!(ledger.len() < 400 && measured.len() < 400, "{} {}", ledger.len(), measured.len());
}
