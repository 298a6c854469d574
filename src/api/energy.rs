//! Energy of the city, by light, feeder, ward or zone, and by quarter of an hour, day or month. Newest first.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_core::time::UtcMillis;
use ccms_service::history::Cut;
use ccms_service::history::energy::{EnergyQuery, EnergyUsed, Grouping};
use serde::{Deserialize, Serialize};

use super::call::{Call, Limit, NameCursor, json};
use super::problem::Problem;
use super::readings::{Instant, thousandths};

const DAY_S: i64 = 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    from: Option<Instant>,
    to: Option<Instant>,
    #[serde(default)]
    resolution: Fine,
    #[serde(default)]
    group: Group,
    name: Option<String>,
    cursor: Option<NameCursor>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Deserialize, Default)]
enum Fine {
    #[serde(rename = "15m")]
    QuarterHour,
    #[default]
    #[serde(rename = "day")]
    Day,
    #[serde(rename = "month")]
    Month,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "lowercase")]
enum Group {
    #[default]
    City,
    Zone,
    Ward,
    Feeder,
    Light,
}

#[derive(Serialize)]
struct Answer<'a> {
    items: Vec<Item<'a>>,
    next_cursor: Option<String>,
    complete_until: UtcMillis,
}

#[derive(Serialize)]
struct Item<'a> {
    from: UtcMillis,
    to: UtcMillis,
    name: &'a str,
    lights: u32,
    lights_heard: u32,
    energy_kwh: Option<f64>,
    on_seconds: u64,
    coverage: f64,
    meter_breaks: u32,
    meter_rollovers: u32,
}

pub async fn list(call: Call) -> Result<Response, Problem> {
    let may = call.who().may_view()?;
    let wish: Wish = call.params()?;
    let (cut, reach_days) = match wish.resolution {
        Fine::QuarterHour => (Cut::QuarterHour, 1),
        Fine::Day => (Cut::Day, 31),
        Fine::Month => (Cut::Month, 366),
    };
    let now = call.ccms().now();
    let to = wish.to.map_or(now, |t| t.0);
    let from = wish.from.map_or_else(|| to.plus_seconds(-DAY_S * reach_days), |t| t.0);
    if from >= to {
        return Err(Problem::malformed("from has to be before to."));
    }
    let (to, after) = match wish.cursor {
        Some(NameCursor(at, name)) => (to.min(UtcMillis(at)), name),
        None => (to, None),
    };
    let query = EnergyQuery {
        grouping: match wish.group {
            Group::City => Grouping::City,
            Group::Zone => Grouping::Zone,
            Group::Ward => Grouping::Ward,
            Group::Feeder => Grouping::Feeder,
            Group::Light => Grouping::Light,
        },
        only: wish.name.as_deref(),
        cut,
        window: (from, to),
        after: after.as_deref(),
        limit: wish.limit.0,
    };
    let page = call.ccms().energy(may, query).await?;
    let next_cursor = page.next.map(|(at, after)| NameCursor(at.0, after).text());
    let items = page.used.iter().map(Item::of).collect();
    Ok(json(StatusCode::OK, &Answer { items, next_cursor, complete_until: page.complete_until }))
}

impl<'a> Item<'a> {
    fn of(used: &'a EnergyUsed) -> Self {
        Self {
            from: used.from,
            to: used.to,
            name: &used.name,
            lights: used.lights,
            lights_heard: used.heard,
            energy_kwh: used.energy_kwh.map(thousandths),
            on_seconds: used.on_s,
            coverage: thousandths(used.coverage),
            meter_breaks: used.meter_breaks,
            meter_rollovers: used.meter_rollovers,
        }
    }
}
