//! The frame around every page of a signed-in person: a rail with the pages that exist, a top bar with search, the four
//! counts, the state of the line, the city's time and the next turn of its lamps; a bar when the connection is lost.
//!
//! The frame holds what outlives a page: the clock, the live fleet and who the person is. A page below it reads them from
//! context. It stays while the person moves between pages, so the event stream is opened once.
//!
//! Authorisation: [`look`] needs a signed-in person with the right to view. Whoever is signed out is sent to sign in and
//! returns here afterwards.
mod api;
mod appearance;
mod rail;
mod search;
mod topbar;

pub use api::{Look, look};
pub use appearance::{Appearance, Palette, Theme};

use std::time::Duration;

use ccms_core::view::CityView;
use leptos::either::EitherOf3;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::components::{Outlet, Redirect};
use leptos_router::hooks::use_location;

use crate::bound::{flag, text};
use crate::clock::CityClock;
use crate::error::UiError;
use crate::live::{self, Link, Live};
use crate::people::{Me, next::sign_in_then};

/// The city as the server described it when the frame was made.
#[derive(Clone, Copy)]
pub struct City(pub StoredValue<CityView>);

#[component]
pub fn Frame() -> impl IntoView {
    let frame = Resource::new_blocking(|| (), |()| look());
    let location = use_location();
    view! {
        <Suspense fallback=|| ()>
            {move || Suspend::new(async move {
                match frame.await {
                    Ok(frame) => EitherOf3::A(view! { <Framed frame/> }),
                    Err(UiError::SignedOut) => {
                        let query = location.query.read_untracked().to_query_string();
                        let path = sign_in_then(&location.pathname.get_untracked(), &query);
                        EitherOf3::B(view! { <Redirect path/> })
                    }
                    Err(error) => EitherOf3::C(view! { <Unavailable error/> }),
                }
            })}
        </Suspense>
    }
}

#[component]
fn Framed(frame: api::FrameView) -> impl IntoView {
    let api::FrameView { me, city } = frame;
    let clock = CityClock::new(city.now, city.utc_offset_minutes);
    let live = Live::new(city.counts);
    provide_context(clock);
    provide_context(live);
    provide_context(Appearance::new());
    provide_context(me.clone());
    provide_context(City(StoredValue::new(city.clone())));

    // Effects run in the browser only, and the first time after hydration.
    Effect::new(move |_| stay_connected(live, clock));

    let stale = move || matches!(live.link.get(), Link::Stale { .. });
    view! {
        <Title formatter=move |page: String| if page.is_empty() { "CCMS".into() } else { format!("{page} · CCMS") }/>
        <div class="frame" data-stale=flag(stale)>
            <a class="skip" href="#page">"Skip to the page"</a>
            <rail::Rail me/>
            <topbar::TopBar city/>
            <LostBar live clock/>
            <main id="page" class="page" tabindex="-1">
                <Outlet/>
            </main>
        </div>
    }
}

fn stay_connected(live: Live, clock: CityClock) {
    let stream = StoredValue::new_local(live::start(live, clock));
    let ticking = set_interval_with_handle(
        move || {
            clock.tick();
            _ = stream.try_with_value(|s| s.check());
        },
        Duration::from_secs(1),
    );
    Effect::watch(move || live.watched.get(), move |_, _, _| _ = stream.try_with_value(|s| s.reopen()), false);
    on_cleanup(move || {
        _ = stream.try_with_value(|s| s.close());
        if let Ok(ticking) = ticking {
            ticking.clear();
        }
    });
}

/// Says that the line is lost, and since when nothing on the screen is new.
#[component]
fn LostBar(live: Live, clock: CityClock) -> impl IntoView {
    let said = move || match live.link.get() {
        Link::Starting | Link::Live => None,
        Link::Reconnecting { since } | Link::Stale { since } => Some(format!(
            "No connection to the server since {}. Everything below is from then; trying to reconnect.",
            clock.hour_minute_second(since)
        )),
    };
    view! {
        <div class="lost" role="status" data-testid="lost-bar" hidden=flag(move || said().is_none())>
            {text(move || said().unwrap_or_default())}
        </div>
    }
}

/// The whole page when not even the frame could be made.
#[component]
fn Unavailable(error: UiError) -> impl IntoView {
    view! {
        <main class="alone">
            <section class="card">
                <h1>"The city cannot be shown"</h1>
                <p role="alert">{error.to_string()}</p>
                <p><a class="button" href="" rel="external">"Try again"</a></p>
            </section>
        </main>
    }
}

/// The signed-in person of this page.
pub fn use_me() -> Me {
    expect_context()
}
