//! The head of the drawer, the three facts side by side, and the controller at its foot.
use ccms_core::command::CommandState;
use ccms_core::view::LightDetail;
use leptos::prelude::*;

use super::{seen, words};
use crate::bound::{flag, maybe, text};
use crate::clock::{CityClock, span};
use crate::icons::mark;

/// The name of a place and what its address adds: many a name is the beginning of its address.
pub fn place(name: &str, address: &str) -> (String, String) {
    if address.starts_with(name) { (address.to_owned(), String::new()) } else { (name.to_owned(), address.to_owned()) }
}

#[component]
pub fn Head(detail: RwSignal<LightDetail>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let last = move || seen(detail, |d| d.last_contact).map(|at| clock.age(at));
    let at = move || seen(detail, |d| place(&d.name, &d.address));
    view! {
        <header class="drawer-head">
            <h2 class="mono" data-testid="light-id">{text(move || seen(detail, |d| d.light_id.to_string()))}</h2>
            <p class="drawer-name">{text(move || at().0)}</p>
            <p class="quiet">{text(move || at().1)}</p>
        </header>
        <div class="verdict" data-indicator=text(move || seen(detail, |d| d.indicator.as_str())) data-testid="verdict">
            {move || seen(detail, |d| Some(d.indicator)).map(mark)}
            <div>
                <p class="verdict-word">{text(move || seen(detail, |d| words::indicator(d.indicator)))}</p>
                <p class="quiet">{text(move || { let last = last(); seen(detail, |d| words::cause(d, last).to_string()) })}</p>
            </div>
            <p class="verdict-seen">
                <span class="quiet">"Last seen"</span>
                <span data-testid="last-seen" title=maybe(move || seen(detail, |d| d.last_contact).map(|at| clock.date_time(at)))>
                    {text(move || last().unwrap_or_else(|| "Never".into()))}
                </span>
            </p>
        </div>
    }
}

/// Commanded, delivered, actual: three facts, each with its age. A wish is never drawn as a fact.
#[component]
pub fn ThreeFacts(detail: RwSignal<LightDetail>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let commanded = move || seen(detail, |d| d.commanded.clone());
    let asked = move || match commanded() {
        Some(c) => (words::kind(&c.kind), clock.age(c.requested_at)),
        None => ("By schedule".into(), seen(detail, |d| words::scheduled(d.scheduled).to_string())),
    };
    let delivered = move || match commanded() {
        None => ("–", "no command".into()),
        Some(c) => match (c.state, c.delivered_at) {
            (_, Some(at)) => ("Yes", clock.age(at)),
            (CommandState::Queued, None) => ("Not yet", "at next poll".into()),
            (_, None) => ("Yes", c.finished_at.map(|at| clock.age(at)).unwrap_or_default()),
        },
    };
    let actual = move || match seen(detail, |d| d.actual.clone()) {
        Some(r) => (words::actual(&r), clock.age(r.reported_at)),
        None => ("Never reported".into(), String::new()),
    };
    let stale = move || !seen(detail, |d| d.online);
    view! {
        <dl class="facts" aria-label="Commanded, delivered, actual">
            <div class="fact">
                <dt>"Commanded"</dt>
                <dd class="fact-value" data-testid="commanded-state">{text(move || asked().0)}</dd>
                <dd class="fact-age">{text(move || asked().1)}</dd>
            </div>
            <div class="fact">
                <dt>"Delivered"</dt>
                <dd class="fact-value" data-testid="delivered-state">{text(move || delivered().0)}</dd>
                <dd class="fact-age">{text(move || delivered().1)}</dd>
            </div>
            <div class="fact" data-old=flag(stale)>
                <dt>"Actual"</dt>
                <dd class="fact-value" data-testid="actual-state">{text(move || actual().0)}</dd>
                <dd class="fact-age">{text(move || actual().1)}</dd>
            </div>
        </dl>
    }
}

/// The controller, the place and the schedule.
#[component]
pub fn Device(detail: RwSignal<LightDetail>) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let rows = move || {
        let Some(d) = detail.try_get() else { return Vec::new() };
        let mut rows: Vec<(&str, String)> = Vec::new();
        rows.push(("Schedule", d.schedule.as_ref().map_or_else(|| "None yet".into(), words::schedule)));
        match &d.device {
            Some(device) => {
                rows.push(("Controller", device.device_id.to_string()));
                let imei = device.gsm_imei.clone().filter(|imei| device.device_id.imei() != Some(imei));
                rows.extend(imei.map(|imei| ("IMEI", imei)));
                rows.extend(device.firmware_version.clone().map(|v| ("Firmware", v)));
                rows.extend(device.communication_type.clone().map(|v| ("Connection", v)));
                rows.extend(device.claimed_at.map(|at| ("Let in", clock.date_time(at))));
            }
            None => rows.push(("Controller", "None assigned".into())),
        }
        rows.extend(d.actual.as_ref().and_then(|r| r.uptime_s).map(|s| ("Running for", span(s))));
        rows.push(("Position", format!("{:.6}, {:.6}", d.latitude, d.longitude)));
        rows
    };
    view! {
        <section class="block">
            <h3>"Device"</h3>
            <dl class="pairs">
                {move || rows().into_iter().map(|(name, value)| view! {
                    <div><dt>{name}</dt><dd>{value}</dd></div>
                }).collect_view()}
            </dl>
        </section>
    }
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_is_not_said_twice() {
        let said = |name, address| {
            let (first, second) = place(name, address);
            format!("{first} | {second}")
        };
        assert_eq!(said("Simonkatu 2", "Simonkatu 2, Helsinki"), "Simonkatu 2, Helsinki | ");
        assert_eq!(said("Light 7", "Main Road"), "Light 7 | Main Road");
        assert_eq!(said("", "Main Road"), "Main Road | ");
        assert_eq!(said("Light 7", ""), "Light 7 | ");
    }
}
