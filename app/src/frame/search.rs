//! Search: by light, controller, IMEI, name or address. `/` brings the cursor here from anywhere; arrows and Enter choose.
//! Without the browser half it is a form that leads to the table of lights.
use std::time::Duration;

use ccms_core::view::LightHit;
use leptos::ev::{KeyboardEvent, SubmitEvent};
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;
use leptos_router::NavigateOptions;
use leptos_router::hooks::use_navigate;

use crate::bound::{flag, maybe, text};
use crate::icons::{Icon, icon, mark};
use crate::light::place;
use crate::lights::{address as lights_address, find};

/// Distance between the last key and the question to the server.
const DEBOUNCE: Duration = Duration::from_millis(120);

#[component]
pub fn Search() -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let typed = RwSignal::new(String::new());
    let hits = RwSignal::new(None::<Vec<LightHit>>);
    let active = RwSignal::new(0_usize);
    let open = RwSignal::new(false);
    let asked = StoredValue::new(0_u32);

    let ask = move || {
        let number = asked.get_value().wrapping_add(1);
        asked.set_value(number);
        let wanted = typed.get_untracked().trim().to_owned();
        if wanted.is_empty() {
            hits.set(None);
            return;
        }
        let later = move || {
            if asked.get_value() != number {
                return;
            }
            spawn_local(async move {
                let found = find(wanted).await;
                if asked.get_value() == number {
                    hits.set(Some(found.unwrap_or_default()));
                    active.set(0);
                }
            });
        };
        set_timeout(later, DEBOUNCE);
    };

    let navigate = use_navigate();
    let leave = StoredValue::new(move |path: String| {
        open.set(false);
        hits.set(None);
        if let Some(input) = input.get_untracked() {
            input.set_value("");
            _ = input.blur();
        }
        navigate(&path, NavigateOptions { scroll: false, ..Default::default() });
    });
    let go = StoredValue::new(move |id: String| leave.with_value(|leave| leave(format!("/map?light={id}"))));
    // Enter before the hits are here: wait for them, take the best, and go to the table if there is none.
    let submit = move |event: SubmitEvent| {
        event.prevent_default();
        let wanted = typed.get_untracked().trim().to_owned();
        asked.update_value(|n| *n = n.wrapping_add(1));
        spawn_local(async move {
            match find(wanted.clone()).await.ok().and_then(|hits| hits.into_iter().next()) {
                Some(best) if !wanted.is_empty() => go.with_value(|go| go(best.light_id.to_string())),
                _ => leave.with_value(|leave| leave(lights_address(&wanted, None, None))),
            }
        });
    };
    let go_active = move || {
        let id = hits.with_untracked(|h| h.as_ref()?.get(active.get_untracked()).map(|hit| hit.light_id.to_string()));
        id.is_some_and(|id| {
            go.with_value(|go| go(id));
            true
        })
    };
    let on_key = move |event: KeyboardEvent| {
        let n = hits.with_untracked(|h| h.as_ref().map_or(0, Vec::len));
        match event.key().as_str() {
            "ArrowDown" if n > 0 => active.update(|a| *a = (*a + 1) % n),
            "ArrowUp" if n > 0 => active.update(|a| *a = (*a + n - 1) % n),
            "Escape" => {
                open.set(false);
                if let Some(input) = input.get_untracked() {
                    _ = input.blur();
                }
            }
            "Enter" if go_active() => {}
            _ => return,
        }
        event.prevent_default();
    };
    let slash = window_event_listener(leptos::ev::keydown, move |event| {
        if event.key() == "/"
            && crate::map::keys::is_for_the_page(&event)
            && let Some(input) = input.get_untracked()
        {
            event.prevent_default();
            _ = input.focus();
            input.select();
        }
    });
    on_cleanup(move || slash.remove());

    let showing = move || open.get() && hits.with(Option::is_some);
    let found = move || hits.with(|h| h.as_ref().is_some_and(|h| !h.is_empty()));
    let hit_view = move |(i, hit): (usize, LightHit)| {
        let id = hit.light_id.to_string();
        let (name, more) = place(&hit.name, &hit.address);
        let device = hit.device_id.map(|d| d.to_string()).unwrap_or_default();
        view! {
            <li
                id=format!("hit-{i}")
                role="option"
                class="hit"
                data-testid="search-hit"
                aria-selected=text(move || active.get() == i)
                // Before the input loses its focus, and with it the list.
                on:mousedown=move |event| {
                    event.prevent_default();
                    go.with_value(|go| go(id.clone()));
                }
            >
                {mark(hit.indicator)}
                <span class="hit-id">{hit.light_id.to_string()}</span>
                <span class="hit-name">{name}</span>
                <span class="hit-more">{more}</span>
                <span class="hit-more mono">{device}</span>
            </li>
        }
    };
    view! {
        <form class="search" role="search" action="/lights" method="get" on:submit=submit>
            {icon(Icon::Search)}
            <input
                node_ref=input
                type="search"
                name="q"
                role="combobox"
                autocomplete="off"
                spellcheck="false"
                enterkeyhint="search"
                placeholder="Light, IMEI, address"
                aria-label="Search lights"
                aria-expanded=text(showing)
                aria-controls="search-hits"
                aria-autocomplete="list"
                aria-activedescendant=maybe(move || (showing() && found()).then(|| format!("hit-{}", active.get())))
                data-testid="search-input"
                on:input:target=move |event| {
                    typed.set(event.target().value());
                    open.set(true);
                    ask();
                }
                on:focus=move |_| open.set(true)
                on:blur=move |_| open.set(false)
                on:keydown=on_key
            />
            <kbd class="search-key" aria-hidden="true">"/"</kbd>
            <ul id="search-hits" class="hits" role="listbox" aria-label="Lights found" hidden=flag(move || !showing())>
                {move || hits.get().unwrap_or_default().into_iter().enumerate().map(hit_view).collect_view()}
            </ul>
            <p class="hits hits-none" role="status" hidden=flag(move || !showing() || hits.with(|h| h.as_ref().is_none_or(|h| !h.is_empty())))>
                "No light matches. Try its number, IMEI, street or name."
            </p>
        </form>
    }
}
