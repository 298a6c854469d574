//! Switch and dimmer. Plain forms: they work before hydration and without it. With it, the answer to the click shows
//! `Queued` at once, and letting go of the slider sends.
use ccms_core::command::CommandKind;
use ccms_core::reading::PowerState;
use ccms_core::view::LightDetail;
use leptos::prelude::*;

use super::{Ask, Command, accept, seen};
use crate::bound::{flag, text};
use crate::icons::{Icon, icon};

#[component]
pub fn Controls(detail: RwSignal<LightDetail>) -> impl IntoView {
    let action = ServerAction::<Command>::new();
    Effect::watch(
        move || action.value().get(),
        move |value, _, _| {
            if let Some(Ok(fresh)) = value {
                detail.update(|d| accept(d, fresh.clone()));
            }
        },
        false,
    );
    let light = move || detail.with_untracked(|d| d.light_id.to_string());
    let may = detail.with_untracked(|d| d.may_command);
    let refusal = move || action.value().try_get().flatten().and_then(Result::err).map(|error| error.to_string());
    let is = move |state| seen(detail, |d| d.actual.as_ref().and_then(|r| r.power_state)) == Some(state);
    let switch = move |state: PowerState, word: &'static str, ask: &'static str| {
        view! {
            <ActionForm action>
                <input type="hidden" name="light" value=light()/>
                <input type="hidden" name="ask" value=ask/>
                <button
                    type="submit"
                    class="button switch"
                    data-testid=format!("light-{ask}")
                    data-is=flag(move || is(state))
                >
                    {icon(Icon::Power)}
                    {word}
                </button>
            </ActionForm>
        }
    };
    view! {
        <section class="block controls" aria-label="Control">
            <fieldset class="bare" disabled=!may>
                <div class="switches">{switch(PowerState::On, "On", "on")} {switch(PowerState::Off, "Off", "off")}</div>
                <Dimmer detail action light=light()/>
            </fieldset>
            <p class="alert" role="alert" data-testid="command-error" hidden=flag(move || refusal().is_none())>
                {text(move || refusal().unwrap_or_default())}
            </p>
            {(!may).then(|| view! {
                <p class="quiet" data-testid="may-not-command">"Your role lets you look, not switch. Ask an administrator for the operator role."</p>
            })}
        </section>
    }
}

/// The brightness to start from: what was asked for last, else what is reported, else full.
fn level_of(detail: &LightDetail) -> u8 {
    let asked = detail.commanded.as_ref().filter(|c| c.state.is_live()).and_then(|c| match c.kind {
        CommandKind::Brightness(percent) => Some(percent),
        CommandKind::Power(_) | CommandKind::Schedule(_) | CommandKind::Reset => None,
    });
    let lit = detail.actual.as_ref().filter(|r| r.power_state == Some(PowerState::On));
    asked.or_else(|| lit.and_then(|r| r.brightness_percent)).unwrap_or(100)
}

#[component]
fn Dimmer(detail: RwSignal<LightDetail>, action: ServerAction<Command>, light: String) -> impl IntoView {
    let shown = Memo::new(move |_| detail.with(level_of));
    // What the person holds in hand until it is sent.
    let held = RwSignal::new(None::<u8>);
    let level = move || held.try_get().flatten().or_else(|| shown.try_get()).unwrap_or(100);
    let by_pointer = StoredValue::new(false);
    let id = detail.with_untracked(|d| d.light_id.clone());
    let send = move |percent: u8| {
        action.dispatch(Command { light: id.clone(), ask: Ask::Dim, percent: Some(percent) });
    };
    // Once the answer is here, the slider follows the light again.
    Effect::watch(move || action.version().get(), move |_, _, _| held.set(None), false);
    let first = level_of(&detail.get_untracked());
    view! {
        <ActionForm action>
            <input type="hidden" name="light" value=light/>
            <input type="hidden" name="ask" value="dim"/>
            <div class="dimmer">
                <label for="brightness">"Brightness"</label>
                <output for="brightness">{text(move || format!("{} %", level()))}</output>
                <input
                    id="brightness"
                    type="range"
                    name="percent"
                    min="0"
                    max="100"
                    step="5"
                    value=first
                    prop:value=text(level)
                    aria-valuetext=text(move || format!("{} %", level()))
                    data-testid="brightness"
                    on:pointerdown=move |_| by_pointer.set_value(true)
                    on:keydown=move |_| by_pointer.set_value(false)
                    on:input:target=move |event| held.set(event.target().value().parse().ok())
                    on:change:target=move |event| {
                        if by_pointer.get_value() && let Ok(percent) = event.target().value().parse() {
                            send(percent);
                        }
                    }
                />
                <button type="submit" class="button" data-testid="brightness-set">"Set"</button>
            </div>
        </ActionForm>
    }
}
