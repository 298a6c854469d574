//! What lies on the map: zoom, attribution, legend, the note of a filter, and what an empty city is told.
use ccms_core::light::Indicator;
use leptos::prelude::*;

use super::{address, stage};
use crate::bound::{flag, text};
use crate::frame::{City, use_me};
use crate::icons::{Icon, icon, mark};
use crate::live::Live;

#[component]
pub fn MapTools() -> impl IntoView {
    let city = expect_context::<City>().0;
    let attribution = city.with_value(|city| city.map.attribution.clone());
    let fit = move |_| _ = stage::with(|stage| stage.show_city(true));
    view! {
        <div class="map-tools" role="group" aria-label="Zoom">
            <button type="button" class="tool" aria-label="Zoom in" on:click=move |_| _ = stage::with(|s| s.zoom_by(1.0))>
                {icon(Icon::Plus)}
            </button>
            <button type="button" class="tool" aria-label="Zoom out" on:click=move |_| _ = stage::with(|s| s.zoom_by(-1.0))>
                {icon(Icon::Minus)}
            </button>
            <button type="button" class="tool" aria-label="Show the whole city" on:click=fit>{icon(Icon::Fit)}</button>
        </div>
        <p class="attribution">{attribution}</p>
    }
}

/// What the marks mean, and what is hidden by a filter.
#[component]
pub fn Legend(only: Memo<Option<Indicator>>) -> impl IntoView {
    let filtered = move || {
        only.get().map(|indicator| match indicator {
            Indicator::Green => "Only lights in order are shown.",
            Indicator::Yellow => "Only lights that need attention are shown.",
            Indicator::Red => "Only critical lights are shown.",
            Indicator::Gray => "Only lights never seen are shown.",
        })
    };
    view! {
        <details class="legend">
            <summary>"Legend"</summary>
            <ul>
                <li>{mark(Indicator::Green)}"Normal"</li>
                <li>{mark(Indicator::Yellow)}"Offline, low battery or poor signal"</li>
                <li>{mark(Indicator::Red)}"Critical: needs a person"</li>
                <li>{mark(Indicator::Gray)}"Never seen"</li>
                <li><span class="swatch lit"></span>"Filled with a glow: the lamp burns"</li>
                <li><span class="swatch off"></span>"Ring: the lamp is off"</li>
                <li><span class="swatch asked"></span>"Blue ring around: a command is under way"</li>
            </ul>
        </details>
        <p class="map-note" role="status" hidden=flag(move || filtered().is_none())>
            <span>{text(move || filtered().unwrap_or_default())}</span>
            <a href=address(None, None)>"Show all"</a>
        </p>
    }
}

/// An empty city says how it comes to lights.
#[component]
pub fn NoLights() -> impl IntoView {
    let (live, me) = (expect_context::<Live>(), use_me());
    view! {
        <section class="map-empty card" hidden=flag(move || live.counts.get().total() != 0)>
            <h2>"No lights yet"</h2>
            <p>"A light appears here by itself when its controller reports for the first time."</p>
            {me.may_commission.then(|| view! {
                <p>"Where controllers must be let in, they wait under "<a href="/devices">"Devices"</a>"."</p>
            })}
        </section>
    }
}
