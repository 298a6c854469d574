//! Readings leave the hot log, and nobody who reads a light's history can tell. Wherever that is interrupted, nothing is
//! lost and nothing is twice.
use ccms_core::ids::LightNo;
use ccms_core::reading::{PowerState, ReadingFlags};
use ccms_core::time::UtcMillis;
use ccms_service::Scope;
use ccms_store::{Day, ReadingRow, SealedDay};
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::api_readings::all;
use crate::city::{City, DOCUMENT_TIME};
use crate::controller::Controller;
use crate::database::Engine;
use crate::upkeep::by_hand;

const DEVICES: [&str; 2] = ["IMEI:351234567890123", "IMEI:490154203237518"];
const DAYS: i64 = 3;

/// What a controller hands in that was offline since day `-DAYS`: a reading every ten minutes, and now and then one with a clock of 1970,
/// one without a value or with an odd one, and two of one moment.
async fn hands_in_its_past(device: &Controller, city: &City) {
    let now = city.clock.now();
    let readings: Vec<Value> = (0..DAYS * 144)
        .map(|n| {
            let at = match n % 20 {
                7 => UtcMillis::from_seconds(n),
                _ => now.plus_seconds(-600 * (n - i64::from(n % 20 == 9))),
            };
            json!({"timestamp": at.to_string(), "status": if n / 72 % 2 == 0 { "on" } else { "off" }, "brightness": n % 101,
                "voltage": if n % 17 == 0 { json!("?") } else { json!(229.5 + (n % 9) as f64 / 10.0) },
                "error_flags": if n % 50 == 3 { json!(["lamp_failure"]) } else { json!([]) },
                "energy": {"cumulative_kwh": 100.0 + (DAYS * 144 - n) as f64 / 100.0}})
        })
        .collect();
    device.posts("status", &json!({"readings": readings})).await.ok();
}

/// Everything the API tells of the past of both lights, at every resolution.
pub async fn history(reader: &Integrator) -> Vec<Vec<Value>> {
    let mut told = Vec::new();
    for light in ["SL001", "SL002"] {
        for resolution in ["raw", "15m", "day"] {
            let window = "from=2025-12-10T00:00:00Z&to=2025-12-19T00:00:00Z";
            let path = format!("lights/{light}/readings?resolution={resolution}&limit=200&{window}");
            told.push(all(reader, &path).await);
        }
    }
    told
}

pub async fn blocks(city: &City) -> Vec<SealedDay> {
    let mut blocks = Vec::new();
    for light in [1, 2] {
        let of_light = city.store.inner().sealed_of_light(LightNo(light), Day(i32::MIN), Day(i32::MAX), 100);
        blocks.extend(of_light.await.unwrap());
    }
    blocks
}

/// A city with three days behind it, and some hours since they were handed in.
pub async fn city_with_a_past(engine: Engine) -> (City, Integrator, Controller) {
    let city = City::open(engine).await;
    let (reader, first) = hands_in_the_past(&city).await;
    (city, reader, first)
}

/// The same in this city.
pub async fn hands_in_the_past(city: &City) -> (Integrator, Controller) {
    let reader = Integrator::of(city, Scope::Read).await;
    let (first, second) = (city.claimed_device(DEVICES[0]).await, city.claimed_device(DEVICES[1]).await);
    hands_in_its_past(&first, city).await;
    hands_in_its_past(&second, city).await;
    city.ccms.checkpoint().await;
    (reader, first)
}

/// Of these, those whose clock nobody believes.
fn left(rows: &[ReadingRow]) -> Vec<ReadingRow> {
    rows.iter().filter(|r| is_suspect(r)).cloned().collect()
}

fn is_suspect(row: &ReadingRow) -> bool {
    row.reading.flags.has(ReadingFlags::CLOCK_SUSPECT)
}

