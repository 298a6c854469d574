//! Readings of one light: every one of them under the names of the device contract, or what quarters of an hour, days and months
//! came to. Newest first.
use axum::http::StatusCode;
use axum::response::Response;
use ccms_core::reading::{PowerState, Reading};
use ccms_core::time::UtcMillis;
use ccms_service::history::{Cut, Place, Spread, Summary};
use ccms_store::ReadingRow;
use serde::{Deserialize, Deserializer, Serialize};

use super::call::{Call, Cursor, Limit, Page, json};
use super::problem::Problem;

/// Without `from` a page reaches back this far.
const REACH_S: i64 = 86_400;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    from: Option<Instant>,
    to: Option<Instant>,
    #[serde(default)]
    resolution: Fine,
    cursor: Option<String>,
    #[serde(default)]
    limit: Limit,
}

#[derive(Deserialize, Default)]
enum Fine {
    #[default]
    #[serde(rename = "raw")]
    Raw,
    #[serde(rename = "15m")]
    QuarterHour,
    #[serde(rename = "day")]
    Day,
    #[serde(rename = "month")]
    Month,
}

/// RFC 3339.
#[derive(Clone, Copy)]
pub(super) struct Instant(pub UtcMillis);

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        // A `+` that nobody escaped arrives as a blank.
        let at = text.parse().or_else(|_| text.replace(' ', "+").parse());
        let at: Option<jiff::Timestamp> = at.ok();
        at.map(|at| Self(UtcMillis(at.as_millisecond())))
            .ok_or_else(|| serde::de::Error::custom("a time is written as 2025-12-17T10:30:00Z"))
    }
}

pub async fn list(call: Call) -> Result<Response, Problem> {
    let (may, id) = (call.who().may_view()?, call.light_id()?);
    let wish: Wish = call.params()?;
    // Clocks may be a day ahead and still be believed, so "now" would cut off what they say.
    let to = wish.to.map_or(call.ccms().now().plus_seconds(REACH_S + 1), |t| t.0);
    let from = wish.from.map_or_else(|| wish.to.map_or(call.ccms().now(), |t| t.0).plus_seconds(-REACH_S), |t| t.0);
    if from >= to {
        return Err(Problem::malformed("from has to be before to."));
    }
    let (ccms, limit) = (call.ccms(), wish.limit.0);
    let cut = match wish.resolution {
        Fine::Raw => {
            let after: Option<Cursor<3>> = cursor(wish.cursor.as_deref())?;
            let after = after.map(|c| Place { at: UtcMillis(c.0[0]), reported_at: UtcMillis(c.0[1]), dedupe: c.0[2] });
            let (rows, next) = ccms.light_readings(may, &id, (from, to), after, limit).await?;
            let items: Vec<Item> = rows.iter().map(Item::of).collect();
            let next_cursor = next.map(|p| Cursor([p.at.0, p.reported_at.0, p.dedupe]).text());
            return Ok(json(StatusCode::OK, &Page { items, next_cursor }));
        }
        Fine::QuarterHour => Cut::QuarterHour,
        Fine::Day => Cut::Day,
        Fine::Month => Cut::Month,
    };
    let before: Option<Cursor<1>> = cursor(wish.cursor.as_deref())?;
    let to = before.map_or(to, |c| to.min(UtcMillis(c.0[0])));
    let (summaries, next) = ccms.light_summaries(may, &id, (from, to), cut, limit).await?;
    let items: Vec<Sum> = summaries.iter().map(Sum::of).collect();
    Ok(json(StatusCode::OK, &Page { items, next_cursor: next.map(|at| Cursor([at.0]).text()) }))
}

fn cursor<const N: usize>(text: Option<&str>) -> Result<Option<Cursor<N>>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let read = Cursor::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(text));
    read.map(Some).map_err(|e| Problem::malformed(e.to_string()))
}

/// What a reading says beside energy.
#[derive(Serialize, Default)]
pub(super) struct Measured<'a> {
    power_state: Option<PowerState>,
    brightness: Option<u8>,
    temperature_celsius: Option<f64>,
    battery_percentage: Option<u8>,
    gsm_signal_strength: Option<u8>,
    uptime_seconds: Option<u32>,
    error_flags: Vec<&'a str>,
    /// What was wrong with it.
    flags: Vec<&'static str>,
}

impl<'a> Measured<'a> {
    pub(super) fn of(r: &'a Reading) -> Self {
        Self {
            power_state: r.power_state,
            brightness: r.brightness_percent,
            temperature_celsius: r.temperature_dc.map(|v| f64::from(v) / 10.0),
            battery_percentage: r.battery_percent,
            gsm_signal_strength: r.signal_percent,
            uptime_seconds: r.uptime_s,
            error_flags: r.error_flags.iter().map(|f| &**f).collect(),
            flags: r.flags.names().collect(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Energy {
    voltage: Option<f64>,
    current: Option<f64>,
    power_watts: Option<f64>,
    frequency: Option<f64>,
    cumulative_kwh: Option<f64>,
}

impl Energy {
    pub(super) fn of(r: &Reading) -> Self {
        Self {
            voltage: r.voltage_dv.map(|v| f64::from(v) / 10.0),
            current: r.current_ma.map(|v| f64::from(v) / 1000.0),
            power_watts: r.power_dw.map(|v| f64::from(v) / 10.0),
            frequency: r.frequency_chz.map(|v| f64::from(v) / 100.0),
            cumulative_kwh: r.energy_wh.map(|v| v as f64 / 1000.0),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Item<'a> {
    timestamp: UtcMillis,
    received_at: UtcMillis,
    /// The device's own message number, if it sends one.
    seq: Option<i64>,
    #[serde(flatten)]
    measured: Measured<'a>,
    #[serde(flatten)]
    energy: Energy,
}

impl<'a> Item<'a> {
    pub(super) fn of(row: &'a ReadingRow) -> Self {
        Self {
            timestamp: row.reading.reported_at,
            received_at: row.received_at,
            seq: Some(row.dedupe).filter(|n| *n >= 0),
            measured: Measured::of(&row.reading),
            energy: Energy::of(&row.reading),
        }
    }
}

#[derive(Serialize)]
struct Sum {
    from: UtcMillis,
    to: UtcMillis,
    samples: u32,
    coverage: f64,
    on_seconds: u64,
    energy_kwh: Option<f64>,
    meter_breaks: u32,
    meter_rollovers: u32,
    brightness: Option<Range>,
    temperature_celsius: Option<Range>,
    battery_percentage: Option<Range>,
    gsm_signal_strength: Option<Range>,
    voltage: Option<Range>,
    current: Option<Range>,
    power_watts: Option<Range>,
}

#[derive(Serialize)]
struct Range {
    min: f64,
    mean: f64,
    max: f64,
}

impl Sum {
    fn of(s: &Summary) -> Self {
        let range =
            |spread: Option<Spread>| spread.map(|s| Range { min: s.min, mean: thousandths(s.mean), max: s.max });
        Self {
            from: s.from,
            to: s.to,
            samples: s.samples,
            coverage: thousandths(s.coverage),
            on_seconds: s.on_s,
            energy_kwh: s.energy_kwh.map(thousandths),
            meter_breaks: s.meter_breaks,
            meter_rollovers: s.meter_rollovers,
            brightness: range(s.brightness),
            temperature_celsius: range(s.temperature_c),
            battery_percentage: range(s.battery_percent),
            gsm_signal_strength: range(s.signal_percent),
            voltage: range(s.voltage),
            current: range(s.current),
            power_watts: range(s.power_w),
        }
    }
}

pub(super) fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
