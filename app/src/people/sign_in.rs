//! The sign-in page: one calm card, a plain form. It works before hydration and without it; password managers and pasting
//! are welcome; what went wrong is announced and says what to do.
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::SignIn;
use crate::bound::{flag, maybe, text};
use crate::icons::brand;

#[component]
pub fn SignInPage() -> impl IntoView {
    let action = ServerAction::<SignIn>::new();
    let query = use_query_map();
    let next = move || query.read().get("next").unwrap_or_default();
    let refusal = move || action.value().get().and_then(Result::err).map(|error| error.to_string());
    let pending = action.pending();
    view! {
        <Title text="Sign in · CCMS"/>
        <main class="alone sign-in">
            <section class="card">
                <header class="sign-in-head">
                    {brand()}
                    <h1>"CCMS"</h1>
                    <p class="quiet">"Control and monitoring of street lights"</p>
                </header>
                <ActionForm action>
                    <p class="alert" role="alert" data-testid="sign-in-error" hidden=flag(move || refusal().is_none())>
                        {text(move || refusal().unwrap_or_default())}
                    </p>
                    <label class="field">
                        <span>"E-mail address"</span>
                        <input
                            type="email"
                            name="email"
                            autocomplete="username"
                            required
                            autofocus
                            autocapitalize="none"
                            spellcheck="false"
                            aria-invalid=maybe(move || refusal().map(|_| "true"))
                            data-testid="sign-in-email"
                        />
                    </label>
                    <label class="field">
                        <span>"Password"</span>
                        <input
                            type="password"
                            name="password"
                            autocomplete="current-password"
                            required
                            aria-invalid=maybe(move || refusal().map(|_| "true"))
                            data-testid="sign-in-password"
                        />
                    </label>
                    <input type="hidden" name="next" value=next/>
                    <button type="submit" class="button primary wide" data-testid="sign-in-submit">
                        {text(move || if pending.get() { "Signing in…" } else { "Sign in" })}
                    </button>
                </ActionForm>
            </section>
        </main>
    }
}
