//! The keyboard on the map, and the dialog that lists its keys. Single keys can be switched off, as WCAG 2.1.4 asks for people
//! whose speech software types letters.
use ccms_core::ids::LightId;
use ccms_core::reading::PowerState;
use leptos::ev::KeyboardEvent;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{Element, MediaQueryList};

use super::{Asked, stage};
use crate::icons::{Icon, icon};
use crate::light::Ask;

/// Where the choice about single keys is kept.
const STORAGE_KEY: &str = "single-keys";
const DRAWER_PX: f64 = 400.0;
const NARROW_PX: f64 = 720.0;

/// All keys and what they do, as the dialog shows them.
const KEYS: [(&str, &str); 9] = [
    ("/", "Search"),
    ("j", "Select the next light on the screen"),
    ("k", "Select the previous light on the screen"),
    ("o", "Switch the selected light on (asks first)"),
    ("f", "Switch the selected light off (asks first)"),
    ("Esc", "Close the drawer"),
    ("← ↑ ↓ →", "Move the map, when it has the focus"),
    ("+ −", "Zoom, when the map has the focus"),
    ("?", "Show these keys"),
];

/// Whether a single key may act on the page: not while typing, not with a modifier, not under a dialog.
pub fn is_for_the_page(event: &KeyboardEvent) -> bool {
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.default_prevented() {
        return false;
    }
    let typing = event.target().and_then(|t| t.dyn_into::<Element>().ok()).is_some_and(|element| {
        matches!(element.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA")
            || element.has_attribute("contenteditable")
    });
    let dialog = document().query_selector("dialog[open]").ok().flatten().is_some();
    !typing && !dialog && (event.key() == "Escape" || enabled())
}

fn storage() -> Option<web_sys::Storage> {
    window().local_storage().ok().flatten()
}

fn enabled() -> bool {
    storage().and_then(|s| s.get_item(STORAGE_KEY).ok().flatten()).is_none_or(|v| v != "off")
}

/// Pixels of the map that an open drawer covers: on narrow screens it covers all, and then nothing is gained by moving.
pub fn drawer_px(open: bool) -> f64 {
    let wide = window().inner_width().ok().and_then(|w| w.as_f64()).is_some_and(|w| w > NARROW_PX);
    if wide && open { DRAWER_PX } else { 0.0 }
}

/// Calls `then` whenever the system turns dark or light.
pub fn on_system_theme(then: impl Fn() + 'static) {
    let Ok(Some(list)) = window().match_media("(prefers-color-scheme: dark)") else { return };
    let listener = Closure::<dyn Fn()>::new(then);
    _ = list.add_event_listener_with_callback("change", listener.as_ref().unchecked_ref());
    let held = StoredValue::new_local(Some((list, listener)));
    on_cleanup(move || {
        let taken: Option<(MediaQueryList, Closure<dyn Fn()>)> = held.try_update_value(Option::take).flatten();
        if let Some((list, listener)) = taken {
            _ = list.remove_event_listener_with_callback("change", listener.as_ref().unchecked_ref());
        }
    });
}

/// The light `step` places after `now` in a circle of `ids`; the first or last when none is selected.
pub fn neighbour(ids: &[String], now: Option<&str>, step: isize) -> Option<String> {
    let n = ids.len() as isize;
    let at = now.and_then(|now| ids.iter().position(|id| id == now)).map(|i| i as isize);
    let next = match at {
        Some(i) => (i + step).rem_euclid(n.max(1)),
        None if step > 0 => 0,
        None => n - 1,
    };
    ids.get(usize::try_from(next).ok()?).cloned()
}

/// Browser only: acts on the page's keys while the map is shown.
pub fn listen<F: Fn(Option<String>, bool) + Send + Sync + 'static>(
    selected: Memo<Option<LightId>>,
    asked: Asked,
    help: RwSignal<bool>,
    go: StoredValue<F>,
    close: Callback<()>,
) {
    let may_command = crate::frame::use_me().may_command;
    let act = move |event: KeyboardEvent| {
        if !is_for_the_page(&event) {
            return;
        }
        let id = selected.get_untracked();
        let step = |by: isize| {
            let ids = stage::with(|stage| stage.on_screen(drawer_px(id.is_some()))).unwrap_or_default();
            if let Some(next) = neighbour(&ids, id.as_ref().map(LightId::as_str), by) {
                go.with_value(|go| go(Some(next), id.is_some()));
            }
        };
        let ask = |state| {
            if let Some(id) = id.clone().filter(|_| may_command) {
                asked.set(Some((id, Ask::of(state))));
            }
        };
        match event.key().as_str() {
            "j" => step(1),
            "k" => step(-1),
            "o" => ask(PowerState::On),
            "f" => ask(PowerState::Off),
            "?" => help.set(true),
            "Escape" if id.is_some() => close.run(()),
            _ => return,
        }
        event.prevent_default();
    };
    Effect::new(move |_| {
        let listener = window_event_listener(leptos::ev::keydown, act);
        on_cleanup(move || listener.remove());
    });
}

/// The list of keys.
#[component]
pub fn Shortcuts(open: RwSignal<bool>) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
        if let Some(dialog) = dialog.get().filter(|_| open.get()) {
            _ = dialog.show_modal();
        }
    });
    let on = RwSignal::new(true);
    Effect::new(move |_| on.set(enabled()));
    let choose = move |event| {
        let chosen = event_target_checked(&event);
        on.set(chosen);
        _ = storage().map(|s| s.set_item(STORAGE_KEY, if chosen { "on" } else { "off" }));
    };
    let row = |(key, what): (&'static str, &'static str)| view! { <dt><kbd>{key}</kbd></dt><dd>{what}</dd> };
    view! {
        <button type="button" class="tool keys-button" aria-label="Keyboard shortcuts" on:click=move |_| open.set(true)>
            {icon(Icon::Keyboard)}
        </button>
        <dialog node_ref=dialog class="card" aria-labelledby="keys-title" data-testid="shortcuts" on:close=move |_| open.set(false)>
            <form method="dialog">
                <h2 id="keys-title">"Keys"</h2>
                <dl class="keys">{KEYS.map(row).collect_view()}</dl>
                <label class="check">
                    <input type="checkbox" prop:checked=move || on.get() on:change=choose/>
                    <span>"Use single-key shortcuts"</span>
                </label>
                <p class="actions"><button class="button primary" autofocus>"Close"</button></p>
            </form>
        </dialog>
    }
}

#[cfg(test)]
mod tests {
    use super::neighbour;

    #[test]
    fn j_and_k_go_around_in_a_circle() {
        let ids = ["SL001", "SL002", "SL003"].map(String::from);
        assert_eq!(neighbour(&ids, Some("SL003"), 1).as_deref(), Some("SL001"));
        assert_eq!(neighbour(&ids, Some("SL001"), -1).as_deref(), Some("SL003"));
        assert_eq!(neighbour(&ids, None, 1).as_deref(), Some("SL001"));
        assert_eq!(neighbour(&ids, None, -1).as_deref(), Some("SL003"));
        assert_eq!(neighbour(&[], None, 1), None);
        assert_eq!(neighbour(&[], Some("SL001"), -1), None);
    }
}
