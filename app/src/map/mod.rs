//! The map: the page an operator lives on.
//!
//! The server renders the page with its counts, its legend and, when an address names a light, the drawer with all its facts. In the
//! browser Leaflet then carries two canvases of ours: a quiet ground from the city's own GeoJSON, and the lights. Lights
//! are drawn from the columns of [`crate::live::Fleet`]; no light is ever an element of the page. What is selected and what is filtered
//! is in the address (`?light=SL001&show=red`), so every view can be sent to a colleague.
//!
//! From the ground up: `projection`, `grid`, `cluster`, `geojson` are pure; `leaflet.rs` is the only file that touches Leaflet;
//! `sheet` is a canvas that follows the map; `sprites`, `marks`, `pixels` and `basemap` draw; `stage` ties them to signals and
//! `pick` to the pointer; `chrome` is what lies on the map; `keys` and `confirm` let the keyboard do it all.
//!
//! Authorisation: the page shows what the frame and the live routes give to who may view; switching goes through
//! [`crate::light`], which needs the right to command.
mod basemap;
mod chrome;
pub mod cluster;
mod confirm;
pub mod geojson;
pub mod grid;
pub mod keys;
mod leaflet;
mod marks;
mod palette;
mod pick;
mod pixels;
pub mod projection;
mod sheet;
mod sprites;
mod stage;

use ccms_core::ids::LightId;
use ccms_core::light::Indicator;
use ccms_core::reading::PowerState;
use leptos::html;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::NavigateOptions;
use leptos_router::hooks::{use_navigate, use_query_map};

use crate::bound::{maybe, text};
use crate::frame::{Appearance, City};
use crate::light::{Ask, Drawer};
use crate::live::Live;
use stage::Stage;

/// What the keyboard asked for and a person has yet to confirm.
pub type Asked = RwSignal<Option<(LightId, Ask)>>;

#[component]
pub fn MapPage() -> impl IntoView {
    let live = expect_context::<Live>();
    let query = use_query_map();
    let selected = Memo::new(move |_| query.read().get("light").and_then(|text| LightId::parse(&text).ok()));
    let only = Memo::new(move |_| {
        let wanted = query.read().get("show")?;
        Indicator::ALL.into_iter().find(|i| i.as_str() == wanted)
    });
    let asked = Asked::new(None);
    let help = RwSignal::new(false);
    let host = NodeRef::<html::Div>::new();

    let navigate = use_navigate();
    let go = StoredValue::new(move |light: Option<String>, replace: bool| {
        let path = address(light.as_deref(), only.get_untracked());
        navigate(&path, NavigateOptions { scroll: false, replace, ..Default::default() });
    });
    let close = Callback::new(move |()| go.with_value(|go| go(None, false)));

    live.watched.set(selected.get_untracked().map(|id| id.to_string()));
    Effect::new(move |_| live.watched.set(selected.get().map(|id| id.to_string())));
    on_cleanup(move || _ = live.watched.try_set(None));
    Effect::new(move |_| raise(host, live, selected, only, go));
    keys::listen(selected, asked, help, go, close);

    let mark_of = move || {
        live.version.get();
        let id = selected.get()?;
        live.fleet.with_value(|fleet| {
            let i = fleet.by_id(id.as_str())?;
            let lamp = match fleet.state[i].power() {
                Some(PowerState::On) => "on",
                Some(PowerState::Off) => "off",
                None => "unknown",
            };
            Some(format!("{} {lamp} {}", fleet.state[i].indicator().as_str(), fleet.brightness[i]))
        })
    };
    let title = move || selected.get().map_or_else(|| "Map".into(), |id| id.to_string());
    view! {
        <Title text=title/>
        <section class="map-page" aria-label="Map" data-drawer=maybe(move || selected.get().map(|_| "open"))>
            <h1 class="unseen">"Map"</h1>
            <div
                node_ref=host
                class="map"
                role="application"
                tabindex="0"
                aria-label="Map of the lights. J and K select the next and the previous light, arrows move the map, question mark shows all keys. The page Lights lists the same as a table."
                data-testid="map"
                data-lights=text(move || live.counts.get().total())
                data-lit=text(move || live.counts.get().lit)
                data-seq=text(move || { live.version.get(); live.fleet.with_value(|fleet| fleet.seq) })
                data-selected=maybe(move || selected.get())
                data-mark=maybe(mark_of)
            ></div>
            <chrome::MapTools/>
            <chrome::Legend only/>
            <chrome::NoLights/>
            <Show when=move || selected.get().is_some()><Drawer selected close/></Show>
            <confirm::Confirm asked/>
            <keys::Shortcuts open=help/>
        </section>
    }
}

/// The address of the map with this selection and filter. A light's id needs no escaping.
pub fn address(light: Option<&str>, only: Option<Indicator>) -> String {
    let mut path = String::from("/map");
    let mut separator = '?';
    for (key, value) in [("light", light), ("show", only.map(Indicator::as_str))] {
        if let Some(value) = value {
            path.push(separator);
            path.push_str(key);
            path.push('=');
            path.push_str(value);
            separator = '&';
        }
    }
    path
}

/// Goes to a selection; the flag replaces the present entry of the history.
type Go<F> = StoredValue<F>;

/// Browser only: puts the map up, and lets the signals reach it.
fn raise<F: Fn(Option<String>, bool) + Send + Sync + 'static>(
    host: NodeRef<html::Div>,
    live: Live,
    selected: Memo<Option<LightId>>,
    only: Memo<Option<Indicator>>,
    go: Go<F>,
) {
    let Some(host) = host.get() else { return };
    let map = expect_context::<City>().0.with_value(|city| city.map.clone());
    let picked = Box::new(move |id: Option<String>| {
        if id.is_some() || selected.get_untracked().is_some() {
            go.with_value(|go| go(id, false));
        }
    });
    if Stage::raise(&host, &map, live.fleet, picked).is_none() {
        _ = host.set_attribute("data-failed", "");
        return;
    }
    on_cleanup(Stage::strike);
    let appearance = expect_context::<Appearance>();
    Effect::new(move |_| {
        live.version.get();
        stage::with(|stage| stage.fleet_changed());
    });
    Effect::new(move |_| {
        _ = (appearance.theme.get(), appearance.palette.get());
        stage::with(Stage::recolour);
    });
    Effect::new(move |_| _ = stage::with(|stage| stage.show_only(only.get())));
    let loaded = Memo::new(move |_| live.version.get() > 0);
    // The first selection comes from the address: the map goes close to it. Later ones are picked on the map or searched.
    Effect::new(move |shown: Option<bool>| {
        let id = selected.get().map(|id| id.to_string());
        let covered = keys::drawer_px(id.is_some());
        if !loaded.get() {
            return false;
        }
        stage::with(|stage| {
            stage.select(id);
            stage.reveal(covered, !shown.unwrap_or(false));
        });
        true
    });
    keys::on_system_theme(|| _ = stage::with(Stage::recolour));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_has_an_address() {
        assert_eq!(address(None, None), "/map");
        assert_eq!(address(Some("SL001"), None), "/map?light=SL001");
        assert_eq!(address(Some("SL001"), Some(Indicator::Red)), "/map?light=SL001&show=red");
        assert_eq!(address(None, Some(Indicator::Gray)), "/map?show=gray");
    }
}
