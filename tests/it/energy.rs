//! What the city used and what it said at a moment: the same while readings are in the log, sealed, and corrected by what comes late.
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::Scope;
use ccms_store::Day;
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::api_readings::all;
use crate::city::{City, DOCUMENT_TIME};
use crate::controller::Controller;
use crate::database::Engine;
use crate::upkeep::by_hand;

const DEVICES: [&str; 3] = ["IMEI:351234567890123", "IMEI:490154203237518", "IMEI:351234567890999"];
/// Midnight of the city, which is Delhi.
const MIDNIGHT: &str = "2025-12-15T18:30:00Z";

fn at(text: &str) -> UtcMillis {
    UtcMillis::parse_lenient(text).unwrap()
}

/// A day and a half of readings, every ten minutes from the city's midnight on, with a counter that grows by `step_kwh` each time.
async fn burns(device: &Controller, step_kwh: f64, readings: std::ops::Range<i64>) {
    let readings: Vec<Value> = readings
        .map(|n| {
            json!({"timestamp": at(MIDNIGHT).plus_seconds(600 * n).to_string(), "status": "on", "brightness": 70,
                "energy": {"power_watts": 60, "cumulative_kwh": 500.0 + step_kwh * n as f64}})
        })
        .collect();
    device.posts("status", &json!({"readings": readings})).await.ok();
}

async fn curates(integrator: &Integrator, light: &str, ward: &str, zone: &str) {
    integrator
        .patches(&format!("lights/{light}"), &[("if-match", "*")], &json!({"ward": ward, "zone": zone}))
        .await
        .done(200);
}

/// Two lights of the east and one of the west, with a past.
async fn city_of_three(engine: Engine) -> (City, Integrator, Vec<Controller>) {
    let city = City::open(engine).await;
    let admin = Integrator::of(&city, Scope::Admin).await;
    let mut devices = Vec::new();
    for (n, id) in DEVICES.iter().enumerate() {
        let device = city.claimed_device(id).await;
        let east = n < 2;
        curates(&admin, &format!("SL00{}", n + 1), if east { "East" } else { "West" }, if east { "z1" } else { "z2" })
            .await;
        burns(&device, 0.01 * (n + 1) as f64, 0..216).await;
        devices.push(device);
    }
    city.ccms.checkpoint().await;
    (city, admin, devices)
}

/// Energy of every item, with the name and the beginning.
async fn energy(reader: &Integrator, query: &str) -> Vec<(String, String, Option<f64>)> {
    let items = all(reader, &format!("energy?from=2025-12-15T18:30:00Z&to=2025-12-17T12:00:00Z&{query}")).await;
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    items.iter().map(|i| (text(i, "from"), text(i, "name"), i["energy_kwh"].as_f64())).collect()
}

fn day(date: &str, name: &str, kwh: f64) -> (String, String, Option<f64>) {
    (format!("{date}T18:30:00Z"), name.to_owned(), Some(kwh))
}

