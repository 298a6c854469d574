//! The operators' screen: rendered on the server, then taken over by the same code in the browser.
//!
//! - [`app`]     the pages and their addresses
//! - [`mod@shell`]  the document around them: head, theme, content policy, the few lines that start the browser half
//! - [`frame`]   what surrounds every page of a signed-in person: rail, top bar, search, city clock
//! - [`people`]  signing in and out; who is asking
//! - [`map`]     the map: Leaflet under our own canvas of lights
//! - [`light`]   the drawer of one light: three facts, controls, commands, readings
//! - [`lights`]  the same fleet as a table, for those who do not see or want a map
//! - [`devices`] controllers that wait to be let in
//! - [`live`]    the fleet in the browser, kept up to date by server-sent events
//! - [`bound`]   values on the page that follow signals
//! - [`clock`]   the city's time and the ages of facts
//! - [`error`]   what can go wrong, as sentences for people
//! - [`wire`]    how answers are written and read
//!
//! The browser asks through server functions under `/ui/<vertical>/<verb>`; each names its authorisation on its first
//! lines. Nothing here knows SQL or the device protocol.
pub mod app;
pub mod bound;
pub mod clock;
pub mod devices;
pub mod error;
pub mod frame;
pub mod icons;
pub mod light;
pub mod lights;
pub mod live;
pub mod map;
pub mod people;
pub mod shell;
pub mod wire;

pub use app::App;
#[cfg(feature = "ssr")]
pub use shell::shell;

/// Where the browser half starts; called by the lines at the end of the shell's head.
#[cfg(feature = "hydrate")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn hydrate() {
    console_error_panic_hook::set_once();
    leptos::mount::hydrate_body(App);
}
