//! One light, in the drawer beside the map: what was commanded, what was delivered, what is actual, each with its age; the
//! switch and the dimmer; every command with its steps; the last readings; the controller behind it.
//!
//! The drawer is rendered on the server, so an address that names a light shows all of it without the browser half, and its
//! switches are plain forms. In the browser a click shows `Queued` from the answer to the click itself; everything later arrives as news
//! of the watched light over the event stream, and the drawer asks again.
//!
//! Authorisation: [`show_light`] needs the right to view, [`command`] the right to command. A person without it sees
//! the controls switched off and reads why.
mod api;
mod controls;
mod facts;
mod readings;
mod timeline;
mod words;

pub use api::{Ask, Command, ShowLight, command, show_light};
pub use facts::place;
pub use words::{cause_short, indicator as indicator_word, power as power_word};

use ccms_core::ids::LightId;
use ccms_core::view::{CommandView, LightDetail};
use leptos::either::Either;
use leptos::prelude::*;
use leptos::task::spawn_local;

use crate::bound::text;
use crate::error::UiError;
use crate::icons::{Icon, icon};
use crate::live::Live;

/// Commands the drawer keeps, as many as the server sends.
const COMMANDS_SHOWN_MAX: usize = 20;

#[component]
pub fn Drawer(selected: Memo<Option<LightId>>, close: Callback<()>) -> impl IntoView {
    let detail = Resource::new_blocking(
        move || selected.get(),
        |id| async move {
            match id {
                Some(id) => show_light(id).await,
                None => Err(UiError::NotFound),
            }
        },
    );
    let label = move || selected.get().map_or_else(String::new, |id| format!("Light {id}"));
    view! {
        <aside class="drawer" data-testid="drawer" aria-label=text(label)>
            <a
                class="tool drawer-close"
                href="/map"
                aria-label="Close"
                data-testid="drawer-close"
                on:click=move |event| {
                    event.prevent_default();
                    close.run(());
                }
            >
                {icon(Icon::Close)}
            </a>
            <Transition fallback=|| view! { <p class="drawer-wait quiet" role="status">"Asking for this light"</p> }>
                {move || Suspend::new(async move {
                    match detail.await {
                        Ok(detail) => Either::Left(view! { <Body first=detail/> }),
                        Err(error) => Either::Right(view! { <Missing error/> }),
                    }
                })}
            </Transition>
        </aside>
    }
}

/// The drawer of one light; what is shown follows `detail`, which is renewed by news.
#[component]
fn Body(first: LightDetail) -> impl IntoView {
    let live = expect_context::<Live>();
    let id = first.light_id.clone();
    let detail = RwSignal::new(first);
    let asked = StoredValue::new(0_u32);
    Effect::watch(
        move || live.news.get(),
        move |_, _, _| {
            let (id, number) = (id.clone(), asked.get_value().wrapping_add(1));
            asked.set_value(number);
            spawn_local(async move {
                let answer = show_light(id).await;
                // A newer question is under way, or the drawer is gone.
                if let (Ok(fresh), Some(true)) = (answer, asked.try_with_value(|n| *n == number)) {
                    _ = detail.try_set(fresh);
                }
            });
        },
        false,
    );
    view! {
        <div class="drawer-body">
            <facts::Head detail/>
            <facts::ThreeFacts detail/>
            <controls::Controls detail/>
            <timeline::Timeline detail/>
            <readings::Readings detail/>
            <facts::Device detail/>
        </div>
    }
}

#[component]
fn Missing(error: UiError) -> impl IntoView {
    let said = match error {
        UiError::NotFound => {
            "There is no light with this number. Search by street or name, or pick one on the map.".to_owned()
        }
        other => other.to_string(),
    };
    view! {
        <div class="drawer-body">
            <h2>"This light cannot be shown"</h2>
            <p role="alert" data-testid="drawer-error">{said}</p>
        </div>
    }
}

/// What is shown of a light, read by what follows it on the page. While the next light is asked for, the last one still stands
/// there, and the clock still ticks in it, but what it was made of is gone: then there is nothing to say, until it is replaced.
fn seen<T: Default>(detail: RwSignal<LightDetail>, read: impl FnOnce(&LightDetail) -> T) -> T {
    detail.try_with(read).unwrap_or_default()
}

/// Takes the answer to a click into what is shown. News may have been faster: then it knows more.
fn accept(detail: &mut LightDetail, fresh: CommandView) {
    if detail.commands.iter().any(|known| known.command_id == fresh.command_id) {
        return;
    }
    detail.commanded = Some(fresh.clone());
    detail.commands.insert(0, fresh);
    detail.commands.truncate(COMMANDS_SHOWN_MAX);
}
