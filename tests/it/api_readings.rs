//! The history of a light over the REST API: every reading, whatever its clock said, and what stretches of time came to.
use ccms_core::reading::PowerState;
use ccms_core::time::UtcMillis;
use ccms_service::Scope;
use serde_json::{Value, json};

use crate::api_client::Integrator;
use crate::city::{City, DOCUMENT_TIME};

const DEVICE: &str = "IMEI:351234567890123";

/// All pages of a list.
pub async fn all(reader: &Integrator, path: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), path.to_owned());
    for _ in 0..1_000 {
        let page = reader.gets(&next).await.done(200);
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next_cursor"].as_str() else { return items };
        next = format!("{path}&cursor={cursor}");
    }
    panic!("{path} has no end");
}

on_both! {
    async fn every_reading_appears_once_whatever_its_clock_said(engine) {
        let city = City::open(engine).await;
        let reader = Integrator::of(&city, Scope::Read).await;
        let device = city.claimed_device(DEVICE).await;
        let reading = |n: i64, at: UtcMillis| json!({"timestamp": at.to_string(), "status": "on", "brightness": n % 100, "seq": n});
        let mut readings: Vec<Value> = Vec::new();
        for n in 0..40 {
            let at = match n % 4 {
                0 => UtcMillis::from_seconds(n),
                1 => UtcMillis::from_seconds(3_471_292_800 + n),
                // Several messages of one second.
                2 => DOCUMENT_TIME.plus_seconds(-600),
                _ => DOCUMENT_TIME.plus_seconds(-30 * n),
            };
            readings.push(reading(n, at));
        }
        device.posts("status", &json!({"readings": readings})).await.ok();
        for limit in [1, 3, 7, 500] {
            let items = all(&reader, &format!("lights/SL001/readings?limit={limit}")).await;
            let mut seen: Vec<i64> = items.iter().map(|i| i["seq"].as_i64().unwrap()).collect();
            assert_eq!(seen.len(), 40, "limit {limit}: {seen:?}");
            seen.sort_unstable();
            assert_eq!(seen, (0..40).collect::<Vec<_>>(), "limit {limit}");
        }
        let items = all(&reader, "lights/SL001/readings?from=1970-01-01T00:00:00Z&to=2100-01-01T00:00:00Z").await;
        assert_eq!(items.len(), 40);
        let of_1970: Vec<&Value> = items.iter().filter(|i| i["timestamp"].as_str().unwrap().starts_with("1970")).collect();
        assert_eq!(of_1970.len(), 10);
        assert_eq!((&of_1970[0]["flags"], of_1970[0]["received_at"].as_str()), (&json!(["clock_suspect"]), Some("2025-12-17T10:30:05Z")));
        assert_eq!((of_1970[0]["power_state"].as_str(), of_1970[0]["voltage"].is_null()), (Some("on"), true));
        let earlier = all(&reader, "lights/SL001/readings?to=2025-12-17T10:20:05Z&from=2025-12-17T10:00:00Z").await;
        assert!(earlier.iter().all(|i| i["seq"].as_i64().unwrap() % 4 == 3) && !earlier.is_empty(), "{earlier:?}");
        for query in ["from=yesterday", "resolution=5m", "from=2025-12-17T10:00:00Z&to=2025-12-17T09:00:00Z", "cursor=MQ", "limit=-1"] {
            reader.gets(&format!("lights/SL001/readings?{query}")).await.problem(400);
        }
        reader.gets("lights/SL404/readings").await.problem(404);
        let offset = reader.gets("lights/SL001/readings?from=2025-12-17T15:30:00%2B05:30").await.done(200);
        assert!(offset["items"].as_array().unwrap().len() > 20);
    }
}

on_both! {
    async fn quarters_and_days_are_summed_up(engine) {
        let city = City::open(engine).await;
        let reader = Integrator::of(&city, Scope::Read).await;
        let device = city.claimed_device(DEVICE).await;
        // Two hours, every 30 seconds, on for every second quarter of an hour, 60 W while on.
        let start = UtcMillis::parse_lenient("2025-12-17T08:00:00Z").unwrap();
        let mut kwh = 100.0;
        let readings: Vec<Value> = (0..240)
            .map(|n| {
                let on = n / 30 % 2 == 0;
                kwh += if on { 0.002 } else { 0.0 };
                json!({"timestamp": start.plus_seconds(30 * n).to_string(), "status": if on { "on" } else { "off" },
                    "energy": {"power_watts": if on { 60 } else { 0 }, "cumulative_kwh": kwh}})
            })
            .collect();
        device.posts("status", &json!({"readings": readings})).await.ok();
        let window = "from=2025-12-17T08:00:00Z&to=2025-12-17T10:00:00Z";
        let quarters = all(&reader, &format!("lights/SL001/readings?resolution=15m&limit=3&{window}")).await;
        assert_eq!(quarters.len(), 8);
        let (newest, second) = (&quarters[0], &quarters[1]);
        assert_eq!((newest["from"].as_str(), newest["samples"].as_u64()), (Some("2025-12-17T09:45:00Z"), Some(30)));
        assert_eq!((newest["on_seconds"].as_u64(), second["on_seconds"].as_u64()), (Some(0), Some(900)));
        assert_eq!((newest["energy_kwh"].as_f64(), second["energy_kwh"].as_f64()), (Some(0.0), Some(0.06)));
        assert_eq!(second["power_watts"], json!({"min": 60.0, "mean": 60.0, "max": 60.0}));
        assert_eq!(second["coverage"], 1.0);
        // The city's own days: Delhi is five and a half hours ahead.
        let days = all(&reader, "lights/SL001/readings?resolution=day&from=2025-12-16T00:00:00Z&to=2025-12-18T00:00:00Z").await;
        assert_eq!(days.len(), 1);
        assert_eq!((days[0]["from"].as_str(), days[0]["to"].as_str()), (Some("2025-12-16T18:30:00Z"), Some("2025-12-17T18:30:00Z")));
        assert_eq!((days[0]["samples"].as_u64(), days[0]["on_seconds"].as_u64()), (Some(240), Some(3_600)));
        let mut single = city.claimed_device("IMEI:351234567890999").await;
        single.reports(PowerState::On).await.ok();
        assert_eq!(all(&reader, "lights/SL002/readings?resolution=15m").await.len(), 1);
    }
}
