//! The last readings: values now with their units, two small curves, and the numbers behind the curves as a table.
use ccms_core::view::{LightDetail, ReadingView};
use leptos::prelude::*;

use super::{seen, words};
use crate::bound::flag;
use crate::clock::CityClock;

const ROWS_MAX: usize = 10;
const CURVE_WIDTH: f64 = 168.0;
const CURVE_HEIGHT: f64 = 40.0;

#[component]
pub fn Readings(detail: RwSignal<LightDetail>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let readings = move || seen(detail, |d| d.readings.clone());
    let row = move |r: ReadingView| {
        view! {
            <tr data-flagged=(!r.flags.is_empty()).then_some("") title=r.flags.join(", ")>
                <th scope="row">{clock.hour_minute_second(r.reported_at)}</th>
                <td>{words::actual(&r)}</td>
                <td>{number(r.power_w, 1)}</td>
                <td>{number(r.voltage_v, 1)}</td>
                <td>{number(r.temperature_c, 1)}</td>
            </tr>
        }
    };
    view! {
        <section class="block" hidden=flag(move || seen(detail, |d| d.actual.is_none()))>
            <h3>"Now"</h3>
            <dl class="values">
                {move || seen(detail, |d| d.actual.as_ref().map(values)).unwrap_or_default().into_iter().map(|(name, value, unit)| view! {
                    <div><dt>{name}</dt><dd>{value}<span class="unit">{unit}</span></dd></div>
                }).collect_view()}
            </dl>
        </section>
        <section class="block">
            <h3>"Readings"</h3>
            <div class="curves">
                {move || curve("Power", "W", readings().iter().rev().map(|r| r.power_w).collect())}
                {move || curve("Temperature", "°C", readings().iter().rev().map(|r| r.temperature_c).collect())}
            </div>
            <div class="scroll" tabindex="0" role="region" aria-label="Last readings">
                <table class="table dense">
                    <thead>
                        <tr>
                            <th scope="col">"Time"</th>
                            <th scope="col">"Lamp"</th>
                            <th scope="col">"W"</th>
                            <th scope="col">"V"</th>
                            <th scope="col">"°C"</th>
                        </tr>
                    </thead>
                    <tbody>{move || readings().into_iter().take(ROWS_MAX).map(row).collect_view()}</tbody>
                </table>
            </div>
            <p class="quiet" hidden=flag(move || !readings().is_empty())>"No reading has arrived yet."</p>
        </section>
    }
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "–".into(), |v| format!("{v:.decimals$}"))
}

/// Name, value and unit of what was reported; what was not is left out.
fn values(r: &ReadingView) -> Vec<(&'static str, String, &'static str)> {
    let of = |name, value: Option<f64>, decimals, unit| value.map(|v| (name, number(Some(v), decimals), unit));
    [
        of("Power", r.power_w, 1, "W"),
        of("Voltage", r.voltage_v, 1, "V"),
        of("Current", r.current_a, 3, "A"),
        of("Frequency", r.frequency_hz, 2, "Hz"),
        // A meter that has run for years needs no tenths, and has no room for them.
        of("Energy", r.energy_kwh, if r.energy_kwh.is_some_and(|e| e >= 1_000.0) { 0 } else { 1 }, "kWh"),
        of("Temperature", r.temperature_c, 1, "°C"),
        of("Battery", r.battery_percent.map(f64::from), 0, "%"),
        of("Signal", r.signal_percent.map(f64::from), 0, "%"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A curve of what arrived, oldest first; the table has the numbers.
fn curve(name: &'static str, unit: &'static str, values: Vec<Option<f64>>) -> Option<impl IntoView> {
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    let (low, high) = known.iter().fold((f64::MAX, f64::MIN), |(low, high), v| (low.min(*v), high.max(*v)));
    (known.len() >= 2).then(|| {
        let range = format!("{low:.1} to {high:.1} {unit}");
        view! {
            <figure class="curve">
                <figcaption><span>{name}</span><span class="quiet">{range}</span></figcaption>
                <svg viewBox=format!("0 0 {CURVE_WIDTH} {CURVE_HEIGHT}") preserveAspectRatio="none" aria-hidden="true" focusable="false">
                    <polyline points=points(&values, low, high)></polyline>
                </svg>
            </figure>
        }
    })
}

/// The points of a polyline that fills the curve's box; a gap takes its place and is bridged.
fn points(values: &[Option<f64>], low: f64, high: f64) -> String {
    // A steady value is a line in the middle, and noise below a unit does not fill the box.
    let span = (high - low).max(1.0);
    let floor = (low + high - span) / 2.0;
    let step = CURVE_WIDTH / (values.len().max(2) - 1) as f64;
    let inset = 3.0;
    let point = |(i, v): (usize, &Option<f64>)| {
        let y = inset + (1.0 - ((*v)? - floor) / span) * (CURVE_HEIGHT - 2.0 * inset);
        Some(format!("{:.1},{y:.1}", i as f64 * step))
    };
    values.iter().enumerate().filter_map(point).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::points;

    #[test]
    fn a_curve_fills_its_box_and_a_steady_value_is_its_middle() {
        assert_eq!(points(&[Some(0.0), Some(10.0)], 0.0, 10.0), "0.0,37.0 168.0,3.0");
        assert_eq!(points(&[Some(5.0), None, Some(5.0)], 5.0, 5.0), "0.0,20.0 168.0,20.0");
        assert_eq!(points(&[], f64::MAX, f64::MIN), "");
    }
}
