//! The top bar: search, the four counts that filter, the state of the line, the city's time and the next turn of its lamps.
use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use ccms_core::view::{CityView, FleetCounts, SunEvent};
use leptos::prelude::*;
use leptos_router::hooks::{use_location, use_query_map};

use super::search::Search;
use crate::bound::{flag, text};
use crate::clock::CityClock;
use crate::icons::{Icon, icon, mark};
use crate::live::{Link, Live};
use crate::{lights, map};

#[component]
pub fn TopBar(city: CityView) -> impl IntoView {
    view! {
        <header class="topbar">
            <Search/>
            <Counts/>
            <CityTime city/>
            <LiveIndicator/>
        </header>
    }
}

pub const fn count_of(counts: &FleetCounts, indicator: Indicator) -> u32 {
    match indicator {
        Indicator::Green => counts.green,
        Indicator::Yellow => counts.yellow,
        Indicator::Red => counts.red,
        Indicator::Gray => counts.gray,
    }
}

/// What an indicator means, in a word or two.
const fn meaning(indicator: Indicator) -> &'static str {
    match indicator {
        Indicator::Green => "normal",
        Indicator::Yellow => "attention",
        Indicator::Red => "critical",
        Indicator::Gray => "never seen",
    }
}

/// One link per colour. It filters the page it is on; pressed again it shows all.
#[component]
fn Counts() -> impl IntoView {
    let live = expect_context::<Live>();
    let location = use_location();
    let query = use_query_map();
    let shown = Memo::new(move |_| query.read().get("show").unwrap_or_default());
    let one = move |indicator: Indicator| {
        let active = move || shown.get() == indicator.as_str();
        let href = move || {
            let show = (!active()).then_some(indicator);
            if location.pathname.get().starts_with("/lights") {
                lights::address(&query.read().get("q").unwrap_or_default(), show, None)
            } else {
                map::address(query.read().get("light").as_deref(), show)
            }
        };
        let label = move || {
            let n = count_of(&live.counts.get(), indicator);
            match indicator {
                Indicator::Green => format!("{n} normal: show only these lights"),
                Indicator::Yellow => format!("{n} attention: show only these lights"),
                Indicator::Red => format!("{n} critical: show only these lights"),
                Indicator::Gray => format!("{n} never seen: show only these lights"),
            }
        };
        view! {
            <li>
                <a
                    href=text(href)
                    class="count"
                    data-active=flag(active)
                    data-testid=format!("count-{}", indicator.as_str())
                    aria-label=text(label)
                    title=text(label)
                >
                    {mark(indicator)}
                    <span class="count-number">{text(move || count_of(&live.counts.get(), indicator))}</span>
                    " "
                    <span class="count-word" aria-hidden="true">{meaning(indicator)}</span>
                </a>
            </li>
        }
    };
    view! {
        <ul class="counts" aria-label="Lights by state">
            {Indicator::ALL.map(one).collect_view()}
            <li class="count count-lit" title="Lamps that burn">
                {icon(Icon::Lamp)}
                <span class="count-number" data-testid="count-lit">{text(move || live.counts.get().lit)}</span>
                <span class="count-word">"lit"</span>
            </li>
        </ul>
    }
}

/// "Sunset 17:26 · 586 lights switch on", as one sentence per case.
fn next_sun(event: &SunEvent, clock: CityClock) -> String {
    let (at, n) = (clock.hour_minute(event.at), event.lights);
    match (event.switches, n) {
        (PowerState::On, 1) => format!("Sunset {at} · 1 light switches on"),
        (PowerState::On, _) => format!("Sunset {at} · {n} lights switch on"),
        (PowerState::Off, 1) => format!("Sunrise {at} · 1 light switches off"),
        (PowerState::Off, _) => format!("Sunrise {at} · {n} lights switch off"),
    }
}

#[component]
fn CityTime(city: CityView) -> impl IntoView {
    let clock = expect_context::<CityClock>();
    let sun = city.next_sun.map(|event| next_sun(&event, clock));
    let zone = format!("Time zone {}", city.timezone);
    view! {
        <div class="city">
            <p class="city-line">
                <span class="city-name">{city.name}</span>
                {city.demo_clock.then(|| view! {
                    <span class="tag" title="This city runs on a shifted clock" data-testid="demo-clock">"Demo clock"</span>
                })}
                <time class="city-time" data-testid="city-time" title=zone>
                    {text(move || clock.hour_minute_second(clock.now()))}
                </time>
                <span class="city-zone">{city.timezone}</span>
            </p>
            <p class="city-sun" data-testid="next-sun">{sun}</p>
        </div>
    }
}

#[component]
fn LiveIndicator() -> impl IntoView {
    let live = expect_context::<Live>();
    let clock = expect_context::<CityClock>();
    let state = move || match live.link.get() {
        Link::Starting => "Starting".to_owned(),
        Link::Live => "Live".to_owned(),
        Link::Reconnecting { .. } => "Reconnecting".to_owned(),
        Link::Stale { since } => format!("Stale since {}", clock.hour_minute(since)),
    };
    view! {
        <p class="link-state" role="status" data-testid="live-indicator" data-state=text(move || live.link.get().as_str())>
            <span class="link-dot" aria-hidden="true"></span>
            <span class="link-text">{text(state)}</span>
        </p>
    }
}
