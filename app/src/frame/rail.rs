//! The rail: the pages that exist, the look of the screen, the person. A bottom bar on narrow screens.
use leptos::prelude::*;
use leptos_router::components::A;

use super::appearance::{Appearance, Palette, Theme};
use crate::icons::{Icon, brand, icon};
use crate::people::{Me, SignOut, SignOutEverywhere};

#[component]
pub fn Rail(me: Me) -> impl IntoView {
    view! {
        <nav class="rail" aria-label="Pages">
            <A href="/map" attr:class="rail-brand" attr:aria-label="CCMS, the map">{brand()}</A>
            <ul>
                <li><A href="/map" attr:class="rail-item">{icon(Icon::Map)}<span>"Map"</span></A></li>
                <li><A href="/lights" attr:class="rail-item">{icon(Icon::Lights)}<span>"Lights"</span></A></li>
                {me.may_commission.then(|| view! {
                    <li><A href="/devices" attr:class="rail-item">{icon(Icon::Devices)}<span>"Devices"</span></A></li>
                })}
            </ul>
            <PersonMenu me/>
        </nav>
    }
}

/// Who is signed in, how the screen looks, and the way out. A native popover-like `details`: works before hydration.
#[component]
fn PersonMenu(me: Me) -> impl IntoView {
    let sign_out = ServerAction::<SignOut>::new();
    let sign_out_everywhere = ServerAction::<SignOutEverywhere>::new();
    view! {
        <details class="menu" data-testid="person-menu">
            <summary class="rail-item" aria-label="You and the look of the screen">
                {icon(Icon::Person)}<span>"You"</span>
            </summary>
            <div class="menu-panel">
                <p class="menu-who">
                    <strong>{me.email}</strong>
                    <span class="quiet">{me.role}</span>
                </p>
                <AppearanceChoice/>
                <ActionForm action=sign_out>
                    <button type="submit" class="button wide" data-testid="sign-out">
                        {icon(Icon::SignOut)}"Sign out"
                    </button>
                </ActionForm>
                <ActionForm action=sign_out_everywhere>
                    <button type="submit" class="button quiet wide" data-testid="sign-out-everywhere">
                        "Sign out on every machine"
                    </button>
                </ActionForm>
            </div>
        </details>
    }
}

#[component]
fn AppearanceChoice() -> impl IntoView {
    let appearance = expect_context::<Appearance>();
    let choice = move |theme: Theme| {
        view! {
            <label class="segment">
                <input
                    type="radio"
                    name="theme"
                    value=theme.as_str()
                    data-testid=format!("theme-{}", theme.as_str())
                    prop:checked=move || appearance.theme.get() == theme
                    on:change=move |_| appearance.choose_theme(theme)
                />
                <span>{theme.label()}</span>
            </label>
        }
    };
    let toggle = move |event| {
        let chosen = if event_target_checked(&event) { Palette::ColourBlind } else { Palette::Standard };
        appearance.choose_palette(chosen);
    };
    view! {
        <fieldset class="segments">
            <legend>"Theme"</legend>
            {Theme::ALL.map(choice).collect_view()}
        </fieldset>
        <label class="check">
            <input
                type="checkbox"
                data-testid="palette-toggle"
                prop:checked=move || appearance.palette.get() == Palette::ColourBlind
                on:change=toggle
            />
            <span>"Colours for colour-blind eyes"</span>
        </label>
    }
}
