//! The pages and their addresses. Every page that shows data is rendered in one piece on the server (`SsrMode::Async`):
//! the first HTML is complete, and a redirect or a header can still be sent.
use leptos::prelude::*;
use leptos_meta::{Title, provide_meta_context};
use leptos_router::SsrMode;
use leptos_router::components::{ParentRoute, Redirect, Route, Router, Routes};
use leptos_router::path;

use crate::devices::DevicesPage;
use crate::frame::Frame;
use crate::lights::LightsPage;
use crate::map::MapPage;
use crate::people::SignInPage;

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    #[cfg(feature = "ssr")]
    crate::shell::set_content_policy();
    view! {
        <Router>
            <Routes fallback=NotFound>
                <Route path=path!("/sign-in") view=SignInPage ssr=SsrMode::Async/>
                <Route path=path!("/") view=|| view! { <Redirect path="/map"/> } ssr=SsrMode::Async/>
                <ParentRoute path=path!("") view=Frame ssr=SsrMode::Async>
                    <Route path=path!("/map") view=MapPage ssr=SsrMode::Async/>
                    <Route path=path!("/lights") view=LightsPage ssr=SsrMode::Async/>
                    <Route path=path!("/devices") view=DevicesPage ssr=SsrMode::Async/>
                </ParentRoute>
            </Routes>
        </Router>
    }
}

/// An address that is no page.
#[component]
fn NotFound() -> impl IntoView {
    #[cfg(feature = "ssr")]
    if let Some(response) = use_context::<leptos_axum::ResponseOptions>() {
        response.set_status(axum::http::StatusCode::NOT_FOUND);
    }
    view! {
        <Title text="Not found · CCMS"/>
        <main class="alone">
            <section class="card">
                <h1>"There is no such page"</h1>
                <p>"The address may be mistyped, or the page has moved."</p>
                <p><a class="button primary" href="/map">"To the map"</a></p>
            </section>
        </main>
    }
}