on_both! {
    async fn what_is_sealed_reads_as_before(engine) {
        let (city, reader, _) = city_with_a_past(engine).await;
        let log = city.log().await;
        assert_eq!(log.len() as i64, 2 * DAYS * 144);
        assert_eq!(city.ccms.seal().await.unwrap().days, 0, "it was handed in just now");
        city.waits(3_601);
        let before = history(&reader).await;
        let sealed = city.ccms.seal().await.unwrap();
        assert_eq!(i64::from(sealed.days), DAYS + 1);
        assert_eq!(city.log().await, left(&log));
        assert_eq!(sealed.readings as usize, log.len() - left(&log).len());
        assert_eq!(blocks(&city).await.iter().map(|b| u64::from(b.readings)).sum::<u64>(), sealed.readings);
        assert_eq!(history(&reader).await, before);
        // Paged in small steps across the border of log and blocks.
        let window = "from=2025-12-10T00:00:00Z&to=2025-12-19T00:00:00Z";
        assert_eq!(all(&reader, &format!("lights/SL001/readings?limit=7&{window}")).await, before[0]);
        assert_eq!(city.ccms.seal().await.unwrap().readings, 0, "once");
        // A start finds everything although the log is empty.
        assert!(city.log().await.iter().all(is_suspect) && !city.log().await.is_empty());
        let city = city.crashes().await;
        assert_eq!(history(&Integrator::of(&city, Scope::Admin).await).await, before);
        let device = city.claimed_device("IMEI:351234567890999").await;
        device.clone().reports(PowerState::On).await.ok();
        let news: Vec<_> = city.log().await.into_iter().filter(|r| !is_suspect(r)).collect();
        assert_eq!(news.len(), 1, "positions go on behind what was sealed");
    }

    async fn what_comes_late_joins_its_day_once(engine) {
        let (city, reader, late) = city_with_a_past(engine).await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let (told, before) = (history(&reader).await, blocks(&city).await);
        let at = DOCUMENT_TIME.plus_seconds(-2 * 86_400);
        let again = told[0].iter().find(|r| r["timestamp"].as_str() == Some(&at.to_string())).expect("one of that moment");
        assert!(again["brightness"].is_number());
        hands_in_its_past_again(&late, &city, at).await;
        city.ccms.checkpoint().await;
        let with_late = history(&reader).await;
        assert_eq!(with_late[0].len(), told[0].len() + 2, "one late, one of now; the repeat is shown once");
        city.waits(3_601);
        let with_late = history(&reader).await;
        assert_eq!(city.ccms.seal().await.unwrap().days, 2, "that day and today");
        assert_eq!(history(&reader).await, with_late);
        let of_that_day = |blocks: Vec<SealedDay>| blocks.into_iter().filter(|b| b.day == Day::of(at)).collect::<Vec<_>>();
        let (after, before) = (of_that_day(blocks(&city).await), of_that_day(before));
        let changed: Vec<_> = after.iter().zip(&before).filter(|(a, b)| a != b).collect();
        assert!(matches!(changed.as_slice(), [(a, b)] if a.revision == 2 && a.readings == b.readings + 1), "{changed:?}");
    }

    /// A reading of 1970 that is sent again long after it arrived is a repeat, and rewinds nothing.
    async fn a_repeat_without_a_clock_is_known_for_ever(engine) {
        let (city, reader, device) = city_with_a_past(engine).await;
        city.waits(3 * 86_400);
        city.ccms.seal().await.unwrap();
        let (told, sees) = (history(&reader).await, city.operator().sees("SL001").await);
        let stored = city.log().await;
        let row = stored.iter().find(|r| is_suspect(r) && r.light_no == LightNo(1)).expect("one of 1970");
        let again = city.store.inner().append_readings(&[ReadingRow { received_at: city.clock.now(), ..row.clone() }]).await;
        assert_eq!(again.unwrap().stored, [false]);
        assert_eq!(history(&reader).await, told);
        assert_eq!(city.operator().sees("SL001").await.actual, sees.actual);
        drop(device);
    }

    /// What one light says too much of, or whose block is damaged, keeps its own day in the log, and no other day.
    async fn a_light_that_cannot_be_packed_holds_up_nobody_else(engine) {
        let (city, reader, late) = city_with_a_past(engine).await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let at = DOCUMENT_TIME.plus_seconds(-2 * 86_400);
        let told = history(&reader).await;
        hands_in_its_past_again(&late, &city, at).await;
        city.ccms.checkpoint().await;
        let block = blocks(&city).await.into_iter().find(|b| b.light_no == LightNo(1) && b.day == Day::of(at)).unwrap();
        let broken = SealedDay { revision: block.revision + 1, body: vec![1, 2, 3], ..block.clone() };
        assert_eq!(city.store.inner().write_sealed(std::slice::from_ref(&broken)).await.unwrap(), [true]);
        city.waits(2 * 86_400);
        assert_eq!(city.ccms.seal().await.unwrap().days, 1, "the day after is sealed all the same");
        assert_eq!(city.log().await.iter().filter(|r| !is_suspect(r)).count(), 2, "its own stays");
        reader.gets("lights/SL001/readings?from=2025-12-15T00:00:00Z&to=2025-12-16T00:00:00Z").await.problem(503);
        let mended = SealedDay { revision: broken.revision + 1, ..block };
        assert_eq!(city.store.inner().write_sealed(&[mended]).await.unwrap(), [true]);
        city.ccms.seal().await.unwrap();
        assert!(city.log().await.iter().all(is_suspect));
        assert_eq!(history(&reader).await[0].len(), told[0].len() + 2);
    }

    /// Others' readings of the same day leave the log, also those that came in one flush with its own, and sums go on.
    async fn a_light_that_cannot_be_packed_keeps_its_own_rows_alone(engine) {
        let (city, reader, _) = city_with_a_past(engine).await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let day = Day(Day::of(DOCUMENT_TIME).0 - 2);
        let own = city.store.inner().sealed_of_light(LightNo(1), day, day, 1).await.unwrap().remove(0);
        let rows = ccms_block::decode(own.light_no, &own.body).unwrap();
        let late = |light: u32, n: i64| {
            let mut row = ReadingRow { light_no: LightNo(light), received_at: city.clock.now(), ..rows[0].clone() };
            row.reading.reported_at = day.begins().plus_seconds(7 + n);
            row.dedupe = row.reading.dedupe_key();
            row
        };
        let told = history(&reader).await;
        for n in 0..3 {
            city.store.inner().append_readings(&[late(1, n), late(2, n)]).await.unwrap();
        }
        city.claimed_device("IMEI:351234567890999").await.reports(PowerState::On).await.ok();
        city.ccms.checkpoint().await;
        let broken = SealedDay { revision: own.revision + 1, body: vec![1, 2, 3], ..own.clone() };
        assert_eq!(city.store.inner().write_sealed(&[broken]).await.unwrap(), [true]);
        city.waits(3_601);
        let arrived = city.clock.now();
        for _ in 0..2 {
            let sealed = city.ccms.seal().await.unwrap();
            assert_eq!(sealed.left, 1);
            let hot: Vec<_> = city.log().await.into_iter().filter(|row| !is_suspect(row)).map(|row| row.light_no.0).collect();
            assert_eq!(hot, [1, 1, 1]);
        }
        let energy = Integrator::of(&city, Scope::Admin).await.gets("energy").await.done(200);
        assert_eq!(energy["complete_until"], json!(arrived.to_string()), "for everybody else");
        let mended = SealedDay { revision: own.revision + 2, ..own };
        assert_eq!(city.store.inner().write_sealed(&[mended]).await.unwrap(), [true]);
        assert_eq!(city.ccms.seal().await.unwrap().left, 0);
        assert!(city.log().await.iter().all(is_suspect));
        let now = history(&reader).await;
        assert_eq!([now[0].len(), now[3].len()], [told[0].len() + 3, told[3].len() + 3]);
    }

    /// A reading is read once out of the log, in a city of any size.
    async fn a_larger_city_costs_no_more_for_each_reading(engine) {
        for lights in [40_u32, 400] {
            let city = City::open(engine).await;
            let device = city.claimed_device(DEVICES[0]).await;
            device.clone().reports(PowerState::On).await.ok();
            let model = city.log().await.remove(0);
            let day = Day(Day::of(DOCUMENT_TIME).0 - 1);
            for n in 0..10 {
                let rows: Vec<ReadingRow> = (1..=lights).map(|light| {
                    let mut row = ReadingRow { light_no: LightNo(light), ..model.clone() };
                    row.reading.reported_at = day.begins().plus_seconds(100 * n);
                    row
                }).collect();
                city.store.inner().append_readings(&rows).await.unwrap();
            }
            city.waits(60);
            device.clone().reports(PowerState::On).await.ok();
            city.ccms.checkpoint().await;
            city.waits(3_601);
            let before = city.store.calls_of("hot_rows");
            let sealed = city.ccms.seal().await.unwrap();
            assert_eq!((sealed.readings, sealed.left), (u64::from(lights) * 10 + 2, 0));
            // Fifty at a time, and one look that finds nothing more; today has two.
            assert_eq!(city.store.calls_of("hot_rows") - before, u64::from(lights) * 10 / 50 + 1 + 2);
            assert!(city.log().await.is_empty());
            let blocks = city.store.inner().sealed_of_day(day, LightNo(0), LightNo(u32::MAX)).await.unwrap();
            assert!(blocks.len() == lights as usize && blocks.iter().all(|block| block.readings == 10));
        }
    }

    /// A batch of the log that is damaged holds up the days that it is of.
    async fn what_cannot_be_read_of_the_log_holds_up_its_own_days(engine) {
        let (city, _, _) = city_with_a_past(engine).await;
        city.waits(2 * 86_400);
        let device = city.claimed_device("IMEI:351234567890999").await;
        device.clone().reports(PowerState::On).await.ok();
        city.ccms.checkpoint().await;
        city.waits(3_601);
        if engine == Engine::Postgres {
            assert_eq!(city.ccms.seal().await.unwrap().left, 0);
            return;
        }
        let first = "id = (SELECT min(id) FROM energy_parameters)";
        by_hand(&city, &format!("UPDATE energy_parameters SET gone = body, body = x'010203' WHERE {first}")).await;
        for again in 0..2 {
            let sealed = city.ccms.seal().await.unwrap();
            assert_eq!((sealed.days, sealed.left), (1 - again, 4), "today is sealed all the same");
        }
        by_hand(&city, &format!("UPDATE energy_parameters SET body = gone, gone = NULL WHERE {first}")).await;
        assert_eq!(city.ccms.seal().await.unwrap().left, 0);
        assert!(city.log().await.iter().all(is_suspect));
    }

    async fn nothing_is_removed_that_a_start_still_needs(engine) {
        let city = City::open(engine).await;
        let device = city.claimed_device(DEVICES[0]).await;
        hands_in_its_past(&device, &city).await;
        let log = city.log().await;
        city.waits(3_601);
        assert_eq!(city.ccms.seal().await.unwrap().readings, 0, "no checkpoint includes them");
        assert_eq!(city.log().await, log);
    }

    /// The database goes away after any number of calls; the next run finds what there is.
    async fn wherever_it_is_interrupted_nothing_is_lost_or_twice(engine) {
        let (city, reader, _) = city_with_a_past(engine).await;
        city.waits(3_601);
        let told = history(&reader).await;
        let mut interruptions = 0;
        loop {
            city.store.fails_after(interruptions);
            let outcome = city.ccms.seal().await;
            city.store.fails(false);
            assert_eq!(history(&reader).await, told, "after {interruptions} calls");
            interruptions += 1;
            if outcome.is_ok() {
                break;
            }
        }
        assert!(interruptions > 12, "{interruptions}");
        assert_eq!(city.log().await, left(&city.log().await));
    }
}

/// A reading of `at` that was sealed long ago, word for word, and one that nobody heard of.
async fn hands_in_its_past_again(device: &Controller, city: &City, at: UtcMillis) {
    let blocks = blocks(city).await;
    let sealed = blocks.iter().find(|b| b.light_no == LightNo(1) && b.day == Day::of(at)).expect("its block");
    let rows = ccms_block::decode(sealed.light_no, &sealed.body).unwrap();
    let row = rows.iter().find(|r| r.reading.reported_at == at).expect("its reading");
    let mut twin = row.clone();
    twin.received_at = city.clock.now();
    let mut news = twin.clone();
    news.reading.reported_at = at.plus_seconds(5);
    news.dedupe = news.reading.dedupe_key();
    city.store.inner().append_readings(&[twin, news]).await.unwrap();
    // Its own word, so that memory and checkpoint go past the two.
    device.clone().reports(PowerState::On).await.ok();
}