on_both! {
    async fn energy_is_summed_by_group_and_by_day(engine) {
        let (city, admin, devices) = city_of_three(engine).await;
        let page = admin.gets("energy?resolution=day").await.done(200);
        assert!(page["items"].as_array().unwrap().iter().all(|i| i["energy_kwh"].is_null()), "nothing is sealed: {page}");
        assert_eq!(page["complete_until"], json!(DOCUMENT_TIME.to_string()), "all of it arrived just now");
        city.waits(3_601);
        let sealed = city.ccms.seal().await.unwrap();
        assert_eq!(sealed.readings, 3 * 216);
        assert_eq!(admin.gets("energy").await.done(200)["complete_until"], json!(city.clock.now().to_string()));
        // A day has 144 steps between readings, and the first one of all has none before it.
        let second = 72.0 * 0.01;
        let first = 143.0 * 0.01;
        let near = |a: Vec<(String, String, Option<f64>)>, b: Vec<(String, String, Option<f64>)>| {
            assert_eq!(a.len(), b.len(), "{a:?}");
            for (a, b) in a.iter().zip(&b) {
                assert_eq!((&a.0, &a.1), (&b.0, &b.1));
                assert!((a.2.unwrap() - b.2.unwrap()).abs() < 0.002, "{a:?} is not {b:?}");
            }
        };
        near(energy(&admin, "resolution=day").await, vec![day("2025-12-16", "", 6.0 * second), day("2025-12-15", "", 6.0 * first)]);
        let by_ward = vec![
            day("2025-12-16", "East", 3.0 * second), day("2025-12-16", "West", 3.0 * second),
            day("2025-12-15", "East", 3.0 * first), day("2025-12-15", "West", 3.0 * first),
        ];
        for limit in [1, 2, 3, 500] {
            near(energy(&admin, &format!("resolution=day&group=ward&limit={limit}")).await, by_ward.clone());
        }
        near(energy(&admin, "resolution=day&group=ward&name=East").await, vec![by_ward[0].clone(), by_ward[2].clone()]);
        near(energy(&admin, "resolution=month&group=light&name=SL002").await, vec![("2025-11-30T18:30:00Z".into(), "SL002".into(), Some(2.0 * (first + second)))]);
        // Quarters of an hour have one reading or two; together they are the day.
        let quarters = energy(&admin, "resolution=15m&group=light&name=SL001&limit=7").await;
        let sum: f64 = quarters.iter().filter_map(|q| q.2).sum();
        assert!((sum - first - second).abs() < 0.01, "{sum}");
        // What one light's own history says of the same days.
        let own = all(&admin, "lights/SL003/readings?resolution=day&from=2025-12-15T18:30:00Z&to=2025-12-17T12:00:00Z").await;
        let fleet = energy(&admin, "resolution=day&group=light&name=SL003").await;
        assert_eq!(own.iter().map(|d| d["energy_kwh"].as_f64()).collect::<Vec<_>>(), fleet.iter().map(|f| f.2).collect::<Vec<_>>());
        // Late data opens a sealed day again.
        burns(&devices[2], 0.03, -3..0).await;
        city.ccms.checkpoint().await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let west = energy(&admin, "resolution=day&group=ward&name=West").await;
        near(west, vec![day("2025-12-16", "West", 3.0 * second), day("2025-12-15", "West", 3.0 * first + 0.03)]);
        admin.gets("energy?resolution=5m").await.problem(400);
        admin.gets("energy?from=2025-12-16T00:00:00Z&to=2025-12-15T00:00:00Z").await.problem(400);
        assert_eq!(energy(&admin, "group=feeder&name=nowhere").await, []);
    }

    /// A counter that was not read for days has its growth in the sum of the day on which it is read again, wherever pages begin.
    async fn pages_come_to_the_same_as_one_answer(engine) {
        let city = City::open(engine).await;
        let admin = Integrator::of(&city, Scope::Admin).await;
        let device = city.claimed_device(DEVICES[0]).await;
        // Days of UTC with a counter, with readings and none, and without a word; at the end a gap that is longer than it is remembered.
        let days = "cb.bc.cbbbbbbc.b..c..........cbbbbbbbbbc";
        let mut kwh = 0.0;
        for (n, what) in days.chars().enumerate() {
            kwh += 0.25;
            let start = at("2025-11-01T00:00:00Z").plus_seconds(86_400 * n as i64);
            let energy = if what == 'c' { json!({"cumulative_kwh": kwh}) } else { json!({}) };
            let reading = |s: i64| json!({"timestamp": start.plus_seconds(s).to_string(), "status": "on", "energy": energy});
            if what == 'b' || what == 'c' {
                device.posts("status", &json!({"readings": [reading(40_000), reading(41_000)]})).await.ok();
            }
        }
        let counted = 0.25 * 29.0;
        let sum = async |path: &str| all(&admin, path).await.iter().filter_map(|i| i["energy_kwh"].as_f64()).sum::<f64>();
        for step in ["hot", "sealed", "by whole days"] {
            for query in ["lights/SL001/readings?resolution=day", "energy?resolution=day"] {
                if step == "hot" && query.starts_with("energy") {
                    continue;
                }
                let all = sum(&format!("{query}&from=2025-10-31T18:30:00Z&to=2025-12-16T18:30:00Z&limit=500")).await;
                assert!((all - counted).abs() < 0.001, "{step} {query}: {all}, not {counted}");
                for limit in [1, 2, 3, 5] {
                    let paged = sum(&format!("{query}&from=2025-10-31T18:30:00Z&to=2025-12-16T18:30:00Z&limit={limit}")).await;
                    assert!((paged - all).abs() < 0.001, "{step} {query}: {paged} on pages of {limit}, {all} at once");
                }
            }
            city.ccms.checkpoint().await;
            city.waits(3_601);
            city.ccms.seal().await.unwrap();
            if step == "sealed" {
                assert!(city.ccms.work_out_days().await.unwrap() > 0);
            }
        }
    }

    /// A ward that comes up between two pages takes no other's place.
    async fn a_page_goes_on_behind_a_name(engine) {
        let (city, admin, devices) = city_of_three(engine).await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let page = async |cursor: Option<&Value>| {
            let cursor = cursor.map_or(String::new(), |c| format!("&cursor={}", c.as_str().unwrap()));
            let page = admin.gets(&format!("energy?resolution=day&group=ward&limit=1&from=2025-12-15T18:30:00Z&to=2025-12-17T12:00:00Z{cursor}")).await.done(200);
            (page["items"][0]["name"].as_str().unwrap().to_owned(), page["items"][0]["from"].clone(), page["next_cursor"].clone())
        };
        let (first, newest, cursor) = page(None).await;
        assert_eq!(first, "East");
        curates(&admin, "SL002", "Centre", "z1").await;
        let (second, of, cursor) = page(Some(&cursor)).await;
        assert_eq!((second.as_str(), of), ("West", newest.clone()), "not East again");
        let (third, older, _) = page(Some(&cursor)).await;
        assert!(third == "Centre" && older != newest, "{third} {older}");
        drop(devices);
    }

    /// What is kept of whole days takes the place of their quarters of an hour, and never says anything else.
    async fn whole_days_are_summed_from_what_is_kept_of_them(engine) {
        let (city, admin, devices) = city_of_three(engine).await;
        // Over the beginning of the month, and the day before it.
        burns(&devices[0], 0.01, -2_400..-2_000).await;
        city.ccms.checkpoint().await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let kwh = 0.01 * f64::from(215 + 2_161) + 5.0 * 2.15;
        let told = async || {
            let mut told = Vec::new();
            for group in ["city", "ward", "light"] {
                for limit in [1, 2, 500] {
                    told.push(all(&admin, &format!("energy?resolution=month&group={group}&limit={limit}&from=2025-10-01T00:00:00Z")).await);
                }
            }
            told
        };
        let by_quarter = told().await;
        let december = by_quarter[2][0].clone();
        assert_eq!((december["from"].as_str(), december["lights_heard"].as_u64()), (Some("2025-11-30T18:30:00Z"), Some(3)));
        assert!((december["energy_kwh"].as_f64().unwrap() - kwh).abs() < 0.01, "{december}");
        assert_eq!(city.ccms.work_out_days().await.unwrap(), 5, "today is not over");
        assert_eq!(city.ccms.work_out_days().await.unwrap(), 0, "once");
        assert_eq!(told().await, by_quarter);
        assert!(city.command_line(&["verify"]).await.status.success());
        // It is what is read: a body that says something else is told, and found.
        let day = Day::of(at("2025-12-16T00:00:00Z"));
        by_hand(&city, &format!("UPDATE rollup_days SET body = (SELECT body FROM rollup_days WHERE day = {0}) WHERE day = {0} + 1", day.0 - 1)).await;
        assert_ne!(told().await, by_quarter);
        let verify = city.command_line(&["verify"]).await;
        let said = String::from_utf8_lossy(&verify.stdout).into_owned();
        assert!(!verify.status.success() && said.contains("what 2025-12-16 of lights number 0 to 1023 came to"), "{said}");
        by_hand(&city, &format!("UPDATE rollup_days SET body = NULL WHERE day = {}", day.0)).await;
        assert_eq!(city.ccms.work_out_days().await.unwrap(), 1);
        assert_eq!(told().await, by_quarter);
        // What comes late opens its day again.
        burns(&devices[2], 0.03, -3..0).await;
        city.ccms.checkpoint().await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let with_late = told().await;
        assert!((with_late[2][0]["energy_kwh"].as_f64().unwrap() - kwh - 0.09).abs() < 0.01, "{:?}", with_late[2][0]);
        assert_eq!(city.ccms.work_out_days().await.unwrap(), 1);
        assert_eq!(told().await, with_late);
        city.waits(20 * 3_600);
        city.ccms.seal().await.unwrap();
        assert_eq!(city.ccms.work_out_days().await.unwrap(), 1, "that day is over");
        assert_eq!(told().await, with_late);
    }

    async fn a_zone_sees_its_own_energy_and_its_own_moments(engine) {
        let (city, _, _) = city_of_three(engine).await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        let zoned = Integrator::zoned(&city, Scope::Read, Some("z2")).await;
        let page = zoned.gets("energy?from=2025-12-15T18:30:00Z&to=2025-12-16T18:30:00Z").await.done(200);
        assert_eq!((page["items"][0]["lights"].as_u64(), page["items"][0]["lights_heard"].as_u64()), (Some(1), Some(1)));
        let said = all(&zoned, "fleet?at=2025-12-16T10:00:00Z").await;
        assert_eq!(said.iter().map(|s| s["light_id"].as_str().unwrap()).collect::<Vec<_>>(), ["SL003"]);
    }

    async fn a_meter_that_begins_anew_is_told(engine) {
        let city = City::open(engine).await;
        let reader = Integrator::of(&city, Scope::Read).await;
        let device = city.claimed_device(DEVICES[0]).await;
        let kwh = [9_999.9, 9_999.95, 0.02, 0.07, 400.0, 400.1];
        let readings: Vec<Value> = kwh.iter().enumerate().map(|(n, kwh)| {
            json!({"timestamp": at(MIDNIGHT).plus_seconds(30 * n as i64).to_string(), "status": "on", "energy": {"cumulative_kwh": kwh}})
        }).collect();
        device.posts("status", &json!({"readings": readings})).await.ok();
        city.ccms.checkpoint().await;
        let told = async || {
            let days = all(&reader, "lights/SL001/readings?resolution=day&from=2025-12-15T18:30:00Z&to=2025-12-16T18:30:00Z").await;
            let d = &days[0];
            (d["energy_kwh"].as_f64(), d["meter_breaks"].as_u64(), d["meter_rollovers"].as_u64())
        };
        let expected = (Some(0.27), Some(1), Some(1));
        assert_eq!(told().await, expected, "0.05 + 0.07 over the last digit + 0.05, another meter, + 0.1");
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        assert_eq!(told().await, expected);
        let item = reader.gets("energy?from=2025-12-15T18:30:00Z&to=2025-12-16T18:30:00Z").await.done(200)["items"][0].clone();
        assert_eq!((item["meter_breaks"].as_u64(), item["meter_rollovers"].as_u64()), (Some(1), Some(1)));
    }

    /// What it says stands where it arrived, as in the light's own history, and stays in the log.
    async fn a_controller_without_a_clock_says_something_at_a_moment(engine) {
        let (city, admin, devices) = city_of_three(engine).await;
        let heap: Vec<Value> = [(12, 40), (14, 44), (11, 39)].iter().map(|(s, uptime)| {
            json!({"timestamp": format!("1970-01-01T00:00:{s}Z"), "status": "on", "uptime_seconds": uptime})
        }).collect();
        devices[1].posts("status", &json!({"readings": heap})).await.ok();
        let told = async |moment: UtcMillis| {
            let said = all(&admin, &format!("fleet?at={moment}")).await;
            said.iter().map(|s| s["reading"]["timestamp"].clone()).collect::<Vec<_>>()
        };
        let (now, before) = (city.clock.now(), city.clock.now().plus_seconds(-1));
        for sealed in [false, true] {
            assert_eq!(told(now).await, [Value::Null, json!("1970-01-01T00:00:14Z"), Value::Null], "sealed: {sealed}");
            assert_eq!(told(before).await, [Value::Null, Value::Null, Value::Null], "sealed: {sealed}");
            city.ccms.checkpoint().await;
            city.waits(3_601);
            city.ccms.seal().await.unwrap();
        }
        // Where others have their own time, that counts.
        let own = told(at("2025-12-17T06:20:00Z")).await;
        assert_eq!(own, vec![json!("2025-12-17T06:20:00Z"); 3]);
    }

    async fn the_fleet_at_a_moment_reads_the_same_hot_and_sealed(engine) {
        let (city, admin, mut devices) = city_of_three(engine).await;
        let moments = ["2025-12-15T18:29:59Z", "2025-12-15T18:30:00Z", "2025-12-16T00:03:00Z", "2025-12-17T06:36:00Z", "2025-12-17T10:30:05Z"];
        let told = async || {
            let mut told = Vec::new();
            for moment in moments {
                for limit in [1, 500] {
                    told.push(all(&admin, &format!("fleet?limit={limit}&at={moment}")).await);
                }
            }
            told
        };
        devices[1].reports(PowerState::Off).await.ok();
        let hot = told().await;
        assert_eq!(hot[0], hot[1]);
        let readings = |moment: usize| hot[2 * moment].iter().map(|s| s["reading"]["timestamp"].clone()).collect::<Vec<_>>();
        assert_eq!(readings(0), [Value::Null, Value::Null, Value::Null], "before the first");
        assert_eq!(readings(1), [json!("2025-12-15T18:30:00Z"), json!("2025-12-15T18:30:00Z"), json!("2025-12-15T18:30:00Z")]);
        assert_eq!(readings(2)[0], json!("2025-12-16T00:00:00Z"), "across the midnight of UTC");
        assert_eq!(readings(3)[0], Value::Null, "the last one is older than a quarter of an hour");
        assert_eq!(hot[8].iter().map(|s| s["reading"]["power_state"].clone()).collect::<Vec<_>>(), [Value::Null, json!("off"), Value::Null]);
        city.ccms.checkpoint().await;
        city.waits(3_601);
        city.ccms.seal().await.unwrap();
        assert!(city.log().await.is_empty());
        assert_eq!(told().await, hot);
        city.waits(40 * 86_400);
        city.ccms.seal().await.unwrap();
        assert_eq!(city.ccms.archive().await.unwrap().days, 3);
        assert_eq!(told().await, hot);
        // One look at each file for a page, however many lights are on it.
        let before = city.shelf.calls();
        admin.gets("fleet?at=2025-12-16T10:00:00Z").await.done(200);
        assert_eq!(city.shelf.calls() - before, 1);
    }
}
