//! A key is pressed by mistake more easily than a button: switching by key asks first. Enter confirms, Esc goes back.
use leptos::html;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::Asked;
use crate::bound::{flag, text};
use crate::light::{Ask, command};
use crate::live::Live;

#[component]
pub fn Confirm(asked: Asked) -> impl IntoView {
    let live = expect_context::<Live>();
    let dialog = NodeRef::<html::Dialog>::new();
    let refusal = RwSignal::new(None::<String>);
    Effect::new(move |_| {
        let Some(dialog) = dialog.get() else { return };
        if asked.get().is_some() {
            refusal.set(None);
            _ = dialog.show_modal();
        } else {
            dialog.close();
        }
    });
    let question = move || {
        asked.get().map(|(id, ask)| match ask {
            Ask::On => format!("Switch {id} on?"),
            Ask::Off => format!("Switch {id} off?"),
            Ask::Dim => format!("Dim {id}?"),
        })
    };
    let send = move |event: leptos::ev::SubmitEvent| {
        event.prevent_default();
        let Some((id, ask)) = asked.get_untracked() else { return };
        spawn_local(async move {
            match command(id, ask, None).await {
                Ok(_) => {
                    live.news.update(|n| *n = n.wrapping_add(1));
                    asked.set(None);
                }
                Err(error) => refusal.set(Some(error.to_string())),
            }
        });
    };
    // The event comes a moment after the closing. If the next question is open by then, it is not about that one.
    let closed = move |_| {
        if dialog.get_untracked().is_none_or(|dialog| !dialog.open()) {
            asked.set(None);
        }
    };
    view! {
        <dialog node_ref=dialog class="card" aria-labelledby="confirm-title" data-testid="confirm" on:close=closed>
            <form on:submit=send>
                <h2 id="confirm-title">{text(move || question().unwrap_or_default())}</h2>
                <p class="alert" role="alert" hidden=flag(move || refusal.get().is_none())>{text(move || refusal.get().unwrap_or_default())}</p>
                <p class="actions">
                    <button type="button" class="button" on:click=move |_| asked.set(None)>"Cancel"</button>
                    <button type="submit" class="button primary" autofocus data-testid="confirm-yes">"Yes"</button>
                </p>
            </form>
        </dialog>
    }
}
